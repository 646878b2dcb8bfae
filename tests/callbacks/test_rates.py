"""ReduceLROnPlateau, LearningRateScheduler, and rates that callbacks set by hand."""

import harness
import nnx
import numpy as np
import pytest
from callbacks.cases import Told, compiled, data, fit
from nnx.callbacks import LearningRateScheduler, ReduceLROnPlateau


def rates(callbacks, epochs=8, optimizer=None, **options):
    return fit(callbacks, epochs, compiled(optimizer), **options)[1].history["learning_rate"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # x falls, then stays at 1 from epoch 2 on
        ({"patience": 2}, [1, 1, 1, 1, 1, 0.1, 0.1, 0.01]),
        ({"patience": 1, "cooldown": 2}, [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
        ({"patience": 1, "min_lr": 0.05}, [1, 1, 1, 1, 0.1, 0.05, 0.05, 0.05]),
        ({"patience": 0, "factor": 0.5}, [1, 1, 1, 1, 0.5, 0.25, 0.125, 0.0625]),
        ({"patience": 9}, [1] * 8),
        ({"patience": 1, "min_delta": 5.0}, [1, 1, 0.1, 0.01, 0.001, 1e-4, 1e-5, 1e-6]),
    ],
)
def test_reduced_where_keras_does(arguments, expected):
    found = rates(
        [Told(x=[3.0, 2, 1, 1, 1, 1, 1, 1]), ReduceLROnPlateau("x", **arguments)], optimizer=nnx.SGD(1.0)
    )
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"factor": 1.0}, ValueError, "ReduceLROnPlateau: argument 'factor'"),
        ({"patience": -1}, ValueError, "argument 'patience'"),
        ({"cooldown": -1}, ValueError, "argument 'cooldown'"),
        ({"min_lr": -1.0}, ValueError, "argument 'min_lr'"),
        ({"mode": "?"}, ValueError, "argument 'mode'"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        ReduceLROnPlateau(**arguments)


def test_schedulers():
    assert rates([LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))], 3) == pytest.approx(
        [0.1, 0.05, 0.1 / 3]
    )
    assert rates([LearningRateScheduler(lambda epoch, rate: rate * 0.5)], 3) == pytest.approx(
        [0.05, 0.025, 0.0125]
    )
    for schedule in (
        lambda epoch, rate=9.0: rate * 0.5,
        lambda *both: both[1] * 0.5,
    ):  # called with both, as in Keras
        assert rates([LearningRateScheduler(schedule)], 2) == pytest.approx([0.05, 0.025])
    schedule = nnx.schedules.StepDecay(0.2, 0.5, every=2)
    assert rates([LearningRateScheduler(schedule)], 4) == pytest.approx([0.2, 0.2, 0.1, 0.1])
    warm = nnx.schedules.Warmup(
        nnx.schedules.StepDecay(2.0, 0.5, every=1), 4
    )  # its second argument is no rate
    assert rates([LearningRateScheduler(warm)], 3, nnx.SGD(1.0)) == pytest.approx([0.5, 1.0, 1.5])


def test_what_schedulers_refuse():
    with pytest.raises(TypeError, match="argument 'schedule' expected a function, got float"):
        LearningRateScheduler(0.1)
    with pytest.raises(TypeError, match="argument 'schedule' expected a number, got NoneType"):
        rates([LearningRateScheduler(lambda epoch: None)])
    with pytest.raises(ValueError, match="argument 'schedule' expected a finite number"):
        rates([LearningRateScheduler(lambda epoch: -1.0)])
    for callback in (LearningRateScheduler(lambda epoch: 0.1), ReduceLROnPlateau("loss")):
        with pytest.raises(
            TypeError, match="expected an optimizer whose learning_rate is a number, got the schedule"
        ):
            rates([callback], optimizer=nnx.SGD(nnx.schedules.StepDecay(0.1)))


@pytest.mark.parametrize("device", harness.devices())
@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end"])
def test_a_rate_set_at_a_batch_holds_from_the_next_step(device, hook):
    x, y = data()

    class Falls(nnx.Callback):
        pass

    def set_rate(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.1 / (1 + self.model.optimizer.iterations)

    setattr(Falls, hook, set_rate)
    model, by_hand = (compiled(nnx.SGD(0.1), device=device) for _ in range(2))
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[Falls()])
    for step in range(10):
        # as batches begin one rate is set for the step itself, as they end for the one after
        part = slice(8 * (step % 5), 8 * (step % 5) + 8)
        by_hand.optimizer.learning_rate = 0.1 / (1 + step)
        by_hand.train_step(x[part], y[part])
    for a, b in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_resumed_run_has_the_rates_of_the_unbroken_one(tmp_path):
    x, y = data()

    class Save(nnx.Callback):
        after_others = True

        def on_epoch_end(self, epoch, logs=None):
            self.model.save(tmp_path / str(epoch))

    def callbacks():
        return [
            Told(x=[3.0, 2, 1, 1, 1, 1, 1, 1]),
            ReduceLROnPlateau("x", patience=1, cooldown=1),
            LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        ]

    _, history = fit([*callbacks(), Save()], model=compiled(nnx.SGD(1.0)))
    for epoch in range(7):
        resumed = nnx.load(tmp_path / str(epoch))
        again = resumed.fit(x, y, batch_size=8, epochs=8, verbose=0, resume=True, callbacks=callbacks())
        assert again.history == history.history
