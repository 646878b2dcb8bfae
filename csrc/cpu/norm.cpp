#include "cpu/columns.h"
#include "cpu/fill.h"
#include "cpu/group_norm_backward.h"
#include "cpu/local_response_norm.h"
#include "cpu/parallel.h"
#include "cpu/put.h"
#include "cpu/vmath.h"

namespace nnx::cpu::NNX_ISA {

constexpr int kApplied = 4;             // vectors (channels) that the last pass of a batch norm combines
constexpr int64_t kChannelBlock = 256;  // channels that one thread sums at a time
constexpr int64_t kLeastRows = 64;
constexpr int64_t kMostChunks = 64;

// Rows of a chunk, by the shape alone: enough that the partial sums are few beside what they sum.
static int64_t chunk_rows(const BatchNormShape& shape) {
  const int64_t wanted = 16384 / max_of(min_of(shape.channels, kChannelBlock), 1);
  return max_of(max_of(wanted, kLeastRows), ceil_div(shape.rows, kMostChunks));
}

// The workspace: partial sums (chunks, 2, channels) in double, then kApplied vectors.
static int64_t partial_count(const BatchNormShape& shape) {
  return ceil_div(shape.rows, chunk_rows(shape)) * 2 * shape.channels;
}

static int64_t batch_norm_workspace(const BatchNormShape& shape) {
  return static_cast<int64_t>(sizeof(double)) * (partial_count(shape) + kApplied * shape.channels);
}

template <class T>
struct Applied {
  T* vector[kApplied];
};

template <class T>
static Applied<T> applied_vectors(const Context& context, const BatchNormShape& shape) {
  T* room = reinterpret_cast<T*>(static_cast<double*>(context.workspace) + partial_count(shape));
  Applied<T> applied;
  for (int k = 0; k < kApplied; ++k) applied.vector[k] = room + k * shape.channels;
  return applied;
}

// Two sums per channel over all rows, then finish(channel, sum0, sum1). term(at, lanes, centre, wide) is
// given the offset of its elements and what `centre` (channels) holds for them.
template <class T, class Term, class Finish>
NNX_INLINE void channel_sums(Context& context, const BatchNormShape& shape, const T* centre, const Term& term,
                             const Finish& finish) {
  double* partials = static_cast<double*>(context.workspace);
  const int64_t cols = shape.channels, length = chunk_rows(shape), folds = folds_of<T>(shape.rows, cols);
  T* room = reinterpret_cast<T*>(static_cast<double*>(context.scratch) + 2 * kFoldedWidth);
  const T* centres = folds > 1 ? repeat(centre, cols, folds, room) : centre;
  const int64_t chunks = ceil_div(shape.rows, length), blocks = ceil_div(cols, kChannelBlock);
  for_each(context, chunks * blocks, [&](int64_t item) {
    const int64_t chunk = item / blocks, first = item % blocks * kChannelBlock;
    const int64_t begin = chunk * length, end = min_of(begin + length, shape.rows);
    const int64_t width = min_of(cols - first, kChannelBlock);
    double sums[2 * kChannelBlock];
    for (int64_t c = 0; c < 2 * width; ++c) sums[c] = 0.0;
    if (folds > 1) {
      double* folded = static_cast<double*>(thread_scratch());
      add_folded<T, 2>(begin, end, cols, folds, folded, sums,
                       [&](int64_t at, int64_t col, int64_t lanes, Wide<T>* wide) {
                         term(at, lanes, widen<T>(load_some(centres + col, lanes)), wide);
                       });
    } else {
      add_columns<T, 2>(begin, end, width, sums, [&](int64_t row, int64_t col, int64_t lanes, Wide<T>* wide) {
        term(row * cols + first + col, lanes, widen<T>(load_some(centre + first + col, lanes)), wide);
      });
    }
    for (int64_t c = 0; c < width; ++c) {
      partials[chunk * 2 * cols + first + c] = sums[c];
      partials[(chunk * 2 + 1) * cols + first + c] = sums[width + c];
    }
  });
  for_ranges(context, cols, 256, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      double sum0 = 0.0, sum1 = 0.0;
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        sum0 += partials[chunk * 2 * cols + c];
        sum1 += partials[(chunk * 2 + 1) * cols + c];
      }
      finish(c, sum0, sum1);
    }
  });
}

