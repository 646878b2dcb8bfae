"""Models: layers put together, compiled into programs, trained and used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnx import _core, data, losses, metrics, optimizers, programs, seeds, summary, tracing, training
from nnx._checks import integer
from nnx._types import ClassWeight, NDArray, Shape
from nnx.callbacks import Callback, History
from nnx.layers.base import Layer
from nnx.losses import LossLike
from nnx.metrics import MetricLike
from nnx.metrics import get as _metric
from nnx.optimizers import OptimizerLike
from nnx.symbol import Symbol
from nnx.weight import Weight


class Model(Layer):
    """A model, written as a class with layers as attributes and a `forward`.

        class Residual(nnx.Model):
            def __init__(self):
                super().__init__()
                self.inner = nnx.Dense(64, activation="relu")
                self.outer = nnx.Dense(10)

            def forward(self, x):
                return self.outer(self.inner(x) + x)

    `forward` runs once for each input shape, on a Symbol; what it does is then compiled. A layer that is used
    twice has one set of weights. Models are layers themselves.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.stop_training = False
        self.epoch = 0  # the epoch that trains, or would next
        self.input_shape: Shape | None = None
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self.metrics: list[metrics.Metric] = []
        self.device = "cpu"
        self.precision = "float32"
        self.seed: int | None = None
        self._traced: tracing.Traced | None = None
        self._store: _core.Parameters | None = None
        self._graphs: dict[Shape, tracing.Traced] = {}
        self.programs = programs.Programs()

    # Building and compiling

    def build(self, input_shape: Sequence[int]) -> None:
        """Makes the weights for inputs of this shape, given without the batch axis; `fit` does it by itself."""
        shape = tuple(integer("build", "input_shape", n) for n in input_shape)
        traced = tracing.trace(self, shape)
        tracing.named_weights(self, traced.weights)
        self._traced, self.input_shape, self.built = traced, shape, True

    def compile(
        self,
        optimizer: OptimizerLike = "sgd",
        loss: LossLike | None = None,
        metrics: Iterable[MetricLike] = (),
        device: str = "auto",
        precision: str = "float32",
        seed: int | None = None,
    ) -> None:
        """Settles how the model is trained. Weights keep their values, the optimizer begins anew.

        Args:
            optimizer: "sgd", "adam", "adamw" or an Optimizer.
            loss: a name or a Loss; None for a model that only predicts.
            metrics: names, classes, objects or functions of `nnx.metrics`.
            device: "cpu", "cuda", "cuda:1", or "auto": CUDA where it is there.
            precision: "float32" (strict IEEE on every device), "float64", or, on CUDA, "tf32" or "bfloat16":
                the factors of dense and convolutional layers' products are rounded to 10 or 7 bits of mantissa
                for the tensor cores; weights, sums, losses and updates stay float32.
            seed: for initial weights, shuffles and dropout; None draws one from `nnx.set_seed`'s.

        Raises:
            ValueError, TypeError: naming the argument that does not fit.
        """
        place = programs.resolve_device(device)
        programs.check_precision(precision, place)
        if isinstance(metrics, str):
            metrics = (metrics,)
        compiled = (
            optimizers.get(optimizer),
            None if loss is None else losses.get(loss),
            [_metric(metric) for metric in metrics],
            seeds.draw() if seed is None else seeds.check(seed),
        )
        self.device = place
        self.optimizer, self.loss, self.metrics, self.seed = compiled
        self.precision, self.epoch = precision, 0
        self.optimizer.iterations = 0
        for weight in self.weights:
            weight.leave(place, programs.dtype_of(precision))
        self._store = None
        self._graphs.clear()
        self.programs.clear()

    # Training and using

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        epochs: int = 1,
        shuffle: bool = True,
        validation_split: float = 0.0,
        validation_data: Any = None,
        class_weight: ClassWeight = None,
        sample_weight: npt.ArrayLike | None = None,
        callbacks: Iterable[Callback] = (),
        initial_epoch: int = 0,
        verbose: int | str = "auto",
    ) -> History:
        """Trains the model.

        Args:
            x: inputs (N, ...): float32, float64 or uint8, memory-mapped arrays included, are taken as they
                are; or an iterable of batches (x, y) or (x, y, sample_weight), gone through once an epoch.
            y: targets: labels (N,), distributions (N, K), or values like the outputs, as the loss has it.
            batch_size: samples per step; the last step of an epoch may have fewer.
            epochs: the epoch to stop before, counted from 0.
            shuffle: a new order for each epoch, by seed and epoch.
            validation_split: the share of samples to validate with; they are drawn at random, classes in
                proportion.
            validation_data: (x, y) or (x, y, sample_weight), or an iterable of batches.
            class_weight: a dict or an array of weights by class.
            sample_weight: (N,).
            callbacks: see `nnx.callbacks`.
            initial_epoch: the epoch to begin with.
            verbose: 0 silent, 1 a bar, 2 a line per epoch; "auto" as it suits the output.

        Returns:
            The History of this call.

        Raises:
            ValueError, TypeError: naming the argument that does not fit, before anything is trained.
            KeyboardInterrupt: on Ctrl-C, after the callbacks' on_train_end; the model is as after its last step.
        """
        return training.fit(
            self,
            x,
            y,
            training.Plan(
                batch_size=integer("fit", "batch_size", batch_size),
                epochs=integer("fit", "epochs", epochs, low=0),
                shuffle=bool(shuffle),
                validation_split=validation_split,
                validation_data=validation_data,
                class_weight=class_weight,
                sample_weight=sample_weight,
                callbacks=list(callbacks),
                initial_epoch=integer("fit", "initial_epoch", initial_epoch, low=0),
                verbose=verbose,
            ),
        )

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 256,
        sample_weight: npt.ArrayLike | None = None,
        callbacks: Iterable[Callback] = (),
    ) -> dict[str, Any]:
        """Loss and metrics on data given as in `fit`: {"loss": ..., "accuracy": ...}."""
        size = integer("evaluate", "batch_size", batch_size)
        return training.evaluate(self, x, y, size, sample_weight, list(callbacks))

    def predict(self, x: Any, batch_size: int = 256, callbacks: Iterable[Callback] = ()) -> NDArray:
        """The model's outputs (N, ...) for inputs x (N, ...)."""
        return training.predict(self, x, integer("predict", "batch_size", batch_size), list(callbacks))

    def train_step(self, x: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> float:
        """One step on one batch, for loops of one's own; returns the batch's loss before it."""
        return training.train_step(self, x, y, sample_weight)

    def __call__(self, x: Any) -> Any:
        """Outputs for an array, in one batch; for a Symbol, this model as a part of another."""
        if isinstance(x, Symbol):
            return super().__call__(x)
        inputs = data.features(x)
        outputs = training.predict(self, inputs, max(1, len(inputs)), [])
        return _core.tensor(outputs, device=x.device) if isinstance(x, _core.Tensor) else outputs

    def ensure_built(self, input_shape: Shape) -> None:
        """As part of another model there is nothing to do: the inner layers build themselves."""

    def summary(self, batch_size: int = 1) -> str:
        """A table of layers, output shapes, parameters and FLOPs, and the memory a training batch takes.

        To that each thread adds, on the CPU, what its kernels need of 4 MB of scratch memory.
        """
        return summary.table(self, integer("summary", "batch_size", batch_size))

    # Weights

    def state_dict(self) -> dict[str, NDArray]:
        """Copies of all weights by name: {"dense.kernel": ..., "dense.bias": ...}."""
        self.bound()  # a value drawn now is drawn from the model's seed
        return {name: weight.numpy() for name, weight in self.named_weights().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets all weights; ValueError lists what is missing, unexpected or of another shape."""
        named = self.named_weights()
        missing = [name for name in named if name not in state]
        unexpected = [name for name in state if name not in named]
        shapes = [
            f"{name} expected {weight.shape}, got {np.shape(state[name])}"
            for name, weight in named.items()
            if name in state and np.shape(state[name]) != weight.shape
        ]
        problems = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if any(names for _, names in problems):
            text = "; ".join(f"{what}: {', '.join(names)}" for what, names in problems if names)
            raise ValueError(f"load_state_dict: {text}")
        for name, weight in named.items():
            weight.assign(state[name])

    def get_weights(self) -> list[NDArray]:
        """Copies of all weights, in the order of `state_dict`."""
        return list(self.state_dict().values())

    def set_weights(self, weights: Sequence[npt.ArrayLike]) -> None:
        """Sets all weights from a list as `get_weights` gives it."""
        names = list(self.named_weights())
        if len(weights) != len(names):
            raise ValueError(f"set_weights: expected {len(names)} arrays, got {len(weights)}")
        self.load_state_dict(dict(zip(names, weights, strict=True)))

    def named_weights(self) -> dict[str, Weight]:
        """The weights by name; ValueError before the model is built."""
        return tracing.named_weights(self, self.traced().weights)

    # What training and summaries stand on

    def traced(self) -> tracing.Traced:
        """The graph of the shape the model was built for."""
        if self._traced is None:
            raise ValueError("the model has no weights yet: call build(input_shape) first, or fit")
        return self._traced

    def bound(self, input_shape: Shape | None = None) -> tracing.Traced:
        """A graph over this model's parameter store: values that layers share with other models, its own state."""
        base = self.traced()
        if self._store is None or not tracing.holds(self._store, base.weights):
            self._store = self._new_store(base)
        shape = base.input_shape if input_shape is None else input_shape
        found = self._graphs.get(shape)
        if found is None or found.store is not self._store:
            found = self._graphs[shape] = tracing.trace(self, shape, self._store, base.weights)
        return found

    def _new_store(self, base: tracing.Traced) -> _core.Parameters:
        # Without a wish of its own the model computes where its weights are.
        place = tracing.common_place(base.weights) if self.optimizer is None else None
        if place is None and self.seed is None:
            self.seed = seeds.draw()
        device, dtype = place or (self.device, programs.dtype_of(self.precision))
        named, fixed = self.named_weights(), tracing.frozen(self)
        return tracing.new_store(named, base.weights, fixed, dtype, device, self.seed, self._store)
