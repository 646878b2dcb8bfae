// Expressions, their evaluation, sums and padding; the same as nodes of a graph
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "ops/arithmetic.h"
#include "program/graph.h"

namespace nnx::bindings {
namespace {

using ops::Expression;
using program::Graph;
using Arrays = std::vector<ArrayArgument>;
using Results = std::vector<ArrayResult>;

void expect_term(const Expression& expression, const char* name, int term) {
  const auto terms = static_cast<int>(expression.terms().size());
  if (term < 0 || term >= terms) {
    bad_value("expression", name, detail::concatenate("a term in [0, ", terms, ")"), term);
  }
}

int apply(Expression& expression, const std::string& operation, int a, int b) {
  const Operation parsed = ops::parse_operation("expression", operation);
  expect_term(expression, "a", a);
  if (is_binary(parsed)) expect_term(expression, "b", b);
  return expression.apply(parsed, a, is_binary(parsed) ? b : -1);
}

int input(Expression& expression, int index) {
  if (index < 0 || index >= kMostArrays) {
    bad_value("expression", "index", detail::concatenate("a number in [0, ", kMostArrays, ")"), index);
  }
  return expression.input(index);
}

std::vector<Tensor> read(Call& call, const Expression& expression, const Arrays& inputs) {
  if (static_cast<int>(inputs.size()) != expression.inputs() || inputs.empty()) {
    bad_value(call.where(), "inputs", detail::concatenate(expression.inputs(), " arrays"), inputs.size());
  }
  const char* const names[] = {"a", "b"};
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const char* const name = inputs.size() == 1 ? "x" : i < 2 ? names[i] : "inputs";
    tensors.push_back(call.array(name, inputs[i]));
  }
  return tensors;
}

Results give(const Call& call, const std::vector<Tensor>& tensors) {
  Results results;
  for (const Tensor& tensor : tensors) results.push_back(call.result(tensor));
  return results;
}

Results evaluate(const std::string& where, const Expression& expression, const Arrays& inputs) {
  Call call(where.c_str());
  const std::vector<Tensor> tensors = read(call, expression, inputs);
  return give(call, without_gil([&] { return ops::evaluate(call.where(), expression, tensors); }));
}

Results evaluate_backward(const std::string& where, const Expression& expression, const Arrays& dys,
                          const Arrays& inputs) {
  Call call(where.c_str());
  if (dys.size() != expression.results.size()) {
    bad_value(call.where(), "dys", detail::concatenate(expression.results.size(), " arrays"), dys.size());
  }
  std::vector<Tensor> gradients;
  for (const ArrayArgument& dy : dys) gradients.push_back(call.array("dy", dy));
  const std::vector<Tensor> tensors = read(call, expression, inputs);
  return give(call, without_gil([&] {
                return ops::evaluate_backward(call.where(), expression, gradients, tensors);
              }));
}

ArrayResult sum(const std::string& where, const ArrayArgument& x, const std::vector<int64_t>& axes,
                bool keepdims, double factor) {
  Call call(where.c_str());
  const Tensor tx = call.array("x", x);
  return call.result(without_gil([&] { return ops::sum(call.where(), tx, axes, keepdims, factor); }));
}

ArrayResult sum_backward(const std::string& where, const ArrayArgument& dy, const ShapeArgument& shape,
                         const std::vector<int64_t>& axes, bool keepdims, double factor) {
  Call call(where.c_str());
  const Tensor tdy = call.array("dy", dy);
  const Shape of = read_shape(call.where(), "shape", shape.object);
  return call.result(
      without_gil([&] { return ops::sum_backward(call.where(), tdy, of, axes, keepdims, factor); }));
}

ArrayResult pad(const ArrayArgument& x, const std::vector<std::pair<int64_t, int64_t>>& padding,
                double value) {
  Call call("pad");
  const Tensor tx = call.array("x", x);
  return call.result(without_gil([&] { return ops::pad("pad", tx, padding, value); }));
}

void add_expression(py::module_& m) {
  py::class_<Expression>(m, "Expression", "An expression of elementwise operations; terms by number.")
      .def(py::init<>())
      .def("input", &input, py::arg("index"), "The input of that number.")
      .def("constant", &Expression::constant, py::arg("value"), "A number.")
      .def("apply", &apply, py::arg("operation"), py::arg("a"), py::arg("b") = -1,
           "operation(a) or operation(a, b)")
      .def(
          "result",
          [](Expression& expression, int term) {
            expect_term(expression, "term", term);
            expression.results.push_back(term);
          },
          py::arg("term"), "Makes a term one of the results.");
}

void add_nodes(py::module_& m) {
  py::class_<Graph, std::shared_ptr<Graph>>(m.attr("Graph"))
      .def(
          "target",
          [](Graph& graph, const ShapeArgument& shape) {
            return graph.target(read_shape("target", "shape", shape.object));
          },
          py::arg("shape"), "What a loss compares an output with.")
      .def("constant", &Graph::constant, py::arg("value"), "A number, for arithmetic.")
      .def(
          "arithmetic",
          [](Graph& graph, const std::string& operation, const std::vector<int>& inputs) {
            const Operation parsed = ops::parse_operation("arithmetic", operation);
            const size_t wanted = is_binary(parsed) ? 2 : 1;
            if (inputs.size() != wanted) {
              bad_value("arithmetic", "inputs", detail::concatenate(wanted, " nodes"), inputs.size());
            }
            return graph.arithmetic(parsed, inputs);
          },
          py::arg("operation"), py::arg("inputs"),
          "Of values, parameters and constants, spread over each other.")
      .def("sum", &Graph::sum, py::arg("x"), py::arg("axes"), py::arg("keepdims"), py::arg("factor"),
           "factor * the sums over the axes, without the batch's; none: all others")
      .def("slice", &Graph::slice, py::arg("x"), py::arg("starts"), py::arg("counts"), py::arg("steps"),
           "Of each axis but the batch's `counts` elements from `starts` on.")
      .def("pad", &Graph::pad, py::arg("x"), py::arg("padding"), py::arg("value"),
           "(before, after) for each axis but the batch's");
}

}  // namespace

void init_arithmetic(py::module_& m) {
  add_expression(m);
  refuse_unmade<Expression>();
  m.def("evaluate", &evaluate, py::arg("where"), py::arg("expression"), py::arg("inputs"),
        "An expression's results, of the inputs' broadcast shape; errors name `where`.");
  m.def("evaluate_backward", &evaluate_backward, py::arg("where"), py::arg("expression"), py::arg("dys"),
        py::arg("inputs"), "Its gradients by the inputs.");
  m.def("sum", &sum, py::arg("where"), py::arg("x"), py::arg("axes"), py::arg("keepdims"), py::arg("factor"),
        "factor * the sums over the axes; none: over all");
  m.def("sum_backward", &sum_backward, py::arg("where"), py::arg("dy"), py::arg("shape"), py::arg("axes"),
        py::arg("keepdims"), py::arg("factor"), "dx of that shape");
  m.def("pad", &pad, py::arg("x"), py::arg("padding"), py::arg("value"),
        "x between (before, after) elements of `value` along each axis");
  add_nodes(m);
}

}  // namespace nnx::bindings
