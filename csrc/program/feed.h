// The arrays of a run, checked before the first step reads them.
#pragma once

#include "program/program.h"

namespace nnx::program {

// x: for each input (N, ...) of any dtype, undefined where the program does not use it; y: for each output
// labels (N) or targets (N, ...), undefined where it has no loss, empty where the program only predicts;
// weight: for each output (N) of the parameters' dtype or undefined, or empty; order (rows) int64 or
// undefined. The tensors must outlive the run. `labels_checked`: labels are known to be classes, and are not
// fetched from a device to see.
Feed make_feed(const char* where, const Program& program, const std::vector<Tensor>& x,
               const std::vector<Tensor>& y, const std::vector<Tensor>& weight, const Tensor& order,
               bool labels_checked = false);

}  // namespace nnx::program
