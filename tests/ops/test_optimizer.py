import nnx
import numpy as np
import pytest
import reference
from harness import FLOATS, Guarded, check_close, draw, expect_bad
from nnx import _core

SIZES = (0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 1001)
SGD = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "weight_decay": 0.01},
    {"momentum": 0.8, "nesterov": True},
    {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05},
]
ADAM = [
    {},
    {"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-3},
    {"weight_decay": 0.1},
    {"weight_decay": 0.1, "decoupled": True},
]


@pytest.fixture(params=[*SIZES, (3, 5), (2, 3, 4, 5)], ids=str)
def shape(request):
    return request.param


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("options", SGD, ids=str)
def test_sgd(rng, shape, options, dtype):
    p, velocity = Guarded(draw(rng, shape, dtype)), Guarded(draw(rng, shape, dtype))
    with_velocity = velocity.view if options.get("momentum") else None
    want_p, want_v = p.view.astype(np.float64), velocity.view.astype(np.float64)
    for _ in range(3):
        g = Guarded(draw(rng, shape, dtype))
        kept = g.view.copy()
        nnx.ops.sgd_update(p.view, g.view, with_velocity, 0.05, **options)
        reference.sgd_update(
            want_p, kept.astype(np.float64), want_v if options.get("momentum") else None, 0.05, **options
        )
        np.testing.assert_array_equal(g.view, kept)
        for guard in (p, g, velocity):
            guard.check()
    check_close(p.view, want_p, 8)
    check_close(velocity.view, want_v, 8)


@pytest.mark.parametrize("dtype", FLOATS)
def test_sgd_on_whole_numbers_is_exact(rng, dtype):
    p, g, v = (draw(rng, 333, dtype, "integers") for _ in range(3))
    want_p, want_v = p.astype(np.float64), v.astype(np.float64)
    options = {"momentum": 0.5, "nesterov": True, "weight_decay": 0.25}
    nnx.ops.sgd_update(p, g, v, 0.125, **options)
    reference.sgd_update(want_p, g.astype(np.float64), want_v, 0.125, **options)
    np.testing.assert_array_equal(p, want_p)
    np.testing.assert_array_equal(v, want_v)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("options", ADAM, ids=str)
def test_adam(rng, shape, options, dtype):
    p = Guarded(draw(rng, shape, dtype))
    m, v = Guarded(np.zeros(shape, dtype)), Guarded(np.zeros(shape, dtype))
    want = [a.view.astype(np.float64) for a in (p, m, v)]
    for step in range(4):
        g = Guarded(draw(rng, shape, dtype))
        _core.adam_update(p.view, g.view, m.view, v.view, step, 0.01, **options)
        reference.adam_update(want[0], g.view.astype(np.float64), *want[1:], step, 0.01, **options)
        for guard in (p, g, m, v):
            guard.check()
    for got, wanted in zip((p, m, v), want, strict=True):
        check_close(got.view, wanted, 32)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("options", SGD, ids=str)
def test_sgd_of_tensors(rng, device, options, dtype):
    for size in (0, 33, 64, 20_001):
        arrays = [draw(rng, size, dtype) for _ in range(3)]
        p, g, velocity = (nnx.tensor(a, device=device) for a in arrays)
        want = [a.astype(np.float64) for a in arrays]
        if not options.get("momentum"):
            velocity, want[2] = None, None
        for _ in range(3):
            nnx.ops.sgd_update(p, g, velocity, 0.05, **options)
            reference.sgd_update(*want, 0.05, **options)
        check_close(p.numpy(), want[0], 8)
        if velocity is not None:
            check_close(velocity.numpy(), want[2], 8)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("options", ADAM, ids=str)
def test_adam_of_tensors(rng, device, options, dtype):
    for size in (0, 33, 64, 20_001):
        arrays = [
            draw(rng, size, dtype),
            draw(rng, size, dtype),
            np.zeros(size, dtype),
            np.zeros(size, dtype),
        ]
        tensors = [nnx.tensor(a, device=device) for a in arrays]
        want = [a.astype(np.float64) for a in arrays]
        for step in range(4):
            _core.adam_update(*tensors, step, 0.01, **options)
            reference.adam_update(*want, step, 0.01, **options)
        for got, wanted in zip(tensors, want, strict=True):
            check_close(got.numpy(), wanted, 32)


RMSPROP = [
    {},
    {"rho": 0.8, "epsilon": 1e-3, "weight_decay": 0.1},
    {"momentum": 0.9},
    {"centered": True, "rho": 0.5},
    {"centered": True, "momentum": 0.7, "weight_decay": 0.05},
]
ADAGRAD = [{}, {"epsilon": 1e-3, "weight_decay": 0.1}]
LION = [{}, {"beta1": 0.7, "beta2": 0.8}, {"weight_decay": 0.1}]
RULES = [
    *(("rmsprop_update", options) for options in RMSPROP),
    *(("adagrad_update", options) for options in ADAGRAD),
    *(("lion_update", options) for options in LION),
]


def states_of(rule, options, rng, shape, dtype):
    """Arrays that the rule keeps, positive where it takes a root; None where the options leave one out."""
    if rule == "rmsprop_update":
        square = np.abs(draw(rng, shape, dtype)) + 1
        mean = draw(rng, shape, dtype) / 8 if options.get("centered") else None
        return [square, mean, draw(rng, shape, dtype) if options.get("momentum") else None]
    return [np.abs(draw(rng, shape, dtype)) + 0.1] if rule == "adagrad_update" else [draw(rng, shape, dtype)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("rule", "options"), RULES, ids=str)
def test_rules(rng, shape, rule, options, dtype):
    p = Guarded(draw(rng, shape, dtype))
    states = [None if a is None else Guarded(a) for a in states_of(rule, options, rng, shape, dtype)]
    given = [None if a is None else a.view for a in states]
    want = [None if a is None else a.astype(np.float64) for a in (p.view, *given)]
    options = {name: value for name, value in options.items() if name != "centered"}
    for _ in range(3):
        g = Guarded(draw(rng, shape, dtype))
        kept = g.view.copy()
        getattr(nnx.ops, rule)(p.view, g.view, *given, 0.01, **options)
        getattr(reference, rule)(want[0], kept.astype(np.float64), *want[1:], 0.01, **options)
        np.testing.assert_array_equal(g.view, kept)
        for guard in filter(None, (p, g, *states)):
            guard.check()
    for got, wanted in zip((p, *states), want, strict=True):
        if got is not None:
            check_close(got.view, wanted, 32)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("rule", "options"), RULES, ids=str)
