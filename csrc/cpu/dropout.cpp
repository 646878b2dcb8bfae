#include "cpu/box_muller.h"
#include "cpu/fill.h"
#include "cpu/parallel.h"
#include "cpu/philox_vector.h"
#include "cpu/put.h"

namespace nnx::cpu::NNX_ISA {

constexpr int64_t kGrain = 8192;  // a multiple of kBatchWords

// The place of element 0 in the mask.
static inline int64_t first_of(const DropoutKey& key) {
  return key.row != nullptr ? *key.row * key.row_elements : 0;
}

// body(begin, count, words): words[i] belongs to element begin + i; count <= kBatchWords.
template <class F>
NNX_INLINE void for_words(Context& context, int64_t n, const DropoutKey& key, const F& body) {
  const uint64_t step = key.step.value + (key.step.at != nullptr ? *key.step.at : 0);
  const int64_t first = first_of(key);
  for_ranges(context, n, kGrain, [&](int64_t begin, int64_t end) {
    // Some more than a batch: of words that begin within a block whole vectors are read all the same.
    alignas(64) uint32_t words[kBatchWords + kVectorBytes / 4] = {};
    for (int64_t i = begin, count = 0; i < end; i += count) {
      const int64_t within = (first + i) % 4;
      philox_batch(static_cast<uint64_t>(first + i) / 4, key.seed, key.layer, step, words);
      count = min_of(end - i, kBatchWords - within);
      body(i, count, static_cast<const uint32_t*>(words) + within);
    }
  });
}

// A word is kept where it reaches round(rate * 2^32), which has up to 33 bits: 0 needs a case of its own.
struct Threshold {
  uint32_t above;  // kept where w > above, or everything
  bool everything;
};

static inline Threshold threshold_of(double rate) {
  const uint64_t threshold = static_cast<uint64_t>(rate * 4294967296.0 + 0.5);
  return {static_cast<uint32_t>(threshold - 1), threshold == 0};
}

template <class T>
NNX_INLINE Vec<T> scale_of(double rate) {
  return broadcast(static_cast<T>(1.0 / (1.0 - rate)));
}

// Lanes of -1 where kept.
template <class T>
NNX_INLINE IntVec<T> kept(const uint32_t* words, Threshold threshold) {
  if (threshold.everything) return ~IntVec<T>{};
  UintVec<T> w;
  if constexpr (sizeof(T) == 4) {
    __builtin_memcpy(&w, words, sizeof w);
  } else {
    typedef uint32_t Half __attribute__((vector_size(kVectorBytes / 2)));
    Half half;
    __builtin_memcpy(&half, words, sizeof half);
    w = __builtin_convertvector(half, UintVec<T>);
  }
  return w > threshold.above;
}

template <class T>
static void apply(Context& context, int64_t n, const T* x, const DropoutKey& key, Policy policy, T* y) {
  const Threshold threshold = threshold_of(key.rate);
  const Vec<T> scale = scale_of<T>(key.rate);
  for_words(context, n, key, [&](int64_t begin, int64_t count, const uint32_t* words) {
    for_vectors<T>(0, count, [&](int64_t i, int64_t lanes) {
      const Vec<T> scaled = load_some(x + begin + i, lanes) * scale;
      put(y + begin + i, select<T>(kept<T>(words + i, threshold), scaled, Vec<T>{}), lanes, policy);
    });
  });
}

template <class T>
static void apply_channels(Context& context, int64_t n, int64_t points, int64_t c, const T* x,
                           const DropoutKey& key, Policy policy, T* y) {
  const Threshold threshold = threshold_of(key.rate);
  const Vec<T> scale = scale_of<T>(key.rate);
  const uint64_t step = key.step.value + (key.step.at != nullptr ? *key.step.at : 0);
  const int64_t first = first_of(key);
  for_ranges(context, n, max_of(1, kGrain / max_of(points * c, 1)), [&](int64_t begin, int64_t end) {
    alignas(64) uint32_t words[kBatchWords + kVectorBytes / 4] = {};
    for (int64_t sample = begin; sample < end; ++sample) {
      for (int64_t channel = 0, count = 0; channel < c; channel += count) {
        const int64_t at = first + sample * c + channel, within = at % 4;
        philox_batch(static_cast<uint64_t>(at) / 4, key.seed, key.layer, step, words);
        count = min_of(c - channel, kBatchWords - within);
        for (int64_t p = 0; p < points; ++p) {
          const int64_t place = (sample * points + p) * c + channel;
          for_vectors<T>(0, count, [&](int64_t i, int64_t lanes) {
            const Vec<T> scaled = load_some(x + place + i, lanes) * scale;
            put(y + place + i, select<T>(kept<T>(words + within + i, threshold), scaled, Vec<T>{}), lanes,
                policy);
          });
        }
      }
    }
  });
}

template <class T>
static void mask(Context& context, int64_t n, const DropoutKey& key, uint8_t* mask) {
  const Threshold threshold = threshold_of(key.rate);
  for_words(context, n, key, [&](int64_t begin, int64_t count, const uint32_t* words) {
    for (int64_t i = 0; i < count; ++i) {
      mask[begin + i] = (words[i] > threshold.above) | threshold.everything;
    }
  });
}

template <class T>
static void uniform(Context& context, int64_t n, const DropoutKey& key, double low, double high, T* y) {
  const double unit = (high - low) / 16777216.0;
  for_words(context, n, key, [&](int64_t begin, int64_t count, const uint32_t* words) {
    for (int64_t i = 0; i < count; ++i) {
      y[begin + i] = static_cast<T>(low + unit * static_cast<double>(static_cast<int32_t>(words[i] >> 8)));
    }
  });
}

template <class T>
static void normal(Context& context, int64_t n, const DropoutKey& key, double mean, double deviation, T* y) {
  for_words(context, n, key, [&](int64_t begin, int64_t count, const uint32_t* words) {
    for_normals(count, words, deviation,
                [&](int64_t i, double value) { y[begin + i] = static_cast<T>(value + mean); });
  });
}

template <class T>
static void add_normal(Context& context, int64_t n, const T* x, const DropoutKey& key, double deviation,
                       T* y) {
  const int64_t first = first_of(key);
  for_words(context, n, key, [&](int64_t begin, int64_t count, const uint32_t* words) {
    // Where a part begins with the second of a pair, its first is in the words, too.
    const int64_t before = (first + begin) % 2;
    for_normals(count + before, words - before, deviation, [&](int64_t i, double value) {
      const int64_t at = begin + i - before;
      if (i >= before) y[at] = static_cast<T>(static_cast<double>(x[at]) + value);
    });
  });
}

template <class T>
void fill(kernels::DropoutKernels<T>& table) {
  table.apply = apply<T>;
  table.apply_channels = apply_channels<T>;
  table.add_normal = add_normal<T>;
  table.mask = mask<T>;
  table.uniform = uniform<T>;
  table.normal = normal<T>;
}

template void fill(kernels::DropoutKernels<float>&);
template void fill(kernels::DropoutKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
