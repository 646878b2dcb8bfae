"""A model counts the epochs and steps it has lived through, and everything follows these counts."""

import threading

import nnx
import numpy as np
import pytest
from harness import draw, same_bits


def data(rng, rows=45):
    return draw(rng, (rows, 6)), rng.integers(0, 3, rows)


def model(rate=0.05, optimizer=None, **options):
    layers = [nnx.Dense(8, "relu"), nnx.BatchNorm(), nnx.Dropout(0.3), nnx.Dense(3)]
    made = nnx.Sequential(*layers)
    made.compile(optimizer or nnx.SGD(rate, momentum=0.9), "cross_entropy", ["accuracy"], seed=5, **options)
    return made


def same(a, b):
    return all(same_bits(v, w) for v, w in zip(a.get_weights(), b.get_weights(), strict=True))


RATES = {
    "constant": lambda: 0.05,
    "per epoch": lambda: nnx.schedules.StepDecay(0.1, 0.5, every=2),
    "per step": lambda: nnx.schedules.ExponentialDecay(0.1, 0.01, per="step"),
}


@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("rate", RATES)
def test_calls_of_one_epoch_are_one_call_of_several(rng, rate, batches):
    x, y = data(rng)
    given = ([(x[i : i + 10], y[i : i + 10]) for i in range(0, 45, 10)],) if batches else (x, y)
    whole, parts = (model(RATES[rate]()) for _ in range(2))
    history = whole.fit(*given, batch_size=10, epochs=6, verbose=0)
    pieces = [parts.fit(*given, batch_size=10, epochs=n, verbose=0) for n in (1, 1, 1, 2, 1)]
    assert same(whole, parts)
    for key, values in history.history.items():
        assert [v for piece in pieces for v in piece.history[key]] == values, key
    assert [e for piece in pieces for e in piece.epoch] == history.epoch == list(range(6))
    assert whole.epoch == parts.epoch == 6
    assert whole.optimizer.iterations == parts.optimizer.iterations == 30


def test_adam_goes_on_too(rng):
    x, y = data(rng)
    whole, parts = (model(optimizer=nnx.Adam(0.01)) for _ in range(2))
    whole.fit(x, y, epochs=4, verbose=0, validation_split=0.2)
    for _ in range(4):
        parts.fit(x, y, verbose=0, validation_split=0.2)
    assert same(whole, parts)


def test_initial_epoch_sets_the_clock(rng):
    x, y = data(rng)
    trained = model(nnx.schedules.StepDecay(0.1, 0.5, every=1))
    history = trained.fit(x, y, initial_epoch=2, epochs=4, verbose=0)
    assert history.epoch == [2, 3]
    assert history.history["learning_rate"] == [0.1 * 0.25, 0.1 * 0.125]
    assert trained.epoch == 4
    before = trained.get_weights()
    with pytest.warns(UserWarning, match="nothing is trained"):
        assert trained.fit(x, y, initial_epoch=7, epochs=4, verbose=0).epoch == []
    assert trained.epoch == 7
    assert all(same_bits(a, b) for a, b in zip(before, trained.get_weights(), strict=True))
    trained.compile("sgd", "cross_entropy")
    assert trained.epoch == trained.optimizer.iterations == 0


def test_single_steps_move_the_clock(rng):
    x, y = data(rng, 40)
    trained = model(nnx.schedules.StepDecay(1e-9, 0.5, every=1))
    assert trained.steps_per_epoch is None
    for _ in range(5):
        trained.train_step(x[:10], y[:10])
    assert trained.epoch == 0
    trained.fit(x, y, batch_size=10, verbose=0)
    assert (trained.steps_per_epoch, trained.epoch, trained.optimizer.iterations) == (4, 1, 9)
    for _ in range(8):
        trained.train_step(x[:10], y[:10])
    assert (trained.epoch, trained.optimizer.iterations) == (3, 17)
    trained.steps_per_epoch = 2
    trained.train_step(x[:10], y[:10])
    trained.train_on_batch(x[:10], y[:10])
    assert trained.epoch == 4
    with pytest.raises(ValueError, match="argument 'steps_per_epoch' expected"):
        trained.steps_per_epoch = 0


def test_a_loop_of_steps_is_a_fit(rng):
    x, y = data(rng, 40)
    fitted, stepped = (model(nnx.schedules.StepDecay(0.1, 0.5, every=1)) for _ in range(2))
    fitted.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0)
    stepped.steps_per_epoch = 4
    for step in range(12):
        stepped.train_step(x[step % 4 * 10 :][:10], y[step % 4 * 10 :][:10])
    assert same(fitted, stepped)


def test_on_batch(rng):
    x, y = data(rng, 20)
    a, b = model(), model()
    logs = a.train_on_batch(x, y)
    assert list(logs) == ["loss", "accuracy"]
    assert logs["loss"] == pytest.approx(b.train_step(x, y), rel=1e-6)
    assert same(a, b)
    assert a.optimizer.iterations == 1
    assert a.test_on_batch(x, y) == a.evaluate(x, y)
    assert same_bits(a.predict_on_batch(x), a.predict(x))


