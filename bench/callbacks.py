"""What each callback adds to a step of training, and that a run without hooks of batches adds nothing.

    python bench/callbacks.py [--turns N] [--threads N]

Epochs of two models, with each callback by turns with none; the weights have to be the same to the last bit before
anything is timed. Prints the time of a step without callbacks, the ratio of neighbouring turns (median and quartiles)
and what that makes by the step. The row "none" is two models without any callback: the noise. An epoch's work (a file
saved, a line written) is counted with its steps, of which there are 200 and 20.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import nnx
import numpy as np
from nnx.callbacks import (
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNaN,
)


def mlp():
    return nnx.models.mlp((28, 28, 1), 128, 10), 32, 6400


def lenet():
    return nnx.models.lenet((28, 28, 1), 10), 128, 2560


def callbacks(folder):
    """By name, a function that makes one, and whether Python runs between steps."""
    made = {
        "none": list,
        "EarlyStopping": lambda: [EarlyStopping("loss", patience=9)],
        "ModelCheckpoint, each epoch": lambda: [ModelCheckpoint(folder / "m")],
        "ModelCheckpoint, every 50 steps": lambda: [ModelCheckpoint(folder / "m", save_freq=50)],
        "ReduceLROnPlateau": lambda: [ReduceLROnPlateau("loss", patience=9)],
        "LearningRateScheduler": lambda: [LearningRateScheduler(lambda epoch, rate: rate)],
        "CSVLogger": lambda: [CSVLogger(folder / "a.csv")],
        "TerminateOnNaN": lambda: [TerminateOnNaN()],
        "LambdaCallback, each batch": lambda: [LambdaCallback(on_train_batch_end=lambda batch, logs: None)],
    }
    try:
        TensorBoard(folder)
    except ImportError:
        pass
    else:
        made["TensorBoard"] = lambda: [TensorBoard(folder / "tensorboard")]
        made["TensorBoard, each batch"] = lambda: [TensorBoard(folder / "tensorboard", update_freq="batch")]
    if hasattr(nnx.callbacks, "Diagnostics"):
        made["Diagnostics"] = lambda: [nnx.callbacks.Diagnostics()]
        made["Diagnostics, every 10 steps"] = lambda: [nnx.callbacks.Diagnostics(every=10)]
    return made


def trained(make, extra):
    """A model after an epoch, and the seconds of another one."""
    model, batch, samples = make()
    rng = np.random.default_rng(0)
    x, y = rng.random((samples, 28, 28, 1), np.float32), rng.integers(0, 10, samples)
    model.compile(nnx.SGD(0.01), "cross_entropy", device="cpu", seed=1)
    model.fit(x, y, batch_size=batch, verbose=0)

    def epoch():
        start = time.perf_counter()
        model.fit(x, y, batch_size=batch, verbose=0, callbacks=extra())
        return (time.perf_counter() - start) / (samples // batch)

    return model, epoch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--threads", type=int, default=nnx.get_num_threads())
    options = parser.parse_args()
    nnx.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        made = callbacks(Path(folder))
        for make in (mlp, lenet):
            print(f"\n{make.__name__}: step without callbacks, and what each adds")
            plain, plain_epoch = trained(make, made["none"])
            for name, extra in made.items():
                model, epoch = trained(make, extra)
                plain, plain_epoch = trained(make, made["none"])
                plain_epoch(), epoch()
                assert all(map(np.array_equal, plain.get_weights(), model.get_weights())), name
                pairs = [
                    (plain_epoch(), epoch()) if turn % 2 else (epoch(), plain_epoch())[::-1]
                    for turn in range(options.turns)
                ]
                low, ratio, high = statistics.quantiles(with_it / without for without, with_it in pairs)
                without = statistics.median(without for without, _ in pairs)
                print(
                    f"{name:34} {without * 1e6:9.1f} us {ratio:7.3f} ({low:.3f} to {high:.3f})"
                    f" {(ratio - 1) * without * 1e6:+9.1f} us",
                    flush=True,
                )


if __name__ == "__main__":
    main()
