"""Short trainings on a device beside the CPU: of networks that together use every layer, in every precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nnx
import numpy as np

# Of the epochs' mean losses and the held-out one, relative. Between float32 and float64 they differ by less than a unit
# of rounding, but for BatchNorm under AdamW, which makes whole steps of a bias's noise (55 units of float32). With
# rounded factors some ReLUs decide otherwise on the way: two units are seen, 16 allowed.
LOSS_BOUNDS = {"float32": 1e-4, "float64": 1e-10, "tf32": 16 * 2.0**-11, "bfloat16": 16 * 2.0**-8}


class Branches(nnx.Model):
    """What accumulates gradients, and the layers that LeNet has not."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nnx.Normalize(np.full(3, 100.0), np.full(3, 50.0))
        self.first = nnx.Conv2D(8, 3, padding="same")
        self.norm = nnx.BatchNorm()
        self.second = nnx.Conv2D(8, 3, padding="same", activation="elu")
        self.response = nnx.LocalResponseNorm()
        self.pool = nnx.AvgPool2D(2)
        self.mean = nnx.GlobalAvgPool2D()
        self.out = nnx.Dense(5)

    def forward(self, x: Any) -> Any:
        a = nnx.ops.silu(self.norm(self.first(self.scale(x))))
        b = self.response(self.second(a)) + a
        return self.out(self.mean(nnx.ops.concat([self.pool(b), self.pool(a)])))


def mlp() -> nnx.Model:
    return nnx.models.mlp((9, 9, 3), (33, 17), 5, dropout=0.5)


def lenet() -> nnx.Model:
    return nnx.models.lenet((12, 12, 1), 5)


TRAININGS: dict[str, tuple[Callable[[], nnx.Model], tuple[int, ...], Callable[[], Any]]] = {
    "MLP, SGD": (mlp, (9, 9, 3), lambda: nnx.SGD(0.01, momentum=0.9, clip_norm=1.0)),
    "LeNet, SGD": (lenet, (12, 12, 1), lambda: nnx.SGD(0.01, momentum=0.9)),
    "branches, AdamW": (Branches, (9, 9, 3), lambda: nnx.AdamW(0.001)),
}


def train(name: str, device: str, precision: str) -> list[float]:
    """The losses of a few epochs: full batches, as graphs too, and one that is not."""
    make, shape, optimizer = TRAININGS[name]
    generator = np.random.default_rng(3)
    x = generator.integers(0, 256, (7 * 20 + 3, *shape), dtype=np.uint8)
    y = generator.integers(0, 5, len(x))
    model = make()
    metrics = ["accuracy", "confusion_matrix"] if precision == "float32" else ["accuracy"]
    model.compile(optimizer(), "cross_entropy", metrics, device=device, precision=precision, seed=7)
    scaled = x if name.startswith("branches") else (x / np.float32(128) - 1).astype(np.float32)
    history = model.fit(scaled, y, batch_size=7, epochs=2, verbose=0)
    held_out = model.evaluate(scaled, y, batch_size=16)["loss"]
    outputs = model.predict(scaled, batch_size=11)
    assert np.isfinite(outputs).all(), "outputs that are not finite"
    assert np.isfinite(model.train_step(scaled[:7], y[:7])), "a loss that is not finite"
    return [*history.history["loss"], held_out]


def check_training(name: str, device: str, precision: str) -> None:
    """AssertionError where the losses are not the CPU's."""
    ours = train(name, device, precision)
    right = train(name, "cpu", "float64" if precision == "float64" else "float32")
    error = max(abs(a - b) / abs(b) for a, b in zip(ours, right, strict=True))
    bound = LOSS_BOUNDS[precision]
    assert error <= bound, f"losses {ours}, expected {right}: error {error:.3g}, at most {bound:.3g}"
