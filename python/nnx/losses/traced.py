"""Losses made of operations: a formula, traced once like a model's `forward`, runs within the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from nnx import data
from nnx._checks import number
from nnx._types import NDArray, Reduction, Shape
from nnx.data import TargetKind
from nnx.graph.symbol import Symbol
from nnx.losses import formulas
from nnx.losses.base import Loss
from nnx.losses.fused import FromLogits, takes_logits


class TracedLoss(Loss):
    """A loss that `formula(y_true, y_pred)` says, with operators and `nnx.ops`.

    Subclasses write `formula`, which takes targets and outputs of one shape (N, ..., K), symbols or arrays, and returns
    losses (N, ...) or (N, ..., K). Their mean over all axes is what is reported; a sample's weight multiplies its own.
    Labels (N,) for outputs (N, K) come to the formula one-hot.
    """

    kind: ClassVar[str] = "traced"

    def formula(self, y_true: Any, y_pred: Any) -> Any:
        """The losses of samples or of outputs."""
        raise NotImplementedError(f"{type(self).__name__} expected a method formula(self, y_true, y_pred)")

    def targets(self, y: Any, output_shape: Shape) -> tuple[NDArray, TargetKind]:
        """Targets of the output's shape, and whether they are distributions; labels as one-hot rows."""
        array = data.as_array(y, "y")
        classes = output_shape[-1] if output_shape else 1
        if array.dtype.kind in "iu" and len(output_shape) == 1 and classes > 1 and array.size == len(array):
            labels, kind = data.class_targets(array.reshape(-1), output_shape)
            if kind == "labels":
                return np.eye(classes, dtype=np.float32)[labels], "one_hot"
        array = data.values(array, output_shape)
        if (
            classes > 1
            and array.size
            and array.min() >= 0
            and np.allclose(array.sum(axis=-1), 1.0, atol=1e-4)
        ):
            return array, "one_hot"
        return array, "values"

    def for_output(self, activation: str | None) -> TracedLoss:
        """The loss of a model that ends in `activation`."""
        return self

    def spec_of(self, targets: TargetKind, output: Any) -> dict[str, Any]:
        """The loss of a model's output, a Symbol, as the core takes it: with its nodes in the graph."""
        known = output.trace.losses
        key = (id(self), output.node)
        if key not in known:
            known[key] = (self, self._nodes(output))  # the loss is held, that its id stays its own
        return {**self.spec(targets, output.activation), **known[key][1]}

    def _nodes(self, output: Symbol) -> dict[str, int]:
        """Adds the loss of an output to its graph: the nodes of its values and of its targets."""
        graph = output.trace.graph
        graph.scope("loss")
        try:
            target = output.derive(graph.target(output.sample_shape))
            value = self.for_output(output.activation).formula(target, output.derive(output.node))
        finally:
            graph.scope("")
        if not isinstance(value, Symbol):
            raise TypeError(
                f"{self.says} expected to return what operators and nnx.ops make of y_true and y_pred, "
                f"got {type(value).__name__}"
            )
        return {"node": value.node, "target": target.node}

    @property
    def says(self) -> str:
        """What messages call the formula."""
        return f"{type(self).__name__}.formula"

    def _value(self, y: NDArray, y_pred: NDArray, weight: NDArray | None) -> Any:
        values = np.asarray(self.for_output("probabilities").formula(y, y_pred))
        if values.shape[:1] != y_pred.shape[:1]:
            raise ValueError(f"{self.says} expected losses of shape ({len(y_pred)}, ...), got {values.shape}")
        if weight is not None:
            values = values * weight.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
        if self.reduction == "none":
            return values
        return values.sum(dtype=np.float64) if self.reduction == "sum" else values.mean(dtype=np.float64)


