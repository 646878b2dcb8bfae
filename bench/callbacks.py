"""What each callback adds to a step of training, and that a run without hooks of batches adds nothing.

    python bench/callbacks.py [--turns N] [--threads N]

Epochs of two models, with each callback by turns with none; the weights have to be the same to the last bit before
anything is timed. Prints the time of a step without callbacks and the ratio of neighbouring turns (median and quartiles),
by the wall's clock and in CPU time of all threads, which leaves out waiting: for the disk, and for a CPU that others use.
The row "none" is two models without any callback: the noise. An epoch's work (a file saved, a line written) is counted
with its steps, of which there are 200 and 10.
"""

import argparse
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
    return nnx.models.lenet((28, 28, 1), 10), 128, 1280


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
    """A model after an epoch, and a function that trains another: seconds by the step, of the wall's clock and of the CPU."""
    model, batch, samples = make()
    rng = np.random.default_rng(0)
    x, y = rng.random((samples, 28, 28, 1), np.float32), rng.integers(0, 10, samples)
    model.compile(nnx.SGD(0.01), "cross_entropy", device="cpu", seed=1)
    model.fit(x, y, batch_size=batch, verbose=0)

    def epoch():
        before = np.array([time.perf_counter(), time.process_time()])
        model.fit(x, y, batch_size=batch, verbose=0, callbacks=extra())
        return (np.array([time.perf_counter(), time.process_time()]) - before) / (samples // batch)

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
            print(
                f"\n{make.__name__}: a step without, and with as a multiple: wall, and CPU with what it adds"
            )
            for name, extra in made.items():
                (plain, plain_epoch), (model, epoch) = trained(make, made["none"]), trained(make, extra)
                plain_epoch(), epoch()
                assert all(map(np.array_equal, plain.get_weights(), model.get_weights())), name
                pairs = np.array(
                    [
                        (plain_epoch(), epoch()) if turn % 2 else (epoch(), plain_epoch())[::-1]
                        for turn in range(options.turns)
                    ]
                )
                without = np.median(pairs[:, 0], axis=0) * 1e6
                low, ratio, high = np.quantile(pairs[:, 1] / pairs[:, 0], [0.25, 0.5, 0.75], axis=0)
                wall, cpu = (
                    f"{without[k]:8.1f} us {ratio[k]:6.3f} ({low[k]:.3f} to {high[k]:.3f})" for k in (0, 1)
                )
                print(f"{name:33}{wall}  {cpu} {(ratio[1] - 1) * without[1]:+8.1f} us", flush=True)


if __name__ == "__main__":
    main()
