"""The same network in PyTorch, with the same weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import models
import nnx
import numpy as np
import torch
from common import Candidate, expect, relative_error
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def twin(model: nnx.Sequential, same_weights: bool = True) -> nn.Sequential:
    """A PyTorch network of the same layers; images go in as (N, C, H, W)."""
    fill = _fill if same_weights else lambda module, order, layer: module
    layers: list[nn.Module] = []
    image: tuple[int, ...] | None = None  # the shape that was flattened last
    for part in models.parts(model):
        layer = part.layer
        if part.kind == "Conv2D":
            conv = nn.Conv2d(part.before[-1], layer.filters, layer.kernel_size, layer.strides, part.padding)
            layers.append(fill(conv, lambda kernel: kernel.transpose(3, 2, 0, 1), layer))
        elif part.kind == "MaxPool2D":
            layers.append(nn.MaxPool2d(layer.pool_size, layer.strides))
        elif part.kind == "Flatten":
            layers.append(nn.Flatten())
            image = part.before if len(part.before) == 3 else None
        elif part.kind == "Dropout":
            layers.append(nn.Dropout(layer.rate))
        else:
            order = functools.partial(_linear, image=image)
            layers.append(fill(nn.Linear(*layer.kernel.shape), order, layer))
            image = None
        if getattr(layer, "activation", None):
            layers.append(ACTIVATIONS[layer.activation]())
    return nn.Sequential(*layers)


def _linear(kernel: np.ndarray, image: tuple[int, ...] | None) -> np.ndarray:
    """A dense kernel as nn.Linear has it; after an image its rows are in the order (C, H, W)."""
    if image is not None:
        kernel = kernel.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
    return kernel.T


def _fill(module: Any, order: Callable[[np.ndarray], np.ndarray], layer: Any) -> Any:
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.ascontiguousarray(order(layer.kernel.numpy()))))
        module.bias.copy_(torch.from_numpy(layer.bias.numpy()))
    return module


def inputs(x: np.ndarray, channels_last: bool = False) -> torch.Tensor:
    """A batch as PyTorch takes it."""
    if x.ndim != 4:
        return torch.from_numpy(x)
    images = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    return images.contiguous(memory_format=torch.channels_last) if channels_last else images


def check(model: nnx.Sequential, x: np.ndarray, title: str) -> None:
    """Outputs of the twin against nnx's: that both time the same network."""
    network = twin(model).eval()
    with torch.inference_mode():
        theirs = network(inputs(x)).numpy()
    expect(f"{title}: outputs of PyTorch", relative_error(theirs, model.predict(x)), 1e-4)


def training(
    network: nn.Module,
    loss: str,
    x: np.ndarray,
    y: np.ndarray,
    channels_last: bool = False,
    compiled: bool = False,
) -> Candidate:
    """The usual body of a training loop, on one batch."""
    network.train()
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    forward: Callable[[torch.Tensor], torch.Tensor] = torch.compile(network) if compiled else network
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=models.MOMENTUM, fused=True)
    criterion = nn.CrossEntropyLoss() if loss == "cross_entropy" else nn.BCEWithLogitsLoss()
    batch, targets = inputs(x, channels_last), torch.from_numpy(y)

    def step() -> None:
        optimizer.zero_grad()
        criterion(forward(batch), targets).backward()
        optimizer.step()

    return Candidate(step)


def ways(model: nnx.Sequential, loss: str, x: np.ndarray, y: np.ndarray) -> dict[str, Candidate]:
    """Eager, channels_last where there are images, and compiled where the compiler works."""
    found = {"PyTorch eager": training(twin(model), loss, x, y)}
    if x.ndim == 4:
        found["PyTorch channels_last"] = training(twin(model), loss, x, y, channels_last=True)
    return found | _compiled(lambda: training(twin(model), loss, x, y, compiled=True))


def predictions(model: nnx.Sequential, x: np.ndarray, compiled: bool = True) -> dict[str, Candidate]:
    """Outputs for one batch in inference mode."""
    found = {"PyTorch eager": prediction(model, x)}
    if x.ndim == 4:
        found["PyTorch channels_last"] = prediction(model, x, channels_last=True)
    if compiled:
        found |= _compiled(lambda: prediction(model, x, compiled=True))
    return found


def prediction(
    model: nnx.Sequential, x: np.ndarray, channels_last: bool = False, compiled: bool = False
) -> Candidate:
    network = twin(model).eval()
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    forward: Callable[[torch.Tensor], torch.Tensor] = torch.compile(network) if compiled else network
    batch = inputs(x, channels_last)

    def call() -> None:
        with torch.inference_mode():
            forward(batch)

    return Candidate(call)


def _compiled(make: Callable[[], Candidate]) -> dict[str, Candidate]:
    try:
        candidate = make()
        candidate.call()
    except (RuntimeError, OSError, ImportError) as error:  # its toolchain's
        print(f"    torch.compile left out: {str(error).splitlines()[0][:100]}")
        return {}
    return {"PyTorch compile": candidate}
