"""Inputs brought to mean 0 and deviation 1, by numbers taken from data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnx import ops
from nnx._types import Shape
from nnx.graph.weight import Weight
from nnx.layers.base import Layer


class Normalization(Layer):
    """(x - mean) / sqrt(variance) for each feature or channel: `adapt(data)` takes both from data, before training.

    Args:
        axis: axes that keep numbers of their own, counted with the batch's as 0: -1, one pair for each feature or
            channel; None, one for all.
        mean, variance: instead of `adapt`: numbers or arrays of the shape of those axes.
        name: for summaries and state dicts.

    Raises:
        ValueError: where mean comes without variance, one is not finite, or a variance is below 0.

    A feature that never varies is only centred. The numbers are weights that training leaves alone: they are saved with
    the model. Keras divides by the larger of the deviation and 1e-7.
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: npt.ArrayLike | None = None,
        variance: npt.ArrayLike | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if (mean is None) != (variance is None):
            raise ValueError(
                "Normalization: argument 'mean' expected a 'variance' beside it, or neither, got one"
            )
        self.axis = axis if axis is None or isinstance(axis, int) else tuple(int(a) for a in axis)
        self.mean = None if mean is None else np.array(mean, np.float64)
        self.variance = None if variance is None else np.array(variance, np.float64)
        if self.mean is not None and not np.all(np.isfinite(self.mean)):
            raise ValueError(f"Normalization: argument 'mean' expected finite numbers, got {self.mean}")
        if self.variance is not None and not np.all(np.isfinite(self.variance) & (self.variance >= 0)):
            raise ValueError(
                f"Normalization: argument 'variance' expected finite numbers >= 0, got {self.variance}"
            )
        self._mean: Weight | None = None
        self._std: Weight | None = None

    def _kept(self, rank: int) -> list[int]:
        axes = [] if self.axis is None else [self.axis] if isinstance(self.axis, int) else list(self.axis)
        kept = sorted(axis % rank if -rank <= axis < rank else axis for axis in axes)
        if any(not 1 <= axis < rank for axis in kept):
            raise ValueError(
                f"Normalization: argument 'axis' expected axes of an array of {rank}, without the batch's, got {self.axis}"
            )
        return kept

    def adapt(self, data: npt.ArrayLike, batch_size: int | None = None) -> None:
        """Takes mean and variance from data (N, ...), as the model will be given them; forgets those before.

        Args:
            data: an array (N, ...) of numbers.
            batch_size: of no consequence; Keras has it.

        Raises:
            ValueError: where there are no samples, or numbers that are not finite.
        """
        array = np.asarray(data)
        if array.ndim == 1:
            array = array[:, None]
        if array.dtype.kind not in "fiub" or len(array) == 0:
            raise ValueError(
                f"adapt: argument 'data' expected numbers of shape (N, ...), got {array.dtype} of shape {array.shape}"
            )
        kept = self._kept(array.ndim)
        over = tuple(axis for axis in range(array.ndim) if axis not in kept)
        mean = np.asarray(np.mean(array, axis=over, dtype=np.float64))
        variance = np.asarray(np.var(array, axis=over, dtype=np.float64))
        if not (np.all(np.isfinite(mean)) and np.all(np.isfinite(variance))):
            raise ValueError("adapt: argument 'data' expected finite numbers, got NaN or infinity")
        self.mean, self.variance = mean, variance
        if self._mean is not None and self._std is not None:
            self._mean.assign(_spread(mean, self._mean.shape))
            self._std.assign(_spread(self._deviation(), self._std.shape))

    def _deviation(self) -> npt.NDArray[np.float64]:
        assert self.variance is not None
        deviation: npt.NDArray[np.float64] = np.sqrt(self.variance)
        return np.where(deviation == 0, 1.0, deviation)

    def build(self, input_shape: Shape) -> None:
        """Makes the fixed weights mean and std, with the extents of the axes that have numbers of their own."""
        if self.mean is None or self.variance is None:
            raise ValueError(
                "Normalization: expected mean and variance: call adapt(data) before the model is built or trained"
            )
        kept = self._kept(len(input_shape) + 1)
        shape = tuple(extent if axis + 1 in kept else 1 for axis, extent in enumerate(input_shape))
        size = int(np.prod(shape))
        for argument, numbers in (("mean", self.mean), ("variance", self.variance)):
            if numbers.size not in (1, size):
                raise ValueError(
                    f"Normalization: argument '{argument}' expected {size} numbers for inputs (N, "
                    f"{', '.join(map(str, input_shape))}), got {numbers.size}"
                )
        self._mean = self.add_weight("mean", shape, _spread(self.mean, shape), trainable=False)
        self._std = self.add_weight("std", shape, _spread(self._deviation(), shape), trainable=False)

    def forward(self, x: Any) -> Any:
        """(x - mean) / std."""
        return ops.divide(ops.subtract(x, self._mean), self._std)


def _spread(numbers: npt.NDArray[np.float64], shape: Shape) -> npt.NDArray[np.float64]:
    """One number, or one for each element of a weight of that shape, in that shape."""
    return np.broadcast_to(numbers.reshape(() if numbers.size == 1 else shape), shape)
