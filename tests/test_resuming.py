"""Resuming: a run that was cut off anywhere, saved, loaded and gone on with equals the unbroken one, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import harness
import nnx
import numpy as np
import pytest

SAMPLES, BATCH, EPOCHS = 40, 8, 4  # five steps an epoch, 36 samples less with a split


def data():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(SAMPLES, 6, 6, 1)).astype(np.float32)
    return x, (x.mean(axis=(1, 2, 3)) > 0).astype(int) + (x[:, 0, 0, 0] > 0)


OPTIMIZERS = {
    "momentum": lambda: nnx.SGD(nnx.schedules.CosineDecay(0.1, 20, per="step"), momentum=0.9),
    "adam": lambda: nnx.Adam(nnx.schedules.StepDecay(0.01, every=2)),
    "adamw clipped": lambda: nnx.AdamW(0.01, clip_norm=0.5),
    "rmsprop, averaged": lambda: nnx.RMSprop(0.003, momentum=0.5, centered=True, ema=0.9),
    "lion": lambda: nnx.Lion(0.001, clip_value=0.1),
    "adagrad": lambda: nnx.Adagrad(0.01, ema=0.5),
}


def compiled(optimizer="momentum", device="cpu", precision="float32"):
    model = nnx.Sequential(
        nnx.Conv2D(4, 3, activation="relu"), nnx.BatchNorm(), nnx.Flatten(), nnx.Dropout(0.4), nnx.Dense(3)
    )
    metrics = ["accuracy", "confusion_matrix"]
    model.compile(OPTIMIZERS[optimizer](), "cross_entropy", metrics, device, precision, seed=11)
    return model


class SaveAt(nnx.Callback):
    """Saves at one moment, by hook and number of steps done."""

    def __init__(self, path, hook, step):
        self.path, self.hook, self.step = path, hook, step
        self.saved = 0
        setattr(self, hook, self._save)

    def _save(self, *_):
        if self.model.optimizer.iterations == self.step and not self.saved:
            self.saved += 1
            self.model.save(self.path)

    def on_train_batch_end(self, batch, logs=None):
        pass

    def on_test_batch_end(self, batch, logs=None):
        pass


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert len(a[name]) == len(b[name]), name
        for u, v in zip(a[name], b[name], strict=True):
            assert np.array_equal(u, v, equal_nan=True), name


def same_models(a, b):
    one, other = harness.saved_arrays(a), harness.saved_arrays(b)
    assert one.keys() == other.keys()
    assert len(one) > len(a.get_weights())
    for name, value in one.items():
        if not name.startswith("array:"):  # of the history and the like
            assert value.tobytes() == other[name].tobytes(), name
    assert (a.epoch, a.optimizer.iterations, a.seed) == (b.epoch, b.optimizer.iterations, b.seed)


# Every step, the ends of epochs, the middle of validation: 20 + 4 + 4 cut points.
CUTS = (
    [("on_train_batch_end", step) for step in range(1, 21)]
    + [("on_epoch_end", step) for step in (5, 10, 15, 20)]
    + [("on_test_batch_end", step) for step in (5, 10, 15, 20)]
)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("device", harness.devices())
def test_every_cut_is_as_if_it_had_not_been(optimizer, device, tmp_path):
    x, y = data()
    options = {"batch_size": BATCH, "epochs": EPOCHS, "verbose": 0, "validation_data": (x[:12], y[:12])}
    whole = compiled(optimizer, device)
    saves = [SaveAt(tmp_path / f"{hook}-{step}", hook, step) for hook, step in CUTS]
    history = whole.fit(x, y, callbacks=saves, **options).history
    plain = compiled(optimizer, device)
    same(plain.fit(x, y, **options).history, history)  # watching changes nothing
    for save in saves:
        assert save.saved == 1, (save.hook, save.step)
        model = nnx.load(save.path)
        assert model.device == whole.device
        resumed = model.fit(x, y, resume=True, **options).history
        same(resumed, history)
        same_models(model, whole)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_in_a_new_process_with_any_number_of_threads(threads, tmp_path):
    x, y = data()
    before = nnx.get_num_threads()
    whole = compiled("adam")
    whole.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=3,
        verbose=0,
        callbacks=[SaveAt(tmp_path / "m", "on_train_batch_end", 7)],
    )
    script = (
        "import sys, nnx; sys.path.insert(0, sys.argv[3]); import test_resuming as t\n"
        "x, y = t.data()\n"
        "model = nnx.load(sys.argv[1])\n"
        "model.fit(x, y, batch_size=t.BATCH, epochs=3, verbose=0, resume=True)\n"
        "model.save(sys.argv[2])\n"
    )
    command = [
        sys.executable,
        "-c",
        script,
        str(tmp_path / "m"),
        str(tmp_path / "n"),
        os.path.dirname(__file__),
    ]
    subprocess.run(command, check=True, env={**os.environ, "NNX_NUM_THREADS": str(threads)})
    same_models(nnx.load(tmp_path / "n"), whole)
    assert nnx.get_num_threads() == before


@pytest.mark.parametrize(
    "kind",
    ["split", "list of batches", "weights", "regression in float64", "accumulated", "accumulated batches"],
)
def test_other_ways_of_giving_samples(kind, tmp_path):
    x, y = data()
    model = compiled("adam", precision="float64" if "float64" in kind else "float32")
    options = {"batch_size": BATCH, "epochs": 3, "verbose": 0}
    given = (x, y)
    if kind == "split":
        options["validation_split"] = 0.25
    elif kind == "list of batches":
        given = ([(x[i : i + 7], y[i : i + 7]) for i in range(0, SAMPLES, 7)],)
        options["validation_data"] = given[0][:2]
    elif kind == "accumulated":
        options |= {"batch_size": 4, "accumulate": 3}  # the last step of an epoch has one batch
    elif kind == "accumulated batches":
        given = ([(x[i : i + 4], y[i : i + 4]) for i in range(0, SAMPLES, 4)],)
        options["accumulate"] = 3
    elif kind == "weights":
        options |= {"sample_weight": np.linspace(0.1, 2, SAMPLES), "class_weight": {0: 2.0}}
    else:
        model = nnx.Sequential(nnx.Flatten(), nnx.Dense(4, "tanh"), nnx.Dense(1))
        model.compile(nnx.SGD(0.01, 0.9), "mse", ["mae", "r2"], precision="float64", seed=2)
    saves = [SaveAt(tmp_path / f"{step}", "on_train_batch_end", step) for step in range(1, 13)]
    whole = model.fit(*given, callbacks=saves, **options).history
    for save in saves:
        assert save.saved == 1
        other = nnx.load(save.path)
        same(other.fit(*given, resume=True, **options).history, whole)
        same_models(other, model)


@pytest.mark.parametrize("device", harness.devices())
def test_ctrl_c_is_gone_on_from_in_the_same_process(device):
    x, y = data()
    whole = compiled("adam", device)
    history = whole.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0).history

    class Interrupt(nnx.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == stop:
                raise KeyboardInterrupt

    for stop in (1, 5, 8, 19, 20):
        model = compiled("adam", device)
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[Interrupt()])
        assert model.optimizer.iterations == stop
        same(model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, resume=True).history, history)
        same_models(model, whole)


def test_ctrl_c_between_reports_is_gone_on_from():
    """At any moment, without Python between the steps."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300_000, 3)).astype(np.float32), rng.integers(0, 2, 300_000)

    def made():
        model = nnx.Sequential(nnx.Dense(2))
        model.compile(nnx.SGD(0.01, 0.9), "cross_entropy", ["accuracy"], seed=4)
        return model

    def fit(model, resume=False):
        return model.fit(x, y, batch_size=2, epochs=1, verbose=0, resume=resume).history

    def fit_for_ever(model):
        while True:
            fit(model)

    for seconds in (0.13, 0.27):
        model, whole = made(), made()
        threading.Timer(seconds, signal.raise_signal, [signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            fit_for_ever(model)
        history = fit(model, resume=True)
        for _ in range(model.epoch):
            expected = fit(whole)
        same(history, expected)
        same_models(model, whole)


def test_ctrl_c_then_save(tmp_path):
    x, y = data()
    whole = compiled()
    history = whole.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0).history

    class Interrupt(nnx.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 12:
                raise KeyboardInterrupt

    model = compiled()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[Interrupt()])
    model.save(tmp_path / "m")
    other = nnx.load(tmp_path / "m")
    same(other.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, resume=True).history, history)
    same_models(other, whole)


