#include "ops/arithmetic.h"

#include <algorithm>

#include "ops/checks.h"

namespace nnx::ops {

std::vector<int64_t> strides_of(const Shape& shape) { return broadcast_strides(shape, shape); }

std::vector<int64_t> broadcast_strides(const Shape& shape, const Shape& all) {
  std::vector<int64_t> strides(static_cast<size_t>(all.rank()), 0);
  int64_t stride = 1;
  for (int64_t axis = shape.rank() - 1, to = all.rank() - 1; axis >= 0; --axis, --to) {
    if (shape[axis] == all[to]) strides[static_cast<size_t>(to)] = stride;
    stride *= shape[axis];
  }
  return strides;
}

Shape broadcast_shape(const char* where, const std::vector<Shape>& shapes) {
  int64_t rank = 0;
  for (const Shape& shape : shapes) rank = std::max(rank, shape.rank());
  std::vector<int64_t> dims(static_cast<size_t>(rank), 1);
  for (const Shape& shape : shapes) {
    for (int64_t axis = 0; axis < shape.rank(); ++axis) {
      int64_t& extent = dims[static_cast<size_t>(rank - shape.rank() + axis)];
      if (extent == 1) extent = shape[axis];
      if (shape[axis] != extent && shape[axis] != 1) {
        bad_value(where, "b",
                  detail::concatenate("a shape whose extents, from the last, equal those of ", shapes[0],
                                      " or are 1"),
                  shape);
      }
    }
  }
  return Shape(std::move(dims));
}

std::vector<int64_t> resolve_axes(const char* where, const std::vector<int64_t>& axes, int64_t rank) {
  std::vector<int64_t> resolved;
  for (int64_t axis : axes) resolved.push_back(resolve_axis(where, axis, rank));
  if (axes.empty()) {
    for (int64_t axis = 0; axis < rank; ++axis) resolved.push_back(axis);
  }
  std::sort(resolved.begin(), resolved.end());
  const auto twice = std::adjacent_find(resolved.begin(), resolved.end());
  if (twice != resolved.end())
    bad_value(where, "axis", "axes that differ", detail::concatenate(*twice, " twice"));
  return resolved;
}

Shape reduced_shape(const Shape& shape, const std::vector<int64_t>& axes, bool keepdims) {
  std::vector<int64_t> dims;
  for (int64_t axis = 0; axis < shape.rank(); ++axis) {
    const bool reduced = std::binary_search(axes.begin(), axes.end(), axis);
    if (!reduced) dims.push_back(shape[axis]);
    if (reduced && keepdims) dims.push_back(1);
  }
  return Shape(std::move(dims));
}

std::vector<SumPass> sum_passes(const Shape& shape, const std::vector<int64_t>& axes) {
  std::vector<SumPass> passes;
  int64_t inner = 1;
  for (int64_t axis = shape.rank() - 1; axis >= 0; --axis) {
    if (!std::binary_search(axes.begin(), axes.end(), axis)) {
      inner *= shape[axis];
      continue;
    }
    int64_t reduced = shape[axis];
    while (axis > 0 && std::binary_search(axes.begin(), axes.end(), axis - 1)) reduced *= shape[--axis];
    passes.push_back({shape.elements(0, axis), reduced, inner});
  }
  return passes;
}

std::vector<int64_t> repeated_axes(const Shape& shape, const Shape& all) {
  std::vector<int64_t> axes;
  const int64_t more = all.rank() - shape.rank();
  for (int64_t axis = 0; axis < all.rank(); ++axis) {
    if (axis < more || shape[axis - more] != all[axis]) axes.push_back(axis);
  }
  return axes;
}

void Layout::collapse() {
  std::vector<size_t> kept = {0};  // the axes that stay, their extents and strides put in place
  for (size_t axis = 1; axis < extents.size(); ++axis) {
    if (extents[axis] == 1) continue;
    const size_t before = kept.back();
    const bool one = std::all_of(strides.begin(), strides.end(), [&](const std::vector<int64_t>& of) {
      return of[before] == of[axis] * extents[axis];
    });
    if (!one) {
      kept.push_back(axis);
      continue;
    }
    extents[before] *= extents[axis];
    for (std::vector<int64_t>& of : strides) of[before] = of[axis];
  }
  const auto pick = [&](const std::vector<int64_t>& from) {
    std::vector<int64_t> to;
    for (size_t axis : kept) to.push_back(from[axis]);
    return to;
  };
  extents = pick(extents);
  for (std::vector<int64_t>& of : strides) of = pick(of);
}

template <class T>
Evaluation<T> Layout::evaluation(const char* where, int inputs) const {
  if (extents.size() > kMostAxes) {
    bad_value(where, "x",
              detail::concatenate("arrays of at most ", kMostAxes,
                                  " axes that differ in how they are gone through"),
              extents.size());
  }
  Evaluation<T> work;
  work.axes = static_cast<int32_t>(extents.size());
  std::copy(extents.begin(), extents.end(), work.extents);
  for (size_t i = 0; i < strides.size(); ++i) {
    const auto place = static_cast<int>(i);
    int64_t* const to = place < inputs ? work.inputs[place].strides : work.results[place - inputs].strides;
    std::copy(strides[i].begin(), strides[i].end(), to);
    if (place >= inputs) work.policies[place - inputs] = Policy::assign;
  }
  return work;
}

template Evaluation<float> Layout::evaluation(const char*, int) const;
template Evaluation<double> Layout::evaluation(const char*, int) const;

namespace {

// With a first axis of one sample, as programs have it.
std::vector<int64_t> with_sample_axis(std::vector<int64_t> strides, const Shape& all) {
  strides.insert(strides.begin(), all.rank() > 0 ? strides[0] * all[0] : 1);
  return strides;
}

Layout layout_of(const Shape& all, std::vector<std::vector<int64_t>> strides) {
  Layout layout{all.with_leading(1).dims(), {}};
  for (std::vector<int64_t>& of : strides) layout.strides.push_back(with_sample_axis(std::move(of), all));
  layout.collapse();
  return layout;
}

ExpressionCode expect_code(const char* where, const Expression& expression) {
  const std::optional<ExpressionCode> code = encode(expression);
  if (!code)
    bad_value(where, "expression", "one that fits a kernel",
              detail::concatenate(expression.terms().size(), " terms"));
  return *code;
}

// results[i] + offsets[i] = or += the expression, by the strides of inputs and results in turn
void run_expression(const char* where, const Expression& expression, const Shape& all,
                    std::vector<std::vector<int64_t>> strides, const std::vector<Tensor>& inputs,
                    const std::vector<Tensor>& results, int64_t offset = 0) {
  if (all.elements() == 0) return;
  const Tensor& like = results[0];
  const ExpressionCode code = expect_code(where, expression);
  const Layout layout = layout_of(all, std::move(strides));
  Device& device = device_of(like.device());
  dispatch(like.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Evaluation<T> work = layout.evaluation<T>(where, static_cast<int>(inputs.size()));
    for (size_t i = 0; i < inputs.size(); ++i) work.inputs[i].data = inputs[i].data<T>();
    for (size_t i = 0; i < results.size(); ++i) work.results[i].data = results[i].data<T>() + offset;
    const auto& kernels = device.table<T>().arithmetic;
    run(device, static_cast<double>(all.elements()) * (1.0 + code.instructions), 0,
        [&](Context& context) { kernels.evaluate(context, code, work); });
  });
}

void expect_alike(const char* where, const std::vector<Tensor>& inputs) {
  const char* const names[] = {"a", "b"};
  for (size_t i = 0; i < inputs.size(); ++i) {
    const char* const name = inputs.size() == 1 ? "x" : i < 2 ? names[i] : "inputs";
    expect_float(where, name, inputs[i]);
    expect_like(where, name, inputs[i], inputs[0]);
  }
}

std::vector<Shape> shapes_of(const std::vector<Tensor>& tensors) {
  std::vector<Shape> shapes;
  for (const Tensor& tensor : tensors) shapes.push_back(tensor.shape());
  return shapes;
}

}  // namespace

