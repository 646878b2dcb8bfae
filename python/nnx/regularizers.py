"""Regularizers: penalties on the size of weights, added to the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from nnx._checks import number
from nnx._config import Configured, look_up
from nnx.graph import changes


class Regularizer(Configured):
    """l1 * sum |w| + l2 * sum w^2, with the gradient l1 * sign(w) + 2 * l2 * w, as in Keras.

    A layer's `kernel_regularizer` and `bias_regularizer` may be set, and `l1` and `l2` changed, at any time; they
    hold from the next call on. PyTorch has no regularizers; SGD's weight_decay there and here is l2 = weight_decay / 2
    that no loss reports.
    """

    l1: float = 0.0
    l2: float = 0.0

    def __setattr__(self, name: str, value: Any) -> None:
        changed = name in vars(self)  # not when it is made: no layer has it yet
        super().__setattr__(name, number(type(self).__name__, name, value) if name in ("l1", "l2") else value)
        if changed:
            changes.note()


class L1(Regularizer):
    """l1 * sum |w|.

    Args:
        l1: >= 0.
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = l1


class L2(Regularizer):
    """l2 * sum w^2.

    Args:
        l2: >= 0.
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = l2


class L1L2(Regularizer):
    """l1 * sum |w| + l2 * sum w^2.

    Args:
        l1: >= 0.
        l2: >= 0.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = l1, l2


# Keras's functions.
l1, l2, l1_l2 = L1, L2, L1L2

RegularizerLike: TypeAlias = str | Regularizer | type[L1] | type[L2] | type[L1L2] | None


_BY_NAME: dict[str, Callable[[], Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "l1_l2": lambda: L1L2(0.01, 0.01),
}


def get(regularizer: RegularizerLike) -> Regularizer | None:
    """A Regularizer from a Regularizer, its class, or a name: "l1", "l2" (0.01 each) or "l1_l2" (0.01 both).

    Raises:
        ValueError: for another name.
        TypeError: for anything else but None.
    """
    if regularizer is None or isinstance(regularizer, Regularizer):
        return regularizer
    if isinstance(regularizer, type) and issubclass(regularizer, (L1, L2, L1L2)):
        return regularizer()
    if not isinstance(regularizer, str):
        raise TypeError(
            f"argument 'regularizer' expected a name or a Regularizer, got {type(regularizer).__name__}"
        )
    return look_up("regularizer", "regularizer", regularizer, _BY_NAME)()
