"""From names that people bring along to nnx's own, and from misspelt ones to those that may be meant."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from nnx._checks import warn
from nnx._config.names import ARGUMENTS, INSTEAD, STRINGS
from nnx._config.registry import is_custom
from nnx._config.rules import Ignored, Means, Only, Rule, Same, Setting

_T = TypeVar("_T")


def snake_case(name: str) -> str:
    """Conv2D -> conv2d, MaxPool2D -> max_pool2d, LeakyReLU -> leaky_relu, Conv2DTranspose -> conv2d_transpose."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=\dD)(?=[A-Z])", "_", name).lower()


def nearest(given: str, known: Iterable[str]) -> str:
    """The end of a message, "; did you mean 'relu'?", or nothing where no name is near."""
    import difflib  # when it is needed: nnx is there sooner

    found = difflib.get_close_matches(given, list(known), 1)
    return f"; did you mean '{found[0]}'?" if found else ""


def instead_of(name: str, known: Iterable[str]) -> str:
    """The end of a message on a name that the package does not have."""
    if name.startswith("_"):
        return ""
    return f": here it is {INSTEAD[name]}" if name in INSTEAD else nearest(name, known)


def our_string(kind: str, given: str) -> str:
    """Nnx's own name for what may be given as a string, unchanged where the table has none."""
    names = STRINGS[kind]
    return names.get(given) or names.get(snake_case(given)) or given


def look_up(kind: str, argument: str, given: str, known: Mapping[str, _T]) -> _T:
    """What a string means, under any of its names.

    Raises:
        ValueError: for none of them; it names the nearest.
    """
    for name in (given, our_string(kind, given), snake_case(given)):
        if name in known:
            return known[name]
    near = nearest(given, {**known, **STRINGS[kind]})
    raise ValueError(f"argument '{argument}' expected one of {', '.join(known)}, got {given!r}{near}")


def rules_of(cls: type) -> dict[str, Rule]:
    """The names of arguments that a class takes beside its own, those of its bases included."""
    found: dict[str, Rule] = {}
    for base in cls.__mro__:
        if not is_custom(base):
            found = {**ARGUMENTS.get(base.__name__, {}), **found}
    return found


def accepting(initializer: Callable[..., None]) -> Callable[..., None]:
    """A constructor that takes its arguments under all their names."""
    parameters = list(inspect.signature(initializer).parameters.values())[1:]
    known = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    positions = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return initializer

    @functools.wraps(initializer)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.keys() <= known:
            initializer(self, *args, **kwargs)
            return
        if (
            positions
            and len(args) <= len(positions)
            and not known.intersection(kwargs, positions[: len(args)])
        ):
            kwargs, args = {**dict(zip(positions, args, strict=False)), **kwargs}, ()
        settings = _resolve(type(self), known, kwargs)
        initializer(self, *args, **kwargs)
        for name, value in settings.items():
            setattr(self, name, value)

    return __init__


def _resolve(cls: Any, known: set[str], given: dict[str, Any]) -> dict[str, Any]:
    """Turns `given` into arguments that are known; what is to be set once the object is made."""
    rules, where = rules_of(cls), cls.__name__
    settings: dict[str, Any] = {}
    meant: dict[str, Any] = {}
    for name in [name for name in given if name not in known]:
        rule, value = rules.get(name), given[name]
        if rule is None:
            takes = ", ".join(sorted(known))
            near = nearest(name, known | rules.keys()) or (f"; it takes {takes}" if takes else "")
            raise TypeError(f"{where}: unexpected argument '{name}'{near}")
        if isinstance(rule, Same) and rule.ours in given:
            raise TypeError(f"{where}: arguments '{rule.ours}' and '{name}' mean the same: give one")
        del given[name]
        if isinstance(rule, Same):
            given[rule.ours] = value
        elif isinstance(rule, Setting):
            settings[name] = value
        elif isinstance(rule, Means):
            meant[name] = value
        elif isinstance(rule, Only) and not rule.takes(value):
            raise ValueError(f"{where}: argument '{name}', got {value!r}: {rule.advice}")
        if isinstance(rule, Ignored) and rule.warning and value is not None:
            warn(f"{where}: argument '{name}': {rule.warning}")
    if meant:
        for name, value in cls._translate(meant, given).items():
            if name in given:
                raise TypeError(f"{where}: argument '{name}' cannot stand beside {', '.join(meant)}")
            (given if name in known else settings)[name] = value
    return settings
