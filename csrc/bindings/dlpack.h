// DLPack, the interchange of arrays between libraries in one process (https://dmlc.github.io/dlpack/latest/).
#pragma once

#include "bindings/arrays.h"

namespace nnx::bindings {

// The structures of dlpack.h, version 1.1, laid out as the standard says.
namespace dlpack {

enum DeviceType : int32_t { kCpu = 1, kCuda = 2, kCudaHost = 3 };
enum TypeCode : uint8_t { kInt = 0, kUInt = 1, kFloat = 2 };
constexpr uint64_t kReadOnly = 1;
constexpr uint64_t kIsCopied = 2;

struct Device {
  int32_t type;
  int32_t id;
};

struct DataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct Array {
  void* data;
  Device device;
  int32_t rank;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null for contiguous arrays
  uint64_t byte_offset;
};

struct Managed {
  Array array;
  void* context;
  void (*deleter)(Managed*);
};

struct Version {
  uint32_t major, minor;
};

struct ManagedVersioned {
  Version version;
  void* context;
  void (*deleter)(ManagedVersioned*);
  uint64_t flags;
  Array array;
};

}  // namespace dlpack

// What Tensor.__dlpack__ and __dlpack_device__ return.
py::object to_dlpack(const Tensor& tensor, const py::object& stream, const py::object& max_version,
                     const py::object& dl_device, const py::object& copy);
std::pair<int, int> dlpack_device(const Tensor& tensor);
// An object with __dlpack__ and __dlpack_device__; shares its memory where that is contiguous.
Tensor from_dlpack(const py::object& object);

}  // namespace nnx::bindings
