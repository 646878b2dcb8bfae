// Where the buffers of a program lie in its one arena: buffers that are never in use together share memory.
#pragma once

#include <cstdint>
#include <deque>

#include "core/tensor.h"

namespace nnx::program {

// A pointer that is known only once the arena is laid out.
template <class U>
struct Ref {
  void* const* cell = nullptr;
  operator U*() const { return cell == nullptr ? nullptr : static_cast<U*>(*cell); }
};

class MemoryPlan {
 public:
  // A buffer of that many bytes; its number.
  int add(int64_t bytes);
  // The buffer is read or written at a step of the program. Steps come in the order they run.
  void touch(int buffer, int step);
  // Lays the buffers out. Those never touched get no memory.
  void lay_out();
  // The arena, laid out before.
  void allocate(DeviceId device);

  template <class U>
  Ref<U> ref(int buffer) const {
    return {&buffers_[static_cast<size_t>(buffer)].address};
  }
  int64_t bytes() const { return bytes_; }

 private:
  struct Buffer {
    int64_t bytes;
    int first = -1, last = -1;  // steps
    int64_t offset = 0;
    void* address = nullptr;
  };

  std::deque<Buffer> buffers_;  // a deque: refs hold addresses of its elements
  Tensor arena_;
  int64_t bytes_ = 0;
};

}  // namespace nnx::program
