"""A thread that prepares the next batch while the one before it is used."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from nnx import _core

PATIENCE = 0.3  # seconds that the end of a call waits for a batch that is being prepared

Lock: TypeAlias = Any  # threading.RLock() is a function
_Job: TypeAlias = Callable[[], Any]
_END = object()


class Ahead:
    """Goes through iterators in a thread of its own, one batch ahead of whoever takes them.

    A batch is prepared from the moment that the one before it is taken, so what the iterator does with the model
    in methods that wait for `lock` it does between two steps, at the same place in every run. Batches are copied
    before the iterator goes on: it may fill the same arrays again and again.
    """

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        # With the caller's numpy.errstate and the like.
        run, jobs, results = contextvars.copy_context().run, self._jobs, self._results
        self._thread = threading.Thread(
            target=run, args=(_work, jobs, results), name="nnx-batches", daemon=True
        )
        self._thread.start()

    def go_through(self, iterator: Iterator[Any], limit: int | None = None) -> Iterator[Any]:
        """The iterator's batches, at most `limit` of them; not one more is asked of it."""
        taken = 0
        if limit != 0:
            self._jobs.put(lambda: _next(iterator))
        while limit is None or taken < limit:
            batch = self._take()
            if batch is _END:
                return
            taken += 1
            if taken != limit:
                self._jobs.put(lambda: _next(iterator))
            yield batch

    def close(self, iterator: Iterator[Any] | None) -> None:
        """Closes the iterator, a generator, and ends the thread: after the batch that it prepares, if it does."""
        close = getattr(iterator, "close", None)
        if close is not None:
            self._jobs.put(close)
        self._jobs.put(None)
        del close, iterator
        self._thread.join(PATIENCE)

    def __del__(self) -> None:
        self._jobs.put(None)

    def _take(self) -> Any:
        try:
            batch, error = self._results.get_nowait()
        except queue.Empty:
            with lent(self._lock):
                batch, error = self._results.get()
        if error is not None:
            try:
                raise error
            finally:
                del error  # it holds this frame
        return batch


def _work(
    jobs: queue.SimpleQueue[_Job | None], results: queue.SimpleQueue[tuple[Any, BaseException | None]]
) -> None:
    while (job := jobs.get()) is not None:
        try:
            results.put((job(), None))
        except BaseException as error:  # noqa: BLE001  whoever takes the batch raises it
            results.put((None, error))
        del job


def _next(iterator: Iterator[Any]) -> Any:
    try:
        batch = next(iterator)
    except StopIteration:
        return _END
    return _copied(batch)


def _copied(part: Any) -> Any:
    """A batch, or a part of it, with arrays of its own."""
    if isinstance(part, dict):
        return {name: _copied(value) for name, value in part.items()}
    if type(part) in (list, tuple):
        return type(part)(_copied(value) for value in part)
    if isinstance(part, np.ndarray):
        return part.copy()
    if isinstance(part, _core.Tensor):
        return np.array(part.numpy())
    if not hasattr(part, "__array__"):
        return part
    try:
        return np.array(part)
    except Exception:  # noqa: BLE001  what it lacks is said where the batch is checked
        return part


@contextmanager
def lent(lock: Lock) -> Iterator[None]:
    """Lets other threads have a reentrant lock for a while, however often this one holds it."""
    depth = 0
    try:
        while True:
            lock.release()
            depth += 1
    except RuntimeError:  # not held, or no longer
        pass
    try:
        yield
    finally:
        interrupt: KeyboardInterrupt | None = None
        while depth:
            try:
                lock.acquire()
                depth -= 1
            except KeyboardInterrupt as error:  # raised once the lock is back
                interrupt = error
        if interrupt is not None:
            raise interrupt
