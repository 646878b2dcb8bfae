"""Tensors that no constructor made, and DLPack capsules that lie: refused by name, without a crash."""

import ctypes
import inspect

import nnx
import numpy as np
import pytest

RAW = "expected a nnx._core.Tensor that its constructor or a function made"


def raw():
    return nnx.Tensor.__new__(nnx.Tensor)


def calls_of_ops():
    """Each function of nnx.ops with a raw tensor in one of its places, good arrays in the others."""
    for name in nnx.ops.__all__:
        function = getattr(nnx.ops, name)
        needed = [
            p.name
            for p in inspect.signature(function).parameters.values()
            if p.default is inspect.Parameter.empty
        ]
        for place in range(len(needed)):
            yield name, place, len(needed)


@pytest.mark.parametrize(("name", "place", "count"), list(calls_of_ops()))
def test_ops_refuse_a_raw_tensor(name, place, count):
    good = [np.ones((2, 2, 2, 2), np.float32) for _ in range(count)]
    good[place] = raw()
    with pytest.raises((TypeError, ValueError)):
        getattr(nnx.ops, name)(*good)


@pytest.mark.parametrize(
    "use",
    [
        nnx.tensor, nnx.from_dlpack, nnx.ops.relu, np.asarray, np.from_dlpack, repr, len, float,
        lambda t: t.shape, lambda t: t.ndim, lambda t: t.size, lambda t: t.dtype, lambda t: t.device,
        lambda t: t.numpy(), lambda t: t.item(), lambda t: t.to("cpu"), lambda t: t.__dlpack__(),
        lambda t: t.__dlpack_device__(), lambda t: nnx.ops.sgd_update(t, np.ones(3), None, 0.1),
        lambda t: nnx.ops.softmax_cross_entropy(np.ones((2, 3)), t),
        lambda t: nnx.ops.concat([np.ones(3), t]),
    ],
)  # fmt: skip
def test_a_raw_tensor_is_refused_by_name(use):
    with pytest.raises(TypeError, match=RAW):
        use(raw())


