"""Every family of kernels once, forward and backward, on awkward shapes, and short trainings: food for sanitizers.

Results are compared with the float64 references of tests/, trainings with the CPU. Without pytest this is what there
is of the parity suite. Needs NumPy and nnx alone, and starts in a moment, as a program under a checker should.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nnx
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import reference

Arrays = tuple[Any, ...]
CASES: dict[str, Callable[[Any, Any], Arrays]] = {}
BOUNDS = {"float32": 1e-5, "float64": 1e-12}
# Of the epochs' mean losses and the held-out one, relative. Between float32 and float64 they differ by less than a unit
# of rounding, but for BatchNorm under AdamW, which makes whole steps of a bias's noise (55 units of float32). With
# rounded factors some ReLUs decide otherwise on the way: two units are seen, 16 allowed.
LOSS_BOUNDS = {"float32": 1e-4, "float64": 1e-10, "tf32": 16 * 2.0**-11, "bfloat16": 16 * 2.0**-8}


class Place:
    """nnx.ops on a device: arrays go there, results come back from there."""

    def __init__(self, device: str) -> None:
        self.device = device

    def __getattr__(self, name: str) -> Any:
        function = getattr(nnx.ops, name)
        return lambda *args, **kwargs: function(*map(self.put, args), **kwargs)

    def put(self, value: Any) -> Any:
        """An array, or a list of them, there."""
        if isinstance(value, list):
            return [self.put(item) for item in value]
        return nnx.tensor(value, device=self.device) if isinstance(value, np.ndarray) else value


class Definitions:
    """The references, in float64."""

    def __getattr__(self, name: str) -> Any:
        return getattr(reference, name)

    def put(self, value: np.ndarray) -> np.ndarray:
        """A copy that may be changed."""
        return np.array(value, np.float64)


def case(function: Callable[[Any, Any], Arrays]) -> Callable[[Any, Any], Arrays]:
    """function(ops, draw) -> results"""
    CASES[function.__name__] = function
    return function


def of_dense(rows: int, inner: int, columns: int, activation: str | None) -> None:
    def dense(ops: Any, draw: Any) -> Arrays:
        x, w, b, dy = draw(rows, inner), draw(inner, columns), draw(columns), draw(rows, columns)
        y = ops.dense(x, w, b, activation=activation)
        return y, *ops.dense_backward(dy, x, w), *ops.dense_backward(dy, x, w, need_dx=False)

    CASES[f"dense {rows} x {inner} x {columns}"] = dense


of_dense(1, 1, 1, None)
of_dense(37, 70, 33, "relu")
of_dense(5, 3, 129, "gelu")
of_dense(130, 257, 66, "tanh")
of_dense(128, 784, 10, "sigmoid")
of_dense(2, 1030, 4, None)


def of_conv2d(name: str, images: tuple[int, ...], filters: tuple[int, ...], **options: Any) -> None:
    def conv2d(ops: Any, draw: Any) -> Arrays:
        x, w, b = draw(*images), draw(*filters), draw(filters[-1])
        y = ops.conv2d(x, w, b, **options, activation="relu")
        dy = draw(*y.shape)
        return (
            y,
            *ops.conv2d_backward(dy, x, w, **options),
            *ops.conv2d_backward(dy, x, w, **options, need_dx=False),
        )

    CASES[f"conv2d {name}"] = conv2d


of_conv2d("one channel", (3, 28, 28, 1), (3, 3, 1, 32), padding="same")
of_conv2d("three channels", (2, 31, 29, 3), (11, 11, 3, 17), strides=4, padding=2)
of_conv2d("plain", (3, 12, 11, 9), (3, 3, 9, 20))
of_conv2d("many channels", (2, 13, 13, 64), (3, 3, 64, 72), padding=1)
of_conv2d("strided", (2, 13, 14, 5), (3, 4, 5, 17), strides=(2, 1), padding=((1, 0), (2, 1)))
of_conv2d("grouped", (2, 9, 9, 12), (3, 3, 6, 14), groups=2, padding="same")
of_conv2d("depthwise", (2, 9, 8, 10), (3, 3, 1, 10), groups=10, padding="same")
of_conv2d("dilated", (2, 11, 12, 4), (3, 2, 4, 6), dilation=(2, 3))
of_conv2d("1 x 1", (2, 7, 5, 33), (1, 1, 33, 35))
of_conv2d("whole image", (5, 6, 5, 7), (6, 5, 7, 3))


@case
def max_pool2d(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for shape, window in (((3, 28, 27, 5), (2,)), ((2, 13, 13, 64), (3, 2)), ((1, 7, 5, 3), (3, 1, "same"))):
        y, index = ops.max_pool2d(draw(*shape), *window)
        results += [y, index, ops.max_pool2d_backward(draw(*y.shape), index, shape, *window)]
    return tuple(results)


@case
def avg_pool2d(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for shape, window in (((3, 28, 27, 5), (2,)), ((1, 7, 5, 3), (3, 2, 1, True))):
        y = ops.avg_pool2d(draw(*shape), *window)
        results += [y, ops.avg_pool2d_backward(draw(*y.shape), shape, *window)]
    shape = (3, 5, 7, 33)
    return (
        *results,
        ops.global_avg_pool2d(draw(*shape)),
        ops.global_avg_pool2d_backward(draw(3, 33), shape),
    )


@case
def activations(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for name in ("step", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"):
        for size in (1, 333, 4097):
            x = draw(size)
            y = getattr(ops, name)(x)
            saved = x if name in ("gelu", "silu") else np.asarray(getattr(reference, name)(x), x.dtype)
            results += [y, getattr(ops, f"{name}_backward")(draw(size), saved)]
    return tuple(results)


@case
def softmax(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for name in ("softmax", "log_softmax"):
        for shape, axis in (((37, 10), -1), ((3, 1000), -1), ((4, 33, 5), 1)):
            x = draw(*shape)
            y = getattr(ops, name)(x, axis=axis)
            saved = np.asarray(getattr(reference, name)(x, axis=axis), x.dtype)
            results += [y, getattr(ops, f"{name}_backward")(draw(*shape), saved, axis=axis)]
    return tuple(results)


@case
def losses(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for name in ("mean_squared_error", "mean_absolute_error", "huber", "half_sum_squared_error"):
        y, t = draw(37, 5), draw(37, 5)
        results += [getattr(ops, name)(y, t), getattr(ops, f"{name}_backward")(y, t)]
    targets = (draw(37, 1) > 0).astype(draw(1).dtype)
    z = draw(37, 1)
    p = np.asarray(reference.sigmoid(z), z.dtype)
    for name, first in (("binary_cross_entropy", p), ("sigmoid_binary_cross_entropy", z)):
        results += [getattr(ops, name)(first, targets), getattr(ops, f"{name}_backward")(first, targets)]
    for rows, classes in ((1, 2), (130, 10), (7, 1000)):
        z, labels = draw(rows, classes), np.arange(rows) * 7 % classes
        for options in ({}, {"label_smoothing": 0.1}, {"reduction": "none"}):
            results += [
                ops.softmax_cross_entropy(z, labels, **options),
                ops.softmax_cross_entropy_backward(z, labels, **options),
            ]
    return tuple(results)


@case
def dropout(ops: Any, draw: Any) -> Arrays:
    sizes = ((1,), (333,), (5, 70), (128, 512))
    masks = [ops.dropout_mask(shape, 0.3, 11, 2, 5) for shape in sizes]
    return *masks, *(ops.dropout(draw(*shape), 0.3, 11, 2, 5) for shape in sizes)


@case
def elementwise(ops: Any, draw: Any) -> Arrays:
    shape = (3, 7, 11)
    a, b, c = draw(*shape), draw(*shape), draw(3, 7, 5)
    return (
        ops.add(a, b),
        ops.multiply(a, b),
        ops.concat([a, c]),
        ops.normalize(a, draw(11), np.abs(draw(11)) + 1),
    )


@case
def norms(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for shape in ((5, 70), (3, 9, 7, 17), (300, 1)):
        channels = shape[-1]
        x, dy, gamma, beta = draw(*shape), draw(*shape), draw(channels), draw(channels)
        running = draw(channels), np.abs(draw(channels)) + 1
        results += [ops.batch_norm(x, gamma, beta, *running)]
        results += ops.batch_norm(x, gamma, beta, *running, training=True)
        saved = reference.batch_norm(x, gamma, beta, *running, training=True)[3:]
        results += ops.batch_norm_backward(dy, x, gamma, *(np.asarray(s, x.dtype) for s in saved))
        results += [ops.local_response_norm(x, 5, 0.1), ops.local_response_norm_backward(dy, x, 5, 0.1)]
    return tuple(results)


@case
def optimizers(ops: Any, draw: Any) -> Arrays:
    results: list[Any] = []
    for size in (1, 333, 4100):
        p, g, v = ops.put(draw(size)), ops.put(draw(size)), ops.put(draw(size))
        ops.sgd_update(p, g, v, 0.05, 0.9, True, 0.01)
        q, m, s = ops.put(draw(size)), ops.put(draw(size)), ops.put(np.abs(draw(size)))
        ops.adam_update(q, g, m, s, 3, 0.01, weight_decay=0.1, decoupled=True)
        results += [p, v, q, m, s]
    return tuple(results)


def drawing(dtype: str) -> Callable[..., np.ndarray]:
    """Normal numbers, the same sequence each time."""
    generator = np.random.default_rng(17)
    return lambda *shape: generator.standard_normal(shape).astype(dtype)


def check_case(name: str, device: str, dtype: str) -> None:
    """AssertionError where a result is off."""
    got = CASES[name](Place(device), drawing(dtype))
    want = CASES[name](Definitions(), drawing(dtype))
    assert len(got) == len(want)
    for number, (ours, right) in enumerate(zip(got, want, strict=True)):
        if right is None:
            assert ours is None
            continue
        ours = np.asarray(ours.numpy() if isinstance(ours, nnx.Tensor) else ours)
        right = np.asarray(right)
        assert ours.shape == right.shape, f"result {number}: shape {ours.shape}, expected {right.shape}"
        if right.dtype.kind in "iu":
            assert np.array_equal(ours, right), f"result {number}: other whole numbers"
            continue
        norm = float(np.linalg.norm(right)) or 1.0
        error = float(np.linalg.norm(ours - right)) / norm
        assert error <= BOUNDS[dtype], f"result {number} of {len(want)}: relative error {error:.3g}"


# Trainings


class Branches(nnx.Model):
    """What accumulates gradients, and the layers that LeNet has not."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nnx.Normalize(np.full(3, 100.0), np.full(3, 50.0))
        self.first = nnx.Conv2D(8, 3, padding="same")
        self.norm = nnx.BatchNorm()
        self.second = nnx.Conv2D(8, 3, padding="same", activation="elu")
        self.response = nnx.LocalResponseNorm()
        self.pool = nnx.AvgPool2D(2)
        self.mean = nnx.GlobalAvgPool2D()
        self.out = nnx.Dense(5)

    def forward(self, x: Any) -> Any:
        a = nnx.ops.silu(self.norm(self.first(self.scale(x))))
        b = self.response(self.second(a)) + a
        return self.out(self.mean(nnx.ops.concat([self.pool(b), self.pool(a)])))


