"""Where the weights of a model lie together: its parameter store."""

from __future__ import annotations

from typing import TypeAlias

from nnx import _core
from nnx._types import NDArray
from nnx.graph.tracing import Traceable
from nnx.graph.weight import Weight

States: TypeAlias = dict[str, dict[str, NDArray]]  # of an optimizer: by slot, by weight


def states(store: _core.Parameters) -> States:
    """Copies of all state that a store holds."""
    trained = [(index, name) for index, name in enumerate(store.names) if store.trainable[index]]
    return {slot: {name: store.get(index, slot) for index, name in trained} for slot in store.states}


def set_states(store: _core.Parameters, given: States) -> None:
    """Gives a store the state of weights that it trains."""
    trainable = store.trainable
    places = {name: index for index, name in enumerate(store.names) if trainable[index]}
    for slot, by_name in given.items():
        for name, array in by_name.items():
            if name in places:
                store.set(places[name], array.astype(store.dtype, copy=False), slot)


def frozen(model: Traceable) -> set[int]:
    """Ids of the weights that training leaves alone, for a layer around them has trainable = False."""
    ids: set[int] = set()
    for _, layer in model.walk():
        if not layer.trainable:
            ids.update(id(weight) for weight in layer.weights)
    return ids


def trained(model: Traceable, order: list[Weight]) -> list[bool]:
    """Which of the weights training changes, as layers have it now."""
    fixed = frozen(model)
    return [weight.trainable and id(weight) not in fixed for weight in order]


def common_place(weights: list[Weight]) -> tuple[str, str] | None:
    """The device and dtype of the stores that hold these weights, if all have the same."""
    places = {None if w.store is None else (w.store.device, w.store.dtype.name) for w in weights}
    return places.pop() if len(places) == 1 else None


def holds(store: _core.Parameters, weights: list[Weight]) -> bool:
    """Whether these are the weights of the store, and their values lie there still."""
    return all(
        weight.store is store or (weight.store is not None and store.same(index, weight.store, weight.index))
        for index, weight in enumerate(weights)
    )


def new_store(
    named: dict[str, Weight],
    order: list[Weight],
    fixed: set[int],
    dtype: str,
    device: str,
    seed: int | None,
    before: _core.Parameters | None = None,
) -> _core.Parameters:
    """A new store for the weights, numbered as in `order`.

    Values that lie on the device in that dtype are used where they are, so that other models' stores stay right.
    The optimizer's state comes from `before`, the same model's last store.
    """
    names = {id(weight): name for name, weight in named.items()}
    trainable = [weight.trainable and id(weight) not in fixed for weight in order]
    store = _core.Parameters(
        [names[id(weight)] for weight in order],
        [weight.shape for weight in order],
        trainable,
        dtype,
        device,
        [None if weight.store is None else (weight.store, weight.index) for weight in order],
    )
    for index, weight in enumerate(order):
        if weight.store is None or not store.same(index, weight.store, weight.index):
            store.set(index, weight.value(dtype, seed, index).astype(dtype, copy=False))
        weight.bind(store, index)
    if before is not None:
        store.begin_as(before)
        stays = [was and now for was, now in zip(before.trainable, trainable, strict=True)]
        for slot in before.states:
            for index in (index for index, stay in enumerate(stays) if stay):
                store.set(index, before.get(index, slot), slot)
    return store
