// Writing results under a policy.
#pragma once

#include "core/context.h"
#include "cpu/simd.h"

namespace nnx::cpu::NNX_ISA {

// p = or += v, the first `lanes` lanes
template <class T>
NNX_INLINE void put(T* p, Vec<T> v, int64_t lanes, Policy policy) {
  store_some(p, policy == Policy::assign ? v : load_some(p, lanes) + v, lanes);
}

template <class T>
NNX_INLINE void put(T* p, T v, Policy policy) {
  *p = policy == Policy::assign ? v : *p + v;
}

template <class T>
NNX_INLINE T value_of(const Live<T>& live) {
  return live.at != nullptr ? *live.at : live.value;
}

}  // namespace nnx::cpu::NNX_ISA
