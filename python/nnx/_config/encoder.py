"""Objects to JSON."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from nnx._config.arguments import Config, Describable, is_describable, parameters_of
from nnx._config.registry import is_custom, module_of
from nnx._types import NDArray

_FEW = 1024  # elements; larger arrays are written as bytes


class Encoder:
    """Objects to JSON. A layer that is there twice is written once; large arrays may go elsewhere.

    Args:
        arrays: where arrays of more than a few elements are put, to be told by number; None writes them out.
        tuples: whether tuples are marked, to be told from lists.
    """

    def __init__(self, arrays: list[NDArray] | None = None, tuples: bool = False) -> None:
        self._arrays = arrays
        self._tuples = tuples
        self._numbers: dict[int, int] = {}
        self._held: list[Any] = []  # so that no id comes again

    def config(self, item: Describable) -> Config:
        """The arguments of an object."""
        defined = next(cls for cls in type(item).__mro__ if "get_config" in vars(cls))
        return self.arguments(type(item), item.get_config() if is_custom(defined) else item.arguments())

    def arguments(self, cls: type, values: Config) -> Config:
        """Arguments of a class."""
        parameters = parameters_of(cls)
        config: Config = {}
        for name, value in values.items():
            parameter = parameters.get(name)
            if parameter is not None and parameter.kind is parameter.VAR_KEYWORD and isinstance(value, dict):
                config.update({key: self.value(part, f"{cls.__name__}.{key}") for key, part in value.items()})
            else:
                config[name] = self.value(value, f"{cls.__name__}.{name}")
        return config

    def value(self, value: Any, where: str = "value") -> Any:
        """Anything that an argument may be."""
        if isinstance(value, (bool, int, str)) or value is None:
            return value
        if isinstance(value, (np.bool_, np.integer)):
            return value.item()
        if isinstance(value, (float, np.floating)):
            number = float(value)
            return number if math.isfinite(number) else {"class_name": "float", "config": str(number)}
        if isinstance(value, (tuple, list)):
            items = [self.value(item, where) for item in value]
            if isinstance(value, list):
                return items
            return {"class_name": "tuple", "config": items} if self._tuples else tuple(items)
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise TypeError(f"{where}: expected a dict with names as keys, got {list(value)[:3]}")
            return {key: self.value(item, where) for key, item in value.items()}
        if isinstance(value, np.ndarray):
            return {"class_name": "ndarray", "config": self._array(value, where)}
        if is_describable(value):
            return self.item(value)
        return self._callable(value, where)

    def item(self, item: Describable) -> Config:
        """An object with its class: {"class_name": ..., "config": ...}."""
        known = self._numbers.get(id(item))
        if known is not None:
            return {"class_name": "same", "config": known}
        self._numbers[id(item)] = len(self._numbers)
        self._held.append(item)
        return {
            "class_name": type(item).__name__,
            "module": module_of(type(item)),
            "config": self.config(item),
        }

    def _array(self, array: NDArray, where: str) -> Config:
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{where}: expected an array of real numbers, got dtype {array.dtype}")
        about: Config = {"dtype": array.dtype.newbyteorder("=").name, "shape": list(array.shape)}
        if self._arrays is not None and array.size > _FEW:
            self._arrays.append(np.ascontiguousarray(array))
            return {**about, "number": len(self._arrays) - 1}
        if array.size > _FEW:
            little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            return {**about, "bytes": base64.b64encode(little.tobytes()).decode()}
        return {**about, "values": [self.value(number) for number in array.ravel().tolist()]}

    def _callable(self, value: Any, where: str) -> Config:
        name = getattr(value, "__name__", None)
        if callable(value) and name is not None and name != "<lambda>":
            kind = "class" if isinstance(value, type) else "function"
            return {"class_name": kind, "module": module_of(value), "config": name}
        what = "a lambda" if name == "<lambda>" else f"a {type(value).__name__}"
        raise TypeError(
            f"{where}: cannot be saved, since it is {what}: use a name, a layer, or a function given to "
            "nnx.register"
        )
