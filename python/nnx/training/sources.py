"""Where samples come from while a model trains: arrays, or an iterable of batches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnx import _core, data
from nnx._types import ClassWeight
from nnx.data import TargetKinds
from nnx.graph.inputs import InputShape, each, listed
from nnx.training import advice, devices, several
from nnx.training.learner import Learner
from nnx.training.streams import Stream, warn_of_end


@dataclass
class Arrays:
    """Checked arrays, as the core takes them; `rows` is the part that is meant, None for all.

    Of several inputs and outputs x, y, kind and weight are tuples, with None where there is nothing.
    """

    x: Any
    y: Any
    kind: TargetKinds
    weight: Any
    rows: npt.NDArray[np.int64] | None = None
    resident: tuple[Any, Any, Any] | None = None
    largest: int | None = None  # rows of the largest of the batches they are joined of
    names: tuple[str, ...] = ()  # of the inputs, where they are given as a dict to an only argument

    @property
    def shape(self) -> InputShape:
        """The shape of a sample; of several inputs all of theirs."""
        if not isinstance(self.x, tuple):
            return self.x.shape[1:]
        return several.shape_of(self.x, self.names)

    @property
    def fed(self) -> tuple[Any, Any, Any]:
        """x, y and weight as a program is to read them."""
        return self.resident or (self.x, self.y, self.weight)

    @property
    def moved(self) -> bool:
        """Whether they lie on the model's device: copies, checked before, that nobody else can change."""
        return self.resident is not None

    def move(self, device: str, dtype: str) -> None:
        """Copies the arrays to a device, where they stay; those that do not fit stream from the host."""
        if device == "cpu":
            return
        weight = each(lambda array: array.astype(dtype), self.weight)
        given = [array for part in (self.x, self.y, weight) for array in listed(part) if array is not None]
        stats = _core.cuda_memory_stats(devices.device_index(device))
        if sum(array.nbytes for array in given) > (stats["free"] + stats["cached"]) // 2:
            return

        def there(part: Any) -> Any:
            return each(lambda array: _core.tensor(array, device=device), part)

        self.resident = (there(self.x), there(self.y), there(weight))

    @property
    def samples(self) -> int:
        """The number of samples meant."""
        return len(listed(self.x)[0]) if self.rows is None else len(self.rows)

    def head(self, count: int) -> Arrays:
        """The first samples of arrays that are meant whole."""
        x, y, weight = (each(lambda array: array[:count], part) for part in (self.x, self.y, self.weight))
        return Arrays(x, y, self.kind, weight, names=self.names)

    def split(self, share: float, seed: int) -> tuple[Arrays, Arrays]:
        """A part to train on, without a copy, and a copied part to validate with."""
        classes = several.classes_of(self.y, self.kind)
        train, held_out = data.split(self.samples, share, classes, seed)

        def picked(part: Any) -> Any:
            return each(lambda array: np.ascontiguousarray(array[held_out]), part)

        return (
            Arrays(self.x, self.y, self.kind, self.weight, train, names=self.names),
            Arrays(picked(self.x), picked(self.y), self.kind, picked(self.weight), names=self.names),
        )


def join(parts: list[Arrays]) -> Arrays:
    """Batches one after the other, as one array each; ValueError where samples differ in shape."""
    if len(parts) == 1:
        return parts[0]
    if len({(part.shape, each(lambda y: y.shape[1:], part.y), part.kind) for part in parts}) > 1:
        raise ValueError(
            "argument 'x' expected batches of one shape of sample in each step that they accumulate to"
        )
    return Arrays(
        several.joined([part.x for part in parts]),
        several.joined([part.y for part in parts]),
        parts[0].kind,
        several.joined_weights([(part.weight, part.samples) for part in parts]),
        largest=max(part.samples for part in parts),
        names=parts[0].names,
    )


@dataclass
class Batches(Stream):
    """An iterable of batches to train on or to evaluate."""

    class_weight: ClassWeight = None

    def steps(self, learner: Learner, accumulate: int) -> Iterator[Arrays]:
        """What a step each is made of: `accumulate` batches, the last time perhaps fewer."""
        batches = self.prepared(learner)
        while parts := list(itertools.islice(batches, accumulate)):
            yield join(parts)

    def prepared(self, learner: Learner) -> Iterator[Arrays]:
        """The batches, checked; ValueError where there are none."""
        for batch in self.given(learner.graphs.lock):
            x, y, weight = data.unpack(batch)
            yield arrays(learner, x, y, weight, self.class_weight)


Source: TypeAlias = Arrays | Batches


def source(
    learner: Learner,
    x: Any,
    y: Any,
    sample_weight: npt.ArrayLike | None = None,
    class_weight: ClassWeight = None,
) -> Source:
    """A Source of what the user gave as x and y."""
    if data.is_batches(x):
        if y is not None:
            raise ValueError("argument 'y' expected None beside batches: put the targets into them")
        if sample_weight is not None:
            raise ValueError("argument 'sample_weight' expected None beside batches: put it into them")
        return Batches(x, class_weight=class_weight)
    if y is None:
        raise ValueError("argument 'y' expected targets beside an array x, got None")
    return arrays(learner, x, y, sample_weight, class_weight)


