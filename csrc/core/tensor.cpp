#include "core/tensor.h"

#include "core/error.h"

namespace nnx {
namespace {

size_t bytes_of(const Shape& shape, DType dtype) {
  int64_t bytes;
  if (__builtin_mul_overflow(shape.elements(), static_cast<int64_t>(size_of(dtype)), &bytes)) {
    throw ValueError(detail::concatenate("a ", name_of(dtype), " array of shape ", shape,
                                         " expected fewer than 2^63 bytes"));
  }
  return static_cast<size_t>(bytes);
}

}  // namespace

Tensor Tensor::wrap(void* data, const Shape& shape, DType dtype, DeviceId device, std::shared_ptr<void> owner,
                    bool writable) {
  bytes_of(shape, dtype);
  Tensor tensor;
  tensor.data_ = data;
  tensor.owner_ = std::move(owner);
  tensor.shape_ = shape;
  tensor.elements_ = shape.elements();
  tensor.dtype_ = dtype;
  tensor.device_ = device;
  tensor.writable_ = writable;
  tensor.defined_ = true;
  return tensor;
}

Tensor Tensor::empty(const Shape& shape, DType dtype, DeviceId device) {
  Device& place = device_of(device);
  const size_t bytes = bytes_of(shape, dtype);
  void* data = place.allocate(bytes);
  std::shared_ptr<void> owner(data, [&place, bytes](void* p) { place.deallocate(p, bytes); });
  return wrap(data, shape, dtype, device, std::move(owner));
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, DeviceId device) {
  Tensor tensor = empty(shape, dtype, device);
  device_of(device).zero(tensor.raw(), tensor.bytes());
  return tensor;
}

Tensor Tensor::reshaped(const Shape& shape) const {
  if (shape.elements() != elements_) {
    throw ValueError(
        detail::concatenate("reshape: argument 'shape' expected ", elements_, " elements, got ", shape));
  }
  Tensor tensor = *this;
  tensor.shape_ = shape;
  return tensor;
}

Tensor Tensor::to(DeviceId device) const {
  if (device == device_) return *this;
  const Tensor tensor = empty(shape_, dtype_, device);
  if (device_.kind == DeviceKind::cpu) {
    device_of(device).copy_from_host(tensor.raw(), data_, bytes());
  } else if (device.kind == DeviceKind::cpu) {
    device_of(device_).copy_to_host(tensor.raw(), data_, bytes());
  } else {
    // Between two accelerators, by way of the host.
    return to(DeviceId{}).to(device);
  }
  return tensor;
}

Tensor Tensor::clone() const {
  const Tensor tensor = empty(shape_, dtype_, device_);
  device_of(device_).copy(tensor.raw(), data_, bytes());
  return tensor;
}

}  // namespace nnx
