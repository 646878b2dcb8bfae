// Arrays on their way in and out: Tensor, ndarray or array-like to nnx::Tensor, and results back to the
// caller's kind.
#pragma once

#include "bindings/arguments.h"
#include "core/error.h"
#include "core/tensor.h"

namespace nnx::bindings {

// Has an object of class T that __new__ made alone refused where it is used: pybind11 would make up memory
// for it, and leave that as it is. T's class is known to pybind11.
template <class T>
void refuse_unmade() {
  py::detail::get_type_info(typeid(T), true)->operator_new = [](size_t) -> void* {
    const std::string name = py::detail::get_type_info(typeid(T), true)->type->tp_name;
    throw TypeError("expected a " + name +
                    " that its constructor or a function made, got one of __new__ alone");
  };
}

// A NumPy array over a CPU tensor's memory, which it keeps alive; a copy of a tensor elsewhere.
py::array to_numpy(const Tensor& tensor);
// The memory of a C-contiguous, native, aligned array, borrowed; a copy of any other. `keep`: the tensor owns
// the array. TypeError for dtypes that no Tensor has.
Tensor from_numpy(const char* where, const char* name, const py::array& array, bool keep);
// np.asarray, with the argument's name in its complaint
py::array as_array(const char* where, const char* name, const py::object& object);
py::dtype numpy_dtype(DType dtype);
DType read_dtype(const char* where, const py::object& object);

// One call of a function: reads its arrays, and gives results as Tensors where it saw a Tensor, else as NumPy
// arrays.
class Call {
 public:
  explicit Call(const char* where) : where_(where) {}
  const char* where() const { return where_; }

  // A floating-point array. Lists and scalars of integers become float64.
  Tensor array(const char* name, const ArrayArgument& argument);
  // Undefined for None.
  Tensor array(const char* name, const std::optional<ArrayArgument>& argument);
  // Labels of any integer dtype, or floating-point targets. Lists of integers are labels.
  Tensor targets(const char* name, const ArrayArgument& argument);
  // As they come, but integers; without a conversion to NumPy of what is a Tensor.
  Tensor integers(const char* name, const ArrayArgument& argument);
  // Any real dtype: integers become float64. Undefined for None.
  Tensor weights(const char* name, const std::optional<ArrayArgument>& argument);
  // An array that the function writes into: a Tensor or a contiguous, writable ndarray.
  Tensor in_place(const char* name, const InPlaceArgument& argument);

  ArrayResult result(const Tensor& tensor) const;
  // None for an undefined tensor.
  std::optional<ArrayResult> optional_result(const Tensor& tensor) const;

 private:
  const Tensor* as_tensor(const py::object& object);
  Tensor floating(const char* name, const py::array& array, bool keep) const;

  const char* where_;
  bool tensor_seen_ = false;
};

// body() without the GIL.
template <class F>
decltype(auto) without_gil(const F& body) {
  const py::gil_scoped_release released;
  return body();
}

// Adds the steps of a run to counter.iterations. No code of Python's runs on the way, within which a signal
// could raise.
class Counting {
 public:
  explicit Counting(const std::optional<CounterArgument>& counter) : counter_(counter) {}

  // So many steps are done by now.
  void tell(int64_t steps) {
    if (!counter_ || steps == told_) return;
    const py::object before = counter_->object.attr("iterations");
    counter_->object.attr("iterations") = before + py::int_(steps - told_);
    told_ = steps;
  }

  // What a run gives; it writes the steps that it does to `steps`, and they are counted however it ends.
  template <class F>
  auto run(const int64_t& steps, const F& body) {
    try {
      auto result = without_gil(body);
      tell(steps);
      return result;
    } catch (...) {
      tell(steps);
      throw;
    }
  }

 private:
  const std::optional<CounterArgument>& counter_;
  int64_t told_ = 0;
};

}  // namespace nnx::bindings
