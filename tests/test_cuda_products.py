"""The matrix engine of device="cuda" in every precision and with every tile, through one training step on whole numbers.

Small whole numbers have no digits that TF32 or bfloat16 would round off, and their sums of products are exact in float32:
so all precisions must give the very weights that the CPU gives in float64."""

import os
import subprocess
import sys

import nnx
import numpy as np
import pytest
from harness import NMSE, draw, nmse

needs_cuda = pytest.mark.skipif(not nnx.cuda.is_available(), reason="no CUDA device and no emulator")

Conv, Dense = nnx.Conv2D, nnx.Dense
# Rows of the batch, input, layers. There are 2^n outputs in all, so the mean's gradient is a whole number times 2^-m.
MODELS = {
    "dense": (16, (40,), lambda: (Dense(67), Dense(8))),
    "dense, odd": (8, (37,), lambda: (Dense(33), Dense(1))),
    "dense, one row": (1, (45,), lambda: (Dense(150), Dense(4))),
    "dense, long sums": (1024, (13,), lambda: (Dense(21), Dense(8))),
    "dense, large": (4096, (64,), lambda: (Dense(1024), Dense(8))),
    "one channel": (4, (11, 12, 1), lambda: (Conv(6, 5, padding="same"), Conv(8, 5, strides=2, padding=((1, 0), (0, 0))))),
    "three channels": (2, (17, 17, 3), lambda: (Conv(12, 3, strides=2), Conv(8, 3, padding="same"))),
    "channels in fours": (2, (8, 8, 8), lambda: (Conv(16, 3, padding="same"), Conv(8, 3, padding="same"))),
    "strided, dilated": (4, (18, 12, 5), lambda: (Conv(9, (3, 2), strides=(2, 1)), Conv(8, 2, (1, 3), "same", (2, 1)))),
    "groups": (2, (8, 8, 8), lambda: (Conv(12, 3, groups=4, padding="same"), Conv(8, 3, groups=2, padding="same"))),
    "dense, eights": (16, (72,), lambda: (Dense(136), Dense(8))),
    "eights": (4, (18, 12, 16), lambda: (Conv(24, (3, 2), strides=(2, 1)), Conv(16, 2, (1, 3), "same"))),
    "groups of eights": (2, (8, 8, 32), lambda: (Conv(48, 3, strides=2, padding="same", groups=2), Conv(16, 3, padding="same", groups=2))),
    "large convolution": (64, (32, 32, 4), lambda: (Conv(128, 3, padding="same"), Conv(4, 1))),
}  # fmt: skip
SLOW = ("dense, large", "large convolution")


def after_one_step(name, weights, x, moved, **options):
    """The outputs, and the weights after one step towards the outputs minus `moved`."""
    _, input_shape, layers = MODELS[name]
    model = nnx.Sequential(*layers())
    model.compile(nnx.SGD(1.0), "mse", seed=1, **options)
    model.build(input_shape)
    model.set_weights(weights)
    y = model.predict(x, batch_size=len(x))
    model.train_step(x, y - moved)
    return [y, *model.get_weights()]


@needs_cuda
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in MODELS]
)
def test_whole_numbers_are_exact(rng, name, precision):
    rows, input_shape, layers = MODELS[name]
    model = nnx.Sequential(*layers())
    model.compile(seed=1)
    model.build(input_shape)
    weights = [rng.integers(-1, 2, w.shape).astype("float32") for w in model.get_weights()]
    x = rng.integers(-2, 3, (rows, *input_shape)).astype("float32")
    outputs = model.predict(x[:1]).shape[1:]
    elements = rows * int(np.prod(outputs))
    assert elements & (elements - 1) == 0
    moved = rng.integers(-2, 3, (rows, *outputs))
    want = after_one_step(name, weights, x, moved, device="cpu", precision="float64")
    got = after_one_step(name, weights, x, moved, device="cuda", precision=precision)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, w)


@needs_cuda
@pytest.mark.parametrize(("precision", "bits"), [("tf32", 10), ("bfloat16", 7)])
@pytest.mark.parametrize(
    "name", ["dense", "one channel", "channels in fours", "dense, eights", "groups of eights"]
)
def test_rounding_of_the_factors(rng, name, precision, bits):
    """Factors are rounded to `bits` of mantissa, in every pass; sums are not."""
    rows, input_shape, layers = MODELS[name]
    model = nnx.Sequential(*layers())
    model.compile(seed=1)
    model.build(input_shape)
    weights = model.get_weights()
    x = draw(rng, (rows, *input_shape))
    moved = draw(rng, (rows, *model.predict(x[:1]).shape[1:]))
    want = after_one_step(name, weights, x, moved, device="cpu", precision="float64")
    got = after_one_step(name, weights, x, moved, device="cuda", precision=precision)
    want[1:] = (w - before for w, before in zip(want[1:], weights, strict=True))
    got[1:] = (g - before for g, before in zip(got[1:], weights, strict=True))
    for g, w in zip(got, want, strict=True):
        assert nmse(g, w) < 2 * 4.0**-bits
    assert nmse(got[0], want[0]) > NMSE["float32"]
    assert (
        nmse(got[-1], want[-1]) < NMSE["float32"]
    )  # the last bias: a sum of gradients, of which none is a factor


@needs_cuda
@pytest.mark.parametrize(
    ("precision", "warpgroups"), [("bfloat16", "always"), ("bfloat16", "never"), ("tf32", "always")]
)
def test_operands_rounded_once(precision, warpgroups):
    """What large products do, rounding their operands before they multiply: here all that can.

    By warpgroups, as on compute capability 9.0, and without, as before it."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", f"{precision} and not large and not rounded_once"],
        env={**os.environ, "NNX_CUDA_ROUND_ONCE": "always", "NNX_CUDA_WARPGROUPS": warpgroups},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
