"""The graphs of a model, and the store that its weights lie in."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nnx import _core
from nnx.graph import changes, store, tracing
from nnx.graph.inputs import InputShape as Shape
from nnx.graph.store import States
from nnx.graph.tracing import Traceable, Traced
from nnx.graph.weight import Weight


@dataclass(frozen=True)
class Place:
    """Where weights lie, and what they are drawn from where they have no values yet."""

    device: str
    dtype: str
    seed: Callable[[], int]
    wished: bool = True  # False: the model computes where its weights are, if they are in one place


class Graphs:
    """A model's graphs, one for each input shape, over one store that holds all its weights."""

    def __init__(self, root: Traceable) -> None:
        self._root = weakref.ref(root)  # which holds this object
        self._base: Traced | None = None
        self._built_for: Shape | None = None  # the base is traced when somebody asks
        self._seen: Shape | None = None  # what the model was given as a part of another one
        self._store: _core.Parameters | None = None
        self._last: _core.Parameters | None = None  # the store whose state the next one goes on with
        self._given: States = {}  # the state that the next store begins with
        self._traced: dict[Shape, Traced] = {}
        self._changes = 0
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
            if self._built_for is None and self._seen is not None and self.root.weights:
                self.build(self._seen)  # as a part of another model it was built
            if self._built_for is None:
                raise ValueError("the model has no weights yet: call build(input_shape) first, or fit")
            self._base = tracing.trace(self.root, self._built_for)
        return self._base

    @property
    def input_shape(self) -> Shape | None:
        """The shape the model was built for, None before that."""
        return self._built_for

    def see(self, shape: Shape) -> None:
        """Remembers the shape that the model is given as a part of another one."""
        self._seen = shape

    def build(self, shape: Shape) -> None:
        """Makes the weights for inputs of this shape, given without the batch axis."""
        with self.lock, self.tentative():
            traced = tracing.trace(self.root, shape)
            tracing.named_weights(self.root, traced.weights)
            self._base, self._built_for, self.root.built = traced, shape, True

    def rebuild(self, shape: Shape | None, device: str, dtype: str) -> None:
        """Looks at the layers anew; weights that are there stay, and the optimizer's state of those still used."""
        with self.lock:
            if shape is not None:
                before = self._base, self._built_for, self._store
                self._base = self._built_for = None
                try:
                    self.build(shape)
                except BaseException:
                    self._base, self._built_for, self._store = before
                    raise
            self.move(device, dtype)
            if shape is None:
                self._base, self._built_for, self.root.built = None, None, False

    @contextmanager
    def tentative(self) -> Iterator[None]:
        """What fails inside leaves a model that was not built as it was, without weights."""
        if self._built_for is not None:
            yield
            return
        before = {id(layer): (layer.built, len(layer.own_weights)) for _, layer in self.root.walk()}
        try:
            yield
        except BaseException:
            for _, layer in self.root.walk():
                layer.built, weights = before.get(id(layer), (False, 0))
                del layer.own_weights[weights:]
            self._base = self._built_for = self._store = None
            self._traced.clear()
            raise

    def named_weights(self) -> dict[str, Weight]:
        """The weights by name; ValueError before the model is built."""
        return tracing.named_weights(self.root, self.base.weights)

    def bound(self, place: Place, shape: Shape | None = None) -> Traced:
        """A graph over this model's parameter store: values that layers share with other models, its own state."""
        with self.lock:
            base = self.base
            if self._changes != changes.count():
                self._look_at_changes()
            if self._store is None or not store.holds(self._store, base.weights):
                self._store = self._new_store(place)
            shape = base.input_shape if shape is None else shape
            found = self._traced.get(shape)
            if found is None or found.store is not self._store:
                found = self._traced[shape] = tracing.trace(self.root, shape, self._store, base.weights)
            return found

    def _look_at_changes(self) -> None:
        # An attribute of some layer was set: graphs are made anew, and the store where other weights are trained.
        self._changes = changes.count()
        self._traced.clear()
        if self._store is not None and store.trained(self.root, self.base.weights) != self._store.trainable:
            self._last, self._store = self._store, None

    def _new_store(self, place: Place) -> _core.Parameters:
        weights = self.base.weights
        there = None if place.wished else store.common_place(weights)
        seed = place.seed() if there is None else None
        device, dtype = there or (place.device, place.dtype)
        fixed = store.frozen(self.root)
        before, self._last = self._store or self._last, None
        new = store.new_store(self.named_weights(), weights, fixed, dtype, device, seed, before)
        if self._given:
            store.set_states(new, self._given)
            self._given = {}
        return new

    def states(self) -> States:
        """Copies of the optimizer's state: by slot, by weight."""
        with self.lock:
            held = self._store or self._last
            return dict(self._given) if held is None else store.states(held)

    def restore(self, shape: Shape | None, states: States) -> None:
        """Begins with layers that are built for that shape, and an optimizer's state."""
        with self.lock:
            if shape != self._built_for:
                self._base, self._built_for = None, shape
            self._store = self._last = None
            self._traced.clear()
            self._given = states

    def move(self, device: str, dtype: str) -> None:
        """Brings weights and the optimizer's state to another place."""
        with self.lock:
            states = self.states()
            self.release(device, dtype)
            self._given = states

    def release(self, device: str, dtype: str) -> None:
        """Brings weights home that lie elsewhere or in another dtype, and drops what was traced and the store's state."""
        with self.lock:
            for weight in self.root.weights:
                weight.leave(device, dtype)
            self._store = self._last = None
            self._given = {}
            self._traced.clear()