template <class T>
static void batch_norm_train(Context& context, const BatchNormShape& shape, const T* x, const T* gamma,
                             const T* beta, double epsilon, double momentum, T* running_mean,
                             T* running_variance, T* y, T* saved_mean, T* saved_inverse,
                             const StepState* guard) {
  if (shape.rows == 0) {
    for (int64_t c = 0; c < shape.channels; ++c) saved_mean[c] = saved_inverse[c] = T(0);
    return;
  }
  const Applied<T> applied = applied_vectors<T>(context, shape);
  const double count = static_cast<double>(shape.rows);
  if (guard != nullptr && (guard->halted | guard->fault.found)) running_mean = running_variance = nullptr;
  // Centred at the first row: one pass, and no cancellation where the mean is far from zero.
  channel_sums<T>(
      context, shape, x,
      [&](int64_t at, int64_t lanes, const Wide<T>& centre, Wide<T>* wide) {
        const Wide<T> v = widen<T>(load_some(x + at, lanes));
        for (int i = 0; i < Wide<T>::kParts; ++i) {
          wide[0].part[i] = v.part[i] - centre.part[i];
          wide[1].part[i] = wide[0].part[i] * wide[0].part[i];
        }
      },
      [&](int64_t c, double sum, double squares) {
        const double offset = sum / count, spread = squares / count - offset * offset;
        const double mean = static_cast<double>(x[c]) + offset, variance = spread < 0.0 ? 0.0 : spread;
        const double inverse = 1.0 / __builtin_sqrt(variance + epsilon);
        saved_mean[c] = static_cast<T>(mean);
        saved_inverse[c] = static_cast<T>(inverse);
        if (running_mean != nullptr) {
          running_mean[c] = static_cast<T>(momentum * running_mean[c] + (1.0 - momentum) * mean);
        }
        if (running_variance != nullptr) {
          running_variance[c] = static_cast<T>(momentum * running_variance[c] + (1.0 - momentum) * variance);
        }
        // The mean in two parts: its rounding error may be large beside the deviation.
        applied.vector[0][c] = saved_mean[c];
        applied.vector[1][c] =
            static_cast<T>((static_cast<double>(x[c]) - static_cast<double>(saved_mean[c])) + offset);
        applied.vector[2][c] = static_cast<T>(gamma[c] * inverse);
        applied.vector[3][c] = beta[c];
      });
  for_rows<T, 4>(context, shape.rows, shape.channels,
                 {applied.vector[0], applied.vector[1], applied.vector[2], applied.vector[3]},
                 [&](int64_t at, int64_t c, int64_t lanes, const T* const* v) {
                   const Vec<T> centred =
                       (load_some(x + at, lanes) - load_some(v[0] + c, lanes)) - load_some(v[1] + c, lanes);
                   store_some(y + at, centred * load_some(v[2] + c, lanes) + load_some(v[3] + c, lanes),
                              lanes);
                 });
}

template <class T>
static void batch_norm_infer(Context& context, const BatchNormShape& shape, const T* x, const T* gamma,
                             const T* beta, const T* mean, const T* variance, double epsilon, T* y) {
  const T small = static_cast<T>(epsilon);
  for_rows<T, 4>(context, shape.rows, shape.channels, {gamma, beta, mean, variance},
                 [&](int64_t at, int64_t c, int64_t lanes, const T* const* v) {
                   const Vec<T> deviation = square_root(load_some(v[3] + c, lanes) + small);
                   const Vec<T> centred = load_some(x + at, lanes) - load_some(v[2] + c, lanes);
                   const Vec<T> scale = load_some(v[0] + c, lanes) / deviation;
                   store_some(y + at, centred * scale + load_some(v[1] + c, lanes), lanes);
                 });
}

template <class T>
static void batch_norm_backward(Context& context, const BatchNormShape& shape, const T* dy, const T* x,
                                const T* gamma, const T* saved_mean, const T* saved_inverse, Policy policy_x,
                                T* dx, Policy policy_parameters, T* dgamma, T* dbeta) {
  const Applied<T> applied = applied_vectors<T>(context, shape);
  const double count = static_cast<double>(max_of(shape.rows, 1));
  channel_sums<T>(
      context, shape, saved_mean,
      [&](int64_t at, int64_t lanes, const Wide<T>& centre, Wide<T>* wide) {
        const Wide<T> v = widen<T>(load_some(x + at, lanes)), slope = widen<T>(load_some(dy + at, lanes));
        for (int i = 0; i < Wide<T>::kParts; ++i) {
          wide[0].part[i] = slope.part[i];
          wide[1].part[i] = slope.part[i] * (v.part[i] - centre.part[i]);
        }
      },
      [&](int64_t c, double sum, double product) {
        const double inverse = static_cast<double>(saved_inverse[c]), scale = gamma[c] * inverse;
        put(dbeta + c, static_cast<T>(sum), policy_parameters);
        put(dgamma + c, static_cast<T>(product * inverse), policy_parameters);
        applied.vector[0][c] = saved_mean[c];
        applied.vector[1][c] = static_cast<T>(scale);
        applied.vector[2][c] = static_cast<T>(-scale * inverse * inverse * product / count);
        applied.vector[3][c] = static_cast<T>(-scale * sum / count);
      });
  if (dx == nullptr) return;
  for_rows<T, 4>(context, shape.rows, shape.channels,
                 {applied.vector[0], applied.vector[1], applied.vector[2], applied.vector[3]},
                 [&](int64_t at, int64_t c, int64_t lanes, const T* const* v) {
                   const Vec<T> centred = load_some(x + at, lanes) - load_some(v[0] + c, lanes);
                   const Vec<T> shared = centred * load_some(v[2] + c, lanes) + load_some(v[3] + c, lanes);
                   put(dx + at, load_some(dy + at, lanes) * load_some(v[1] + c, lanes) + shared, lanes,
                       policy_x);
                 });
}

template <class T>
void fill(kernels::NormKernels<T>& table) {
  table.batch_norm_workspace = batch_norm_workspace;
  table.batch_norm_train = batch_norm_train<T>;
  table.batch_norm_infer = batch_norm_infer<T>;
  table.batch_norm_backward = batch_norm_backward<T>;
  table.group_norm_workspace = group_norm_workspace;
  table.group_norm = group_norm<T>;
  table.group_norm_backward = group_norm_backward<T>;
  table.local_response_norm = local_response_norm<T>;
  table.local_response_norm_backward = local_response_norm_backward<T>;
}

template void fill(kernels::NormKernels<float>&);
template void fill(kernels::NormKernels<double>&);

}  // namespace nnx::cpu::NNX_ISA
