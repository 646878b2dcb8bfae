"""Logits to 1e38, NaN, infinity, denormals, sizes that overflow."""

import nnx
import numpy as np
import pytest
from harness import FLOATS, same_bits

TOP = {"float32": 1e38, "float64": 1e308}


@pytest.mark.parametrize("dtype", FLOATS)
def test_cross_entropy_of_huge_logits(run, dtype):
    """Finite losses and gradients as long as the loss itself fits the dtype."""
    top = TOP[dtype]
    z = np.array([[top, 0, -1], [0, top, 0], [top, top, top], [-top, -top, -top], [1, 2, 3]], dtype)
    labels = np.array([0, 1, 2, 0, 2])
    values = run.softmax_cross_entropy(z, labels, reduction="none")
    np.testing.assert_allclose(values[:4], [0, 0, np.log(3), np.log(3)], rtol=1e-5)
    gradient = run.softmax_cross_entropy_backward(z, labels, reduction="sum")
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-6)
    wrong = run.softmax_cross_entropy(z[:2], np.array([1, 0]), reduction="none")
    np.testing.assert_allclose(wrong, np.array([top, top], dtype), rtol=1e-6)
    assert np.isfinite(run.softmax_cross_entropy_backward(z[:2], np.array([1, 0]))).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_label_smoothing_of_huge_logits(run, dtype):
    z = np.array([[TOP[dtype] / 4, 0, 0]], dtype)
    assert np.isfinite(run.softmax_cross_entropy(z, np.array([0]), label_smoothing=0.1))
    assert np.isfinite(run.softmax_cross_entropy_backward(z, np.array([0]), label_smoothing=0.1)).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_binary_cross_entropy_of_huge_logits(run, dtype):
    top = TOP[dtype]
    z = np.array([[top], [-top], [top], [-top], [0]], dtype)
    t = np.array([[1], [0], [0], [1], [1]], dtype)
    values = run.sigmoid_binary_cross_entropy(z, t, reduction="none").ravel()
    np.testing.assert_allclose(values, np.array([0, 0, top, top, np.log(2)], dtype), rtol=1e-6)
    gradient = run.sigmoid_binary_cross_entropy_backward(z, t, reduction="sum").ravel()
    np.testing.assert_array_equal(gradient, [0, 0, 1, -1, -0.5])


@pytest.mark.parametrize("dtype", FLOATS)
def test_probabilities_of_zero_and_one(run, dtype):
    p = np.array([[0, 1, 0.5]], dtype)
    for t in (p, 1 - p):
        assert np.isfinite(run.binary_cross_entropy(p, t))
        assert np.isfinite(run.binary_cross_entropy_backward(p, t)).all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "name",
    [
        "mean_squared_error",
        "mean_absolute_error",
        "huber",
        "half_sum_squared_error",
        "sigmoid_binary_cross_entropy",
    ],
)
def test_nan_makes_the_loss_nan(run, name, dtype):
    """Wherever it stands; and the gradient of that element alone."""
    for place in (0, 17, 32):
        y, t = np.zeros((3, 11), dtype), np.ones((3, 11), dtype)
        y.flat[place] = np.nan
        assert np.isnan(getattr(run, name)(y, t))
        gradient = getattr(run, f"{name}_backward")(y, t)
        assert np.flatnonzero(np.isnan(gradient)).tolist() == [place]


