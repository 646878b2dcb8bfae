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
    "adam step": (lambda: _core.adam_update(P, G, P.copy(), P.copy(), -1, 0.1), (ValueError, TypeError), "step", "0", "-1"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    expect_bad(*BAD[case])
