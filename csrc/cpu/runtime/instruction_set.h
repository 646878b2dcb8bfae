// Which of the compiled instruction sets runs: chosen once, at the first use, from CPUID and NNX_CPU.
#pragma once

#include <string>
#include <vector>

#include "kernels/table.h"

namespace nnx::cpu {

struct InstructionSet {
  const char* name;
  kernels::Table<float> float32;
  kernels::Table<double> float64;
};

// The chosen one. Throws ValueError where NNX_CPU names one that was not built or that this machine lacks.
const InstructionSet& instruction_set();
// All that were compiled, the plainest first.
std::vector<std::string> built_instruction_sets();

}  // namespace nnx::cpu
