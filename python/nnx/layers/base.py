"""The base of all layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nnx import _html, initializers, regularizers
from nnx._checks import number, sample_shape
from nnx._config import Configured, snake_case
from nnx._core import Tensor
from nnx._types import NDArray, Shape
from nnx.graph import changes
from nnx.graph.inputs import shape_of, symbols_in
from nnx.graph.store import frozen
from nnx.graph.symbol import Symbol
from nnx.graph.weight import Weight, assign_all
from nnx.initializers import InitializerLike
from nnx.layers.keras_calls import AsItRuns, forward_of, mode
from nnx.regularizers import Regularizer, RegularizerLike


class Layer(Configured):
    """Something with weights and a `forward`.

    To write one, make the weights in `build` with `add_weight`, and use them in `forward` with `nnx.ops`:

        class Scaled(nnx.Layer):
            def build(self, input_shape):
                self.kernel = self.add_weight("kernel", (input_shape[-1], 8), "he_normal")

            def forward(self, x):
                return nnx.ops.dense(x, self.kernel) * 0.5
    """

    # False keeps the weights as they are, from the next call on.
    trainable: bool = True
    # A factor >= 0 on the learning rate, for all weights inside, from the next call on; those of a layer and of
    # the layers around it are multiplied.
    learning_rate_multiplier: float = 1.0
    _settings = ("trainable", "learning_rate_multiplier")
    _hidden: ClassVar[tuple[str, ...]] = (
        "ensure_built", "first_shape", "given_name", "own_weights", "regularizer_of",
    )  # fmt: skip
    # Keras's input_shape: the samples' shape where it was given to a layer, for a Sequential that it begins.
    first_shape: Shape | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "call" in vars(cls) and "forward" not in vars(cls):  # written as Keras's are
            setattr(cls, "forward", forward_of(vars(cls)["call"]))  # noqa: B010

    def __init__(self, name: str | None = None) -> None:
        if name is not None and (not isinstance(name, str) or not name or "." in name):
            raise ValueError(f"argument 'name' expected a non-empty str without dots, got {name!r}")
        self.given_name = name
        self.built = False
        self.own_weights: list[Weight] = []

    @classmethod
    def _translate(cls, meant: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        name, value = next(iter(meant.items()))
        if len(meant) > 1:
            raise TypeError(f"{cls.__name__}: arguments {' and '.join(meant)} mean the same: give one")
        if name == "batch_input_shape":
            value = (None, *list(value)[1:])
        return {"first_shape": sample_shape(cls.__name__, name, (value,) if name == "input_dim" else value)}

    def __setattr__(self, name: str, value: Any) -> None:
        if name.endswith("_regularizer"):
            value = regularizers.get(value)
        elif name == "learning_rate_multiplier":
            value = number(type(self).__name__, name, value)
        held = vars(self)
        # A model inside another is never built itself, but what is set on it is meant for the layers inside.
        says = name in self._settings or name.endswith("_regularizer")
        if (says or held.get("built")) and not name.startswith("_") and name != "built":
            before = held.get(name, getattr(type(self), name, None))
            if not isinstance(before, property) and before is not value:
                changes.note()
        super().__setattr__(name, value)

    @property
    def name(self) -> str:
        """The name given, or the class's: "dense", "max_pool2d"."""
        return self.given_name or snake_case(type(self).__name__)

    def _argument(self, name: str) -> Any:
        return self.given_name if name == "name" else super()._argument(name)

    @property
    def weights(self) -> list[Weight]:
        """All weights, those of inner layers included; none before the layer is built."""
        return list(dict.fromkeys(w for _, layer in self.walk() for w in layer.own_weights))

    @property
    def trainable_weights(self) -> list[Weight]:
        """Those of all weights that training changes, as `trainable` stands in this layer and those inside."""
        fixed = frozen(self)
        return [weight for weight in self.weights if weight.trainable and id(weight) not in fixed]

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The other ones: of frozen layers, running statistics."""
        learning = set(map(id, self.trainable_weights))
        return [weight for weight in self.weights if id(weight) not in learning]

    def children(self) -> Iterator[tuple[str, Layer]]:
        """The layers held as attributes, or in lists, tuples and dicts that are; with their names."""
        for attribute, value in vars(self).items():
            if attribute != "_made_with":
                yield from _layers_in(attribute, value)

    def walk(self) -> Iterator[tuple[str, Layer]]:
        """The layer itself under the name "", and every layer inside it once, "block.conv2d"."""
        yield from self._walk("", set())

    def _walk(self, path: str, seen: set[int]) -> Iterator[tuple[str, Layer]]:
        if "own_weights" not in vars(self):
            raise RuntimeError(f"{type(self).__name__}.__init__ has to call super().__init__() first")
        seen.add(id(self))
        yield path, self
        for name, child in self.children():
            if id(child) not in seen:
                yield from child._walk(f"{path}.{name}" if path else name, seen)

    def check_initializers(self, **given: InitializerLike) -> None:
        """ValueError, TypeError for an argument that no initial value can come from; for use in `__init__`."""
        for argument, initializer in given.items():
            try:
                initializers.get(initializer)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{type(self).__name__}: argument '{argument}': {error}") from None

    def add_weight(
        self,
        name: str | None = None,
        shape: Shape = (),
        initializer: InitializerLike = "glorot_uniform",
        trainable: bool = True,
        regularizer: RegularizerLike = None,
    ) -> Weight:
        """A new weight of this layer; for use in `build`. Without a name it is "weight", "weight_1", ...

        A regularizer is kept as the layer's attribute `<name>_regularizer`, where it may be changed.
        """
        if name is None:
            number = sum(weight.name.startswith("weight") for weight in self.own_weights)
            name = f"weight_{number}" if number else "weight"
        if regularizer is not None:
            setattr(self, f"{name}_regularizer", regularizer)
        weight = Weight(name, tuple(int(n) for n in shape), initializers.get(initializer), trainable)
        self.own_weights.append(weight)
        return weight

    def regularizer_of(self, weight: Weight) -> Regularizer | None:
        """The regularizer of one of the layer's own weights: its attribute `<name>_regularizer`, if it has one."""
        found = vars(self).get(f"{weight.name}_regularizer")
        return found if isinstance(found, Regularizer) else None

    def get_weights(self) -> list[NDArray]:
        """Copies of the layer's weights, those of inner layers included; none before it is built."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[npt.ArrayLike]) -> None:
        """Sets all weights, or none, from a list as `get_weights` gives it.

        Raises:
            ValueError: for another number of arrays, or one of another shape.
        """
        own = self.weights
        if len(weights) != len(own):
            more = "" if self.built else "; the layer is not built yet"
            raise ValueError(f"{self.name}.set_weights: expected {len(own)} arrays, got {len(weights)}{more}")
        assign_all(own, weights)

    def count_params(self) -> int:
        """The number of elements of all weights, trained or not.

        Raises:
            ValueError: before the layer is built.
        """
        if not self.built:
            raise ValueError(f"{self.name}.count_params: the layer has no weights yet: build the model first")
        return sum(weight.size for weight in self.weights)

    def build(self, input_shape: Shape) -> None:
        """Makes the weights for inputs of this shape, given without the batch axis."""

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """The layer's output, from a Symbol or an array, or several."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(self, x)")

    def __call__(self, x: Any, *more: Any, training: bool | AsItRuns | None = None, **named: Any) -> Any:
        """`forward`, after building the layer where that has not happened.

        Arrays that are neither float32 nor float64, and those whose dtype is not that of the layer's weights,
        are converted. `training`, as Keras has it, is None for what the model does; False keeps dropout and frozen
        batch norms of a Symbol's from training.
        """
        if symbols := symbols_in((x, *more, named)):
            alone = isinstance(x, Symbol) and not more and not named
            shape = x.sample_shape if alone else shape_of((x, *more, *named.values()))
            with mode(self, symbols[0].trace, training):
                return symbols[0].trace.run(self, shape, (x, *more), named)
        if more or named:
            raise TypeError(f"{self.name}: expected one array, got {1 + len(more) + len(named)} arguments")
        with mode(self, None, training):
            pass
        x = x if isinstance(x, Tensor) else np.asarray(x)
        self.ensure_built(x.shape[1:])
        return self.forward(x if isinstance(x, Tensor) else self._as_floats(x))

    def ensure_built(self, input_shape: Shape) -> None:
        """Builds the layer unless it is built."""
        if not self.built:
            self.build(tuple(input_shape))
            self.built = True

    def _as_floats(self, array: NDArray) -> NDArray:
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{self.name}: argument 'x' expected real numbers, got dtype {array.dtype}")
        weights = self.weights
        if weights:
            return array.astype(weights[0].numpy().dtype, copy=False)
        return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)

    def _repr_html_(self) -> str:
        """The arguments as a table, for notebooks, and, once it is built, the weights."""
        rows = [
            (w.name, f"{w.shape}", f"{w.size:,}", "yes" if w.trainable and self.trainable else "no")
            for w in self.weights
        ]
        weights = _html.table(("Weight", "Shape", "Parameters", "Trained"), rows, (2,)) if rows else ""
        return _html.block(super()._repr_html_(), weights)


def _layers_in(name: str, value: Any) -> Iterator[tuple[str, Layer]]:
    if isinstance(value, Layer):
        yield value.given_name or name, value
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _layers_in(f"{name}.{number}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _layers_in(f"{name}.{key}", item)
