"""What the tests share: random data, bounds, poisoned memory, calls on a device, expected errors."""

import contextlib
import os
import re
import tempfile
import zlib

import nnx
import numpy as np
import pytest
from safetensors.numpy import load_file

FLOATS = ("float32", "float64")
FILLS = ("integers", "real")

# Normalised mean squared error of sums of products against the float64 reference.
NMSE = {"float32": 1e-12, "float64": 1e-28}
MARGIN = 67  # elements of poison around every argument; odd, so that arguments lie unaligned


def seeded(name):
    """A generator for the test of that name; NNX_TEST_SEED draws other data everywhere."""
    seed = zlib.crc32(name.encode()) + int(os.environ.get("NNX_TEST_SEED", "0"))
    print(f"seed of {name}: {seed}")
    return np.random.default_rng(seed)


def draw(rng, shape, dtype="float32", fill="real"):
    """Whole numbers in -32 .. 32, whose sums of products are exact, or normal ones."""
    if fill == "integers":
        return rng.integers(-32, 33, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def nmse(got, want):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    power = np.sum(want**2)
    error = np.sum((got - want) ** 2)
    return error / power if power > 0 else error


def ulps(got, want):
    """Largest distance in units in the last place of `want` rounded to got's dtype."""
    got = np.asarray(got)
    if got.size == 0:
        return 0.0
    unit = np.spacing(np.abs(np.asarray(want).astype(got.dtype)))
    unit = np.maximum(unit, np.finfo(got.dtype).tiny)  # results below the normal range may be flushed to zero
    return float(np.max(np.abs(got.astype(np.longdouble) - want) / unit))


def check_sums(got, want, fill, what="", magnitude=None):
    """Sums of products: to the last bit on whole numbers, within NMSE on real ones.

    `magnitude`: the same sums of absolute values. Below 8 elements one sum that cancels out makes the NMSE as large
    as one likes, so there every element is held to 4 eps of its magnitude instead.
    """
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    if fill == "integers":
        np.testing.assert_array_equal(got, want, err_msg=what)
    elif want.size < 8 and magnitude is not None:
        limit = 4 * np.finfo(got.dtype).eps * np.asarray(magnitude)
        assert np.all(np.abs(got - want) <= limit), f"{what}: {got} instead of {want}, within {limit}"
    else:
        error = nmse(got, want)
        assert error <= NMSE[got.dtype.name], f"{what}: NMSE {error:.3g} > {NMSE[got.dtype.name]:g}"


def check_ulps(got, want, bound, what=""):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want), err_msg=what)
    sound = np.isfinite(want)
    np.testing.assert_array_equal(got[~sound], want[~sound].astype(got.dtype), err_msg=what)
    error = ulps(got[sound], want[sound])
    assert error <= bound, f"{what}: {error:.3g} units in the last place > {bound}"


