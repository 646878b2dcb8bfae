"""Where random numbers begin: one seed for the process, and generators keyed by purpose."""

from __future__ import annotations

import numpy as np

_LIMIT = 1 << 63
_source: np.random.Generator | None = None  # made when first needed: numpy.random takes time to import


def set_seed(seed: int) -> None:
    """Makes everything random from here on repeatable.

    Seeds the initial weights, shuffles and dropout of models compiled with `seed=None`, each with a seed of
    its own drawn in order from this one.

    Raises:
        TypeError, ValueError: where `seed` is not an int in [0, 2^63).
    """
    global _source
    _source = np.random.Generator(np.random.Philox(key=check(seed)))


def draw() -> int:
    """The next seed from the process's source."""
    global _source
    if _source is None:
        _source = np.random.Generator(np.random.Philox())
    return int(_source.integers(_LIMIT))


def check(seed: int) -> int:
    """`seed` as an int in [0, 2^63); TypeError or ValueError otherwise."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"argument 'seed' expected an int, got {type(seed).__name__}")
    if not 0 <= seed < _LIMIT:
        raise ValueError(f"argument 'seed' expected an int in [0, 2**63), got {seed}")
    return int(seed)


def generator(seed: int, stream: int) -> np.random.Generator:
    """A generator that depends on nothing but its two keys; stream -1 splits data, the others are epochs."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, stream % (1 << 64)], dtype=np.uint64)))
