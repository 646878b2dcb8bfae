"""Small sets that show what a network can learn, and what a single neuron cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nnx import seeds

_GATES = {
    "and": (0, 0, 0, 1),
    "or": (0, 1, 1, 1),
    "xor": (0, 1, 1, 0),
    "nand": (1, 1, 1, 0),
    "nor": (1, 0, 0, 0),
}

Samples = tuple[npt.NDArray[np.float32], npt.NDArray[Any]]


def logic_gate(name: str) -> Samples:
    """The four cases of "and", "or", "xor", "nand" or "nor": x (4, 2) and y (4, 1), float32.

    "xor" is not linearly separable: a perceptron cannot learn it, two layers can (Minsky and Papert 1969).
    """
    if name.lower() not in _GATES:
        raise ValueError(f"logic_gate: argument 'name' expected one of {', '.join(_GATES)}, got {name!r}")
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    return x, np.array(_GATES[name.lower()], dtype=np.float32)[:, None]


def moons(samples: int = 200, noise: float = 0.1, seed: int = 0) -> Samples:
    """Two half circles that reach into each other: x (N, 2) float32, labels (N,) int64."""
    random = seeds.generator(seeds.check(seed), 0)
    labels = np.arange(samples) % 2
    angle = random.uniform(0.0, np.pi, samples)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    x = np.where(labels[:, None] == 0, upper, lower) + random.normal(0.0, noise, (samples, 2))
    return x.astype(np.float32), labels


def spirals(samples: int = 300, classes: int = 3, noise: float = 0.1, seed: int = 0) -> Samples:
    """Arms that wind around each other: x (N, 2) float32, labels (N,) int64."""
    random = seeds.generator(seeds.check(seed), 0)
    labels = np.arange(samples) % classes
    radius = random.uniform(0.05, 1.0, samples)
    angle = 4.0 * radius + labels * (2.0 * np.pi / classes) + random.normal(0.0, noise, samples)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return x.astype(np.float32), labels