def arrays(
    learner: Learner,
    x: Any,
    y: Any,
    sample_weight: npt.ArrayLike | None = None,
    class_weight: ClassWeight = None,
) -> Arrays:
    """Checked arrays; builds the model where that has not happened."""
    assert learner.loss is not None
    parts = several.inputs(learner.graphs.root, x, learner.graphs.input_shape)
    if parts is not None or several.is_several(y):
        return _several(learner, parts, x, y, sample_weight, class_weight)
    inputs, targets = data.features(x), data.as_array(y, "y")
    if targets.ndim == 0 or len(inputs) != len(targets):
        got = "a single number" if targets.ndim == 0 else str(len(targets))
        raise ValueError(f"x and y expected one length, got {len(inputs)} and {got}")
    traced = learner.graph(inputs.shape[1:])
    if traced.layout.several or learner.by_output:
        return _several(learner, None, inputs, y, sample_weight, class_weight)
    try:
        prepared, kind = learner.loss.targets(targets, traced.output_shape)
    except ValueError as error:
        raise ValueError(f"{error}{advice.flatten_hint(traced, targets.shape[1:])}") from None
    weight = None if sample_weight is None else data.sample_weights(sample_weight, len(inputs))
    if class_weight is not None:
        classes = 2 if kind == "values" else traced.output_shape[-1]
        by_class = data.class_weights(class_weight, prepared, kind, classes)
        if weight is not None:
            with np.errstate(over="ignore"):
                by_class = weight * by_class
        weight = by_class
    if weight is not None:
        names = {"sample_weight": sample_weight, "class_weight": class_weight}
        given = " times ".join(name for name, value in names.items() if value is not None)
        data.expect_representable(weight, learner.dtype, given)
    return Arrays(inputs, prepared, kind, weight)


def _several(
    learner: Learner, parts: several.Parts | None, x: Any, y: Any, sample_weight: Any, class_weight: Any
) -> Arrays:
    """Checked arrays of a model of several inputs or outputs."""
    xs = data.features(x) if parts is None else parts.arrays
    names = () if parts is None else parts.names
    traced = learner.graph(several.shape_of(xs, names))
    heads = learner.heads(traced)
    if class_weight is not None and traced.layout.several:
        raise ValueError(
            "argument 'class_weight' expected None for a model of several outputs: use sample_weight"
        )
    samples = several.expect_lengths(xs, traced, y, sample_weight)
    ys: Any
    kinds: Any
    ys, kinds = several.targets(traced, heads, y)
    weights: Any = several.weights(traced, heads, sample_weight, samples, learner.dtype)
    if not traced.layout.several:
        ys, kinds, weights = ys[0], kinds[0], None if weights is None else weights[0]
        if class_weight is not None:
            classes = 2 if kinds == "values" else traced.output_shape[-1]
            by_class = data.class_weights(class_weight, ys, kinds, classes)
            weights = by_class if weights is None else weights * by_class
    return Arrays(xs, ys, kinds, weights, names=names)


def held_out(learner: Learner, given: Any) -> Source:
    """A Source of `validation_data`; errors name it."""
    try:
        root, built_for = learner.graphs.root, learner.graphs.input_shape
        whole = isinstance(given, tuple) and several.takes_several(root, built_for)
        batches = data.is_batches(given) and not whole
        found = source(learner, *(given, None) if batches else data.unpack(given))
    except (TypeError, ValueError) as error:
        raise type(error)(f"argument 'validation_data': {error}") from None
    if isinstance(found, Batches):
        found.name = "validation_data"
    return found


def batch(
    learner: Learner,
    x: Any,
    y: Any,
    sample_weight: npt.ArrayLike | None = None,
    class_weight: ClassWeight = None,
) -> Arrays:
    """Checked arrays of at least one sample, for a step; what fails leaves an unbuilt model unbuilt."""
    with learner.graphs.tentative():
        part = arrays(learner, x, y, sample_weight, class_weight)
        expect_samples("x", part)
    return part


def check_first(learner: Learner, source: Source, argument: str) -> None:
    """Checks the first of batches, where it can be had without harm; of an iterator it is put back."""
    if not isinstance(source, Batches):
        return
    for batch in source.first(learner.graphs.lock):
        try:
            arrays(learner, *data.unpack(batch), source.class_weight)
        except (TypeError, ValueError) as error:
            source.close()
            raise type(error)(f"argument '{argument}', first batch: {error}") from None


def limited(source: Source, steps: int | None, batch_size: int, argument: str) -> Source:
    """The first `steps` batches, each time that they are gone through; a warning where there are fewer."""
    if steps is None:
        return source
    if isinstance(source, Batches):
        source.limit, source.limited_by = steps, argument
        return source
    there = math.ceil(source.samples / batch_size)
    if there < steps:
        warn_of_end("x", argument, steps, there)
    return source.head(steps * batch_size)


def close(*given: Source | None) -> None:
    """Ends what goes through batches."""
    for source in given:
        if isinstance(source, Batches):
            source.close()


def expect_samples(argument: str, source: Source | None) -> None:
    """ValueError where there are arrays of no samples."""
    if isinstance(source, Arrays) and source.samples == 0:
        raise ValueError(f"argument '{argument}' expected at least one sample, got none")
