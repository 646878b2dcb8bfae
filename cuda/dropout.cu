#include "core/philox.h"
#include "table.h"
#include "vector.cuh"

namespace nnx::cuda {

// What the words of a key are made of. A thread makes the four of one block.
struct Words {
  uint64_t seed;
  uint32_t layer;
  Live<uint64_t> step;  // value + *at, unlike elsewhere
  const int64_t* row;
  int64_t row_elements;
  __device__ uint64_t step_now() const { return step.value + (step.at != nullptr ? *step.at : 0); }
  // Those of the elements from i on, i a multiple of 4; `first`: the place of element 0 in the mask.
  __device__ PhiloxCounter at(int64_t i, int64_t first, uint64_t now) const {
    const auto block = static_cast<uint64_t>(first + i) / 4;
    PhiloxCounter words = philox_block(block, seed, layer, now);
    const int within = static_cast<int>(first % 4);
    if (within == 0) return words;
    const PhiloxCounter here = words, next = philox_block(block + 1, seed, layer, now);
#pragma unroll
    for (int k = 0; k < 4; ++k)
      words.word[k] = k + within < 4 ? here.word[(k + within) % 4] : next.word[(k + within) % 4];
    return words;
  }
};

// A word is kept where it reaches round(rate * 2^32), which has up to 33 bits.
struct Kept {
  uint64_t threshold;
  __device__ bool operator()(uint32_t word) const { return word >= threshold; }
};

static Kept kept_at(double rate) { return {static_cast<uint64_t>(rate * 4294967296.0 + 0.5)}; }

// y = or += make(words, i, count): the four elements from i on. Make may read them first.
template <class T, class Make>
__global__ void __launch_bounds__(kThreads)
    words_kernel(int64_t n, bool whole, Words words, Make make, Policy policy, T* y) {
  begin_kernel();
  const uint64_t step = words.step_now();
  const int64_t first = words.row != nullptr ? *words.row * words.row_elements : 0;
  for (int64_t i = 4 * thread_of_grid(); i < n; i += 4 * threads_of_grid()) {
    const PhiloxCounter block = words.at(i, first, step);
    put_four(y + i, make(block.word, i, n - i, whole), n - i, whole, policy);
  }
}

template <class T, class Make>
static void from_words(Context& context, const char* name, int64_t n, bool whole, const DropoutKey& key,
                       const Make& make, Policy policy, T* y) {
  launch(context, name, words_kernel<T, Make>, dim3(blocks_for(n, 4 * kThreads)), dim3(kThreads), 0, n, whole,
         Words{key.seed, key.layer, key.step, key.row, key.row_elements}, make, policy, y);
}

template <class T>
struct Drop {
  Kept kept;
  T scale;
  const T* x;
  __device__ Pack<T, 4> operator()(const uint32_t* words, int64_t i, int64_t count, bool whole) const {
    Pack<T, 4> values = load_four(x + i, count, whole);
#pragma unroll
    for (int k = 0; k < 4; ++k) values.at[k] = kept(words[k]) ? values.at[k] * scale : T(0);
    return values;
  }
};

template <class T>
static void apply(Context& context, int64_t n, const T* x, const DropoutKey& key, Policy policy, T* y) {
  const Drop<T> drop{kept_at(key.rate), static_cast<T>(1.0 / (1.0 - key.rate)), x};
  from_words(context, "dropout", n, aligned(x, y), key, drop, policy, y);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    channels_kernel(int64_t n, int64_t points, int64_t c, Words words, Kept kept, T scale, const T* x,
                    Policy policy, T* y) {
  begin_kernel();
  const uint64_t step = words.step_now();
  const int64_t first = words.row != nullptr ? *words.row * words.row_elements : 0;
  for (int64_t i = thread_of_grid(); i < n * points * c; i += threads_of_grid()) {
    const Split point = split(i, c), sample = split(point.quotient, points);
    const int64_t at = first + sample.quotient * c + point.remainder;
    const PhiloxCounter block = philox_block(static_cast<uint64_t>(at) / 4, words.seed, words.layer, step);
    put(y + i, kept(block.word[at % 4]) ? x[i] * scale : T(0), policy);
  }
}

template <class T>
static void apply_channels(Context& context, int64_t n, int64_t points, int64_t c, const T* x,
                           const DropoutKey& key, Policy policy, T* y) {
  launch(context, "dropout_channels", channels_kernel<T>, dim3(blocks_for(n * points * c, kThreads)),
         dim3(kThreads), 0, n, points, c, Words{key.seed, key.layer, key.step, key.row, key.row_elements},
         kept_at(key.rate), static_cast<T>(1.0 / (1.0 - key.rate)), x, policy, y);
}

struct Mask {
  Kept kept;
  __device__ Pack<uint8_t, 4> operator()(const uint32_t* words, int64_t, int64_t, bool) const {
    Pack<uint8_t, 4> values;
#pragma unroll
    for (int k = 0; k < 4; ++k) values.at[k] = kept(words[k]);
    return values;
  }
};

static void mask(Context& context, int64_t n, const DropoutKey& key, uint8_t* to) {
  from_words(context, "dropout_mask", n, aligned(to), key, Mask{kept_at(key.rate)}, Policy::assign, to);
}

template <class T>
struct Uniform {
  double low, unit;
  __device__ Pack<T, 4> operator()(const uint32_t* words, int64_t, int64_t, bool) const {
    Pack<T, 4> values;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      values.at[k] = static_cast<T>(low + unit * static_cast<double>(static_cast<int32_t>(words[k] >> 8)));
    }
    return values;
  }
};

template <class T>
static void uniform(Context& context, int64_t n, const DropoutKey& key, double low, double high, T* y) {
  from_words(context, "uniform", n, aligned(y), key, Uniform<T>{low, (high - low) / 16777216.0},
             Policy::assign, y);
}

// sin and cos of 2 pi u for u in [0, 1), by the nearest quarter turn.
__device__ __forceinline__ void sincos_turns(double u, double& sine, double& cosine) {
  const int quarter = static_cast<int>(u * 4 + 0.5);
  const double angle = (u - quarter * 0.25) * 6.2831853071795864769;
  const double s = sin(angle), c = cos(angle);
  sine = quarter % 2 != 0 ? c : s;
  cosine = quarter % 2 != 0 ? s : c;
  if ((quarter & 2) != 0) sine = -sine;
  if (((quarter + 1) & 2) != 0) cosine = -cosine;
}

// Elements i and i + 1 are deviation * sqrt(-2 log((w_i + 1) / 2^32)) times the cosine and the sine of
// 2 pi w_(i+1) / 2^32.
__device__ __forceinline__ void normal_pair(const uint32_t* words, double deviation, double& even,
                                            double& odd) {
  const double radius = sqrt(log((words[0] + 1.0) * 0x1p-32) * -2) * deviation;
  double sine, cosine;
  sincos_turns(words[1] * 0x1p-32, sine, cosine);
  even = radius * cosine;
  odd = radius * sine;
}

template <class T>
struct Normal {
  double mean, deviation;
  __device__ Pack<T, 4> operator()(const uint32_t* words, int64_t, int64_t, bool) const {
    Pack<T, 4> values;
#pragma unroll
    for (int k = 0; k < 4; k += 2) {
      double even, odd;
      normal_pair(words + k, deviation, even, odd);
      values.at[k] = static_cast<T>(even + mean);
      values.at[k + 1] = static_cast<T>(odd + mean);
    }
    return values;
  }
};

template <class T>
static void normal(Context& context, int64_t n, const DropoutKey& key, double mean, double deviation, T* y) {
  from_words(context, "normal", n, aligned(y), key, Normal<T>{mean, deviation}, Policy::assign, y);
}

// A thread takes a block's four elements: pairs stay together, wherever in the step a part begins.
template <class T>
__global__ void __launch_bounds__(kThreads)
    noise_kernel(int64_t n, Words words, double deviation, const T* x, T* y) {
  begin_kernel();
  const uint64_t step = words.step_now();
  const int64_t first = words.row != nullptr ? *words.row * words.row_elements : 0;
  const int64_t begin = first / 4, end = (first + n + 3) / 4;
  for (int64_t block = begin + thread_of_grid(); block < end; block += threads_of_grid()) {
    const PhiloxCounter word = philox_block(static_cast<uint64_t>(block), words.seed, words.layer, step);
    double noise[4];
    normal_pair(word.word, deviation, noise[0], noise[1]);
    normal_pair(word.word + 2, deviation, noise[2], noise[3]);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int64_t i = 4 * block + k - first;
      if (i >= 0 && i < n) y[i] = static_cast<T>(static_cast<double>(x[i]) + noise[k]);
    }
  }
}

template <class T>
static void add_normal(Context& context, int64_t n, const T* x, const DropoutKey& key, double deviation,
                       T* y) {
  launch(context, "add_normal", noise_kernel<T>, dim3(n > 0 ? blocks_for(n + 3, 4 * kThreads) : 0),
         dim3(kThreads), 0, n, Words{key.seed, key.layer, key.step, key.row, key.row_elements}, deviation, x,
         y);
}

template <class T>
void fill(kernels::DropoutKernels<T>& table) {
  table.apply = apply<T>;
  table.apply_channels = apply_channels<T>;
  table.add_normal = add_normal<T>;
  table.mask = mask;
  table.uniform = uniform<T>;
  table.normal = normal<T>;
}

template void fill(kernels::DropoutKernels<float>&);
template void fill(kernels::DropoutKernels<double>&);

}  // namespace nnx::cuda
