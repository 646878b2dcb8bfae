"""A small problem, and logs that are as a test wants them."""

import nnx
import numpy as np


def data(samples=40):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 5)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(int)


def compiled(optimizer=None, metrics=("accuracy",), device="cpu"):
    model = nnx.Sequential(nnx.Dense(6, "tanh"), nnx.Dense(2))
    model.compile(optimizer or nnx.SGD(0.1, 0.9), "cross_entropy", metrics, device, seed=1)
    return model


class Told(nnx.Callback):
    """Puts values of its own into the logs of each epoch, before other callbacks see them."""

    def __init__(self, **series):
        self.series = series

    def on_epoch_end(self, epoch, logs=None):
        for name, values in self.series.items():
            logs[name] = values[epoch]


def fit(callbacks, epochs=8, model=None, **options):
    model = model or compiled()
    options = {"batch_size": 8, "verbose": 0, "epochs": epochs, **options}
    return model, model.fit(*data(), callbacks=callbacks, **options)
