import math

import nnx
import numpy as np
import pytest
import reference
from harness import FLOATS, draw, expect_bad, same_bits
from nnx import _core
from reference.dropout import words as words_of

KEYS = [(0, 0, 0), (1, 0, 0), (2**63 + 12345, 3, 7), (2**64 - 1, 2**16 - 1, 2**48 - 1), (42, 1, 2**32 + 5)]


@pytest.mark.parametrize(
    ("counter", "key", "want"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_vectors(counter, key, want):
    """Random123's known answers for philox4x32-10."""
    assert tuple(_core.philox4x32(counter, key)) == want
    assert tuple(int(word) for word in reference.philox4x32(counter, key)) == want


@pytest.mark.parametrize("seed", KEYS, ids=str)
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.999])
def test_masks(run, seed, rate):
    for shape in ((0,), (1,), (3,), (4,), (17,), (5, 7), (2, 3, 4, 5), (4099,)):
        mask = run.dropout_mask(shape, rate, *seed)
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, reference.dropout_mask(shape, rate, *seed))


def test_masks_of_the_literal_words():
    """Pinned: these bits must never change, saved trainings are resumed with them."""
    bits = np.packbits(nnx.ops.dropout_mask((64,), 0.5, 2024, 3, 9)).tobytes().hex()
    assert bits == "7e3e1699f7c66513"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.75])
def test_dropout(run, rng, rate, dtype):
    for shape in ((0, 3), (1,), (7,), (33, 31), (2, 5, 3, 9), (5000,)):
        x = draw(rng, shape, dtype)
        y = run.dropout(x, rate, 77, layer=2, step=5)
        mask = reference.dropout_mask(shape, rate, 77, 2, 5)
        scale = np.dtype(dtype).type(1 / (1 - rate))
        np.testing.assert_array_equal(y, np.where(mask == 1, x * scale, 0))
        assert y.dtype == x.dtype


def test_a_word_at_the_threshold_is_kept(run):
    words = words_of(64, 5, 0, 0)
    for place in (0, 1, 2, 3, 50):
        rate = float(words[place]) / 2**32  # exact
        np.testing.assert_array_equal(
            run.dropout(np.ones(64, np.float32), rate, 5) != 0, words >= words[place]
        )


def test_a_nan_that_is_dropped_is_gone(run):
    mask = nnx.ops.dropout_mask((100,), 0.5, 1)
    y = run.dropout(np.full(100, np.nan, np.float32), 0.5, 1)
    np.testing.assert_array_equal(np.isnan(y), mask == 1)
    np.testing.assert_array_equal(y[mask == 0], 0)


def test_every_part_of_the_key_counts():
    masks = [nnx.ops.dropout_mask((256,), 0.5, *key).tobytes() for key in KEYS]
    masks += [
        nnx.ops.dropout_mask((256,), 0.5, 0, layer=1).tobytes(),
        nnx.ops.dropout_mask((256,), 0.5, 0, step=1).tobytes(),
    ]
    masks += [
        nnx.ops.dropout_mask((256,), 0.5, 0, step=2**32).tobytes(),
        nnx.ops.dropout_mask((256,), 0.5, 2**32).tobytes(),
    ]
    assert len(set(masks)) == len(masks)


def test_share_kept():
    for rate in (0.1, 0.5, 0.9):
        kept = nnx.ops.dropout_mask((1_000_000,), rate, 3).mean()
        assert abs(kept - (1 - rate)) < 5 * math.sqrt(rate * (1 - rate) / 1e6)


@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform(dtype):
    for shape in ((0,), (5,), (3, 7), (1000,)):
        got = _core.random_uniform(shape, -2.0, 3.0, 5, 1, 2, dtype)
        want = reference.random_uniform(shape, -2.0, 3.0, 5, 1, 2)
        assert (got.dtype, got.shape) == (dtype, shape)
        np.testing.assert_allclose(got, want, rtol=0, atol=5 * np.finfo(dtype).eps)
    got = _core.random_uniform((100_000,), 0.0, 1.0, 9, dtype=dtype)
    assert got.min() >= 0
    assert got.max() < 1