std::vector<Tensor> evaluate(const char* where, const Expression& expression,
                             const std::vector<Tensor>& inputs) {
  expect_alike(where, inputs);
  const Shape all = broadcast_shape(where, shapes_of(inputs));
  std::vector<std::vector<int64_t>> strides;
  for (const Tensor& input : inputs) strides.push_back(broadcast_strides(input.shape(), all));
  std::vector<Tensor> results;
  for (size_t i = 0; i < expression.results.size(); ++i) {
    results.push_back(Tensor::empty(all, inputs[0].dtype(), inputs[0].device()));
    strides.push_back(strides_of(all));
  }
  run_expression(where, expression, all, std::move(strides), inputs, results);
  return results;
}

std::vector<Tensor> evaluate_backward(const char* where, const Expression& expression,
                                      const std::vector<Tensor>& dys, const std::vector<Tensor>& inputs) {
  expect_alike(where, inputs);
  const Shape all = broadcast_shape(where, shapes_of(inputs));
  std::vector<Tensor> given = inputs;
  for (const Tensor& dy : dys) {
    expect_like(where, "dy", dy, inputs[0]);
    expect_shape(where, "dy", dy.shape(), all);
    given.push_back(dy);
  }
  const Expression backward = gradient(expression, std::vector<bool>(inputs.size(), true));
  std::vector<std::vector<int64_t>> strides;
  for (const Tensor& input : given) strides.push_back(broadcast_strides(input.shape(), all));
  std::vector<Tensor> spread, results;
  for (size_t i = 0; i < inputs.size(); ++i) {
    spread.push_back(Tensor::empty(all, inputs[0].dtype(), inputs[0].device()));
    strides.push_back(strides_of(all));
  }
  run_expression(where, backward, all, std::move(strides), given, spread);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::vector<int64_t> axes = repeated_axes(inputs[i].shape(), all);
    results.push_back(axes.empty() ? spread[i]
                                   : sum(where, spread[i], axes, false, 1.0).reshaped(inputs[i].shape()));
  }
  return results;
}

