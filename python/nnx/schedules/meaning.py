"""What a schedule means where another library's may be meant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from nnx._checks import warn

_Initializer = TypeVar("_Initializer", bound=Callable[..., None])


def says_what_it_means(looks: Callable[[float], bool], text: str) -> Callable[[_Initializer], _Initializer]:
    """A constructor that warns where its first two arguments alone are given, by position, and look like Keras's."""

    def decorate(initializer: _Initializer) -> _Initializer:
        @functools.wraps(initializer)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            initializer(self, *args, **kwargs)
            if len(args) == 2 and "per" not in kwargs and looks(args[1]):
                warn(text.format(*args))

        return cast(_Initializer, __init__)

    return decorate