def mlp() -> nnx.Model:
    return nnx.models.mlp((9, 9, 3), (33, 17), 5, dropout=0.5)


def lenet() -> nnx.Model:
    return nnx.models.lenet((12, 12, 1), 5)


TRAININGS: dict[str, tuple[Callable[[], nnx.Model], tuple[int, ...], Callable[[], Any]]] = {
    "MLP, SGD": (mlp, (9, 9, 3), lambda: nnx.SGD(0.01, momentum=0.9, clip_norm=1.0)),
    "LeNet, SGD": (lenet, (12, 12, 1), lambda: nnx.SGD(0.01, momentum=0.9)),
    "branches, AdamW": (Branches, (9, 9, 3), lambda: nnx.AdamW(0.001)),
}


def train(name: str, device: str, precision: str) -> list[float]:
    """The losses of a few epochs: full batches, as graphs too, and one that is not."""
    make, shape, optimizer = TRAININGS[name]
    generator = np.random.default_rng(3)
    x = generator.integers(0, 256, (7 * 20 + 3, *shape), dtype=np.uint8)
    y = generator.integers(0, 5, len(x))
    model = make()
    metrics = ["accuracy", "confusion_matrix"] if precision == "float32" else ["accuracy"]
    model.compile(optimizer(), "cross_entropy", metrics, device=device, precision=precision, seed=7)
    scaled = x if name.startswith("branches") else (x / np.float32(128) - 1).astype(np.float32)
    history = model.fit(scaled, y, batch_size=7, epochs=2, verbose=0)
    held_out = model.evaluate(scaled, y, batch_size=16)["loss"]
    outputs = model.predict(scaled, batch_size=11)
    assert np.isfinite(outputs).all(), "outputs that are not finite"
    assert np.isfinite(model.train_step(scaled[:7], y[:7])), "a loss that is not finite"
    return [*history.history["loss"], held_out]


