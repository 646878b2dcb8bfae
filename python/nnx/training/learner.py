"""What training takes of a model: its graphs and their store, how it was compiled, the state of its run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from nnx import _core, data, losses
from nnx._checks import warn
from nnx._types import NDArray, Shape
from nnx.data import TargetKind
from nnx.graph.graphs import Graphs, Place
from nnx.graph.tracing import Traced
from nnx.losses import Loss
from nnx.metrics import Metric, Setting
from nnx.optimizers import Optimizer
from nnx.training import advice, devices
from nnx.training.programs import Programs
from nnx.training.state import RunState
from nnx.training.totals import metric_specs

# What the core calls the precision of products.
_PRODUCTS = {"float32": "strict", "float64": "strict", "tf32": "tf32", "bfloat16": "bfloat16"}


@dataclass
class Learner:
    """A model as training sees it."""

    graphs: Graphs
    programs: Programs = field(default_factory=Programs)
    state: RunState = field(default_factory=RunState)
    optimizer: Optimizer | None = None
    loss: Loss | None = None
    metrics: list[Metric] = field(default_factory=list)
    device: str = "cpu"
    precision: str = "float32"
    _advice: set[str] = field(default_factory=set)  # what was said
    _advised_on: Traced | None = None
    _fitting: threading.Lock = field(default_factory=threading.Lock)
    _fitter: int = 0  # the thread that holds it

    def compile(
        self,
        optimizer: Optimizer,
        loss: Loss | None,
        metrics: list[Metric],
        device: str,
        precision: str,
        seed: int,
    ) -> None:
        """Begins anew with these; weights keep their values."""
        self.optimizer, self.loss, self.metrics = optimizer, loss, metrics
        self.device, self.precision = device, precision
        self.state = RunState(seed)
        self._advice.clear()
        self._advised_on = None
        optimizer.iterations = 0
        self.graphs.release(device, devices.dtype_of(precision))
        self.programs.clear()

    @contextmanager
    def one_fit(self) -> Iterator[None]:
        """RuntimeError, at once, where another thread is within this."""
        me = threading.get_ident()
        if self._fitting.acquire(blocking=False):
            self._fitter = me
            try:
                yield
            finally:
                self._fitting.release()
        elif self._fitter == me:
            raise RuntimeError("fit: the model trains already, in a call that is not over: a callback's?")
        else:
            raise RuntimeError("fit: the model trains already, in another thread")

    @property
    def products(self) -> str:
        """The precision of products, as the core calls it."""
        return _PRODUCTS[self.precision]

    def move(self, device: str) -> None:
        """Goes on on another device."""
        self.graphs.move(device, self.dtype)
        self.device = device
        self.programs.clear()

    def rebuild(self, shape: Shape | None) -> None:
        """Goes on with the layers that the model has now, for samples of this shape; None: not built yet."""
        self.graphs.rebuild(shape, self.device, self.dtype)
        self.programs.clear()

    @property
    def dtype(self) -> str:
        """The dtype of weights, activations and gradients."""
        return devices.dtype_of(self.precision)

    def bound(self, shape: Shape | None = None) -> Traced:
        """The graph for samples of this shape, by default of the model's own, over its weights."""
        place = Place(self.device, self.dtype, self.state.drawn_seed, self.optimizer is not None)
        return self.graphs.bound(place, shape)

    def graph(self, shape: Shape) -> Traced:
        """The same, built where it is not; ValueError names the shape the model was built for."""
        expected = self.graphs.input_shape
        if expected is None:
            self.graphs.root.build(shape)
        if expected is None or shape == expected:
            return self.bound(shape)
        try:
            traced = self.bound(shape)
            if data.is_turned(shape, expected):
                self._say(f"argument 'x' has samples of shape {shape}, not {expected}; {data.TRANSPOSE}")
            return traced
        except ValueError as error:
            raise ValueError(
                f"argument 'x' expected samples of shape {expected}, got {shape}"
                f"{data.shape_hint(shape, expected)} ({error})"
            ) from None

    def prediction_program(self, traced: Traced, batch: int) -> _core.Program:
        """The program that computes the model's outputs."""
        return self.programs.get(
            "predict", traced, max(1, batch), precision=self.products, averaged=self.averaged
        )

    @property
    def averaged(self) -> bool:
        """Whether there are averages of weights, to evaluate and predict with."""
        return self.optimizer is not None and self.optimizer.has_averages

    def averages(self) -> dict[str, NDArray]:
        """Copies of weights by name, those that are trained as their averages; ValueError without averages."""
        traced = self.bound()
        if not self.averaged:
            raise ValueError(
                "state_dict: argument 'averaged' expected False, as no optimizer with ema has made a step"
            )
        assert traced.store is not None
        slots = ["average" if trained else "value" for trained in traced.store.trainable]
        named = self.graphs.named_weights()
        return {name: traced.store.get(weight.index, slots[weight.index]) for name, weight in named.items()}

    def applying_program(self, traced: Traced) -> _core.Program:
        """The program that updates weights by gradients that are there."""
        assert self.optimizer is not None
        return self.programs.get(
            "apply",
            traced,
            1,
            optimizer=self.optimizer.spec(),
            apply=True,
            parameter_specs=traced.specs,
        )

    def program(
        self,
        role: Literal["train", "evaluate", "gradients"],
        traced: Traced,
        batch: int,
        kind: TargetKind,
        accumulate: int = 1,
        measure_every: int = 0,
    ) -> _core.Program:
        """The program that trains the model, evaluates it, or stops at the gradients, on targets of this kind.

        `accumulate`: how many batches make a step.
        """
        assert self.loss is not None
        assert self.optimizer is not None
        if role == "train":
            self._advise(traced)
        return self.programs.get(
            role,
            traced,
            max(1, batch),
            loss=self.loss.spec(kind, traced.output.activation),
            optimizer=self.optimizer.spec() if role == "train" else None,
            metrics=[] if role == "gradients" else metric_specs(self.metrics, self.setting(traced, kind)),
            seed=self.state.seed or 0,
            precision=self.products,
            parameter_specs=traced.specs,
            accumulate=accumulate,
            averaged=role == "evaluate" and self.averaged,
            measure_every=measure_every,
        )

    def _advise(self, traced: Traced) -> None:
        """Says once, since `compile`, what will not learn."""
        if self._advised_on is traced:
            return
        self._advised_on = traced
        for text in advice.standing_still(self.graphs.root, traced):
            self._say(text)

    def _say(self, text: str) -> None:
        if text not in self._advice:
            self._advice.add(text)
            warn(text)

    def setting(self, traced: Traced, kind: TargetKind) -> Setting:
        """What the model's metrics look at."""
        shape = traced.output_shape
        entropy = self.loss if isinstance(self.loss, losses.BinaryCrossentropy) else None
        return Setting(
            shape,
            kind,
            binary=entropy is not None or (kind == "values" and shape[-1:] == (1,)),
            logits=entropy is not None and entropy.takes_logits(traced.output.activation),
        )

    def expect_compiled(self) -> tuple[Optimizer, Loss]:
        """ValueError unless the model can be trained."""
        if self.optimizer is None or self.loss is None:
            missing = "compile" if self.optimizer is None else "compile with a loss"
            raise ValueError(f"the model cannot be trained or evaluated yet: call {missing} first")
        return self.optimizer, self.loss
