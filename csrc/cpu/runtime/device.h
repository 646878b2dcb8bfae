// The CPU as a Device.
#pragma once

#include "core/device.h"

namespace nnx::cpu {

Device& cpu_device();

}  // namespace nnx::cpu
