import nnx
import numpy as np
import pytest
import reference
from harness import FLOATS, draw, expect_bad, place
from nnx import _core

POINTWISE = (
    "mean_squared_error",
    "mean_absolute_error",
    "huber",
    "half_sum_squared_error",
    "binary_cross_entropy",
    "sigmoid_binary_cross_entropy",
)
BINARY = POINTWISE[4:]
SHAPES = [(1, 1), (1, 7), (5, 3), (33, 10), (4, 5, 6), (64, 17), (300, 33), (17,), (0, 4)]
REDUCTIONS = ("mean", "sum", "none")
EPS = {dtype: np.finfo(dtype).eps for dtype in FLOATS}


def pair_for(name, rng, shape, dtype, fill="real"):
    """A prediction and a target the loss can take."""
    if name in BINARY:
        t = rng.integers(0, 2, shape).astype(dtype)
        y = (
            rng.uniform(0.01, 0.99, shape).astype(dtype)
            if name == "binary_cross_entropy"
            else draw(rng, shape, dtype)
        )
        return y, t
    return draw(rng, shape, dtype, fill), draw(rng, shape, dtype, fill)


def close(got, want, dtype, bound=16, scale=None):
    """Within `bound` eps of `scale`: by default of the value itself, or of a hundredth of the largest."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    if scale is None:
        scale = np.maximum(np.abs(want), np.max(np.abs(want), initial=0) * 1e-2)
    assert np.all(np.abs(got - want) <= bound * EPS[dtype] * scale + np.finfo(dtype).tiny)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise(run, rng, name, reduction, dtype):
    for shape in SHAPES:
        y, t = pair_for(name, rng, shape, dtype)
        for weight in (None, rng.uniform(0, 2, shape[0]).astype(dtype)):
            options = {"reduction": reduction, "sample_weight": weight}
            close(getattr(run, name)(y, t, **options), getattr(reference, name)(y, t, **options), dtype)
            got = getattr(run, f"{name}_backward")(y, t, **options)
            assert (got.dtype, got.shape) == (y.dtype, y.shape)
            close(got, getattr(reference, f"{name}_backward")(y, t, **options), dtype, 64)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["mean_squared_error", "mean_absolute_error", "half_sum_squared_error"])
def test_whole_numbers_are_exact(run, rng, name, dtype):
    for shape in ((1, 1), (3, 5), (16, 16), (255, 7), (64, 64)):
        y, t = pair_for(name, rng, shape, dtype, "integers")
        for reduction in ("sum", "none"):
            np.testing.assert_array_equal(
                getattr(run, name)(y, t, reduction=reduction),
                getattr(reference, name)(y, t, reduction=reduction),
            )
            np.testing.assert_array_equal(
                getattr(run, f"{name}_backward")(y, t, reduction=reduction),
                getattr(reference, f"{name}_backward")(y, t, reduction=reduction),
            )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("delta", [0.1, 1.0, 5.0])
def test_huber_delta(run, rng, delta, dtype):
    y, t = draw(rng, (40, 9), dtype) * 3, draw(rng, (40, 9), dtype)
    y[0, 0] = t[0, 0] + np.dtype(dtype).type(delta)
    for reduction in REDUCTIONS:
        options = {"delta": delta, "reduction": reduction}
        close(run.huber(y, t, **options), reference.huber(y, t, **options), dtype)
        close(run.huber_backward(y, t, **options), reference.huber_backward(y, t, **options), dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", BINARY)
def test_class_weights_of_binary_losses(run, rng, name, dtype):
    y, t = pair_for(name, rng, (21, 1), dtype)
    sample = rng.uniform(0, 2, 21).astype(dtype)
    for weight in ({0: 0.25, 1: 3.0}, [0.25, 3.0], np.array([0.25, 3.0])):
        options = {"class_weight": weight, "sample_weight": sample}
        close(getattr(run, name)(y, t, **options), getattr(reference, name)(y, t, **options), dtype)
        close(
            getattr(run, f"{name}_backward")(y, t, **options),
            getattr(reference, f"{name}_backward")(y, t, **options), dtype, 64,
        )  # fmt: skip


ROWS = [(1, 1), (1, 2), (3, 5), (8, 10), (17, 33), (300, 10), (5, 1000), (3, 1500), (0, 3)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("kind", ["int32", "int64", "uint8", "one_hot", "distribution", "masses"])
def test_cross_entropy(run, rng, kind, reduction, dtype):
    for rows, classes in ROWS:
        z = draw(rng, (rows, classes), dtype) * 3
        labels = rng.integers(0, min(classes, 200), rows)
        if kind == "one_hot":
            target = np.eye(classes, dtype=dtype)[labels]
        elif kind in ("distribution", "masses"):  # masses: rows that sum to another number than 1
            target = rng.dirichlet(np.ones(classes), rows).astype(dtype)
            target *= 1 if kind == "distribution" else rng.uniform(0, 1, (rows, 1)).astype(dtype)
        else:
            target = labels.astype(kind)
        for extra in (
            {},
            {"label_smoothing": 0.1},
            {"sample_weight": rng.uniform(0, 2, rows).astype(dtype)},
            {"class_weight": rng.uniform(0, 2, classes)},
            {"class_weight": dict(enumerate(rng.uniform(0, 2, classes).tolist())), "label_smoothing": 0.3},
        ):
            options = {"reduction": reduction, **extra}
            close(
                run.softmax_cross_entropy(z, target, **options),
                reference.softmax_cross_entropy(z, target, **options), dtype, 64,
            )  # fmt: skip
            got = run.softmax_cross_entropy_backward(z, target, **options)
            assert (got.dtype, got.shape) == (z.dtype, z.shape)
            # softmax - q cancels: each probability, of size up to 1, is right within 10 eps times its row's factor.
            want = reference.softmax_cross_entropy_backward(z.astype(np.longdouble), target, **options)
            factor = {"sample_weight": 2.0, "class_weight": 2.0}.get(next(iter(extra), ""), 1.0)
            close(got, want, dtype, 10, factor / rows if reduction == "mean" and rows else factor)


@pytest.mark.parametrize("dtype", FLOATS)
def test_labels_equal_their_one_hot_rows(run, rng, dtype):
    z, labels = draw(rng, (30, 7), dtype), rng.integers(0, 7, 30)
    one_hot = np.eye(7, dtype=dtype)[labels]
    for options in ({}, {"label_smoothing": 0.2}, {"class_weight": np.arange(1.0, 8.0)}):
        close(
            run.softmax_cross_entropy(z, labels, **options),
            run.softmax_cross_entropy(z, one_hot, **options),
            dtype,
            4,
        )


@pytest.mark.parametrize("dtype", FLOATS)
def test_mean_counts_rows_whatever_the_weights(run, dtype):
    z, t = np.zeros((4, 2), dtype), np.array([0, 1, 0, 1])
    weight = np.array([1, 0, 0, 0], dtype)
    np.testing.assert_allclose(
        run.softmax_cross_entropy(z, t, sample_weight=weight), np.log(2) / 4, rtol=1e-6
    )
    y = np.ones((4, 2), dtype)
    np.testing.assert_array_equal(run.mean_squared_error(y, 0 * y, sample_weight=weight), 0.25)
    np.testing.assert_array_equal(run.half_sum_squared_error(y, 0 * y), 4.0)
    np.testing.assert_array_equal(run.half_sum_squared_error(y, 0 * y, reduction="mean"), 1.0)
    np.testing.assert_array_equal(run.half_sum_squared_error(y, 0 * y, reduction="none"), [1, 1, 1, 1])


def test_the_mean_of_nothing_is_zero(run):
    empty = np.zeros((0, 3), np.float32)
    for name in POINTWISE:
        assert getattr(run, name)(empty, empty) == 0
        assert getattr(run, f"{name}_backward")(empty, empty).shape == (0, 3)
    assert run.softmax_cross_entropy(empty, np.zeros(0, np.int64)) == 0


def test_slopes_at_the_corners(run):
    y = np.array([[0.0, 1.0, -1.0]], np.float32)
    np.testing.assert_array_equal(
        run.mean_absolute_error_backward(y, np.zeros_like(y), reduction="sum"), [[0.0, 1.0, -1.0]]
    )
    np.testing.assert_array_equal(
        run.huber_backward(y, np.zeros_like(y), reduction="sum"), [[0.0, 1.0, -1.0]]
    )


def test_probabilities_are_clamped(run):
    p, t = np.array([[0.0, 1.0, 0.0, 1.0]], np.float64), np.array([[0.0, 1.0, 1.0, 0.0]], np.float64)
    values = run.binary_cross_entropy(p, t, reduction="none")
    small, large = -np.log1p(-1e-7), -np.log(1e-7)
    np.testing.assert_allclose(values, [[small, small, large, large]], rtol=1e-6)
    assert np.isfinite(run.binary_cross_entropy_backward(p, t)).all()
    p32 = p.astype(np.float32)
    assert np.isfinite(run.binary_cross_entropy(p32, t.astype(np.float32), reduction="none")).all()


@pytest.mark.parametrize("name", [*POINTWISE, "softmax_cross_entropy"])
def test_tensors_and_lists(name):
    y, t = [[0.25, 0.75]], [[0.0, 1.0]]
    want = getattr(nnx.ops, name)(np.array(y), np.array(t))
    assert float(np.asarray(getattr(nnx.ops, name)(y, t))) == float(want)
    tensor = getattr(nnx.ops, name)(nnx.tensor(np.array(y)), nnx.tensor(np.array(t)))
    assert float(tensor.numpy() if isinstance(tensor, nnx.Tensor) else tensor) == float(want)
    gradient = getattr(nnx.ops, f"{name}_backward")(nnx.tensor(np.array(y)), nnx.tensor(np.array(t)))
    assert isinstance(gradient, nnx.Tensor)


def test_non_contiguous_arguments(rng):
    y, t = draw(rng, (6, 8)).T, draw(rng, (8, 12))[:, ::2]
    np.testing.assert_array_equal(
        nnx.ops.mean_squared_error(y, t), nnx.ops.mean_squared_error(y.copy(), t.copy())
    )
    labels = rng.integers(0, 6, 16)[::2]
    np.testing.assert_array_equal(
        nnx.ops.softmax_cross_entropy(y, labels), nnx.ops.softmax_cross_entropy(y.copy(), labels.copy())
    )


# The counts that metrics are made of, in nnx._core


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("as_labels", [True, False])
def test_counts_of_classes(rng, device, as_labels, dtype):
    for rows, classes in ((1, 2), (7, 5), (400, 33), (9, 1500), (0, 3)):
        z, labels = draw(rng, (rows, classes), dtype, "integers") // 8, rng.integers(0, classes, rows)
        target = labels if as_labels else np.eye(classes, dtype=dtype)[labels]
        order = np.argsort(-z, axis=1, kind="stable")  # among equals the lower class wins
        z, target = place(z, device), place(target, device)
        for k in {1, 2, classes}:
            want = np.sum(order[:, :k] == labels[:, None])
            assert _core.count_top_k(z, target, k).tolist() == [want]
        matrix = np.zeros((classes, classes))
        np.add.at(matrix, (labels, order[:, 0]), 1)
        np.testing.assert_array_equal(_core.confusion(z, target), matrix)


def test_a_row_with_a_nan_is_never_right(device):
    z = place(np.array([[np.nan, 1, 2], [0, np.nan, 1], [3, 2, 1]], np.float32), device)
    assert _core.count_top_k(z, place(np.array([2, 2, 0]), device), 1).tolist() == [1]


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_nan_is_never_right_whatever_the_target(rng, device, dtype):
    """Wherever it stands, in arrays that end anywhere: as counts without it, and on the wrong side."""
    for shape in ((1,), (7, 1), (50, 7), (20_000,)):
        p, t = rng.random(shape).astype(dtype), rng.integers(0, 2, shape).astype(dtype)
        undefined = rng.random(shape) < 0.3
        undefined.flat[-1] = True
        wrong = np.where(undefined, 1 - t, p)  # 0 or 1, the other one than the target
        p[undefined] = np.nan
        bad, pair = (place(p, device), place(t, device)), (place(wrong, device), place(t, device))
        assert _core.count_binary(*bad, 0.5).tolist() == _core.count_binary(*pair, 0.5).tolist()
        np.testing.assert_array_equal(_core.binary_confusion(*bad, 0.5), _core.binary_confusion(*pair, 0.5))
    for rows, classes in ((9, 3), (40, 33), (5, 1)):
        z, labels = draw(rng, (rows, classes), dtype), rng.integers(0, classes, rows)
        z[np.arange(rows), labels] = np.nan
        matrix = _core.confusion(place(z, device), place(labels, device))
        assert np.trace(matrix) == 0
        counted = np.bincount(labels, minlength=classes) if classes > 1 else [0]
        np.testing.assert_array_equal(np.sum(matrix, axis=1), counted)


def test_metrics_of_nan_outputs(device):
    """Not a number is no answer: nothing is right, in a model as in a function."""
    t = np.array([0, 0, 1, 0, 1, 0, 0, 1], np.float32)[:, None]
    metrics = ["binary_accuracy", "precision", "recall", "f1"]
    model = nnx.Sequential(nnx.Dense(1, activation="sigmoid"))
    model.compile("sgd", "bce", metrics, device=device, seed=0)
    model.build((2,))
    model.set_weights([np.full((2, 1), np.nan), np.zeros(1)])
    result = model.evaluate(np.ones((8, 2), np.float32), t)
    assert [result[name] for name in metrics] == [0, 0, 0, 0]
    y = np.full((8, 1), np.nan)
    assert nnx.metrics.binary_accuracy(t, y) == 0
    assert nnx.metrics.f1(t, y) == nnx.metrics.precision(t, y) == nnx.metrics.recall(t, y) == 0
    labels = t[:, 0].astype(int)
    assert nnx.metrics.accuracy(labels, np.full((8, 2), np.nan)) == 0
    assert np.trace(nnx.metrics.confusion_matrix(labels, np.full((8, 2), np.nan))) == 0


def test_the_first_nan_is_the_largest(device):
    """And of a row of minus infinity the first class."""
    z = np.full((3, 40), -np.inf, np.float32)
    z[1, [7, 35]], z[1, 3], z[2, 39] = np.nan, np.inf, -1
    matrix = _core.confusion(place(z, device), place(np.array([2, 0, 2]), device))
    assert np.argwhere(matrix).tolist() == [[0, 7], [2, 0], [2, 39]]


@pytest.mark.parametrize("dtype", FLOATS)
def test_binary_counts(rng, device, dtype):
    for shape in ((1,), (33, 1), (50, 7), (20_000,)):
        p, t = rng.random(shape).astype(dtype), rng.integers(0, 2, shape).astype(dtype)
        for threshold in (0.5, 0.2):
            right = (p > dtype_of(dtype, threshold)) == (t > 0.5)
            pair = place(p, device), place(t, device)
            assert _core.count_binary(*pair, threshold).tolist() == [right.sum()]
            matrix = np.zeros((2, 2))
            np.add.at(matrix, ((t > 0.5).astype(int), (p > dtype_of(dtype, threshold)).astype(int)), 1)
            np.testing.assert_array_equal(_core.binary_confusion(*pair, threshold), matrix)


def dtype_of(dtype, value):
    return np.dtype(dtype).type(value)


@pytest.mark.parametrize("dtype", FLOATS)
def test_regression_sums(rng, device, dtype):
    for shape in ((1, 1), (40, 3), (7, 1100), (1300, 32)):
        y, t = draw(rng, shape, dtype, "integers"), draw(rng, shape, dtype, "integers")
        error = (y - t).astype(np.float64)
        want = np.stack(
            [(error**2).sum(0), np.abs(error).sum(0), t.sum(0), (t.astype(float) ** 2).sum(0)], axis=1
        )
        np.testing.assert_array_equal(_core.regression_sums(place(y, device), place(t, device)), want)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_check_labels(dtype):
    _core.check_labels(np.array([0, 2, 1], dtype), 3, "y")
    for bad, value in (([0, 1, 3], "3"), ([0, 200, 1], "200")):
        with pytest.raises(
            ValueError, match=rf"argument 'y' expected .*3.*got {value} at .*{bad.index(int(value))}"
        ):
            _core.check_labels(np.array(bad, dtype), 3, "y")


Y = np.zeros((2, 3), np.float32)
LABELS = np.array([0, 2])
cross_entropy = nnx.ops.softmax_cross_entropy
BAD = {
    "unknown reduction": (lambda: cross_entropy(Y, LABELS, reduction="median"), ValueError, "reduction", "mean", "median"),
    "label too large": (lambda: cross_entropy(Y, np.array([0, 3])), ValueError, "labels|targets|labels_or_onehot|t", "3", "3"),
    "negative label": (lambda: cross_entropy(Y, np.array([-1, 0])), ValueError, ".*", "3", "-1"),
    "ignored label": (lambda: cross_entropy(Y, np.array([0, -100])), ValueError, ".*", "3", "-100"),
    "number of labels": (lambda: cross_entropy(Y, np.array([0, 1, 2])), ValueError, ".*", r"\(2,\)", r"\(3,\)"),
    "one-hot shape": (lambda: cross_entropy(Y, Y[:, :2]), ValueError, ".*", r"\(2, 3\)", r"\(2, 2\)"),
    "one-hot dtype": (lambda: cross_entropy(Y, Y.astype("float64")), TypeError, ".*", "float32", "float64"),
    "labels of float": (lambda: cross_entropy(Y, np.array([0.0, 1.0], np.float32)), (TypeError, ValueError), ".*", "", ""),
    "z rank": (lambda: cross_entropy(Y[0], LABELS), ValueError, "z", r"\(N, K\)", r"\(3,\)"),
    "z dtype": (lambda: cross_entropy(Y.astype("int32"), LABELS), TypeError, "z", "float", "int32"),
    "smoothing": (lambda: cross_entropy(Y, LABELS, label_smoothing=1.5), ValueError, "label_smoothing", "1", "1.5"),
    "smoothing nan": (lambda: cross_entropy(Y, LABELS, label_smoothing=float("nan")), ValueError, "label_smoothing", "1", "nan"),
    "class weights": (lambda: cross_entropy(Y, LABELS, class_weight=[1.0, 2.0]), ValueError, "class_weight", "3", "2"),
    "class weight of no class": (lambda: cross_entropy(Y, LABELS, class_weight={5: 1.0}), ValueError, "class_weight", "3", "5"),
    "sample weights": (lambda: cross_entropy(Y, LABELS, sample_weight=np.ones(3, "f4")), ValueError, "sample_weight", r"\(2,\)", r"\(3,\)"),
    "class weights of many outputs": (
        lambda: nnx.ops.binary_cross_entropy(Y, Y, class_weight=[1.0, 2.0]), ValueError, "class_weight", "one output", r"\(2, 3\)",
    ),
    "delta": (lambda: nnx.ops.huber(Y, Y, delta=0.0), ValueError, "delta", "0", "0"),
    "negative delta": (lambda: nnx.ops.huber(Y, Y, delta=-1.0), ValueError, "delta", "0", "-1"),
}  # fmt: skip
for name in POINTWISE:
    first = {"binary_cross_entropy": "p", "sigmoid_binary_cross_entropy": "z"}.get(name, "y")
    for suffix in ("", "_backward"):
        f = getattr(nnx.ops, name + suffix)
        BAD |= {
            f"{name}{suffix} shapes": (lambda f=f: f(Y, Y[:1]), ValueError, "t", r"\(2, 3\)", r"\(1, 3\)"),
            f"{name}{suffix} mixed": (lambda f=f: f(Y, Y.astype("f8")), TypeError, "t", "float32", "float64"),
            f"{name}{suffix} integers": (lambda f=f: f(Y.astype("i4"), Y), TypeError, first, "float", "int32"),
            f"{name}{suffix} weights": (
                lambda f=f: f(Y, Y, sample_weight=np.ones((2, 3), "f4")), ValueError, "sample_weight", r"\(2,\)", r"\(2, 3\)",
            ),
            f"{name}{suffix} reduction": (lambda f=f: f(Y, Y, reduction="avg"), ValueError, "reduction", "mean", "avg"),
        }  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    expect_bad(*BAD[case])
