#include "cpu/runtime/instruction_set.h"

#include <cstdlib>

#include "core/error.h"

// NNX_ISA_LIST is X(baseline) X(avx2) ..., from CMake.
#define X(isa)                                        \
  namespace nnx::cpu::isa {                           \
  template <class T>                                  \
  void fill(kernels::Table<T>&);                      \
  extern template void fill(kernels::Table<float>&);  \
  extern template void fill(kernels::Table<double>&); \
  }
NNX_ISA_LIST
#undef X

namespace nnx::cpu {
namespace {

bool machine_has(const std::string& isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (isa == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == "avx512") {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
  }
#endif
  return isa == "baseline";
}

InstructionSet choose() {
  const char* forced = std::getenv("NNX_CPU");
  const std::string wanted = forced != nullptr ? forced : "";
  InstructionSet chosen{};
  std::string built;
  // The last that fits wins: the list runs from the plainest to the widest.
#define X(isa)                                                   \
  built += built.empty() ? #isa : ", " #isa;                     \
  if (machine_has(#isa) && (wanted.empty() || wanted == #isa)) { \
    chosen.name = #isa;                                          \
    isa::fill(chosen.float32);                                   \
    isa::fill(chosen.float64);                                   \
  }
  NNX_ISA_LIST
#undef X
  if (chosen.name == nullptr) {
    bad_value("nnx", "NNX_CPU", "an instruction set that was built (" + built + ") and that this machine has",
              "'" + wanted + "'");
  }
  return chosen;
}

}  // namespace

const InstructionSet& instruction_set() {
  static const InstructionSet chosen = choose();
  return chosen;
}

std::vector<std::string> built_instruction_sets() {
#define X(isa) #isa,
  return {NNX_ISA_LIST};
#undef X
}

}  // namespace nnx::cpu
