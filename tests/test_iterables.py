"""Batches from lists, generators and loaders: how many make an epoch, and who prepares them when."""

import signal
import threading
import time

import nnx
import numpy as np
import pytest
from harness import same_bits

SAMPLES, BATCH = 40, 8
RNG = np.random.default_rng(0)
X = RNG.normal(size=(SAMPLES, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
BATCHES = [(X[i : i + BATCH], Y[i : i + BATCH]) for i in range(0, SAMPLES, BATCH)]


def made(device="cpu"):
    model = nnx.Sequential(nnx.Dense(8, "relu"), nnx.Dropout(0.3), nnx.Dense(2))
    model.compile(nnx.SGD(0.1, 0.9), "cross_entropy", ["accuracy"], device=device, seed=1)
    return model


def same(a, b):
    return all(same_bits(p, q) for p, q in zip(a.get_weights(), b.get_weights(), strict=True))


class Endless:
    """A generator's batches, round and round, and how many were asked for."""

    def __init__(self):
        self.asked = 0
        self.closed = False

    def __call__(self):
        try:
            while True:
                batch = BATCHES[self.asked % len(BATCHES)]
                self.asked += 1
                yield batch
        finally:
            self.closed = True


class Loader:
    """Iterated anew each time, as PyTorch's DataLoader is; batches are lists, as its are."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return (list(batch) for batch in self.batches)


class Buffer:
    """Fills the same arrays again and again."""

    def __iter__(self):
        x, y = np.empty((BATCH, 5), np.float32), np.empty(BATCH, np.int64)
        for batch in BATCHES:
            x[...], y[...] = batch
            yield x, y


def threads_end():
    """Whether all threads that go through batches end, soon even on a machine that has much else to do."""
    for thread in threading.enumerate():
        if thread.name == "nnx-batches":
            thread.join(30)
    return not any(thread.name == "nnx-batches" for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert threads_end()


# How many batches make an epoch


def test_endless_generators(device):
    whole, endless = made(device), Endless()
    wanted = whole.fit(X, Y, batch_size=BATCH, epochs=3, shuffle=False, verbose=0).history
    model = made(device)
    seen = []
    history = model.fit(
        endless(),
        epochs=3,
        steps_per_epoch=5,
        verbose=0,
        callbacks=nnx.callbacks.LambdaCallback(on_train_begin=lambda logs: seen.append(endless.asked)),
    )
    assert same(model, whole)
    assert history.history == wanted
    assert model.epoch == 3
    assert model.steps_per_epoch == 5
    assert seen == [0]
    assert endless.asked == 15  # not one more than was trained on


def test_calls_of_one_epoch_are_one_call_of_several():
    whole, parts, endless = made(), made(), Endless()
    whole.fit(Endless()(), epochs=4, steps_per_epoch=3, verbose=0)
    generator = endless()
    for _ in range(4):
        parts.fit(generator, steps_per_epoch=3, verbose=0)
    assert same(parts, whole)
    assert endless.asked == 12


@pytest.mark.parametrize("given", [BATCHES, tuple(BATCHES), Loader(BATCHES), Buffer()])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_epoch_goes_on_where_the_last_one_ended(given, accumulate):
    """Three steps of five batches: 0 1 2, 3 4 0, 1 2 3; a list and what is iterated anew alike."""
    model, wanted = made(), made()
    model.fit(given, epochs=3, steps_per_epoch=3, accumulate=accumulate, verbose=0)
    order = [BATCHES[place % 5] for place in range(9 * accumulate)]
    for epoch in range(3):
        part = order[3 * accumulate * epoch : 3 * accumulate * (epoch + 1)]
        wanted.fit(part, accumulate=accumulate, verbose=0)
    assert same(model, wanted)
    assert model.optimizer.iterations == 9


def test_arrays_in_epochs_of_some_steps():
    model, seen = made(), []
    steps = nnx.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    model.fit(X, Y, batch_size=BATCH, epochs=3, steps_per_epoch=2, callbacks=steps, verbose=0)
    assert seen == [0, 1] * 3
    assert steps.params["steps"] == 2
    assert steps.params["samples"] == 16
    whole = made()
    whole.fit(X, Y, batch_size=BATCH, epochs=3, verbose=0)
    again = made()
    again.fit(X, Y, batch_size=BATCH, epochs=3, steps_per_epoch=5, verbose=0)
    assert same(whole, again)
    other = made()
    for _ in range(3):
        other.fit(X, Y, batch_size=BATCH, steps_per_epoch=2, verbose=0)
    assert same(other, model)
    with pytest.raises(
        ValueError, match=r"'steps_per_epoch' expected None beside arrays that are not shuffled, got 2: .*16"
    ):
        model.fit(X, Y, batch_size=BATCH, steps_per_epoch=2, shuffle=False, verbose=0)
    with pytest.warns(
        UserWarning, match="'x' ran out of batches: 'steps_per_epoch' asks for 6, and there were 5"
    ) as said:
        model.fit(X, Y, batch_size=BATCH, steps_per_epoch=6, verbose=0)
    assert said[0].filename == __file__


def test_a_generator_that_ends_too_soon_ends_training():
    model = made()
    with pytest.warns(
        UserWarning, match="'x' ran out of batches: 'steps_per_epoch' asks for 3, and there were 2"
    ):
        history = model.fit((batch for batch in BATCHES), epochs=9, steps_per_epoch=3, verbose=0)
    assert history.epoch == [0, 1]
    assert model.optimizer.iterations == 5
    for empty in (iter([]), Loader([])):
        with pytest.raises(ValueError, match="'x' gave no batches"):
            model.fit(empty, steps_per_epoch=3, verbose=0)
    used_up = iter(BATCHES)
    with pytest.raises(ValueError, match="'x' gave no batches: for several epochs give a list"):
        model.fit(used_up, epochs=2, verbose=0)
    assert model.optimizer.iterations == 10


class SaveAt(nnx.Callback):
    def __init__(self, path, step):
        self.path, self.step = path, step

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == self.step:
            self.model.save(self.path)


@pytest.mark.parametrize("kind", ["list", "loader", "generator", "arrays"])
def test_resumed_bit_for_bit(kind, tmp_path):
    options = {"epochs": 4, "steps_per_epoch": 3, "verbose": 0}
    options |= {"validation_data": (X, Y), "validation_freq": [2, 4], "validation_steps": 2}

    def given():
        if kind == "arrays":
            return X, Y, BATCH
        return ({"list": BATCHES, "loader": Loader(BATCHES), "generator": Endless()()}[kind],)

    whole = made()
    saves = [SaveAt(tmp_path / f"{step}", step) for step in range(1, 13)]
    history = whole.fit(*given(), callbacks=saves, **options).history
    assert len(history["val_loss"]) == 2
    for save in saves:
        other = nnx.load(save.path)
        assert other.fit(*given(), resume=True, **options).history == history
        assert same(other, whole)
    other = nnx.load(saves[4].path)
    with pytest.raises(
        ValueError, match=r"argument 'steps_per_epoch' expected 3.*'validation_freq' expected \[2, 4\]"
    ):
        other.fit(*given(), resume=True, **{**options, "steps_per_epoch": 4, "validation_freq": 1})


# The thread that is a batch ahead


def test_the_next_batch_is_prepared_while_one_trains():
    """The first step waits for the second batch, which only another thread can make; there is no third then."""
    prepared = [threading.Event() for _ in BATCHES]
    made_by, counts = set(), []

    def batches():
        for event, batch in zip(prepared, BATCHES, strict=True):
            made_by.add(threading.current_thread())
            event.set()
            yield batch

    class Wait(nnx.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch + 1 < len(prepared):
                assert prepared[batch + 1].wait(60)
            time.sleep(0.01)
            counts.append(sum(event.is_set() for event in prepared))

    model = made()
    model.fit(batches(), callbacks=Wait(), verbose=0)
    assert counts == [2, 3, 4, 5, 5]
    assert len(made_by) == 1
    assert threading.main_thread() not in made_by


def test_one_thread_for_all_epochs():
    """What may be used in but one thread, a database say, can be opened in a generator."""
    seen = set()

    def batches():
        while True:
            for batch in BATCHES:
                seen.add(threading.get_ident())
                yield batch

    made().fit(batches(), epochs=4, steps_per_epoch=3, verbose=0)
    assert len(seen) == 1


def test_arrays_that_are_filled_again(device):
    wanted = made(device)
    wanted.fit(BATCHES, epochs=2, verbose=0)
    for given in (Buffer(), Loader(BATCHES)):
        model = made(device)
        model.fit(given, epochs=2, verbose=0)
        assert same(model, wanted)
        assert model.evaluate(given) == wanted.evaluate(BATCHES)
        np.testing.assert_array_equal(model.predict(given), wanted.predict(X))


def test_batches_of_other_things_than_arrays():
    wanted = made()
    weighted = [(x, y, np.linspace(0.5, 1, len(x))) for x, y in BATCHES]
    wanted.fit(weighted, verbose=0)
    model = made()
    model.fit(((nnx.tensor(x), y.tolist(), w) for x, y, w in weighted), verbose=0)
    assert same(model, wanted)


def test_an_iterator_may_use_the_model():
    """It does so between two steps, at the same place in every run: no deadlock, the same weights."""

    def batches(model):
        for x, _ in BATCHES * 3:
            yield x, model.predict(x).argmax(axis=1)

    by_hand = made()
    by_hand.build((5,))
    for x, _ in BATCHES * 3:
        by_hand.train_step(x, by_hand.predict(x).argmax(axis=1))
    for _ in range(3):
        model = made()
        model.build((5,))
        model.fit(batches(model), verbose=0)
        assert same(model, by_hand)


def test_errors_of_the_iterator_come_out():
    def batches():
        yield BATCHES[0]
        raise LookupError("the disk is gone")

    model = made()
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(LookupError, match="the disk is gone") as caught:
            call(batches(), verbose=0)
        assert "batches" in [entry.name for entry in caught.traceback]
    assert model.optimizer.iterations == 1
    with pytest.raises(LookupError):
        model.fit(X, Y, validation_data=batches(), verbose=0)
    model.fit(BATCHES, verbose=0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_ends_training_leaves_nothing_behind(error):
    model, endless = made(), Endless()

    def fail(batch, logs):
        if batch == 2:
            raise error

    with pytest.raises(error):
        model.fit(
            endless(),
            steps_per_epoch=9,
            callbacks=nnx.callbacks.LambdaCallback(on_train_batch_end=fail),
            verbose=0,
        )
    assert threads_end()
    assert endless.closed
    assert model.optimizer.iterations == 3
    assert endless.asked <= 4
    closed = []

    class Opened(Loader):
        def __iter__(self):
            try:
                yield from self.batches
            finally:
                closed.append(threading.current_thread().name)

    given = Opened(BATCHES)
    with pytest.raises(error):
        model.fit(given, callbacks=nnx.callbacks.LambdaCallback(on_train_batch_end=fail), verbose=0)
    assert threads_end()
    assert closed == ["nnx-batches"]
    with pytest.raises(ValueError, match="labels"):
        model.fit(((x, y + 7) for x, y in BATCHES), verbose=0)
    with pytest.raises(TypeError, match="argument 'validation_data', first batch"):
        model.fit(X, Y, validation_data=iter([("rubbish", None)]), verbose=0)


def test_ctrl_c_while_a_batch_is_waited_for():
    model, endless, resting, rested = made(), Endless(), threading.Event(), []

    def batches():
        for number, batch in enumerate(endless()):
            if number == 3:
                time.sleep(0.05)
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                resting.wait(60)
                rested.append(number)
            yield batch

    with pytest.raises(KeyboardInterrupt):
        model.fit(batches(), steps_per_epoch=9, verbose=0)
    assert rested == []  # it did not wait for a batch that does not come
    resting.set()
    assert model.optimizer.iterations == 3
    done = []
    other = threading.Thread(target=lambda: done.append(model.predict(X)))  # the model's lock is free
    other.start()
    other.join(30)
    assert len(done) == 1
    assert threads_end()
    assert endless.closed


def test_a_step_that_ends_training_takes_no_more():
    model, endless = made(), Endless()
    generator = endless()

    class Stop(nnx.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    model.fit(generator, steps_per_epoch=9, callbacks=Stop(), verbose=0)
    assert model.optimizer.iterations == 3
    assert not endless.closed  # it is the user's
    model.fit(generator, steps_per_epoch=1, verbose=0)
    generator.close()


# Validation


def validated(model, given=(X, Y), **options):
    """The history of a fit on all samples, and how many batches each validation had."""
    counts = []

    class Count(nnx.Callback):
        def on_test_begin(self, logs=None):
            counts.append(0)

        def on_test_batch_end(self, batch, logs=None):
            counts[-1] += 1

    options = {"epochs": 4, "verbose": 0, **options}
    history = model.fit(X, Y, BATCH, validation_data=given, callbacks=[Count()], **options)
    return history, counts


@pytest.mark.parametrize(
    ("often", "epochs"), [(1, [0, 1, 2, 3]), (2, [1, 3]), (3, [2]), ([1, 4], [0, 3]), ((2,), [1]), (5, [])]
)
def test_validation_after_some_epochs(often, epochs):
    history, counts = validated(made(), validation_freq=often)
    assert counts == [5] * len(epochs)
    assert history.validated == epochs
    assert len(history.history.get("val_loss", [])) == len(epochs)
    every, _ = validated(made())
    assert [every.history["val_loss"][epoch] for epoch in epochs] == history.history.get("val_loss", [])
    assert len(history.history["loss"]) == 4


def test_some_steps_of_validation():
    model = made()
    assert validated(model, validation_steps=2)[1] == [2] * 4
    assert validated(model, validation_batch_size=20)[1] == [2] * 4
    assert validated(model, validation_batch_size=15, validation_steps=1)[1] == [1] * 4
    assert validated(model, Loader(BATCHES), validation_steps=3)[1] == [3] * 4
    some, _ = validated(made(), BATCHES, validation_steps=2)
    arrays, _ = validated(made(), (X[:16], Y[:16]))
    assert some.history == arrays.history
    endless = Endless()
    assert validated(model, endless(), validation_steps=3)[1] == [3] * 4
    assert endless.asked == 12
    with pytest.warns(
        UserWarning, match="ran out of batches: 'validation_steps' asks for 6, and there were 5"
    ):
        validated(model, BATCHES, validation_steps=6, epochs=1)
    with pytest.raises(ValueError, match="'validation_data' gave no batches"):
        validated(model, iter(BATCHES))
    history = model.fit(
        X, Y, BATCH, validation_split=0.5, validation_steps=1, validation_batch_size=4, verbose=0
    )
    assert "val_loss" in history.history


def test_callbacks_and_epochs_without_validation(tmp_path):
    """What watches val_loss looks at the epochs that have one, and still says that a name is wrong."""
    stop = nnx.callbacks.EarlyStopping(
        patience=2, mode="max", monitor="val_loss"
    )  # never better but at first
    model = made()
    history = model.fit(
        X,
        Y,
        epochs=20,
        validation_split=0.5,
        validation_freq=3,
        verbose=0,
        callbacks=[
            stop,
            nnx.callbacks.ModelCheckpoint(tmp_path / "{epoch}.safetensors", save_best_only=True),
            nnx.callbacks.ReduceLROnPlateau(patience=1, monitor="val_loss", mode="max"),
            nnx.callbacks.CSVLogger(tmp_path / "log.csv"),
        ],
    )
    assert history.epoch[-1] == 8  # the third validation, the second that is no better
    assert [path.name for path in sorted(tmp_path.glob("*.safetensors"))] == [
        "3.safetensors",
        "6.safetensors",
        "9.safetensors",
    ]
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0] == "epoch,accuracy,learning_rate,loss,val_accuracy,val_loss"
    assert [line.split(",")[-1] == "NA" for line in lines[1:]] == [True, True, False] * 3
    for options in ({"validation_freq": 2}, {"validation_freq": 2, "validation_split": 0.5}):
        wrong = nnx.callbacks.EarlyStopping(
            monitor="val_los" if "validation_split" in options else "val_loss"
        )
        with pytest.raises(ValueError, match="EarlyStopping: argument 'monitor' expected one of "):
            model.fit(X, Y, epochs=2, callbacks=wrong, verbose=0, **options)
    saving = nnx.callbacks.ModelCheckpoint(tmp_path / "x", save_best_only=True, save_freq=1)
    with pytest.raises(ValueError, match="ModelCheckpoint: argument 'monitor' expected one of "):
        model.fit(X, Y, validation_split=0.5, validation_freq=2, callbacks=saving, verbose=0)


def test_curves_of_some_epochs():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    history, _ = validated(made(), validation_freq=[1, 4])
    for given, places in ((history, [1, 4]), (history.history, [2, 4])):
        panel = nnx.plots.curves(given)[0]
        training, held_out = panel.get_lines()
        np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3, 4])
        np.testing.assert_array_equal(held_out.get_xdata(), places)
    assert "<svg" in history._repr_html_()
    pyplot.close("all")


# Evaluating and predicting


@pytest.mark.parametrize("given", [BATCHES, Loader(BATCHES), Buffer()])
def test_evaluating_and_predicting_batches(given, device):
    model = made(device)
    model.fit(X, Y, verbose=0)
    wanted = model.evaluate(X, Y, BATCH)
    assert model.evaluate(given) == wanted
    np.testing.assert_array_equal(model.predict(given), model.predict(X, BATCH))
    assert model.evaluate(given, steps=2) == model.evaluate(X[:16], Y[:16], BATCH)
    np.testing.assert_array_equal(model.predict(given, steps=2), model.predict(X[:16], BATCH))


def test_batches_of_inputs_alone():
    model = made()
    model.build((5,))
    wanted = model.predict(X, BATCH)
    for given in (
        (x for x, _ in BATCHES),
        ((x,) for x, _ in BATCHES),
        ([x, y, np.ones(BATCH)] for x, y in BATCHES),
        (x.tolist() for x, _ in BATCHES),
        map(nnx.tensor, (x for x, _ in BATCHES)),
    ):
        np.testing.assert_array_equal(model.predict(given), wanted)
    np.testing.assert_array_equal(model.predict(X[:3].tolist()), model.predict(X[:3]))  # an array, as before
    endless = Endless()
    np.testing.assert_array_equal(model.predict(endless(), steps=5), wanted)
    assert endless.asked == 5
    with pytest.raises(ValueError, match="gave no batches"):
        model.predict(iter([]))
    with pytest.raises(ValueError, match=r"expected batches x, .* got 4 parts"):
        model.predict(iter([(X, Y, Y, Y)]))
    with pytest.raises(ValueError, match="argument 'x' expected samples of shape"):
        model.predict(iter([X[:, :3]]))


def test_steps_of_arrays():
    model = made()
    model.build((5,))
    assert model.predict(X, batch_size=BATCH, steps=2).shape == (16, 2)
    assert model.evaluate(X, Y, batch_size=BATCH, steps=2) == model.evaluate(X[:16], Y[:16], batch_size=BATCH)
    for call in (lambda: model.predict(X, steps=2), lambda: model.evaluate(X, Y, steps=2)):
        with pytest.warns(UserWarning, match="'x' ran out of batches: 'steps' asks for 2, and there were 1"):
            call()


def test_results_as_keras_has_them():
    model = made()
    model.build((5,))
    logs = model.evaluate(X, Y)
    assert list(logs) == ["loss", "accuracy"]
    assert model.evaluate(X, Y, return_dict=False) == [logs["loss"], logs["accuracy"]]
    model.compile("sgd", "cross_entropy", seed=1)
    assert model.evaluate(X, Y, return_dict=False) == model.evaluate(X, Y)["loss"]


def test_what_is_shown(capsys):
    model = made()
    model.build((5,))
    model.evaluate(X, Y)
    model.predict(X)
    assert capsys.readouterr() == ("", "")
    for verbose in (1, 2):
        model.evaluate(X, Y, verbose=verbose)
        assert "evaluate: loss=" in capsys.readouterr().err
        model.predict(iter(BATCHES), verbose=verbose)
        out, err = capsys.readouterr()
        assert "predict: 40 samples" in err
        assert out == ""
    model.evaluate(X, Y, verbose="auto")
    assert "accuracy=" in capsys.readouterr().err
    for call in (model.evaluate, model.predict):
        with pytest.raises(ValueError, match="argument 'verbose' expected 0, 1, 2 or 'auto'"):
            call(X, verbose=3)


def test_hooks_over_batches():
    events = []

    class Log(nnx.Callback):
        def on_predict_begin(self, logs=None):
            events.append("begin")

        def on_predict_batch_begin(self, batch, logs=None):
            events.append(batch)

        def on_predict_batch_end(self, batch, logs=None):
            events.append(-batch)

        def on_predict_end(self, logs=None):
            events.append("end")

    model = made()
    model.build((5,))
    for given in (Loader(BATCHES[:3]), X[:24]):
        model.predict(given, batch_size=BATCH, callbacks=Log())
        assert events == ["begin", 0, 0, 1, -1, 2, -2, "end"]
        events.clear()


def test_arguments_that_do_not_fit():
    model = made()
    model.build((5,))
    weights = model.get_weights()
    for name in ("steps_per_epoch", "validation_steps", "validation_freq", "validation_batch_size"):
        for value, exception in (
            (0, ValueError),
            (-1, ValueError),
            (1.5, TypeError),
            (True, TypeError),
            ("2", TypeError),
        ):
            with pytest.raises(exception, match=f"fit: argument '{name}' expected an int"):
                model.fit(X, Y, verbose=0, validation_data=(X, Y), **{name: value})
    for call, where in ((model.evaluate, "evaluate"), (model.predict, "predict")):
        with pytest.raises(
            ValueError, match=f"{where}: argument 'steps' expected an int of at least 1, got 0"
        ):
            call(X, steps=0)
    with pytest.raises(ValueError, match="argument 'y' expected None beside batches"):
        model.fit(Loader(BATCHES), Y, verbose=0)
    assert all(same_bits(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
    model.fit(X, Y, batch_size=None, verbose=0)  # Keras's default: 32
    assert model.optimizer.iterations == 2
