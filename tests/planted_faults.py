"""Plants faults in the kernels, one at a time, and counts how many the tests catch.

    python tests/planted_faults.py [--isa avx2] [--only conv2d] [--allow-failing] [--list]
    python tests/planted_faults.py --cuda      the CUDA kernels, on the emulator: tests/planted_cuda_faults.py

Works on a copy of the tree, built for one instruction set. Ends with 1 below 95 % caught, with 2 where a fault
cannot be planted any more (its text is gone, or it does not compile) or where tests fail without any fault.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from planted_cuda_faults import CUDA_FAULTS, fault

ROOT = Path(__file__).resolve().parent.parent
SHARE = 0.95
DENSE, CONV, GRADIENTS, DETERMINISM = (
    "ops/test_dense.py",
    "ops/test_conv2d.py",
    "test_model_gradients.py",
    "test_determinism.py",
)
TRAINING, UPDATES = "test_training.py", "test_updates.py"
AUGMENT, AUGMENT_OPS = "test_augmentation.py", "ops/test_augment.py"
OPTIMIZER, OPTIMIZERS = "ops/test_optimizer.py", "test_optimizers.py"
DIAGNOSTICS = "callbacks/test_diagnostics.py"
REGULARIZERS, ACCUMULATION = "test_regularizers.py", "test_accumulation.py"
POOLED = "test_pooled_convolutions.py"
ARITHMETIC, TRACED = "ops/test_arithmetic.py", "test_traced_arithmetic.py"
POOL, NORM = "ops/test_pool2d.py", "ops/test_norm.py"


FAULTS = [
    # Measures
    fault("measures.h", "return *sampling.step % sampling.every != 0 || held_back(guard);", "return held_back(guard);", "measured at every step", DIAGNOSTICS),
    fault("measures.h", "step.part[k] -= before.part[k];", "step.part[k] -= 0 * before.part[k];", "the weights taken for the update", DIAGNOSTICS),
    fault("measures.h", "to[1] = norm > to[1] ? norm : to[1];", "to[1] = norm;", "the last norm for the largest", DIAGNOSTICS),
    fault("measures.h", "if (part[i / kMeasuredChunks].layer != layer) continue;", "", "all layers for each", DIAGNOSTICS),
    fault("activation.cpp", "if (largest[i] > T{0}) alive[c + i] = 1.0;", "if (largest[i] >= T{0}) alive[c + i] = 1.0;", "no unit is ever dead", DIAGNOSTICS),
    fault("activation.cpp", "outside += y[i] < least || y[i] > most;", "outside += y[i] > most;", "saturated at the top alone", DIAGNOSTICS),
    # Arithmetic
    fault("arithmetic.cpp", "return x > 0 ? one : x < 0 ? -one : x;", "return x > 0 ? one : -one;", "the sign of 0"),
    fault("arithmetic.cpp", "return y != y ? y : maximum<T>(x, y);", "return maximum<T>(x, y);", "a NaN on the right lost"),
    fault("arithmetic.cpp", "a[i] == 0 && b[i] >= 0 ? T(0) : power_of(a[i], b[i])", "power_of(a[i], b[i])", "0 log 0"),
    fault("arithmetic.cpp", "operands[kFirstArray + i] = whole[i] ? x.data + begin : copy;", "operands[kFirstArray + i] = whole[i] ? x.data : copy;", "every run reads the first"),
    fault("arithmetic.cpp", "room + step.to * kRun<T>", "room + step.a % kMostSlots * kRun<T>", "results in another slot"),
    fault("arithmetic.cpp", "put(to + at, load_some(from + at, lanes), lanes, work.policies[i]);", "put(to + at, load_some(from + at, lanes), lanes, Policy::assign);", "gradients of others written over", TRACED),
    fault("strided.h", "if (work.extents[axis] != 1 && strides[axis] != expected) return false;", "if (axis > 0 && strides[axis] != expected) return false;", "arrays repeated over samples taken for whole", ARITHMETIC, TRACED),
    fault("strided.h", "place += strides[axis - 1] - index[axis] * strides[axis];", "place += strides[axis - 1];", "rows begin where the last ended", ARITHMETIC),
    fault("strided.h", "for (int axis = last; axis > 0 && index[axis] == work.extents[axis]; --axis) {", "for (int axis = last; axis > last - 1 && axis > 0 && index[axis] == work.extents[axis]; --axis) {", "no carry beyond one axis", ARITHMETIC),
    fault("strided.h", "put(y.data + place + i * stride, from[i], policy);", "put(y.data + place + i, from[i], policy);", "results written side by side", TRACED),
    fault("sum_axis.h", "sum += sum_of<double>(total.part[part]);", "sum = sum_of<double>(total.part[part]);", "half of a vector's sum", ARITHMETIC),
    fault("sum_axis.h", "const T* const from = x + tile / tiles * reduced * inner;", "const T* const from = x;", "the first block's sums everywhere", ARITHMETIC),
    fault("sum_axis.h", "static_cast<T>(factor * sums[c])", "static_cast<T>(sums[c])", "a mean without its factor", ARITHMETIC),
    fault("sum_axis.h", "for (int64_t c = 0; c < cols; ++c) sums[c] = 0.0;", "", "sums of the block before kept", ARITHMETIC),
    fault("../ops/expression.cpp", "[&](int until) { return until <= static_cast<int>(id); }", "[&](int until) { return until <= static_cast<int>(id) + 1; }", "a slot given away too early", ARITHMETIC),
    fault("../ops/expression.cpp", "sum = sum < 0 ? gradient : to_.apply(Operation::add, sum, gradient);", "sum = gradient;", "the gradient of the last use alone", ARITHMETIC),
    fault("../ops/expression.cpp", "add(term.b, to_.apply(Operation::negate, multiply(da, y)));", "add(term.b, multiply(da, y));", "a quotient's gradient by its divisor", ARITHMETIC),
    fault("../ops/expression.cpp", "if (is_constant(term.b)) return add(term.a, multiply(dy, not_below));", "if (is_constant(term.b)) return add(term.a, multiply(dy, above));", "nothing at a bound", ARITHMETIC),
    fault("../ops/expression.cpp", "if (*of_b == 2.0) return apply(Operation::square, a);", "if (*of_b == 3.0) return apply(Operation::square, a);", "a cube taken for a square", ARITHMETIC),
    fault("../ops/arithmetic.cpp", "return of[before] == of[axis] * extents[axis];", "return of[before] >= of[axis] * extents[axis];", "axes made one that are not", TRACED, ARITHMETIC),
    fault("../ops/arithmetic.cpp", "while (axis > 0 && std::binary_search(axes.begin(), axes.end(), axis - 1)) reduced *= shape[--axis];", "", "neighbouring axes summed one by one, from another shape", ARITHMETIC),
    fault("../program/arithmetic_groups.cpp", "static_cast<int>(reading.size()) == readers[id] &&", "", "a node that the loss reads is not kept", TRACED),
    fault("../program/arithmetic_groups.cpp", "if (nodes[static_cast<size_t>(group.root)].shape == node.shape) {", "if (true) {", "a smaller node computed for a larger shape", TRACED),
    fault("../program/compile_arithmetic.cpp", "if (!steps.empty()) stride *= steps[axis];", "", "steps of a slice forgotten", TRACED),
    fault("../program/compile_arithmetic.cpp", "part.offset += starts[axis] * stride;", "", "a slice from the beginning", TRACED),
    fault("../program/compile_arithmetic.cpp", "fill(context, n * elements, 0.0, dx);", "fill(context, elements, 0.0, dx);", "the gradient of what was cut away", TRACED),
    fault("../program/compile_arithmetic.cpp", "strides.insert(strides.begin(), parameter ? 0 : node.elements());", "strides.insert(strides.begin(), node.elements());", "weights read like samples", TRACED),
    # The matrix engine
    fault("gemm/micro.h", "sums[m][v] += factor * row[v];", "sums[m][v] += factor * row[0];", "second vector of B forgotten", DENSE),
    fault("gemm/micro.h", "for (int m = 0; m < M; ++m) a[m] = rows[m];", "for (int m = 0; m < M; ++m) a[m] = rows[0];",
          "every row reads the first", DENSE),
    fault("gemm/micro.h", "for (int64_t k = 0; k < length; ++k, b += b_stride) {",
          "for (int64_t k = 0; k + 1 < length; ++k, b += b_stride) {", "last term of a segment dropped", DENSE),
    fault("gemm/micro.h", "operand.segments[s].b + operand.b_offset", "operand.segments[s].b", "panel offset forgotten", DENSE, CONV),
    fault("gemm/micro.h", "operand.segments[s].a + operand.a_offset", "operand.segments[s].a", "row offset forgotten", DENSE),
    fault("gemm/tiles.h", "return begin(tile + 1) - begin(tile);", "return begin(1) - begin(0);", "remainder tiles as high as the first", DENSE),
    fault("gemm/tiles.h", "if (height < M) return run_rows<T, M - 1>(height, operand, target);",
          "if (height + 1 < M) return run_rows<T, M - 1>(height, operand, target);", "one row too many written", DENSE),
    fault("gemm/tiles.h", "if (height < M) return run_columns<T, M - 1>(height, operand, target);",
          "if (height < M) return run_columns<T, M / 2>(height, operand, target);", "rows of dw dropped", DENSE),
    fault("gemm/pack.h", "min_of(kLanes<T>, columns - v * kLanes<T>)", "min_of(kLanes<T>, columns - 1 - v * kLanes<T>)",
          "last column not packed", DENSE),
    fault("gemm/pack.h", "square[i] = load(from + (c + i) * stride + k);", "square[i] = load(from + (c + i) * stride);",
          "transposed blocks all read the first", DENSE),
    fault("gemm/pack.h", "for (int64_t k = 0; k < depth; ++k) to[k * width + c] = from[c * stride + k];",
          "for (int64_t k = 1; k < depth; ++k) to[k * width + c] = from[c * stride + k];", "first row of a transposed rest", DENSE),
    fault("gemm/dense_operands.h", "int64_t offset(int64_t s) const { return s * kBlockDepth<T>; }",
          "int64_t offset(int64_t s) const { return s * (kBlockDepth<T> - 1); }", "blocks of the reduction overlap", DENSE),
    fault("gemm/dense_operands.h", "return matrix + line_start(line) * in;", "return matrix + line * in;", "later blocks of rows misplaced", DENSE),
    fault("gemm/gemm_rows.h", "target.epilogue.resume = s0 > 0 || epilogue.resume;", "target.epilogue.resume = epilogue.resume;",
          "earlier blocks of the reduction lost", DENSE),
    fault("gemm/gemm_rows.h", "if (s1 > last) target.epilogue = epilogue;", "target.epilogue = epilogue;", "bias added by every block", DENSE),
    fault("gemm/gemm_rows.h", "placed.epilogue.bias += column;", "placed.epilogue.bias += 0;", "bias of the first panel everywhere", DENSE),
    fault("gemm/gemm_rows.h", "placed.epilogue.gradient.saved += column;", "placed.epilogue.gradient.saved += 0;",
          "activation gradient of the first panel everywhere", GRADIENTS),
    fault("gemm/gemm_rows.h", "operand.b = shared + panel * width * depth + a.offset(s0) * width;",
          "operand.b = shared + panel * width * depth;", "shared panel read from its start", DENSE),
    fault("gemm/gemm_rows.h", "min_of(width, columns - column), shared + panel * width * depth);",
          "min_of(width, columns - column), shared + panel * width);", "shared panels packed over each other", DENSE),
    fault("gemm/gemm_rows.h", "operand.b_stride = b.stride();", "operand.b_stride = width;", "B read in place with a panel's stride", DENSE),
    fault("gemm/gemm_columns.h", "db[c] += memory[c];", "db[c] = memory[c];", "bias gradient of earlier blocks lost", DENSE),
    fault("gemm/gemm_columns.h", "db[c] = resume ? db[c] : T{0};", "db[c] = db[c];", "bias gradient starts from what was there", DENSE),
    fault("gemm/gemm_columns.h", "target.epilogue.resume = resume || l0 > line0;", "target.epilogue.resume = resume;",
          "weight gradient of earlier blocks lost", DENSE),
    fault("gemm/gemm_columns.h", "for (int64_t s = 0; s < splits; ++s) sum += load_some(from + s * (rows + 1) * columns + i, n);",
          "for (int64_t s = 1; s < splits; ++s) sum += load_some(from + s * (rows + 1) * columns + i, n);", "first part of a split sum lost", DENSE),
    fault("gemm/gemm_columns.h", "offsets[m] = (tap * tap_length + row + m) * dw_stride;", "offsets[m] = (row + m) * dw_stride;",
          "all taps written to the first", CONV),
    fault("gemm/gemm_columns.h", "if (r > 0 || db == nullptr) to_sums = nullptr;", "if (r > 1 || db == nullptr) to_sums = nullptr;",
          "two chunks write the same bias gradient", DENSE, DETERMINISM),
    fault("gemm/gemm_columns.h", "for (int64_t r = 0; !add && r < plan.rows; ++r) {", "for (int64_t r = 0; r < 0; ++r) {",
          "weight gradient of nothing not zeroed", CONV),
    fault("gemm/epilogue.h", "Vec<T> y = sums[m][v] + bias[v];", "Vec<T> y = sums[m][v] + bias[0];", "second vector of the bias forgotten", DENSE),
    fault("gemm/epilogue.h", "if (epilogue.resume) y += load(row + v * kLanes<T>);", "if (epilogue.resume) y += load(row);",
          "second vector resumed from the first", DENSE),
    fault("gemm/gemm_update.h", "target.epilogue.resume = from > 0;", "target.epilogue.resume = false;",
          "updates by the last block of a weight gradient only", UPDATES),
    fault("gemm/gemm_update.h", "r == 0 && b.p != nullptr", "b.p != nullptr", "bias updated once for every run of rows", UPDATES),
    fault("gemm/gemm_update.h", "((panel - first_panel) * rows + row) * kWidth", "(panel * rows + row) * kWidth",
          "kept panels of the wrong columns", UPDATES),
    fault("one_row.h", "for (int64_t i = 1; i < part.count; ++i)", "for (int64_t i = 2; i < part.count; ++i)",
          "second part of a single row's sums dropped", DENSE),
    fault("one_row.h", "for (; k < end; ++k) add_rows", "for (; k + 1 < end; ++k) add_rows", "last input of a part dropped", DENSE),
    fault("one_row.h", "moved(w, k * out)", "moved(w, (k - part.begin(i)) * out)", "every part updates the first rows", UPDATES),
    fault("one_row.h", "products += slope * load_some(to.p + j, n);", "products = slope * load_some(to.p + j, n);",
          "input gradient of the last columns only, beside an update", UPDATES),
    fault("one_row.h", "sum : input.dx[k] + sum;", "sum : sum;", "input gradient of a single row not added", GRADIENTS, UPDATES),
    fault("one_row.h", "finish_inputs(input, part.begin(i), end);", "finish_inputs(input, 0, end);",
          "activation's gradient applied once for every part", UPDATES),
    fault("few_rows.h", "for (int64_t p = 1; p < part.count; ++p) sum", "for (int64_t p = 2; p < part.count; ++p) sum",
          "second part of few rows' sums dropped", DENSE),
    fault("few_rows.h", "MatrixColumns<T>{w + k * s.out + first, s.out}", "MatrixColumns<T>{w + k * s.out, s.out}",
          "every run of columns takes the first weights", DENSE),
    fault("small_dense.h", "sgd_step<T, kind>(rule, load_some(db + j, n), b, j, n);",
          "sgd_step<T, kind>(rule, load_some(db + j, n), b, 0, n);", "the first biases updated for all", UPDATES),
    fault("gemm/epilogue.h", "y = select<T>(saved > zero, y, zero);", "y = select<T>(saved > zero, zero, y);", "fused ReLU gradient inverted", GRADIENTS),
    fault("gemm/epilogue.cpp", "y += load_some(epilogue.bias + j, n);", "y -= load_some(epilogue.bias + j, n);", "bias subtracted in narrow tiles", DENSE),
    fault("gemm/epilogue.cpp", "y += load_some(row + j, n);", "y += load_some(row, n);", "narrow tiles resumed from the first columns", DENSE),
    fault("small_dense.h", "for (int64_t k = 0; k < s.in; ++k) sum += row[k] * load_some(w + k * s.out + j, n);",
          "for (int64_t k = 1; k < s.in; ++k) sum += row[k] * load_some(w + k * s.out + j, n);", "first input dropped", DENSE),
    fault("small_dense.h", "to = policy == Policy::assign ? sum_of<T>(sum) : to + sum_of<T>(sum);", "to = sum_of<T>(sum);",
          "accumulation overwrites", GRADIENTS),
    fault("small_dense.h", "for (int64_t r = 0; r < s.rows; ++r) sum += load_some(dy + r * s.out + j, n);\n    store_some(db",
          "for (int64_t r = 0; r < s.rows - 1; ++r) sum += load_some(dy + r * s.out + j, n);\n    store_some(db", "last row missing in db", DENSE),
    # Convolution
    fault("gemm/patches.h", "const int64_t h0 = at.i * s.stride_h - s.pad_top, w0", "const int64_t h0 = at.i * s.stride_h + s.pad_top, w0", "padding of copied patches on the wrong side", CONV),
    fault("gemm/patches.h", "w0 + s.kw <= s.w && s.dilation_w == 1", "w0 + s.kw <= s.w", "dilation forgotten in copied patches", CONV),
    fault("gemm/patches.h", "h0 + (s.kh - 1) * s.dilation_h < s.h", "h0 + s.kh - 1 < s.h", "dilated patches taken to lie inside", CONV),
    fault("gemm/patches.h", "const bool inside = row_inside && iw >= 0 && iw < s.w;", "const bool inside = row_inside && iw >= 0 && iw <= s.w;", "one column beside the image copied", CONV),
    fault("gemm/patches.h", "if (++i < height) return;", "if (++i < width) return;", "images taken for squares", CONV),
    fault("gemm/patches.h", "int64_t begin(int64_t part) const { return part * kBlockDepth<T>; }", "int64_t begin(int64_t part) const { return 0 * part; }", "pieces of long channel runs read the first", CONV),
    fault("gemm/patch_rows.h", "return {out, 0, 1, in, -pad, stride, kernel, 0, 1, 0, dilation};", "return {out, 0, 1, in, -pad, stride, kernel, 0, 1, 0, 1};", "dilation forgotten forward", CONV),
    fault("gemm/patch_rows.h", "return a >= 0 && a < extent && b >= 0 && b < extent;", "return a >= 0 && a < extent && b >= 0 && b <= extent;", "windows over the edge taken to lie inside", CONV),
    fault("gemm/patch_rows.h", "x >= 0 && x < horizontal.extent);", "x >= 0 && x <= horizontal.extent);", "one column beside the image read", CONV),
    fault("gemm/patch_rows.h", "(y >= 0 && y < vertical.extent", "(y >= 0 && y <= vertical.extent", "one row below the image read", CONV),
    fault("gemm/patch_rows.h", "if (++kw < horizontal.taps) continue;", "if (++kw < vertical.taps) continue;", "kernel taken for a square", CONV),
    fault("gemm/patch_rows.h", "axis.taps = ceil_div(kernel - axis.tap_first, axis.tap_step);", "axis.taps = (kernel - axis.tap_first) / axis.tap_step;", "last tap of a phase dropped", CONV),
    fault("gemm/patch_rows.h", "axis.displacement_step = -axis.tap_step * dilation / stride;", "axis.displacement_step = -axis.tap_step / stride;", "dilation forgotten in the input gradient", CONV),
    fault("gemm/patch_rows.h", "WindowAxis axis{ceil_div(in - phase, stride), phase,", "WindowAxis axis{in / stride, phase,", "last points of a phase dropped", CONV),
    fault("gemm/image_rows.h", "a[m] = operand.points[m] + s * operand.step;", "a[m] = operand.points[m] + s * operand.length;", "second row of a window read behind the first", CONV),
    fault("gemm/image_rows.h", "int64_t rows(int64_t group_units) const { return (group_units - 1) * step + reach; }", "int64_t rows(int64_t group_units) const { return group_units * reach; }", "rows between pooled ones not counted", POOLED),
    fault("gemm/image_rows.h", "const bool exists = ih >= 0 && ih < s.h;", "const bool exists = ih >= 0 && ih <= s.h;", "a row below the image copied", CONV),
    fault("gemm/image_rows.h", "u * plan.step * s.ow, y + to,", "(u - unit) * plan.step * s.ow, y + to,", "positions counted from the group of rows", POOLED),
    fault("gemm/image_rows.h", "target.result = result + tiles.begin(tile) * offsets[1];", "target.result = result + tile * kTileRows * offsets[1];", "remainder tiles misplaced", CONV),
    fault("gemm/image_columns.h", "a[m] = operand.rows[s * kTileRows + m];", "a[m] = operand.rows[m];", "weight gradient reads the first row again", CONV),
    fault("gemm/image_columns.h", "first + m < taps ? at + tap_offset[first + m] : ones", "first + m < taps ? at + tap_offset[m] : ones", "every tile of taps takes the first ones", CONV),
    fault("gemm/image_columns.h", "where == every_lane<T>(first + at) ? slope : Vec<T>{}", "slope", "a pool's gradient given to its whole window", POOLED),
    fault("gemm/image_columns.h", "if (!covered || count < width) {", "if (count < width) {", "points outside the windows keep an old gradient", POOLED),
    fault("gemm/image_columns.h", "target.epilogue.resume = item > begin;", "target.epilogue.resume = item > 0;", "later splits add to what was there", CONV),
    fault("conv2d.cpp", "pool.dilation_h == 1 && pool.dilation_w == 1 && ", "", "dilated pools fused", POOLED),
    fault("conv2d.cpp", "pool.stride_h >= pool.kh &&", "", "pools that share rows fused", POOLED),
    fault("gemm/winograd_rows.cpp", "points, 2 * (at.i * grid.ow + at.j),", "points, at.i * grid.ow + at.j,", "positions of tiles taken for those of points", POOLED),
    fault("gemm/winograd_rows.cpp", "if (at.i >= pool.oh || at.j >= pool.ow) return;", "if (at.i >= pool.oh) return;", "half a window pooled at the right edge", POOLED),
    fault("gemm/patch_source.h", "const int64_t outside = w0 < s.w ? (s.w - 1 - w0) / s.stride_w + 1 : 0;", "const int64_t outside = w0 < s.w ? (s.w - 1 - w0) / s.stride_w : 0;", "last output column missing in dw", CONV),
    fault("gemm/patch_source.h", "const int64_t inside = w0 < 0 ? ceil_div(-w0, s.stride_w) : 0;", "const int64_t inside = w0 < 0 ? -w0 / s.stride_w : 0;", "left padding rounded down under a stride", CONV),
    fault("gemm/patch_source.h", "line / parts * s.ow + line % parts * kLine;", "line / parts * s.ow;", "pieces of wide rows start at the row", CONV),
    fault("gemm/patch_source.h", "*length = ih < 0 || ih >= s.h ? 0 : end - begin;", "*length = ih < 0 || ih > s.h ? 0 : end - begin;", "dw reads a row below the image", CONV),
    fault("conv2d.cpp", "epilogue.bias = b != nullptr ? b + g * e.outputs : nullptr;", "epilogue.bias = b;", "every group takes the first bias", CONV),
    fault("conv2d.cpp", "const WindowRows<T> windows{x + g * e.inputs,", "const WindowRows<T> windows{x,", "every group reads the first channels", CONV),
    fault("conv2d.cpp", "if (policy == Policy::assign) clear_unreached(context, rows, e.inputs, dx_group);", "", "input points that no tap reaches not zeroed", CONV),
    fault("conv2d.cpp", "phase_w < min_of(s.stride_w, s.w)", "phase_w < min_of(s.stride_h, s.w)", "phases of one stride for both axes", CONV),
    fault("conv2d.cpp", "dw + g * e.outputs, s.o, db_group);", "dw + g * e.inputs, s.o, db_group);", "groups of dw misplaced", CONV),
    fault("conv2d.cpp", "PatchSource<T>(s, x + g * e.inputs),", "PatchSource<T>(s, x),", "every group's dw from the first channels", CONV),
    fault("gemm/winograd_taps3.h", "t[3] = d[1] - d[3];", "t[3] = d[3] - d[1];", "last row of a patch of the wrong sign", CONV),
    fault("gemm/winograd_tiles.h", "const bool here = i >= 0 && i < grid.h && j >= 0 && j < grid.w;",
          "const bool here = i >= 0 && i < grid.h && j >= 0 && j <= grid.w;", "patches read a column beside the image", CONV),
    fault("gemm/winograd_tiles.h", "left >= 0 && left + patch <= grid.w;", "left >= 0 && left + patch - 1 <= grid.w;", "patches over the edge taken to lie inside", CONV),
    fault("gemm/winograd_tiles.h", "+ (c & mask[i * patch + j]), channels - c);", ", channels - c);", "last channels read the first", CONV),
    fault("gemm/winograd_taps3.h", "t[2] = half + d;", "t[2] = half;", "last point missing in dw", CONV),
    fault("gemm/winograd_rows.cpp", "((window - 1 - tap) * columns + column)", "(tap * columns + column)", "filters of the input gradient not flipped", CONV),
    fault("gemm/winograd_rows.cpp", "if (i + point / 2 >= grid.oh || j + point % 2 >= grid.ow) continue;",
          "if (i + point / 2 >= grid.oh || j + point % 2 > grid.ow) continue;", "half a tile written over the next row", CONV),
    fault("gemm/winograd_rows.cpp", "target.epilogue.bias += column;", "target.epilogue.bias += 0;", "bias of the first panel for all tiles", CONV),
    fault("gemm/winograd_rows.cpp", "target.epilogue.gradient.saved += column;", "target.epilogue.gradient.saved += 0;",
          "activation gradient of the first panel for all tiles", GRADIENTS),
    fault("gemm/winograd_rows.cpp", "last - s.pad_top, last - s.pad_left", "s.pad_top, s.pad_left", "padding of dy taken for that of x", CONV),
    fault("gemm/winograd_columns.cpp", "add_block(first, count, tiles, begin > tile0);", "add_block(first, count, tiles, false);", "earlier blocks of tiles lost from dw", CONV),
    fault("gemm/winograd_columns.cpp", "const bool has_right = j + 1 < plan.grid.ow,", "const bool has_right = j < plan.grid.ow,", "dy read past its last column", CONV),
    fault("gemm/winograd_columns.cpp", "add_column_sums(d + (Taps::sum - first) * d_point + c,", "add_column_sums(d + (Taps::sum + 1 - first) * d_point + c,", "differences summed for the bias gradient", CONV),
    fault("gemm/winograd_columns.cpp", "parts != nullptr ? Policy::assign : policy, to,", "Policy::assign, to,", "gradients of shared filters not added up", GRADIENTS),
    fault("gemm/winograd_taps5.h", "r = shared - from(point + 2);", "r = shared + from(point + 2);", "real part of a complex product of the wrong sign", CONV),
    fault("gemm/winograd_taps5.h", "im[4] = (r2 - r1) * corner;", "im[4] = (r1 - r2) * corner;", "products at (i, i) and (i, -i) exchanged", CONV),
    fault("gemm/winograd_taps5.h", "t[2] = even - re;", "t[2] = even + re;", "middle tap of dw of the wrong sign at i", CONV),
    fault("conv2d.cpp", "epilogue.resume = policy == Policy::accumulate;\n      epilogue.gradient = gradient;\n      return", "epilogue.gradient = gradient;\n      return",
          "gradients of a shared input not added up", GRADIENTS),
    fault("depthwise.h", "const int64_t begin = from < 0 ? ceil_div(-from, dilation) : 0;", "const int64_t begin = from < 0 ? -from / dilation : 0;", "a tap in front of the image read", CONV),
    fault("depthwise.h", "min_of(kernel, (extent - 1 - from) / dilation + 1)", "min_of(kernel, (extent - from) / dilation + 1)", "a tap behind the image read", CONV),
    fault("depthwise.h", "h % s.stride_h != 0", "false", "input gradient spread over the points between strides", CONV),
    fault("depthwise.h", "add(taps, total);", "add(taps - 1, total);", "bias gradient added to the last tap", CONV),
    fault("depthwise.h", "activation_gradient<decltype(kind)::value, T>(sum, saved, alpha)", "sum", "activation's gradient left out", GRADIENTS),
    # Element-wise families
    fault("activate.h", "return x <= 0 ? x * alpha : x;", "return x * alpha;", "leaky on both sides", "ops/test_activation.py"),
    fault("activate.h", "return x <= 0 ? Vec<T>{} : x;", "return x > 0 ? x : Vec<T>{};", "ReLU swallows NaN", "test_extremes.py"),
    fault("activate.h", "return saved > 0 ? dy : Vec<T>{};", "return saved >= 0 ? dy : Vec<T>{};", "ReLU's gradient at 0", "ops/test_activation.py"),
    fault("activate.h", "return dy * ((1 - saved) * (1 + saved));", "return dy * (1 - saved);", "half of tanh's gradient", "ops/test_activation.py"),
    fault("activate.h", "return saved > 0 ? dy : dy * (saved + alpha);", "return saved > 0 ? dy : dy * saved;", "ELU's alpha dropped", "ops/test_activation.py"),
    fault("activate.h", "return dy * (phi + x * density);", "return dy * phi;", "GELU's second term dropped", "ops/test_activation.py"),
    fault("softmax.cpp", "return kLog ? dy - exp<T>(y) * sum : y * (dy - sum);", "return kLog ? dy - exp<T>(y) : y * (dy - sum);",
          "log-softmax's gradient without the sum"),
    fault("softmax.cpp", "if (lanes < kLanes<T>) e = select<T>(first_lanes<T>(lanes), e, Vec<T>{});", "", "lanes behind a row summed up"),
    fault("softmax.cpp", "for (int64_t c = 1; c < classes; ++c) max = maximum<T>(load_some(x + c * inner, lanes), max);", "",
          "maximum of columns is their first", "ops/test_softmax.py", "test_extremes.py"),
    fault("loss.cpp", "slope = error * 2;", "slope = error;", "half the gradient of the squared error"),
    fault("loss.cpp", "value = size <= delta ?", "value = size <= 1 ?", "Huber's delta ignored in the value"),
    fault("loss.cpp", "value *= w;", "", "weights ignored in the value"),
    fault("loss.cpp", "slope * w * scale", "slope * scale", "weights ignored in the gradient"),
    fault("cross_entropy.h", "const double factor = scale * all / sum;", "const double factor = scale / sum;",
          "distributions taken to sum to one", "ops/test_loss.py"),
    fault("cross_entropy.h", "if (smoothing != 0.0) loss -= spread * sum_of_wide(differences);", "", "smoothing dropped from the value", "ops/test_loss.py"),
    fault("cross_entropy.h", "- scale * (sharp + spread)", "- scale * sharp", "smoothing dropped from the label's gradient", "ops/test_loss.py"),
    fault("loss.cpp", " & (p[i] == p[i]);", ";", "a NaN is right where the target is class 0"),
    fault("loss.cpp", "p[i] == p[i] ? p[i] > limit : !is", "p[i] > limit", "a NaN is class 0"),
    fault("loss.cpp", "if (best == target && row[best] != row[best]) best = target == 0 ? 1 : 0;", "",
          "a NaN at the target is right"),
    fault("loss.cpp", "((row[c] == score) & (c < target))", "((row[c] == score) & (c <= target))", "a class ties with itself"),
    fault("philox_vector.h", "round < 10", "round < 9", "nine rounds of Philox", "ops/test_dropout.py"),
    fault("philox_vector.h", "uint64_t{layer} << 16", "uint64_t{layer} << 15", "layer in the wrong bits", "ops/test_dropout.py"),
    fault("philox_vector.h", "(step >> 32 & 0xFFFFu)", "(step >> 33 & 0xFFFFu)", "high half of the step misplaced", "ops/test_dropout.py"),
    fault("dropout.cpp", "static_cast<T>(1.0 / (1.0 - rate))", "static_cast<T>(1.0 - rate)", "scaled the wrong way"),
    fault("dropout.cpp", "static_cast<uint64_t>(first + i) / 4, key.seed", "static_cast<uint64_t>(first + i), key.seed", "elements taken for blocks"),
    fault("norm.cpp", "put(dgamma + c, static_cast<T>(product * inverse), policy_parameters);",
          "put(dgamma + c, static_cast<T>(product), policy_parameters);", "gradient of gamma not scaled"),
    fault("norm.cpp", "applied.vector[3][c] = static_cast<T>(-scale * sum / count);", "applied.vector[3][c] = T(0);", "mean's part of the gradient dropped"),
    fault("norm.cpp", "spread = squares / count - offset * offset;", "spread = squares / count;", "variance about the first row"),
    fault("local_response_norm.h", "for (int64_t i = 1 - reach; i <= reach; ++i) sum", "for (int64_t i = 1 - reach; i < reach; ++i) sum",
          "last neighbour dropped", "ops/test_norm.py"),
    fault("max_window.h", "const IntVec<T> wins = ~(v <= best) & (best == best);", "const IntVec<T> wins = ~(v < best) & (best == best);", "last of equals wins", "ops/test_pool2d.py"),
    fault("max_window.h", "const IntVec<T> wins = ~(v <= best) & (best == best);", "const IntVec<T> wins = v > best;", "NaN loses", "ops/test_pool2d.py"),
    fault("pool2d.cpp", "for (int64_t c = 2 * reached * s.c; c < pitch; ++c) row[r * pitch + c] = 0;", "", "points beside the last window not zeroed"),
    fault("pool2d.cpp", "min_of(s.ow, space / s.stride_w + 1)", "min_of(s.ow, space / s.stride_w + 2)", "a cut window taken for a whole one"),
    fault("pool2d.cpp", "2 * s.oh <= s.h && 2 * s.ow <= s.w) {", "true) {", "halves assumed where windows are cut"),
    # Windows of pools, whole images, upsampling
    fault("pool_windows.h", "if (!count_include_pad) {", "if (false) {", "padding always counted", POOL),
    fault("pool_windows.h", "s.h + s.pad_bottom, s.kh", "s.h, s.kh", "the padding below not counted", POOL),
    fault("pool_windows.h", "dilation == 1 ? -begin : ceil_div(-begin, dilation)", "dilation == 1 ? -begin : -begin / dilation", "a dilated window begins in the padding", POOL),
    fault("pool_windows.h", "dilation == 1 ? reach : ceil_div(reach, dilation)", "dilation == 1 ? reach : reach / dilation", "last point of a dilated window dropped", POOL),
    fault("pool_windows.h", "first = last - (kernel - 1) * dilation;", "first = last - (kernel - 1);", "gradients of dilated windows cut", POOL),
    fault("pool_windows.h", "first <= 0 ? 0 : ceil_div(first, stride)", "first <= 0 ? 0 : first / stride", "a window too many sees a point", POOL),
    fault("pool_windows.h", "dilation == 1 || (point + pad - i * stride) % dilation == 0", "true", "dilated windows give to the points between theirs", POOL),
    fault("max_window.h", "first + i * window.width + j * window.apart", "first + i * window.width + j", "index of a dilated window", POOL),
    fault("pool2d.cpp", "const IntVec<T> here = every_lane<T>(row % pixels);", "const IntVec<T> here = every_lane<T>(row);", "a whole image's gradient given to the first image alone"),
    fault("pool2d.cpp", "out = image * c + first;", "out = image * c;", "maxima of later channels misplaced"),
    fault("upsample.h", "if (at <= 0) return {0, 0, 0.0};", "", "points outside the first centre extrapolated", POOL),
    fault("upsample.h", "at = 2 * i + 1 - scale,", "at = 2 * i - scale,", "centres at whole points", POOL),
    fault("upsample.h", "min_of(lower + 1, extent - 1)", "min_of(lower, extent - 1)", "nothing between two points", POOL),
    fault("upsample.h", "(bilinear ? 2 : 1)", "1", "the share of the point before dropped", POOL),
    fault("upsample.h", "max_of(point - (bilinear ? 1 : 0), 0)", "point", "the share of the point behind dropped", POOL),
    fault("upsample.h", "static_cast<T>(down * across)", "static_cast<T>(across)", "gradient weighted along one axis", POOL),
    # Norms of samples
    fault("group_norm.h", "static_cast<T>(mean - static_cast<double>(high))", "T(0)", "the mean rounded", NORM),
    fault("group_norm.h", "lanes == kLanes<T> ? all : select<T>(first_lanes<T>(lanes), all, Vec<T>{})", "all", "lanes beyond a row in its variance", NORM),
    fault("group_norm.h", "gamma[block.first + c] : T(1)", "gamma[c] : T(1)", "gamma of the first block everywhere", NORM),
    fault("group_norm.h", "v.shift[c] = beta != nullptr ? beta[block.first + c] : T(0);", "v.shift[c] = T(0);", "beta dropped", NORM),
    fault("group_norm.h", "const int64_t first = row % s.groups * size;", "const int64_t first = 0;", "gamma of the first group everywhere", NORM),
    fault("group_norm.h", "__builtin_sqrt(squares / static_cast<double>(count) + epsilon)", "__builtin_sqrt(squares / static_cast<double>(count))", "epsilon dropped", NORM),
    fault("group_norm.h", "return {block * width, min_of(width, s.channels - block * width), size};", "return {block * width, width, size};", "a block reaches beyond the last group", NORM),
    fault("group_norm_backward.h", "const T shift = static_cast<T>(-inverse * slopes / count);", "const T shift = T(0);", "the mean's part of a group's gradient dropped", NORM),
    fault("group_norm_backward.h", "shift = static_cast<T>(-inverse * sum_of_wide(slopes) / count);", "shift = T(0);", "the mean's part of a row's gradient dropped", NORM),
    fault("group_norm_backward.h", "const T slope = static_cast<T>(-inverse * inverse * inverse * sum_of_wide(products) / count);", "const T slope = T(0);", "the variance's part of a row's gradient dropped", NORM),
    fault("group_norm_backward.h", "const T slope = static_cast<T>(-inverse * inverse * inverse * products / count);", "const T slope = static_cast<T>(-inverse * inverse * products / count);", "the variance's part scaled once", NORM),
    fault("group_norm_backward.h", "gamma_sums[block.first + c] += v.sum1[c] * inverse;", "gamma_sums[block.first + c] = v.sum1[c] * inverse;", "gamma's gradient of the last sample alone", NORM),
    fault("group_norm_backward.h", "product.part[i] *= inverse;", "product.part[i] *= 1.0;", "gamma's gradient not scaled", NORM),
    fault("group_norm_backward.h", "partials[(chunk * 2 + 1) * channels + c]", "partials[chunk * 2 * channels + c]", "gamma's gradient is beta's", NORM),
    fault("group_norm_backward.h", "min_of((chunk + 1) * length, s.samples)", "(chunk + 1) * length", "a chunk reaches beyond the last sample", NORM),
    fault("group_norm_backward.h", "const int64_t chunks = min_of(kMostSampleChunks, ceil_div(s.samples, least_chunk(s)));", "const int64_t chunks = 1;", "partial sums beyond the workspace", NORM, GRADIENTS, DETERMINISM),
    fault("sgd.h", "(kind == SgdKind::nesterov ? v * rule.momentum - step : v)", "v", "Nesterov's look ahead dropped",
          "ops/test_optimizer.py"),
    fault("sgd.h", "load_some(velocity, lanes) * rule.momentum - step;", "load_some(velocity, lanes) * rule.momentum + step;",
          "uphill", "ops/test_optimizer.py"),
    fault("optimizer.cpp", "parameter - parameter * decoupled - step", "parameter - step", "decoupled decay dropped"),
    fault("optimizer.cpp", "static_cast<double>(value_of(rule.step) + 1)", "static_cast<double>(value_of(rule.step) + 2)", "Adam begins at the second step"),
    fault("sgd.h", "return value_of(rule.learning_rate) * rule.rate_factor;", "return value_of(rule.learning_rate);", "factors on the rate ignored", REGULARIZERS),
    fault("rules.h", "spread = select<T>(variance < 0, Vec<T>{}, variance);", "spread = variance;", "a negative variance", OPTIMIZER),
    fault("rules.h", "gradient * rate / square_root(spread + epsilon);", "gradient * rate / (square_root(spread) + epsilon);",
          "RMSprop's epsilon beside the root", OPTIMIZER, OPTIMIZERS),
    fault("rules.h", "load_some(sum + i, lanes) + gradient * gradient;", "load_some(sum + i, lanes) * 0 + gradient * gradient;",
          "Adagrad forgets", OPTIMIZER, OPTIMIZERS),
    fault("rules.h", "sign_of<T>(before * beta1 + gradient * rest1)", "sign_of<T>(before * beta2 + gradient * rest2)",
          "Lion's first beta forgotten", OPTIMIZER, OPTIMIZERS),
    fault("rules.h", "parameter - parameter * decay - step * rate", "parameter - step * rate", "Lion's decay dropped", OPTIMIZER, OPTIMIZERS),
    fault("optimizer.cpp", "value_of(rule.step) == 0 ? 0.0 : rule.momentum", "rule.momentum", "averages begin with zero", OPTIMIZER),
    fault("optimizer.cpp", "select<T>(v > high, high, select<T>(v < low, low, v))", "select<T>(v > high, high, v)", "clipped from above alone", OPTIMIZER),
    fault("optimizer.cpp", "add_to(sizes, widen<T>(absolute<T>(v)));", "add_to(sizes, widen<T>(v));", "l1 of the sum", OPTIMIZER, REGULARIZERS),
    fault("optimizer.cpp", "static_cast<T>(2.0 * rule.l2)", "static_cast<T>(rule.l2)", "half the slope of a square", OPTIMIZER, REGULARIZERS),
    fault("optimizer.cpp", "state->loss = state->loss_of_parts;", "", "the loss of a step that of its last part", ACCUMULATION),
    fault("dropout.cpp", "static_cast<const uint32_t*>(words) + within", "static_cast<const uint32_t*>(words)", "masks of parts begin with a block",
          ACCUMULATION),
    fault("dropout.cpp", "*key.row * key.row_elements : 0", "0 : 0", "every part has the first part's mask", ACCUMULATION),
    fault("dropout.cpp", "const int64_t at = first + sample * c + channel, within = at % 4;", "const int64_t at = sample * c + channel, within = at % 4;",
          "every part drops the first part's channels", AUGMENT),
    fault("dropout.cpp", "kept<T>(words + within + i, threshold), scaled", "kept<T>(words + i, threshold), scaled", "channels of a sample begin with a block"),
    fault("dropout.cpp", "const int64_t before = (first + begin) % 2;", "const int64_t before = 0;", "noise of parts begins with a pair", AUGMENT),
    fault("box_muller.h", "body(at + 1, odd[lane])", "body(at + 1, even[lane])", "a pair's numbers alike", "ops/test_dropout.py"),
    fault("augment.cpp", "if (policy == Policy::assign) {", "if (true) {", "a gradient written over another", AUGMENT),
    fault("augment.cpp", "point[c] += corners.weight[k] * from[c];", "point[c] = corners.weight[k] * from[c];", "points that are read twice get one gradient"),
    fault("augment.cpp", "static_cast<T>((1.0 - factor) * slopes[k])", "T(0)", "the mean's part of the gradient dropped"),
    fault("augment.cpp", "return value < floor || value > ceiling ? T(0) : dy[i];", "return dy[i];", "what was clipped passes a gradient on"),
    fault("augment.cpp", "for (int64_t k = 0; k < m.rest; ++k) body(", "for (int64_t k = 1; k < m.rest; ++k) body(", "a point left out of the last row"),
    fault("augment.cpp", "value < floor ? floor : value > ceiling ? ceiling : value;", "value > ceiling ? ceiling : value;", "clipped from above alone"),
    fault("warp.h", "corners.point[k] = r < 0 || c < 0 ? -1 : r * s.w + c;", "corners.point[k] = r < 0 ? -1 : r * s.w + c;", "columns never filled", AUGMENT_OPS),
    fault("warp.h", "right[] = {1.0 - column.fraction, column.fraction};", "right[] = {column.fraction, 1.0 - column.fraction};", "neighbours' weights exchanged", AUGMENT_OPS),
    fault("warp.h", "const int64_t from = min_of(max_of(-first, 0), columns);", "const int64_t from = min_of(max_of(-first, 0), s.ow);", "a tap beyond the row", AUGMENT_OPS),
    fault("warp.h", "min_of(s.w - first, columns));", "columns);", "the next row shines in", AUGMENT_OPS),
    fault("warp.h", "row_at(map.row.first + i + 1) : a;", "row_at(map.row.first + i) : a;", "rows not blended", AUGMENT_OPS),
    fault("warp.h", "const int64_t last = s.w - 1 - first;", "const int64_t last = s.w - first;", "a flip that is off by one", AUGMENT_OPS),
    fault("warp.h", "blend(s.ow * s.c, right, line, line + s.c, y);", "blend(s.ow * s.c, right, line, line + 1, y);", "channels blended with each other", AUGMENT_OPS),
    fault("../core/image_map.h", "first + sample), key.seed", "sample), key.seed", "every part has the first part's draws", AUGMENT),
    fault("../core/image_map.h", "words.word[1] >> 31 != 0", "words.word[0] >> 31 != 0", "both flips by one word", AUGMENT_OPS),
    fault("../core/image_map.h", "bilinear ? place : place + 0.5", "place", "rounded down", AUGMENT_OPS),
    fault("../core/image_map.h", "(h - oh + 1) >> 32", "(h - oh) >> 32", "the last row is never a crop's first", AUGMENT_OPS),
    fault("../core/image_map.h", "i = period - 1 - i;", "i = period - 2 - i;", "the edge not repeated", AUGMENT_OPS),
    fault("../core/image_map.h", "map.cosine * right - map.sine * down", "map.cosine * right + map.sine * down", "sheared, not turned", AUGMENT_OPS),
    fault("optimizer.cpp", "*scale = norm > clip_norm &&", "*scale = norm < clip_norm &&", "small gradients scaled up", TRAINING),
    fault("elementwise.cpp", "return load_some(x + i, lanes) * by;", "return load_some(x + i, lanes) * (by + 1);", "wrong factor", GRADIENTS),
    fault("gather.h", "label >= 0 && label < classes", "label >= 0 && label <= classes", "a label too many", ("test_changed_labels.py",)),
    fault("gather.h", "label >= 0 && label < classes", "label < classes", "negative labels", ("test_changed_labels.py",)),
    fault("gather.h", "(order != nullptr ? order[start + r] : start + r) * cols", "r * cols", "order of rows ignored", TRAINING),
    fault("elementwise.cpp", "T* target = to + r * shape.to_stride;", "T* target = to + r * shape.from_stride;", "strides of a concatenation mixed up"),
    fault("elementwise.cpp", "load_some(dy + at, lanes) / load_some(v[0] + c, lanes), lanes, policy);",
          "load_some(dy + at, lanes) * load_some(v[0] + c, lanes), lanes, policy);", "gradient of a normalisation inverted", GRADIENTS),
    fault("columns.h", "sums[s * cols + i % cols] += folded[s * width + i];", "sums[s * cols + i % cols] = folded[s * width + i];",
          "folds of narrow rows overwrite each other", "ops/test_norm.py"),
    fault("columns.h", "first += runs * folds;", "first = end;", "rest of the folds dropped", "ops/test_norm.py"),
    # Threads
    fault(
        "runtime/threads.cpp",
        "if (left_.load(std::memory_order_acquire) == 0) return;",
        "return;",
        "a loop does not wait for its helpers",
        DETERMINISM,
    ),
    fault("runtime/threads.cpp", "going_on ? kNaps : 0", "going_on ? 1 << 30 : 0", "helpers never sleep for good", "test_threads.py"),
    fault("runtime/threads.cpp", "if (rank >= size_.load(std::memory_order_relaxed)) {", "if (rank < 0) {",
          "helpers beyond the count go on", "test_threads.py"),
    fault("parallel.h", "const int64_t length = max_of(grain, ceil_div(n, kPartials));",
          "const int64_t length = max_of(grain, ceil_div(n, 7 * context.size));", "partial sums cut by the number of threads", DETERMINISM),
    fault("parallel.h", "body(begin, min_of(n, begin + grain));", "body(begin, begin + grain);", "last run too long", "ops/test_activation.py", DETERMINISM),
]  # fmt: skip


def source(path):
    return path.read_text() if path.is_file() else ""


class Workshop:
    """A copy of the tree, its build folder, and the tests run on what was built."""

    def __init__(self, folder, isa, jobs, cuda):
        self.tree, self.build, self.jobs = folder / "tree", folder / "build", jobs
        self.sources, self.target = (
            (self.tree / "cuda", "nnx_cuda") if cuda else (self.tree / "csrc/cpu", "_core")
        )
        self.environment = {"NNX_TEST_DEVICES": "cuda", "NNX_TEST_PROGRAMS": "cuda"} if cuda else {}
        ignored = shutil.ignore_patterns("*.so", "__pycache__", ".*cache", "build")
        for name in ("csrc", "cuda", "python", "tests"):
            shutil.copytree(ROOT / name, self.tree / name, ignore=ignored)
        for name in ("CMakeLists.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, self.tree)
        pybind11 = subprocess.check_output(
            [sys.executable, "-m", "pybind11", "--cmakedir"], text=True
        ).strip()
        self.command("cmake", "-S", self.tree, "-B", self.build, f"-DNNX_CPU_ISAS={isa}", f"-Dpybind11_DIR={pybind11}",
                     f"-DPython_EXECUTABLE={sys.executable}", "-DSKBUILD_PROJECT_VERSION=0", "-DCMAKE_CXX_FLAGS_RELEASE=-O2",
                     "-DNNX_CUDA=OFF", f"-DNNX_CUDA_EMULATOR={'ON' if cuda else 'OFF'}",
                     f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={self.tree}/python/nnx")  # fmt: skip

    def command(self, *arguments):
        done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stdout[-3000:] + done.stderr[-3000:])

    def make(self, *targets):
        options = [word for target in targets for word in ("--target", target)]
        self.command("cmake", "--build", self.build, f"-j{self.jobs}", *options)

    def test(self, tests, *options, timeout=600):
        """pytest's exit status and output; a test that hangs has found something, too."""
        environment = os.environ | {"PYTHONPATH": str(self.tree / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
        environment |= self.environment
        for name in ("NNX_CPU", "NNX_CUDA_PLUGIN"):
            environment.pop(name, None)
        paths = [str(self.tree / "tests" / test) for test in tests]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *paths]
        try:
            done = subprocess.run(command, cwd=self.tree, env=environment, capture_output=True, text=True,
                                  timeout=timeout, check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            return 1, "ran too long"
        return done.returncode, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--isa", default="avx2", help="the instruction set to build for")
    parser.add_argument("--cuda", action="store_true", help="plant faults in the CUDA kernels")
    parser.add_argument("--only", default="", help="faults whose file or description contains this")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--allow-failing", action="store_true", help="leave out tests that fail without a fault"
    )
    parser.add_argument("--list", action="store_true", help="check that every fault can be planted, and stop")
    options = parser.parse_args()

    folder, planted = ("cuda", CUDA_FAULTS) if options.cuda else ("csrc/cpu", FAULTS)
    faults = [f for f in planted if options.only in f.file or options.only in f.what]
    broken = [f for f in faults if source(ROOT / folder / f.file).count(f.old) != 1]
    for f in broken:
        print(f"not found exactly once: {f.file}: {f.what}: {f.old!r}")
    if broken:
        return 2
    if options.list:
        print(f"{len(faults)} faults can be planted")
        return 0

    caught, missed, errors = 0, [], []
    with tempfile.TemporaryDirectory() as folder:
        shop = Workshop(Path(folder), options.isa, options.jobs, options.cuda)
        shop.make()
        status, output = shop.test(sorted({test for f in faults for test in f.tests}))
        failing = re.findall(r"^(?:FAILED|ERROR) (\S+?)(?: - .*)?$", output, re.MULTILINE)
        if status != 0:
            print(f"{len(failing)} tests fail without any fault:", *failing, sep="\n  ")
            if not (options.allow_failing and status == 1):
                print(output[-2000:])
                return 2
        left_out = [argument for test in failing for argument in ("--deselect", test)]
        for number, f in enumerate(faults, 1):
            start, path = time.perf_counter(), shop.sources / f.file
            sound = path.read_text()
            path.write_text(sound.replace(f.old, f.new))
            try:
                shop.make(shop.target)
            except RuntimeError as error:
                errors.append(f)
                print(f"does not compile: {f.file}: {f.what}\n{error}")
                continue
            finally:
                path.write_text(sound)
            status, output = shop.test(f.tests, "-x", *left_out)
            found = status in (1, 2) or status < 0
            if status > 2:
                errors.append(f)
                print(output[-2000:])
            caught += found
            if not found:
                missed.append(f)
            verdict = "caught" if found else "MISSED"
            print(
                f"{number:3}/{len(faults)} {verdict} {f.file}: {f.what} ({time.perf_counter() - start:.0f} s)",
                flush=True,
            )
    print(f"{caught} of {len(faults)} faults caught: {caught / max(1, len(faults)):.1%}")
    for f in missed:
        print(f"  missed: {f.file}: {f.what}")
    return 2 if errors else int(caught < SHARE * len(faults))


if __name__ == "__main__":
    sys.exit(main())
