#include "core/cuda_device.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>
#include <vector>

#include "core/error.h"

namespace nnx {
namespace {

constexpr const char* kName = "libnnx_cuda.so";

// The plugin lies beside the module that this code is in; NNX_CUDA_PLUGIN names another.
std::string plugin_path() {
  if (const char* given = std::getenv("NNX_CUDA_PLUGIN")) return given;
  Dl_info self;
  if (dladdr(reinterpret_cast<const void*>(&cuda_status), &self) == 0 || self.dli_fname == nullptr)
    return kName;
  const std::string path = self.dli_fname;
  return path.substr(0, path.rfind('/') + 1) + kName;
}

struct Loaded {
  const Plugin* plugin = nullptr;
  CudaStatus status;
};

std::string missing_link(const Plugin& plugin, const PluginProbe& probe) {
  const std::string built = "the plugin was built with CUDA " + version_text(probe.runtime_version);
  switch (probe.state) {
    case PluginState::ready:
      return {};
    case PluginState::no_driver:
      return "no NVIDIA driver was found (libcuda.so.1); " + built;
    case PluginState::old_driver:
      return "the NVIDIA driver is too old: it supports CUDA " + version_text(probe.driver_version) + ", " +
             built;
    case PluginState::no_device:
      return "the NVIDIA driver finds no device";
    case PluginState::failed:
      break;
  }
  return std::string("the NVIDIA driver failed: ") + plugin.message();
}

// 8.6 from 86.
std::string capability(int number) { return std::to_string(number / 10) + "." + std::to_string(number % 10); }

std::string missing_code(const Plugin& plugin, const PluginDevice& device) {
  if (device.code != 0) return {};
  return "the CUDA plugin has no code for " + text_of(device) + "; it was built for " + plugin.architectures;
}

// Looks for a device that there is code for.
void find_device(const Plugin& plugin, CudaStatus& status) {
  for (int index = 0; index < status.devices && !status.available; ++index) {
    PluginDevice device;
    const bool known = plugin.describe(index, &device) == PluginStatus::ok;
    status.available = known && device.code != 0;
    if (status.available) {
      status.first = index;
    } else if (status.reason.empty()) {
      status.reason = known ? missing_code(plugin, device)
                            : "device 'cuda:" + std::to_string(index) + "' failed: " + plugin.message();
    }
  }
  if (status.available) {
    status.reason.clear();
  } else {
    status.devices = 0;
  }
}

Loaded load() {
  Loaded loaded;
  const std::string path = plugin_path();
  // Never closed: its arrays may outlive everything.
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const std::string why = dlerror();
    const bool absent = why.find("cannot open shared object file") != std::string::npos &&
                        why.compare(0, path.size(), path) == 0;
    loaded.status.reason = absent ? "nnx was built without its CUDA plugin (NNX_CUDA=OFF)"
                                  : "the CUDA plugin cannot be opened: " + why;
    return loaded;
  }
  const auto entry = reinterpret_cast<decltype(&nnx_cuda_plugin)>(dlsym(library, "nnx_cuda_plugin"));
  const Plugin* const plugin = entry == nullptr ? nullptr : entry();
  if (plugin == nullptr || plugin->abi != kPluginAbi) {
    loaded.status.reason = "the CUDA plugin " + path + " belongs to another version of nnx";
    return loaded;
  }
  const PluginProbe probe = plugin->probe();
  loaded.plugin = plugin;
  loaded.status.emulated = plugin->emulated != 0;
  loaded.status.architectures = plugin->architectures;
  loaded.status.driver_version = probe.driver_version;
  loaded.status.runtime_version = probe.runtime_version;
  loaded.status.reason = missing_link(*plugin, probe);
  loaded.status.devices = probe.state == PluginState::ready ? probe.devices : 0;
  find_device(*plugin, loaded.status);
  return loaded;
}

const Loaded& loaded() {
  static const Loaded once = load();
  return once;
}

void expect(const Plugin& plugin, int index, PluginStatus status) {
  if (status == PluginStatus::ok) return;
  const std::string text = "device '" + DeviceId{DeviceKind::cuda, index}.str() + "': " + plugin.message();
  if (status == PluginStatus::out_of_memory) throw OutOfMemory(text);
  throw std::runtime_error(text);
}

class CudaDevice final : public Device {
 public:
  CudaDevice(const Plugin& plugin, int index) : plugin_(plugin), index_(index) {
    PluginDevice description;
    expect(plugin_.describe(index, &description));
    const std::string missing = missing_code(plugin, description);
    if (!missing.empty()) throw ValueError("device '" + id().str() + "': " + missing);
    expect(plugin_.open(index, &state_));
  }