def test_keras_defaults_are_taken(rng):
    x, y = data(rng)
    trained = nnx.Sequential(nnx.Dense(3))
    trained.compile(nnx.SGD, "cross_entropy", metrics=None)
    assert isinstance(trained.optimizer, nnx.SGD)
    seen = []

    class Seen(nnx.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(epoch)

    trained.fit(x, y, callbacks=None, verbose=0)
    trained.fit(x, y, callbacks=Seen(), verbose=0)
    trained.evaluate(x, y, callbacks=Seen())
    assert seen == [1]


def test_what_trains_is_not_compiled_anew(rng):
    x, y = data(rng)
    trained = model()

    class Meddler(nnx.Callback):
        def __init__(self, meddle):
            self.meddle = meddle

        def on_epoch_begin(self, epoch, logs=None):
            self.meddle()

    for meddle, message in (
        (lambda: trained.compile("adam", "cross_entropy"), "compile: the model trains"),
        (lambda: trained.fit(x, y, verbose=0), "fit: the model trains already"),
    ):
        with pytest.raises(RuntimeError, match=message):
            trained.fit(x, y, callbacks=Meddler(meddle), verbose=0)
        trained.fit(x, y, verbose=0)
    assert trained.epoch == 2
    assert trained.optimizer.iterations == 4


def test_a_build_that_fails_leaves_nothing(rng):
    made = nnx.Sequential(nnx.Conv2D(4, 3), nnx.MaxPool2D(2), nnx.Conv2D(4, 3), nnx.Flatten(), nnx.Dense(3))
    made.compile("sgd", "cross_entropy", seed=1)
    y = rng.integers(0, 3, 8)
    with pytest.raises(ValueError, match="conv2d"):
        made.fit(draw(rng, (8, 6, 6, 3)), y, verbose=0)
    assert not made.built
    assert made.weights == []
    with pytest.raises(ValueError, match="expected one length"):
        made.fit(draw(rng, (8, 12, 12, 3)), y[:4], verbose=0)
    with pytest.raises(ValueError, match="labels"):
        made.fit(draw(rng, (8, 12, 12, 3)), y + 1, verbose=0)
    assert made.weights == []
    made.fit(draw(rng, (8, 12, 12, 1)), y, verbose=0)
    assert made.weights[0].shape == (3, 3, 1, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation_data": [(np.zeros((4, 7), np.float32), np.zeros(4, int))]}, "'validation_data', first batch"),
        ({"validation_data": iter([("rubbish", None)])}, "'validation_data', first batch"),
        ({"validation_data": (np.zeros((4, 6), np.float32), np.full(4, 9))}, "labels"),
        ({"sample_weight": np.full(45, 1e39)}, "'sample_weight' expected weights that float32 holds"),
        ({"sample_weight": np.full(45, -1.0)}, "'sample_weight' expected weights >= 0"),
        ({"sample_weight": np.full(45, np.nan)}, "'sample_weight'"),
    ],
)  # fmt: skip
def test_everything_is_checked_before_the_first_step(rng, arguments, message):
    x, y = data(rng)
    trained = model()
    trained.build((6,))
    before = trained.get_weights()
    with pytest.raises((TypeError, ValueError), match=message):
        trained.fit(x, y, verbose=0, **arguments)
    assert all(same_bits(a, b) for a, b in zip(before, trained.get_weights(), strict=True))
    assert trained.optimizer.iterations == 0


def test_batches_to_validate_with_are_all_there(rng):
    """The first one, which was looked at, is not lost."""
    x, y = data(rng)
    seen = []

    class Seen(nnx.Callback):
        def on_test_batch_end(self, batch, logs=None):
            seen.append(batch)

    batches = ((x[i : i + 15], y[i : i + 15]) for i in range(0, 45, 15))
    model().fit(x, y, validation_data=batches, callbacks=Seen(), verbose=0)
    assert seen == [0, 1, 2]


def test_all_weights_or_none(rng):
    made = model()
    made.build((6,))
    before = made.state_dict()
    state = {name: value + 1 for name, value in before.items()}
    state["dense_1.bias" if "dense_1.bias" in state else list(state)[-1]] = np.array(["a"] * 3)
    with pytest.raises(TypeError, match="real numbers"):
        made.load_state_dict(state)
    assert all(same_bits(before[name], value) for name, value in made.state_dict().items())


def test_steps_of_eight_threads_are_all_counted(rng):
    x, y = data(rng)
    made = model(1e-6)
    made.build((6,))
    threads = [threading.Thread(target=lambda: [made.train_step(x, y) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.optimizer.iterations == 160


def test_layers_hold_what_is_set_from_the_next_call_on(rng):
    x, y = data(rng)
    trained, layers = model(), None
    layers = trained.layers
    trained.fit(x, y, verbose=0)
    before = layers[0].kernel.numpy()
    moving = layers[3].kernel.numpy()
    layers[0].trainable = False
    trained.fit(x, y, verbose=0)
    assert same_bits(before, layers[0].kernel.numpy())
    assert not same_bits(moving, layers[3].kernel.numpy())
    layers[0].trainable = True
    trained.fit(x, y, verbose=0)
    assert not same_bits(before, layers[0].kernel.numpy())

    # With the rate at 0 dropout does nothing, so that two steps from the same weights have one loss.
    layers[2].rate = 0.0
    state = trained.state_dict()
    losses = []
    for _ in range(2):
        trained.load_state_dict(state)
        losses.append(trained.train_step(x, y))
    assert losses[0] == losses[1]


def test_the_optimizers_state_survives_what_is_set(rng):
    """Where a layer is frozen and thawed, and a rate set and set back, the others keep their velocities."""
    x, y = data(rng)
    plain, set_twice = model(), model()
    for trained in (plain, set_twice):
        trained.layers[0].trainable = False
        trained.fit(x, y, verbose=0)
    set_twice.layers[0].trainable = True
    set_twice.layers[2].rate = 0.5
    set_twice.predict(x)
    set_twice.layers[0].trainable = False
    set_twice.layers[2].rate = 0.3
    for trained in (plain, set_twice):
        trained.fit(x, y, verbose=0)
    assert same(plain, set_twice)
