"""Ctrl-C: answered soon, with every step done or not done at all, and counted so."""

import contextlib
import os
import signal
import threading
import time

import nnx
import pytest
from harness import draw, same_bits


@contextlib.contextmanager
def interrupted(after):
    """Ctrl-C after some seconds; the block must end with it, within half a second and a kernel's time."""
    sent = []

    def send():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(after, send)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
        assert time.perf_counter() - sent[0] < 0.5
    finally:
        timer.cancel()
        timer.join()


def deep(optimizer):
    """A step of a second or more, made of kernels of some hundredths."""
    layers = [
        layer for _ in range(10) for layer in (nnx.Dense(512, use_bias=False), nnx.BatchNorm(), nnx.ReLU())
    ]
    model = nnx.Sequential(*layers, nnx.Dense(1))
    model.compile(optimizer, "mse", device="cpu", seed=0)
    model.build((512,))
    return model


OPTIMIZERS = {
    "momentum": lambda: nnx.SGD(0.01, momentum=0.9),
    "clipped": lambda: nnx.SGD(0.01, clip_norm=1.0),
    "adam": lambda: nnx.Adam(0.01),
}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_large_step_is_done_or_left_undone(rng, optimizer):
    """Whenever it is interrupted: weights, statistics, state and count are as before it, or as after it."""
    x, t = draw(rng, (4096, 512)), draw(rng, (4096, 1))
    model = deep(OPTIMIZERS[optimizer]())
    model.train_step(x, t)
    start = time.perf_counter()
    model.train_step(x, t)
    length = time.perf_counter() - start
    undone = 0
    for part in (0.1, 0.4, 0.7):
        count, before = model.optimizer.iterations, model.get_weights()
        with interrupted(part * length):
            model.fit(x, t, batch_size=4096, epochs=100, shuffle=False, verbose=0)
        if model.optimizer.iterations == count:
            undone += 1
            assert all(same_bits(a, b) for a, b in zip(model.get_weights(), before, strict=True)), part
    assert undone
    with interrupted(0.3 * length):
        while True:
            model.train_step(x, t)
    with interrupted(0.1 * length):
        model.predict(x, batch_size=4096)
    model.train_step(x, t)

    twin = deep(OPTIMIZERS[optimizer]())
    for _ in range(model.optimizer.iterations):
        twin.train_step(x, t)
    assert all(same_bits(a, b) for a, b in zip(model.get_weights(), twin.get_weights(), strict=True))


def small(per_step):
    model = nnx.Sequential(nnx.Dense(8, activation="tanh"), nnx.Dense(1))
    model.compile(nnx.Adam(0.001), "mse", device="cpu", seed=0)
    model.build((4,))

    class Hook(nnx.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    return model, [Hook()] if per_step else []


@pytest.mark.parametrize("per_step", [False, True])
def test_iterations_are_the_steps_that_the_weights_have_seen(rng, per_step):
    """At random moments, with and without Python between the steps."""
    x, t = draw(rng, (400_000, 4)), draw(rng, (400_000, 1))
    for _ in range(4):
        model, hooks = small(per_step)
        with interrupted(float(rng.uniform(0.02, 0.2))):
            while True:
                model.fit(x, t, batch_size=1, epochs=1, shuffle=False, callbacks=hooks, verbose=0)
        done = model.optimizer.iterations
        assert done > 0
        twin, _ = small(False)
        for _ in range(done // len(x)):
            twin.fit(x, t, batch_size=1, epochs=1, shuffle=False, verbose=0)
        rest = done % len(x)
        if rest:
            twin.fit(x[:rest], t[:rest], batch_size=1, epochs=1, shuffle=False, verbose=0)
        assert twin.optimizer.iterations == done
        assert all(same_bits(a, b) for a, b in zip(model.get_weights(), twin.get_weights(), strict=True))


def test_single_steps_are_counted_however_they_end(rng):
    x, t = draw(rng, (1, 4)), draw(rng, (1, 1))
    for _ in range(4):
        model, _ = small(False)
        with interrupted(float(rng.uniform(0.02, 0.1))):
            while True:
                model.train_step(x, t)
        twin, _ = small(False)
        for _ in range(model.optimizer.iterations):
            twin.train_step(x, t)
        assert all(same_bits(a, b) for a, b in zip(model.get_weights(), twin.get_weights(), strict=True))


def test_a_callback_that_raises_has_its_step_counted(rng):
    x, t = draw(rng, (64, 4)), draw(rng, (64, 1))
    model, _ = small(False)

    class Broken(nnx.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 5:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.fit(x, t, batch_size=4, callbacks=[Broken()], verbose=0)
    assert model.optimizer.iterations == 6


def test_threads_and_nested_calls_count_every_step(rng):
    x, t = draw(rng, (64, 4)), draw(rng, (64, 1))
    model, _ = small(False)
    threads = [threading.Thread(target=lambda: [model.train_step(x, t) for _ in range(40)]) for _ in range(8)]
    model.train_step(x, t)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert model.optimizer.iterations == 321
