"""Layers as models use them: sizes, weights, training, files, and arguments that cannot be."""

import nnx
import numpy as np
import pytest
from harness import draw, same_bits


def autoencoder():
    return nnx.Sequential(
        nnx.Conv2D(6, 3, 2, "same", activation="relu"),
        nnx.GroupNorm(3),
        nnx.Conv2DTranspose(4, 3, 2, "same", activation="tanh"),
        nnx.LayerNorm(),
        nnx.MaxPool2D(2, ceil_mode=True),
        nnx.UpSampling2D(2, "bilinear"),
        nnx.AvgPool2D(3, 1, "same", dilation=2),
        nnx.Conv2DTranspose(1, 1),
    )


def pooled():
    return nnx.Sequential(
        nnx.Conv2D(5, 3, activation="relu"), nnx.MaxPool2D(3, 2, 1, dilation=2, ceil_mode=True), nnx.UpSampling2D((1, 2)),
        nnx.GlobalMaxPool2D(), nnx.LayerNorm(scale=False), nnx.Dense(1),
    )  # fmt: skip


def test_shapes_and_weights(rng):
    model = autoencoder()
    model.build((8, 8, 3))
    shapes = {name: weight.shape for name, weight in model.state_dict().items()}
    assert shapes == {
        "conv2d.kernel": (3, 3, 3, 6), "conv2d.bias": (6,),
        "group_norm.gamma": (6,), "group_norm.beta": (6,),
        "conv2d_transpose.kernel": (3, 3, 4, 6), "conv2d_transpose.bias": (4,),
        "layer_norm.gamma": (4,), "layer_norm.beta": (4,),
        "conv2d_transpose_1.kernel": (1, 1, 1, 4), "conv2d_transpose_1.bias": (1,),
    }  # fmt: skip
    assert model.predict(draw(rng, (2, 8, 8, 3))).shape == (2, 8, 8, 1)


@pytest.mark.parametrize("build", [autoencoder, pooled])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_model_computes_what_its_layers_compute(rng, build, precision):
    model = build()
    model.compile(precision=precision, seed=3)
    x = draw(rng, (5, 8, 8, 3), precision)
    y = model.predict(x)
    by_layers = x
    for layer in model.layers:
        by_layers = layer(by_layers)
    np.testing.assert_allclose(y, by_layers, rtol=0, atol=64 * np.finfo(precision).eps)


@pytest.mark.parametrize("build", [autoencoder, pooled])
def test_they_learn_and_are_kept(rng, build, tmp_path):
    """Batches of every size up to the largest; the file gives the same outputs, and goes on the same way."""
    x = rng.random((67, 8, 8, 3), np.float32)
    model = build()
    model.compile("adam", "mse", seed=1)
    model.build((8, 8, 3))
    y = x[..., :1] if model.predict(x[:1]).ndim == 4 else x[:, 2:6, 2:6, 0].max(axis=(1, 2))[:, None]
    losses = model.fit(x, y, epochs=8, batch_size=66, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    model.save(tmp_path / "m.safetensors")
    again = nnx.load(tmp_path / "m.safetensors")
    assert repr(again.layers) == repr(model.layers)
    assert same_bits(again.predict(x), model.predict(x))
    for m in (model, again):
        m.fit(x, y, epochs=1, batch_size=32, verbose=0)
    assert same_bits(again.predict(x), model.predict(x))


def test_norms_of_samples_know_no_batch(rng):
    """A sample's output is the same alone and among others, in training and in prediction."""
    x = draw(rng, (6, 4, 4, 6))
    for layer in (
        nnx.LayerNorm(),
        nnx.LayerNorm((1, 2, 3)),
        nnx.GroupNorm(2),
        nnx.GroupNorm(6, center=False),
    ):
        y = layer(x)
        for i in range(6):
            assert same_bits(layer(x[i : i + 1])[0], y[i])


def test_parts_left_out():
    for layer, names in (
        (nnx.LayerNorm(scale=False), ["beta"]),
        (nnx.LayerNorm(center=False), ["gamma"]),
        (nnx.GroupNorm(2, scale=False, center=False), []),
        (nnx.Conv2DTranspose(3, 2, use_bias=False), ["kernel"]),
    ):
        layer(np.zeros((1, 3, 3, 4), np.float32))
        assert [weight.name for weight in layer.weights] == names


def test_a_transposed_convolution_shares_its_kernel_with_the_convolution_it_turns_around(rng):
    conv, back = (
        nnx.Conv2D(6, 3, 2, "same", use_bias=False),
        nnx.Conv2DTranspose(4, 3, 2, "same", use_bias=False),
    )
    x, y = draw(rng, (2, 8, 8, 4), "float64"), draw(rng, (2, 4, 4, 6), "float64")
    conv(x), back(y)
    back.set_weights(conv.get_weights())
    assert np.sum(conv(x) * y) == pytest.approx(
        np.sum(x * back(y)), rel=1e-5
    )  # the transpose of a linear map


BAD = {
    "groups": (lambda: nnx.GroupNorm(0), ValueError, "GroupNorm: argument 'groups' expected an int of at least 1, got 0"),
    "groups of channels": (lambda: nnx.GroupNorm(4)(np.zeros((1, 6))), ValueError, "expected a divisor of the 6 channels .* got 4"),
    "group epsilon": (lambda: nnx.GroupNorm(2, -1.0), ValueError, "GroupNorm: argument 'epsilon' .*> 0, got -1.0"),
    "layer epsilon": (lambda: nnx.LayerNorm(epsilon=0), ValueError, "LayerNorm: argument 'epsilon' .*> 0, got 0"),
    "axis": (lambda: nnx.LayerNorm("last"), TypeError, "LayerNorm: argument 'axis' expected an int, got str"),
    "no axis": (lambda: nnx.LayerNorm(()), ValueError, "LayerNorm: argument 'axis' expected at least one"),
    "axis in front": (lambda: nnx.LayerNorm(1)(np.zeros((2, 3, 4))), ValueError, "argument 'axis' expected the last axis of 3.* got 1"),
    "axes of too small inputs": (lambda: nnx.LayerNorm((1, 2, 3))(np.zeros((2, 3))), ValueError, "3 axes behind the batch's"),
    "size": (lambda: nnx.UpSampling2D(0), ValueError, "UpSampling2D: argument 'size' expected an int of at least 1, got 0"),
    "three sizes": (lambda: nnx.UpSampling2D((1, 2, 3)), ValueError, "UpSampling2D: argument 'size' expected an int or a pair"),
    "interpolation": (lambda: nnx.UpSampling2D(2, "area"), ValueError, "argument 'interpolation' .*'bilinear', got 'area'"),
    "filters": (lambda: nnx.Conv2DTranspose(0, 3), ValueError, "Conv2DTranspose: argument 'filters' .* got 0"),
    "kernel size": (lambda: nnx.Conv2DTranspose(1, (3, 3, 3)), ValueError, "argument 'kernel_size' expected an int or a pair"),
    "images": (lambda: nnx.Conv2DTranspose(1, 3)(np.zeros((2, 5))), ValueError, r"images of shape \(N, H, W, C\), got \(N, 5\)"),
    "output padding": (lambda: nnx.Conv2DTranspose(1, 3, 2, output_padding=2)(np.zeros((1, 4, 4, 1))), ValueError, "'output_padding' .*below the strides"),
    "activation": (lambda: nnx.Conv2DTranspose(1, 3, activation="swash"), ValueError, "Conv2DTranspose: argument 'activation'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name):
    call, exception, message = BAD[name]
    with pytest.raises(exception, match=message):
        call()
