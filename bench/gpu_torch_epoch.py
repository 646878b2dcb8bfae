"""An epoch in PyTorch from images on the host: with its DataLoader, and with all images put on the GPU first."""

from __future__ import annotations

import argparse
from typing import Any

import gpu
import gpu_torch
import torch
import torch_twin
from fashion_mnist import Images, Learner
from models import Workload
from torch.utils.data import DataLoader, TensorDataset


def learners(
    workload: Workload, images: Images, rate: float, precision: str, options: argparse.Namespace
) -> dict[str, Learner]:
    """Four ways; each with its network."""
    place = gpu_torch.device(options)
    x, y = torch_twin.inputs(images.x), torch.from_numpy(images.y)
    found = {
        "PyTorch loader": _Loop(workload, images, rate, precision, place).with_loader(0),
        "PyTorch on GPU": _Loop(workload, images, rate, precision, place).resident(x, y),
    }
    if options.workers > 0 and not options.dry_run:
        loop = _Loop(workload, images, rate, precision, place)
        found[f"PyTorch loader, {options.workers} workers"] = loop.with_loader(options.workers)
    if place.type == "cuda":
        captured = gpu.attempt(
            "PyTorch on GPU, graph",
            lambda: _Loop(workload, images, rate, precision, place).captured(x, y),
        )
        found |= {"PyTorch on GPU, graph": captured} if captured else {}
    return found


class _Loop:
    """A network and its training step; batches are written into the tensors that the step reads."""

    def __init__(
        self, workload: Workload, images: Images, rate: float, precision: str, place: torch.device
    ) -> None:
        self.images, self.place, self.precision = images, place, precision
        self.batch = min(workload.batch, len(images.x))
        first = images.x[: self.batch], images.y[: self.batch]
        model = workload.model(rate)
        self.training = gpu_torch.Training(model, *first, precision, place, rate=rate)

    def _train(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.training.batch, self.training.targets = x, y
        self.training.step()

    def _learner(self, epoch: Any) -> Learner:
        def whole() -> None:
            gpu_torch.settle(self.precision)
            self.training.network.train()
            epoch()
            gpu_torch.wait()

        return Learner(whole, self._accuracy)

    def with_loader(self, workers: int) -> Learner:
        """As PyTorch's tutorials have it, and pinned."""
        data = TensorDataset(torch_twin.inputs(self.images.x), torch.from_numpy(self.images.y))
        gpus = self.place.type == "cuda"
        loader = DataLoader(
            data,
            self.batch,
            shuffle=True,
            num_workers=workers,
            pin_memory=gpus,
            persistent_workers=workers > 0,
        )

        def epoch() -> None:
            for x, y in loader:
                self._train(x.to(self.place, non_blocking=True), y.to(self.place, non_blocking=True))

        return self._learner(epoch)

    def resident(self, x: torch.Tensor, y: torch.Tensor) -> Learner:
        """All images to the GPU, then batches by index."""

        def epoch() -> None:
            all_x, all_y = x.to(self.place), y.to(self.place)
            for rows in torch.randperm(len(all_x), device=self.place).split(self.batch):
                self._train(all_x[rows], all_y[rows])

        return self._learner(epoch)

    def captured(self, x: torch.Tensor, y: torch.Tensor) -> Learner:
        """The same, whole batches by the graph of a step, the last one without."""
        replay = self.training.graph()
        batch, targets = self.training.batch, self.training.targets

        def epoch() -> None:
            all_x, all_y = x.to(self.place), y.to(self.place)
            for rows in torch.randperm(len(all_x), device=self.place).split(self.batch):
                if len(rows) == self.batch:
                    torch.index_select(all_x, 0, rows, out=batch)
                    torch.index_select(all_y, 0, rows, out=targets)
                    replay()
                else:
                    self._train(all_x[rows], all_y[rows])

        return self._learner(epoch)

    def _accuracy(self) -> float:
        network = self.training.network.eval()
        x, y = torch_twin.inputs(self.images.x_test), torch.from_numpy(self.images.y_test)
        right = 0
        with torch.inference_mode():
            for a, b in zip(x.split(1000), y.split(1000), strict=True):
                right += int((network(a.to(self.place)).argmax(dim=1).cpu() == b).sum())
        return right / len(x)
