import math

import nnx
import numpy as np
import pytest
import reference
from harness import FLOATS, check_close, draw, expect_bad, numeric_gradient, place, same_bits, threads
from nnx import _core

SHAPES = [(0, 3, 4, 2), (1, 1, 1, 1), (1, 5, 7, 3), (3, 9, 17, 1), (2, 4, 33, 2), (5, 8, 6, 9)]
KEYS = [(7, 0, 0), (2**63 + 5, 3, 2**40 + 9)]
FILLS = ("reflect", "constant", "nearest", "wrap")
INTERPOLATIONS = ("bilinear", "nearest")
# In units of the dtype: places between pixels are rounded to float64, those of an image of 33 to 32 of its units.
CLOSE = {"float32": 4, "float64": 100}


def eight_words_of_row(row):
    """Rows of Random123's generator, by the function that is checked against its published vectors."""
    return [_core.philox4x32((row, 0, 9, 3 << 16), (7, 0)), _core.philox4x32((row, 0, 9, 4 << 16), (7, 0))]


def test_rows_take_the_words_of_their_block():
    words = reference.row_words(5, 7, 3, 9)
    for row in range(5):
        assert tuple(int(word) for word in words[row]) == eight_words_of_row(row)[0]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("mode", ["horizontal", "vertical", "horizontal_and_vertical"])
def test_random_flip(run, rng, mode, dtype):
    for shape in SHAPES:
        for key in KEYS:
            x = draw(rng, shape, dtype)
            y = run.random_flip(x, mode, *key)
            assert same_bits(y, reference.random_flip(x, mode, *key).astype(dtype))


def test_flips_are_drawn_for_each_sample_and_direction():
    n = 4000
    x = np.tile(np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1), (n, 1, 1, 1))
    y = nnx.ops.random_flip(x, seed=11)[:, 0, 0, 0]
    counts = np.bincount(y.astype(int), minlength=4)
    assert np.all(np.abs(counts - n / 4) < 5 * math.sqrt(n * 3 / 16))
    assert set(nnx.ops.random_flip(x, "horizontal", seed=11)[:, 0, 0, 0]) == {0, 1}
    assert set(nnx.ops.random_flip(x, "vertical", seed=11)[:, 0, 0, 0]) == {0, 2}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("fill_mode", FILLS)
def test_random_translation(run, rng, fill_mode, interpolation, dtype):
    for shape in SHAPES:
        for factors in ((0.3, 0.4), ((-1.0, 1.0), (0.5, 0.9)), (0.0, (-1.0, -1.0)), ((0.25, 0.25), 0.0)):
            x, key = draw(rng, shape, dtype), KEYS[shape[0] % 2]
            arguments = (*factors, fill_mode, interpolation, 2.5, *key)
            y, want = run.random_translation(x, *arguments), reference.random_translation(x, *arguments)
            assert y.dtype == x.dtype
            if interpolation == "nearest":
                assert same_bits(y, want.astype(dtype))
            else:
                check_close(y, want, CLOSE[dtype], f"{shape} {factors}")
            got = run.random_translation_backward(x, *arguments)
            check_close(
                got, reference.random_translation_backward(x, *arguments), 40, f"dx {shape} {factors}"
            )


def test_translation_goes_down_and_to_the_right():
    x = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)
    y = nnx.ops.random_translation(x, (1 / 3, 1 / 3), (0.5, 0.5), "constant", fill_value=-1, seed=1)
    np.testing.assert_allclose(y[0, :, :, 0], [[-1, -1, -1, -1], [-1, -1, 0, 1], [-1, -1, 4, 5]], atol=1e-6)


def test_shifts_are_uniform_and_whole_with_nearest():
    n = 5000
    x = np.broadcast_to(np.arange(10, dtype=np.float32).reshape(1, 10, 1, 1), (n, 10, 1, 1)).copy()
    shifts = 5 - nnx.ops.random_translation(x, 0.25, 0.0, interpolation="nearest", seed=2)[:, 5, 0, 0]
    counts = np.bincount(shifts.astype(int) + 2, minlength=5)  # from -2.5 to 2.5: each a fifth
    assert np.all(np.abs(counts - n / 5) < 5 * math.sqrt(n * 4 / 25))
    fractions = 5 - nnx.ops.random_translation(x, 0.25, 0.0, seed=2)[:, 5, 0, 0]
    assert np.max(np.abs(np.sort(fractions) - np.linspace(-2.5, 2.5, n))) < 5 * 2 / math.sqrt(n)
    assert np.mean(fractions == np.round(fractions)) < 0.01