@pytest.mark.parametrize("dtype", FLOATS)
def test_normal(dtype):
    """Box and Muller: each value against the normal distribution function, moments, and no pairs alike."""
    n = 200_000
    x = np.sort(_core.random_normal((n,), 1.0, 2.0, 7, dtype=dtype).astype(np.float64))
    z = (x - 1) / 2
    assert abs(z.mean()) < 5 / math.sqrt(n)
    assert abs(z.var() - 1) < 5 * math.sqrt(2 / n)
    below = 0.5 * reference.erfc(-z / math.sqrt(2))
    assert np.max(np.abs(below - (np.arange(n) + 0.5) / n)) < 2 / math.sqrt(n)  # Kolmogorov and Smirnov
    assert np.isfinite(z).all()
    raw = _core.random_normal((n,), 0.0, 1.0, 7, dtype=dtype).astype(np.float64)
    assert abs(np.corrcoef(raw[::2], raw[1::2])[0, 1]) < 5 / math.sqrt(n / 2)
    for odd in (1, 2, 3, 7):  # a shorter array is the beginning of a longer one
        assert same_bits(_core.random_normal((odd,), 0.0, 1.0, 7, dtype=dtype), raw[:odd].astype(dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.75])
def test_spatial_dropout2d(run, rng, rate, dtype):
    for shape in ((0, 2, 2, 3), (1, 1, 1, 1), (3, 2, 3, 5), (2, 5, 1, 70), (40, 3, 3, 3)):
        x = draw(rng, shape, dtype)
        y = run.spatial_dropout2d(x, rate, 77, layer=2, step=5)
        kept = reference.dropout_mask((shape[0], shape[3]), rate, 77, 2, 5)[:, None, None, :] == 1
        np.testing.assert_array_equal(y, np.where(kept, x * np.dtype(dtype).type(1 / (1 - rate)), 0))


def test_a_channel_is_dropped_whole_or_not_at_all():
    y = nnx.ops.spatial_dropout2d(np.ones((500, 4, 4, 8), np.float32), 0.25, 3)
    assert np.all((y == y[:, :1, :1]) & ((y == 0) | (y == np.float32(1 / 0.75))))
    assert abs(np.mean(y[:, 0, 0] == 0) - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 4000)


@pytest.mark.parametrize("dtype", FLOATS)
def test_gaussian_noise(run, rng, dtype):
    for shape in ((0,), (1,), (7,), (33, 31), (2, 5, 3, 9), (20001,)):
        x = draw(rng, shape, dtype)
        y = run.gaussian_noise(x, 0.5, 77, layer=2, step=5)
        assert y.dtype == x.dtype
        want = reference.gaussian_noise(x, 0.5, 77, 2, 5)
        bound = {"float32": 1e-6, "float64": 1e-12}[dtype]
        np.testing.assert_allclose(y, want, rtol=bound, atol=bound * 0.5)
    assert same_bits(run.gaussian_noise(x, 0.0, 77), x)


def test_noise_is_normal():
    n = 200_000
    z = nnx.ops.gaussian_noise(np.full(n, 3.0), 2.0, 9)
    z = np.sort((z - 3) / 2)
    below = 0.5 * reference.erfc(-z / math.sqrt(2))
    assert np.max(np.abs(below - (np.arange(n) + 0.5) / n)) < 2 / math.sqrt(n)  # Kolmogorov and Smirnov


def test_non_contiguous_arguments(rng):
    x = draw(rng, (8, 6)).T
    np.testing.assert_array_equal(nnx.ops.dropout(x, 0.5, 1), nnx.ops.dropout(x.copy(), 0.5, 1))


X = np.zeros((2, 3), np.float32)
BAD = {
    "rate 1": (lambda: nnx.ops.dropout(X, 1.0, 1), ValueError, "rate", "0.*1", "1"),
    "negative rate": (lambda: nnx.ops.dropout(X, -0.1, 1), ValueError, "rate", "0.*1", "-0.1"),
    "rate nan": (lambda: nnx.ops.dropout_mask((3,), float("nan"), 1), ValueError, "rate", "0.*1", "nan"),
    "dtype": (lambda: nnx.ops.dropout(X.astype("int32"), 0.5, 1), TypeError, "x", "float", "int32"),
    "layer": (lambda: nnx.ops.dropout(X, 0.5, 1, layer=2**16), ValueError, "layer", "65536|2\\^16", "65536"),
    "negative layer": (lambda: nnx.ops.dropout(X, 0.5, 1, layer=-1), ValueError, "layer", "0", "-1"),
    "step": (lambda: nnx.ops.dropout(X, 0.5, 1, step=2**48), ValueError, "step", "2\\^48|281474976710656", "281474976710656"),
    "negative step": (lambda: nnx.ops.dropout(X, 0.5, 1, step=-1), (ValueError, TypeError), "step", "0", "-1"),
    "negative seed": (lambda: nnx.ops.dropout(X, 0.5, -1), (ValueError, TypeError), "seed", "0", "-1"),
    "shape": (lambda: nnx.ops.dropout_mask((-3,), 0.5, 1), ValueError, "shape", "0", "-3"),
    "huge shape": (lambda: nnx.ops.dropout_mask((2**40, 2**40), 0.5, 1), (ValueError, MemoryError), "shape", "", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    expect_bad(*BAD[case])
