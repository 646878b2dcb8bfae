"""Dated tables, JSON and pictures."""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import machine

COLORS = ("#1f5fa8", "#d9662b", "#6b9e4f", "#b5cfa3", "#8a8a8a", "#e8b79a", "#c4c4c4")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table that reads well as plain text too; all but the first column to the right."""
    cells = [list(header), *map(list, rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]

    def line(texts: Sequence[str]) -> str:
        padded = [
            t.ljust(w) if i == 0 else t.rjust(w) for i, (t, w) in enumerate(zip(texts, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [w * "-" if i == 0 else (w - 1) * "-" + ":" for i, w in enumerate(widths)]
    return "\n".join([line(header), line(rule), *(line(row) for row in cells[1:])])


def number(value: float | None) -> str:
    """Three digits that count; a dash for nothing."""
    if value is None:
        return "-"
    if value < 0.1:
        return f"{value:.2e}" if 0 < value < 1e-5 else f"{value:#.3g}"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def write(
    name: str, title: str, options: argparse.Namespace, text: str, data: Any, picture: Any = None
) -> Path:
    """As `save`, for the CPU, and says so."""
    path = save(name, title, options, text, data, picture, machine(options.threads))
    print(f"\nWrote {path}.*")
    return path


def save(
    name: str,
    title: str,
    options: argparse.Namespace,
    text: str,
    data: Any,
    picture: Any,
    about: dict[str, str],
) -> Path:
    """<date>-<name>.md, .json and .png in the folder for results; partial runs say so in their names.

    `about`: the machine and the software, in words.
    """
    day = datetime.date.today().isoformat()
    path = path_of(name, options)
    options.output.mkdir(parents=True, exist_ok=True)
    facts = "\n".join(f"- {key}: {value}" for key, value in about.items())
    _replace(path.with_suffix(".md"), f"# {title}\n\n{day}\n\n{facts}\n\n{text}\n")
    content = {"name": name, "date": day, "machine": about, "data": data}
    _replace(path.with_suffix(".json"), json.dumps(content, indent=1) + "\n")
    if picture is not None:
        picture.savefig(path.with_suffix(".png"), dpi=150)
    return path


def _replace(path: Path, text: str) -> None:
    """The file is whole at every moment: a program that is killed leaves what it had before."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(text)
    draft.replace(path)


def path_of(name: str, options: argparse.Namespace) -> Path:
    """Where today's results of that name go, without a suffix."""
    partial = "-partial" if options.quick or options.rows else ""
    return Path(options.output / f"{datetime.date.today().isoformat()}-{name}{partial}")


@dataclass
class Bars:
    """A group of bars: their values by name, and a mark, a floor for instance."""

    title: str
    values: dict[str, float]
    mark: float | None = None


def figure(size: tuple[float, float]) -> Any:
    """An empty figure; None where there is no matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture: matplotlib is not installed")
        return None
    return Figure(figsize=size, layout="constrained")


def bars(groups: Sequence[Bars], title: str, unit: str, mark: str = "floor") -> Any:
    """Horizontal bars on a log scale, each with its value; None where there is no matplotlib."""
    names = list(dict.fromkeys(name for group in groups for name in group.values))
    colors = dict(zip(names, COLORS * (1 + len(names) // len(COLORS)), strict=False))
    lines = sum(len(group.values) + 1.2 for group in groups)
    canvas = figure((9, 1.6 + 0.22 * lines))
    if canvas is None:
        return None
    ax = canvas.subplots()
    top, ticks = 0.0, []
    for group in groups:
        for i, (name, value) in enumerate(group.values.items()):
            ax.barh(top + i, value, height=0.86, color=colors[name])
            ax.text(value * 1.06, top + i, number(value), va="center", fontsize=7.5)
        bottom = top + len(group.values)
        if group.mark is not None:
            ax.plot([group.mark] * 2, [top - 0.5, bottom - 0.5], color="black", linewidth=1.4)
        ticks.append(((top + bottom - 1) / 2, group.title))
        top = bottom + 1.2
    handles = [ax.barh(0, 0, color=colors[name], label=name) for name in names]
    if any(group.mark is not None for group in groups):
        handles += ax.plot([], [], color="black", linewidth=1.4, label=mark)
    ax.set_xscale("log")
    ax.margins(x=0.09)
    ax.set_ylim(top - 0.8, -1)
    ax.set_yticks([at for at, _ in ticks], [text for _, text in ticks], fontsize=8.5)
    ax.set_xlabel(unit)
    ax.set_title(title, loc="left", fontsize=11)
    ax.grid(axis="x", alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    canvas.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    return canvas
