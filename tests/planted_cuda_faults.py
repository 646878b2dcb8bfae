"""The faults that tests/planted_faults.py --cuda plants into the CUDA kernels."""

from pathlib import Path
from typing import NamedTuple


class Fault(NamedTuple):
    file: str  # in csrc/cpu, or in cuda
    old: str  # stands there exactly once
    new: str
    what: str
    tests: tuple[str, ...]


def fault(file, old, new, what, *tests):
    family = f"ops/test_{Path(file).stem}.py"
    return Fault(file, old, new, what, tests or (family,))


DENSE, CONV, LOSS, NORM, POOL, OPTIMIZER, MODELS = (
    "ops/test_dense.py",
    "ops/test_conv2d.py",
    "ops/test_loss.py",
    "ops/test_norm.py",
    "ops/test_pool2d.py",
    "ops/test_optimizer.py",
    "test_cuda.py",
)
PRODUCTS = "test_cuda_products.py"
ACCUMULATION, OPTIMIZERS, REGULARIZERS = "test_accumulation.py", "test_optimizers.py", "test_regularizers.py"
CHAIN, AUGMENT = "test_cuda_chain.py", "test_augmentation.py"
DIAGNOSTICS = "callbacks/test_diagnostics.py"

CUDA_FAULTS = [
    # Measures
    fault("measures.cuh", "return *sampling.step % sampling.every != 0 || held_back(guard);", "return held_back(guard);", "measured at every step", DIAGNOSTICS),
    fault("measures.cuh", "const double step = static_cast<double>(part.p[i]) - before;", "const double step = static_cast<double>(part.p[i]);",
          "the weights taken for the update", DIAGNOSTICS),
    fault("measures.cuh", "if (part[i].layer != static_cast<int64_t>(blockIdx.x)) continue;", "", "all layers for each", DIAGNOSTICS),
    fault("activation.cu", "if (y[r * cols + c] > T{0}) {", "if (y[r * cols + c] >= T{0}) {", "no unit is ever dead", DIAGNOSTICS),
    fault("activation.cu", "y[i] < low || y[i] > high ? 1.0 : 0.0", "y[i] > high ? 1.0 : 0.0", "saturated at the top alone", DIAGNOSTICS),
    # Sums over warps, blocks, grids
    fault("reduce.cuh", "for (int mask = 16; mask > 0; mask /= 2) value += shuffle_xor(value, mask);",
          "for (int mask = 8; mask > 0; mask /= 2) value += shuffle_xor(value, mask);", "sums of half warps", LOSS),
    fault("reduce.cuh", "value = larger(value, shuffle_xor(value, mask));", "value = larger(value, shuffle_xor(value, mask / 2));",
          "a wrong mask in the maximum of a warp", "ops/test_softmax.py"),
    fault("reduce.cuh", "    if (threadIdx.x % 32 == 0) storage.warp[k][threadIdx.x / 32] = sums[k];\n  }\n  sync_block();",
          "    if (threadIdx.x % 32 == 0) storage.warp[k][threadIdx.x / 32] = sums[k];\n  }",
          "a barrier removed between writing and reading the sums of warps", LOSS, OPTIMIZER),
    fault("reduce.cuh", "for (int warp = 1; warp < kWarps; ++warp) sums[k] += storage.warp[k][warp];",
          "for (int warp = 1; warp < kWarps - 1; ++warp) sums[k] += storage.warp[k][warp];", "last warp left out", LOSS, OPTIMIZER),
    fault("launch.h", "flag = atomic_add(counter, 1u) == blocks - 1;", "flag = atomic_add(counter, 1u) == blocks - 2;",
          "the block before the last adds up", OPTIMIZER, LOSS),
    fault("launch.h", "if (flag) *counter = 0;", "", "a counter not put back to zero", OPTIMIZER, LOSS, MODELS),
    fault("reduce.cuh", "    if (threadIdx.x % 32 == 0) storage.warp[threadIdx.x / 32] = combined;\n    sync_block();",
          "    if (threadIdx.x % 32 == 0) storage.warp[threadIdx.x / 32] = combined;",
          "a barrier removed in rows shared by a block", "ops/test_softmax.py", LOSS),
    fault("reduce.cuh", "all = combine(all, storage.warp[warp]);\n    sync_block();", "all = combine(all, storage.warp[warp]);",
          "a barrier removed before the shared sums are written again", "ops/test_softmax.py", LOSS),
    # Columns
    fault("columns.cuh", "for (int mask = across; mask < 32; mask *= 2) part", "for (int mask = 2 * across; mask < 32; mask *= 2) part",
          "lanes of a column not added", NORM, "ops/test_elementwise.py"),
    fault("columns.cuh", "if (lane < across) storage.warp[thread / 32][k % N][lane * W + k / N] = part;\n  }\n  sync_block();",
          "if (lane < across) storage.warp[thread / 32][k % N][lane * W + k / N] = part;\n  }",
          "a barrier removed in the sums of columns", NORM, "ops/test_elementwise.py"),
    fault("columns.cuh", "bool finishes = thread < across * W && mine < cols;", "bool finishes = thread < across * W;",
          "columns beyond the last written", NORM, "ops/test_elementwise.py"),
    fault("columns.cuh", "parts[k] += partials[(static_cast<int64_t>(row) * N + k % N) * cols + col + k / N];",
          "parts[k] = partials[(static_cast<int64_t>(row) * N + k % N) * cols + col + k / N];", "chunks of rows overwrite each other", NORM, LOSS),
    fault("columns.cuh", "finishes = finishes && last;", "", "every chunk finishes its columns", NORM, LOSS),
    # Norms
    fault("norm.cu", "const double offset = static_cast<double>(values.at[k]) - centre.at[k];",
          "const double offset = static_cast<double>(values.at[k]);", "moments about zero"),
    fault("norm.cu", "applied[channels + c] = static_cast<T>((static_cast<double>(x[c]) - static_cast<double>(high)) + offset);",
          "applied[channels + c] = T(0);", "the lower part of the mean dropped"),
    fault("local_response_norm.cuh", "const int halo = static_cast<int>(ceil_div<int64_t>(of.reach, 4) * 4);", "const int halo = 0;",
          "terms beyond a block's elements not made", NORM),
    fault("local_response_norm.cuh", "for (int64_t i = max(-of.reach, -c); i", "for (int64_t i = -of.reach; i",
          "windows reach into the pixel before", NORM),
    fault("local_response_norm.cuh", "  sync_block();\n", "", "a barrier removed between terms and their sums", NORM),
    # Counts
    fault("counts.cuh", "(row[c] == score && c < target)", "(row[c] == score && c > target)", "among equals the higher class wins", LOSS),
    fault("counts.cuh", "first = first && !(same && other < thread);", "", "every row of a cell adds all of them", LOSS),
    fault("counts.cuh", "p4.at[k] == p4.at[k] ? p4.at[k] > threshold : !is", "p4.at[k] > threshold", "a NaN is class 0", LOSS),
    fault("counts.cuh", "if (best == target && row[best] != row[best]) best = target == 0 ? 1 : 0;", "", "a NaN at the target is right", LOSS),
    fault("elementwise.cu", "label >= 0 && label < classes", "label < classes", "negative labels", "test_changed_labels.py"),
    fault("rules.cuh", "guard->fault.found != 0 || ", "", "an update after a fault of labels", "test_changed_labels.py"),
    fault("counts.cuh", "if (k >= count) continue;", "", "elements beyond the last counted", LOSS),
    # Vectors of four
    fault("vector.cuh", "if (k < count) put(p + k, values.at[k], policy);", "put(p + k, values.at[k], policy);",
          "elements beyond the last written", "ops/test_activation.py", "ops/test_elementwise.py"),
    fault("launch.h", "((reinterpret_cast<uintptr_t>(p) % std::min<size_t>(4 * sizeof(T), 16) == 0) && ...);",
          "((reinterpret_cast<uintptr_t>(p) % sizeof(T) == 0) && ...);", "packs at any address", "test_cuda.py"),
    # Softmax and losses
    fault("softmax.cu", "for (int64_t c = group.member(); c < classes; c += kSize) max = larger(max, from[c]);",
          "for (int64_t c = group.member(); c + 1 < classes; c += kSize) max = larger(max, from[c]);", "last class left out of the maximum"),
    fault("softmax.cu", "return kLog ? dy - exponential(y) * sum : y * (dy - sum);", "return kLog ? dy - exponential(y) * sum : y * dy - sum;",
          "softmax's gradient without the factor"),
    fault("cross_entropy.cuh", "if (c == label) slope =", "if (c == label + 1) slope =", "the label of a neighbour", LOSS),
    fault("cross_entropy.cuh", "if (group.member() == 0) sum[0] += loss;", "sum[0] += loss;", "every lane counts the loss", LOSS),
    fault("cross_entropy.cuh", "if (of.smoothing != 0.0) loss -= spread * differences;", "", "label smoothing left out of the loss", LOSS),
    # Pooling, dropout
    fault("pool2d.cu", "const bool wins = !(values.at[k] <= best.at[k]) && best.at[k] == best.at[k];",
          "const bool wins = !(values.at[k] < best.at[k]) && best.at[k] == best.at[k];", "the last of equals wins"),
    fault("pool2d.cu", "if (where.at[k] == position) sums.at[k] += slopes.at[k];", "if (where.at[k] == position) sums.at[k] = slopes.at[k];",
          "overlapping windows overwrite each other"),
    fault("pool2d.cu", "min(split(at, stride).quotient + 1, extent)};", "min(split(at, stride).quotient, extent)};", "last window forgotten"),
    fault("dropout.cu", "bool operator()(uint32_t word) const { return word >= threshold; }",
          "bool operator()(uint32_t word) const { return word > threshold; }", "a word at the threshold dropped"),
    fault("dropout.cu", "static_cast<uint64_t>(first + i) / 4;", "static_cast<uint64_t>(first + i);", "blocks numbered by element"),
    fault("dropout.cu", "if (within == 0) return words;", "return words;", "masks of parts begin with a block", ACCUMULATION),
    fault("dropout.cu", "next.word[(k + within) % 4]", "here.word[(k + within) % 4]", "the next block forgotten", ACCUMULATION),
    fault("dropout.cu", "first + sample.quotient * c + point.remainder;", "sample.quotient * c + point.remainder;", "every part drops the first part's channels", AUGMENT),
    fault("dropout.cu", "kept(block.word[at % 4])", "kept(block.word[0])", "four channels by one word"),
    fault("dropout.cu", "const int64_t i = 4 * block + k - first;", "const int64_t i = 4 * (block - begin) + k;", "noise of parts begins with a block", AUGMENT),
    # Augmentation
    fault("augment.cu", "i, j, row, column);", "j, i, row, column);", "rows and columns exchanged"),
    fault("augment.cu", "corners.point[k] = r < 0 || c < 0 ? -1 : r * s.w + c;", "corners.point[k] = r < 0 && c < 0 ? -1 : r * s.w + c;", "filled in the corners alone"),
    fault("augment.cu", "right[] = {1.0 - column.fraction, column.fraction};", "right[] = {column.fraction, 1.0 - column.fraction};", "neighbours' weights exchanged"),
    fault("augment.cu", "(from < 0 ? static_cast<T>(warp.fill_value)", "(from < 0 ? T(0)", "filled with zeros"),
    fault("augment.cu", "const int64_t n = item / tiles, begin", "const int64_t n = item / tiles * 0, begin", "one draw for all samples"),
    fault("augment.cu", "if (policy == Policy::assign) {", "if (true) {", "a gradient written over another", AUGMENT),
    fault("augment.cu", "if (corners.point[k] >= 0 && corners.weight[k] != 0)\n            image[corners.point[k] * s.c] += corners.weight[k] * *from;",
          "if (corners.point[k] >= 0 && corners.weight[k] != 0)\n            image[corners.point[k] * s.c] = corners.weight[k] * *from;", "points that are read twice get one gradient"),
    fault("augment.cu", "static_cast<T>((1.0 - factor) * slopes)", "T(0)", "the mean's part of the gradient dropped"),
    fault("augment.cu", "return value < floor || value > ceiling ? T(0) : dy[i];", "return dy[i];", "what was clipped passes a gradient on"),
    fault("augment.cu", "for (int64_t p = threadIdx.x; p < s.points; p += kThreads) sums[0]", "for (int64_t p = threadIdx.x; p < kThreads && p < s.points; p += kThreads) sums[0]",
          "the mean of the first points"),
    # Optimizers, steps
    fault("optimizer.cu", "    sgd_kernel(int64_t n, bool whole, T* p, const T* g, T* velocity, SgdRule rule) {\n  begin_kernel();\n  if (held_back(rule.guard)) return;",
          "    sgd_kernel(int64_t n, bool whole, T* p, const T* g, T* velocity, SgdRule rule) {", "an update by a loss that is not finite", MODELS),
    fault("optimizer.cu", "now.correction = static_cast<T>(1.0 / sqrt(1.0 - pow(rule.beta2, t)));",
          "now.correction = static_cast<T>(1.0 / sqrt(1.0 - pow(rule.beta2, t + 1)));", "bias correction of the next step"),
    fault("optimizer.cu", "state->learning_rate = rates[min(state->done, count - 1)];", "state->learning_rate = rates[0];",
          "the learning rate stays", MODELS),
    fault("optimizer.cu", "  state->loss_sum += state->loss * static_cast<double>(rows);", "  state->loss_sum += state->loss;",
          "batches weighted alike", MODELS),
    fault("optimizer.cu", "++state->done;", "", "steps not counted", MODELS),
    fault("optimizer.cu", "state->loss = state->loss_of_parts;", "", "the loss of a step that of its last part", ACCUMULATION),
    fault("optimizer.cu", "state->start -= state->row;", "", "the rows of a step's parts counted twice", ACCUMULATION),
    fault("optimizer.cu", "rule.l1 * fabs(value)", "rule.l1 * value", "l1 of the sum", OPTIMIZER, REGULARIZERS),
    fault("rules.cuh", "if (spread < T(0)) spread = T(0);", "", "a negative variance", OPTIMIZER),
    fault("rules.cuh", "at[3] = at[3] * momentum + gradient * rate / sqrt(spread + epsilon);",
          "at[3] = at[3] * momentum + gradient * rate / (sqrt(spread) + epsilon);", "RMSprop's epsilon beside the root", OPTIMIZER, OPTIMIZERS),
    fault("rules.cuh", "const T step = sign_of(at[1] * beta1", "const T step = sign_of(at[1] * beta2", "Lion's first beta forgotten", OPTIMIZER),
    fault("rules.cuh", "value_of(rule.step) == 0 ? 0.0 : rule.momentum", "rule.momentum", "averages begin with zero", OPTIMIZER),
    fault("rules.cuh", "at[0] > bound ? bound : at[0] < -bound ? -bound : at[0]", "at[0] > bound ? bound : at[0]", "clipped from above alone", OPTIMIZER),
    fault("rules.cuh", "sign_of(value) * l1 + value * twice", "sign_of(value) * l1 + value * twice / T(2)", "half the slope of a square", OPTIMIZER, REGULARIZERS),
    fault("rules.cuh", "value_of(rule.learning_rate) * rule.rate_factor", "value_of(rule.learning_rate)", "factors on the rate ignored", REGULARIZERS),
    # The matrix engine
    fault("gemm_simt.cuh", "copy_async_wait<kAhead - 1>();\n      sync_block();", "copy_async_wait<kAhead - 1>();",
          "a barrier removed between copying a slice and multiplying it", DENSE, CONV),
    fault("gemm_simt.cuh", "if (s + kAhead < slices) copy(", "if (s + kAhead + 1 < slices) copy(", "the last slice forgotten", DENSE, CONV),
    fault("gemm_tensor.cuh", "if (more) store((s + 1) % 2, sum_columns);\n      sync_block();", "if (more) store((s + 1) % 2, sum_columns);",
          "a barrier removed between storing a slice and multiplying it", PRODUCTS),
    fault("gemm_tensor.cuh", "if (more) store((s + 1) % 2, sum_columns);", "if (more) store((s + 1) % 2, false);",
          "bias gradient of the first slice alone, on tensor cores", PRODUCTS),
    fault("gemm_tensor.cuh", "r[2] = at[8], r[3] = at[4 * Layout::kStride + 8];", "r[2] = at[0], r[3] = at[4 * Layout::kStride];",
          "TF32: the first eight columns of sixteen twice", PRODUCTS),
    fault("gemm_readers.cuh", "(power + result.divisor - 1) / result.divisor", "power / result.divisor", "a divider that rounds down", CONV),
    fault("gemm.cuh", "for (int copy = 1; copy < Loop::kCopies; ++copy) {", "for (int copy = 2; copy < Loop::kCopies; ++copy) {",
          "the sums of a warp that shares a tile forgotten", DENSE, CONV),
    fault("gemm_parts.cuh", "for (int split = 1; split < splits; ++split) {", "for (int split = 2; split < splits; ++split) {",
          "the second part of a tile forgotten by its last block", DENSE, CONV),
    fault("gemm_parts.cuh", "for (int split = 0; split < splits; ++split) sum += at[split * step];",
          "for (int split = 1; split < splits; ++split) sum += at[split * step];", "a part of column sums forgotten by the last block", DENSE, CONV),
    fault("gemm.cuh", "last_block(cut.done + tile, cut.splits, shared.last)", "last_block(cut.done, cut.splits, shared.last)",
          "tiles that count their blocks together", DENSE, CONV),
    fault("gemm.cuh", "last_block(cut.done + tile, cut.splits, shared.last)", "place.split + 1 == static_cast<int>(cut.splits)",
          "parts added up by the last split instead of the last block", MODELS),
    fault("gemm_parts.cuh", "for (int i = 1; i < parts; ++i) sum +=", "for (int i = 2; i < parts; ++i) sum +=", "splits of a long sum forgotten", DENSE, CONV),
    fault("gemm.cuh", "if (m >= product.m || n >= product.n) continue;\n    const int count = min(4, product.n - n);\n    T v[4];",
          "if (m >= product.m) continue;\n    const int count = min(4, product.n - n);\n    T v[4];", "columns beyond the last written", DENSE, CONV),
    fault("gemm_parts.cuh", "if (m >= product.m || n >= product.n) continue;\n    const int count = min(4, product.n - n);\n    const T*",
          "if (m >= product.m) continue;\n    const int count = min(4, product.n - n);\n    const T*", "columns beyond the last added up", DENSE, CONV),
    fault("epilogue.cuh", "load_some(bias + n, count, at_once, b);", "load_some(bias, count, at_once, b);", "bias of the first columns everywhere", DENSE, CONV),
    fault("epilogue.cuh", "accumulate ? column_sums[n] + sum : sum;", "column_sums[n] + sum;", "bias gradient added to what was there", DENSE, CONV),
    fault("window_readers.cuh", "&&\n           static_cast<uint32_t>(a.x + b.x) < static_cast<uint32_t>(w);", ";", "padding left and right not seen", CONV),
    fault("window_readers.cuh", "(kernel - axis.tap + step - 1) / step", "(kernel - axis.tap) / step", "the last tap of a phase forgotten", CONV),
    fault("conv2d_passes.cuh", "    p.writer.out += first_channel;", "", "all groups' input gradients written over the first's", CONV),
    # Operands rounded once
    fault("gemm_rounded.cuh", "copy_async_wait<kStages - 2>();", "copy_async_wait<kStages - 1>();",
          "rounded slices multiplied before they arrive", PRODUCTS),
    fault("gemm_rounded.cuh", "      copy_async_wait<kStages - 2>();\n      sync_block();", "      copy_async_wait<kStages - 2>();",
          "a barrier removed before a rounded slice is multiplied", PRODUCTS),
    fault("gemm_rounded.cuh", "const int64_t offset = 8 * (first ? i : i - a_eights), left", "const int64_t offset = 8 * i, left",
          "the second operand rounded from behind its place", PRODUCTS),
    fault("gemm_rounded.cuh", "void* const behind = reinterpret_cast<char*>(b_to) + rounded_bytes<S>(b.elements);",
          "void* const behind = b_to;", "partial sums over the rounded operand", PRODUCTS),
    fault("gemm_rounded.cuh", "to[col * rows + row].bits = shared.square[across][i];", "to[col * rows + row].bits = shared.square[i][across];",
          "squares put in their places without being turned", PRODUCTS),
    fault("gemm.cuh", "sum_columns(context, pass.name, summed.rows,", "sum_columns(context, pass.name, summed.rows - 1,",
          "the last row left out of the sums of columns", PRODUCTS),
    # Warpgroups
    fault("gemm_warpgroup.cuh", "(in_line ^ line % 8) * 16", "in_line * 16", "slices that are not swizzled", PRODUCTS),
    fault("gemm_warpgroup.cuh", "row / 64 * kDepth + k;", "k;", "rows from the 65th on over the first ones", PRODUCTS),
    fault("gemm_warpgroup.cuh", "multiply(stage, s > 0);", "multiply(stage, false);", "each slice's products without those before it", PRODUCTS),
    fault("gemm_warpgroup.cuh", "const int piece = warp / 4 * kPieces + i;", "const int piece = i;", "both groups take the first one's rows", PRODUCTS),
    fault("gemm_warpgroup.cuh", "(row / 64 * kPieces + pass) * 64 + row % 64", "(row / 64 + pass) * 64 + row % 64", "rows written to other rows' places", PRODUCTS),
    fault("gemm_warpgroup.cuh", "keep(a, k0 + (s + kAhead + 1) * kDepth, next_stage);", "keep(a, k0 + (s + kAhead) * kDepth, next_stage);",
          "the places of the slice before", PRODUCTS),
    fault("gemm_warpgroup.cuh", "copy_async_wait<kAhead - 1>();", "copy_async_wait<kAhead>();", "slices multiplied before they arrive", PRODUCTS),
    fault("conv2d_passes.cuh", "const int64_t w_stride = kTurned ? a.taps : s.o;", "const int64_t w_stride = s.o;", "turned filters read by the old stride", PRODUCTS),
    # Streams and copies
    fault("upload.cu", "const size_t count = std::min(kPiece, bytes - offset);", "const size_t count = std::min(kPiece - 1, bytes - offset);",
          "the last byte of each piece of a large copy left out", MODELS),
    # What a device can do
    fault("plugin.cu", "out->code = none ? 0 : attributes.ptxVersion;",
          "out->code = none ? 0 : 10 * properties.major + properties.minor;",
          "code for 7.5 taken for that of the newer GPU it runs on", CHAIN),
    fault("plugin.cu", "probe.driver_version == 0 ? PluginState::no_driver : PluginState::old_driver",
          "PluginState::no_driver", "an old driver taken for none", CHAIN),
    fault("device.cu", "return exchange_device(state_of(device).index);", "return state_of(device).index;",
          "kernels launched while another device is current", MODELS),
    fault("launch.h", "if (error != cudaSuccess) report_error(error, name);\n}", "(void)error;\n}", "a launch that failed and is not told", MODELS, CHAIN),
]  # fmt: skip
