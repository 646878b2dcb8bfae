// The functions behind the plugin's struct (core/plugin.h); device.cu defines them.
#pragma once

#include "core/plugin.h"

namespace nnx::cuda::api {

const char* message();
PluginStatus open(int32_t index, void** device);
int32_t enter(void* device);
void leave(void* device, int32_t before);
PluginStatus allocate(void* device, size_t bytes, void** data);
void deallocate(void* device, void* data, size_t bytes);
PluginStatus memory(void* device, DeviceMemory* out);
PluginStatus empty_cache(void* device);
PluginStatus copy_from_host(void* device, void* to, const void* from, size_t bytes);
PluginStatus copy_to_host(void* device, void* to, const void* from, size_t bytes);
PluginStatus copy(void* device, void* to, const void* from, size_t bytes);
PluginStatus zero(void* device, void* data, size_t bytes);
PluginStatus synchronize(void* device);
PluginStatus synchronize_all(void* device);
PluginStatus allocate_host(void* device, size_t bytes, void** data);
void deallocate_host(void* device, void* data);
PluginStatus stage(void* device, void* to, const void* from, size_t bytes);
PluginStatus await_staged(void* device);
PluginStatus begin_capture(void* device, void** stream);
PluginStatus end_capture(void* device, void** graph);
PluginStatus replay(void* device, void* graph);
void destroy_graph(void* device, void* graph);
void context(void* device, Context* context);
PluginStatus check(void* device);
PluginStatus wait_for(void* device, void* stream);
PluginStatus let_wait(void* device, void* stream);

}  // namespace nnx::cuda::api