def test_models_refuse_a_raw_tensor():
    model = nnx.Sequential(nnx.Dense(2))
    model.compile("sgd", "mse", device="cpu")
    model.build((3,))
    x, y = np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)
    calls = (
        lambda: model.predict(raw()), lambda: model(raw()), lambda: model.fit(raw(), y, verbose=0),
        lambda: model.fit(x, raw(), verbose=0), lambda: model.evaluate(x, raw()),
        lambda: model.train_step(x, y, raw()),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(TypeError, match=RAW):
            call()


def test_subclasses_are_refused_too():
    class Mine(nnx.Tensor):
        pass

    with pytest.raises(TypeError):
        Mine()
    with pytest.raises(TypeError, match=RAW):
        nnx.ops.relu(Mine.__new__(Mine))


@pytest.mark.parametrize("kind", [nnx._core.Graph, nnx._core.Parameters, nnx._core.Program], ids=str)
def test_parts_of_models_that_no_constructor_made(kind):
    for name in dir(kind):
        value = inspect.getattr_static(kind, name)
        if name.startswith("__") or not isinstance(value, property):
            continue
        with pytest.raises(TypeError, match="made"):
            getattr(kind.__new__(kind), name)


class Managed(ctypes.Structure):
    """DLManagedTensor, or the versioned one without its head."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("rank", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
    ]  # fmt: skip


class Versioned(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = [
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), *Managed._fields_[:10],
    ]  # fmt: skip


KEPT = []


class Liar:
    """Exports ten floats, 0 to 9, or whatever the keywords say of them."""

    def __init__(self, kind=Managed, name=None, device=(1, 0), shape=(10,), strides=None, **fields):
        self.values = np.arange(10, dtype=np.float32)
        numbers = [None if n is None else (ctypes.c_int64 * max(1, len(n)))(*n) for n in (shape, strides)]
        fields = {
            "data": self.values.ctypes.data, "device_type": 1, "rank": len(shape or ()), "code": 2, "bits": 32,
            "lanes": 1, **fields,
        }  # fmt: skip
        if kind is Versioned:
            fields = {"major": 1, "minor": 1, **fields}
        self.managed = kind(**fields)
        for field, array in zip(("shape", "strides"), numbers, strict=True):
            if array is not None:
                setattr(self.managed, field, ctypes.cast(array, ctypes.POINTER(ctypes.c_int64)))
        self.name = name or {Managed: b"dltensor", Versioned: b"dltensor_versioned"}[kind]
        self.device = device
        KEPT.append((self.values, numbers, self.managed, self.name))

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **options):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.managed), self.name, None)


@pytest.mark.parametrize("kind", [Managed, Versioned])
def test_an_honest_capsule(kind):
    np.testing.assert_array_equal(nnx.from_dlpack(Liar(kind)).numpy(), np.arange(10))
    rows = nnx.from_dlpack(Liar(kind, shape=(2, 3), strides=(4, 1), byte_offset=4)).numpy()
    np.testing.assert_array_equal(rows, [[1, 2, 3], [5, 6, 7]])
    back = Liar(kind, shape=(10,), strides=(-1,), byte_offset=36)
    np.testing.assert_array_equal(nnx.from_dlpack(back).numpy(), np.arange(9, -1, -1))
    again = nnx.from_dlpack(Liar(kind, shape=(3, 2), strides=(0, 5))).numpy()
    np.testing.assert_array_equal(again, [[0, 5]] * 3)
    shifted = nnx.from_dlpack(Liar(kind, shape=(9,), byte_offset=2))  # misaligned
    np.testing.assert_array_equal(
        shifted.numpy(), np.arange(10, dtype=np.float32).view(np.uint8)[2:-2].view("f4")
    )
    assert nnx.from_dlpack(Liar(kind, shape=(0, 3), data=None)).shape == (0, 3)
    assert nnx.from_dlpack(Liar(kind, shape=(), strides=())).shape == ()


LIES = {
    "no shape": ({"shape": None, "rank": 1}, ValueError, "a shape, got a null pointer"),
    "no data": ({"data": None}, ValueError, "memory for its elements, got a null pointer"),
    "no data, an offset": ({"data": None, "byte_offset": 64}, ValueError, "memory for its elements"),
    "no data for a number": ({"data": None, "shape": ()}, ValueError, "memory for its elements"),
    "a negative rank": ({"rank": -1}, ValueError, "0 to 64 axes, got -1"),
    "a huge rank": ({"rank": 2**31 - 1}, ValueError, "0 to 64 axes"),
    "a negative extent": ({"shape": (-1,)}, ValueError, "extents of at least 0"),
    "two negative extents": ({"shape": (-2, -5)}, ValueError, "extents of at least 0"),
    "elements past 2^63": ({"shape": (2**62, 4)}, ValueError, "at most .* bytes"),
    "bytes past 2^63": ({"shape": (2**62,)}, ValueError, "at most .* bytes"),
    "more than can be": ({"shape": (2**50,)}, ValueError, "at most .* bytes"),
    "empty beside huge": ({"shape": (0, 2**62, 2**62)}, ValueError, "at most .* bytes"),
    "huge strides": ({"shape": (2, 2), "strides": (2**62, 2**62)}, ValueError, "at most .* bytes"),
    "huge negative strides": ({"shape": (2,), "strides": (-(2**63),)}, ValueError, "at most .* bytes"),
    "a huge offset": ({"byte_offset": 2**64 - 4}, ValueError, "at most .* bytes"),
    "lanes": ({"lanes": 4}, TypeError, "float32"),
    "bits": ({"bits": 3}, TypeError, "float32"),
    "a code": ({"code": 77}, TypeError, "float32"),
    "another device": ({"device_type": 2}, ValueError, "as __dlpack_device__ says|device|CUDA"),
    "an unknown device": ({"device_type": 99}, ValueError, "memory of a CPU or of CUDA"),
    "a used capsule": ({"name": b"used_dltensor"}, TypeError, "fresh DLPack capsule.*'used_dltensor'"),
    "another capsule": ({"name": b"something"}, TypeError, "fresh DLPack capsule.*'something'"),
    "no device": ({"device": None}, TypeError, "__dlpack_device__ to give .*, got None"),
    "half a device": ({"device": (1,)}, TypeError, r"__dlpack_device__ to give .*, got \(1,\)"),
    "a device of words": ({"device": ("cpu", 0)}, TypeError, "__dlpack_device__ to give"),
    "a huge device": ({"device": (1, 2**40)}, TypeError, "__dlpack_device__ to give"),
    "a negative number": ({"device": (2, -1)}, ValueError, "a device number of at least 0, got -1"),
}


@pytest.mark.parametrize("kind", [Managed, Versioned])
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused(lie, kind):
    fields, error, message = LIES[lie]
    for read in (nnx.from_dlpack, nnx.tensor):
        with pytest.raises(error, match=f"from_dlpack: argument 'obj' expected .*{message}|{message}"):
            read(Liar(kind, **fields))


def test_a_newer_version_is_refused():
    with pytest.raises(ValueError, match="DLPack 1"):
        nnx.from_dlpack(Liar(Versioned, major=2))


def test_a_capsule_is_taken_once():
    capsule = Liar().__dlpack__()

    class Same:
        def __dlpack__(self, **options):
            return capsule

        def __dlpack_device__(self):
            return (1, 0)

    assert nnx.from_dlpack(Same()).shape == (10,)
    with pytest.raises(TypeError, match=r"fresh DLPack capsule.*used_dltensor"):
        nnx.from_dlpack(Same())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dl_device": 3}, r"'dl_device' expected a pair .*, got 3"),
        ({"dl_device": ("cpu", 0)}, "'dl_device' expected a pair"),
        ({"max_version": "1.0"}, "'max_version' expected a pair"),
        ({"max_version": (1,)}, "'max_version' expected a pair"),
        ({"copy": "yes"}, "'copy' expected a bool or None"),
    ],
)
def test_bad_arguments_of_dlpack(options, message):
    with pytest.raises(TypeError, match=f"__dlpack__: argument {message}"):
        nnx.tensor([1.0]).__dlpack__(**options)
