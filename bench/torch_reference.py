"""checks.Reference in PyTorch, in float64 on the GPU: AlexNet's batches are too much for NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import checks
import models
import numpy as np
import reference
import torch
from torch.nn import functional

LOSSES = {
    "cross_entropy": functional.cross_entropy,
    "bce": functional.binary_cross_entropy_with_logits,
}
ACTIVATIONS = {None: lambda z: z, "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


class TorchReference(checks.Reference):
    """The same steps; gradients are PyTorch's."""

    def begin(self, loss: str) -> None:
        """Takes the weights."""
        self.place = "cuda" if torch.cuda.is_available() else "cpu"
        self.criterion = LOSSES[loss]
        self.parameters = [self._wide(w).requires_grad_() for w in self.model.get_weights()]
        self.velocities = [torch.zeros_like(p) for p in self.parameters]

    @property
    def weights(self) -> Iterator[np.ndarray]:  # type: ignore[override]
        """As they are now."""
        return (p.detach().cpu().numpy() for p in self.parameters)

    def _wide(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.place, torch.float64)

    def step(self, x: np.ndarray, y: np.ndarray, step: int) -> float:
        """One step of SGD with momentum; the loss before it."""
        z = self._outputs(x, step)
        targets = torch.from_numpy(y).to(self.place)
        loss = self.criterion(z, targets if targets.dtype == torch.int64 else targets.double())
        gradients = torch.autograd.grad(loss, self.parameters)
        with torch.no_grad():
            for weight, velocity, gradient in zip(self.parameters, self.velocities, gradients, strict=True):
                velocity.mul_(models.MOMENTUM).sub_(gradient, alpha=checks.LEARNING_RATE)
                weight.add_(velocity)
        return float(loss.detach())

    def _outputs(self, x: np.ndarray, step: int) -> torch.Tensor:
        """Images are (N, H, W, C) between the layers, as in nnx; `own` is what nnx has there."""
        z, own = self._wide(x), x
        weights = iter(self.parameters)
        dropouts = 0
        for number, part in enumerate(self.parts):
            layer = part.layer
            if part.kind in ("Conv2D", "Dense"):
                kernel, bias = next(weights), next(weights)
                if part.kind == "Dense":
                    z = z @ kernel + bias
                else:
                    images, filters = z.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1)
                    z = functional.conv2d(images, filters, bias, layer.strides, part.padding)
                    z = z.permute(0, 2, 3, 1)
                right = ACTIVATIONS[layer.activation](z)
                own = self._own(number, own, right.detach().cpu().numpy())
                z = z * self._wide(own > 0) if layer.activation == "relu" else right
            elif part.kind == "MaxPool2D":
                seen = torch.from_numpy(own).to(self.place).permute(0, 3, 1, 2)
                largest, index = functional.max_pool2d(
                    seen, layer.pool_size, layer.strides, return_indices=True
                )
                z = z.permute(0, 3, 1, 2).flatten(2).gather(2, index.flatten(2)).view(index.shape)
                z, own = z.permute(0, 2, 3, 1), largest.permute(0, 2, 3, 1).contiguous().cpu().numpy()
            elif part.kind == "Flatten":
                z, own = z.reshape(len(z), -1), own.reshape(len(own), -1)
            else:
                kept = reference.dropout_mask(own.shape, layer.rate, models.SEED, dropouts, step)
                factors = kept / (1 - layer.rate)
                z, own, dropouts = z * self._wide(factors), own * factors.astype(x.dtype), dropouts + 1
        return z
