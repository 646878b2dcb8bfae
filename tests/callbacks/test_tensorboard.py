import sys

import pytest
from callbacks.cases import compiled, fit
from nnx.callbacks import CallbackList, TensorBoard

pytest.importorskip("tensorboardX")
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"
)


def read(folder):
    """Scalars by tensorboard's own reader: {tag: [(step, value), ...]}."""
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = loading.EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
    events.Reload()
    tags = events.Tags()
    scalars = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags["scalars"]}
    return scalars, tags["histograms"], tags["tensors"]


def test_read_back_by_tensorboard(tmp_path):
    _, history = fit([TensorBoard(tmp_path, histogram_freq=2)], 3, validation_split=0.25)
    scalars, histograms, texts = read(tmp_path / "train")
    for name in ("loss", "accuracy", "learning_rate"):
        values = history.history[name]
        assert scalars[f"epoch_{name}"] == [
            (epoch, pytest.approx(v, rel=1e-6)) for epoch, v in enumerate(values)
        ]
    assert "dense.kernel" in histograms
    assert any("summary" in text for text in texts)
    held_out, _, _ = read(tmp_path / "validation")
    assert held_out["epoch_loss"] == [
        (epoch, pytest.approx(v, rel=1e-6)) for epoch, v in enumerate(history.history["val_loss"])
    ]


def test_batches(tmp_path):
    fit([TensorBoard(tmp_path, update_freq=2)], 2)
    scalars, _, _ = read(tmp_path / "train")
    assert [step for step, _ in scalars["batch_loss"]] == [2, 4, 6, 8, 10]
    hooks = ("on_train_batch_begin", "on_train_batch_end")
    assert not CallbackList([TensorBoard(tmp_path)], compiled(), {}).overrides(*hooks)


def test_steps_per_second(tmp_path):
    fit([TensorBoard(tmp_path, write_steps_per_second=True)], 2)
    scalars, _, _ = read(tmp_path / "train")
    assert [step for step, _ in scalars["epoch_steps_per_second"]] == [0, 1]
    assert all(value > 0 for _, value in scalars["epoch_steps_per_second"])
    fit([TensorBoard(tmp_path / "without")], 1)
    assert "epoch_steps_per_second" not in read(tmp_path / "without" / "train")[0]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("write_images", True),
        ("profile_batch", (1, 3)),
        ("embeddings_freq", 1),
        ("embeddings_metadata", "m.tsv"),
    ],
)
def test_arguments_of_keras_that_are_not_served(argument, value, tmp_path):
    with pytest.raises(
        ValueError, match=f"TensorBoard: argument '{argument}' expected .*, the only value served"
    ):
        TensorBoard(tmp_path, **{argument: value})


def test_refused(tmp_path, monkeypatch):
    with pytest.raises(TypeError, match="TensorBoard: argument 'log_dir' expected a path, got None"):
        TensorBoard(None)
    with pytest.raises(ValueError, match="TensorBoard: argument 'histogram_freq'"):
        TensorBoard(tmp_path, histogram_freq=-1)
    with pytest.raises(TypeError, match="TensorBoard: argument 'update_freq'"):
        TensorBoard(tmp_path, update_freq="step")
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(
        ImportError, match=r"tensorboardX is not installed \(pip install nnx-native\[tensorboard\]\)"
    ):
        TensorBoard(tmp_path)
