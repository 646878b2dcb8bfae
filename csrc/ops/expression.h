// Expressions of elementwise operations: how they are built, differentiated, and put into a kernel's form.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernels/arithmetic.h"

namespace nnx::ops {

// ValueError where there is none of that name.
Operation parse_operation(const char* where, const std::string& name);
const char* name_of(Operation operation);

// Terms in an order in which each comes after its operands. Equal terms are one; what depends on constants
// alone is one.
class Expression {
 public:
  enum class Kind { input, constant, operation };
  struct Term {
    Kind kind;
    Operation operation{};
    int a = -1, b = -1;  // terms
    int input = -1;
    double value = 0.0;
  };

  int input(int index);
  int constant(double value);
  // Of an operation of one operand, b is left out.
  int apply(Operation operation, int a, int b = -1);

  const std::vector<Term>& terms() const { return terms_; }
  const Term& term(int id) const { return terms_[static_cast<size_t>(id)]; }
  int inputs() const { return inputs_; }

  std::vector<int> results;  // terms

 private:
  int append(const Term& term);
  std::optional<double> value_of(int id) const;

  std::vector<Term> terms_;
  int inputs_ = 0;
};

// What the gradients of a scalar by the expression's inputs are, for those that are wanted: an expression of
// the same inputs and behind them the gradients by its results.
Expression gradient(const Expression& expression, const std::vector<bool>& wanted);

// Nothing where it is larger than a kernel takes.
std::optional<ExpressionCode> encode(const Expression& expression);

}  // namespace nnx::ops
