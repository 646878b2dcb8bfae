#include "core/device.h"

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

Device& device_of(DeviceId id) {
  if (id.kind == DeviceKind::cpu) return cpu::cpu_device();
  throw ValueError("device 'cuda': nnx was built without its CUDA plugin (NNX_CUDA=OFF)");
}

}  // namespace nnx
