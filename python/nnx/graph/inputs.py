"""Models of several inputs: how arrays and Symbols are named, ordered, and handed to `forward`."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from nnx._types import Shape
from nnx.graph.symbol import Symbol

# Of one input its shape; of several a tuple of shapes, or of (name, shape) where `forward` takes one dict.
InputShape: TypeAlias = Any

T = TypeVar("T")
_arguments: weakref.WeakKeyDictionary[type, list[str]] = weakref.WeakKeyDictionary()  # of forward, by class


def is_several(shape: InputShape) -> bool:
    """Whether these are the shapes of several inputs."""
    return len(shape) > 0 and isinstance(shape[0], tuple)


def shapes_of(shape: InputShape) -> list[Shape]:
    """The shapes of all inputs, in order."""
    if not is_several(shape):
        return [shape]
    return [item[1] if item and isinstance(item[0], str) else item for item in shape]


def names_of(model: Any) -> list[str]:
    """What a model's inputs are called: the arguments of `forward`, or what it says itself."""
    own = getattr(model, "input_names", None)
    if own is not None:
        return list(own)
    cls = type(model)
    if cls not in _arguments:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(model.forward).parameters.values()
        _arguments[cls] = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    return list(_arguments[cls])


def arrange(names: Sequence[str], x: Any, argument: str = "x") -> tuple[list[Any], list[str]] | None:
    """What is given for several inputs, in their order, and the names of a dict for an only argument.

    None where x is one input. ValueError where names or numbers do not fit.
    """
    if isinstance(x, Mapping):
        if len(names) == 1 and set(x) != set(names):
            return list(x.values()), [str(name) for name in x]
        expect_names(names, x, argument, "inputs")
        return ([x[name] for name in names], []) if len(names) > 1 else None
    if len(names) > 1:
        if not isinstance(x, (list, tuple)):
            raise ValueError(
                f"argument '{argument}' expected {len(names)} arrays, {', '.join(names)}, as a list or a dict, "
                "got one"
            )
        if len(x) != len(names):
            raise ValueError(
                f"argument '{argument}' expected {len(names)} arrays, {', '.join(names)}, got {len(x)}"
            )
        return list(x), []
    several = isinstance(x, (list, tuple)) and len(x) > 1 and all(getattr(p, "ndim", 0) > 0 for p in x)
    if several and len({part.shape[1:] for part in x}) > 1:  # else one array, of samples in a list
        return list(x), []
    return None


def expect_names(names: Iterable[str], given: Mapping[Any, Any], argument: str, what: str) -> None:
    """ValueError lists the names that are missing in a dict, or unexpected."""
    expected = list(names)
    missing = [name for name in expected if name not in given]
    unexpected = [str(name) for name in given if name not in expected]
    problems = [f"missing: {', '.join(missing)}"] * bool(missing)
    problems += [f"unexpected: {', '.join(unexpected)}"] * bool(unexpected)
    if problems:
        raise ValueError(
            f"argument '{argument}' expected the {what} {', '.join(expected)}; {'; '.join(problems)}"
        )


def call(model: Any, shape: InputShape, symbols: list[Symbol]) -> Any:
    """`model.forward` of Symbols, as it takes them."""
    if not is_several(shape):
        return model.forward(symbols[0])
    if shape[0] and isinstance(shape[0][0], str):
        return model.forward({item[0]: symbol for item, symbol in zip(shape, symbols, strict=True)})
    if len(names_of(model)) == 1:
        return model.forward(symbols)
    return model.forward(*symbols)


def read_shape(given: Any, read: Callable[[Any], Shape]) -> InputShape:
    """A shape, or several as a list or a dict; `read` checks one."""
    if isinstance(given, Mapping):
        return tuple((str(name), read(item)) for name, item in given.items())
    if isinstance(given, (list, tuple)) and given and all(isinstance(item, (list, tuple)) for item in given):
        if len(given[0]) == 2 and isinstance(given[0][0], str):
            return tuple((name, read(item)) for name, item in given)
        return tuple(read(item) for item in given)
    return read(given)


def symbols_in(value: Any) -> list[Symbol]:
    """The Symbols in an argument: itself, or inside lists, tuples and dicts."""
    if isinstance(value, Symbol):
        return [value]
    if isinstance(value, (list, tuple)):
        return [symbol for item in value for symbol in symbols_in(item)]
    if isinstance(value, Mapping):
        return [symbol for item in value.values() for symbol in symbols_in(item)]
    return []


def shape_of(inputs: tuple[Any, ...]) -> InputShape:
    """The shape of what a layer is called with; of several inputs those of all."""
    if len(inputs) == 1 and isinstance(inputs[0], Symbol):
        return inputs[0].sample_shape
    if len(inputs) == 1 and isinstance(inputs[0], Mapping):
        return tuple((str(name), symbol.sample_shape) for name, symbol in inputs[0].items())
    return tuple(symbol.sample_shape for symbol in symbols_in(inputs))


def each(function: Callable[[Any], T], value: Any) -> Any:
    """function(value), of several a tuple; None stays."""
    if isinstance(value, tuple):
        return tuple(None if part is None else function(part) for part in value)
    return None if value is None else function(value)


def listed(value: Any) -> list[Any]:
    """One, or several as a tuple, as a list."""
    return list(value) if isinstance(value, tuple) else [value]
