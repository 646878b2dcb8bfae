"""Layers that change images at random while a model trains, and pass them on as they are when it predicts.

They work inside the program, on its device, on batches (N, H, W, C) as they are gathered; nothing is written
back to the data. What a sample undergoes depends on the model's seed, the layer's place in the model, the step
and the sample's row in the step, and on nothing else: a resumed run sees what the unbroken one would have seen,
on every device. As the first layers of a model they cost no backward pass.

Arguments and defaults are Keras's. A `seed` of one's own takes the place of the model's.

    model = nnx.Sequential([
        nnx.augment.RandomFlip("horizontal"),
        nnx.augment.RandomTranslation(0.1, 0.1),
        nnx.Conv2D(8, 3), ...
    ])
"""

from __future__ import annotations

from typing import Any

from nnx import ops
from nnx._checks import integer, number
from nnx.graph.symbol import may_train
from nnx.layers.base import Layer
from nnx.ops._factors import Factor, FillMode, Flip, Interpolation, contrast_range, symmetric_range

__all__ = ["RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation"]

_FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")
_FILLS = ("reflect", "constant", "nearest", "wrap")
_INTERPOLATIONS = ("bilinear", "nearest")


class RandomFlip(Layer):
    """While training, mirrors each sample with probability 1/2, see `nnx.ops.random_flip`.

    Args:
        mode: "horizontal" (left and right), "vertical" (up and down) or "horizontal_and_vertical": each of the
            two with probability 1/2.
        seed: an int in [0, 2^64); None: the model's.
        name: the layer's.
    """

    def __init__(
        self, mode: Flip = "horizontal_and_vertical", seed: int | None = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.mode = _one_of("RandomFlip", "mode", mode, _FLIPS)
        self.seed = _seed("RandomFlip", seed)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.random_flip`; arrays come back as they are, for nothing is being trained."""
        return ops.random_flip(x, self.mode, self.seed) if may_train(x) else x


class RandomTranslation(Layer):
    """While training, moves each sample down and to the right by random parts of its height and width.

    Args:
        height_factor: a number f in [0, 1]: by -f to f of the height; or a pair (low, high) within [-1, 1]. Less
            than 0 is up.
        width_factor: the same of the width. Less than 0 is to the left.
        fill_mode: what comes in from outside: "reflect" (b a | a b c | c b), "constant" (`fill_value`), "nearest"
            (a a | a b c | c c) or "wrap" (b c | a b c | a b).
        interpolation: "bilinear" moves by fractions of pixels; "nearest" by whole pixels, and keeps the values.
        seed: an int in [0, 2^64); None: the model's.
        fill_value: see `fill_mode`.
        name: the layer's.
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: FillMode = "reflect",
        interpolation: Interpolation = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        where = "RandomTranslation"
        symmetric_range(where, "height_factor", height_factor)
        symmetric_range(where, "width_factor", width_factor)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self.fill_mode = _one_of(where, "fill_mode", fill_mode, _FILLS)
        self.interpolation = _one_of(where, "interpolation", interpolation, _INTERPOLATIONS)
        self.seed = _seed(where, seed)
        self.fill_value = number(where, "fill_value", fill_value, -float("inf"))

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.random_translation`; arrays come back as they are, for nothing is being trained."""
        if not may_train(x):
            return x
        return ops.random_translation(
            x,
            self.height_factor,
            self.width_factor,
            self.fill_mode,
            self.interpolation,
            self.fill_value,
            self.seed,
        )


class RandomCrop(Layer):
    """A window of each sample, at a random place while training, else in the middle.

    (N, H, W, C) -> (N, height, width, C). Unlike Keras's, each sample is cropped at a place of its own, and images
    are never resized: those smaller than the window are an error.

    Args:
        height: an int in [1, H].
        width: an int in [1, W].
        seed: an int in [0, 2^64); None: the model's.
        name: the layer's.
    """

    def __init__(self, height: int, width: int, seed: int | None = None, name: str | None = None) -> None:
        super().__init__(name)
        self.height = integer("RandomCrop", "height", height)
        self.width = integer("RandomCrop", "width", width)
        self.seed = _seed("RandomCrop", seed)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.random_crop` and, for arrays, `nnx.ops.center_crop`."""
        if may_train(x):
            return ops.random_crop(x, self.height, self.width, self.seed)
        return ops.center_crop(x, self.height, self.width)


class RandomRotation(Layer):
    """While training, turns each sample about its centre by a random angle.

    Args:
        factor: a number f in [0, 1]: by -f to f of a full turn; or a pair (low, high) within [-1, 1].
            Counterclockwise.
        fill_mode: as in `RandomTranslation`, like `interpolation` and `fill_value`.
        interpolation: see `fill_mode`.
        seed: an int in [0, 2^64); None: the model's.
        fill_value: see `fill_mode`.
        name: the layer's.
    """

    def __init__(
        self,
        factor: Factor,
        fill_mode: FillMode = "reflect",
        interpolation: Interpolation = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        where = "RandomRotation"
        symmetric_range(where, "factor", factor)
        self.factor = factor
        self.fill_mode = _one_of(where, "fill_mode", fill_mode, _FILLS)
        self.interpolation = _one_of(where, "interpolation", interpolation, _INTERPOLATIONS)
        self.seed = _seed(where, seed)
        self.fill_value = number(where, "fill_value", fill_value, -float("inf"))

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.random_rotation`; arrays come back as they are, for nothing is being trained."""
        if not may_train(x):
            return x
        return ops.random_rotation(
            x, self.factor, self.fill_mode, self.interpolation, self.fill_value, self.seed
        )


class RandomContrast(Layer):
    """While training, (x - mean) * f + mean with a random f for each sample, and the mean of each of its channels.

    Args:
        factor: (lower, upper), in [0, 1]: f is uniform in [1 - lower, 1 + upper]; one number is both.
        value_range: what comes out is clipped to it: (0, 1) for images of such values.
        seed: an int in [0, 2^64); None: the model's.
        name: the layer's.
    """

    def __init__(
        self,
        factor: Factor,
        value_range: tuple[float, float] = (0, 255),
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        contrast_range("RandomContrast", factor)
        bounds = value_range if isinstance(value_range, (tuple, list)) else ()
        if len(bounds) != 2 or not bounds[0] < bounds[1]:
            raise ValueError(
                "RandomContrast: argument 'value_range' expected two numbers, the second larger, "
                f"got {value_range!r}"
            )
        self.factor = factor
        self.value_range = value_range
        self.seed = _seed("RandomContrast", seed)

    def forward(self, x: Any) -> Any:
        """See `nnx.ops.random_contrast`; arrays come back as they are, for nothing is being trained."""
        if not may_train(x):
            return x
        return ops.random_contrast(x, self.factor, self.value_range, self.seed)


def _one_of(where: str, argument: str, value: Any, names: tuple[str, ...]) -> Any:
    if value not in names:
        raise ValueError(f"{where}: argument '{argument}' expected one of {', '.join(names)}, got {value!r}")
    return value


def _seed(where: str, seed: int | None) -> int | None:
    return None if seed is None else integer(where, "seed", seed, 0)
