"""Where the weights of a model lie together: its parameter store."""

from __future__ import annotations

from nnx import _core
from nnx.graph.tracing import Traceable
from nnx.graph.weight import Weight


def frozen(model: Traceable) -> set[int]:
    """Ids of the weights that training leaves alone, for a layer around them has trainable = False."""
    ids: set[int] = set()
    for _, layer in model.walk():
        if not layer.trainable:
            ids.update(id(weight) for weight in layer.weights)
    return ids


def common_store(weights: list[Weight]) -> _core.Parameters | None:
    """The store that holds all these weights, if it is one and the same."""
    stores = {id(weight.store): weight.store for weight in weights}
    return next(iter(stores.values())) if len(stores) == 1 else None


def new_store(
    named: dict[str, Weight], order: list[Weight], fixed: set[int], dtype: str, device: str, seed: int
) -> _core.Parameters:
    """A new store that takes the weights in, numbered as in `order`."""
    names = {id(weight): name for name, weight in named.items()}
    trainable = [weight.trainable and id(weight) not in fixed for weight in order]
    store = _core.Parameters(
        [names[id(weight)] for weight in order],
        [weight.shape for weight in order],
        trainable,
        dtype,
        device,
    )
    for index, weight in enumerate(order):
        store.set(index, weight.value(dtype, seed, index).astype(dtype, copy=False))
        weight.bind(store, index)
    return store
