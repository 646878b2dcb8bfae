"""Checks of what is given for models of several inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnx import data
from nnx._types import NDArray
from nnx.data import TargetKind
from nnx.graph import inputs as _inputs
from nnx.graph.inputs import InputShape, each, listed
from nnx.graph.tracing import Traced
from nnx.training.heads import Head


@dataclass(frozen=True)
class Parts:
    """The arrays of several inputs; with names where they are a dict for an only argument."""

    arrays: tuple[NDArray, ...]
    names: tuple[str, ...]


def takes_several(root: Any, built_for: InputShape | None) -> bool:
    """Whether a model takes more than one array."""
    return len(_inputs.names_of(root)) > 1 or (built_for is not None and _inputs.is_several(built_for))


def inputs(root: Any, x: Any, built_for: InputShape | None = None) -> Parts | None:
    """Checked arrays of several inputs; None where x is one, which is not looked at further."""
    names = _inputs.names_of(root)
    if len(names) == 1 and isinstance(x, dict) and names[0] in x and len(x) == 1:
        raise ValueError(f"argument 'x' expected an array for the only input '{names[0]}', got a dict")
    arranged = _inputs.arrange(names, x)
    if arranged is None:
        several = built_for is not None and _inputs.is_several(built_for)
        if not (several and isinstance(x, (list, tuple)) and len(x) == len(built_for)):  # type: ignore[arg-type]
            return None
        arranged = list(x), []
    given, keys = arranged
    called = keys or (names if len(names) == len(given) else [f"x[{k}]" for k in range(len(given))])
    arrays = tuple(data.features(part, name) for part, name in zip(given, called, strict=True))
    for array, name in zip(arrays, called, strict=True):
        if len(array) != len(arrays[0]):
            raise ValueError(
                f"argument 'x' expected arrays of one length, got {len(arrays[0])} for '{called[0]}' and "
                f"{len(array)} for '{name}'"
            )
    return Parts(arrays, tuple(keys))


def samples_of(x: Any) -> int:
    """The number of samples of what is given as x, at least 1."""
    first = next(iter(x.values())) if isinstance(x, dict) else x
    if isinstance(x, (list, tuple)) and len(x) > 0 and getattr(x[0], "ndim", 0) > 0:
        first = x[0] if len({part.shape[1:] for part in x}) > 1 or x[0].ndim > 1 else x
    return max(1, len(first))


def shape_of(xs: Any, names: Sequence[str] = ()) -> InputShape:
    """The shape of a sample, or those of several inputs."""
    shapes = each(lambda array: array.shape[1:], xs)
    if isinstance(xs, tuple) and names:
        return tuple(zip(names, shapes, strict=True))
    return shapes if isinstance(xs, tuple) else xs.shape[1:]


def is_several(y: Any) -> bool:
    """Whether these are targets by output: a dict, or arrays in a list or a tuple."""
    if isinstance(y, dict):
        return True
    return isinstance(y, (list, tuple)) and any(getattr(part, "ndim", 0) > 0 or part is None for part in y)


def _by_output(traced: Traced, given: Any, argument: str, partly: bool = False) -> list[Any]:
    if not traced.layout.several and not isinstance(given, (dict, list, tuple)):
        return [given]
    return list(traced.layout.by_output(given, argument, partly))


def expect_lengths(xs: Any, traced: Traced, y: Any, sample_weight: Any) -> int:
    """The number of samples; ValueError where targets have another one."""
    samples = len(listed(xs)[0])
    for name, part in zip(traced.layout.names, _by_output(traced, y, "y", partly=True), strict=True):
        if part is None:
            continue
        array = data.as_array(part, f"y['{name}']" if traced.layout.several else "y")
        if array.ndim == 0 or len(array) != samples:
            got = "a single number" if array.ndim == 0 else str(len(array))
            of = f" of output '{name}'" if traced.layout.several else ""
            raise ValueError(f"x and y{of} expected one length, got {samples} and {got}")
    return samples


def targets(traced: Traced, heads: list[Head], y: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Checked targets and their kinds by output; None where there is no loss."""
    arrays: list[NDArray | None] = []
    kinds: list[TargetKind | None] = []
    given = _by_output(traced, y, "y", partly=True)
    for head, symbol, part in zip(heads, traced.outputs, given, strict=True):
        if head.loss is None:
            arrays.append(None)
            kinds.append(None)
            continue
        if part is None:
            raise ValueError(f"argument 'y' expected targets for the output '{head.name}', got None")
        try:
            array, kind = head.loss.targets(data.as_array(part, "y"), symbol.sample_shape)
        except (TypeError, ValueError) as error:
            if not traced.layout.several:
                raise
            raise type(error)(f"output '{head.name}': {error}") from None
        arrays.append(array)
        kinds.append(kind)
    return tuple(arrays), tuple(kinds)


def weights(
    traced: Traced, heads: list[Head], given: Any, samples: int, dtype: str
) -> tuple[Any, ...] | None:
    """Checked sample weights by output: of one array the same for all."""
    if given is None:
        return None
    parts: list[Any] = [given] * len(heads)
    if isinstance(given, dict) or is_several(given):
        parts = _by_output(traced, given, "sample_weight", partly=True)
    checked: list[NDArray | None] = []
    for head, part in zip(heads, parts, strict=True):
        name = f"sample_weight['{head.name}']" if traced.layout.several else "sample_weight"
        weight = None if part is None else data.sample_weights(part, samples, name)
        if weight is not None:
            data.expect_representable(weight, dtype, name)
        checked.append(None if head.loss is None else weight)
    return None if all(weight is None for weight in checked) else tuple(checked)


def classes_of(y: Any, kind: Any) -> NDArray | None:
    """The class of every sample, by the first output whose targets are classes."""
    for part, own in zip(listed(y), listed(kind), strict=True):
        classes = None if part is None else data.classes_of(part, own)
        if classes is not None:
            return classes
    return None


def joined(parts: list[Any]) -> Any:
    """Batches of an array, or of each of several, one after the other."""
    if isinstance(parts[0], tuple):
        return tuple(None if part[0] is None else np.concatenate(part) for part in zip(*parts, strict=True))
    return np.concatenate(parts)


def joined_weights(parts: list[tuple[Any, int]]) -> Any:
    """The same of weights, of batches and their samples: those without weigh 1."""
    if all(weight is None for weight, _ in parts):
        return None
    several = next(weight for weight, _ in parts if weight is not None)
    if isinstance(several, tuple):
        columns = [
            joined_weights([(None if weight is None else weight[k], samples) for weight, samples in parts])
            for k in range(len(several))
        ]
        return tuple(columns)
    return np.concatenate(
        [np.ones(samples, np.float32) if weight is None else weight for weight, samples in parts]
    )