def test_rules_of_tensors(rng, device, rule, options, dtype):
    for size in (0, 33, 64, 20_001):
        arrays = [draw(rng, size, dtype), *states_of(rule, options, rng, size, dtype)]
        tensors = [None if a is None else nnx.tensor(a, device=device) for a in arrays]
        want = [None if a is None else a.astype(np.float64) for a in arrays]
        numbers = {name: value for name, value in options.items() if name != "centered"}
        for _ in range(3):
            g = draw(rng, size, dtype)
            getattr(nnx.ops, rule)(tensors[0], nnx.tensor(g, device=device), *tensors[1:], 0.01, **numbers)
            getattr(reference, rule)(want[0], g.astype(np.float64), *want[1:], 0.01, **numbers)
        for got, wanted in zip(tensors, want, strict=True):
            if got is not None:
                check_close(got.numpy(), wanted, 32)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_centered_variance_is_never_negative(device, dtype):
    """Of a gradient that stays the same it is 0, but for rounding."""
    p, g, square, mean = (nnx.tensor(np.full(100, value, dtype), device=device) for value in (0, 3, 0, 0))
    for _ in range(200):
        nnx.ops.rmsprop_update(p, g, square, mean, None, 1e-6, rho=0.9)
    assert np.all(np.isfinite(p.numpy()))