class FunctionLoss(TracedLoss):
    """The loss that a function f(y_true, y_pred) of one's own says: what `compile(loss=f)` makes of f.

    Args:
        function: see `TracedLoss.formula`. A model that is to be saved needs one with a name, known by `nnx.register`.
        reduction: "mean" or "sum"; "none" on arrays alone.
    """

    def __init__(self, function: Callable[[Any, Any], Any], reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        if not callable(function):
            raise TypeError(
                f"argument 'loss' expected a name, a Loss or a function, got {type(function).__name__}"
            )
        self.function = function

    def formula(self, y_true: Any, y_pred: Any) -> Any:
        """See the function."""
        return self.function(y_true, y_pred)

    @property
    def says(self) -> str:
        """What messages call the formula."""
        return f"loss function '{getattr(self.function, '__name__', self.function)}'"


class MeanAbsolutePercentageError(TracedLoss):
    """100 * mean of |t - y| / max(|t|, 1e-7) over all outputs of all samples."""

    def formula(self, y_true: Any, y_pred: Any) -> Any:
        """See `formulas.mean_absolute_percentage_error`."""
        return formulas.mean_absolute_percentage_error(y_true, y_pred)


class MeanSquaredLogarithmicError(TracedLoss):
    """Mean of (log(1 + y) - log(1 + t))^2 over all outputs of all samples, numbers below 1e-7 raised to it."""

    def formula(self, y_true: Any, y_pred: Any) -> Any:
        """See `formulas.mean_squared_logarithmic_error`."""
        return formulas.mean_squared_logarithmic_error(y_true, y_pred)


class _Signed(TracedLoss):
    def targets(self, y: Any, output_shape: Shape) -> tuple[NDArray, TargetKind]:
        """Targets -1 and 1, made of 0 and 1 where these are all there are."""
        array, _ = super().targets(y, output_shape)
        if array.size and np.all((array == 0) | (array == 1)):
            array = 2.0 * array - 1.0
        return array, "values"


class Hinge(_Signed):
    """Mean of max(1 - t y, 0), for targets -1 and 1, or 0 and 1, which count as these (Cortes and Vapnik 1995)."""

    def formula(self, y_true: Any, y_pred: Any) -> Any:
        """See `formulas.hinge`."""
        return formulas.hinge(y_true, y_pred)


class SquaredHinge(_Signed):
    """Mean of max(1 - t y, 0)^2, for targets -1 and 1, or 0 and 1, which count as these."""

    def formula(self, y_true: Any, y_pred: Any) -> Any:
        """See `formulas.squared_hinge`."""
        return formulas.squared_hinge(y_true, y_pred)


class KLDivergence(TracedLoss):
    """Sum of t log(t / y) over the last axis, of distributions; the mean over samples (Kullback and Leibler 1951)."""

    def formula(self, y_true: Any, y_pred: Any) -> Any:
        """See `formulas.kl_divergence`."""
        return formulas.kl_divergence(y_true, y_pred)


class Poisson(TracedLoss):
    """Mean of y - t log(y + 1e-7) over all outputs: counts t, of which y is the expected number."""

    def formula(self, y_true: Any, y_pred: Any) -> Any:
        """See `formulas.poisson`."""
        return formulas.poisson(y_true, y_pred)


class LogCosh(TracedLoss):
    """Mean of log(cosh(y - t)) over all outputs: e^2 / 2 for small errors, |e| - log 2 for large ones."""

    def formula(self, y_true: Any, y_pred: Any) -> Any:
        """See `formulas.log_cosh`."""
        return formulas.log_cosh(y_true, y_pred)


class CosineSimilarity(TracedLoss):
    """Minus the cosine of the angle between t and y, along the last axis: -1 where they agree; the mean over samples."""

    def formula(self, y_true: Any, y_pred: Any) -> Any:
        """See `formulas.cosine_similarity`."""
        return formulas.cosine_similarity(y_true, y_pred)


class _Focal(TracedLoss):
    def __init__(self, gamma: float, from_logits: FromLogits, reduction: Reduction) -> None:
        super().__init__(reduction)
        self.gamma = number(type(self).__name__, "gamma", gamma)
        if from_logits not in (True, False, "auto"):
            raise ValueError(f"argument 'from_logits' expected True, False or 'auto', got {from_logits!r}")
        self.from_logits = from_logits
        self._logits = from_logits is True

    def for_output(self, activation: str | None) -> TracedLoss:
        """The same, with logits told from probabilities."""
        again = type(self).from_config(self.get_config())
        again._logits = takes_logits(self.from_logits, activation)
        return again


class BinaryFocalCrossentropy(_Focal):
    """a (1 - p)^gamma * -log(p), p the probability of the right answer; the mean over all outputs (Lin et al. 2017).

    Args:
        apply_class_balancing: whether the weight a is alpha for answers 1 and 1 - alpha for answers 0; else 1.
        alpha: that weight, in [0, 1].
        gamma: at least 0; 0 makes it the cross-entropy.
        from_logits: as for `BinaryCrossentropy`.
        reduction: "mean" or "sum"; "none" on arrays alone.
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: FromLogits = "auto",
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(gamma, from_logits, reduction)
        self.apply_class_balancing = bool(apply_class_balancing)
        self.alpha = number("BinaryFocalCrossentropy", "alpha", alpha, high=1.0)

    def formula(self, y_true: Any, y_pred: Any) -> Any:
        """See `formulas.binary_focal_crossentropy`."""
        alpha = self.alpha if self.apply_class_balancing else None
        return formulas.binary_focal_crossentropy(y_true, y_pred, alpha, self.gamma, self._logits)


class CategoricalFocalCrossentropy(_Focal):
    """-alpha (1 - p)^gamma log(p), p the probability of the right class; the mean over samples (Lin et al. 2017).

    Args:
        alpha: a weight, in [0, 1].
        gamma: at least 0; 0 makes it alpha times the cross-entropy.
        from_logits: as for `CategoricalCrossentropy`.
        reduction: "mean" or "sum"; "none" on arrays alone.
    """

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: FromLogits = "auto",
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(gamma, from_logits, reduction)
        self.alpha = number("CategoricalFocalCrossentropy", "alpha", alpha, high=1.0)

    def formula(self, y_true: Any, y_pred: Any) -> Any:
        """See `formulas.categorical_focal_crossentropy`."""
        return formulas.categorical_focal_crossentropy(y_true, y_pred, self.alpha, self.gamma, self._logits)
