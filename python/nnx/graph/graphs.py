"""The graphs of a model, and the store that its weights lie in."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass

from nnx import _core
from nnx._types import Shape
from nnx.graph import store, tracing
from nnx.graph.tracing import Traceable, Traced
from nnx.graph.weight import Weight


@dataclass(frozen=True)
class Place:
    """Where weights lie, and what they are drawn from where they have no values yet."""

    device: str
    dtype: str
    seed: Callable[[], int]


class Graphs:
    """A model's graphs, one for each input shape, over one store that holds all its weights."""

    def __init__(self, root: Traceable) -> None:
        self._root = weakref.ref(root)  # which holds this object
        self._base: Traced | None = None
        self._store: _core.Parameters | None = None
        self._traced: dict[Shape, Traced] = {}
        self.lock = threading.RLock()

    @property
    def root(self) -> Traceable:
        """The model."""
        root = self._root()
        assert root is not None
        return root

    @property
    def base(self) -> Traced:
        """The graph of the shape the model was built for; ValueError before that."""
        if self._base is None:
            raise ValueError("the model has no weights yet: call build(input_shape) first, or fit")
        return self._base

    @property
    def input_shape(self) -> Shape | None:
        """The shape the model was built for, None before that."""
        return None if self._base is None else self._base.input_shape

    def build(self, shape: Shape) -> None:
        """Makes the weights for inputs of this shape, given without the batch axis."""
        with self.lock:
            traced = tracing.trace(self.root, shape)
            tracing.named_weights(self.root, traced.weights)
            self._base, self.root.built = traced, True

    def named_weights(self) -> dict[str, Weight]:
        """The weights by name; ValueError before the model is built."""
        return tracing.named_weights(self.root, self.base.weights)

    def bound(self, place: Place, shape: Shape | None = None, training: bool = False) -> Traced:
        """A graph over a store that holds all weights; for training, these and no others.

        Weights that already lie in one store, a bigger model's perhaps, stay there to predict.
        """
        with self.lock:
            base = self.base
            held = store.common_store(base.weights) if base.weights else self._store
            if held is None or (training and len(held) != len(base.weights)):
                fixed = store.frozen(self.root)
                held = store.new_store(
                    self.named_weights(), base.weights, fixed, place.dtype, place.device, place.seed()
                )
            self._store = held
            shape = base.input_shape if shape is None else shape
            found = self._traced.get(shape)
            if found is None or found.store is not held:
                found = self._traced[shape] = tracing.trace(self.root, shape, held)
            return found

    def release(self) -> None:
        """Brings all weights home from their store, and drops what was traced over it."""
        with self.lock:
            for weight in self.root.weights:
                weight.release()
            self._store = None
            self._traced.clear()
