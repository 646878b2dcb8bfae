// The arrays of a run, checked before the first step reads them.
#pragma once

#include "program/program.h"

namespace nnx::program {

// x (N, ...) of any dtype; y: labels (N) or targets (N, ...), undefined where the program has no loss or only
// predicts; weight (N) of the parameters' dtype or undefined; order (rows) int64 or undefined. The tensors
// must outlive the run. `labels_checked`: labels are known to be classes, and are not fetched from a device
// to see.
Feed make_feed(const char* where, const Program& program, const Tensor& x, const Tensor& y,
               const Tensor& weight, const Tensor& order, bool labels_checked = false);

}  // namespace nnx::program
