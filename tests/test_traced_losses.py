"""Losses that a formula says: those of the house and one's own, on arrays and within programs."""

import nnx
import numpy as np
import pytest
from harness import PROGRAM_DEVICE, draw, numeric_gradient
from nnx import losses, ops

EPSILON = 1e-7


def mean_last(x):
    return np.mean(x, axis=-1)


def unit(x):
    return x / np.sqrt(np.maximum(np.sum(x * x, axis=-1, keepdims=True), 1e-12))


def entropy(t, p):
    return -(t * np.log(p) + (1 - t) * np.log(1 - p))


def binary_focal(t, p, alpha=None, gamma=2.0):
    p = np.clip(p, EPSILON, 1 - EPSILON)
    right = t * p + (1 - t) * (1 - p)
    a = 1.0 if alpha is None else t * alpha + (1 - t) * (1 - alpha)
    return mean_last(a * (1 - right) ** gamma * entropy(t, p))


def categorical_focal(t, p, alpha=0.25, gamma=2.0):
    p = np.clip(p / p.sum(-1, keepdims=True), EPSILON, 1 - EPSILON)
    return np.sum(-alpha * (1 - p) ** gamma * t * np.log(p), axis=-1)


# Loss, its definition, and what targets and outputs are: "any", "counts", "signs", "chances" (each in [0, 1]), "distributions".
CASES = {
    "mape": (losses.MeanAbsolutePercentageError(), lambda t, y: 100 * mean_last(np.abs(t - y) / np.maximum(np.abs(t), EPSILON)), "any"),
    "msle": (
        losses.MeanSquaredLogarithmicError(),
        lambda t, y: mean_last((np.log1p(np.maximum(y, EPSILON)) - np.log1p(np.maximum(t, EPSILON))) ** 2),
        "counts",
    ),
    "hinge": (losses.Hinge(), lambda t, y: mean_last(np.maximum(1 - t * y, 0)), "signs"),
    "squared_hinge": (losses.SquaredHinge(), lambda t, y: mean_last(np.maximum(1 - t * y, 0) ** 2), "signs"),
    "kl_divergence": (
        losses.KLDivergence(),
        lambda t, y: np.sum(np.clip(t, EPSILON, 1) * np.log(np.clip(t, EPSILON, 1) / np.clip(y, EPSILON, 1)), axis=-1),
        "distributions",
    ),
    "poisson": (losses.Poisson(), lambda t, y: mean_last(y - t * np.log(y + EPSILON)), "counts"),
    "log_cosh": (losses.LogCosh(), lambda t, y: mean_last(np.log(np.cosh(y - t))), "any"),
    "cosine_similarity": (losses.CosineSimilarity(), lambda t, y: -np.sum(unit(t) * unit(y), axis=-1), "any"),
    "binary_focal": (losses.BinaryFocalCrossentropy(), binary_focal, "chances"),
    "balanced focal": (
        losses.BinaryFocalCrossentropy(True, 0.3, 1.5),
        lambda t, y: binary_focal(t, y, 0.3, 1.5),
        "chances",
    ),
    "categorical_focal": (losses.CategoricalFocalCrossentropy(), categorical_focal, "distributions"),
}  # fmt: skip

END = {"any": None, "counts": "softplus", "signs": None, "chances": "sigmoid", "distributions": "softmax"}


def made(rng, what, rows=7, columns=4):
    if what == "counts":
        return rng.poisson(2.0, (rows, columns)).astype(np.float64)
    if what == "signs":
        return rng.choice([-1.0, 1.0], (rows, columns))
    if what == "chances":
        return rng.integers(0, 2, (rows, columns)).astype(np.float64)
    if what == "distributions":
        return rng.dirichlet(np.ones(columns), rows)
    return rng.standard_normal((rows, columns))


def outputs_of(rng, what, rows=7, columns=4):
    if what == "counts":
        return rng.uniform(0.1, 3, (rows, columns))
    if what == "chances":
        return rng.uniform(0.02, 0.98, (rows, columns))
    return made(rng, what, rows, columns)


@pytest.mark.parametrize("case", CASES)
def test_on_arrays(rng, case):
    loss, definition, what = CASES[case]
    t, y = made(rng, what), outputs_of(rng, what)
    want = definition(t, y)
    assert loss(t, y) == pytest.approx(np.mean(want), rel=1e-10)
    weight = rng.uniform(0, 2, len(t))
    assert loss(t, y, weight) == pytest.approx(np.mean(weight * want), rel=1e-10)
    config = loss.get_config()
    again = type(loss).from_config({**config, "reduction": "none"})
    np.testing.assert_allclose(again(t, y), want, rtol=1e-10)
    total = type(loss).from_config({**config, "reduction": "sum"})
    assert total(t, y) == pytest.approx(np.sum(want), rel=1e-10)


