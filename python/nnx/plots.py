"""Pictures of training, by matplotlib (install `nnx-native[plot]`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx._types import NDArray

if TYPE_CHECKING:
    from nnx.callbacks import History

_TRAIN, _HELD_OUT = "#1f5fa8", "#d9662b"


def curves(history: History | dict[str, list[Any]], ax: Any = None) -> Any:
    """Loss, and each metric, over epochs; solid where measured in training, dashed in validation.

    Args:
        history: what `fit` returned, or its dict.
        ax: matplotlib axes for the loss alone; None makes a figure with one panel for each quantity.

    Returns:
        The axes; for `ax=None` an array of them.
    """
    values = history if isinstance(history, dict) else history.history
    names = [
        name
        for name, series in values.items()
        if not name.startswith("val_") and name != "learning_rate" and np.ndim(series[0]) == 0
    ]
    epochs = np.arange(1, len(values.get("loss", ())) + 1)
    if ax is not None:
        _curve(ax, epochs, values, "loss")
        return ax
    figure = new_figure((4.8 * max(1, len(names)), 3.6))
    axes = figure.subplots(1, max(1, len(names)), squeeze=False)[0]
    for panel, name in zip(axes, names, strict=False):
        _curve(panel, epochs, values, name)
    return axes


def _curve(ax: Any, epochs: NDArray, values: dict[str, list[Any]], name: str) -> None:
    marker = "o" if len(epochs) <= 30 else None
    style = {"marker": marker, "markersize": 3.5, "linewidth": 1.8}
    if name in values:
        ax.plot(epochs, values[name], color=_TRAIN, label="training", **style)
    if f"val_{name}" in values:
        ax.plot(epochs, values[f"val_{name}"], color=_HELD_OUT, label="validation", linestyle="--", **style)
        ax.legend(frameon=False)
    ax.set_title(name.replace("_", " ").capitalize(), loc="left")
    ax.set_xlabel("Epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)


def confusion(matrix: NDArray, names: Sequence[str] | None = None, ax: Any = None) -> Any:
    """A confusion matrix: rows are true classes, shade the share of each row, numbers the counts.

    Args:
        matrix: counts (K, K).
        names: of the classes; None numbers them.
        ax: matplotlib axes; None makes a figure.

    Returns:
        The axes.
    """
    counts = np.asarray(matrix)
    classes = len(counts)
    labels = [str(n) for n in (range(classes) if names is None else names)]
    if ax is None:
        side = max(3.6, 0.42 * classes + 1.6)
        ax = new_figure((side, side)).subplots()
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    ax.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    if classes <= 30:
        for row in range(classes):
            for column in range(classes):
                if counts[row, column]:
                    color = "white" if shares[row, column] > 0.55 else "#222222"
                    text = str(int(counts[row, column]))
                    ax.text(column, row, text, ha="center", va="center", color=color, fontsize=7.5)
    rotation = 0 if max(map(len, labels)) <= 3 else 45
    ax.set_xticks(range(classes), labels, rotation=rotation, ha="right" if rotation else "center")
    ax.set_yticks(range(classes), labels)
    ax.set_xlabel("Predicted")
    ax.set_ylabel("True")
    ax.set_title(f"{np.trace(counts) / max(1, counts.sum()):.2%} right", loc="left")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def filters(kernel: Any, columns: int = 8, ax: Any = None) -> Any:
    """The filters of a convolution: kernel (KH, KW, C, O), in colour where C is 3, else the mean over channels.

    Args:
        kernel: the weights, for instance `model.state_dict()["conv2d.kernel"]`.
        columns: filters in a row.
        ax: matplotlib axes; None makes a figure.

    Returns:
        The axes.
    """
    weights = np.asarray(kernel, dtype=np.float64)
    if weights.ndim != 4:
        raise ValueError(f"filters: argument 'kernel' expected shape (KH, KW, C, O), got {weights.shape}")
    height, width, channels, count = weights.shape
    images = np.moveaxis(weights, -1, 0)
    images = images if channels == 3 else images.mean(axis=-1, keepdims=True)
    scale = np.abs(images).max(axis=(1, 2, 3), keepdims=True)
    images = 0.5 + 0.5 * images / np.where(scale == 0, 1.0, scale)
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, images.shape[-1]), np.nan)
    for number, image in enumerate(images):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        sheet[top : top + height, left : left + width] = image
    if ax is None:
        ax = new_figure((0.7 * columns + 0.3, 0.7 * rows + 0.6)).subplots()
    if channels == 3:
        ax.imshow(np.nan_to_num(sheet, nan=1.0))
    else:
        ax.imshow(sheet[..., 0], cmap="RdBu_r", vmin=0.0, vmax=1.0)
    ax.set_title(f"{count} filters, {height} x {width}", loc="left", fontsize=9)
    ax.set_axis_off()
    return ax


def new_figure(size: tuple[float, float]) -> Any:
    """A figure of pyplot's where that can show it, laid out so that nothing overlaps."""
    from matplotlib import pyplot

    return pyplot.figure(figsize=size, dpi=120, layout="constrained")
