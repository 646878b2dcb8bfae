"""Iterables of batches: how far they are gone through in an epoch, and by whom."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnx._checks import warn
from nnx.training.ahead import Ahead, Lock


@dataclass
class Stream:
    """An iterable of batches, gone through once an epoch, or `limit` of them.

    What is no list is gone through by a thread that is a batch ahead; `close` ends it.
    """

    iterable: Iterable[Any]
    name: str = "x"  # of the argument
    limit: int | None = None  # batches of an epoch or an evaluation; None: all
    limited_by: str = ""  # the argument that says so
    goes_on: bool = False  # whether an epoch begins where the last one ended, and after the last batch anew
    ended: bool = False  # whether there were fewer than `limit`
    _iterator: Iterator[Any] | None = field(default=None, repr=False)
    _ahead: Ahead | None = field(default=None, repr=False)

    def given(self, lock: Lock) -> Iterator[Any]:
        """The batches as they are; ValueError where there are none, a warning where they are too few."""
        if self._iterator is None:
            self._iterator = self._around()
        count = 0
        for batch in self._through(lock, self._iterator, self.limit):
            count += 1
            yield batch
        if count == 0:
            raise ValueError(
                f"argument '{self.name}' gave no batches: for several epochs give a list, or an object whose "
                "iteration starts anew, not a generator that is used up"
            )
        if self.limit is not None and count < self.limit:
            self.ended = True
            warn_of_end(self.name, self.limited_by, self.limit, count)
        if not self.goes_on:
            self._iterator = None

    def skip(self, lock: Lock, count: int) -> None:
        """Passes over what a run that is resumed has been through in epochs that are finished."""
        self._iterator = self._around()
        for _ in self._through(lock, self._iterator, count):
            pass

    def first(self, lock: Lock) -> list[Any]:
        """The first batch, where it can be had without harm; of an iterator it is put back."""
        if isinstance(self.iterable, Sequence):
            return list(self.iterable[:1])
        if not isinstance(self.iterable, Iterator):
            return []
        first = list(self._through(lock, self.iterable, 1))
        self.iterable = itertools.chain(first, self.iterable)
        return first

    def close(self) -> None:
        """Ends the thread, and closes what was opened for it."""
        ahead, self._ahead = self._ahead, None
        iterator, self._iterator = self._iterator, None
        if ahead is not None:
            ahead.close(iterator)

    def _around(self) -> Iterator[Any]:
        """All batches; where an epoch goes on after the last, round and round."""
        none = False
        while not none:
            none = True
            for batch in self.iterable:
                none = False
                yield batch
            if not self.goes_on or isinstance(self.iterable, Iterator):
                return

    def _through(self, lock: Lock, batches: Iterator[Any], limit: int | None) -> Iterator[Any]:
        if isinstance(self.iterable, (list, tuple)):  # nothing to prepare
            return itertools.islice(batches, limit)
        self._ahead = self._ahead or Ahead(lock)
        return self._ahead.go_through(batches, limit)


def warn_of_end(name: str, limited_by: str, asked: int, there: int) -> None:
    """A warning that there are fewer batches than were asked for."""
    warn(f"argument '{name}' ran out of batches: '{limited_by}' asks for {asked}, and there were {there}")