def model_with(loss, what, metrics=(), activation=None, columns=4, **options):
    model = nnx.Sequential(nnx.Dense(columns, activation=END[what] if activation is None else activation))
    model.compile(nnx.SGD(0.05), loss, metrics, device=PROGRAM_DEVICE, precision="float64", seed=2, **options)
    model.build((3,))
    return model


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_within_a_program(rng, case, weighted):
    loss, definition, what = CASES[case]
    model = model_with(loss, what)
    x, t = draw(rng, (7, 3), "float64"), made(rng, what)
    weight = rng.uniform(0.1, 2, 7) if weighted else np.ones(7)
    given = {"sample_weight": weight} if weighted else {}
    kernel, bias = model.get_weights()

    def value(kernel):
        model.set_weights([kernel, bias])
        return np.mean(weight * definition(t, model.predict(x)))

    wanted = numeric_gradient(lambda k: np.array(value(k)), kernel, np.array(1.0))
    model.set_weights([kernel, bias])
    got, gradients = model.gradients(x, t, **given)
    assert got == pytest.approx(value(kernel), rel=1e-9)
    np.testing.assert_allclose(
        gradients["dense.kernel"], wanted, rtol=1e-5, atol=1e-7 * np.abs(wanted).max() + 1e-9
    )
    assert model.evaluate(x, t, **given)["loss"] == pytest.approx(value(kernel), rel=1e-9)


def squared(y_true, y_pred):
    return ops.square(y_true - y_pred)


@nnx.register
def per_sample(y_true, y_pred):
    return ops.mean(ops.square(y_pred - y_true), axis=-1)


@pytest.mark.parametrize("function", [squared, per_sample, lambda t, y: (t - y) ** 2])
def test_a_function_is_a_loss_and_equals_the_kernel(rng, function):
    """Of one's own against the built-in: the same steps, to rounding."""
    x, t = draw(rng, (40, 3), "float64"), draw(rng, (40, 4), "float64")
    ends = []
    for loss in (function, "mse"):
        model = model_with(loss, "any", ["mae", "r2"])
        history = model.fit(
            x, t, batch_size=16, epochs=3, verbose=0, validation_data=(x, t), sample_weight=np.arange(40.0)
        )
        ends.append((history.history, model.get_weights()))
    for name, values in ends[0][0].items():
        np.testing.assert_allclose(values, ends[1][0][name], rtol=1e-10, err_msg=name)
    for a, b in zip(ends[0][1], ends[1][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_logits_and_probabilities_are_told_apart(rng):
    x, t = draw(rng, (9, 3), "float64"), made(rng, "chances", 9)
    ends = []
    for activation in ("linear", "sigmoid"):
        model = model_with(losses.BinaryFocalCrossentropy(), "chances", activation=activation)
        model.fit(x, t, batch_size=4, epochs=2, verbose=0)
        ends.append(model.get_weights())
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    labels = rng.integers(0, 4, 9)
    ends = []
    for activation in ("linear", "softmax"):
        for target in (labels, np.eye(4)[labels]):
            model = model_with(losses.CategoricalFocalCrossentropy(), "any", ["accuracy"], activation)
            history = model.fit(x, target, batch_size=4, epochs=2, verbose=0)
            ends.append([*model.get_weights(), np.array(history.history["accuracy"])])
    for other in ends[1:]:
        for a, b in zip(ends[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_hinge_takes_zeros_and_ones(rng):
    x, signs = draw(rng, (9, 3), "float64"), made(rng, "signs", 9)
    a, b = (model_with("hinge", "signs").gradients(x, t)[1]["dense.kernel"] for t in (signs, (signs + 1) / 2))
    np.testing.assert_array_equal(a, b)


def test_of_one_output_a_sample_and_of_images(rng):
    x, t = draw(rng, (6, 3), "float64"), draw(rng, 6, "float64")
    model = model_with(lambda t, y: ops.absolute(t - y), "any", columns=1)
    assert model.evaluate(x, t)["loss"] == pytest.approx(np.mean(np.abs(model.predict(x)[:, 0] - t)))
    images, wanted = draw(rng, (4, 5, 5, 2), "float64"), draw(rng, (4, 5, 5, 3), "float64")
    net = nnx.Sequential(nnx.Conv2D(3, 3, padding="same"))
    net.compile(
        "sgd",
        lambda t, y: ops.mean(ops.square(t - y), axis=(1, 2, 3)),
        device=PROGRAM_DEVICE,
        precision="float64",
    )
    assert net.evaluate(images, wanted)["loss"] == pytest.approx(np.mean((net.predict(images) - wanted) ** 2))


def test_saved_by_name(rng, tmp_path):
    model = model_with(per_sample, "any")
    x, t = draw(rng, (8, 3), "float64"), draw(rng, (8, 4), "float64")
    model.fit(x, t, verbose=0)
    model.save(tmp_path / "m.safetensors")
    again = nnx.load(tmp_path / "m.safetensors")
    assert again.evaluate(x, t) == model.evaluate(x, t)
    assert "per_sample" in repr(again.loss if hasattr(again, "loss") else losses.get(per_sample))


BAD = {
    "a number": (lambda t, y: 1.0, TypeError, "expected to return what operators and nnx.ops make"),
    "NumPy": (lambda t, y: np.mean(y), TypeError, "cannot take a Symbol|expected"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_loss(case):
    function, exception, message = BAD[case]
    model = model_with(function, "any")
    with pytest.raises(exception, match=message):
        model.train_step(np.ones((2, 3)), np.ones((2, 4)))


def test_arguments():
    with pytest.raises(TypeError, match="argument 'loss' expected a name, a Loss or a function, got int"):
        losses.get(3)
    with pytest.raises(ValueError, match="'gamma'"):
        losses.BinaryFocalCrossentropy(gamma=-1)
    with pytest.raises(ValueError, match="'alpha'"):
        losses.CategoricalFocalCrossentropy(alpha=2)
    with pytest.raises(NotImplementedError, match="expected a method formula"):
        losses.TracedLoss()(np.ones((2, 2)), np.ones((2, 2)))
