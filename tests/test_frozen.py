"""Frozen layers stay as they are, batch norms and their statistics among them."""

import harness
import nnx
import numpy as np
import pytest


def data(samples=24):
    rng = np.random.default_rng(2)
    return rng.normal(1.0, 2.0, size=(samples, 5)), rng.integers(0, 3, samples)


class Branched(nnx.Model):
    """The batch norm's input has another reader: its gradient is added to."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nnx.Dense(4, "tanh"), nnx.BatchNorm(), nnx.Dense(3)

    def forward(self, x):
        h = self.first(x)
        return self.last(self.norm(h) + h * 0.5)


def plain():
    return nnx.Sequential(
        nnx.Dense(4, "tanh", name="first"), nnx.BatchNorm(name="norm"), nnx.Dense(3, name="last")
    )


def trained(make, device, precision="float64"):
    x, y = data()
    model = make()
    model.compile(nnx.SGD(0.1, momentum=0.9), "cross_entropy", device=device, precision=precision, seed=1)
    model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    return model


@pytest.mark.parametrize("make", [plain, Branched])
@pytest.mark.parametrize("device", harness.devices())
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_frozen_batch_norm_works_as_in_prediction(make, device, precision):
    x, y = data()
    model = trained(make, device, precision)
    model.get_layer("norm").trainable = False
    before = model.state_dict()
    loss = model.evaluate(3 * x, y)["loss"]
    assert model.train_step(3 * x, y) == pytest.approx(loss, rel=1e-12 if precision == "float64" else 1e-6)
    model.fit(3 * x, y, batch_size=8, epochs=2, verbose=0)
    after = model.state_dict()
    for name in ("norm.gamma", "norm.beta", "norm.running_mean", "norm.running_var"):
        assert before[name].tobytes() == after[name].tobytes()
    assert not np.array_equal(before["first.kernel"], after["first.kernel"])
    model.get_layer("norm").trainable = True
    model.train_step(x, y)
    assert not np.array_equal(model.state_dict()["norm.running_mean"], after["norm.running_mean"])


@pytest.mark.parametrize("make", [plain, Branched])
@pytest.mark.parametrize("device", harness.devices())
def test_gradients_through_a_frozen_batch_norm(make, device):
    x, y = data()
    model = trained(make, device)
    model.get_layer("norm").trainable = False
    _, gradients = model.gradients(x, y)
    start = model.state_dict()
    for name, gradient in gradients.items():
        for place in list(np.ndindex(gradient.shape))[::3]:
            sides = []
            for step in (1e-6, -1e-6):
                changed = {key: value.copy() for key, value in start.items()}
                changed[name][place] += step
                model.load_state_dict(changed)
                sides.append(model.evaluate(x, y)["loss"])
            assert gradient[place] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5, abs=1e-8)


def test_a_frozen_model_inside_another_stays_as_it_is():
    x, y = data()
    base = trained(plain, "cpu")
    before, outputs = base.state_dict(), base.predict(x)
    base.trainable = False
    head = nnx.Sequential(base, nnx.Dense(3))
    head.compile("sgd", "cross_entropy", precision="float64", seed=1)
    head.fit(5 * x, y, epochs=3, verbose=0)
    for name, value in base.state_dict().items():
        assert value.tobytes() == before[name].tobytes()
    assert np.array_equal(base.predict(x), outputs)


def test_a_model_that_was_built_as_a_part_tells_its_weights():
    x, y = data()
    base = plain()
    head = nnx.Sequential(base, nnx.Dense(3))
    head.compile("sgd", "cross_entropy", seed=1)
    head.fit(x, y, verbose=0)
    for name, value in base.state_dict().items():
        assert np.array_equal(value, head.state_dict()[f"sequential.{name}"])
    assert base.count_params() == sum(weight.size for weight in base.get_weights())
    base.set_weights([value + 1 for value in base.get_weights()])
    assert np.array_equal(head.get_layer("sequential.first").kernel, base.get_weights()[0])
    with pytest.raises(ValueError, match="the model has no weights yet"):
        plain().state_dict()
