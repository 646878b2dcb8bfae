"""Fingerprints of data: whether a run that is resumed has the samples that it had."""

from __future__ import annotations

import numpy as np

from nnx._types import NDArray
from nnx.graph.inputs import listed
from nnx.training.sources import Arrays, Source

_ROWS = 4096  # looked at, evenly spaced; the first and the last are among them


def of_source(source: Source | None) -> dict[str, str]:
    """The fingerprints of x, y and weights; none of batches, which are gone through but once."""
    if not isinstance(source, Arrays):
        return {}
    given = {"x": source.x, "y": source.y, "sample_weight or class_weight": source.weight}
    parts = {
        f"{name}[{k}]" if isinstance(value, tuple) else name: part
        for name, value in given.items()
        for k, part in enumerate(listed(value))
    }
    return {name: "none" if part is None else of_array(part) for name, part in parts.items()}


def of_array(array: NDArray) -> str:
    """A digest of dtype, shape and up to 4096 rows."""
    import hashlib  # when it is needed: nnx is there sooner

    rows = np.unique(np.linspace(0, len(array) - 1, min(len(array), _ROWS)).astype(np.int64))
    digest = hashlib.blake2b(f"{array.dtype} {array.shape} ".encode(), digest_size=16)
    for row in np.array_split(rows, max(1, len(rows) // 256)):  # of a mapped file no more than is looked at
        digest.update(np.ascontiguousarray(array[row]).tobytes())
    return digest.hexdigest()
