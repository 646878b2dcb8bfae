"""What constructors take, and what is made of it."""

from __future__ import annotations

import inspect
from typing import Any, Protocol, TypeAlias

Config: TypeAlias = dict[str, Any]


class Describable(Protocol):
    """What can be written and made anew."""

    def arguments(self) -> Config:
        """The constructor's arguments."""

    def get_config(self) -> Config:
        """The same, as JSON can have them."""


def is_describable(item: Any) -> bool:
    """Whether an object, not a class, describes itself."""
    return not isinstance(item, type) and hasattr(item, "get_config") and hasattr(item, "arguments")


def parameters_of(cls: type) -> dict[str, inspect.Parameter]:
    """The parameters of the constructor, without self."""
    initializer: Any = getattr(cls, "__init__")  # noqa: B009 (mypy takes it for an instance's)
    if initializer is object.__init__:
        return {}
    parameters = dict(inspect.signature(initializer).parameters)
    parameters.pop(next(iter(parameters)))  # self
    return parameters
