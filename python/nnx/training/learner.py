"""What training takes of a model: its graphs and their store, how it was compiled, the state of its run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from nnx import _core, data
from nnx._checks import warn
from nnx._types import NDArray
from nnx.data import TargetKinds
from nnx.graph import inputs
from nnx.graph.graphs import Graphs, Place
from nnx.graph.inputs import InputShape as Shape
from nnx.graph.tracing import Traced
from nnx.metrics import Setting
from nnx.optimizers import Optimizer
from nnx.training import advice, devices, heads
from nnx.training.heads import Head, Watched
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
    loss: Any = None  # a Loss, or lists or dicts by output of them
    metrics: Any = field(default_factory=list)
    loss_weights: Any = None
    device: str = "cpu"
    precision: str = "float32"
    _advice: set[str] = field(default_factory=set)  # what was said
    _advised_on: Traced | None = None
    _fitting: threading.Lock = field(default_factory=threading.Lock)
    _fitter: int = 0  # the thread that holds it

    def compile(
        self,
        optimizer: Optimizer,
        loss: Any,
        metrics: Any,
        device: str,
        precision: str,
        seed: int,
        loss_weights: Any = None,
    ) -> None:
        """Begins anew with these; weights keep their values."""
        self.optimizer, self.loss, self.metrics = optimizer, loss, metrics
        self.loss_weights = loss_weights
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
        if inputs.is_several(shape) or inputs.is_several(expected):
            return self._other_shapes(shape, expected)
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

    def _other_shapes(self, shape: Shape, expected: Shape) -> Traced:
        try:
            return self.bound(shape)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"argument 'x' expected samples of shapes {expected}, got {shape} ({error})"
            ) from None

    def heads(self, traced: Traced) -> list[Head]:
        """The outputs with their losses and metrics; ValueError where those do not fit the model's outputs."""
        return heads.resolve(traced, self.loss, self.loss_weights, self.metrics)

    @property
    def by_output(self) -> bool:
        """Whether something was given by output, even for a single one."""
        return (
            isinstance(self.loss, (dict, list, tuple))
            or isinstance(self.metrics, dict)
            or (self.loss_weights is not None or any(isinstance(m, (list, tuple)) for m in self.metrics))
        )

    def losses(self, traced: Traced, kind: TargetKinds) -> Any:
        """The losses as the core takes them."""
        if not traced.layout.several:
            if self.by_output:
                return heads.loss_spec(traced, self.heads(traced)[0], kind, 0)  # type: ignore[arg-type]
            return self.loss.spec_of(kind, traced.output)
        return [
            None if head.loss is None else heads.loss_spec(traced, head, kind[k], k)  # type: ignore[arg-type]
            for k, head in enumerate(self.heads(traced))
        ]

    def usual_losses(self, traced: Traced) -> Any:
        """The losses on targets of their usual kind, where none are at hand."""
        usual = tuple(
            "labels" if head.loss is not None and head.loss.kind == "softmax_cross_entropy" else "values"
            for head in self.heads(traced)
        )
        return self.losses(traced, usual if traced.layout.several else usual[0])  # type: ignore[arg-type]

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
        kind: TargetKinds,
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
            loss=self.losses(traced, kind),
            optimizer=self.optimizer.spec() if role == "train" else None,
            metrics=[] if role == "gradients" else self._metric_specs(traced, kind),
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

    def setting(self, traced: Traced, kind: TargetKinds) -> Setting | Watched:
        """What the model's metrics look at."""
        if not traced.layout.several:
            loss = self.heads(traced)[0].loss if self.by_output else self.loss
            return heads.setting(traced, loss, kind)  # type: ignore[arg-type]
        return Watched(
            (head, None if head.loss is None else heads.setting(traced, head.loss, kind[k], k))  # type: ignore[arg-type]
            for k, head in enumerate(self.heads(traced))
        )

    def metrics_of(self, traced: Traced) -> Any:
        """The metrics of an only output."""
        if not traced.layout.several and self.by_output:
            return list(self.heads(traced)[0].metrics)
        return self.metrics

    def _metric_specs(self, traced: Traced, kind: TargetKinds) -> list[dict[str, Any]]:
        return metric_specs(self.metrics_of(traced), self.setting(traced, kind))

    def expect_compiled(self) -> tuple[Optimizer, Any]:
        """ValueError unless the model can be trained."""
        if self.optimizer is None or self.loss is None:
            missing = "compile" if self.optimizer is None else "compile with a loss"
            raise ValueError(f"the model cannot be trained or evaluated yet: call {missing} first")
        return self.optimizer, self.loss