def check_training(name: str, device: str, precision: str) -> None:
    """AssertionError where the losses are not the CPU's."""
    ours = train(name, device, precision)
    right = train(name, "cpu", "float64" if precision == "float64" else "float32")
    error = max(abs(a - b) / abs(b) for a, b in zip(ours, right, strict=True))
    bound = LOSS_BOUNDS[precision]
    assert error <= bound, f"losses {ours}, expected {right}: error {error:.3g}, at most {bound:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", nargs="*", default=[], metavar="TEXT", help="only those that contain one")
    parser.add_argument("--device", default="cuda" if nnx.cuda.is_available() else "cpu")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU too")
    options = parser.parse_args()
    if options.device == "cpu" and not options.dry_run:
        sys.exit(f"no GPU for nnx: {nnx.info()['cuda']['reason']}")
    warnings.simplefilter("error")
    checks: dict[str, Callable[[], None]] = {
        f"{name}, {dtype}": functools.partial(check_case, name, options.device, dtype)
        for name in CASES
        for dtype in BOUNDS
    }
    precisions = ("float32", "float64") if options.device == "cpu" else tuple(LOSS_BOUNDS)
    for name in TRAININGS:
        for precision in precisions:
            run = functools.partial(check_training, name, options.device, precision)
            checks[f"{name}, {precision}"] = run
    failed = 0
    for name, check in checks.items():
        if options.rows and not any(text.lower() in name.lower() for text in options.rows):
            continue
        begin = time.perf_counter()
        try:
            check()
            print(f"ok      {name} ({time.perf_counter() - begin:.2f} s)", flush=True)
        except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)
    print(f"{failed} failed on {options.device}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
