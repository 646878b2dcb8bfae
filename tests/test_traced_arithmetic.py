"""What a forward can say beside layers: operators, elementwise functions, sums, slices, padding; and their gradients."""

import nnx
import numpy as np
import pytest
from harness import PROGRAM_DEVICE, draw, expect_bad, numeric_gradient
from nnx import ops


class Written(nnx.Model):
    """A forward in front of which a weight stands, so that there are gradients by it, by `scale` and `shift`."""

    def __init__(self, function, shape, weights=()):
        super().__init__()
        self.function = function
        self.front = Front(shape, weights)

    def forward(self, x):
        return self.function(x, self.front(x), *self.front.given)


class Front(nnx.layers.Layer):
    def __init__(self, shape, weights):
        super().__init__()
        self.shape, self.weight_shapes = shape, weights

    def build(self, input_shape):
        self.kernel = self.add_weight("kernel", self.shape, "normal")
        self.given = [
            self.add_weight(f"given{i}", shape, "normal") for i, shape in enumerate(self.weight_shapes)
        ]

    def forward(self, x):
        return x * self.kernel


def numpy_of(function, x, weights):
    kernel, *given = weights
    return function(x, x * kernel, *given)


class NumpyOps:
    """The same names, for arrays in float64."""

    exp, log, sqrt, square, tanh = np.exp, np.log, np.sqrt, np.square, np.tanh
    maximum, minimum = np.maximum, np.minimum

    @staticmethod
    def mean(x, axis=None, keepdims=False):
        return np.mean(x, axis=tuple(range(1, x.ndim)) if axis is None else axis, keepdims=keepdims)

    @staticmethod
    def sum(x, axis=None, keepdims=False):
        return np.sum(x, axis=tuple(range(1, x.ndim)) if axis is None else axis, keepdims=keepdims)

    @staticmethod
    def clip(x, low, high):
        return np.clip(x, low, high)

    @staticmethod
    def pad(x, padding, value=0.0):
        return np.pad(x, [(0, 0), *padding], constant_values=value)

    @staticmethod
    def mish(x):
        return x * np.tanh(np.logaddexp(x, 0))

    @staticmethod
    def softplus(x):
        return np.logaddexp(x, 0)

    @staticmethod
    def concat(arrays, axis=-1):
        return np.concatenate(arrays, axis)


