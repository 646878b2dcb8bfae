"""Models: layers put together, compiled into programs, trained and used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy.typing as npt

from nnx import _core, data, looking, optimizers, seeds, summary
from nnx._checks import integer
from nnx._types import ClassWeight, Shape
from nnx.callbacks import CallbackList, History, ProgressBar
from nnx.callbacks.progress_bar import verbosity
from nnx.graph.inputs import names_of, read_shape, symbols_in
from nnx.model import given
from nnx.model.given import Callbacks, LossesLike, MetricsLike
from nnx.model.keeping import KeptModel
from nnx.model.stepping import SteppedModel
from nnx.optimizers import OptimizerLike
from nnx.training import devices, evaluate, fit
from nnx.training.several import samples_of


class Model(KeptModel, SteppedModel):
    """A model, written as a class with layers as attributes and a `forward`.

        class Residual(nnx.Model):
            def __init__(self):
                super().__init__()
                self.inner = nnx.Dense(64, activation="relu")
                self.outer = nnx.Dense(10)

            def forward(self, x):
                return self.outer(self.inner(x) + x)

    `forward` runs once for each input shape, on a Symbol; what it does is then compiled. A layer that is used
    twice has one set of weights. Models are layers themselves. `forward` may take several arguments and return
    a list or a dict: `x` and `y` are then lists or dicts of arrays.

    Without a class: `nnx.Model(inputs, outputs)` of what layers made of `nnx.Input`.
    """

    _without_class: ClassVar[type[Model] | None] = None  # what Model(inputs, outputs) makes

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        """`Model(inputs, outputs)` is a model without a class of its own."""
        if cls is Model and (len(arguments) > 1 or "outputs" in named or "inputs" in named):
            assert cls._without_class is not None
            return super().__new__(cls._without_class)
        return super().__new__(cls)

    # Building and compiling

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of this shape, given without the batch axis; `fit` does it by itself.

        Of several inputs a list of shapes, or, where `forward` takes them as one dict, a dict of shapes.
        """
        self._learner.graphs.build(read_shape(input_shape, lambda n: integer("build", "input_shape", n)))

    def compile(
        self,
        optimizer: OptimizerLike = "sgd",
        loss: LossesLike = None,
        metrics: MetricsLike = None,
        device: str = "auto",
        precision: str = "float32",
        seed: int | None = None,
        loss_weights: Sequence[float] | Mapping[str, float] | float | None = None,
    ) -> None:
        """Settles how the model is trained. Weights keep their values, the optimizer begins anew.

        Args:
            optimizer: "sgd", "adam", "adamw", "rmsprop", "adagrad", "lion", an Optimizer or its class.
            loss: a name or a Loss; None for a model that only predicts. Of several outputs one for all, or a list
                or a dict by output, with None for an output that nothing is learned from.
            metrics: names, classes, objects or functions of `nnx.metrics`. Of several outputs a dict, or a list
                with an entry, perhaps a list, for each; of another length it is for each of them.
            device: "cpu", "cuda", "cuda:1", or "auto": CUDA where it is there.
            precision: "float32" (strict IEEE on every device), "float64", or, on CUDA, "tf32" or "bfloat16":
                the factors of dense and convolutional layers' products are rounded to 10 or 7 bits of mantissa
                for the tensor cores; weights, sums, losses and updates stay float32.
            seed: for initial weights, shuffles and dropout; None draws one from `nnx.set_seed`'s.
            loss_weights: by output, in the sum of losses that is made small; 1 where nothing is said.

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
        self._learner.compile(
            optimizers.get(optimizer),
            given.losses_of(loss),
            given.metrics_of(metrics),
            place,
            precision,
            seeds.draw() if seed is None else seeds.check(seed),
            given.weights_of(loss_weights),
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
        extra = given.list_of(callbacks)
        history = History()
        bars = [ProgressBar(level)] if level else []
        with self._learner.one_fit(), self._learner.graphs.lock:
            run = fit.Run(self._learner, x, y, plan)
            run.train(CallbackList([*bars, *extra, history], self, {**run.params, "verbose": level}))
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
        hooks = CallbackList(given.list_of(callbacks), self, {})
        with self._learner.graphs.lock:
            return evaluate.evaluate(self._learner, x, y, size, sample_weight, hooks)

    def predict(self, x: Any, batch_size: int = 256, callbacks: Callbacks = None) -> Any:
        """The model's outputs (N, ...) for inputs x (N, ...); several as a list or a dict, as `forward` has them."""
        size, extra = integer("predict", "batch_size", batch_size), given.list_of(callbacks)
        hooks = CallbackList(extra, self, {}) if extra else None
        with self._learner.graphs.lock:
            return evaluate.predict(self._learner, x, size, hooks)

    def test_on_batch(self, x: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> dict[str, Any]:
        """Loss and metrics of one batch, as `evaluate` gives them."""
        return self.evaluate(x, y, samples_of(x), sample_weight)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as `predict` gives them."""
        return self.predict(x, samples_of(x))

    def __call__(self, x: Any, *more: Any, **named: Any) -> Any:
        """Outputs for an array, in one batch; for a Symbol, this model as a part of another.

        Several inputs are given one by one, or as a list or a dict.
        """
        if symbols_in((x, *more, named)):
            return super().__call__(x, *more, **named)
        if more or named or isinstance(x, (list, tuple, dict)):
            several = (
                x if not (more or named) else dict(zip(names_of(self), (x, *more), strict=False)) | named
            )
            return evaluate.predict(self._learner, several, samples_of(several))
        inputs = data.features(x)
        outputs = evaluate.predict(self._learner, inputs, max(1, len(inputs)))
        return _core.tensor(outputs, device=x.device) if isinstance(x, _core.Tensor) else outputs

    def ensure_built(self, input_shape: Shape) -> None:
        """As part of another model there is nothing to build: the inner layers build themselves."""
        self._learner.graphs.see(tuple(input_shape))

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
