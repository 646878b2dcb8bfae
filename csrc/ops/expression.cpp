#include "ops/expression.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace nnx::ops {
namespace {

struct Named {
  Operation operation;
  const char* name;
};

constexpr Named kNames[] = {
    {Operation::negate, "negate"},
    {Operation::absolute, "absolute"},
    {Operation::sign, "sign"},
    {Operation::exp, "exp"},
    {Operation::expm1, "expm1"},
    {Operation::log, "log"},
    {Operation::log1p, "log1p"},
    {Operation::sqrt, "sqrt"},
    {Operation::square, "square"},
    {Operation::reciprocal, "reciprocal"},
    {Operation::sigmoid, "sigmoid"},
    {Operation::tanh, "tanh"},
    {Operation::relu, "relu"},
    {Operation::add, "add"},
    {Operation::subtract, "subtract"},
    {Operation::multiply, "multiply"},
    {Operation::divide, "divide"},
    {Operation::power, "power"},
    {Operation::power_log, "power_log"},
    {Operation::maximum, "maximum"},
    {Operation::minimum, "minimum"},
    {Operation::greater, "greater"},
    {Operation::greater_equal, "greater_equal"},
};

double compute(Operation operation, double a, double b) {
  switch (operation) {
    case Operation::negate:
      return -a;
    case Operation::absolute:
      return std::fabs(a);
    case Operation::sign:
      return a > 0 ? 1.0 : a < 0 ? -1.0 : a;
    case Operation::exp:
      return std::exp(a);
    case Operation::expm1:
      return std::expm1(a);
    case Operation::log:
      return std::log(a);
    case Operation::log1p:
      return std::log1p(a);
    case Operation::sqrt:
      return std::sqrt(a);
    case Operation::square:
      return a * a;
    case Operation::reciprocal:
      return 1.0 / a;
    case Operation::sigmoid:
      return 1.0 / (1.0 + std::exp(-a));
    case Operation::tanh:
      return std::tanh(a);
    case Operation::relu:
      return a <= 0 ? 0.0 : a;
    case Operation::add:
      return a + b;
    case Operation::subtract:
      return a - b;
    case Operation::multiply:
      return a * b;
    case Operation::divide:
      return a / b;
    case Operation::power:
      return std::pow(a, b);
    case Operation::power_log:
      return a == 0.0 && b >= 0.0 ? 0.0 : std::pow(a, b) * std::log(a);
    case Operation::maximum:
      return std::isnan(b) || a <= b ? b : a;
    case Operation::minimum:
      return std::isnan(b) || a >= b ? b : a;
    case Operation::greater:
      return a > b ? 1.0 : 0.0;
    case Operation::greater_equal:
      return a >= b ? 1.0 : 0.0;
  }
  return 0.0;
}

// A reverse sweep: what each term's gradient is, -1 for none yet.
class Sweep {
 public:
  Sweep(const Expression& expression, const std::vector<bool>& wanted)
      : source_(expression), gradients_(expression.terms().size(), -1) {
    for (const Expression::Term& term : source_.terms()) depends_.push_back(depends(term, wanted));
  }

  Expression run(const std::vector<bool>& wanted) {
    // The terms again, under the same numbers, as nothing of them folds any more.
    for (const Expression::Term& term : source_.terms()) copies_.push_back(copy(term));
    for (size_t i = 0; i < source_.results.size(); ++i) {
      add(source_.results[i], to_.input(source_.inputs() + static_cast<int>(i)));
    }
    for (int id = static_cast<int>(source_.terms().size()) - 1; id >= 0; --id) {
      const Expression::Term& term = source_.term(id);
      const int dy = gradients_[static_cast<size_t>(id)];
      if (term.kind == Expression::Kind::operation && dy >= 0) pass_on(id, term, dy);
    }
    for (int input = 0; input < source_.inputs(); ++input) {
      if (!wanted[static_cast<size_t>(input)]) continue;
      int found = -1;
      for (size_t id = 0; id < gradients_.size(); ++id) {
        const Expression::Term& term = source_.terms()[id];
        if (term.kind == Expression::Kind::input && term.input == input) found = gradients_[id];
      }
      to_.results.push_back(found >= 0 ? found : to_.constant(0.0));
    }
    return std::move(to_);
  }

 private:
  bool depends(const Expression::Term& term, const std::vector<bool>& wanted) const {
    if (term.kind == Expression::Kind::input) return wanted[static_cast<size_t>(term.input)];
    if (term.kind == Expression::Kind::constant) return false;
    return depends_[static_cast<size_t>(term.a)] || (term.b >= 0 && depends_[static_cast<size_t>(term.b)]);
  }

