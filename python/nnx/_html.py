"""HTML for notebooks: tables, and curves as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

COLORS = ("#1f5fa8", "#d9662b")  # training, validation
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 300, 170, 54, 10, 26, 24
_POINTS = 600  # of a line, at most
_CELL = "text-align:{side};padding:2px 10px;vertical-align:top"


def escape(text: object) -> str:
    """Text that may stand between tags and in attributes."""
    import html  # when it is needed: nnx is there sooner

    return html.escape(str(text), quote=True)


def block(*parts: str) -> str:
    """Parts under each other."""
    return f"<div>{''.join(parts)}</div>"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> str:
    """A table of text; the columns `numbers` are set right."""

    def line(cells: Sequence[object], tag: str) -> str:
        sides = ("right" if column in numbers else "left" for column in range(len(cells)))
        parts = (
            f'<{tag} style="{_CELL.format(side=side)}">{escape(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )
        return f"<tr>{''.join(parts)}</tr>"

    head = f"<thead>{line(header, 'th')}</thead>" if header else ""
    body = "".join(line(row, "td") for row in rows)
    return f'<table style="border-collapse:collapse">{head}<tbody>{body}</tbody></table>'


def curves(title: str, xs: Sequence[float], series: Mapping[str, Sequence[float]], x_label: str = "") -> str:
    """Lines over one axis as an SVG picture; what is not finite leaves a gap.

    Args:
        title: above the picture.
        xs: where the values are, growing.
        series: at most two lines by name, each with a value for every x.
        x_label: below the axis.
    """
    shown = [y for ys in series.values() for y in ys if math.isfinite(y)]
    low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
    first, last = (xs[0], xs[-1]) if len(xs) else (0.0, 1.0)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x_of(x: float) -> float:
        return _LEFT + (right - _LEFT) * (_share(x, first, last) if last > first else 0.5)

    def y_of(y: float) -> float:
        return bottom - (bottom - _TOP) * (_share(y, low, high) if high > low else 0.5)

    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="10" fill="currentColor" '
        f'role="img" aria-label="{escape(title)}">'
    )
    parts = [
        opening,
        _text(_LEFT, 12, title, size=12),
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>',
    ]
    for y in {low, high} if shown else ():
        parts.append(_text(_LEFT - 4, y_of(y) + 3, f"{y:.3g}", "end"))
    for x, anchor in ((first, "start"), (last, "end")) if last > first else ((first, "middle"),):
        parts.append(_text(x_of(x), bottom + 12, f"{x:g}", anchor))
    parts.append(_text((_LEFT + right) / 2, bottom + 20, x_label, "middle"))
    for number, (name, ys) in enumerate(series.items()):
        points = [(x_of(x), y_of(y) if math.isfinite(y) else math.nan) for x, y in zip(xs, ys, strict=True)]
        parts.append(_line(points, COLORS[number % len(COLORS)]))
        if len(series) > 1:
            place = right - 60 * (len(series) - 1 - number)
            parts.append(_text(place, 12, name, "end", COLORS[number % len(COLORS)]))
    return "".join([*parts, "</svg>"])


def _share(value: float, low: float, high: float) -> float:
    """How far `value` is on the way from `low` to `high`, also where their difference overflows."""
    return (value / 2 - low / 2) / (high / 2 - low / 2)


def _text(
    x: float, y: float, text: str, anchor: str = "start", fill: str = "currentColor", size: int = 10
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" '
        f'font-size="{size}">{escape(text)}</text>'
    )


def _line(points: list[tuple[float, float]], color: str) -> str:
    step = -(-len(points) // _POINTS)
    kept = points[::step] + (points[-1:] if step > 1 else []) if points else []
    path, pen, dots = [], "M", []
    for number, (x, y) in enumerate(kept):
        if math.isnan(y):
            pen = "M"
            continue
        alone = pen == "M" and (number + 1 == len(kept) or math.isnan(kept[number + 1][1]))
        if alone:
            dots.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{color}"/>')
        path.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    line = f'<path d="{"".join(path)}" fill="none" stroke="{color}" stroke-width="1.8"/>' if path else ""
    return line + "".join(dots)