def test_epochs_is_the_total_that_the_call_was_to_reach(tmp_path):
    x, y = data()
    options = {"batch_size": BATCH, "verbose": 0}
    whole = compiled()
    whole.fit(x, y, epochs=2, **options)
    second = whole.fit(
        x, y, epochs=3, callbacks=[SaveAt(tmp_path / "m", "on_train_batch_end", 13)], **options
    )
    assert whole.epoch == 5
    model = nnx.load(tmp_path / "m")
    history = model.fit(x, y, epochs=3, resume=True, **options)
    same(history.history, second.history)
    assert history.epoch == [2, 3, 4]
    same_models(model, whole)
    # with nothing left to do nothing is done, and more epochs are more
    same(model.fit(x, y, epochs=3, resume=True, **options).history, second.history)
    same_models(model, whole)
    assert len(model.fit(x, y, epochs=4, resume=True, **options).epoch) == 4
    assert model.epoch == 6


def test_without_a_run_one_begins():
    x, y = data()
    models = [compiled(), compiled()]
    for model, resume in zip(models, (False, True), strict=True):
        model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, resume=resume)
    same_models(*models)


def test_other_arguments_are_refused_by_name(tmp_path):
    x, y = data()
    options = {"batch_size": BATCH, "epochs": 3, "verbose": 0, "validation_data": (x[:9], y[:9])}
    model = compiled()
    model.fit(x, y, callbacks=[SaveAt(tmp_path / "m", "on_train_batch_end", 7)], **options)
    changed = x.copy()
    changed[17, 3, 3, 0] += 1
    for name, arguments in {
        "argument 'batch_size' expected 8, as in the run that is resumed, got 4": {"batch_size": 4},
        "argument 'shuffle' expected True": {"shuffle": False},
        "argument 'x' expected the data of the run that is resumed": {"x": changed},
        "argument 'y' expected the data": {"y": 2 - y},
        "argument 'sample_weight or class_weight' expected the data": {"sample_weight": np.ones(SAMPLES)},
        "argument 'validation_data's x' expected the data": {"validation_data": (x[1:10], y[:9])},
    }.items():
        model = nnx.load(tmp_path / "m")
        weights = model.get_weights()
        with pytest.raises(ValueError, match="fit\\(resume=True\\): ") as error:
            model.fit(**{"x": x, "y": y, **options, **arguments, "resume": True})
        assert name in str(error.value)
        assert model.optimizer.iterations == 7
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights, strict=True))
        model.fit(x, y, **options, resume=True)  # and is as good as before
        assert model.optimizer.iterations == 15


