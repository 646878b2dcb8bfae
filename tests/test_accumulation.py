"""Several batches to a step: the same as one batch so many times as large."""

import nnx
import numpy as np
import pytest
from harness import FLOATS, draw, same_bits

# Sums over the rows of a large batch are taken in another order than those over its parts.
CLOSE = {"float64": 1e-12, "float32": 2e-5}


def dense():
    return nnx.Sequential(nnx.Dense(7, activation="relu"), nnx.Dropout(0.4), nnx.Dense(3))


def convolutions():
    return nnx.Sequential(
        nnx.Conv2D(5, 3, activation="relu"), nnx.MaxPool2D(2), nnx.Dropout(0.3), nnx.Flatten(), nnx.Dense(3)
    )


class Twice(nnx.Model):
    """One layer's weights used twice."""

    def __init__(self):
        super().__init__()
        self.first, self.shared, self.last = nnx.Dense(5), nnx.Dense(5, activation="tanh"), nnx.Dense(3)

    def forward(self, x):
        return self.last(self.shared(self.shared(self.first(x))))


MODELS = {"dense": (dense, (5,)), "convolutions": (convolutions, (6, 6, 2)), "shared": (Twice, (5,))}
OPTIMIZERS = {
    "sgd": lambda: nnx.SGD(0.1),
    "momentum": lambda: nnx.SGD(0.1, momentum=0.9, weight_decay=0.01),
    "adam": lambda: nnx.Adam(0.01),
    "all": lambda: nnx.RMSprop(
        nnx.schedules.InverseTimeDecay(0.01, 0.1, per="step"), momentum=0.5, clip_norm=0.5, clip_value=0.1, ema=0.5
    ),
}  # fmt: skip


def models(make, optimizer, device="cpu", precision="float64", loss="cross_entropy", metrics=("accuracy",)):
    made = []
    for _ in range(2):
        model = make()
        model.compile(optimizer(), loss, metrics, device=device, precision=precision, seed=3)
        made.append(model)
    return made


def check_same(a, b, precision="float64"):
    for name, value in a.state_dict().items():
        np.testing.assert_allclose(
            value, b.state_dict()[name], rtol=CLOSE[precision], atol=CLOSE[precision], err_msg=name
        )


def check_logs(a, b, precision="float64"):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=CLOSE[precision], err_msg=name)


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_parts_make_the_step_of_a_large_batch(rng, device, name, optimizer, precision):
    """Dropout included; of 43 samples in steps of 16 the last has 11, in parts of 4, 4 and 3."""
    make, shape = MODELS[name]
    x, y = draw(rng, (43, *shape)).astype(precision), rng.integers(0, 3, 43)
    in_parts, whole = models(make, OPTIMIZERS[optimizer], device, precision)
    a = in_parts.fit(x, y, batch_size=4, accumulate=4, epochs=2, verbose=0)
    b = whole.fit(x, y, batch_size=16, epochs=2, verbose=0)
    assert in_parts.optimizer.iterations == whole.optimizer.iterations == 6
    check_same(in_parts, whole, precision)
    check_logs(a.history, b.history, precision)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses_and_weights(rng, device, reduction):
    x, t, weight = draw(rng, (20, 5)), draw(rng, (20, 3)), rng.uniform(0, 2, 20)
    loss = nnx.losses.MeanSquaredError(reduction=reduction)
    in_parts, whole = models(dense, lambda: nnx.SGD(0.02), device, loss=loss, metrics=("mae", "r2"))
    a = in_parts.fit(x, t, batch_size=3, accumulate=3, sample_weight=weight, verbose=0)
    b = whole.fit(x, t, batch_size=9, sample_weight=weight, verbose=0)
    check_same(in_parts, whole)
    check_logs(a.history, b.history)


def test_penalties_count_once(rng, device):
    def make():
        return nnx.Sequential(nnx.Dense(5, kernel_regularizer="l2"), nnx.Dense(3, bias_regularizer="l1"))

    x, y = draw(rng, (20, 5)), rng.integers(0, 3, 20)
    in_parts, whole = models(make, OPTIMIZERS["momentum"], device)
    a = in_parts.fit(x, y, batch_size=2, accumulate=4, verbose=0)
    b = whole.fit(x, y, batch_size=8, verbose=0)
    check_same(in_parts, whole)
    check_logs(a.history, b.history)


@pytest.mark.parametrize("weights", [False, True])
def test_batches_of_an_iterable(rng, device, weights):
    """Of seven batches three make a step, and the last makes one by itself; sizes may differ."""
    x, y, weight = draw(rng, (40, 5)), rng.integers(0, 3, 40), rng.uniform(0, 2, 40)
    arrays = (x, y, weight) if weights else (x, y)

    def cut(places):
        return [tuple(part) for part in zip(*(np.split(a, places) for a in arrays), strict=True)]

    in_parts, whole = models(dense, OPTIMIZERS["momentum"], device)
    a = in_parts.fit(cut([6, 12, 18, 20, 26, 36]), accumulate=3, epochs=2, verbose=0)
    b = whole.fit(cut([18, 36]), epochs=2, verbose=0)
    assert in_parts.optimizer.iterations == 6
    check_same(in_parts, whole)
    check_logs(a.history, b.history)


