"""Weights that change within the backward pass: by the kernel that computes their gradient, or right after it."""

import nnx
import numpy as np
import pytest
import reference
from harness import FILLS, FLOATS, check_close, check_sums, draw, same_bits
from nnx import _core

RULES = {
    "plain": {},
    "decay": {"weight_decay": 2.0},
    "momentum": {"momentum": 3.0, "weight_decay": 1.0},
    "nesterov": {"momentum": 2.0, "nesterov": True, "weight_decay": 1.0},
}
# Rows, inputs, outputs: remainders of a tile, around the blocks, many rows, rows by themselves.
SIZES = [
    *((n, (n * 7 + o) % 19 + 1, o) for n in (1, 2, 5, 13) for o in range(1, 70, 5)),
    *((1, 300, o) for o in (7, 16, 33, 64, 130, 1030)),
    (3, 513, 66), (6, 255, 64), (13, 256, 65), (29, 257, 31), (32, 100, 128), (64, 512, 10), (70, 513, 33),
    (145, 17, 40), (256, 64, 257), (257, 255, 17), (300, 600, 96), (513, 70, 255), (2100, 5, 7), (4000, 30, 25),
    (5003, 9, 1), (3000, 60, 64), (9000, 14, 530),
]  # fmt: skip


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rule", RULES)
def test_a_dense_layer_is_updated_by_its_formula(rng, rule, dtype, fill):
    """In whole numbers to the last bit: learning rate, momentum and decay are whole as well."""
    rule = RULES[rule]
    for n, i, o in SIZES:
        shapes = [(n, i), (n, o), (i, o), (o,), (i, o), (o,)]
        if fill == "integers":  # the largest sum of products stays exact
            x, t, w, b, vw, vb = (rng.integers(-1, 2, s).astype(dtype) for s in shapes)
        else:
            x, t, w, b, vw, vb = (draw(rng, s, dtype) for s in shapes)
        rate = 1.0 if fill == "integers" else 0.25 / n  # at 1 / n the weights would all but vanish
        got = one_step(x, t, [w, b], [vw, vb], rate, rule)
        dy = reference.dense(x, w, b) - t
        _, *gradients = reference.dense_backward(dy, x, w)
        _, *sums = reference.dense_backward(np.abs(dy), np.abs(x), np.abs(w))
        for p, v, g, scale, (got_p, got_v) in zip((w, b), (vw, vb), gradients, sums, got, strict=True):
            p, v = p.astype(np.float64), v.astype(np.float64)
            reference.sgd_update(p, g, v if "momentum" in rule else None, rate, **rule)
            magnitude = 20 * (np.abs(p) + np.abs(v) + scale * rate) if fill == "real" else None
            check_sums(got_p, p, fill, f"{n, i, o}", magnitude)
            if "momentum" in rule:
                check_sums(got_v, v, fill, f"velocity, {n, i, o}", magnitude)


def one_step(x, t, values, velocities, rate, rule):
    """[(parameter, velocity)] of a dense layer after one step on half the sum of squared errors."""
    graph = _core.Graph()
    shapes = [value.shape for value in values]
    nodes = [graph.parameter(i, shape) for i, shape in enumerate(shapes)]
    output = graph.dense(graph.input(x.shape[1:]), *nodes)
    parameters = _core.Parameters(["w", "b"], shapes, [True, True], dtype=str(x.dtype))
    for i, (value, velocity) in enumerate(zip(values, velocities, strict=True)):
        parameters.set(i, value)
        if "momentum" in rule:
            parameters.set(i, velocity, "state0")
    loss = {"kind": "half_sum_squared_error", "targets": "values", "reduction": "sum"}
    program = _core.Program(graph, output, parameters, len(x), True, loss, {"kind": "sgd"} | rule)
    assert program.memory()["gradients"] == 0
    program.train_step(x, t, None, rate, 0)
    slot = "state0" if "momentum" in rule else "value"
    return [(parameters.get(i), parameters.get(i, slot)) for i in range(2)]


OPTIONS = [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}]


def trained(make, x, t, options, *, at_the_end, steps=3, precision="float32"):
    """Weights after some steps. A bound on the norm that is never reached keeps all updates at the end."""
    model = make()
    bound = {"clip_norm": 1e30} if at_the_end else {}
    model.compile(nnx.SGD(0.01, **options, **bound), "mse", precision=precision, seed=1)
    for _ in range(steps):
        model.train_step(x, t)
    return model.get_weights()


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_bits_are_those_of_an_update_at_the_end(rng, options, precision):
    """Where the reduction over the rows is not split, so below 2048 of them."""
    for rows in (1, 2, 7, 32, 300, 1030):
        for inputs, units in (
            (5, (3,)), (70, (33, 10)), (128, (128, 64, 32)), (50, (300, 130, 10)), (784, (128, 10)),
        ):  # fmt: skip
            x, t = draw(rng, (rows, inputs)), draw(rng, (rows, units[-1]))

            def make(units=units):
                return nnx.Sequential(*(nnx.Dense(n, activation="relu") for n in units))

            ways = [
                trained(make, x, t, options, at_the_end=end, precision=precision) for end in (False, True)
            ]
            for a, b in zip(*ways, strict=True):
                assert same_bits(a + 0, b + 0), (rows, inputs, units)  # + 0: no matter which zero


def convolutions():
    return nnx.Sequential(
        nnx.Conv2D(6, 3, activation="relu"), nnx.BatchNorm(), nnx.MaxPool2D(2), nnx.Flatten(), nnx.Dense(3)
    )


class Twice(nnx.Model):
    """One layer's weights used twice, another's not at all."""

    def __init__(self):
        super().__init__()
        self.shared, self.last, self.unused = nnx.Dense(12, activation="tanh"), nnx.Dense(3), nnx.Dense(3)

    def forward(self, x):
        return self.last(self.shared(self.shared(x)))


class Fork(nnx.Model):
    """Two layers whose input gradients add up."""

    def __init__(self):
        super().__init__()
        self.first, self.left, self.right = nnx.Dense(60, activation="tanh"), nnx.Dense(70), nnx.Dense(70)
        self.last = nnx.Dense(3)

    def forward(self, x):
        x = self.first(x)
        return self.last(self.left(x) + self.right(x))


def frozen():
    model = nnx.Sequential(nnx.Dense(20, activation="relu"), nnx.Dense(40, activation="tanh"), nnx.Dense(3))
    model.layers[1].trainable = False
    return model


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(
    ("make", "shape"),
    [(convolutions, (8, 8, 2)), (Twice, (12,)), (Fork, (12,)), (frozen, (30,))],
    ids=lambda v: getattr(v, "__name__", str(v)),
)
@pytest.mark.parametrize("rows", [1, 9])
@pytest.mark.filterwarnings("ignore:'unused' will not learn")
def test_parameters_of_all_kinds(rng, make, shape, options, rows):
    x, t = draw(rng, (rows, *shape)), draw(rng, (rows, 3))
    at_once, at_the_end = (trained(make, x, t, options, at_the_end=end) for end in (False, True))
    for a, b in zip(at_once, at_the_end, strict=True):
        check_close(a, b, 4)