CASES = {
    "h + 1": (lambda o: lambda x, h: h + 1, (3,), ()),
    "1 - h": (lambda o: lambda x, h: 1 - h, (3,), ()),
    "h ** 2": (lambda o: lambda x, h: h**2, (3,), ()),
    "2 / (3 + h * h)": (lambda o: lambda x, h: 2 / (3 + h * h), (3,), ()),
    "chain of six": (lambda o: lambda x, h: o.sqrt(abs(o.tanh(h * 2 + 1)) + 0.5) ** 3, (3,), ()),
    "both ways": (lambda o: lambda x, h: (x - h) / (1 + o.exp(h - x)) + o.exp(h - x), (3,), ()),
    "columns": (lambda o: lambda x, h: h[:, :2] - x[:, 1:], (3,), ()),
    "a column": (lambda o: lambda x, h: h[:, 0:1] * h + x[:, -1:], (3,), ()),
    "one number": (lambda o: lambda x, h: h[:, 1] * 2 + x[:, 0], (3,), ()),
    "backwards": (lambda o: lambda x, h: h[:, ::-1] * x + h, (3,), ()),
    "centred": (lambda o: lambda x, h: h - o.mean(h, axis=-1, keepdims=True), (3,), ()),
    "normalised": (
        lambda o: lambda x, h: (h - o.mean(h, -1, True)) / o.sqrt(o.mean(o.square(h - o.mean(h, -1, True)), -1, True) + 1e-3),
        (3,),
        (),
    ),
    "of all": (lambda o: lambda x, h: o.sum(h * h), (3,), ()),
    "attention of channels": (
        lambda o: lambda x, h: h * o.tanh(o.mean(h, axis=(1, 2), keepdims=True) + 1),
        (4, 5, 3),
        (),
    ),
    "axes apart": (lambda o: lambda x, h: o.sum(h * x, axis=(1, 3)), (4, 5, 3), ()),
    "image": (
        lambda o: lambda x, h: o.pad(h[:, 1:, ::2, :], [(1, 1), (0, 2), (0, 0)], 0.5)[:, :-1] ** 2,
        (4, 5, 3),
        (),
    ),
    "cropped twice": (lambda o: lambda x, h: h[:, :3, 1:4, 0] * h[:, 1:, :3, 2] + h[..., 1][:, 1:, 2:], (4, 5, 3), ()),
    "weights": (lambda o: lambda x, h, a, b: h * a + b - o.maximum(h, a), (3,), ((3,), (1,))),
    "weights of channels": (
        lambda o: lambda x, h, a: o.maximum(h, 0.0) + a * o.minimum(h, 0.0),
        (4, 5, 3),
        ((3,),),
    ),
    "weights of an image": (lambda o: lambda x, h, a, b: o.exp(h * a) - b * h * b, (4, 5, 3), ((4, 5, 3), (5, 1))),
    "mish and softplus": (lambda o: lambda x, h: o.mish(h) + o.softplus(h) * h, (3,), ()),
    "read twice": (lambda o: lambda x, h: (t := h + 1) * t + t, (3,), ()),
    "beside a layer's sum": (lambda o: lambda x, h: o.concat([h + x, (h + x) * 2 - 1], axis=1), (3,), ()),
    "larger": (lambda o: lambda x, h: o.clip(o.maximum(h, x) - o.minimum(h, 0.25), -0.4, 2), (3,), ()),
}  # fmt: skip


def built(case, dtype="float64", seed=3):
    write, shape, weights = CASES[case]
    model = Written(write(ops), shape, weights)
    model.compile(nnx.SGD(0.1), "half_sum_squared_error", device=PROGRAM_DEVICE, precision=dtype, seed=seed)
    model.build(shape)
    return model, write(NumpyOps)