def check_close(got, want, bound, what=""):
    """Within `bound` machine epsilons of the largest value expected."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    if want.size == 0:
        return
    error = np.max(np.abs(got - want)) / max(np.max(np.abs(want)), np.finfo(got.dtype).tiny)
    error /= np.finfo(got.dtype).eps
    assert error <= bound, f"{what}: {error:.3g} eps > {bound}"


def same_bits(a, b):
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def poison(dtype):
    return np.nan if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max


class Guarded:
    """An array in the middle of poison, which must neither leak in nor be written over."""

    def __init__(self, array):
        self.buffer = np.full(array.size + 2 * MARGIN, poison(array.dtype), array.dtype)
        self.view = self.buffer[MARGIN : MARGIN + array.size].reshape(array.shape)
        self.view[...] = array

    def check(self):
        around = np.concatenate([self.buffer[:MARGIN], self.buffer[self.buffer.size - MARGIN :]])
        clean = np.full(2 * MARGIN, poison(around.dtype), around.dtype)
        assert same_bits(around, clean), "memory beside an argument was written over"


def results_of(value):
    return value if isinstance(value, tuple) else (value,)


class Runner:
    """Calls nnx.ops on one device: run.dense(x, w) takes and gives NumPy arrays.

    Every argument lies between poison and must come out unchanged. Every call is made twice, the second time on
    memory that the first one's results have left full of poison: both must give the same bits.
    """

    def __init__(self, device):
        self.device = device

    def __getattr__(self, name):
        function = getattr(nnx.ops, name)

        def call(*args, **kwargs):
            guards = []

            def place(value):
                if isinstance(value, list):
                    return [place(item) for item in value]
                if not isinstance(value, np.ndarray):
                    return value
                guards.append((Guarded(value), value))
                view = guards[-1][0].view
                return view if self.device == "cpu" else nnx.tensor(view, device=self.device)

            args = [place(value) for value in args]
            kwargs = {key: place(value) for key, value in kwargs.items()}
            first = function(*args, **kwargs)
            kept = [self.fetch(item) for item in results_of(first)]
            for item in results_of(first):
                if isinstance(item, np.ndarray) and item.flags.writeable:
                    item[...] = poison(item.dtype)
            first = item = None
            second = [self.fetch(item) for item in results_of(function(*args, **kwargs))]
            for a, b in zip(kept, second, strict=True):
                assert a is b is None or same_bits(a, b), f"{name}: two calls, two results"
            for guard, value in guards:
                guard.check()
                assert same_bits(guard.view, value), f"{name}: an argument was changed"
            return tuple(second) if len(second) > 1 else second[0]

        return call

    def fetch(self, item):
        if item is None:
            return None
        if self.device == "cpu":
            assert not isinstance(item, nnx.Tensor), "NumPy in must give NumPy out"
        elif isinstance(item, nnx.Tensor):
            assert item.device.startswith(self.device)
            item = item.numpy()
        return np.array(item)


def devices():
    """Every device this build can run on; NNX_TEST_DEVICES="cuda" names those that are wanted."""
    here = ["cpu", "cuda"] if nnx.cuda.is_available() else ["cpu"]
    wanted = os.environ.get("NNX_TEST_DEVICES", "cpu,cuda").split(",")
    return [device for device in here if device in wanted]


def place(array, device):
    """The array itself on the CPU, a tensor elsewhere."""
    return array if device == "cpu" else nnx.tensor(array, device=device)


# Where tests of whole programs run them; NNX_TEST_PROGRAMS=cuda has them run there.
PROGRAM_DEVICE = os.environ.get("NNX_TEST_PROGRAMS", "cpu")


@contextlib.contextmanager
def threads(count):
    before = nnx.get_num_threads()
    nnx.set_num_threads(count)
    try:
        yield
    finally:
        nnx.set_num_threads(before)


def expect_bad(call, exception, argument, expected, got):
    """The error names the argument, says what was expected and what came."""
    with pytest.raises(exception) as caught:
        call()
    message = str(caught.value)
    pattern = rf"argument '{argument}' expected .*{expected}.*, got .*{got}"
    assert re.search(pattern, message), f"{message!r} does not match {pattern!r}"


def numeric_gradient(function, x, dy, step=1e-6):
    """d sum(dy * function(x)) / dx by central differences, one element at a time."""
    x = np.array(x, np.float64)
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + step
        above = np.sum(dy * function(x))
        x[i] = kept - step
        gradient[i] = (above - np.sum(dy * function(x))) / (2 * step)
        x[i] = kept
    return gradient


def directional(function, x, direction, dy, step=1e-6):
    """The derivative of sum(dy * function(x)) along `direction`."""
    return np.sum(dy * (function(x + step * direction) - function(x - step * direction))) / (2 * step)


def saved_arrays(model):
    """All arrays that a model's file has, by name: weights, and the optimizer's velocities and moments."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/m.safetensors")
        return load_file(f"{folder}/m.safetensors")
