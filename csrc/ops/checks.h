// Checks that all ops share, and the two steps every op ends with: dispatch on the dtype and run on the
// device.
#pragma once

#include <functional>
#include <memory>

#include "core/error.h"
#include "core/tensor.h"

namespace nnx::ops {

// body(float{}) or body(double{}); the dtype has been checked.
template <class F>
decltype(auto) dispatch(DType dtype, const F& body) {
  return dtype == DType::float64 ? body(double{}) : body(float{});
}

// Memory of a device for the length of a scope; null for zero bytes.
class Workspace {
 public:
  Workspace(Device& device, int64_t bytes)
      : device_(device),
        bytes_(static_cast<size_t>(bytes)),
        data_(bytes > 0 ? device.allocate(bytes_) : nullptr) {}
  ~Workspace() {
    if (data_ != nullptr) device_.deallocate(data_, bytes_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  void* data() const { return data_; }

 private:
  Device& device_;
  size_t bytes_;
  void* data_;
};

// Runs body(Context&) on a device with a workspace of that many bytes. `work`: estimated operations.
template <class F>
void run(Device& device, double work, int64_t workspace_bytes, const F& body) {
  const Workspace workspace(device, workspace_bytes);
  device.run(work, workspace.data(), std::cref(body));
}

// TypeError unless float32 or float64.
void expect_float(const char* where, const char* name, const Tensor& tensor);
// The dtype (TypeError) and the device (ValueError) of `like`.
void expect_like(const char* where, const char* name, const Tensor& tensor, const Tensor& like);
void expect_dtype(const char* where, const char* name, const Tensor& tensor, DType dtype);
void expect_shape(const char* where, const char* name, const Shape& shape, const Shape& expected);
// `layout` names the axes for the message: "(N, H, W, C)".
void expect_rank(const char* where, const char* name, const Shape& shape, int64_t rank, const char* layout);
// Every extent from axis `from` on is at least 1.
void expect_extents(const char* where, const char* name, const Shape& shape, int64_t from);
// Extents of at least 0 and fewer than 2^63 elements.
void expect_size(const char* where, const char* name, const Shape& shape);
void expect_writable(const char* where, const char* name, const Tensor& tensor);
// No byte of one lies in the other.
void expect_disjoint(const char* where, const char* name, const Tensor& tensor, const Tensor& other);

void expect_at_least(const char* where, const char* name, int64_t value, int64_t least);
void expect_finite(const char* where, const char* name, double value);
void expect_not_negative(const char* where, const char* name, double value);  // finite, >= 0
void expect_positive(const char* where, const char* name, double value);      // finite, > 0
void expect_unit(const char* where, const char* name, double value);          // in [0, 1]
void expect_rate(const char* where, const char* name, double value);          // in [0, 1)

// `axis` counted from the front; negative values count from the back. ValueError where out of range.
int64_t resolve_axis(const char* where, int64_t axis, int64_t rank);

}  // namespace nnx::ops
