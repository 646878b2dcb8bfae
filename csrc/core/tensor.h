// A contiguous, row-major array on a device.
#pragma once

#include <memory>

#include "core/device.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace nnx {

class Tensor {
 public:
  Tensor() = default;  // undefined: no storage

  // Uninitialised memory on a device.
  static Tensor empty(const Shape& shape, DType dtype, DeviceId device = {});
  static Tensor zeros(const Shape& shape, DType dtype, DeviceId device = {});
  // Somebody else's memory, kept alive by `owner`.
  static Tensor wrap(void* data, const Shape& shape, DType dtype, DeviceId device,
                     std::shared_ptr<void> owner, bool writable = true);

  bool defined() const { return defined_; }
  const Shape& shape() const { return shape_; }
  int64_t rank() const { return shape_.rank(); }
  int64_t elements() const { return elements_; }
  size_t bytes() const { return static_cast<size_t>(elements_) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  DeviceId device() const { return device_; }
  bool writable() const { return writable_; }

  void* raw() const { return data_; }
  template <class T>
  T* data() const {
    return static_cast<T*>(data_);
  }
  const std::shared_ptr<void>& owner() const { return owner_; }

  // The same memory under another shape of as many elements.
  Tensor reshaped(const Shape& shape) const;
  // A copy on `device` (the tensor itself where it is there already).
  Tensor to(DeviceId device) const;
  Tensor clone() const;

 private:
  void* data_ = nullptr;
  std::shared_ptr<void> owner_;
  Shape shape_;
  int64_t elements_ = 0;
  DType dtype_ = DType::float32;
  DeviceId device_;
  bool writable_ = true;
  bool defined_ = false;
};

}  // namespace nnx