@pytest.mark.parametrize("dtype", FLOATS)
def test_averages(rng, device, dtype):
    for size in (0, 1, 33, 20_001):
        average = draw(rng, size, dtype)
        tensor, want = nnx.tensor(average, device=device), average.astype(np.float64)
        for step in range(3):
            p = draw(rng, size, dtype)
            nnx.ops.average_update(tensor, nnx.tensor(p, device=device), step, 0.75)
            reference.average_update(want, p.astype(np.float64), step, 0.75)
            check_close(tensor.numpy(), want, 4)
            if step == 0:
                np.testing.assert_array_equal(tensor.numpy(), p)


@pytest.mark.parametrize("dtype", FLOATS)
def test_clipping(rng, device, dtype):
    for size in (0, 1, 33, 20_001):
        g = draw(rng, size, dtype)
        g[:3] = (np.nan, np.inf, -np.inf)[: len(g)]
        tensor, want = nnx.tensor(g, device=device), g.copy()
        nnx.ops.clip_gradient(tensor, 0.5)
        reference.clip_gradient(want, 0.5)
        np.testing.assert_array_equal(tensor.numpy(), want)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.2), (0.1, 0.4)])
def test_penalties(rng, device, l1, l2, dtype):
    for size in (0, 1, 33, 20_001):
        w, g = draw(rng, size, dtype), draw(rng, size, dtype)
        w[1:5] = 0  # where the size has no gradient
        tensors = [nnx.tensor(a, device=device) for a in (w, g)]
        want_g = g.astype(np.float64)
        got = nnx.ops.penalty(tensors[0], l1, l2, tensors[1])
        want = reference.penalty(w.astype(np.float64), l1, l2, want_g)
        assert got == pytest.approx(want, rel=1e-12)
        assert nnx.ops.penalty(tensors[0], l1, l2) == got
        check_close(tensors[1].numpy(), want_g, 4)


def test_first_step_of_adam_is_the_learning_rate(rng):
    """With both means corrected for their start, the first step is learning_rate * sign(g)."""
    p, g = np.zeros(50), draw(rng, 50, "float64")
    _core.adam_update(p, g, np.zeros(50), np.zeros(50), 0, 0.1, epsilon=1e-12)
    np.testing.assert_allclose(p, -0.1 * np.sign(g), rtol=1e-9)


def test_late_steps_of_adam(rng):
    """The corrections stay sound after a million steps."""
    p, m, v, g = np.zeros(9), np.ones(9), np.ones(9), np.ones(9)
    want = p.copy(), m.copy(), v.copy()
    _core.adam_update(p, g, m, v, 10**6, 0.1)
    reference.adam_update(want[0], g, want[1], want[2], 10**6, 0.1)
    np.testing.assert_allclose(p, want[0], rtol=1e-14)


def test_tensors_are_updated_in_place():
    p, g = nnx.tensor(np.ones(5)), nnx.tensor(np.ones(5))
    nnx.ops.sgd_update(p, g, None, 0.5)
    np.testing.assert_array_equal(p.numpy(), 0.5)