def test_callbacks_get_their_states_back(tmp_path):
    x, y = data()

    class Counts(nnx.Callback):
        def __init__(self):
            self.epochs, self.arrays = [], np.zeros(3)

        def on_train_begin(self, logs=None):
            self.epochs = []

        def on_epoch_end(self, epoch, logs=None):
            self.epochs.append(epoch)
            self.arrays = self.arrays + epoch

        def get_state(self):
            return {"epochs": self.epochs, "arrays": self.arrays}

        def set_state(self, state):
            self.epochs, self.arrays = list(state["epochs"]), state["arrays"]

    counts = [Counts(), Counts()]
    save = SaveAt(tmp_path / "m", "on_train_batch_end", 12)
    compiled().fit(x, y, batch_size=BATCH, epochs=4, verbose=0, callbacks=[*counts, save])
    again = Counts()
    nnx.load(tmp_path / "m").fit(x, y, batch_size=BATCH, epochs=4, verbose=0, callbacks=[again], resume=True)
    assert again.epochs == counts[0].epochs == [0, 1, 2, 3]
    assert np.array_equal(again.arrays, counts[0].arrays)


def test_steps_of_ones_own_end_the_epoch_that_was_cut_off(tmp_path):
    x, y = data()
    model = compiled()
    model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=2,
        verbose=0,
        callbacks=[SaveAt(tmp_path / "m", "on_train_batch_end", 7)],
    )
    model = nnx.load(tmp_path / "m")
    model.train_step(x[:8], y[:8])
    model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, resume=True)
    assert model.optimizer.iterations == 7 + 1 + 5  # the epoch from its beginning