@pytest.mark.parametrize("dtype", FLOATS)
def test_nan_spoils_its_row_of_the_cross_entropy(run, dtype):
    z = np.zeros((4, 19), dtype)
    z[2, 18] = np.nan
    values = run.softmax_cross_entropy(z, np.zeros(4, np.int64), reduction="none")
    assert np.flatnonzero(np.isnan(values)).tolist() == [2]


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_weight_of_zero_does_not_hide_other_rows(run, dtype):
    y, t = np.ones((3, 2), dtype), np.zeros((3, 2), dtype)
    assert run.mean_squared_error(y, t, reduction="sum", sample_weight=np.array([0, 1, 2], dtype)) == 6


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("count", [1, 7, 8, 16, 33, 100])
def test_nan_goes_through_relu_and_max_pool(run, count, dtype):
    for place in {0, count // 2, count - 1}:
        x = np.linspace(-1, 1, count, dtype=dtype)
        x[place] = np.nan
        for name in ("relu", "leaky_relu", "elu", "sigmoid", "tanh", "gelu", "silu"):
            y = getattr(run, name)(x)
            assert np.flatnonzero(np.isnan(y)).tolist() == [place], name
        y, _ = run.max_pool2d(x.reshape(1, 1, 1, count).repeat(2, axis=1).repeat(2, axis=2))
        assert np.flatnonzero(np.isnan(y)).tolist() == [place]


def test_denormals_cost_no_accuracy_where_it_matters(run):
    """They may be flushed to zero, never turned into anything else."""
    tiny = np.float32(1e-42)
    x = np.array([[tiny, 1.0, -tiny, 2.0] * 9], np.float32)
    w = np.ones((36, 5), np.float32)
    np.testing.assert_array_equal(run.dense(x, w), 27)
    for name in ("relu", "tanh", "leaky_relu"):
        y = getattr(run, name)(x[:, :1])
        assert y[0, 0] in (0, tiny) or abs(y[0, 0] - tiny) <= tiny


def test_the_floating_point_mode_is_restored():
    """Denormals of the caller's own arithmetic survive a call that flushes its own."""
    x = np.ones((300, 300), np.float32)
    nnx.ops.dense(x, x)
    tiny = np.array([1e-42], np.float32)
    assert (tiny * np.float32(0.5))[0] > 0
    assert np.float64(5e-324) * 1.0 > 0


@pytest.mark.parametrize("dtype", FLOATS)
def test_dense_overflows_to_infinity(run, dtype):
    big = np.full((2, 3), np.finfo(dtype).max, dtype)
    np.testing.assert_array_equal(run.dense(big, np.ones((3, 4), dtype)), np.inf)


def test_sizes_beyond_what_counts_do_not_overflow():
    """Broadcast views are large without memory; what would be allocated is refused by size, not by a crash."""
    huge = np.broadcast_to(np.float32(0), (2**30, 2**30))
    for call in (
        lambda: nnx.ops.relu(huge),
        lambda: nnx.ops.dropout_mask((2**34, 2**30), 0.5, 1),
        lambda: nnx.ops.dropout_mask((2**62, 2**62), 0.5, 1),
        lambda: nnx.ops.avg_pool2d_backward(np.zeros((1, 1, 1, 1)), (1, 2**31, 2**31, 2**31)),
    ):
        with pytest.raises((MemoryError, ValueError)):
            call()


@pytest.mark.parametrize("huge", [2**31, 2**40, 2**62, 2**63 - 1])
def test_huge_windows(huge):
    x, w = np.zeros((1, 4, 4, 1), np.float32), np.zeros((2, 2, 1, 1), np.float32)
    for options in ({"strides": huge}, {"padding": huge}, {"dilation": huge}):
        with pytest.raises((ValueError, MemoryError)):
            nnx.ops.conv2d(x, w, **options)
    with pytest.raises((ValueError, MemoryError)):
        nnx.ops.max_pool2d(x, huge)


def test_images_whose_points_are_counted_in_31_bits():
    """Within the image all is small; its padding is what makes the points many."""
    x, w = np.ones((1, 3, 2048, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)
    for options in ({"dilation": (2**20, 1), "padding": "same"}, {"padding": (2**20, 2)}):
        with pytest.raises(ValueError, match=r"conv2d: .*padding.* expected images of at most 2\^30 points"):
            nnx.ops.conv2d(x, w, **options)


def test_far_apart(run):
    """Strides and dilations far beyond the image, of whose taps or pixels one is left."""
    x, w = np.ones((1, 3, 4, 1), np.float32), np.full((3, 3, 1, 1), 2, np.float32)
    far = {"dilation": (2**12, 2**12), "padding": "same"}
    np.testing.assert_array_equal(run.conv2d(x, w, **far), 2 * x)
    dx, dw, db = run.conv2d_backward(x, x, w, **far)
    np.testing.assert_array_equal(dx, 2 * x)
    assert (dw.sum(), dw[1, 1, 0, 0], db[0]) == (12, 12, 12)
    dy = np.ones((1, 1, 1, 1), np.float32)
    far = {"strides": 2**30}
    np.testing.assert_array_equal(run.conv2d(x, w, **far), [[[[18]]]])
    dx, dw, db = run.conv2d_backward(dy, x, w, **far)
    np.testing.assert_array_equal(dx[0, :, :, 0], [[2, 2, 2, 0]] * 3)
    assert (dw.sum(), db[0]) == (9, 1)


@pytest.mark.parametrize("huge", [2**63, 2**64, 10**30])
def test_integers_that_fit_nowhere(huge):
    x = np.zeros((1, 4, 4, 1), np.float32)
    with pytest.raises((ValueError, TypeError, OverflowError)):
        nnx.ops.avg_pool2d(x, huge)


def test_softmax_of_one_class_and_of_equal_infinities(run):
    np.testing.assert_array_equal(run.softmax(np.array([[7.0]])), 1)
    y = run.softmax(np.array([[1e300, 1e300, -1e300]]))
    assert same_bits(y, np.array([[0.5, 0.5, 0.0]]))