def test_batches_of_different_shapes_in_a_step(rng):
    model, _ = models(
        lambda: nnx.Sequential(nnx.Conv2D(2, 3), nnx.GlobalAvgPool2D(), nnx.Dense(3)), OPTIMIZERS["sgd"]
    )
    batches = [(draw(rng, (2, size, size, 1)), np.zeros(2, int)) for size in (5, 6)]
    model.fit(batches, verbose=0)
    with pytest.raises(ValueError, match="batches of one shape of sample"):
        model.fit(batches, accumulate=2, verbose=0)


def test_batch_norm_sees_the_parts(rng, device):
    """Its running statistics move once for each."""
    x, y = draw(rng, (12, 5)), rng.integers(0, 3, 12)
    model, plain = models(
        lambda: nnx.Sequential(nnx.BatchNorm(0.9), nnx.Dense(3)), lambda: nnx.SGD(0.0), device
    )
    model.fit(x, y, batch_size=3, accumulate=4, shuffle=False, verbose=0)
    plain.fit(x, y, batch_size=3, shuffle=False, verbose=0)
    for name in ("batch_norm.running_mean", "batch_norm.running_var"):
        np.testing.assert_allclose(model.state_dict()[name], plain.state_dict()[name], rtol=1e-14)


def test_one_batch_to_a_step_is_as_ever(rng):
    x, y = draw(rng, (20, 5)), rng.integers(0, 3, 20)
    one, plain = models(dense, OPTIMIZERS["momentum"])
    one.fit(x, y, batch_size=4, accumulate=1, verbose=0)
    plain.fit(x, y, batch_size=4, verbose=0)
    assert all(same_bits(a, b) for a, b in zip(one.get_weights(), plain.get_weights(), strict=True))


class Steps(nnx.Callback):
    def __init__(self):
        self.begun, self.seen = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.begun.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((batch, self.model.optimizer.iterations, logs["learning_rate"]))


def test_callbacks_and_schedules_count_steps(rng, device):
    x, y = draw(rng, (20, 5)), rng.integers(0, 3, 20)
    schedule = nnx.schedules.PiecewiseConstant([1, 2], [0.1, 0.2, 0.3], per="step")
    model, _ = models(dense, lambda: nnx.SGD(schedule), device)
    steps = Steps()
    model.fit(x, y, batch_size=2, accumulate=4, callbacks=steps, verbose=0)
    assert steps.begun == [0, 1, 2]
    assert steps.seen == [(0, 1, 0.1), (1, 2, 0.1), (2, 3, 0.2)]
    assert model.steps_per_epoch == 3


class Stop(nnx.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            raise KeyboardInterrupt


def test_a_run_that_was_cut_off_goes_on(rng, device, tmp_path):
    x, y = draw(rng, (30, 5)), rng.integers(0, 3, 30)
    cut, whole = models(dense, OPTIMIZERS["momentum"], device)
    whole.fit(x, y, batch_size=2, accumulate=3, epochs=2, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        cut.fit(x, y, batch_size=2, accumulate=3, epochs=2, callbacks=Stop(), verbose=0)
    cut.save(tmp_path / "m.safetensors")
    again = nnx.load(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="argument 'accumulate' expected 3"):
        again.fit(x, y, batch_size=2, epochs=2, resume=True, verbose=0)
    again.fit(x, y, batch_size=2, accumulate=3, epochs=2, resume=True, verbose=0)
    assert all(same_bits(a, b) for a, b in zip(again.get_weights(), whole.get_weights(), strict=True))


def test_a_loss_that_is_not_finite(rng, device):
    """Named by its layer; counts and sums are those of a run of large batches."""
    x, y = draw(rng, (24, 5)).astype(np.float32), rng.integers(0, 3, 24)
    x[14] = np.nan  # in the second part of the second step
    in_parts, whole = models(dense, OPTIMIZERS["sgd"], device, "float32")
    with pytest.warns(RuntimeWarning, match="from step 1 on; the first layer with such values: '.*'"):
        a = in_parts.fit(x, y, batch_size=4, accumulate=2, shuffle=False, verbose=0)
    with pytest.warns(RuntimeWarning, match="from step 1 on"):
        b = whole.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    assert in_parts.optimizer.iterations == 3
    assert a.history["accuracy"] == b.history["accuracy"]
    assert np.isnan(a.history["loss"][0])


def test_gradients_beside_it_are_those_of_a_batch(rng):
    """`gradients` and `train_step` know nothing of what a `fit` left behind."""
    x, y = draw(rng, (12, 5)), rng.integers(0, 3, 12)
    model, plain = models(Twice, OPTIMIZERS["sgd"])
    model.fit(x, y, batch_size=4, accumulate=3, verbose=0)
    plain.set_weights(model.get_weights()) if plain.built else (
        plain.build((5,)),
        plain.set_weights(model.get_weights()),
    )
    for (name, a), b in zip(model.gradients(x, y)[1].items(), plain.gradients(x, y)[1].values(), strict=True):
        assert same_bits(a, b), name


@pytest.mark.parametrize("value", [0, -1, 2.5, "4", True])
def test_bad_numbers(rng, value):
    model, _ = models(dense, OPTIMIZERS["sgd"])
    with pytest.raises((ValueError, TypeError), match="fit: argument 'accumulate' expected an int"):
        model.fit(draw(rng, (4, 5)), np.zeros(4, int), accumulate=value, verbose=0)
