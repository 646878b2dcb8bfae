"""What a schedule means where another library's may be meant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from nnx._checks import warn

_Initializer = TypeVar("_Initializer", bound=Callable[..., None])


def says_what_it_means(
    looks: Callable[[float], bool], text: str, before_per: int
) -> Callable[[_Initializer], _Initializer]:
    """A constructor that warns where arguments are given by position, without `per`, and look like Keras's.

    Args:
        looks: whether the second one does.
        text: the warning; {0} and {1} stand for the first two.
        before_per: how many arguments come before `per`.
    """

    def decorate(initializer: _Initializer) -> _Initializer:
        @functools.wraps(initializer)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            initializer(self, *args, **kwargs)
            if 2 <= len(args) <= before_per and "per" not in kwargs and looks(args[1]):
                warn(text.format(*args))

        return cast(_Initializer, __init__)

    return decorate
