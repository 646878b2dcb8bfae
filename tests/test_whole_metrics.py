"""Metrics that look at a whole evaluated set: functions of one's own, the area under a curve; and rmse."""

import nnx
import numpy as np
import pytest
from harness import PROGRAM_DEVICE, draw
from nnx import metrics

y_true = np.array([0, 0, 1, 1])
scores = np.array([0.1, 0.4, 0.35, 0.8])


def by_pairs(y, score):
    """The chance that a positive's score is above a negative's."""
    pairs = [(p > n) + 0.5 * (p == n) for p in score[y == 1] for n in score[y == 0]]
    return np.mean(pairs)


def by_steps(y, score):
    """Average precision: precision at each recall that is reached, times what it rises by."""
    total, before = 0.0, 0.0
    for threshold in np.unique(score)[::-1]:
        taken = score >= threshold
        precision, recall = y[taken].mean(), y[taken].sum() / y.sum()
        total += (recall - before) * precision
        before = recall
    return total


def test_the_area_under_a_curve(rng):
    assert metrics.AUC()(y_true, scores) == pytest.approx(0.75)
    for _ in range(20):
        y = rng.integers(0, 2, 60)
        y[:2] = 0, 1
        score = np.round(rng.uniform(size=60), 1)  # with ties
        assert metrics.AUC()(y, score) == pytest.approx(by_pairs(y, score), rel=1e-12)
        assert metrics.AUC(curve="PR")(y, score) == pytest.approx(by_steps(y, score), rel=1e-12)
        fine = rng.uniform(size=60)
        assert metrics.AUC(5000)(y, fine) == pytest.approx(by_pairs(y, fine), abs=5e-3)
    # Keras 3.15's AUC(num_thresholds=3) of its docstring's example
    assert metrics.AUC(3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]) == pytest.approx(0.75)


def test_areas_of_several_outputs_and_of_labels(rng):
    labels, probabilities = rng.integers(0, 3, 40), rng.dirichlet(np.ones(3), 40)
    one_hot = np.eye(3)[labels]
    want = by_pairs(one_hot.reshape(-1), probabilities.reshape(-1))
    assert metrics.AUC()(labels, probabilities) == pytest.approx(want)
    assert metrics.AUC()(one_hot, probabilities) == pytest.approx(want)
    assert np.isnan(metrics.AUC()(np.ones(4), scores))
    assert np.isnan(metrics.AUC()(y_true, np.array([np.nan, 0, 1, 1])))


def largest_error(y_true, y_pred):
    assert isinstance(y_true, np.ndarray)
    assert isinstance(y_pred, np.ndarray)
    return np.max(np.abs(y_true - y_pred))


@pytest.mark.parametrize("batches", [False, True])
def test_in_evaluate_and_validation(rng, batches):
    model = nnx.Sequential(nnx.Dense(1))
    model.compile(
        "sgd", "mse", [largest_error, "rmse", "mae"], device=PROGRAM_DEVICE, precision="float64", seed=0
    )
    x, t = draw(rng, (70, 3), "float64"), draw(rng, (70, 1), "float64")
    given = ([(x[i : i + 16], t[i : i + 16]) for i in range(0, 70, 16)],) if batches else (x, t, 16)
    history = model.fit(x, t, epochs=2, verbose=0, validation_data=(x[:20], t[:20]))
    logs = model.evaluate(*given)
    error = model.predict(x) - t
    assert logs["largest_error"] == pytest.approx(np.max(np.abs(error)), rel=1e-12)
    assert logs["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-12)
    assert list(logs) == ["loss", "rmse", "mae", "largest_error"]
    assert history.history["val_largest_error"][-1] == pytest.approx(np.max(np.abs(error[:20])), rel=1e-12)
    assert "largest_error" not in history.history


def test_a_classifier_and_early_stopping(rng):
    x, y = nnx.datasets.load_digits()
    y = (y % 2).astype(np.int64)
    model = nnx.Sequential(nnx.Flatten(), nnx.Dense(8, "relu"), nnx.Dense(1, "sigmoid"))
    model.compile(nnx.Adam(0.01), "bce", ["auc", "accuracy"], device=PROGRAM_DEVICE, seed=0)
    stop = nnx.callbacks.EarlyStopping("val_auc", patience=1)
    history = model.fit(
        x[:600], y[:600], epochs=3, verbose=0, validation_data=(x[600:900], y[600:900]), callbacks=[stop]
    )
    want = by_pairs(y[600:900], model.predict(x[600:900])[:, 0])
    assert model.evaluate(x[600:900], y[600:900])["auc"] == pytest.approx(want, rel=1e-9)
    assert history.history["val_auc"][-1] > 0.8


def test_rmse():
    assert metrics.rmse([[1.0], [2.0]], [[1.0], [4.0]]) == pytest.approx(np.sqrt(2))
    assert metrics.get("root_mean_squared_error").name == "root_mean_squared_error"


def test_what_is_refused(rng):
    with pytest.raises(ValueError, match="'curve' expected 'ROC' or 'PR', got 'XY'"):
        metrics.AUC(curve="XY")
    with pytest.raises(ValueError, match="'num_thresholds'"):
        metrics.AUC(1)
    with pytest.raises(ValueError, match="'num_thresholds' expected None"):
        metrics.AUC(10, "PR")
    with pytest.raises(TypeError, match="'function' expected a function, got int"):
        metrics.Function(3)
    with pytest.raises(ValueError, match="expected one shape"):
        metrics.AUC()([0.0, 1.0], [[[0.1], [0.2]]] * 2)
    with pytest.raises(ValueError, match="expected one length"):
        metrics.AUC()([0, 1], [0.1])
