"""Checks and conversions of what users give as data, before the core sees it.

Arrays that the core takes as they are (float32, float64, uint8; memory-mapped ones too) are never copied.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nnx import _core, seeds
from nnx._checks import warn
from nnx._types import ClassWeight, NDArray, Shape

TargetKind: TypeAlias = Literal["labels", "one_hot", "values"]
# Of several outputs one each, None where there is no loss.
TargetKinds: TypeAlias = TargetKind | tuple[TargetKind | None, ...]

_CORE_DTYPES = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.uint8))


def is_batches(x: Any) -> bool:
    """Whether x is an iterable of batches, such as a generator or a list of (x, y) pairs, not an array."""
    if hasattr(x, "__array__") or isinstance(x, (str, bytes, dict, range)):
        return False
    if isinstance(x, (list, tuple)):
        return len(x) > 0 and isinstance(x[0], (list, tuple)) and len(x[0]) in (2, 3) and _has_arrays(x[0][0])
    return hasattr(x, "__iter__")


def _has_arrays(x: Any) -> bool:
    if isinstance(x, dict):
        return all(_is_array(part) for part in x.values())
    return _is_array(x) or (isinstance(x, (list, tuple)) and len(x) > 0 and all(map(_is_array, x)))


def _is_array(x: Any) -> bool:
    return hasattr(x, "__array__") and np.ndim(x) > 0


def as_array(x: Any, name: str) -> NDArray:
    """X as an ndarray of real numbers; TypeError otherwise."""
    try:
        array = np.asarray(x.numpy() if isinstance(x, _core.Tensor) else x)
    except ValueError as error:  # lists of unequal lengths
        raise ValueError(f"argument '{name}' expected an array: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"argument '{name}' expected real numbers, got dtype {array.dtype}")
    return array


def features(x: Any, name: str = "x") -> NDArray:
    """Inputs (N, ...) as the core takes them; (N,) becomes (N, 1).

    bool becomes uint8; float16 and integers of 16 bits or less become float32, wider ones float64.
    """
    array = as_array(x, name)
    if array.ndim == 0:
        raise ValueError(f"argument '{name}' expected an array of samples, got a single number")
    if array.ndim == 1:
        array = array[:, None]
    return np.ascontiguousarray(_core_dtype(array))


# What to do about images of (N, C, H, W); reshape would scramble their pixels.
TRANSPOSE = "images of (N, C, H, W), as PyTorch has them, become (N, H, W, C) by x.transpose(0, 2, 3, 1)"


def looks_channels_first(shape: Shape) -> bool:
    """Whether samples may be images (C, H, W): 1 or 3 channels, then two wide axes of similar length."""
    if len(shape) != 3 or shape[0] not in (1, 3):
        return False
    return min(shape[1:]) >= 8 and max(shape[1:]) <= 2 * min(shape[1:])


def is_turned(got: Shape, expected: Shape) -> bool:
    """Whether samples are (C, H, W) where (H, W, C) are expected."""
    return len(got) == len(expected) == 3 and got == (expected[2], *expected[:2]) and got != expected


def shape_hint(got: Shape, expected: Shape) -> str:
    """What to do about samples of another shape than expected, where that can be guessed."""
    if (*got, 1) == expected:
        return "; add the channel axis: x[..., None]"
    if is_turned(got, expected):
        return f"; {TRANSPOSE}"
    if got == expected[1:] or (got == (1,) and len(expected) == 1):
        return "; if x is one sample: x[None] is a batch of one"
    if looks_channels_first(got):
        return f"; {TRANSPOSE}"
    if math.prod(got) == math.prod(expected):
        return f"; reshape it: x.reshape(-1, {', '.join(map(str, expected))})"
    return ""


def _core_dtype(array: NDArray) -> NDArray:
    if array.dtype.newbyteorder("=") in _CORE_DTYPES:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    return array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)


def floats(x: Any, name: str) -> NDArray:
    """X as float32 or float64."""
    array = _core_dtype(as_array(x, name))
    return array.astype(np.float32) if array.dtype == np.uint8 else array


def _finite(array: NDArray, name: str) -> NDArray:
    # min and max carry NaN, and make no temporary array
    if array.size and not (np.isfinite(array.min()) and np.isfinite(array.max())):
        raise ValueError(f"argument '{name}' expected finite numbers, got NaN or infinity")
    return array


def values(y: Any, output_shape: Shape, name: str = "y") -> NDArray:
    """Targets (N, *output_shape) of a pointwise loss; (N,) will do where there is one output."""
    array = _finite(floats(y, name), name)
    if array.ndim == 1 and output_shape == (1,):
        array = array[:, None]
    elif array.shape[1:] == (1,) and output_shape == ():
        array = array[:, 0]
    if array.ndim == 0 or array.shape[1:] != output_shape:
        shape = ", ".join(["N", *map(str, output_shape)])
        raise ValueError(f"argument '{name}' expected targets of shape ({shape}), got {array.shape}")
    return np.ascontiguousarray(array)


def class_targets(y: Any, output_shape: Shape, name: str = "y") -> tuple[NDArray, TargetKind]:
    """Labels (N,) or distributions (N, K), whichever y is."""
    if len(output_shape) != 1:
        got = ", ".join(map(str, ("N", *output_shape)))
        raise ValueError(f"a cross-entropy over classes expected a model with outputs (N, K), got ({got})")
    classes = output_shape[0]
    if classes < 2:
        raise ValueError(
            "a cross-entropy over classes expected two or more outputs, got 1: use 'bce', or Dense(2)"
        )
    array = as_array(y, name)
    if array.ndim == 2 and array.shape[1] == classes:
        array = _finite(floats(array, name), name)
        if array.size and array.min() < 0:
            raise ValueError(f"argument '{name}' expected probabilities >= 0, got {array.min()}")
        _warn_of_sums(array, name)
        return np.ascontiguousarray(array), "one_hot"
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"argument '{name}' expected labels (N,) or distributions (N, {classes}), got shape {array.shape}"
        )
    return labels(array, classes, name), "labels"


def _warn_of_sums(array: NDArray, name: str) -> None:
    with np.errstate(over="ignore"):
        sums = array.sum(axis=1)
    off = np.abs(sums - 1) > 1e-2  # more than rounding to float16 adds up to
    if off.any():
        row = int(np.argmax(off))
        warn(
            f"argument '{name}' expected distributions (N, K) whose rows sum to 1, and row {row} sums to "
            f"{sums[row]:.6g}; for several labels to a sample train sigmoid outputs with 'bce'"
        )


def labels(y: NDArray, classes: int, name: str = "y") -> NDArray:
    """Labels in [0, classes) as uint8, int32 or int64; ValueError names the first bad one."""
    if y.dtype.kind == "f":
        whole = np.isfinite(y) & (y == np.floor(y))
        if not whole.all():
            bad = int(np.argmin(whole))
            raise ValueError(f"argument '{name}' expected labels, got {y[bad]} at index {bad}")
    if y.dtype not in (np.uint8, np.int32, np.int64):
        y = y.view(np.uint8) if y.dtype == np.bool_ else y.astype(np.int64)
    y = np.ascontiguousarray(y)
    _core.check_labels(y, classes, name)
    return y


def sample_weights(weight: npt.ArrayLike, samples: int, name: str = "sample_weight") -> NDArray:
    """Weights (N,) of samples: finite and not negative, float64."""
    array = _finite(as_array(weight, name).astype(np.float64), name)
    if array.shape != (samples,):
        raise ValueError(f"argument '{name}' expected shape ({samples},), got {array.shape}")
    if array.size and array.min() < 0:
        raise ValueError(f"argument '{name}' expected weights >= 0, got {array.min()}")
    return np.ascontiguousarray(array)


def expect_representable(weight: NDArray, dtype: str, name: str) -> None:
    """ValueError where a weight is larger than the dtype holds."""
    largest = weight.max(initial=0.0)
    if largest > np.finfo(dtype).max:
        raise ValueError(f"argument '{name}' expected weights that {dtype} holds, got {largest}")


def classes_of(y: NDArray, kind: TargetKind) -> NDArray | None:
    """The class of every sample; None where targets are no classes."""
    if kind == "labels":
        return y
    if kind == "one_hot":
        return np.asarray(y.argmax(axis=1))
    if y.shape[1:] == (1,) and np.all((y == 0) | (y == 1)):
        return y[:, 0].astype(np.int64)
    return None


def _largest(labels: NDArray, least: int) -> int:
    """The largest label, or `least` where there are none."""
    return int(labels.max()) if labels.size else least


def class_weights(
    class_weight: ClassWeight, y: NDArray, kind: TargetKind, count: int | None = None
) -> NDArray:
    """The weight of every sample by its class, of `count`; classes that a dict leaves out weigh 1."""
    classes = (y[:, 0] > 0.5).astype(np.int64) if y.shape[1:] == (1,) else classes_of(y, kind)
    if classes is None:
        raise ValueError("argument 'class_weight' expected targets that are classes, got other values")
    if isinstance(class_weight, dict):
        top = max([_largest(classes, 0), *map(int, class_weight)])
        table = np.ones(top + 1)
        for label, weight in class_weight.items():
            if int(label) != label or label < 0:
                raise ValueError(f"argument 'class_weight' expected labels >= 0 as keys, got {label!r}")
            if count is not None and label >= count:
                raise ValueError(
                    f"argument 'class_weight' expected labels in [0, {count}), the model's classes, as keys, "
                    f"got {label!r}"
                )
            table[int(label)] = weight
    else:
        table = np.asarray(class_weight, dtype=np.float64)
        if table.ndim != 1 or len(table) <= _largest(classes, -1):
            raise ValueError(
                f"argument 'class_weight' expected a weight for each of {_largest(classes, -1) + 1} classes, "
                f"got shape {table.shape}"
            )
        if count is not None and len(table) > count:
            raise ValueError(
                f"argument 'class_weight' expected a weight for each of the model's {count} classes, "
                f"got {len(table)}"
            )
    return np.asarray(sample_weights(table, len(table), "class_weight")[classes])


def split(
    samples: int, share: float, classes: NDArray | None, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Shuffled rows to train on, and `share` of all to validate with, each class in proportion."""
    if not 0 < share < 1:
        raise ValueError(f"argument 'validation_split' expected a number in [0, 1), got {share}")
    rows = seeds.generator(seed, -1).permutation(samples)
    if classes is not None:
        rows = rows[np.argsort(classes[rows], kind="stable")]
    # sorted by class, evenly spaced picks take the same share of each
    picks = np.floor(np.arange(1, samples + 1) * share) > np.floor(np.arange(samples) * share)
    if not picks.any() or picks.all():
        raise ValueError(
            f"argument 'validation_split' expected a share that leaves samples on both sides, "
            f"got {share} of {samples}"
        )
    return np.sort(rows[~picks]), np.sort(rows[picks])


def unpack(batch: Any) -> tuple[Any, Any, Any]:
    """A batch (x, y) or (x, y, sample_weight) as a triple."""
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
        got = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise ValueError(f"expected (x, y) or (x, y, sample_weight), got {got}")
    return (*batch, None) if len(batch) == 2 else tuple(batch)


def inputs_of(batch: Any) -> Any:
    """X of a batch that is x, or (x,), (x, y), (x, y, sample_weight)."""
    whole = isinstance(batch, list) and not (0 < len(batch) <= 3 and _is_array(batch[0]))
    if whole or not isinstance(batch, (tuple, list)):
        return batch
    if not 1 <= len(batch) <= 3:
        raise ValueError(f"expected batches x, (x, y) or (x, y, sample_weight), got {len(batch)} parts")
    return batch[0]
