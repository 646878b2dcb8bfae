"""Dead ReLUs: a unit on the negative side for every input gets no gradient, and stays there. A leak wakes it up."""

import _picture
import nnx
import numpy as np

x = np.linspace(-1, 1, 200, dtype=np.float32)[:, None]
y = np.maximum(x, 0) + x**2


def dead(hidden):
    """The share of units that are positive for no input."""
    return float(np.mean(np.all(hidden(x) <= 0, axis=0)))


def train(activation, epochs=400):
    """A network whose hidden units all begin far on the negative side."""
    hidden = nnx.Dense(16, activation, bias_initializer=-0.7)
    model = nnx.Sequential(hidden, nnx.Dense(1))
    model.build((1,))
    model.compile(nnx.SGD(0.05, momentum=0.9), "mse", seed=0)
    kernel = model.get_weights()[0]  # drawn now, by the model's seed, before `dead` calls the layer by itself
    before = dead(hidden)
    watch = nnx.callbacks.Diagnostics(every=10)
    history = model.fit(x, y, batch_size=20, epochs=epochs, verbose=0, callbacks=[watch])
    moved = float(np.abs(hidden.kernel.numpy() - kernel).max())
    return model, history, (before, dead(hidden)), moved


results = {}
for name, activation in {"ReLU": "relu", "leaky ReLU": nnx.LeakyReLU(0.1), "ELU": nnx.ELU()}.items():
    model, history, shares, moved = results[name] = train(activation)
    losses, updates = history.history["loss"], history.diagnostics["dense"]["update_ratio"]
    print(
        f"{name:11} dead before {shares[0]:4.0%}, after {shares[1]:4.0%}; "
        f"loss {losses[0]:.4f} -> {losses[-1]:.6f}; hidden weights moved by up to {moved:.3f}, "
        f"at first by {updates[0]:.1e} of their size a step"
    )
print(
    "ReLUs that training saw dead, epoch 1 and last:", *results["ReLU"][1].diagnostics["dense"]["dead"][::399]
)

print(f"relu'(-1) = {nnx.ops.relu_backward(1.0, nnx.ops.relu(-1.0)):g}, ", end="")
print(f"leaky_relu'(-1) = {nnx.ops.leaky_relu_backward(1.0, nnx.ops.leaky_relu(-1.0, 0.1), 0.1):g}")


def draw(ax):
    ax.plot(x, y, color="#999999", linewidth=4, label="wanted")
    for name, (model, *_) in results.items():
        ax.plot(x, model.predict(x), label=name)
    ax.legend(frameon=False)
    ax.set_title("All hidden units began dead", loc="left")


_picture.save("leaky_relu.png", draw)

_, history, shares, moved = results["ReLU"]
assert shares == (1.0, 1.0)
assert moved == 0.0
assert set(history.diagnostics["dense"]["dead"]) == {1.0}
assert set(history.diagnostics["dense"]["gradient_norm"]) == {0.0}
for name in ("leaky ReLU", "ELU"):
    assert results[name][2][1] < 1.0
    assert results[name][1].history["loss"][-1] < history.history["loss"][-1] / 10
    assert results[name][1].diagnostics["dense"]["gradient_norm"][0] > 0