  int copy(const Expression::Term& term) {
    if (term.kind == Expression::Kind::input) return to_.input(term.input);
    if (term.kind == Expression::Kind::constant) return to_.constant(term.value);
    return to_.apply(term.operation, copy_of(term.a), term.b < 0 ? -1 : copy_of(term.b));
  }
  int copy_of(int id) const { return copies_[static_cast<size_t>(id)]; }

  void add(int id, int gradient) {
    if (!depends_[static_cast<size_t>(id)]) return;
    int& sum = gradients_[static_cast<size_t>(id)];
    sum = sum < 0 ? gradient : to_.apply(Operation::add, sum, gradient);
  }

  int multiply(int a, int b) { return to_.apply(Operation::multiply, a, b); }
  int one_minus(int a) { return to_.apply(Operation::subtract, to_.constant(1.0), a); }

  void pass_on(int id, const Expression::Term& term, int dy) {
    const int a = copy_of(term.a), b = term.b < 0 ? -1 : copy_of(term.b), y = copy_of(id);
    switch (term.operation) {
      case Operation::negate:
        return add(term.a, to_.apply(Operation::negate, dy));
      case Operation::absolute:
        return add(term.a, multiply(dy, to_.apply(Operation::sign, a)));
      case Operation::exp:
        return add(term.a, multiply(dy, y));
      case Operation::expm1:
        return add(term.a, multiply(dy, to_.apply(Operation::exp, a)));
      case Operation::log:
        return add(term.a, to_.apply(Operation::divide, dy, a));
      case Operation::log1p:
        return add(term.a, to_.apply(Operation::divide, dy, to_.apply(Operation::add, a, to_.constant(1.0))));
      case Operation::sqrt:
        return add(term.a, to_.apply(Operation::divide, multiply(dy, to_.constant(0.5)), y));
      case Operation::square:
        return add(term.a, multiply(dy, multiply(to_.constant(2.0), a)));
      case Operation::reciprocal:
        return add(term.a, to_.apply(Operation::negate, multiply(dy, multiply(y, y))));
      case Operation::sigmoid:
        return add(term.a, multiply(dy, multiply(y, one_minus(y))));
      case Operation::tanh:
        return add(term.a, multiply(dy, one_minus(multiply(y, y))));
      case Operation::relu:
        return add(term.a, multiply(dy, to_.apply(Operation::greater, a, to_.constant(0.0))));
      case Operation::add:
        add(term.a, dy);
        return add(term.b, dy);
      case Operation::subtract:
        add(term.a, dy);
        if (depends_[static_cast<size_t>(term.b)]) add(term.b, to_.apply(Operation::negate, dy));
        return;
      case Operation::multiply:
        if (depends_[static_cast<size_t>(term.a)]) add(term.a, multiply(dy, b));
        if (depends_[static_cast<size_t>(term.b)]) add(term.b, multiply(dy, a));
        return;
      case Operation::divide: {
        const int da = to_.apply(Operation::divide, dy, b);
        add(term.a, da);
        if (depends_[static_cast<size_t>(term.b)]) {
          add(term.b, to_.apply(Operation::negate, multiply(da, y)));
        }
        return;
      }
      case Operation::power:
        if (depends_[static_cast<size_t>(term.a)]) {
          const int less = to_.apply(Operation::subtract, b, to_.constant(1.0));
          add(term.a, multiply(dy, multiply(b, to_.apply(Operation::power, a, less))));
        }
        if (depends_[static_cast<size_t>(term.b)]) {
          add(term.b, multiply(dy, to_.apply(Operation::power_log, a, b)));
        }
        return;
      case Operation::maximum:
        return share(term, dy, to_.apply(Operation::greater, a, b),
                     to_.apply(Operation::greater_equal, a, b));
      case Operation::minimum:
        return share(term, dy, to_.apply(Operation::greater, b, a),
                     to_.apply(Operation::greater_equal, b, a));
      case Operation::sign:
      case Operation::greater:
      case Operation::greater_equal:
      case Operation::power_log:
        return;  // constant almost everywhere, or only made by gradients
    }
  }

  // Between the two numbers of which the one chosen gets dy: equal ones get half each. A constant gets
  // nothing; the number that it bounds gets all where it is equal, as in a clip.
  void share(const Expression::Term& term, int dy, int above, int not_below) {
    const auto is_constant = [&](int id) { return source_.term(id).kind == Expression::Kind::constant; };
    if (is_constant(term.b)) return add(term.a, multiply(dy, not_below));
    if (is_constant(term.a)) return add(term.b, multiply(dy, one_minus(above)));
    const int part = multiply(to_.constant(0.5), to_.apply(Operation::add, above, not_below));
    add(term.a, multiply(dy, part));
    add(term.b, multiply(dy, one_minus(part)));
  }

  const Expression& source_;
  std::vector<int> gradients_;
  std::vector<bool> depends_;
  std::vector<int> copies_;  // of the terms, in to_
  Expression to_;
};

}  // namespace

