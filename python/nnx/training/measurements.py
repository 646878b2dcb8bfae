"""What a program measures of its steps, put together over an epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnx._types import NDArray

Raw = list[tuple[str, str, list[float]]]


@dataclass
class Measurements:
    """Sums by layer, over the measured steps of an epoch so far."""

    gradients: dict[str, list[float]] = field(default_factory=dict)  # sum, largest, sum of ratios, steps
    alive: dict[str, NDArray] = field(default_factory=dict)  # of each unit, at each place of a layer in turn
    outside: dict[str, list[float]] = field(default_factory=dict)  # elements saturated, elements

    def plus(self, raw: Raw) -> Measurements:
        """These, and what a call of the core has measured."""
        result = Measurements(dict(self.gradients), dict(self.alive), dict(self.outside))
        places: dict[str, list[list[float]]] = {}
        for scope, kind, numbers in raw:
            layer = scope or "(forward)"  # what the model's own forward calls
            if kind == "gradient":
                total, largest, ratios, steps = result.gradients.get(layer, [0.0, 0.0, 0.0, 0.0])
                largest = max(largest, numbers[1])
                result.gradients[layer] = [
                    total + numbers[0],
                    largest,
                    ratios + numbers[2],
                    steps + numbers[3],
                ]
            elif kind == "alive":
                places.setdefault(layer, []).append(numbers)
            else:
                count, of = result.outside.get(layer, [0.0, 0.0])
                result.outside[layer] = [count + numbers[0], of + numbers[1]]
        for layer, arrays in places.items():
            now = np.concatenate(arrays)
            result.alive[layer] = np.maximum(result.alive.get(layer, np.zeros(len(now))), now)
        return result

    def by_layer(self) -> dict[str, dict[str, float]]:
        """The epoch's numbers: {"conv2d": {"gradient_norm": ..., "dead": ...}, ...}."""
        result: dict[str, dict[str, float]] = {}
        for layer, (total, largest, ratios, steps) in self.gradients.items():
            if steps:
                result[layer] = {
                    "gradient_norm": total / steps,
                    "largest_gradient_norm": largest,
                    "update_ratio": ratios / steps,
                }
        for layer, alive in self.alive.items():
            result.setdefault(layer, {})["dead"] = float(np.mean(alive == 0))
        for layer, (count, of) in self.outside.items():
            if of:
                result.setdefault(layer, {})["saturated"] = count / of
        return result

    def state(self) -> dict[str, Any]:
        """Plain values, to be kept."""
        return {"gradients": self.gradients, "alive": self.alive, "outside": self.outside}
