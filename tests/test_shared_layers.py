"""Models that share layers: values are one and the same, the optimizer's state is each model's own and stays."""

import nnx
import numpy as np
import pytest
from harness import devices, draw, same_bits

OPTIMIZERS = {
    "momentum": lambda: nnx.SGD(0.05, momentum=0.9),
    "nesterov": lambda: nnx.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "clipped": lambda: nnx.SGD(0.05, momentum=0.9, clip_norm=0.5),
    "adam": lambda: nnx.Adam(0.01),
    "adamw": lambda: nnx.AdamW(0.01, clip_norm=1.0),
}


class Adversaries:
    """A critic, and a larger model around it with a generator in front; `steps` trains the critic alone."""

    def __init__(self, rng, optimizer, device="cpu", frozen=True, rate=0.1, precision="float32"):
        self.x, self.t = draw(rng, (24, 5)), draw(rng, (24, 1))
        self.noise = draw(rng, (24, 3))
        self.critic = nnx.Sequential(nnx.Dense(7, activation="tanh"), nnx.Dense(1))
        self.critic.compile(OPTIMIZERS[optimizer](), "mse", device=device, seed=3)
        self.critic.build((5,))
        self.critic.set_weights([draw(rng, weight.shape) for weight in self.critic.weights])
        self.critic.train_step(self.x[:8], self.t[:8])
        self.frozen, self.rate, self.precision, self.device = frozen, rate, precision, device
        self.generator = nnx.Sequential(nnx.Dense(5, activation="relu"))
        self.both = None

    def enclose(self, device=None):
        """The larger model, made late: a critic trained alone never meets it."""
        self.both = nnx.Sequential(self.generator, self.critic)
        optimizer = nnx.SGD(self.rate, momentum=0.9)
        self.both.compile(optimizer, "mse", device=device or self.device, precision=self.precision, seed=4)
        return self

    def between(self, how):
        if not how:
            return
        if self.both is None:
            self.enclose()
        self.critic.trainable = not self.frozen
        self.larger(how)
        self.critic.trainable = True

    def larger(self, how):
        if how == "predict":
            self.both.predict(self.noise)
        elif how == "evaluate":
            self.both.evaluate(self.noise, self.t)
        elif how == "step":
            self.both.train_step(self.noise, self.t)
        elif how == "fit":
            self.both.fit(self.noise, self.t, batch_size=8, verbose=0)

    def steps(self, how=""):
        for i in range(8):
            self.between(how)
            at = slice(i % 3 * 8, i % 3 * 8 + 8)
            self.critic.train_step(self.x[at], self.t[at])
        assert self.critic.optimizer.iterations == 9
        return self.critic.get_weights()


def both_ways(rng_of, how, *args, **kwargs):
    alone = Adversaries(rng_of(), *args, **kwargs).steps()
    beside = Adversaries(rng_of(), *args, **kwargs).steps(how)
    for a, b in zip(alone, beside, strict=True):
        assert same_bits(a, b)


@pytest.fixture
def rng_of(rng):
    """The same random numbers again and again."""
    seed = int(rng.integers(1 << 30))
    return lambda: np.random.default_rng(seed)


@pytest.mark.parametrize("device", devices())
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("how", ["predict", "evaluate", "step", "fit"])
def test_a_critic_trained_alternately_is_the_critic_trained_alone(rng_of, how, optimizer, device):
    both_ways(rng_of, how, optimizer, device)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("how", ["step", "fit"])
def test_steps_of_the_larger_model_have_a_state_of_their_own(rng_of, how, optimizer):
    """With a rate of zero they change no weight of the critic, and so nothing of its run."""
    both_ways(rng_of, how, optimizer, frozen=False, rate=0.0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("how", ["predict", "step"])
def test_the_state_goes_with_weights_that_move(rng_of, how, optimizer):
    """To float64 and back, which changes no bit."""
    both_ways(rng_of, how, optimizer, precision="float64")


@pytest.mark.skipif("cuda" not in devices(), reason="no CUDA")
def test_the_state_goes_from_device_to_device(rng_of):
    def run(how):
        pair = Adversaries(rng_of(), "adam")
        if how:
            pair.enclose("cuda")
        return pair.steps(how)

    for a, b in zip(run(""), run("predict"), strict=True):
        assert same_bits(a, b)


@pytest.mark.parametrize("how", ["predict", "step", "fit"])
def test_within_a_callback_no_step_is_lost(rng_of, how):
    def run(how):
        pair = Adversaries(rng_of(), "adam")

        class Between(nnx.Callback):
            def on_train_batch_end(self, batch, logs=None):
                pair.between(how)

        pair.critic.fit(pair.x, pair.t, batch_size=4, epochs=3, callbacks=[Between()], verbose=0)
        assert pair.critic.optimizer.iterations == 19
        return pair.critic.get_weights()

    for a, b in zip(run(""), run(how), strict=True):
        assert same_bits(a, b)


def test_both_models_see_each_others_steps(rng_of):
    """As with two models that share nothing, whose values are carried over by hand."""
    pair, critic = (Adversaries(rng_of(), "momentum", frozen=False).enclose() for _ in range(2))
    apart = nnx.Sequential(nnx.Dense(5, activation="relu"), nnx.Dense(7, activation="tanh"), nnx.Dense(1))
    apart.compile(nnx.SGD(0.1, momentum=0.9), "mse", device="cpu", seed=4)
    apart.build((3,))
    pair.both.build((3,))
    apart.set_weights(pair.both.get_weights())
    for _ in range(3):
        pair.critic.train_step(pair.x, pair.t)
        pair.both.train_step(pair.noise, pair.t)
        critic.critic.train_step(pair.x, pair.t)
        apart.set_weights([*apart.get_weights()[:2], *critic.critic.get_weights()])
        apart.train_step(pair.noise, pair.t)
        critic.critic.set_weights(apart.get_weights()[2:])
    for a, b in zip(pair.both.get_weights(), apart.get_weights(), strict=True):
        assert same_bits(a, b)
    hidden = pair.generator.predict(pair.noise)
    assert same_bits(pair.critic.predict(hidden), pair.both.predict(pair.noise))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_compiled_again_the_optimizer_begins_anew(rng_of, optimizer):
    """And that of the larger model goes on."""
    pair = Adversaries(rng_of(), optimizer, frozen=False).enclose()
    pair.both.train_step(pair.noise, pair.t)
    fresh = nnx.Sequential(nnx.Dense(7, activation="tanh"), nnx.Dense(1))
    for model in (pair.critic, fresh):
        model.compile(OPTIMIZERS[optimizer](), "mse", device="cpu", seed=3)
    fresh.build((5,))
    fresh.set_weights(pair.critic.get_weights())
    for model in (pair.critic, fresh):
        for _ in range(3):
            model.train_step(pair.x, pair.t)
    for a, b in zip(pair.critic.get_weights(), fresh.get_weights(), strict=True):
        assert same_bits(a, b)


def test_the_larger_models_state_outlives_a_compile_of_the_smaller(rng_of):
    def run(again):
        pair = Adversaries(rng_of(), "adam").enclose()
        for _ in range(4):
            pair.both.train_step(pair.noise, pair.t)
            if again:
                pair.critic.compile("adam", "mse", device="cpu", seed=3)
                pair.critic.predict(pair.x)
        return [weight.numpy() for weight in pair.generator.weights]

    for a, b in zip(run(False), run(True), strict=True):
        assert same_bits(a, b)