Operation parse_operation(const char* where, const std::string& name) {
  for (const Named& named : kNames) {
    if (name == named.name) return named.operation;
  }
  bad_value(where, "operation", "the name of an elementwise operation", "'" + name + "'");
}

const char* name_of(Operation operation) {
  for (const Named& named : kNames) {
    if (operation == named.operation) return named.name;
  }
  return "?";
}

int Expression::append(const Term& term) {
  for (size_t id = 0; id < terms_.size(); ++id) {
    const Term& other = terms_[id];
    if (other.kind == term.kind && other.operation == term.operation && other.a == term.a &&
        other.b == term.b && other.input == term.input && other.value == term.value &&
        std::signbit(other.value) == std::signbit(term.value)) {
      return static_cast<int>(id);
    }
  }
  terms_.push_back(term);
  return static_cast<int>(terms_.size()) - 1;
}

int Expression::input(int index) {
  inputs_ = std::max(inputs_, index + 1);
  Term term{Kind::input};
  term.input = index;
  return append(term);
}

int Expression::constant(double value) {
  Term term{Kind::constant};
  term.value = value;
  return append(term);
}

std::optional<double> Expression::value_of(int id) const {
  if (id < 0 || term(id).kind != Kind::constant) return std::nullopt;
  return term(id).value;
}

int Expression::apply(Operation operation, int a, int b) {
  const std::optional<double> of_a = value_of(a), of_b = value_of(b);
  if (of_a && (of_b || !is_binary(operation))) return constant(compute(operation, *of_a, of_b.value_or(0.0)));
  if (operation == Operation::multiply && of_b == 1.0) return a;
  if (operation == Operation::multiply && of_a == 1.0) return b;
  if (operation == Operation::divide && of_b == 1.0) return a;
  if (operation == Operation::power && of_b) {
    if (*of_b == 0.0) return constant(1.0);
    if (*of_b == 1.0) return a;
    if (*of_b == 2.0) return apply(Operation::square, a);
    if (*of_b == 0.5) return apply(Operation::sqrt, a);
    if (*of_b == -1.0) return apply(Operation::reciprocal, a);
  }
  Term term{Kind::operation};
  term.operation = operation;
  term.a = a;
  term.b = b;
  return append(term);
}

Expression gradient(const Expression& expression, const std::vector<bool>& wanted) {
  return Sweep(expression, wanted).run(wanted);
}

std::optional<ExpressionCode> encode(const Expression& expression) {
  using Kind = Expression::Kind;
  const std::vector<Expression::Term>& terms = expression.terms();
  // When each term is read for the last time; results until the end, others that nobody reads never.
  std::vector<int> last(terms.size(), -1);
  for (int result : expression.results) last[static_cast<size_t>(result)] = static_cast<int>(terms.size());
  for (size_t id = terms.size(); id-- > 0;) {
    if (last[id] < 0 || terms[id].kind != Kind::operation) continue;
    for (int operand : {terms[id].a, terms[id].b}) {
      if (operand >= 0)
        last[static_cast<size_t>(operand)] =
            std::max(last[static_cast<size_t>(operand)], static_cast<int>(id));
    }
  }
  ExpressionCode code;
  code.inputs = expression.inputs();
  if (code.inputs > kMostArrays || expression.results.size() > kMostArrays) return std::nullopt;
  std::vector<uint8_t> operands(terms.size(), 0);
  std::vector<int> busy_until(kMostSlots, -1);
  for (size_t id = 0; id < terms.size(); ++id) {
    const Expression::Term& term = terms[id];
    if (last[id] < 0) continue;
    if (term.kind == Kind::input) {
      operands[id] = static_cast<uint8_t>(kFirstArray + term.input);
    } else if (term.kind == Kind::constant) {
      if (code.constants == kMostConstants) return std::nullopt;
      code.constant[code.constants] = term.value;
      operands[id] = static_cast<uint8_t>(kFirstConstant + code.constants++);
    } else {
      // An operand read here for the last time may leave its slot to the result.
      const auto slot = std::find_if(busy_until.begin(), busy_until.end(),
                                     [&](int until) { return until <= static_cast<int>(id); });
      if (slot == busy_until.end() || code.instructions == kMostInstructions) return std::nullopt;
      *slot = last[id];
      const auto to = static_cast<uint8_t>(slot - busy_until.begin());
      code.slots = std::max(code.slots, to + 1);
      const uint8_t a = operands[static_cast<size_t>(term.a)];
      const uint8_t b = term.b < 0 ? a : operands[static_cast<size_t>(term.b)];
      code.instruction[code.instructions++] = {term.operation, to, a, b};
      operands[id] = to;
    }
  }
  for (int result : expression.results) {
    code.result[code.results++] = operands[static_cast<size_t>(result)];
  }
  return code;
}

}  // namespace nnx::ops
