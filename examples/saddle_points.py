"""Saddle points: plain SGD lingers where the gradient is small, momentum carries on.

The network y = w2 * w1 * x with one example x = t = 1 has the error E = 1/2 (1 - w1 w2)^2. At (0, 0) it is flat
but no minimum: with u = (w1 + w2) / 2 and v = (w1 - w2) / 2, E = 1/2 - u^2 + v^2 + ..., the surface x^2 - y^2.
"""

import _picture
import nnx
import numpy as np

ONE = np.ones((1, 1))


def descend(momentum, steps=600):
    """The path (steps + 1, 2) of the weights, and the errors before each step."""
    model = nnx.Sequential(nnx.Dense(1, use_bias=False), nnx.Dense(1, use_bias=False))
    model.build((1,))
    model.compile(nnx.SGD(0.02, momentum=momentum), nnx.losses.HalfSumSquaredError(), precision="float64")
    model.set_weights([[[1.0]], [[-0.999]]])  # almost on the ridge that leads down to the saddle
    path, errors = [(1.0, -0.999)], []
    for _ in range(steps):
        errors.append(model.train_step(ONE, ONE))
        path.append(tuple(weight.item() for weight in model.get_weights()))
    return np.array(path), np.array(errors)


runs = {"plain SGD": descend(0.0), "momentum 0.9": descend(0.9)}
arrival = {}
for name, (path, errors) in runs.items():
    near = int(np.sum(np.abs(errors - 0.5) < 0.01))
    arrival[name] = int(np.argmax(errors < 0.001)) if errors.min() < 0.001 else len(errors)
    closest = np.linalg.norm(path, axis=1).min()
    print(
        f"{name:13} came within {closest:.4f} of the saddle, spent {near:3} steps at E = 0.5, "
        f"reached E < 0.001 after {arrival[name]} steps at w1 w2 = {path[-1].prod():.3f}"
    )


def draw(surface, curve):
    w1, w2 = np.meshgrid(np.linspace(-1.6, 1.6, 200), np.linspace(-1.6, 1.6, 200))
    surface.contour(
        w1, w2, 0.5 * (1 - w1 * w2) ** 2, levels=np.geomspace(0.01, 6, 16), colors="#bbbbbb", linewidths=0.7
    )
    for name, (path, errors) in runs.items():
        surface.plot(*path.T, ".-", markersize=3, linewidth=1, label=name)
        curve.plot(errors, label=name)
    surface.plot(0, 0, "kx")
    surface.set(xlabel="w1", ylabel="w2")
    surface.set_title("E over the two weights", loc="left")
    curve.set_xlabel("Step")
    curve.set_title("E", loc="left")
    curve.legend(frameon=False)


_picture.save("saddle_points.png", draw, panels=2)

assert arrival["momentum 0.9"] * 2 < arrival["plain SGD"] < 600
assert all(np.isclose(path[-1].prod(), 1, atol=0.05) for path, _ in runs.values())
