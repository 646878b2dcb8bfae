"""A model's programs: one for each thing it does, kept as long as they fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nnx import _core, losses
from nnx.data import TargetKind
from nnx.metrics import Setting
from nnx.tracing import Traced

if TYPE_CHECKING:
    from nnx.model import Model

Role: TypeAlias = Literal["train", "evaluate", "predict"]

# What the core calls the precision of products.
_PRODUCTS = {"float32": "strict", "float64": "strict", "tf32": "tf32", "bfloat16": "bfloat16"}


@dataclass
class _Held:
    program: _core.Program
    traced: Traced
    max_batch: int
    options: dict[str, Any]


class Programs:
    """The last program of each role."""

    def __init__(self) -> None:
        self._held: dict[Role, _Held] = {}

    def clear(self) -> None:
        """Drops them all, and their memory."""
        self._held.clear()

    def get(self, role: Role, traced: Traced, batch: int, **options: Any) -> _core.Program:
        """A program for batches of up to `batch` samples, new only where the last one does not do."""
        held = self._held.get(role)
        if held is None or held.traced is not traced or held.max_batch < batch or held.options != options:
            assert traced.store is not None
            self._held.pop(role, None)  # its memory first
            program = _core.Program(
                traced.graph, traced.output.node, traced.store, batch, role == "train", **options
            )
            held = self._held[role] = _Held(program, traced, batch, options)
        return held.program


def for_prediction(model: Model, traced: Traced, batch: int) -> _core.Program:
    """The program that computes the model's outputs."""
    return model.programs.get("predict", traced, max(1, batch), precision=_PRODUCTS[model.precision])


def for_targets(model: Model, role: Role, traced: Traced, batch: int, kind: TargetKind) -> _core.Program:
    """The program that trains the model, or evaluates it, on targets of this kind."""
    assert model.loss is not None
    assert model.optimizer is not None
    return model.programs.get(
        role,
        traced,
        max(1, batch),
        loss=model.loss.spec(kind, traced.output.activation),
        optimizer=model.optimizer.spec() if role == "train" else None,
        metrics=metric_specs(model, setting(model, traced, kind)),
        seed=model.seed or 0,
        precision=_PRODUCTS[model.precision],
    )


def setting(model: Model, traced: Traced, kind: TargetKind) -> Setting:
    """What the model's metrics look at."""
    shape = traced.output.sample_shape
    entropy = model.loss if isinstance(model.loss, losses.BinaryCrossentropy) else None
    return Setting(
        shape,
        kind,
        binary=entropy is not None or (kind == "values" and shape[-1:] == (1,)),
        logits=entropy is not None and entropy.takes_logits(traced.output.activation),
    )


def metric_specs(model: Model, what: Setting) -> list[dict[str, Any]]:
    """What the core is to count for the model's metrics, each thing once."""
    specs: list[dict[str, Any]] = []
    for metric in model.metrics:
        spec = metric.spec(what)
        if spec not in specs:
            specs.append(spec)
    return specs


def check_precision(precision: str, device: str) -> None:
    """ValueError unless the device computes in that precision."""
    known, what = ["float32", "float64"], ""
    if device != "cpu":
        info = _core.cuda_device_info(device_index(device))
        known, what = info["precisions"], f", {info['text']}"
    if precision not in known:
        names = " or ".join([", ".join(map(repr, known[:-1])), repr(known[-1])])
        raise ValueError(
            f"argument 'precision' expected {names} on device '{device}'{what}, got {precision!r}"
        )


def dtype_of(precision: str) -> str:
    """The dtype of weights, activations and gradients."""
    return "float64" if precision == "float64" else "float32"


def resolve_device(device: str) -> str:
    """The device meant: "auto" is a GPU where there is one; ValueError says why a device is not there."""
    if not isinstance(device, str):
        raise TypeError(f"argument 'device' expected a str, got {type(device).__name__}")
    if device == "auto":
        first = _core.cuda_first_device()
        usable = _core.cuda_is_available() and not _core.cuda_is_emulated()
        return (f"cuda:{first}" if first > 0 else "cuda") if usable else "cpu"
    kind, _, index = device.partition(":")
    if device != "cpu" and (kind != "cuda" or not (index.isdigit() or device == "cuda")):
        raise ValueError(f"argument 'device' expected 'auto', 'cpu', 'cuda' or 'cuda:1', got {device!r}")
    if kind == "cuda" and not _core.cuda_is_available():
        raise ValueError(f"argument 'device' is {device!r}, but {_core.info()['cuda']['reason']}")
    if kind == "cuda" and device_index(device) >= _core.cuda_device_count():
        raise ValueError(f"argument 'device' is {device!r}, of {_core.cuda_device_count()} CUDA devices")
    reason = _core.cuda_device_info(device_index(device))["reason"] if kind == "cuda" else None
    if reason is not None:
        raise ValueError(f"argument 'device' is {device!r}, but {reason}")
    return device


def device_index(device: str) -> int:
    """The number of a CUDA device."""
    return int(device.partition(":")[2] or 0)
