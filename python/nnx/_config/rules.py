"""What a name that people bring along may be to nnx."""

from __future__ import annotations

from typing import Any, TypeAlias


class _Rule:
    """Rules are equal where they say the same; no dataclasses, which take longer to make than to use."""

    __slots__: tuple[str, ...] = ()

    def _key(self) -> tuple[Any, ...]:
        return (type(self), *(getattr(self, name) for name in self.__slots__))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rule) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


class Same(_Rule):
    """Another name for an argument."""

    __slots__ = ("ours",)

    def __init__(self, ours: str) -> None:
        self.ours = ours


class Only(_Rule):
    """Taken with the values that say what nnx does anyway; for any other there is advice."""

    __slots__ = ("advice", "values")

    def __init__(self, values: tuple[Any, ...], advice: str) -> None:
        self.values = values
        self.advice = advice

    def takes(self, value: Any) -> bool:
        """Whether a value is among them."""
        return any(value is one or (type(value) is type(one) and value == one) for one in self.values)


class Setting(_Rule):
    """An attribute of that name, set once the object is made."""

    __slots__: tuple[str, ...] = ()


class Ignored(_Rule):
    """Taken, without effect; `warning` says why where that could surprise."""

    __slots__ = ("warning",)

    def __init__(self, warning: str = "") -> None:
        self.warning = warning


class Means(_Rule):
    """Turned into other arguments by the class's `_translate`."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


Rule: TypeAlias = Same | Only | Setting | Ignored | Means
