"""Labels that somebody else writes to while a run reads them: no kernel leaves its arrays, the run says which."""

import threading

import nnx
import numpy as np
import pytest
from harness import devices, same_bits

METRICS = ["accuracy", nnx.metrics.TopK(2), nnx.metrics.ConfusionMatrix()]


def compiled(device, optimizer="sgd", metrics=METRICS):
    model = nnx.Sequential(nnx.Dense(6), nnx.BatchNorm(), nnx.ReLU(), nnx.Dense(3))
    model.compile(optimizer, "cross_entropy", metrics, device=device, seed=1)
    return model


def data(rng, rows=64, dtype=np.int64):
    return rng.standard_normal((rows, 4)).astype(np.float32), rng.integers(0, 3, rows).astype(dtype)


class Vandal(nnx.Callback):
    """Writes a label after some steps."""

    def __init__(self, y, label, after, row=slice(None)):
        self.y, self.label, self.after, self.row = y, label, after, row
        self.weights = None

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.after:
            self.weights = self.model.get_weights()
            self.y[self.row] = self.label


def no_room(monkeypatch):
    """Has data sets stay on the host, from where batches stream to a device."""
    stats = nnx._core.cuda_memory_stats
    monkeypatch.setattr(nnx._core, "cuda_memory_stats", lambda *i: {**stats(*i), "free": 0, "cached": 0})


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("dtype", "label"),
    [(np.int64, 10**12), (np.int64, -1), (np.int32, 77), (np.uint8, 255), (np.int64, 2**32)],
)
def test_a_label_written_by_a_callback_ends_fit(rng, dtype, label, optimizer):
    """With the weights, running statistics included, and the count of steps as before the step that met it."""
    x, y = data(rng, dtype=dtype)
    model = compiled("cpu", optimizer)
    vandal = Vandal(y, label, 2)
    with pytest.raises(ValueError, match=rf"argument 'y' expected labels in \[0, 3\), got {label}, written"):
        model.fit(x, y, batch_size=8, callbacks=[vandal], verbose=0)
    assert all(same_bits(a, b) for a, b in zip(model.get_weights(), vandal.weights, strict=True))
    assert model.optimizer.iterations == 3
    y[:] = 0
    model.fit(x, y, batch_size=8, verbose=0)


@pytest.mark.skipif("cuda" not in devices(), reason="no CUDA")
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_label_written_while_a_device_trains_ends_fit(rng, optimizer, monkeypatch):
    """Between two epochs: within one, the device has the labels."""
    no_room(monkeypatch)
    x, y = data(rng)
    model = compiled("cuda", optimizer)
    kept = []

    class Later(nnx.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                kept.extend(self.model.get_weights())
                y[:] = 55

    # Labels are looked at before each epoch, and again where they are read.
    with pytest.raises(ValueError, match=r"expected labels in \[0, 3\), got 55"):
        model.fit(x, y, batch_size=8, epochs=4, callbacks=[Later()], verbose=0)
    assert all(same_bits(a, b) for a, b in zip(model.get_weights(), kept, strict=True))
    assert model.optimizer.iterations == 16


@pytest.mark.parametrize("device", devices())
def test_a_device_reads_each_label_with_a_look_at_it(rng, device):
    """A program that is told its labels have been checked: every step up to the bad one is done, none after it."""
    x, y = data(rng)
    y[37] = -5
    model = compiled(device)
    model.build((4,))
    traced = model._learner.bound()
    program = model._learner.program("train", traced, 8, "labels")
    start = model.get_weights()
    given = [nnx.tensor(array, device=device) for array in (x, y)]
    steps = []
    with pytest.raises(ValueError, match=r"train_epoch: argument 'y' expected labels in \[0, 3\), got -5"):
        program.train_epoch(
            *given, None, None, 8, np.array([0.1]), 0, lambda n, *_: steps.append(n), 0.0, True
        )
    assert steps == [1, 2, 3, 4]
    after = model.get_weights()
    for index, weight in enumerate(start):
        traced.store.set(index, weight)
    program.train_epoch(*(g.numpy()[:32] for g in given), None, None, 8, np.array([0.1]), 0)
    assert all(same_bits(a, b) for a, b in zip(model.get_weights(), after, strict=True))


@pytest.mark.parametrize("device", devices())
def test_evaluation_and_single_steps_look_too(rng, device):
    x, y = data(rng)
    y[3] = 3
    model = compiled(device)
    model.build((4,))
    program = model._learner.program("evaluate", model._learner.bound(), 64, "labels")
    given = [nnx.tensor(array, device=device) for array in (x, y)]
    with pytest.raises(ValueError, match=r"evaluate: argument 'y' expected labels in \[0, 3\), got 3"):
        program.evaluate(*given, None, 8, labels_checked=True)
    with pytest.raises(ValueError, match="labels"):
        model.train_step(x, y)
    with pytest.raises(ValueError, match="labels"):
        model.evaluate(x, y)


def test_a_thread_writes_labels_while_fit_runs(rng):
    """A run ends with the error, or, where it never meets one of them, as usual; never with a crash."""
    x, y = data(rng, 4096)
    right = y.copy()
    stop = threading.Event()

    def write():
        while not stop.wait(1e-3):
            y[:] = 2**40
            stop.wait(1e-4)
            y[:] = right

    thread = threading.Thread(target=write)
    thread.start()
    refused = 0
    try:
        for _ in range(200):
            if refused > 5:
                break
            try:
                compiled("cpu").fit(x, y, batch_size=16, verbose=0)
            except ValueError:
                refused += 1
    finally:
        stop.set()
        thread.join()
    assert refused
