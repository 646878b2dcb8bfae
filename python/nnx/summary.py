"""A model as a table."""

from __future__ import annotations

from typing import Any

from nnx import _core
from nnx.graph.store import frozen
from nnx.graph.tracing import Traceable, Traced
from nnx.training.learner import Learner


class Printed(str):
    """Text that stands on the screen already: a prompt, a notebook do not show it again as a result."""

    __slots__ = ()

    def __repr__(self) -> str:
        return ""

    def _ipython_display_(self) -> None:
        pass


def table(learner: Learner, batch_size: int) -> str:
    """Layers, shapes, parameters, FLOPs and memory; see `Model.summary`."""
    if learner.graphs.input_shape is None:
        raise ValueError(
            "summary: the model is not built, and without the shape of its inputs there are no shapes and no "
            "parameters: call build(input_shape) first, build((28, 28, 1)) say, or fit"
        )
    lines = cells(learner, batch_size)
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    set_out = [
        "  ".join(
            [cell.ljust(width) for cell, width in zip(line[:3], widths[:3], strict=True)]
            + [cell.rjust(width) for cell, width in zip(line[3:], widths[3:], strict=True)]
        ).rstrip()
        for line in lines
    ]
    rule = "-" * (sum(widths) + 8)
    return "\n".join([set_out[0], rule, *set_out[1:], rule, *_totals(learner, batch_size)])


def cells(learner: Learner, batch_size: int = 1) -> list[tuple[str, ...]]:
    """A header, and for each layer in order of use its name, type, output shape, parameters and FLOPs."""
    lines: list[tuple[str, ...]] = [("Layer", "Type", "Output shape", "Parameters", "FLOPs")]
    for row in _rows(learner.graphs.root, learner.graphs.base):
        shape = ", ".join(["N", *map(str, row["shape"])])
        flops = count(row["flops"] * batch_size) if row["flops"] else ""
        of_layer = f"{row['parameters']:,}" if row["parameters"] else ""
        lines.append((row["name"], row["type"], f"({shape})", of_layer, flops))
    return lines


def parameters(learner: Learner) -> tuple[int, int]:
    """The number of parameters, and of those that are trained."""
    weights = learner.graphs.named_weights().values()
    fixed = frozen(learner.graphs.root)
    trained = (weight.size for weight in weights if weight.trainable and id(weight) not in fixed)
    return sum(weight.size for weight in weights), sum(trained)


def _rows(model: Traceable, traced: Traced) -> list[dict[str, Any]]:
    """Name, type, output shape, parameters and FLOPs per sample of each layer, in order of use."""
    layers = dict(model.walk())
    counted: set[int] = set()
    rows: dict[str, dict[str, Any]] = {}
    for node in traced.graph.nodes():
        if node["kind"] == "parameter":
            continue
        scope = node["scope"]
        layer = layers.get(scope)
        kind = type(layer).__name__ if layer is not None and scope else node["kind"]
        row = rows.setdefault(scope or f"({node['kind']})", {"type": kind, "parameters": 0, "flops": 0})
        row["shape"] = tuple(node["shape"])
        row["flops"] += node["flops"]
        for weight in layer.own_weights if layer is not None else []:
            if id(weight) not in counted:
                counted.add(id(weight))
                row["parameters"] += weight.size
    return [{"name": name, **row} for name, row in rows.items()]


def _totals(learner: Learner, batch_size: int) -> list[str]:
    total, trained = parameters(learner)
    program = _training_program(learner, batch_size)
    memory = program.memory()
    names = ("parameters", "gradients", "optimizer", "activations", "workspace")
    parts = ", ".join(f"{name} {megabytes(memory[name])}" for name in names if name in memory)
    total_memory = sum(memory[name] for name in names if name in memory)
    forward, training = (count(n * batch_size) for n in (program.flops_forward, program.flops_training))
    samples = f"{batch_size} sample{'s' if batch_size > 1 else ''}"
    return [
        f"Parameters: {total:,}, of which {trained:,} are trained",
        f"FLOPs for {samples}: forward {forward}, training step {training}",
        f"Memory to train on {samples}, on {learner.device}, {learner.precision}: {megabytes(total_memory)}",
        f"  {parts}",
        *_notes(learner, memory),
    ]


def _notes(learner: Learner, memory: dict[str, int]) -> list[str]:
    """Why there is nothing where one expects something."""
    if learner.optimizer is None:
        return ["  not compiled yet: an optimizer may need memory for its state, too"]
    if learner.loss is not None and not memory.get("gradients"):
        return ["  gradients take none: each is added to the weights or velocities where it is computed"]
    return []


def _training_program(learner: Learner, batch_size: int) -> _core.Program:
    """A program that is only asked for its numbers."""
    traced = learner.bound()
    assert traced.store is not None
    loss: Any = {"kind": "mean_squared_error", "targets": "values", "reduction": "mean"}
    if traced.layout.several:
        loss = [loss] * len(traced.outputs)
    if learner.loss is not None:
        loss = learner.usual_losses(traced)
    optimizer = learner.optimizer.spec() if learner.optimizer is not None else None
    return _core.Program(
        traced.graph,
        traced.nodes,
        traced.store,
        batch_size,
        True,
        loss=loss,
        optimizer=optimizer,
        describe=True,
        parameter_specs=traced.specs,
    )


def count(number: float) -> str:
    """1234567 -> 1.23 M."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return f"{number:.0f}"


def megabytes(number: float) -> str:
    """Bytes in MB, a million each; very few in kB."""
    if number < 1e4:
        return f"{number / 1e3:.2f} kB"
    return f"{number / 1e6:.2f} MB" if number < 1e8 else f"{number / 1e6:,.0f} MB"
