"""Does a network learn the same on a GPU? LeNet and an MLP on the handwritten digits, beside the CPU.

The same weights, batches and dropout masks on both, strict float32: after a first epoch the losses agree to rounding.
Rounding grows with the steps (a ReLU that decides otherwise, then the next), so later epochs are held to what the CPU
itself shows between float32 and float64.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import nnx
import numpy as np

BATCH = 32
# Of an epoch's mean loss, relative: float32 and float64 differ by 3e-7 on the CPU after four epochs.
BOUND = 1e-5
ACCURACY = 0.9  # held out, at the end; the networks reach 0.94 and more


def mlp() -> nnx.Model:
    return nnx.models.mlp((8, 8, 1), (64, 32), 10, dropout=0.2)


def lenet() -> nnx.Model:
    return nnx.models.lenet((8, 8, 1), 10)


NETWORKS: dict[str, Callable[[], nnx.Model]] = {"MLP": mlp, "LeNet": lenet}


def train(make: Callable[[], nnx.Model], device: str, epochs: int) -> dict[str, list[float]]:
    """Losses and accuracies by epoch."""
    images, labels = nnx.datasets.load_digits()
    scaled = (images / np.float32(8) - 1).astype(np.float32)
    model = make()
    optimizer = nnx.SGD(0.01, momentum=0.9)
    model.compile(optimizer, "cross_entropy", ["accuracy"], device=device, seed=3)
    history = model.fit(scaled, labels, BATCH, epochs=epochs, validation_split=0.2, verbose=0)
    return {name: list(values) for name, values in history.history.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cuda" if nnx.cuda.is_available() else "cpu")
    parser.add_argument("--epochs", type=int, default=4, metavar="N")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    options = parser.parse_args()
    emulated = " (the emulator)" if options.device != "cpu" and nnx.cuda.is_emulated() else ""
    failed = 0
    for name in options.networks:
        make = NETWORKS[name]
        right = train(make, "cpu", options.epochs)
        begin = time.perf_counter()
        try:
            ours = train(make, options.device, options.epochs)
        except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
            print(f"FAILED  {name}: {type(error).__name__}: {error}")
            failed += 1
            continue
        print(
            f"{name}, {options.epochs} epochs on {options.device}{emulated}, {time.perf_counter() - begin:.2f} s"
        )
        for key in right:
            print(
                f"    {key:13}", *(f"{a:.6f} ({b:.6f})" for a, b in zip(ours[key], right[key], strict=True))
            )
        error = max(abs(a / b - 1) for a, b in zip(ours["loss"], right["loss"], strict=True))
        sound = error <= BOUND and (ours["val_accuracy"][-1] >= ACCURACY or options.epochs < 4)
        failed += not sound
        print(f"{'ok     ' if sound else 'FAILED '} {name}: losses apart by {error:.1e}, at most {BOUND:g}")
    print(f"{failed} failed; in brackets, the CPU")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
