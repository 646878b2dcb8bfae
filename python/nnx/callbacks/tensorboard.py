"""Curves for TensorBoard, through tensorboardX (install `nnx-native[tensorboard]`)."""

from __future__ import annotations

import os
import time
from typing import Any, Literal

import numpy as np

from nnx._checks import integer
from nnx._checks import path as checked_path
from nnx.callbacks.base import Callback, Logs


class TensorBoard(Callback):
    """Writes loss, metrics and learning rate of each epoch, and what else is asked for, for TensorBoard.

    The scalars of training go to `log_dir`/train, those of validation to `log_dir`/validation, so that TensorBoard
    draws both into one picture: epoch_loss, epoch_accuracy, ..., epoch_learning_rate; batch_loss, ...

    Args:
        log_dir: the folder; made where it is missing.
        histogram_freq: every so many epochs, histograms of the weights; 0 for none.
        write_graph: writes the model's `summary`, as text.
        write_images: not served: False.
        write_steps_per_second: steps of an epoch by its time, validation included, as epoch_steps_per_second.
        update_freq: "epoch", or a number of steps, or "batch": scalars of batches as well.
        profile_batch: not served: 0.
        embeddings_freq: not served: 0.
        embeddings_metadata: not served: None.

    Raises:
        ImportError: where tensorboardX is not installed.
        ValueError, TypeError: naming the argument that does not fit.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: Literal["epoch", "batch"] | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: None = None,
    ) -> None:
        self.log_dir = checked_path("TensorBoard", "log_dir", log_dir)
        _refuse("write_images", write_images, False)
        _refuse("profile_batch", profile_batch, 0)
        _refuse("embeddings_freq", embeddings_freq, 0)
        _refuse("embeddings_metadata", embeddings_metadata, None)
        self.write_images, self.profile_batch = False, 0
        self.embeddings_freq, self.embeddings_metadata = 0, None
        self.histogram_freq = integer("TensorBoard", "histogram_freq", histogram_freq, low=0)
        self.write_graph = bool(write_graph)
        self.write_steps_per_second = bool(write_steps_per_second)
        if update_freq not in ("epoch", "batch"):
            update_freq = integer("TensorBoard", "update_freq", update_freq)
        self.update_freq: Literal["epoch", "batch"] | int = update_freq
        self._writers: dict[str, Any] = {}
        self._began = (0.0, 0)  # when the epoch did, and after how many steps
        _writer_class()

    def wants_batches(self) -> bool:
        """Only where scalars of batches are wanted."""
        return self.update_freq != "epoch"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Opens the files."""
        self._writer("train")
        if self.write_graph and self.model.input_shape is not None:
            self._writer("train").add_text("summary", f"```\n{self.model.summary(print_fn=None)}\n```")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Looks at the clocks."""
        self._began = time.perf_counter(), self._steps()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Writes the scalars of the epoch so far."""
        if self.update_freq == "epoch":
            return
        every, steps = 1 if self.update_freq == "batch" else self.update_freq, self._steps()
        if steps % every == 0:
            self._scalars("train", "batch", logs or {}, steps)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes the epoch's scalars."""
        logs = logs or {}
        validation = {name.removeprefix("val_"): v for name, v in logs.items() if name.startswith("val_")}
        self._scalars("train", "epoch", {n: v for n, v in logs.items() if not n.startswith("val_")}, epoch)
        if self.write_steps_per_second:
            start, before = self._began
            rate = (self._steps() - before) / (time.perf_counter() - start)
            self._scalars("train", "epoch", {"steps_per_second": rate}, epoch)
        if validation:
            self._scalars("validation", "epoch", validation, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for name, value in self.model.state_dict().items():
                if np.isfinite(value).all():
                    self._writer("train").add_histogram(name, value, epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _steps(self) -> int:
        assert self.model.optimizer is not None
        return self.model.optimizer.iterations

    def _scalars(self, part: str, prefix: str, logs: Logs, step: int) -> None:
        for name, value in logs.items():
            if np.ndim(value) == 0:
                self._writer(part).add_scalar(f"{prefix}_{name}", value, step)

    def _writer(self, part: str) -> Any:
        if part not in self._writers:
            self._writers[part] = _writer_class()(os.path.join(self.log_dir, part))
        return self._writers[part]

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_writers": {}}


def _refuse(argument: str, value: Any, only: Any) -> None:
    if value:
        raise ValueError(
            f"TensorBoard: argument '{argument}' expected {only!r}, the only value served, got {value!r}"
        )


def _writer_class() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise ImportError(
            "TensorBoard: tensorboardX is not installed (pip install nnx-native[tensorboard])"
        ) from None
    return SummaryWriter