@pytest.mark.parametrize("dtype", FLOATS)
def test_random_crop(run, rng, dtype):
    for shape, height, width in (
        ((0, 4, 5, 2), 3, 2),
        ((3, 9, 17, 1), 4, 5),
        ((5, 8, 6, 3), 8, 6),
        ((4, 5, 3, 9), 1, 1),
    ):
        for key in KEYS:
            x = draw(rng, shape, dtype)
            y = run.random_crop(x, height, width, *key)
            assert same_bits(y, reference.random_crop(x, height, width, *key).astype(dtype))
            assert same_bits(
                run.center_crop(x, height, width), reference.center_crop(x, height, width).astype(dtype)
            )
            dy = draw(rng, y.shape, dtype)
            got = run.random_crop_backward(dy, shape, height, width, *key)
            assert same_bits(
                got, reference.random_crop_backward(dy, shape, height, width, *key).astype(dtype)
            )
            got = run.center_crop_backward(dy, shape, height, width)
            assert same_bits(got, reference.center_crop_backward(dy, shape, height, width).astype(dtype))


def test_crops_are_everywhere_equally_often():
    n = 6000
    x = np.broadcast_to(np.arange(20, dtype=np.float32).reshape(1, 4, 5, 1), (n, 4, 5, 1)).copy()
    corners = nnx.ops.random_crop(x, 3, 3, seed=4)[:, 0, 0, 0].astype(int)
    counts = np.bincount(corners, minlength=20)
    places = [0, 1, 2, 5, 6, 7]
    assert counts.sum() == counts[places].sum()
    assert np.all(np.abs(counts[places] - n / 6) < 5 * math.sqrt(n * 5 / 36))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("fill_mode", FILLS)
def test_random_rotation(run, rng, fill_mode, interpolation, dtype):
    for shape in SHAPES:
        for factor in (0.1, (-1.0, 1.0), (0.0, 0.0)):
            x, key = draw(rng, shape, dtype), KEYS[shape[0] % 2]
            arguments = (factor, fill_mode, interpolation, 2.5, *key)
            y, want = run.random_rotation(x, *arguments), reference.random_rotation(x, *arguments)
            if interpolation == "nearest" or factor == (0.0, 0.0):
                assert same_bits(y, want.astype(dtype))
            else:
                check_close(y, want, CLOSE[dtype], f"{shape} {factor}")
            got = run.random_rotation_backward(x, *arguments)
            want = reference.random_rotation_backward(x, *arguments)
            check_close(got, want, 40 if dtype == "float32" else 400, f"dx {shape} {factor}")


def test_a_quarter_turn_is_counterclockwise():
    x = np.arange(9, dtype=np.float64).reshape(1, 3, 3, 1)
    y = nnx.ops.random_rotation(x, (0.25, 0.25), seed=1)
    np.testing.assert_allclose(y[0, :, :, 0], np.rot90(x[0, :, :, 0]), atol=1e-12)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("factor", [0.4, (0.0, 1.0), (1.0, 0.0), 0.0])
def test_random_contrast(run, rng, factor, dtype):
    for shape in [*SHAPES, (2, 3, 2, 300), (3, 40, 25, 2)]:
        x, key = draw(rng, shape, dtype), KEYS[shape[0] % 2]
        arguments = (factor, (-1.0, 0.5), *key)
        check_close(
            run.random_contrast(x, *arguments), reference.random_contrast(x, *arguments), 16, f"{shape}"
        )
        dy = draw(rng, shape, dtype)
        got = run.random_contrast_backward(dy, x, *arguments)
        check_close(got, reference.random_contrast_backward(dy, x, *arguments), 16, f"dx {shape}")