  DeviceId id() const override { return {DeviceKind::cuda, index_}; }
  bool asynchronous() const override { return true; }

  void* allocate(size_t bytes) override {
    void* data = nullptr;
    expect(plugin_.allocate(state_, bytes, &data));
    return data;
  }
  void deallocate(void* data, size_t bytes) noexcept override { plugin_.deallocate(state_, data, bytes); }
  void copy_from_host(void* to, const void* from, size_t bytes) override {
    expect(plugin_.copy_from_host(state_, to, from, bytes));
  }
  void copy_to_host(void* to, const void* from, size_t bytes) override {
    expect(plugin_.copy_to_host(state_, to, from, bytes));
  }
  void copy(void* to, const void* from, size_t bytes) override {
    expect(plugin_.copy(state_, to, from, bytes));
  }
  void zero(void* data, size_t bytes) override { expect(plugin_.zero(state_, data, bytes)); }
  void synchronize() override { expect(plugin_.synchronize(state_)); }

  void* allocate_host(size_t bytes) override {
    void* data = nullptr;
    expect(plugin_.allocate_host(state_, bytes, &data));
    return data;
  }
  void deallocate_host(void* data) noexcept override { plugin_.deallocate_host(state_, data); }
  void stage(void* to, const void* from, size_t bytes) override {
    const std::lock_guard<std::mutex> lock(launching_);
    expect(plugin_.stage(state_, to, from, bytes));
  }
  void await_staged() override {
    const std::lock_guard<std::mutex> lock(launching_);
    expect(plugin_.await_staged(state_));
  }
  void wait_for(void* stream) {
    const std::lock_guard<std::mutex> lock(launching_);
    expect(plugin_.wait_for(state_, stream));
  }
  void let_wait(void* stream) {
    const std::lock_guard<std::mutex> lock(launching_);
    expect(plugin_.let_wait(state_, stream));
  }

  void run(double, void* workspace, const std::function<void(Context&)>& body) override {
    const std::lock_guard<std::mutex> lock(launching_);
    enqueue(workspace, body);
  }

  std::shared_ptr<void> capture(void* workspace, const std::function<void(Context&)>& body) override {
    const std::lock_guard<std::mutex> lock(launching_);
    void *stream = nullptr, *graph = nullptr;
    expect(plugin_.begin_capture(state_, &stream));
    try {
      enqueue(workspace, body, stream);
    } catch (...) {
      if (plugin_.end_capture(state_, &graph) == PluginStatus::ok) plugin_.destroy_graph(state_, graph);
      throw;
    }
    expect(plugin_.end_capture(state_, &graph));
    return std::shared_ptr<void>(graph, [this](void* held) { plugin_.destroy_graph(state_, held); });
  }

  void replay(const std::shared_ptr<void>& graph) override {
    const std::lock_guard<std::mutex> lock(launching_);
    expect(plugin_.replay(state_, graph.get()));
  }

  const kernels::Table<float>& table_float32(Precision precision) const override {
    return *plugin_.float32(precision);
  }
  const kernels::Table<double>& table_float64() const override { return *plugin_.float64(); }

  // All streams of the device; where another library's capture forbids that, this one alone. Not while a step
  // is captured here: a device that has a stream in a capture cannot be waited for, and the capture would
  // end.
  void settle() {
    const std::lock_guard<std::mutex> lock(launching_);
    if (plugin_.synchronize_all(state_) != PluginStatus::ok) plugin_.synchronize(state_);
  }

