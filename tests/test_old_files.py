"""Files that earlier versions wrote stay loadable, predict what they predicted, and can be gone on from."""

import sys
from pathlib import Path

import nnx
import numpy as np

FIXTURES = Path(__file__).resolve().parent / "fixtures"
sys.path.insert(0, str(FIXTURES))

import make_model_v1


def test_version_1():
    x, y = make_model_v1.data()
    model = nnx.load(FIXTURES / "model-v1.safetensors", device="cpu")
    assert [type(layer).__name__ for layer in model.layers] == [
        "Normalize", "Conv2D", "BatchNorm", "MaxPool2D", "Sequential", "Dropout", "Dense",
    ]  # fmt: skip
    assert model.layers[2].trainable is False
    assert repr(model.layers[1].kernel_regularizer) == "L2(l2=0.001)"
    assert "Warmup(PiecewiseConstant([2.0], [0.02, 0.01]), 5)" in repr(model.optimizer)
    assert (model.optimizer.iterations, model.epoch, model.seed) == (7, 1, 8)
    expected = np.load(FIXTURES / "model-v1.npz")
    np.testing.assert_allclose(model.predict(x[:5]), expected["outputs"], rtol=1e-4, atol=1e-5)
    history = model.fit(x, y, callbacks=make_model_v1.callbacks(), resume=True, **make_model_v1.OPTIONS)
    assert history.epoch == [0, 1, 2, 3]
    assert model.optimizer.iterations == 16
    # other instruction sets round otherwise
    np.testing.assert_allclose(history.history["loss"], expected["loss"], rtol=1e-4)
    np.testing.assert_allclose(history.history["val_loss"], expected["val_loss"], rtol=1e-3)
    np.testing.assert_allclose(model.state_dict()["head.kernel"], expected["head"], rtol=1e-2, atol=1e-3)
    assert len(history.diagnostics["conv2d"]["gradient_norm"]) == 4