def test_contrast_factors_fill_their_range():
    n = 4000
    x = np.tile(np.array([99.0, 101.0]).reshape(1, 2, 1, 1), (n, 1, 1, 1))
    factors = np.sort(nnx.ops.random_contrast(x, (0.25, 0.75), seed=3)[:, 1, 0, 0] - 100)
    assert np.max(np.abs(factors - np.linspace(0.75, 1.75, n))) < 2 / math.sqrt(n)


GRADIENTS = {
    "flip": (lambda x: nnx.ops.random_flip(x, seed=5), lambda dy, x: nnx.ops.random_flip(dy, seed=5)),
    "translation": (
        lambda x: nnx.ops.random_translation(x, 0.6, 0.7, seed=5),
        lambda dy, x: nnx.ops.random_translation_backward(dy, 0.6, 0.7, seed=5),
    ),
    "constant": (
        lambda x: nnx.ops.random_translation(x, 0.6, 0.7, "constant", fill_value=3, seed=5),
        lambda dy, x: nnx.ops.random_translation_backward(dy, 0.6, 0.7, "constant", fill_value=3, seed=5),
    ),
    "crop": (
        lambda x: nnx.ops.random_crop(x, 2, 3, seed=5),
        lambda dy, x: nnx.ops.random_crop_backward(dy, x.shape, 2, 3, seed=5),
    ),
    "rotation": (
        lambda x: nnx.ops.random_rotation(x, 0.5, "wrap", seed=5),
        lambda dy, x: nnx.ops.random_rotation_backward(dy, 0.5, "wrap", seed=5),
    ),
    "contrast": (
        lambda x: nnx.ops.random_contrast(x, 0.9, (-1.0, 0.6), seed=5),
        lambda dy, x: nnx.ops.random_contrast_backward(dy, x, 0.9, (-1.0, 0.6), seed=5),
    ),
    "noise": (lambda x: nnx.ops.gaussian_noise(x, 0.5, seed=5), lambda dy, x: dy),
    "channels": (
        lambda x: nnx.ops.spatial_dropout2d(x, 0.4, seed=5),
        lambda dy, x: nnx.ops.spatial_dropout2d(dy, 0.4, seed=5),
    ),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_by_differences(rng, name):
    forward, backward = GRADIENTS[name]
    x = draw(rng, (3, 4, 5, 2), "float64")
    dy = draw(rng, forward(x).shape, "float64")
    np.testing.assert_allclose(backward(dy, x), numeric_gradient(forward, x, dy), atol=1e-8)


@pytest.mark.parametrize("fill_mode", FILLS)
def test_a_flip_and_a_motion_in_one_pass(rng, device, fill_mode):
    """What the program does with two layers is what they do one after the other."""
    for shape in SHAPES:
        for motion, options in (
            ("translation", {"low": (-0.3, -0.6), "high": (0.5, 0.4)}),
            ("crop", {"height": max(1, shape[1] - 1), "width": max(1, shape[2] - 2)}),
            ("rotation", {"low": (-0.5, 0), "high": (0.5, 0)}),
        ):
            x = draw(rng, shape)
            flip = {"flip": "horizontal_and_vertical", "seed": 9, "flip_layer": 4, "step": 6}
            move = {"motion": motion, "fill_mode": fill_mode, "seed": 9, "layer": 2, "step": 6, **options}
            apart = _core.warp("w", _core.warp("w", place(x, device), **flip), **move)
            at_once = _core.warp("w", place(x, device), **{**flip, **move})
            arrays = [y if device == "cpu" else y.numpy() for y in (apart, at_once)]
            check_close(arrays[1], arrays[0], 4, f"{motion} {shape}")


def test_bits_do_not_depend_on_threads(rng):
    x = draw(rng, (70, 28, 28, 3))

    def all_of_them():
        return [
            nnx.ops.random_flip(x, seed=1),
            nnx.ops.random_translation(x, 0.3, 0.3, seed=1),
            nnx.ops.random_translation_backward(x, 0.3, 0.3, seed=1),
            nnx.ops.random_crop(x, 20, 21, seed=1),
            nnx.ops.random_rotation(x, 0.2, seed=1),
            nnx.ops.random_rotation_backward(x, 0.2, seed=1),
            nnx.ops.random_contrast(x, 0.5, (-2, 2), seed=1),
            nnx.ops.random_contrast_backward(x, x, 0.5, (-2, 2), seed=1),
            nnx.ops.gaussian_noise(x, 0.5, seed=1),
            nnx.ops.spatial_dropout2d(x, 0.5, seed=1),
        ]

    results = []
    for count in (1, 2, 3, 8):
        with threads(count):
            results.append(all_of_them())
    for others in results[1:]:
        assert all(same_bits(a, b) for a, b in zip(results[0], others, strict=True))


def test_a_row_wider_than_the_scratch_memory():
    x = np.arange(2 * 600_000, dtype=np.float64).reshape(1, 2, 600_000, 1)
    y = nnx.ops.random_translation(x, 0.0, (0.25, 0.25), "constant", seed=1)
    np.testing.assert_array_equal(y[0, :, 150_000:], x[0, :, :450_000])
    np.testing.assert_array_equal(y[0, :, :150_000], 0)


def test_what_is_not_read_cannot_spoil():
    x = np.array([1.0, np.nan, 3.0, 4.0]).reshape(1, 1, 4, 1)
    y = nnx.ops.random_translation(x, 0.0, (0.25, 0.25), "nearest", seed=1)
    np.testing.assert_array_equal(y.ravel(), [1, 1, np.nan, 3])


X = np.zeros((2, 4, 5, 3), np.float32)
BAD = {
    "rank": (lambda: nnx.ops.random_flip(X[0], seed=1), ValueError, "x", "4 axes|\\(N, H, W, C\\)", "3|\\(4, 5, 3\\)"),
    "dtype": (lambda: nnx.ops.random_flip(X.astype(int), seed=1), TypeError, "x", "float", "int64"),
    "mode": (lambda: nnx.ops.random_flip(X, "both", seed=1), ValueError, "mode", "horizontal", "both"),
    "no seed": (lambda: nnx.ops.random_flip(X), TypeError, "seed", "int", "None"),
    "factor": (lambda: nnx.ops.random_translation(X, 1.5, 0, seed=1), ValueError, "height_factor", "1", "1.5"),
    "factors": (lambda: nnx.ops.random_translation(X, 0, (0, 1, 2), seed=1), ValueError, "width_factor", "two", "0, 1, 2"),
    "factor's type": (lambda: nnx.ops.random_rotation(X, "a", seed=1), TypeError, "factor", "number", "str"),
    "fill": (lambda: nnx.ops.random_rotation(X, 0.1, "zero", seed=1), ValueError, "fill_mode", "wrap", "zero"),
    "interpolation": (lambda: nnx.ops.random_rotation(X, 0.1, "wrap", "cubic", seed=1), ValueError, "interpolation", "nearest", "cubic"),
    "fill value": (lambda: nnx.ops.random_rotation(X, 0.1, fill_value=np.nan, seed=1), ValueError, "fill_value", "finite", "nan"),
    "crop": (lambda: nnx.ops.random_crop(X, 5, 5, seed=1), ValueError, "height", "4", "5"),
    "crop of nothing": (lambda: nnx.ops.center_crop(X, 4, 0), ValueError, "width", "5", "0"),
    "dy": (lambda: nnx.ops.random_crop_backward(X, (2, 4, 5, 3), 3, 3, seed=1), ValueError, "dy", "3, 3, 3", "4, 5, 3"),
    "contrast": (lambda: nnx.ops.random_contrast(X, -0.1, seed=1), ValueError, "factor", "0", "-0.1"),
    "range": (lambda: nnx.ops.random_contrast(X, 0.1, (1, 1), seed=1), ValueError, "value_range", "larger", "1, 1"),
    "layer": (lambda: nnx.ops.random_flip(X, seed=1, layer=2**16), ValueError, "layer", "2\\^16", "65536"),
    "stddev": (lambda: nnx.ops.gaussian_noise(X, -1.0, seed=1), ValueError, "stddev", "0", "-1"),
    "channels": (lambda: nnx.ops.spatial_dropout2d(X[0], 0.5, seed=1), ValueError, "x", "N, H, W, C", "4, 5, 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    expect_bad(*BAD[case])