P, G = np.zeros(4, np.float32), np.zeros(4, np.float32)
frozen = P.copy()
frozen.flags.writeable = False
sgd = nnx.ops.sgd_update
BAD = {
    "g": (lambda: sgd(P, G[:3], None, 0.1), ValueError, "g", r"\(4,\)", r"\(3,\)"),
    "velocity": (lambda: sgd(P, G, P[:2].copy(), 0.1, momentum=0.9), ValueError, "velocity", r"\(4,\)", r"\(2,\)"),
    "no velocity": (lambda: sgd(P, G, None, 0.1, momentum=0.9), (ValueError, TypeError), "velocity", "", ""),
    "shared": (lambda: sgd(P, P, None, 0.1), ValueError, "g", "memory of its own", "shared"),
    "p dtype": (lambda: sgd(P.astype("int32"), P, None, 0.1), TypeError, "p", "float", "int32"),
    "mixed": (lambda: sgd(P, G.astype("f8"), None, 0.1), TypeError, "g", "float32", "float64"),
    "frozen": (lambda: sgd(frozen, P, None, 0.1), ValueError, "p", "writ", "read-only"),
    "list": (lambda: sgd([1.0], [1.0], None, 0.1), TypeError, "p", "", "list"),
    "strided": (lambda: sgd(np.zeros(8, "f4")[::2], P, None, 0.1), ValueError, "p", "contiguous", ""),
    "rate nan": (lambda: sgd(P, G, None, float("nan")), ValueError, "learning_rate", "", "nan"),
    "momentum": (lambda: sgd(P, G, P.copy(), 0.1, momentum=-0.5), ValueError, "momentum", "0", "-0.5"),
    "weight decay": (lambda: sgd(P, G, None, 0.1, weight_decay=-1.0), ValueError, "weight_decay", "0", "-1"),
    "adam m": (lambda: _core.adam_update(P, G, P[:2].copy(), P.copy(), 0, 0.1), ValueError, "m", r"\(4,\)", r"\(2,\)"),
    "adam beta1": (lambda: _core.adam_update(P, G, P.copy(), P.copy(), 0, 0.1, beta1=1.0), ValueError, "beta1", "1", "1"),
    "rmsprop square": (lambda: nnx.ops.rmsprop_update(P, G, P[:2].copy(), None, None, 0.1), ValueError, "square", r"\(4,\)", r"\(2,\)"),
    "rmsprop mean": (lambda: nnx.ops.rmsprop_update(P, G, P.copy(), P, None, 0.1), ValueError, "mean", "memory of its own", "shared"),
    "rmsprop velocity": (lambda: nnx.ops.rmsprop_update(P, G, P.copy(), None, None, 0.1, momentum=0.9), ValueError, "velocity", "momentum", "None"),
    "rmsprop rho": (lambda: nnx.ops.rmsprop_update(P, G, P.copy(), None, None, 0.1, rho=1.0), ValueError, "rho", "1", "1"),
    "rmsprop epsilon": (lambda: nnx.ops.rmsprop_update(P, G, P.copy(), None, None, 0.1, epsilon=0.0), ValueError, "epsilon", "0", "0"),
    "adagrad sum": (lambda: nnx.ops.adagrad_update(P, G, P[:2].copy(), 0.1), ValueError, "sum", r"\(4,\)", r"\(2,\)"),
    "adagrad epsilon": (lambda: nnx.ops.adagrad_update(P, G, P.copy(), 0.1, epsilon=-1.0), ValueError, "epsilon", "0", "-1"),
    "lion m": (lambda: nnx.ops.lion_update(P, G, G, 0.1), ValueError, "m", "memory of its own", "shared"),
    "lion beta2": (lambda: nnx.ops.lion_update(P, G, P.copy(), 0.1, beta2=1.0), ValueError, "beta2", "1", "1"),
    "average": (lambda: nnx.ops.average_update(P[:2].copy(), P, 1), ValueError, "p", r"\(2,\)", r"\(4,\)"),
    "average momentum": (lambda: nnx.ops.average_update(P.copy(), P, 1, 1.5), ValueError, "momentum", "1", "1.5"),
    "clip": (lambda: nnx.ops.clip_gradient(P, 0.0), ValueError, "clip_value", "0", "0"),
    "clip frozen": (lambda: nnx.ops.clip_gradient(frozen, 1.0), ValueError, "g", "writ", "read-only"),
    "penalty": (lambda: nnx.ops.penalty(P, -1.0), ValueError, "l1", "0", "-1"),
    "penalty g": (lambda: nnx.ops.penalty(P, 1.0, 0.0, G[:3]), ValueError, "w", r"\(3,\)", r"\(4,\)"),
    "adam step": (lambda: _core.adam_update(P, G, P.copy(), P.copy(), -1, 0.1), (ValueError, TypeError), "step", "0", "-1"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    expect_bad(*BAD[case])