  const Plugin& plugin() const { return plugin_; }
  void* state() const { return state_; }

  void expect(PluginStatus status) const { nnx::expect(plugin_, index_, status); }

 private:
  // A kernel can be launched on a stream of the thread's current device only.
  class Entered {
   public:
    explicit Entered(const CudaDevice& device)
        : device_(device), before_(device.plugin_.enter(device.state_)) {}
    ~Entered() { device_.plugin_.leave(device_.state_, before_); }
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;

   private:
    const CudaDevice& device_;
    int32_t before_;
  };

  // On the device's stream, or on another.
  void enqueue(void* workspace, const std::function<void(Context&)>& body, void* stream = nullptr) {
    const Entered entered(*this);
    Context context;
    context.workspace = workspace;
    plugin_.context(state_, &context);
    if (stream != nullptr) context.stream = stream;
    body(context);
    expect(plugin_.check(state_));
  }

  const Plugin& plugin_;
  int index_;
  void* state_ = nullptr;
  // Kernels of two threads must not share the scratch memory halfway, nor the events that order streams.
  std::mutex launching_;
};

struct Opened {
  std::mutex mutex;
  std::vector<std::unique_ptr<CudaDevice>> devices;  // by number, null where nobody has asked for one
};
// Never destroyed: arrays of static storage elsewhere may still be given back.
Opened& all_opened() {
  static auto& all = *new Opened;
  return all;
}

void expect_number(int index) {
  const CudaStatus& status = cuda_status();
  const DeviceId id{DeviceKind::cuda, index};
  if (!status.available) throw ValueError("device '" + id.str() + "': " + status.reason);
  if (index < 0 || index >= status.devices) {
    throw ValueError(detail::concatenate("device '", id.str(), "': expected a number below ", status.devices,
                                         ", that of the CUDA devices"));
  }
}

CudaDevice& opened(int index) {
  expect_number(index);
  Opened& all = all_opened();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.devices.resize(static_cast<size_t>(cuda_status().devices));
  auto& device = all.devices[static_cast<size_t>(index)];
  if (!device) device = std::make_unique<CudaDevice>(*loaded().plugin, index);
  return *device;
}

}  // namespace

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

const CudaStatus& cuda_status() { return loaded().status; }

Device& cuda_device(int index) { return opened(index); }

PluginDevice describe_cuda_device(int index) {
  expect_number(index);
  PluginDevice device;
  expect(*loaded().plugin, index, loaded().plugin->describe(index, &device));
  return device;
}

std::string text_of(const PluginDevice& device) {
  const std::string code = device.code == 0 ? "" : ", code for " + capability(device.code);
  return device.name + (" (compute capability " + capability(10 * device.major + device.minor)) + code + ")";
}

std::string missing_code(const PluginDevice& device) { return missing_code(*loaded().plugin, device); }

bool has_tensor_cores(const PluginDevice& device) { return device.major >= 8 && device.code >= 80; }

DeviceMemory cuda_memory(int index) {
  const CudaDevice& device = opened(index);
  DeviceMemory memory;
  device.expect(device.plugin().memory(device.state(), &memory));
  return memory;
}

void cuda_empty_cache() {
  Opened& all = all_opened();
  const std::lock_guard<std::mutex> lock(all.mutex);
  for (const auto& device : all.devices) {
    if (device) device->expect(device->plugin().empty_cache(device->state()));
  }
}

void* cuda_stream(int index) {
  const CudaDevice& device = opened(index);
  Context context;
  device.plugin().context(device.state(), &context);
  return context.stream;
}

void cuda_settle(int index) noexcept {
  try {
    opened(index).settle();
  } catch (...) {
    return;  // there is nothing left to wait for
  }
}

void cuda_wait_for(int index, void* stream) { opened(index).wait_for(stream); }

void cuda_let_wait(int index, void* stream) { opened(index).let_wait(stream); }

}  // namespace nnx