@pytest.mark.parametrize("case", CASES)
def test_forward_and_gradients(rng, case):
    model, definition = built(case)
    _, shape, _ = CASES[case]
    x = draw(rng, (5, *shape), "float64")
    weights = [w + 0.5 for w in model.get_weights()]
    model.set_weights(weights)
    want = numpy_of(definition, x, weights)
    got = model.predict(x)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    target = draw(rng, want.shape if want.ndim > 1 else (5, 1), "float64")
    if want.ndim == 1:
        return  # a loss wants an axis of its own
    loss, gradients = model.gradients(x, target)
    rest = want - target
    np.testing.assert_allclose(loss, 0.5 * np.sum(rest**2), rtol=1e-12)
    for place, (name, gradient) in enumerate(gradients.items()):

        def of_weight(value, place=place):
            return numpy_of(definition, x, [*weights[:place], value, *weights[place + 1 :]])

        wanted = numeric_gradient(of_weight, weights[place], rest)
        np.testing.assert_allclose(gradient, wanted, rtol=1e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("case", ["chain of six", "weights of channels", "image"])
def test_it_trains_in_float32(rng, case):
    """A few steps in float32 and float64 go the same way."""
    _, shape, _ = CASES[case]
    x = draw(rng, (12, *shape), "float32")
    ends = []
    for dtype in ("float32", "float64"):
        model, definition = built(case, dtype)
        target = np.zeros_like(definition(x, x, *[np.ones(w.shape) for w in model.weights[1:]]))
        model.fit(x.astype(dtype), target.astype(dtype), batch_size=5, epochs=3, verbose=0)
        ends.append(model.get_weights())
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_numbers_of_numpy_from_either_side(rng):
    class Scaled(nnx.Model):
        def forward(self, x):
            return np.float32(2) * x + np.float64(1) - np.array(0.5)

    model = Scaled()
    x = draw(rng, (4, 3))
    model.build((3,))
    np.testing.assert_allclose(model.predict(x), 2 * x + 0.5, rtol=1e-6)


BAD = {
    "rows of the batch": (lambda x: x[:2], ValueError, "':' for the batch axis"),
    "one sample": (lambda x: x[0], ValueError, "':' for the batch axis"),
    "too many": (lambda x: x[:, 0, 0], IndexError, "at most 2 axes"),
    "out of range": (lambda x: x[:, 3], IndexError, "out of range for axis 1"),
    "nothing left": (lambda x: x[:, 3:], ValueError, "got none"),
    "an array": (lambda x: x[:, [0, 1]], TypeError, "integers, slices"),
    "two ellipses": (lambda x: x[..., ...], IndexError, "one Ellipsis"),
    "shapes": (lambda x: x + x[:, :2], ValueError, "argument 'b' expected a shape whose extents"),
    "axes": (lambda x: x + x[:, 0], ValueError, "argument 'b' expected as many axes"),
    "the batch's mean": (lambda x: ops.mean(x, 0), ValueError, "argument 'axis' expected axes other than the batch's"),
    "an array beside": (lambda x: x + np.ones(3), TypeError, "numpy.add cannot take a Symbol"),
    "a list beside": (lambda x: ops.maximum(x, [1, 2, 3]), TypeError, "got list"),
    "gone through": (lambda x: list(x), TypeError, "cannot be gone through"),
    "a NumPy function": (lambda x: np.exp(x), TypeError, "numpy.exp cannot take a Symbol"),
    "pads": (lambda x: ops.pad(x, [(1, 1), (1, 1)]), ValueError, "argument 'padding'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(case):
    function, exception, message = BAD[case]

    class Wrong(nnx.Model):
        def forward(self, x):
            return function(x)

    with pytest.raises(exception, match=message):
        Wrong().build((3,))


def test_a_long_chain_is_several_passes(rng):
    """Longer than a kernel takes: it is cut, forward and backward, and means the same."""

    def chain(x, h):
        y = h
        for i in range(60):
            y = y * 0.95 + x / (i + 3.0) - abs(h) * 0.01
        return y

    model = Written(chain, (3,))
    model.compile(nnx.SGD(0.1), "half_sum_squared_error", device=PROGRAM_DEVICE, precision="float64", seed=0)
    model.build((3,))
    x = draw(rng, (5, 3), "float64")
    kernel = model.get_weights()[0]
    np.testing.assert_allclose(model.predict(x), chain(x, x * kernel), rtol=1e-12)
    _, gradients = model.gradients(x, np.zeros((5, 3)))
    wanted = numeric_gradient(lambda w: chain(x, x * w), kernel, chain(x, x * kernel))
    np.testing.assert_allclose(next(iter(gradients.values())), wanted, rtol=1e-6)


def test_activations_by_name(rng):
    x = draw(rng, (6, 5), "float64")
    for name in (
        "softplus",
        "selu",
        "mish",
        "softsign",
        "hard_sigmoid",
        "exponential",
        "swish",
        "gelu_tanh",
        "relu6",
    ):
        model = nnx.Sequential(nnx.Dense(4, activation=name))
        model.compile("sgd", "mse", device=PROGRAM_DEVICE, precision="float64", seed=0)
        model.build((5,))
        kernel, bias = model.get_weights()
        function = getattr(ops, "silu" if name == "swish" else name)
        np.testing.assert_allclose(model.predict(x), function(x @ kernel + bias), rtol=1e-12, atol=1e-14)
    expect_bad(lambda: nnx.Dense(4, activation="mishmash"), ValueError, "activation", "mish", "'mishmash'")
