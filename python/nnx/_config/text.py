"""How configured objects are shown."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from nnx._config.arguments import Describable, parameters_of


def text_of(item: Describable) -> str:
    """Dense(10, activation='softmax'): the arguments without defaults, then those that differ from theirs."""
    try:
        values = item.arguments()
    except TypeError:
        return f"<{type(item).__name__}>"
    parts: list[str] = []
    for name, parameter in parameters_of(type(item)).items():
        value = values.get(name)
        if parameter.kind is parameter.VAR_POSITIONAL:
            parts.extend(_text(part) for part in value or ())
        elif parameter.kind is parameter.VAR_KEYWORD:
            parts.extend(f"{key}={_text(part)}" for key, part in (value or {}).items())
        elif parameter.default is parameter.empty:
            parts.append(_text(value))
        elif not _same(value, parameter.default):
            parts.append(f"{name}={_text(value)}")
    return f"{type(item).__name__}({', '.join(parts)})"


def texts_of(item: Describable) -> list[tuple[str, str]]:
    """Names of all arguments, defaults included, and their values as text."""
    return [(name, _text(value)) for name, value in values_of(item)]


def values_of(item: Describable) -> list[tuple[str, Any]]:
    """Names and values of all arguments; none where an object does not keep them."""
    try:
        return list(item.arguments().items())
    except TypeError:
        return []


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return repr(value.item())
        return repr(value.tolist()) if value.size <= 6 else f"array of shape {value.shape}"
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, (tuple, list)) and len(value) > 6:
        return f"[{', '.join(_text(part) for part in value[:3])}, ..., {_text(value[-1])}]"
    if inspect.isfunction(value) or inspect.isbuiltin(value):
        return str(value.__name__)
    return repr(value)


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(np.asarray(a), np.asarray(b))
    return type(a) is type(b) and bool(a == b)
