#include "core/device.h"

#include "core/cuda_device.h"
#include "core/error.h"
#include "cpu/runtime/device.h"

namespace nnx {

std::string DeviceId::str() const {
  return kind == DeviceKind::cpu ? "cpu" : "cuda:" + std::to_string(index);
}

DeviceId parse_device(const std::string& text) {
  if (text == "cpu") return {};
  if (text == "cuda") return {DeviceKind::cuda, 0};
  const std::string prefix = "cuda:";
  const size_t digits = text.size() - prefix.size();
  if (text.rfind(prefix, 0) == 0 && digits >= 1 && digits <= 4 &&
      text.find_first_not_of("0123456789", prefix.size()) == std::string::npos) {
    return {DeviceKind::cuda, std::stoi(text.substr(prefix.size()))};
  }
  bad_value("nnx", "device", "'cpu', 'cuda' or 'cuda:<number>'", "'" + text + "'");
}

void* Device::allocate_host(size_t) { throw std::logic_error("this device has no page-locked memory"); }
void Device::deallocate_host(void*) noexcept {}
void Device::stage(void*, const void*, size_t) { throw std::logic_error("this device copies at once"); }
void Device::await_staged() {}
std::shared_ptr<void> Device::capture(void*, const std::function<void(Context&)>&) {
  throw std::logic_error("this device has no graphs");
}
void Device::replay(const std::shared_ptr<void>&) { throw std::logic_error("this device has no graphs"); }

Device& device_of(DeviceId id) {
  if (id.kind == DeviceKind::cpu) return cpu::cpu_device();
  return cuda_device(id.index);
}

}  // namespace nnx
