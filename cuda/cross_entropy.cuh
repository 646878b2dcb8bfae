// Softmax cross-entropy: values, gradient and total in one kernel, a group of threads to a row.
#pragma once

#include "activate.cuh"
#include "kernels/loss.h"
#include "reduce.cuh"

namespace nnx::cuda {

struct CrossEntropyStorage {
  GroupStorage group;
  BlockSums<1> total;
};

template <class T>
struct CrossEntropy {
  int64_t classes;
  const T* z;
  ClassTargets<T> targets;
  double smoothing, scale;
  const T* row_weight;
  T *values, *gradient;  // gradient may be z
};

// One row, its weighted loss for every thread of the group. With d = z - max and Q = sum q:
// loss = Q log(sum exp(d)) - sum q d, gradient = Q exp(d) / sum exp(d) - q.
template <class T, int kSize>
__device__ __forceinline__ double cross_entropy_row(const CrossEntropy<T>& of, const Group<kSize>& group,
                                                    int64_t row) {
  const int64_t classes = of.classes, first = group.member();
  const T* z = of.z + row * classes;
  const T* one_hot = of.targets.one_hot != nullptr ? of.targets.one_hot + row * classes : nullptr;
  const int64_t label = one_hot == nullptr ? of.targets.labels[row] : -1;
  const double label_z = one_hot == nullptr ? static_cast<double>(z[label]) : 0.0;
  T top = -std::numeric_limits<T>::infinity();
  for (int64_t c = first; c < classes; c += kSize) top = larger(top, z[c]);
  const T max = group.largest(top);

  // Differences in double: in float they may exceed the largest number.
  double exps = 0.0, differences = 0.0, targets = 0.0, products = 0.0;
  for (int64_t c = first; c < classes; c += kSize) {
    const T value = z[c];
    exps += static_cast<double>(exponential(value - max));
    const double difference = static_cast<double>(value) - static_cast<double>(max);
    differences += difference;
    if (one_hot != nullptr) {
      const double target = static_cast<double>(one_hot[c]);
      targets += target;
      if (target != 0.0) products += target * difference;
    }
  }
  exps = group.sum(exps);
  if (of.smoothing != 0.0) differences = group.sum(differences);
  targets = one_hot != nullptr ? group.sum(targets) : 1.0;
  products = one_hot != nullptr ? group.sum(products) : label_z - static_cast<double>(max);

  const double spread = of.smoothing / static_cast<double>(classes), sharp = 1.0 - of.smoothing;
  const double all = sharp * targets + of.smoothing;
  const double weight = of.row_weight != nullptr ? static_cast<double>(of.row_weight[row]) : 1.0;
  double loss = all * log(exps) - sharp * products;
  if (of.smoothing != 0.0) loss -= spread * differences;
  loss *= weight;
  if (of.values != nullptr && first == 0) of.values[row] = static_cast<T>(loss);
  if (of.gradient == nullptr) return loss;

  group.sync();  // all have read z[label]
  const double scale = of.scale * weight, factor = scale * all / exps;
  const T times = static_cast<T>(factor), base = static_cast<T>(scale * spread);
  const T target_times = static_cast<T>(scale * sharp);
  for (int64_t c = first; c < classes; c += kSize) {
    const T e = exponential(z[c] - max);
    T q = base;
    if (one_hot != nullptr) q += one_hot[c] * target_times;
    T slope = e * times - q;
    // Here the two cancel.
    if (c == label) slope = static_cast<T>(factor * static_cast<double>(e) - scale * (sharp + spread));
    of.gradient[row * classes + c] = slope;
  }
  return loss;
}

template <class T, int kSize>
__global__ void __launch_bounds__(kThreads)
    cross_entropy_kernel(int64_t rows, CrossEntropy<T> of, Total total) {
  begin_kernel();
  auto& storage = shared_storage<CrossEntropyStorage>();
  const Group<kSize> group{storage.group};
  double sum[1] = {};
  for (int64_t row = group.first(); row < rows; row += group.groups()) {
    const double loss = cross_entropy_row(of, group, row);
    if (group.member() == 0) sum[0] += loss;
  }
  add_up(sum, total, storage.total);
}

template <class T>
static void softmax_cross_entropy(Context& context, int64_t rows, int64_t classes, const T* z,
                                  ClassTargets<T> targets, double label_smoothing, const T* row_weight,
                                  double scale, LossOutput<T> output) {
  const CrossEntropy<T> of{classes, z,          targets,       label_smoothing,
                           scale,   row_weight, output.values, output.gradient};
  with_group(rows, classes, [&](auto size, int64_t blocks) {
    launch(context, "softmax_cross_entropy", cross_entropy_kernel<T, decltype(size)::value>,
           dim3(blocks_of_total(blocks, 1)), dim3(kThreads), sizeof(CrossEntropyStorage), rows, of,
           total_to(context, output.total, scale, output.total_policy));
  });
}

}  // namespace nnx::cuda
