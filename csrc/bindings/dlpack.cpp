#include "bindings/dlpack.h"

#include "core/cuda_device.h"
#include "core/error.h"
#include "core/size.h"

namespace nnx::bindings {
namespace {

using dlpack::Managed;
using dlpack::ManagedVersioned;

template <class M>
struct Names;
template <>
struct Names<Managed> {
  static constexpr const char* fresh = "dltensor";
  static constexpr const char* used = "used_dltensor";
};
template <>
struct Names<ManagedVersioned> {
  static constexpr const char* fresh = "dltensor_versioned";
  static constexpr const char* used = "used_dltensor_versioned";
};

dlpack::Device device_of_tensor(const Tensor& tensor) {
  const bool cpu = tensor.device().kind == DeviceKind::cpu;
  return {cpu ? dlpack::kCpu : dlpack::kCuda, tensor.device().index};
}

dlpack::DataType export_dtype(DType dtype) {
  const auto bits = static_cast<uint8_t>(8 * size_of(dtype));
  const bool floating = dtype == DType::float32 || dtype == DType::float64;
  return {floating ? dlpack::kFloat : dtype == DType::uint8 ? dlpack::kUInt : dlpack::kInt, bits, 1};
}

DType import_dtype(dlpack::DataType dtype) {
  for (const DType known : {DType::float32, DType::float64, DType::int32, DType::int64, DType::uint8}) {
    const dlpack::DataType same = export_dtype(known);
    if (dtype.code == same.code && dtype.bits == same.bits && dtype.lanes == 1) return known;
  }
  bad_type("from_dlpack", "obj", "float32, float64, int32, int64 or uint8",
           detail::concatenate("type code ", int{dtype.code}, " of ", int{dtype.bits}, " bits"));
}

// (type, number), as __dlpack_device__ gives it and the arguments of __dlpack__ come.
std::pair<int, int> read_numbers(const char* where, const char* name, const char* expected,
                                 const py::object& object) {
  try {
    return py::cast<std::pair<int, int>>(object);
  } catch (const py::cast_error&) {
    bad_type(where, name, expected, std::string(py::repr(object)));
  }
}

DeviceId import_device(dlpack::Device device) {
  if (device.id < 0) bad_value("from_dlpack", "obj", "a device number of at least 0", device.id);
  if (device.type == dlpack::kCpu || device.type == dlpack::kCudaHost) return {};
  if (device.type == dlpack::kCuda) return {DeviceKind::cuda, device.id};
  bad_value("from_dlpack", "obj", "an array in the memory of a CPU or of CUDA",
            detail::concatenate("device type ", device.type));
}

// Before memory that another library has used goes back: its kernels, or ours, may still be at work.
void settle(DeviceId device) {
  if (device.kind == DeviceKind::cuda) cuda_settle(device.index);
}

// The stream that a consumer names, made to wait for ours. None and 1: the legacy default stream; 2: that of
// the thread; -1: no wait is wanted.
void let_consumer_wait(DeviceId device, const py::object& stream) {
  const int64_t number = stream.is_none() ? 1 : read_integer("__dlpack__", "stream", stream);
  if (number == 0 || number < -1) {
    bad_value("__dlpack__", "stream", "None, -1, 1, 2 or the address of a CUDA stream", number);
  }
  if (number != -1) cuda_let_wait(device.index, reinterpret_cast<void*>(number));
}

// What an exported capsule owns.
template <class M>
struct Exported {
  M managed{};
  Tensor tensor;
  std::vector<int64_t> shape, strides;
};

template <class M>
void destroy_unused(PyObject* capsule) {
  if (PyCapsule_IsValid(capsule, Names<M>::fresh) == 0) return;  // taken by a consumer
  auto* managed = static_cast<M*>(PyCapsule_GetPointer(capsule, Names<M>::fresh));
  managed->deleter(managed);
}

template <class M>
py::capsule export_as(const Tensor& tensor, uint64_t flags) {
  auto exported = std::make_unique<Exported<M>>();
  exported->tensor = tensor;
  exported->shape = tensor.shape().dims();
  exported->strides.resize(exported->shape.size());
  int64_t stride = 1;
  for (size_t axis = exported->shape.size(); axis-- > 0;) {
    exported->strides[axis] = stride;
    stride *= std::max<int64_t>(exported->shape[axis], 1);
  }
  M& managed = exported->managed;
  managed.array = {tensor.raw(),
                   device_of_tensor(tensor),
                   static_cast<int32_t>(tensor.rank()),
                   export_dtype(tensor.dtype()),
                   exported->shape.data(),
                   exported->strides.data(),
                   0};
  managed.context = exported.get();
  managed.deleter = [](M* self) {
    auto* const held = static_cast<Exported<M>*>(self->context);
    settle(held->tensor.device());  // the consumer's kernels may still be at work on it
    delete held;
  };
  if constexpr (std::is_same_v<M, ManagedVersioned>) {
    managed.version = {1, 1};
    managed.flags = flags;
  }
  PyObject* capsule = PyCapsule_New(&managed, Names<M>::fresh, &destroy_unused<M>);
  if (capsule == nullptr) throw py::error_already_set();
  exported.release();
  return py::reinterpret_steal<py::capsule>(capsule);
}

// The shape of an array that can be: what its capsule says of sizes and memory is as good as its producer.
Shape check_array(const dlpack::Array& array, size_t element_size) {
  constexpr int32_t kMostAxes = 64;  // NumPy's
  const auto refuse = [](auto&& expected, auto&& got) { bad_value("from_dlpack", "obj", expected, got); };
  if (array.rank < 0 || array.rank > kMostAxes) refuse("0 to 64 axes", array.rank);
  if (array.rank > 0 && array.shape == nullptr) refuse("a shape", "a null pointer");
  const Shape shape(std::vector<int64_t>(array.shape, array.shape + array.rank));
  // From the first element to the last, however they are strided.
  double reach = 1.0, size = static_cast<double>(element_size);
  for (int32_t axis = 0; axis < array.rank; ++axis) {
    if (shape[axis] < 0) refuse("extents of at least 0", shape);
    const auto extent = static_cast<double>(shape[axis]);
    const double stride = array.strides != nullptr ? static_cast<double>(array.strides[axis]) : 0.0;
    reach += std::abs(stride) * std::max(extent - 1.0, 0.0);
    size *= std::max(extent, 1.0);
  }
  const double most = static_cast<double>(kMostBytes);
  if (size > most || reach * static_cast<double>(element_size) > most ||
      array.byte_offset > static_cast<uint64_t>(kMostBytes)) {
    refuse(detail::concatenate("at most ", kMostBytes, " bytes from the first to the last"), shape);
  }
  if (shape.elements() > 0 && array.data == nullptr) refuse("memory for its elements", "a null pointer");
  return shape;
}

bool is_contiguous(const dlpack::Array& array) {
  if (array.strides == nullptr) return true;
  int64_t expected = 1;
  bool contiguous = true;
  for (int32_t axis = array.rank; axis-- > 0;) {
    if (array.shape[axis] == 0) return true;
    contiguous &= array.shape[axis] == 1 || array.strides[axis] == expected;
    expected *= array.shape[axis];
  }
  return contiguous;
}

// A copy of strided or misaligned memory.
Tensor copy_strided(const dlpack::Array& array, void* data, const Shape& shape, DType dtype,
                    const std::shared_ptr<void>& owner) {
  const auto size = static_cast<int64_t>(size_of(dtype));
  std::vector<int64_t> strides(shape.dims().size());
  int64_t contiguous = 1;
  for (size_t axis = strides.size(); axis-- > 0;) {
    strides[axis] = (array.strides != nullptr ? array.strides[axis] : contiguous) * size;
    contiguous *= shape.dims()[axis];
  }
  const py::capsule base(new std::shared_ptr<void>(owner),
                         [](void* held) { delete static_cast<std::shared_ptr<void>*>(held); });
  return from_numpy("from_dlpack", "obj", py::array(numpy_dtype(dtype), shape.dims(), strides, data, base),
                    true);
}

template <class M>
Tensor import_as(PyObject* capsule, DeviceId expected) {
  auto* managed = static_cast<M*>(PyCapsule_GetPointer(capsule, Names<M>::fresh));
  if (managed == nullptr) throw py::error_already_set();
  bool writable = true;
  if constexpr (std::is_same_v<M, ManagedVersioned>) {
    if (managed->version.major != 1) {
      bad_value("from_dlpack", "obj", "DLPack 1", detail::concatenate("version ", managed->version.major));
    }
    writable = (managed->flags & dlpack::kReadOnly) == 0;
  }
  const dlpack::Array& array = managed->array;
  const DType dtype = import_dtype(array.dtype);
  const DeviceId device = import_device(array.device);
  if (device != expected) {
    bad_value("from_dlpack", "obj", "an array on '" + expected.str() + "', as __dlpack_device__ says",
              "one on '" + device.str() + "'");
  }
  const Shape shape = check_array(array, size_of(dtype));
  char* const data = shape.elements() > 0 ? static_cast<char*>(array.data) + array.byte_offset
                                          : static_cast<char*>(array.data);
  const bool usable = is_contiguous(array) && reinterpret_cast<uintptr_t>(data) % size_of(dtype) == 0;
  if (!usable && device.kind != DeviceKind::cpu)
    bad_value("from_dlpack", "obj", "contiguous memory", "a strided array");
  // From here on the memory is ours to give back.
  std::shared_ptr<void> owner(managed, [device](void* held) {
    settle(device);
    auto* taken = static_cast<M*>(held);
    if (taken->deleter != nullptr) taken->deleter(taken);
  });
  PyCapsule_SetName(capsule, Names<M>::used);
  if (!usable) return copy_strided(array, data, shape, dtype, owner);
  return Tensor::wrap(data, shape, dtype, device, std::move(owner), writable);
}

py::object ask(const py::object& object, const py::dict& keywords) {
  try {
    return object.attr("__dlpack__")(**keywords);
  } catch (py::error_already_set& error) {
    // Exporters older than the array API of 2023 know no max_version.
    if (!keywords.contains("max_version") || !error.matches(PyExc_TypeError)) throw;
  }
  py::dict fewer(keywords);
  fewer.attr("pop")("max_version");
  return object.attr("__dlpack__")(**fewer);
}

}  // namespace

std::pair<int, int> dlpack_device(const Tensor& tensor) {
  const dlpack::Device device = device_of_tensor(tensor);
  return {device.type, device.id};
}

py::object to_dlpack(const Tensor& tensor, const py::object& stream, const py::object& max_version,
                     const py::object& dl_device, const py::object& copy) {
  const bool cpu = tensor.device().kind == DeviceKind::cpu;
  if (cpu && !stream.is_none())
    bad_value("__dlpack__", "stream", "None on the CPU", std::string(py::str(stream)));
  Tensor exported = tensor;
  if (!dl_device.is_none()) {
    const auto [type, id] = read_numbers("__dlpack__", "dl_device", "a pair (type, number)", dl_device);
    const bool same = std::pair(type, id) == dlpack_device(tensor);
    if (!same && type != dlpack::kCpu)
      throw py::buffer_error("__dlpack__: expected dl_device to be the CPU or the tensor's");
    if (!same) exported = tensor.to(DeviceId{});
  }
  bool copied = exported.raw() != tensor.raw();
  if (!copy.is_none()) {
    if (!PyBool_Check(copy.ptr()))
      bad_type("__dlpack__", "copy", "a bool or None", std::string(py::repr(copy)));
    const bool wanted = py::cast<bool>(copy);
    if (!wanted && copied) throw py::buffer_error("__dlpack__: that device needs a copy, and copy=False");
    if (wanted && !copied) exported = tensor.clone();
    copied = copied || wanted;
  }
  if (exported.device().kind == DeviceKind::cuda) let_consumer_wait(exported.device(), stream);
  const bool versioned =
      !max_version.is_none() &&
      read_numbers("__dlpack__", "max_version", "a pair (major, minor)", max_version).first >= 1;
  if (versioned) {
    return export_as<ManagedVersioned>(
        exported, (exported.writable() ? 0 : dlpack::kReadOnly) | (copied ? dlpack::kIsCopied : 0));
  }
  if (!exported.writable()) {
    throw py::buffer_error("__dlpack__: a read-only tensor needs DLPack 1, max_version=(1, 0)");
  }
  return export_as<Managed>(exported, 0);
}

Tensor from_dlpack(const py::object& object) {
  if (!py::hasattr(object, "__dlpack__") || !py::hasattr(object, "__dlpack_device__")) {
    bad_type("from_dlpack", "obj", "an object with __dlpack__ and __dlpack_device__",
             Py_TYPE(object.ptr())->tp_name);
  }
  const auto [type, id] = read_numbers("from_dlpack", "obj", "__dlpack_device__ to give (type, number)",
                                       object.attr("__dlpack_device__")());
  const DeviceId device = import_device({type, id});
  device_of(device);
  py::dict keywords;
  keywords["max_version"] = py::make_tuple(1, 1);
  if (device.kind == DeviceKind::cuda) {
    keywords["stream"] = reinterpret_cast<intptr_t>(cuda_stream(device.index));
  }
  const py::object capsule = ask(object, keywords);
  if (PyCapsule_IsValid(capsule.ptr(), Names<ManagedVersioned>::fresh) != 0)
    return import_as<ManagedVersioned>(capsule.ptr(), device);
  if (PyCapsule_IsValid(capsule.ptr(), Names<Managed>::fresh) != 0)
    return import_as<Managed>(capsule.ptr(), device);
  std::string got = Py_TYPE(capsule.ptr())->tp_name;
  if (PyCapsule_CheckExact(capsule.ptr()) != 0) {
    const char* const name = PyCapsule_GetName(capsule.ptr());
    got += name != nullptr ? std::string(" '") + name + "'" : " without a name";
  }
  bad_type("from_dlpack", "obj", "a fresh DLPack capsule from __dlpack__", got);
}

}  // namespace nnx::bindings
