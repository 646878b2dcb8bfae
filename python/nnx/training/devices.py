"""Devices and precisions, as users name them."""

from __future__ import annotations

import warnings

from nnx import _core


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


def nearest(device: str, precision: str, wished: str | None = None) -> tuple[str, str]:
    """A device and a precision that are there: those given, on `wished` where that is not None.

    ValueError where `wished` is not there; a warning where something else takes the place of what was given.
    """
    place = device
    if wished is not None:
        place = resolve_device(wished)
    else:
        try:
            place = resolve_device(device)
        except ValueError as error:
            place = "cpu"
            warnings.warn(f"the model was on {device!r} and is on the CPU now: {error}", stacklevel=4)
    try:
        check_precision(precision, place)
    except ValueError as error:
        if wished is None and place == device:
            raise
        warnings.warn(f"the model computes in float32 now: {error}", stacklevel=4)
        precision = "float32"
    return place, precision


def device_index(device: str) -> int:
    """The number of a CUDA device."""
    return int(device.partition(":")[2] or 0)
