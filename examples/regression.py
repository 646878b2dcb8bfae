"""A line through points: the squared error follows outliers, the absolute one (L1) does not."""

import _picture
import nnx
import numpy as np

random = np.random.default_rng(0)
x = np.linspace(-1, 1, 60, dtype=np.float32)[:, None]
y = 2 * x + 1 + random.normal(0, 0.1, x.shape).astype(np.float32)
outliers = np.arange(50, 60, 2)
y[outliers] -= 8

lines = {}
for loss in ("mse", "l1", nnx.losses.Huber(delta=0.2)):
    name = loss if isinstance(loss, str) else "huber"
    model = nnx.Sequential(nnx.Dense(1))
    model.compile(nnx.SGD(nnx.schedules.ExponentialDecay(0.1, 0.01)), loss, seed=0)
    model.fit(x, y, batch_size=10, epochs=400, verbose=0)
    slope, shift = (float(weight.item()) for weight in model.get_weights())
    lines[name] = slope, shift
    print(f"{name:6} y = {slope:+.2f} x {shift:+.2f}     (without outliers: y = 2 x + 1)")

# What SGD found for the squared error is what the normal equations say.
exact = np.polyfit(x[:, 0], y[:, 0], 1)
print(f"least squares, solved exactly: y = {exact[0]:+.2f} x {exact[1]:+.2f}")


def draw(ax):
    ax.plot(x, y, ".", color="#777777")
    for name, (slope, shift) in lines.items():
        ax.plot(x, slope * x + shift, label=name, linewidth=2)
    ax.legend(frameon=False)
    ax.set_title("Five outliers of sixty points", loc="left")


_picture.save("regression.png", draw)

np.testing.assert_allclose(lines["mse"], exact, atol=0.1)
np.testing.assert_allclose(lines["l1"], (2, 1), atol=0.15)
np.testing.assert_allclose(lines["huber"], (2, 1), atol=0.3)
assert abs(lines["mse"][0] - 2) > 1
