"""Pictures for the examples. Where matplotlib is missing, they do without."""

import numpy as np

try:
    from matplotlib import colors, pyplot
except ImportError:
    pyplot = None

CLASSES = ("#1f5fa8", "#d9662b", "#3a9a5b")


def save(name, draw, panels=1, size=(4.2, 3.6)):
    """Calls draw(axes, ...) with that many panels in a row, and saves the picture in the current folder."""
    if pyplot is None:
        return
    figure, axes = pyplot.subplots(
        1, panels, figsize=(size[0] * panels, size[1]), layout="constrained", squeeze=False
    )
    draw(*axes[0])
    figure.savefig(name, dpi=120)
    print(f"saved {name}")


def regions(ax, predict, x, labels, title):
    """The plane in the colours of the classes that `predict` (N, 2) -> (N,) gives, and the samples on it."""
    (left, bottom), (right, top) = x.min(axis=0) - 0.4, x.max(axis=0) + 0.4
    grid = np.stack(np.meshgrid(np.linspace(left, right, 240), np.linspace(bottom, top, 240)), axis=-1)
    classes = predict(grid.reshape(-1, 2).astype(np.float32)).reshape(240, 240).astype(int)
    full = np.array([colors.to_rgb(color) for color in CLASSES])
    image = 1 - 0.4 * (1 - full[classes])
    ax.imshow(image, extent=(left, right, bottom, top), origin="lower", aspect="auto")
    ax.scatter(*x.T, c=full[np.asarray(labels)], edgecolors="white", linewidths=0.5, s=22)
    ax.set_title(title, loc="left")
