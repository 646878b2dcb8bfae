"""PyTorch on a GPU, at its best: eager, channels_last, a CUDA graph of the whole step, torch.compile, and both."""

from __future__ import annotations

import argparse
import contextlib
import functools
import signal
from collections.abc import Callable, Iterator
from typing import Any

import gpu
import models
import nnx
import numpy as np
import torch
import torch_twin
from gpu import Way
from torch import nn

WARM_UP = 4  # steps before a capture


def device(options: argparse.Namespace) -> torch.device:
    """The GPU; in a dry run, the CPU."""
    gpus = options.device == "cuda" and torch.cuda.is_available()
    return torch.device("cuda" if gpus else "cpu")


def settle(precision: str) -> None:
    """What products are computed in: by default PyTorch takes TF32 for convolutions and float32 for the rest."""
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True


def wait() -> None:
    """Until the GPU has done everything."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Training:
    """The usual body of a training loop, on one batch that lies on the GPU."""

    def __init__(
        self,
        model: nnx.Sequential,
        x: np.ndarray,
        y: np.ndarray,
        precision: str,
        place: torch.device,
        channels_last: bool = False,
        mode: str | None = None,
        rate: float = 0.001,
    ) -> None:
        settle(precision)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network = torch_twin.twin(model).to(place, memory_format=layout).train()
        self.batch = torch_twin.inputs(x, channels_last).to(place)
        self.targets = torch.from_numpy(y).to(place)
        self.forward: Callable[[torch.Tensor], torch.Tensor] = self.network
        if mode is not None:
            torch._dynamo.reset()
            self.forward = torch.compile(self.network, mode=mode)
        momentum = models.MOMENTUM
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=rate, momentum=momentum, fused=True)
        self.criterion = nn.CrossEntropyLoss()
        # A graph may not hold what the cache of casts keeps beyond it.
        self.cast = {
            "device_type": place.type,
            "dtype": torch.bfloat16,
            "enabled": precision == "bfloat16",
            "cache_enabled": False,
        }

    def step(self) -> None:
        """Forward, loss, backward, update."""
        self.optimizer.zero_grad()
        with torch.autocast(**self.cast):
            loss = self.criterion(self.forward(self.batch), self.targets)
        loss.backward()
        self.optimizer.step()

    def graph(self) -> Callable[[], None]:
        """The whole step, captured. A replay keeps the tensors alive whose addresses the graph holds."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.step()
        torch.cuda.current_stream().wait_stream(side)
        self.captured = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.captured):
            self.step()
        return self.replay

    def replay(self) -> None:
        """The captured step once more."""
        self.captured.replay()


def ways(
    model: nnx.Sequential, x: np.ndarray, y: np.ndarray, precision: str, options: argparse.Namespace
) -> dict[str, Way]:
    """Those that work here."""
    place = device(options)

    def eager(channels_last: bool = False, mode: str | None = None) -> Training:
        return Training(model, x, y, precision, place, channels_last, mode)

    def stepping(training: Training) -> Way:
        training.step()
        return gpu.calls(training.step, wait)

    layouts = {"": False, " channels_last": True} if x.ndim == 4 else {"": False}
    found: dict[str, Way] = {}
    for name, last in layouts.items():
        found |= gpu.optional(
            f"PyTorch{name or ' eager'}",
            functools.partial(lambda last: stepping(eager(last)), last),
        )
        if place.type == "cuda":
            found |= gpu.optional(
                f"PyTorch graph{name}",
                functools.partial(lambda last: gpu.calls(eager(last).graph(), wait), last),
            )
    images = x.ndim == 4
    compiled: dict[str, Callable[[], Way]] = {
        "PyTorch compile": lambda: stepping(eager(images, "max-autotune")),
    }
    if place.type == "cuda":
        mode = "max-autotune-no-cudagraphs"
        compiled["PyTorch compile graph"] = lambda: gpu.calls(eager(images, mode).graph(), wait)
    for name, make in {} if options.no_compile else compiled.items():
        if gpu.seconds_left(options) < 0:
            print(f"    {name} left out: the budget of {options.budget:g} s is spent", flush=True)
            continue
        with _at_most(options.compile_seconds):
            found |= gpu.optional(name, make)
    return found


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """A TimeoutError in what takes longer."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"took more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outputs(model: nnx.Sequential, x: np.ndarray, precision: str, options: argparse.Namespace) -> np.ndarray:
    """Of the twin, to see that both are the same network."""
    settle(precision)
    place = device(options)
    network = torch_twin.twin(model).to(place).eval()
    with torch.inference_mode(), torch.autocast(place.type, torch.bfloat16, enabled=precision == "bfloat16"):
        result: np.ndarray = network(torch_twin.inputs(x).to(place)).float().cpu().numpy()
    return result
