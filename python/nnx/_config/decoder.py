"""JSON to objects."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np

from nnx._config.arguments import Config, parameters_of
from nnx._config.registry import is_custom, own, registered
from nnx._config.resolving import rules_of
from nnx._types import NDArray


class UnknownClassError(ValueError):
    """A config names classes that are not known."""


class Decoder:
    """JSON to objects. Nothing is run but the constructors of classes that nnx or the caller knows.

    Args:
        classes: further classes and functions that may be named.
        arrays: those that the encoder put elsewhere.
    """

    def __init__(self, classes: Iterable[Any] = (), arrays: list[NDArray] | None = None) -> None:
        self._classes = {**registered, **{item.__name__: item for item in classes}}
        self._arrays = arrays or []
        self._items: list[Any] = []

    def check(self, config: Any) -> None:
        """UnknownClassError names every class that is missing."""
        missing = sorted(set(self._missing(config)))
        if missing:
            names = [name for name, _ in missing]
            given = ", ".join(names)
            text = ", ".join(f"{name} (of module {module})" for name, module in missing)
            raise UnknownClassError(
                f"needs {'classes' if len(missing) > 1 else 'the class'} {text}: "
                f"pass classes=[{given}], or give {'them' if len(missing) > 1 else 'it'} to nnx.register"
            )

    def _missing(self, config: Any) -> Iterable[tuple[str, str]]:
        if isinstance(config, dict):
            if "class_name" in config and "module" in config and self._find(config) is None:
                yield str(_name_of(config)), str(config["module"])
            for value in config.values():
                yield from self._missing(value)
        elif isinstance(config, (list, tuple)):
            for value in config:
                yield from self._missing(value)

    def _find(self, entry: Config) -> Any:
        """The class or function that an entry names, None where it is not known."""
        module, name = str(entry.get("module")), str(_name_of(entry))
        return own.get((module, name)) if module.startswith("nnx.") else self._classes.get(name)

    def make(self, cls: Any, config: Any) -> Any:
        """An object of a class from its arguments, by the class's own from_config where it has one."""
        defined = next(base for base in cls.__mro__ if "from_config" in vars(base))
        if is_custom(defined):
            return cls.from_config(self.value(config))
        return self.construct(cls, config)

    def construct(self, cls: Any, config: Any) -> Any:
        """An object of a class from its arguments."""
        if not isinstance(config, dict):
            raise TypeError(f"{cls.__name__}.from_config: expected a dict, got {type(config).__name__}")
        values = {name: self.value(value) for name, value in config.items()}
        if not is_custom(cls):
            values = {name: _tuples(value) for name, value in values.items()}
        parameters = parameters_of(cls)
        after = {n: values.pop(n) for n in cls._settings if n in values and n not in parameters}
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        unknown = [name for name in values if name not in parameters and name not in rules_of(cls)]
        if unknown and not takes_any:
            raise TypeError(f"{cls.__name__}: unexpected arguments {', '.join(unknown)}")
        item = _construct(cls, parameters, values)
        for name, value in after.items():
            setattr(item, name, value)
        return item

    def value(self, value: Any) -> Any:
        """Anything that an argument may be."""
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, tuple):
            return tuple(self.value(item) for item in value)
        if not isinstance(value, dict):
            return value
        if "class_name" not in value:
            return {key: self.value(item) for key, item in value.items()}
        name: str = value["class_name"]
        config: Any = value.get("config")
        if name == "float":
            return float(config)
        if name == "tuple":
            return tuple(self.value(item) for item in config)
        if name == "ndarray":
            return self._array(config)
        if name == "same":
            return self._items[config]
        if name in ("function", "class"):
            return self._known(value)
        place = len(self._items)
        self._items.append(None)
        cls = self._known(value)
        if not (isinstance(cls, type) and hasattr(cls, "from_config")):
            raise UnknownClassError(f"names {name!r} as a class, and it is none that nnx can make")
        item = self._items[place] = self.make(cls, config)
        return item

    def _known(self, entry: Config) -> Any:
        found = self._find(entry)
        if found is None:
            self.check({**entry, "module": entry.get("module")})
        return found

    def _array(self, config: Config) -> NDArray:
        dtype, shape = np.dtype(config["dtype"]), tuple(config["shape"])
        if dtype.kind not in "fiub" or any(not isinstance(n, int) or n < 0 for n in shape):
            raise ValueError(f"expected an array of real numbers, got dtype {dtype}, shape {shape}")
        if "number" in config:
            array = self._arrays[config["number"]]
        elif "bytes" in config:
            array = np.frombuffer(base64.b64decode(config["bytes"]), dtype=dtype.newbyteorder("<"))
        else:
            array = np.array([self.value(number) for number in config["values"]], dtype=dtype)
        return np.array(array, dtype=dtype).reshape(shape)


def _name_of(entry: Config) -> Any:
    """The name of the class, or of the function or class that is meant itself."""
    return entry["config"] if entry["class_name"] in ("function", "class") else entry["class_name"]


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value


def _construct(cls: Any, parameters: dict[str, inspect.Parameter], values: Config) -> Any:
    positional: list[Any] = []
    several = next((n for n, p in parameters.items() if p.kind is p.VAR_POSITIONAL), None)
    if several is not None and several in values:
        for name, parameter in parameters.items():
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional.extend(values.pop(name))
                break
            positional.append(values.pop(name, parameter.default))
    return cls(*positional, **values)