_CHILD = """
import sys, nnx
sys.path.insert(0, sys.argv[2])
import test_resuming as t
x, y = t.data()

class Often(nnx.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations % 3 == 0:
            self.model.save(sys.argv[1])
            print("saved", flush=True)

try:
    model = nnx.load(sys.argv[1])
except FileNotFoundError:
    model = t.compiled("adam")
print("begun", flush=True)
model.fit(x, y, batch_size=t.BATCH, epochs=30, verbose=0, callbacks=[Often()], resume=True)
model.save(sys.argv[1])
"""


def test_kills_at_any_moment_leave_a_file_that_loads(tmp_path):
    """NNX_TEST_KILLS: how many; in the end the run is as the unbroken one."""
    kills = int(os.environ.get("NNX_TEST_KILLS", "8"))
    x, y = data()
    whole = compiled("adam")
    whole.fit(x, y, batch_size=BATCH, epochs=30, verbose=0)
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance, path = random.Random(seed), tmp_path / "m"
    done = 0
    while done < kills:
        command = [sys.executable, "-c", _CHILD, str(path), os.path.dirname(__file__)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
        for _ in range(chance.randrange(3)):
            child.stdout.readline()
        time.sleep(chance.uniform(0, 0.02))
        child.send_signal(signal.SIGKILL)
        ended = child.wait() == 0
        child.stdout.close()
        done += 1
        if path.exists():
            model = nnx.load(path)
            assert model.optimizer.iterations in {*range(0, 151, 3)}
            if ended:
                path.unlink()
    subprocess.run(
        [sys.executable, "-c", _CHILD, str(path), os.path.dirname(__file__)],
        check=True,
        stdout=subprocess.PIPE,
    )
    same_models(nnx.load(path), whole)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]


@pytest.mark.skipif("cuda" not in harness.devices(), reason="no CUDA")
def test_moved_to_another_device_the_batches_and_masks_are_the_same(tmp_path):
    x, y = data()
    options = {"batch_size": BATCH, "epochs": EPOCHS, "verbose": 0}
    for start, end in (("cpu", "cuda"), ("cuda", "cpu")):
        whole = compiled("momentum", start, "float64")
        saves = [SaveAt(tmp_path / f"{start}-{step}", "on_train_batch_end", step) for step in (3, 10)]
        history = whole.fit(x, y, callbacks=saves, **options).history
        for save in saves:
            model = nnx.load(save.path, device=end)
            assert model.device == end
            resumed = model.fit(x, y, resume=True, **options).history
            np.testing.assert_allclose(resumed["loss"], history["loss"], rtol=1e-10)
            assert np.array_equal(resumed["confusion_matrix"], history["confusion_matrix"])
            for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.skipif("cuda" not in harness.devices(), reason="no CUDA")
def test_to_moves_state_and_clocks():
    x, y = data()
    models = [compiled("adam", "cpu", "float64") for _ in range(2)]
    for model in models:
        model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0)
    assert models[1].to("cuda").device == "cuda"
    for model in models:
        model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0)
        assert model.optimizer.iterations == 20
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-11)
