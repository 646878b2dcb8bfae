"""What a name that people bring along may be to nnx."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Same:
    """Another name for an argument."""

    ours: str


@dataclass(frozen=True)
class Only:
    """Taken with the values that say what nnx does anyway; for any other there is advice."""

    values: tuple[Any, ...]
    advice: str

    def takes(self, value: Any) -> bool:
        """Whether a value is among them."""
        return any(value is one or (type(value) is type(one) and value == one) for one in self.values)


@dataclass(frozen=True)
class Setting:
    """An attribute of that name, set once the object is made."""


@dataclass(frozen=True)
class Ignored:
    """Taken, without effect; `warning` says why where that could surprise."""

    warning: str = ""


@dataclass(frozen=True)
class Means:
    """Turned into other arguments by the class's `_translate`."""

    text: str


Rule: TypeAlias = Same | Only | Setting | Ignored | Means
