"""Pictures of training, by matplotlib (install `nnx-native[plot]`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx._types import NDArray

if TYPE_CHECKING:
    from nnx.callbacks import History
    from nnx.rate_finder import LearningRates

_TRAIN, _HELD_OUT = "#1f5fa8", "#d9662b"
_HEIGHT = 4.0  # of a panel, in inches


def curves(history: History | dict[str, list[Any]], ax: Any = None) -> Any:
    """Loss, and each metric, over epochs; a loss that falls far is drawn on a logarithmic scale.

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
    validated = None if isinstance(history, dict) else np.searchsorted(history.epoch, history.validated) + 1
    if ax is not None:
        _curve(ax, epochs, values, "loss", validated)
        return ax
    figure = new_figure((4.8 * max(1, len(names)), _HEIGHT))
    axes = figure.subplots(1, max(1, len(names)), squeeze=False)[0]
    for panel, name in zip(axes, names, strict=False):
        _curve(panel, epochs, values, name, validated)
    return axes


def _curve(
    ax: Any, epochs: NDArray, values: dict[str, list[Any]], name: str, validated: NDArray | None
) -> None:
    marker = "o" if len(epochs) <= 12 else None
    shown = [
        (values[key], color, label)
        for key, color, label in ((name, _TRAIN, "training"), (f"val_{name}", _HELD_OUT, "validation"))
        if key in values
    ]
    for series, color, label in shown:
        places = epochs
        if len(series) != len(epochs):  # validation was not after every epoch
            every = max(1, len(epochs) // max(1, len(series)))
            places = epochs[every - 1 :: every][: len(series)] if validated is None else validated
        ax.plot(places, series, color=color, label=label, marker=marker, markersize=4, linewidth=2)
    title = name.replace("_", " ").capitalize()
    if name == "loss" and shown:
        numbers = np.concatenate([series for series, _, _ in shown])
        if np.isfinite(numbers).all() and numbers.min() > 0 and numbers.max() > 20 * numbers.min():
            ax.set_yscale("log")
            title += ", logarithmic"
    if len(shown) > 1:
        ax.legend(frameon=False)
    ax.set_title(title, loc="left")
    ax.set_xlabel("Epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)


_QUANTITIES = {
    "gradient_norm": "Gradient norm, logarithmic",
    "update_ratio": "Update over weights, logarithmic",
    "dead": "Share of dead ReLUs",
    "saturated": "Share of saturated units",
}


def diagnostics(
    history: History | dict[str, dict[str, list[float]]], ax: Any = None, quantity: str = "gradient_norm"
) -> Any:
    """What the `Diagnostics` callback measured, over epochs, a line for each layer.

    Args:
        history: what `fit` returned, or its `diagnostics`.
        ax: matplotlib axes for `quantity` alone; None makes a figure with a panel for each quantity there is.
        quantity: "gradient_norm", "update_ratio", "dead" or "saturated".

    Returns:
        The axes; for `ax=None` an array of them.

    Raises:
        ValueError: where nothing was measured, or not that quantity.
    """
    layers = history if isinstance(history, dict) else history.diagnostics
    found = [name for name in _QUANTITIES if any(name in values for values in layers.values())]
    if not found:
        raise ValueError(
            "diagnostics: nothing was measured: give fit callbacks=[nnx.callbacks.Diagnostics()]"
        )
    if ax is not None:
        if quantity not in found:
            raise ValueError(
                f"diagnostics: argument 'quantity' expected what was measured, {', '.join(found)}, got {quantity!r}"
            )
        _layer_curves(ax, layers, quantity)
        ax.legend(frameon=False)
        return ax
    axes = new_figure((4.8 * len(found) + 1.6, _HEIGHT)).subplots(1, len(found), squeeze=False)[0]
    for panel, name in zip(axes, found, strict=True):
        _layer_curves(panel, layers, name)
    lines = {line.get_label(): line for panel in axes for line in panel.get_lines()}
    names = [layer for layer in layers if layer in lines]
    axes[-1].legend(
        [lines[name] for name in names], names, frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1.0)
    )
    return axes


def _layer_curves(ax: Any, layers: dict[str, dict[str, list[float]]], quantity: str) -> None:
    there = {layer: values[quantity] for layer, values in layers.items() if quantity in values}
    places = {layer: number for number, layer in enumerate(layers)}
    for layer, series in there.items():
        shade = 0.85 * places[layer] / max(1, len(layers) - 1)  # from the first layer to the last
        color = (0.12 + 0.7 * shade, 0.37 + 0.2 * shade, 0.66 - 0.5 * shade)
        epochs = np.arange(1, len(series) + 1)
        ax.plot(
            epochs, series, color=color, label=layer, linewidth=2, marker="o" if len(series) <= 12 else None
        )
    if quantity in ("dead", "saturated"):
        ax.set_yscale("linear")
        ax.set_ylim(-0.03, 1.03)
    elif any(value > 0 for series in there.values() for value in series):
        ax.set_yscale("log")
    ax.set_title(_QUANTITIES[quantity], loc="left")
    ax.set_xlabel("Epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)


def learning_rates(result: LearningRates, ax: Any = None) -> Any:
    """The loss over a learning rate that grows; see `nnx.lr_finder`.

    Args:
        result: what `lr_finder` returned.
        ax: matplotlib axes; None makes a figure.

    Returns:
        The axes.
    """
    if ax is None:
        ax = new_figure((4.8, _HEIGHT)).subplots()
    ax.plot(result.learning_rates, result.losses, color=_TRAIN, alpha=0.3, linewidth=1, label="of each batch")
    ax.plot(result.learning_rates, result.smoothed, color=_TRAIN, linewidth=2, label="smoothed")
    if result.suggestion is not None:
        ax.axvline(result.suggestion, color=_HELD_OUT, label=f"falls fastest at {result.suggestion:.2g}")
    ax.set_xscale("log")
    ax.set_title("Loss", loc="left")
    ax.set_xlabel("Learning rate")
    ax.legend(frameon=False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def confusion(matrix: NDArray, names: Sequence[str] | None = None, ax: Any = None) -> Any:
    """A confusion matrix: rows are true classes, shades the shares of each row, numbers the counts.

    Right answers are blue, wrong ones orange and shaded up, so that few are seen, too.

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
        side = max(_HEIGHT, 0.34 * classes + 0.6)
        ax = new_figure((side, side)).subplots()
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    right = np.eye(classes, dtype=bool)
    depth = np.where(right, shares, np.sqrt(shares))
    ax.imshow(_shades(depth, right))
    if classes <= 60:
        edges = np.arange(classes + 1) - 0.5
        ax.hlines(edges, edges[0], edges[-1], color="white", linewidth=1)
        ax.vlines(edges, edges[0], edges[-1], color="white", linewidth=1)
    if classes <= 30:
        for row in range(classes):
            for column in range(classes):
                if counts[row, column]:
                    color = "white" if depth[row, column] > 0.55 else "#222222"
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


def _shades(depth: NDArray, right: NDArray) -> NDArray:
    """Depths 0 to 1 (K, K) as colours (K, K, 3): from a light grey to blue where right, else to orange."""
    from matplotlib.colors import to_rgb

    light, blue, orange = (np.array(to_rgb(color)) for color in ("#f3f4f6", _TRAIN, _HELD_OUT))
    full = np.where(right[..., None], blue, orange)
    return np.asarray(light + (full - light) * np.minimum(depth, 1.0)[..., None])


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
    images = images.repeat(4, axis=1).repeat(4, axis=2)  # so that gaps can be narrower than a weight
    down, across, gap = 4 * height, 4 * width, 2
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.full((rows * (down + gap) - gap, columns * (across + gap) - gap, images.shape[-1]), np.nan)
    for number, image in enumerate(images):
        top, left = number // columns * (down + gap), number % columns * (across + gap)
        sheet[top : top + down, left : left + across] = image
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