Tensor sum(const char* where, const Tensor& x, const std::vector<int64_t>& axes, bool keepdims,
           double factor) {
  expect_float(where, "x", x);
  const std::vector<int64_t> resolved = resolve_axes(where, axes, x.rank());
  std::vector<SumPass> passes = sum_passes(x.shape(), resolved);
  if (passes.empty()) passes.push_back({x.elements(), 1, 1});  // of a scalar
  const Shape shape = reduced_shape(x.shape(), resolved, keepdims);
  Device& device = device_of(x.device());
  Tensor from = x;
  for (size_t i = 0; i < passes.size(); ++i) {
    const SumPass pass = passes[i];
    const Tensor to = Tensor::empty(Shape{pass.outer * pass.inner}, x.dtype(), x.device());
    const double by = i + 1 == passes.size() ? factor : 1.0;
    dispatch(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto& kernels = device.table<T>().arithmetic;
      run(device, static_cast<double>(from.elements()), 0, [&](Context& context) {
        kernels.sum(context, pass.outer, pass.reduced, pass.inner, by, from.data<T>(), Policy::assign,
                    to.data<T>());
      });
    });
    from = to;
  }
  return from.reshaped(shape);
}

Tensor sum_backward(const char* where, const Tensor& dy, const Shape& shape, const std::vector<int64_t>& axes,
                    bool keepdims, double factor) {
  expect_float(where, "dy", dy);
  expect_size(where, "shape", shape);
  const std::vector<int64_t> resolved = resolve_axes(where, axes, shape.rank());
  expect_shape(where, "dy", dy.shape(), reduced_shape(shape, resolved, keepdims));
  Expression expression;
  expression.results = {
      expression.apply(Operation::multiply, expression.input(0), expression.constant(factor))};
  const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
  const Shape kept = reduced_shape(shape, resolved, true);
  run_expression(where, expression, shape, {broadcast_strides(kept, shape), strides_of(shape)}, {dy}, {dx});
  return dx;
}

Tensor pad(const char* where, const Tensor& x, const std::vector<std::pair<int64_t, int64_t>>& padding,
           double value) {
  expect_float(where, "x", x);
  const Shape shape = padded_shape(where, x.shape(), padding);
  const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  const std::vector<int64_t> strides = strides_of(shape);
  int64_t offset = 0;
  for (size_t axis = 0; axis < padding.size(); ++axis) offset += padding[axis].first * strides[axis];
  Device& device = device_of(x.device());
  dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto& kernels = device.table<T>().elementwise;
    run(device, static_cast<double>(y.elements()), 0,
        [&](Context& context) { kernels.fill(context, y.elements(), value, y.data<T>()); });
  });
  Expression expression;
  expression.results = {expression.input(0)};
  run_expression(where, expression, x.shape(), {strides_of(x.shape()), strides}, {x}, {y}, offset);
  return y;
}

Shape padded_shape(const char* where, const Shape& shape,
                   const std::vector<std::pair<int64_t, int64_t>>& padding) {
  if (static_cast<int64_t>(padding.size()) != shape.rank()) {
    bad_value(where, "padding", detail::concatenate("a pair for each of ", shape.rank(), " axes"),
              padding.size());
  }
  std::vector<int64_t> dims = shape.dims();
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    expect_at_least(where, "padding", padding[axis].first, 0);
    expect_at_least(where, "padding", padding[axis].second, 0);
    if (__builtin_add_overflow(dims[axis], padding[axis].first, &dims[axis]) ||
        __builtin_add_overflow(dims[axis], padding[axis].second, &dims[axis])) {
      bad_value(where, "padding", "fewer than 2^63 elements", padding[axis].first);
    }
  }
  const Shape padded(std::move(dims));
  expect_size(where, "padding", padded);
  return padded;
}

}  // namespace nnx::ops
