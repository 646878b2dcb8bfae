"""Vanishing gradients: what is left of the error after ten layers of sigmoid, tanh and ReLU."""

import _picture
import nnx
import numpy as np

DEPTH, WIDTH = 10, 64
images, labels = nnx.datasets.load_digits()
x = images[:256].reshape(256, 64) / 8.0 - 1.0
labels = labels[:256]


def gradient_norms(activation, initializer):
    """The gradient's norm at each layer's weights in the first step, as training measures it."""
    hidden = [nnx.Dense(WIDTH, activation, kernel_initializer=initializer) for _ in range(DEPTH)]
    model = nnx.Sequential(*hidden, nnx.Dense(10, kernel_initializer=initializer))
    model.build((64,))
    model.compile(nnx.SGD(0.01), "cross_entropy", precision="float64", seed=0)
    watch = nnx.callbacks.Diagnostics()
    history = model.fit(x, labels, batch_size=len(x), verbose=0, callbacks=[watch])
    return np.array([layer["gradient_norm"][0] for layer in history.diagnostics.values()])


norms = {
    "sigmoid": gradient_norms("sigmoid", "glorot_uniform"),
    "tanh": gradient_norms("tanh", "glorot_uniform"),
    "relu": gradient_norms("relu", "he_uniform"),
}
print("gradient norm at   " + "".join(f"layer {n:<6}" for n in (1, 4, 7, 10)) + "first / last hidden")
for name, values in norms.items():
    print(
        f"{name:19}"
        + "".join(f"{values[n - 1]:<12.2e}" for n in (1, 4, 7, 10))
        + f"{values[0] / values[9]:.1e}"
    )

# Each sigmoid multiplies by at most 1/4, tanh and ReLU by at most 1.
s = np.linspace(-6, 6, 1201)
slopes = {
    name: float(getattr(nnx.ops, f"{name}_backward")(np.ones_like(s), getattr(nnx.ops, name)(s)).max())
    for name in norms
}
print("largest slope:", slopes)


def draw(ax):
    for name, values in norms.items():
        ax.semilogy(range(1, DEPTH + 2), values, "o-", label=name)
    ax.set_xlabel("Layer, from the input")
    ax.set_title("Gradient norm", loc="left")
    ax.legend(frameon=False)


_picture.save("vanishing_gradients.png", draw)

assert slopes == {"sigmoid": 0.25, "tanh": 1.0, "relu": 1.0}
assert norms["sigmoid"][0] / norms["sigmoid"][9] < 1e-4
assert norms["tanh"][0] / norms["tanh"][9] > 0.05
assert norms["relu"][0] / norms["relu"][9] > 0.05
