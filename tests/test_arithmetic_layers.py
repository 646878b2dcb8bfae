"""Layers made of elementwise arithmetic: merges, PReLU, borders, functions, normalisation by data."""

import nnx
import numpy as np
import pytest
from harness import PROGRAM_DEVICE, draw, numeric_gradient


@nnx.register
def doubled_and_shifted(x):
    return 2 * x + 1


class Branches(nnx.Model):
    def __init__(self, layer):
        super().__init__()
        self.left, self.right = nnx.Dense(4), nnx.Dense(4)
        self.join = layer

    def forward(self, x):
        return self.join([self.left(x), self.right(x)])


def ready(model, shape):
    model.compile(nnx.SGD(0.1), "half_sum_squared_error", device=PROGRAM_DEVICE, precision="float64", seed=1)
    model.build(shape)
    return model


@pytest.mark.parametrize(
    ("layer", "definition"),
    [
        (nnx.Multiply, np.multiply),
        (nnx.Subtract, np.subtract),
        (nnx.Average, lambda a, b: (a + b) / 2),
        (nnx.Maximum, np.maximum),
        (nnx.Minimum, np.minimum),
        (nnx.Add, np.add),
    ],
)
def test_merges(rng, layer, definition):
    model = ready(Branches(layer()), (3,))
    x = draw(rng, (6, 3), "float64")
    k1, b1, k2, b2 = model.get_weights()
    want = definition(x @ k1 + b1, x @ k2 + b2)
    np.testing.assert_allclose(model.predict(x), want, rtol=1e-12)
    _, gradients = model.gradients(x, np.zeros_like(want))
    wanted = numeric_gradient(lambda k: definition(x @ k + b1, x @ k2 + b2), k1, want)
    np.testing.assert_allclose(gradients["left.kernel"], wanted, rtol=1e-6, atol=1e-8)
    a, b = draw(rng, (2, 3)), draw(rng, (2, 3))
    np.testing.assert_allclose(layer()(a, b), definition(a, b), rtol=1e-6)


def test_merges_of_three_and_of_shapes_that_broadcast(rng):
    a, b, c = (draw(rng, (2, 3)) for _ in range(3))
    np.testing.assert_allclose(nnx.Average()([a, b, c]), (a + b + c) / 3, rtol=1e-6)
    np.testing.assert_allclose(nnx.Maximum()([a, b, c]), np.maximum(np.maximum(a, b), c))
    with pytest.raises(ValueError, match="Subtract: expected two inputs, got 3"):
        nnx.Subtract()([a, b, c])

    class Gate(nnx.Model):
        def __init__(self):
            super().__init__()
            self.gate, self.join = nnx.Dense(1, "sigmoid"), nnx.Multiply()

        def forward(self, x):
            return self.join(x, self.gate(x))

    model = ready(Gate(), (3,))
    x = draw(rng, (5, 3), "float64")
    kernel, bias = model.get_weights()
    gate = 1 / (1 + np.exp(-(x @ kernel + bias)))
    np.testing.assert_allclose(model.predict(x), x * gate, rtol=1e-12)
    _, gradients = model.gradients(x, np.zeros((5, 3)))
    wanted = numeric_gradient(lambda k: x / (1 + np.exp(-(x @ k + bias))), kernel, x * gate)
    np.testing.assert_allclose(gradients["gate.kernel"], wanted, rtol=1e-6)


@pytest.mark.parametrize(("axes", "shape"), [(None, (4, 5, 3)), ((1, 2), (1, 1, 3)), ((1, 2, 3), (1, 1, 1))])
def test_prelu(rng, axes, shape):
    model = ready(nnx.Sequential(nnx.PReLU("normal", shared_axes=axes)), (4, 5, 3))
    alpha = model.get_weights()[0] * 10
    assert alpha.shape == shape
    model.set_weights([alpha])
    x = draw(rng, (6, 4, 5, 3), "float64")
    want = np.where(x > 0, x, alpha * x)
    np.testing.assert_allclose(model.predict(x), want, rtol=1e-12)
    _, gradients = model.gradients(x, np.zeros_like(want))
    wanted = numeric_gradient(lambda a: np.where(x > 0, x, a * x), alpha, want)
    np.testing.assert_allclose(gradients["prelu.alpha"], wanted, rtol=1e-6, atol=1e-6)
    layer = model.layers[0]
    np.testing.assert_allclose(layer(x.astype(np.float32)), want, rtol=1e-5, atol=1e-6)


def test_prelu_refuses():
    with pytest.raises(ValueError, match=r"'shared_axes' expected axes in \[1, 1\], got 2"):
        nnx.Sequential(nnx.PReLU(shared_axes=(2,))).build((3,))
    with pytest.raises(ValueError, match="alpha_initializer"):
        nnx.PReLU("nothing of the kind")


