"""Elementwise functions as expressions: written once, they take arrays, Symbols, and the terms they are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx import _core
from nnx.graph.operators import Operators, is_number
from nnx.graph.symbol import Symbol


class Term(Operators):
    """A part of an expression that is being written down."""

    __slots__ = ("expression", "id")

    def __init__(self, expression: _core.Expression, id: int) -> None:
        self.expression = expression
        self.id = id

    def apply(self, operation: str, operands: Sequence[Any]) -> Term:
        """Operation(operands), of terms and numbers, this term among them."""
        ids = [self._id_of(operand) for operand in operands]
        return Term(self.expression, self.expression.apply(operation, *ids))

    def _id_of(self, operand: Any) -> int:
        if isinstance(operand, Term):
            if operand.expression is not self.expression:
                raise ValueError("expected terms of one expression, got two of different ones")
            return operand.id
        if is_number(operand):
            return self.expression.constant(float(operand))
        raise TypeError(
            f"an elementwise function expected numbers and the arrays it is given, got {type(operand).__name__}"
        )


def traced(
    where: str, function: Callable[..., Any], operands: Sequence[Any]
) -> tuple[_core.Expression, list[Any]]:
    """The expression of a function's operands, numbers as constants, and those that are arrays."""
    expression = _core.Expression()
    arrays = [operand for operand in operands if not is_number(operand)]
    terms = iter([Term(expression, expression.input(index)) for index in range(len(arrays))])
    result = function(*(operand if is_number(operand) else next(terms) for operand in operands))
    if is_number(result):
        result = Term(expression, expression.constant(float(result)))
    if not isinstance(result, Term):
        raise TypeError(
            f"{where}: argument 'function' expected one that returns what nnx.ops and operators make of its "
            f"arguments, got {type(result).__name__} from it"
        )
    expression.result(result.id)
    return expression, arrays


def apply(name: str, function: Callable[..., Any], operands: Sequence[Any]) -> Any:
    """function(*operands), in one pass over memory where they are arrays."""
    if any(isinstance(operand, (Symbol, Term)) for operand in operands):
        return function(*operands)
    if all(is_number(operand) for operand in operands):
        operands = [np.asarray(operands[0], np.float64), *operands[1:]]
    expression, arrays = traced(name, function, operands)
    return _core.evaluate(name, expression, arrays)[0]


def apply_backward(name: str, function: Callable[..., Any], dy: Any, operands: Sequence[Any]) -> list[Any]:
    """The gradients by the operands that are arrays."""
    expression, arrays = traced(name, function, operands)
    return _core.evaluate_backward(name, expression, [dy], arrays)
