"""Models: layers put together, compiled into programs, trained and used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy.typing as npt

from nnx import _core, data, looking, losses, optimizers, seeds, summary
from nnx._checks import integer
from nnx._types import ClassWeight, NDArray, Shape
from nnx.callbacks import Callback, CallbackList, History, ProgressBar
from nnx.callbacks.progress_bar import verbosity
from nnx.graph.graphs import Graphs
from nnx.graph.symbol import Symbol
from nnx.layers.base import Layer
from nnx.losses import Loss, LossLike
from nnx.metrics import Metric, MetricLike
from nnx.metrics import get as _metric
from nnx.optimizers import Optimizer, OptimizerLike
from nnx.saving import model_file, snapshot, weights_file
from nnx.training import devices, evaluate, fit, gradients, steps
from nnx.training.activations import activations as _activations
from nnx.training.activations import name_of
from nnx.training.gradients import apply_gradients as _apply_gradients
from nnx.training.learner import Learner

if TYPE_CHECKING:
    from typing_extensions import Self

Callbacks: TypeAlias = Callback | Iterable[Callback] | None


class _DirectLayers:
    """The layers directly inside, as a list; gives way to an attribute of the model's own."""

    def __get__(self, model: Model | None, owner: type) -> list[Layer]:
        return [] if model is None else [layer for _, layer in model.children()]


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

    layers = _DirectLayers()

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._learner = Learner(Graphs(self))

    def __getstate__(self) -> dict[str, Any]:
        with self._learner.graphs.lock:
            return {**vars(self), "_learner": snapshot.take(self._learner)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _learner=Learner(Graphs(self)))
        snapshot.restore(self._learner, state["_learner"])

    # What the model was compiled with, and how far it has come

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer; None before `compile`."""
        return self._learner.optimizer

    @property
    def loss(self) -> Loss | None:
        """The loss; None before `compile`, or without one."""
        return self._learner.loss

    @property
    def metrics(self) -> list[Metric]:
        """The metrics."""
        return self._learner.metrics

    @property
    def device(self) -> str:
        """The device that weights and programs are on."""
        return self._learner.device

    @property
    def precision(self) -> str:
        """The precision of products, see `compile`."""
        return self._learner.precision

    @property
    def seed(self) -> int | None:
        """The seed of initial weights, shuffles and dropout; None as long as none was needed."""
        return self._learner.state.seed

    @property
    def input_shape(self) -> Shape | None:
        """The shape of a sample; None before the model is built."""
        return self._learner.graphs.input_shape

    @property
    def epoch(self) -> int:
        """The epochs finished since `compile`: the number of the one that trains, or would next."""
        return self._learner.state.epoch

    @property
    def steps_per_epoch(self) -> int | None:
        """How many steps make an epoch where they are taken one by one: as in the last `fit`, or as set here.

        None where no `fit` has told: the epoch then stays, and with it schedules per epoch.
        """
        return self._learner.state.steps_per_epoch

    @steps_per_epoch.setter
    def steps_per_epoch(self, steps: int | None) -> None:
        self._learner.state.steps_per_epoch = (
            None if steps is None else integer(type(self).__name__, "steps_per_epoch", steps)
        )

    @property
    def diagnostics(self) -> list[dict[str, dict[str, float]]]:
        """What the `Diagnostics` callback had measured, of each epoch of the last run: by layer, by quantity."""
        return self._learner.state.diagnostics

    @property
    def stop_training(self) -> bool:
        """Set by a callback, ends `fit` after the current epoch or, from a hook of batches, step."""
        return self._learner.state.stop_training

    @stop_training.setter
    def stop_training(self, stop: bool) -> None:
        self._learner.state.stop_training = bool(stop)

    # Building and compiling

    def build(self, input_shape: Sequence[int]) -> None:
        """Makes the weights for inputs of this shape, given without the batch axis; `fit` does it by itself."""
        self._learner.graphs.build(tuple(integer("build", "input_shape", n) for n in input_shape))

    def compile(
        self,
        optimizer: OptimizerLike = "sgd",
        loss: LossLike | None = None,
        metrics: MetricLike | Iterable[MetricLike] | None = None,
        device: str = "auto",
        precision: str = "float32",
        seed: int | None = None,
    ) -> None:
        """Settles how the model is trained. Weights keep their values, the optimizer begins anew.

        Args:
            optimizer: "sgd", "adam", "adamw", an Optimizer or its class.
            loss: a name or a Loss; None for a model that only predicts.
            metrics: names, classes, objects or functions of `nnx.metrics`.
            device: "cpu", "cuda", "cuda:1", or "auto": CUDA where it is there.
            precision: "float32" (strict IEEE on every device), "float64", or, on CUDA, "tf32" or "bfloat16":
                the factors of dense and convolutional layers' products are rounded to 10 or 7 bits of mantissa
                for the tensor cores; weights, sums, losses and updates stay float32.
            seed: for initial weights, shuffles and dropout; None draws one from `nnx.set_seed`'s.

        Raises:
            ValueError, TypeError: naming the argument that does not fit.
            RuntimeError: where the model trains, in a callback say.
        """
        if self._learner.state.running:
            raise RuntimeError(
                "compile: the model trains; what it trains with cannot be changed before that is over"
            )
        place = devices.resolve_device(device)
        devices.check_precision(precision, place)
        if metrics is None:
            metrics = ()
        if isinstance(metrics, (str, Metric, type)) or callable(metrics):
            metrics = (metrics,)
        self._learner.compile(
            optimizers.get(optimizer),
            None if loss is None else losses.get(loss),
            [_metric(metric) for metric in metrics],
            place,
            precision,
            seeds.draw() if seed is None else seeds.check(seed),
        )

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
        callbacks: Callbacks = None,
        initial_epoch: int | None = None,
        resume: bool = False,
        verbose: int | str = "auto",
        accumulate: int = 1,
    ) -> History:
        """Trains the model: `epochs` epochs more.

        The model counts the epochs and steps that it has lived through since `compile`; shuffles, dropout and
        schedules follow these counts. So ten calls with epochs=1 are, bit for bit, one with epochs=10.

        Args:
            x: inputs (N, ...): float32, float64 or uint8, memory-mapped arrays included, are taken as they
                are; or an iterable of batches (x, y) or (x, y, sample_weight), gone through once an epoch.
            y: targets: labels (N,), distributions (N, K), or values like the outputs, as the loss has it.
            batch_size: samples per step; the last step of an epoch may have fewer.
            epochs: how many to train; beside `initial_epoch`, the epoch to stop before.
            shuffle: a new order for each epoch, by seed and epoch.
            validation_split: the share of samples to validate with; they are drawn at random, classes in
                proportion.
            validation_data: (x, y) or (x, y, sample_weight), or an iterable of batches.
            class_weight: a dict or an array of weights by class.
            sample_weight: (N,).
            callbacks: see `nnx.callbacks`.
            initial_epoch: sets the count of epochs first, as in Keras; None goes on where the model stands.
            resume: goes on with the run that the model was saved in, or that was cut off by Ctrl-C, say:
                also from within an epoch, and to the same weights and history, bit for bit, as if it had not
                been. Called with that run's arguments: `epochs` is the total that it was to reach. Where
                there is no such run, one begins.
            verbose: 0 silent, 1 a bar, 2 a line per epoch; "auto" as it suits the output.
            accumulate: batches to a step, which is as one of so large a batch but for BatchNorm's statistics.

        Returns:
            The History of this call; of a run that was resumed, that of the whole run.

        Raises:
            ValueError, TypeError: naming the argument that does not fit, before anything is trained.
            RuntimeError: where the model trains already, in a call that a callback is part of.
            KeyboardInterrupt: on Ctrl-C, after the callbacks' on_train_end; the model is as after its last step.
        """
        plan = fit.Plan(
            batch_size=integer("fit", "batch_size", batch_size),
            epochs=integer("fit", "epochs", epochs, low=0),
            shuffle=bool(shuffle),
            validation_split=validation_split,
            validation_data=validation_data,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=None
            if initial_epoch is None
            else integer("fit", "initial_epoch", initial_epoch, low=0),
            resume=bool(resume),
            accumulate=integer("fit", "accumulate", accumulate),
        )
        level = verbosity(verbose)
        given = _list_of(callbacks)
        history = History()
        bars = [ProgressBar(level)] if level else []
        with self._learner.one_fit(), self._learner.graphs.lock:
            run = fit.Run(self._learner, x, y, plan)
            run.train(CallbackList([*bars, *given, history], self, {**run.params, "verbose": level}))
        return history

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 256,
        sample_weight: npt.ArrayLike | None = None,
        callbacks: Callbacks = None,
    ) -> dict[str, Any]:
        """Loss and metrics on data given as in `fit`: {"loss": ..., "accuracy": ...}."""
        size = integer("evaluate", "batch_size", batch_size)
        hooks = CallbackList(_list_of(callbacks), self, {})
        with self._learner.graphs.lock:
            return evaluate.evaluate(self._learner, x, y, size, sample_weight, hooks)

    def predict(self, x: Any, batch_size: int = 256, callbacks: Callbacks = None) -> NDArray:
        """The model's outputs (N, ...) for inputs x (N, ...)."""
        size, extra = integer("predict", "batch_size", batch_size), _list_of(callbacks)
        hooks = CallbackList(extra, self, {}) if extra else None
        with self._learner.graphs.lock:
            return evaluate.predict(self._learner, x, size, hooks)

    def train_step(self, x: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> float:
        """One step on one batch, for loops of one's own; returns the batch's loss before it.

        It moves the clocks that `fit` moves: `optimizer.iterations`, and every `steps_per_epoch` steps `epoch`.
        """
        with self._learner.graphs.lock:
            return steps.train_step(self._learner, x, y, sample_weight)

    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: ClassWeight = None,
    ) -> dict[str, Any]:
        """As `train_step`; returns the batch's loss and metrics before it: {"loss": ..., "accuracy": ...}."""
        with self._learner.graphs.lock:
            return steps.train_on_batch(self._learner, x, y, sample_weight, class_weight)

    def test_on_batch(self, x: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> dict[str, Any]:
        """Loss and metrics of one batch, as `evaluate` gives them."""
        return self.evaluate(x, y, max(1, len(x)), sample_weight)

    def predict_on_batch(self, x: Any) -> NDArray:
        """The outputs for one batch, as `predict` gives them."""
        return self.predict(x, max(1, len(x)))

    def __call__(self, x: Any) -> Any:
        """Outputs for an array, in one batch; for a Symbol, this model as a part of another."""
        if isinstance(x, Symbol):
            return super().__call__(x)
        inputs = data.features(x)
        outputs = evaluate.predict(self._learner, inputs, max(1, len(inputs)))
        return _core.tensor(outputs, device=x.device) if isinstance(x, _core.Tensor) else outputs

    def ensure_built(self, input_shape: Shape) -> None:
        """As part of another model there is nothing to do: the inner layers build themselves."""

    def gradients(
        self, x: Any, y: Any, sample_weight: npt.ArrayLike | None = None
    ) -> tuple[float, dict[str, NDArray]]:
        """Loss and gradients of one batch, as a step would have them; weights stay as they are.

        Dropout drops what the next step would, batch norms take the batch's statistics and, as in a forward
        pass of training, move their running ones.

        Args:
            x: inputs (N, ...).
            y: targets.
            sample_weight: (N,).

        Returns:
            The loss, and the gradients of the weights that are trained by their names in `state_dict`, before
            any weight decay or clipping.
        """
        with self._learner.graphs.lock:
            return gradients.gradients(self._learner, x, y, sample_weight)

    def apply_gradients(self, gradients: Mapping[str, npt.ArrayLike | None]) -> None:
        """One step of the compiled optimizer with these gradients; it moves the clocks that `fit` moves.

        A loop of `gradients` and `apply_gradients` is, bit for bit, what `fit` does on the same batches.

        Args:
            gradients: a gradient for each weight that is trained, by name, as `gradients` gives them.

        Raises:
            ValueError: listing gradients that are missing, unexpected, of another shape or not finite; nothing
                has changed then.
        """
        with self._learner.graphs.lock:
            _apply_gradients(self._learner, gradients)

    def activations(self, x: Any, layers: Any = None, batch_size: int = 256) -> dict[str, NDArray]:
        """Outputs of layers by name, in order of use, as in prediction.

        Args:
            x: inputs (N, ...).
            layers: names, indices or layers, several or one; None for all that `forward` uses.
            batch_size: samples at a time.

        Returns:
            Arrays (N, ...); of a layer that is used several times, what it put out last.

        Raises:
            ValueError: for layers that are not in the model; it names those that are.
        """
        size = integer("activations", "batch_size", batch_size)
        with self._learner.graphs.lock:
            return _activations(self._learner, x, layers, size)

    def get_layer(self, name: str | int | None = None, index: int | None = None) -> Layer:
        """A layer by its name in `state_dict`, "conv2d_1" or "block.dense", or by its number.

        Raises:
            ValueError: where there is none; it names those that there are.
        """
        if (name is None) == (index is None):
            raise ValueError("get_layer: expected a name or an index")
        found = name_of(self, name if index is None else index, "get_layer")
        return dict(self.walk())[found]

    def summary(self, batch_size: int = 1, print_fn: Callable[[str], Any] | None = print) -> str:
        """Prints a table of layers, output shapes, parameters and FLOPs, and the memory a training batch takes.

        To that each thread adds, on the CPU, what its kernels need of 4 MB of scratch memory.

        Args:
            batch_size: samples of the batch that FLOPs and memory are told for; nothing is allocated for it.
            print_fn: called with the text; None prints nothing.

        Returns:
            The text.

        Raises:
            ValueError: before the model is built.
        """
        text = summary.table(self._learner, integer("summary", "batch_size", batch_size))
        if print_fn is None:
            return text
        print_fn(text)
        return summary.Printed(text)

    def __repr__(self) -> str:
        return looking.text(self)

    def _repr_html_(self) -> str:
        return looking.html(self, self._learner)

    def to(self, device: str) -> Self:
        """Moves weights, the optimizer's state and all further work to a device; clocks go on.

        Args:
            device: as in `compile`.

        Returns:
            The model itself.

        Raises:
            ValueError: where the device is not there, or does not compute in the model's precision.
            RuntimeError: where the model trains.
        """
        if self._learner.state.running:
            raise RuntimeError("to: the model trains; it cannot be moved before that is over")
        place = devices.resolve_device(device)
        devices.check_precision(self._learner.precision, place)
        self._learner.move(place)
        return self

    # Keeping

    def learning(self) -> Learner:
        """How the model learns, for the rooms that keep it."""
        return self._learner

    def save(self, path: str | Path) -> None:
        """Writes the whole model to one .safetensors file, which `nnx.load` reads.

        In it are architecture, weights, optimizer with its state, schedule, clocks, seed, and, while `fit` runs
        or after it was cut off, the place within the epoch: `fit(resume=True)` goes on from there. The file is
        whole or not written at all.

        Args:
            path: the file; one that is there is replaced.

        Raises:
            TypeError: where a layer has an argument that cannot be written, a lambda say.
            OSError: where the file cannot be written; one that was there is as it was.
        """
        with self._learner.graphs.lock:
            model_file.save(self, self._learner, path)

    def save_weights(self, path: str | Path) -> None:
        """Writes the weights alone, under the names of `state_dict`, to a .safetensors file.

        Raises:
            ValueError: before the model is built.
            OSError: where the file cannot be written; one that was there is as it was.
        """
        with self._learner.graphs.lock:
            weights_file.save(self.state_dict(), path)

    def load_weights(self, path: str | Path, strict: bool = True) -> weights_file.Difference:
        """Sets the weights from a file that `save_weights` or `save` wrote, or any .safetensors file.

        All are set or, where the file does not fit, none. The optimizer's state and the clocks stay.

        Args:
            path: the file.
            strict: whether file and model must have the same names; else those that both have are set.

        Returns:
            The names that are `missing` in the file, and those in it that are `unexpected`.

        Raises:
            ValueError: for a damaged or foreign file, and for names or shapes that do not fit: it lists them.
            OSError: where the file cannot be read.
        """
        with self._learner.graphs.lock:
            return weights_file.load(self._learner.graphs.named_weights(), path, strict)

    # Weights

    def state_dict(self, averaged: bool = False) -> dict[str, NDArray]:
        """Copies of all weights by name, {"dense.kernel": ...}; averaged: as their averages, see `Optimizer.ema`."""
        if averaged:
            return self._learner.averages()
        self._learner.bound()  # a value drawn now is drawn from the model's seed
        return {name: weight.numpy() for name, weight in self._learner.graphs.named_weights().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sets all weights, or none: ValueError lists what is missing, unexpected or of another shape."""
        named = self._learner.graphs.named_weights()
        try:
            model_file.expect_arrays(named, state)
        except ValueError as error:
            raise ValueError(f"load_state_dict: {error}") from None
        arrays = {name: weight.checked(state[name]) for name, weight in named.items()}
        for name, weight in named.items():
            weight.assign(arrays[name])

    def get_weights(self) -> list[NDArray]:
        """Copies of all weights, in the order of `state_dict`."""
        return list(self.state_dict().values())

    def set_weights(self, weights: Sequence[npt.ArrayLike]) -> None:
        """Sets all weights, or none, from a list as `get_weights` gives it."""
        names = list(self._learner.graphs.named_weights())
        if len(weights) != len(names):
            raise ValueError(f"set_weights: expected {len(names)} arrays, got {len(weights)}")
        self.load_state_dict(dict(zip(names, weights, strict=True)))

    def count_params(self) -> int:
        """The number of elements of all weights, trained or not; ValueError before the model is built."""
        return sum(weight.size for weight in self._learner.graphs.named_weights().values())


def _list_of(callbacks: Callbacks) -> list[Callback]:
    """One callback, several, or none."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback):
        return [callbacks]
    if not isinstance(callbacks, Iterable) or isinstance(callbacks, (str, type)):
        got = callbacks.__name__ if isinstance(callbacks, type) else type(callbacks).__name__
        raise TypeError(f"argument 'callbacks' expected Callback objects, got {got}")
    return list(callbacks)