def test_borders(rng):
    x = draw(rng, (2, 5, 6, 3), "float64")
    for padding, pairs in (
        (1, ((1, 1), (1, 1))),
        ((2, 0), ((2, 2), (0, 0))),
        (((1, 0), (2, 3)), ((1, 0), (2, 3))),
    ):
        want = np.pad(x, [(0, 0), *pairs, (0, 0)])
        np.testing.assert_array_equal(
            ready(nnx.Sequential(nnx.ZeroPadding2D(padding)), (5, 6, 3)).predict(x), want
        )
        np.testing.assert_array_equal(nnx.ZeroPadding2D(padding)(x), want)
    cropped = ready(nnx.Sequential(nnx.Cropping2D(((1, 0), (2, 3)))), (5, 6, 3)).predict(x)
    np.testing.assert_array_equal(cropped, x[:, 1:, 2:3])
    with pytest.raises(ValueError, match="expected less than the image, 5 x 6"):
        nnx.Sequential(nnx.Cropping2D(3)).build((5, 6, 3))
    with pytest.raises(ValueError, match=r"expected n, \(h, w\)"):
        nnx.ZeroPadding2D((1, 2, 3))
    with pytest.raises(ValueError, match=r"expected images of shape \(N, H, W, C\)"):
        nnx.Sequential(nnx.ZeroPadding2D(1)).build((5,))


def test_a_function_as_a_layer_is_saved_by_name(rng, tmp_path):
    model = ready(nnx.Sequential(nnx.Dense(3), nnx.Lambda(doubled_and_shifted)), (4,))
    x = draw(rng, (5, 4), "float64")
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(model.predict(x), 2 * (x @ kernel + bias) + 1, rtol=1e-12)
    model.save(tmp_path / "m.safetensors")
    again = nnx.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    with pytest.raises(TypeError, match="expected a function, got int"):
        nnx.Lambda(3)


def test_normalization(rng, tmp_path):
    data = (rng.standard_normal((200, 4)) * [1, 5, 0, 100] + [0, -3, 7, 1e4]).astype(np.float32)
    layer = nnx.Normalization()
    with pytest.raises(ValueError, match=r"call adapt\(data\)"):
        nnx.Sequential(layer).build((4,))
    layer.adapt(data)
    model = ready(nnx.Sequential(layer, nnx.Dense(2)), (4,))
    inner = ready(nnx.Sequential(layer), (4,))
    got = inner.predict(data.astype(np.float64))
    deviation = data.astype(np.float64).std(0)
    want = (data - data.mean(0, dtype=np.float64)) / np.where(deviation == 0, 1, deviation)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got.std(0), [1, 1, 0, 1], atol=1e-9)
    model.save(tmp_path / "m.safetensors")
    again = nnx.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict(data), model.predict(data))
    before = model.layers[0].get_weights()
    model.fit(data, np.zeros((200, 2)), epochs=1, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.layers[0].get_weights(), strict=True))
    layer.adapt(data * 2)  # of a layer that is built, too
    np.testing.assert_allclose(inner.predict(2 * data.astype(np.float64)), want, rtol=1e-6, atol=1e-6)


def test_normalization_of_images_and_by_given_numbers(rng):
    images = rng.integers(0, 256, (10, 4, 5, 3)).astype(np.uint8)
    layer = nnx.Normalization(axis=-1)
    layer.adapt(images)
    assert layer.mean.shape == (3,)
    whole = nnx.Normalization(axis=None)
    whole.adapt(images)
    got = nnx.Sequential(whole).predict(images)
    np.testing.assert_allclose(got, (images - images.mean()) / images.std(), rtol=1e-4, atol=1e-5)
    rows = nnx.Normalization(axis=(1, 3))
    rows.adapt(images)
    assert rows.mean.shape == (4, 3)
    got = nnx.Sequential(rows).predict(images)
    mean, std = images.mean((0, 2), keepdims=True), images.std((0, 2), keepdims=True)
    np.testing.assert_allclose(got, (images - mean) / std, rtol=1e-4, atol=1e-5)
    given = nnx.Sequential(nnx.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0]))
    np.testing.assert_allclose(given.predict(np.float32([[3, 8]])), [[1, 2]], rtol=1e-6)


BAD = {
    "one of two": (lambda: nnx.Normalization(mean=1.0), "'mean' expected a 'variance' beside it"),
    "a variance below 0": (lambda: nnx.Normalization(mean=1.0, variance=-1.0), "'variance' expected finite"),
    "nan": (lambda: nnx.Normalization(mean=np.nan, variance=1.0), "'mean' expected finite"),
    "the batch's axis": (lambda: nnx.Normalization(axis=0).adapt(np.ones((3, 2))), "'axis' expected axes"),
    "no data": (lambda: nnx.Normalization().adapt(np.ones((0, 2))), "'data' expected numbers"),
    "nan in data": (lambda: nnx.Normalization().adapt([[np.nan]]), "'data' expected finite numbers"),
    "text": (lambda: nnx.Normalization().adapt(["a"]), "'data' expected numbers"),
    "another width": (
        lambda: nnx.Sequential(nnx.Normalization(mean=[1, 2], variance=[1, 2])).build((3,)),
        "'mean' expected 3 numbers",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_normalization_refuses(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
