"""The base of what is made of its constructor's arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nnx import _html
from nnx._config.arguments import Config, parameters_of
from nnx._config.decoder import Decoder
from nnx._config.encoder import Encoder
from nnx._config.registry import add_own, is_custom
from nnx._config.resolving import accepting
from nnx._config.text import text_of, texts_of, values_of

if TYPE_CHECKING:
    from typing_extensions import Self

_PLAIN = (int, float, str, bool, type(None))
_MISSING = object()


class Configured:
    """The base of what is made of its constructor's arguments.

    Every argument is kept under an attribute of its name. Classes of one's own that keep one otherwise are
    described by the arguments they were made with.
    """

    # Attributes that are no arguments, but part of the config where they differ from the class's.
    _settings: ClassVar[tuple[str, ...]] = ()
    # What nnx itself calls: not shown by `dir`. Subclasses add to it.
    _hidden: ClassVar[tuple[str, ...]] = ("arguments", "last_rate", "plain_values", "rates", "spec")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not is_custom(cls):
            add_own([cls])
            if "__init__" in vars(cls):
                setattr(cls, "__init__", accepting(vars(cls)["__init__"]))  # noqa: B010
        elif "__init__" in vars(cls):
            setattr(cls, "__init__", _noting_arguments(vars(cls)["__init__"]))  # noqa: B010

    @classmethod
    def _translate(cls, meant: Config, given: Config) -> Config:
        """Arguments and attributes in place of those that `names.Means` is said of; `given` are the others."""
        raise NotImplementedError

    def arguments(self) -> Config:
        """The constructor's arguments by name, as they are now."""
        values = {name: self._argument(name) for name in parameters_of(type(self))}
        for name in self._settings:
            if getattr(self, name) != getattr(type(self), name):
                values[name] = getattr(self, name)
        return values

    def plain_values(self) -> Config:
        """Numbers, strings and the like that are kept under arguments' names, and all settings, as they are now."""
        parameters = parameters_of(type(self))
        plain = {name: value for name, value in vars(self).items() if name in parameters and _is_plain(value)}
        return plain | {name: getattr(self, name) for name in self._settings}

    def _argument(self, name: str) -> Any:
        kept = getattr(self, name, _MISSING)
        given = _given(self).get(name, _MISSING) if is_custom(type(self)) else _MISSING
        if given is _MISSING and kept is _MISSING:
            raise TypeError(
                f"{type(self).__name__}: argument '{name}' of __init__ is kept nowhere: keep it as "
                f"self.{name}, or define get_config"
            )
        # an attribute may be something made of the argument, a layer say
        return kept if given is _MISSING or (_is_plain(kept) and _is_plain(given)) else given

    def get_config(self) -> Config:
        """The constructor's arguments, as JSON can have them; `from_config` makes an equal object of them.

        Raises:
            TypeError: where an argument cannot be written: a lambda, say.
        """
        return Encoder().arguments(type(self), self.arguments())

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """An object made of what `get_config` gave.

        Args:
            config: a dict of the constructor's arguments by name.

        Raises:
            TypeError: for what is no dict, or names arguments that the class does not have.
        """
        made: Self = Decoder().construct(cls, config)
        return made

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        """The arguments as a table, for notebooks, and below it those that have arguments of their own."""
        inner = [value._repr_html_() for _, value in values_of(self) if isinstance(value, Configured)]
        heading = f"<b>{_html.escape(type(self).__name__)}</b>"
        return _html.block(heading, _html.table((), texts_of(self)), *inner)

    def __dir__(self) -> list[str]:
        hidden = {name for cls in type(self).__mro__ for name in vars(cls).get("_hidden", ())}
        return sorted(set(super().__dir__()) - hidden)


def _given(item: Configured) -> Config:
    """The arguments that an object of a custom class was made with, defaults included."""
    if "_made_with" not in vars(item):
        return {}
    args, kwargs = vars(item)["_made_with"]
    try:
        bound = inspect.signature(type(item).__init__).bind(item, *args, **kwargs)
    except TypeError:  # it was a base class's __init__ that noted them
        return {}
    bound.apply_defaults()
    return dict(list(bound.arguments.items())[1:])


def _noting_arguments(initializer: Callable[..., None]) -> Callable[..., None]:
    """A constructor that keeps what it was called with, of the class that is made."""

    @functools.wraps(initializer)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if "_made_with" not in vars(self):  # a class's own comes before that of its base
            object.__setattr__(self, "_made_with", (args, kwargs))
        initializer(self, *args, **kwargs)

    return __init__


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, (*_PLAIN, np.integer, np.floating))
