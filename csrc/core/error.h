// The errors the core throws. Only csrc/bindings turns them into Python exceptions.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace nnx {

// A value, shape or range that does not fit: Python's ValueError.
struct ValueError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A dtype or kind of object that does not fit: Python's TypeError.
struct TypeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// No memory left on a device: Python's MemoryError.
struct OutOfMemory : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {
template <class... Parts>
std::string concatenate(const Parts&... parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}
}  // namespace detail

// "dense: argument 'w' expected shape (784, O), got (10, 5)".
template <class Expected, class Got>
[[noreturn]] void bad_value(const char* where, const char* argument, const Expected& expected,
                            const Got& got) {
  throw ValueError(
      detail::concatenate(where, ": argument '", argument, "' expected ", expected, ", got ", got));
}

template <class Expected, class Got>
[[noreturn]] void bad_type(const char* where, const char* argument, const Expected& expected,
                           const Got& got) {
  throw TypeError(
      detail::concatenate(where, ": argument '", argument, "' expected ", expected, ", got ", got));
}

}  // namespace nnx
