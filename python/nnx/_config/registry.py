"""Classes and functions by name: those that come with nnx, and those that were registered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

_Registered = TypeVar("_Registered", bound=Callable[..., Any])

own: dict[tuple[str, str], Any] = {}  # by module, "nnx.layers", and name
registered: dict[str, Any] = {}


def is_custom(item: Any) -> bool:
    """Whether a class or function did not come with nnx."""
    return str(item.__module__).partition(".")[0] not in ("nnx", "builtins")


def module_of(item: Any) -> str:
    """The module that a class or function is known under: of nnx's own the public one."""
    return str(item.__module__) if is_custom(item) else ".".join(item.__module__.split(".")[:2])


def add_own(items: Iterable[Any]) -> None:
    """Makes classes or functions known that come with nnx."""
    own.update({(module_of(item), item.__name__): item for item in items})


def register(item: _Registered) -> _Registered:
    """Makes a class or a function known to `nnx.load` by its name; works as a decorator.

    Args:
        item: a class of yours (a model, layer, loss, ...), or a function that a layer takes as an argument.

    Returns:
        The same, unchanged.

    Raises:
        TypeError: for what is neither.
    """
    if not callable(item) or not hasattr(item, "__name__"):
        raise TypeError(f"register: argument 'item' expected a class or a function, got {item!r}")
    registered[item.__name__] = item
    return item
