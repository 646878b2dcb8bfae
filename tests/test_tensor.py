"""Tensor: construction, NumPy and DLPack both ways, lifetimes."""

import copy
import gc
import weakref

import nnx
import numpy as np
import pytest
from harness import devices, draw, expect_bad

DTYPES = ("float32", "float64", "int32", "int64", "uint8")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 4), (2, 0, 3), (2, 3, 4, 5)], ids=str)
def test_there_and_back(rng, shape, dtype):
    x = rng.integers(0, 100, shape).astype(dtype)
    tensor = nnx.tensor(x)
    assert tensor.shape == shape
    assert np.dtype(str(tensor.dtype)) == dtype
    assert tensor.device == "cpu"
    np.testing.assert_array_equal(tensor.numpy(), x)
    assert tensor.numpy().dtype == dtype
    np.testing.assert_array_equal(np.asarray(tensor), x)


def test_from_lists_and_scalars():
    assert nnx.tensor([[1.0, 2.0]]).shape == (1, 2)
    assert nnx.tensor([[1.0, 2.0]]).dtype == np.float64
    assert nnx.tensor([1.5], dtype="float32").dtype == np.float32
    assert nnx.tensor([1, 2], dtype=np.float32).dtype == np.float32
    assert nnx.tensor(np.arange(3)).dtype == np.int64
    assert nnx.tensor(2.5).shape == ()
    assert nnx.tensor(nnx.tensor([1.0])).shape == (1,)


def test_len_and_repr():
    tensor = nnx.tensor(np.zeros((3, 2), np.float32))
    assert len(tensor) == 3
    text = repr(tensor)
    assert "Tensor" in text
    assert "float32" in text
    with pytest.raises(TypeError):
        len(nnx.tensor(1.0))


def test_numpy_protocol():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = nnx.tensor(x)
    assert np.asarray(tensor, dtype=np.float64).dtype == np.float64
    independent = np.array(tensor, copy=True)
    independent[0, 0] = 99
    np.testing.assert_array_equal(tensor.numpy(), x)
    assert np.add(tensor, 1).shape == (2, 3)


def test_numpy_views_share_and_keep_the_memory():
    """Zero copies: a view of the tensor outlives it and sees what ops write in place."""
    tensor = nnx.tensor(np.ones(1000))
    view = tensor.numpy()
    nnx.ops.sgd_update(tensor, np.ones(1000), None, 0.25)
    np.testing.assert_array_equal(view, 0.75)
    del tensor
    gc.collect()
    np.testing.assert_array_equal(view, 0.75)


def test_non_contiguous_arrays_are_copied(rng):
    x = draw(rng, (8, 6))
    np.testing.assert_array_equal(nnx.tensor(x.T[::2]).numpy(), x.T[::2])
    np.testing.assert_array_equal(nnx.tensor(x[::-1]).numpy(), x[::-1])
    swapped = x.astype(x.dtype.newbyteorder())
    np.testing.assert_array_equal(nnx.tensor(swapped).numpy(), x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_to_numpy(dtype):
    tensor = nnx.tensor(np.arange(12).reshape(3, 4).astype(dtype))
    array = np.from_dlpack(tensor)
    np.testing.assert_array_equal(array, np.arange(12).reshape(3, 4))
    assert array.dtype == dtype
    assert array.ctypes.data == tensor.numpy().ctypes.data
    del tensor
    gc.collect()
    np.testing.assert_array_equal(array, np.arange(12).reshape(3, 4))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_from_numpy(dtype):
    x = np.arange(12).reshape(3, 4).astype(dtype)
    tensor = nnx.from_dlpack(x)
    assert tensor.shape == (3, 4)
    x[0, 0] = 77
    assert tensor.numpy()[0, 0] == 77  # the same memory
    del x
    gc.collect()
    assert tensor.numpy()[0, 0] == 77


def test_dlpack_lets_go(rng):
    """The producer's memory is freed with the last of its consumers."""

    class Owner(np.ndarray):
        pass

    x = draw(rng, (100,)).view(Owner)
    alive = weakref.ref(x)
    tensor = nnx.from_dlpack(x)
    del x
    gc.collect()
    assert alive() is not None
    del tensor
    gc.collect()
    assert alive() is None


def test_an_unread_capsule_frees_what_it_holds():
    tensor = nnx.tensor(np.zeros(10))
    for _ in range(100):
        tensor.__dlpack__()
        tensor.__dlpack__(max_version=(1, 0))
    gc.collect()


def test_dlpack_versions():
    tensor = nnx.tensor(np.zeros((2, 3), np.float32))
    assert '"dltensor"' in repr(tensor.__dlpack__())
    assert '"dltensor"' in repr(tensor.__dlpack__(max_version=(0, 8)))
    assert '"dltensor_versioned"' in repr(tensor.__dlpack__(max_version=(1, 0)))
    assert '"dltensor_versioned"' in repr(tensor.__dlpack__(max_version=(1, 1)))
    assert tensor.__dlpack_device__() == (1, 0)
    with pytest.raises((BufferError, ValueError)):
        tensor.__dlpack__(dl_device=(2, 0))


class Producer:
    """NumPy's DLPack, with the arguments of an older or a newer caller."""

    def __init__(self, array, versioned):
        self.array, self.versioned = array, versioned

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options):
        if not self.versioned:
            if options:
                raise TypeError("no such argument")
            return self.array.__dlpack__()
        return self.array.__dlpack__(**options)


@pytest.mark.parametrize("versioned", [True, False])
def test_producers_of_both_versions(versioned):
    x = np.arange(6.0)
    tensor = nnx.from_dlpack(Producer(x, versioned))
    np.testing.assert_array_equal(tensor.numpy(), x)
    assert nnx.from_dlpack(nnx.tensor(x)).shape == (6,)


def test_strided_dlpack_is_copied_or_refused():
    x = np.arange(12.0).reshape(3, 4)
    try:
        tensor = nnx.from_dlpack(x.T)
    except (ValueError, BufferError):
        return
    np.testing.assert_array_equal(tensor.numpy(), x.T)


def test_read_only_stays_read_only():
    x = np.ones(5)
    x.flags.writeable = False
    tensor = nnx.tensor(x)
    np.testing.assert_array_equal(tensor.numpy(), 1)
    with pytest.raises((ValueError, BufferError)):
        nnx.ops.sgd_update(nnx.from_dlpack(x), np.ones(5), None, 0.5)
    np.testing.assert_array_equal(x, 1)


def test_read_only_dlpack_keeps_its_flag():
    x = np.ones(5)
    x.flags.writeable = False
    tensor = nnx.from_dlpack(x)
    again = np.from_dlpack(tensor)
    assert not again.flags.writeable


def test_torch_both_ways():
    torch = pytest.importorskip("torch")
    x = torch.arange(6.0).reshape(2, 3)
    tensor = nnx.from_dlpack(x)
    np.testing.assert_array_equal(tensor.numpy(), x.numpy())
    back = torch.from_dlpack(tensor)
    assert back.data_ptr() == x.data_ptr()


@pytest.mark.parametrize("device", devices())
def test_to(device):
    tensor = nnx.tensor(np.arange(5.0), device=device)
    assert tensor.device.startswith(device)
    back = tensor.to("cpu")
    assert back.device == "cpu"
    np.testing.assert_array_equal(back.numpy(), np.arange(5.0))


def test_tensor_in_gives_tensor_out(rng):
    x, w = draw(rng, (3, 4)), draw(rng, (4, 5))
    for given in ((nnx.tensor(x), w), (x, nnx.tensor(w)), (nnx.tensor(x), nnx.tensor(w))):
        y = nnx.ops.dense(*given)
        assert isinstance(y, nnx.Tensor)
        np.testing.assert_array_equal(y.numpy(), nnx.ops.dense(x, w))
    gradients = nnx.ops.dense_backward(nnx.tensor(draw(rng, (3, 5))), x, w)
    assert all(isinstance(g, nnx.Tensor) for g in gradients)
    y, index = nnx.ops.max_pool2d(nnx.tensor(draw(rng, (1, 4, 4, 2))))
    assert isinstance(y, nnx.Tensor)
    assert isinstance(index, nnx.Tensor)
    assert isinstance(nnx.ops.dense(x, w), np.ndarray)


def test_copies_do_not_share():
    tensor = nnx.tensor(np.ones(3))
    try:
        twin = copy.deepcopy(tensor)
    except TypeError:
        return
    nnx.ops.sgd_update(tensor, np.ones(3), None, 0.5)
    np.testing.assert_array_equal(twin.numpy(), 1)


BAD = {
    "text": (lambda: nnx.tensor("abc"), TypeError, "obj", "", "<U3|str"),
    "complex": (lambda: nnx.tensor(np.zeros(2, np.complex64)), TypeError, "obj", "float32", "complex64"),
    "half": (lambda: nnx.tensor(np.zeros(2, np.float16)), TypeError, "obj", "float32", "float16"),
    "objects": (lambda: nnx.tensor(np.array([None, 1])), TypeError, "obj", "", "object"),
    "ragged": (lambda: nnx.tensor([[1, 2], [3]]), ValueError, "obj", "array", ""),
    "dtype": (lambda: nnx.tensor([1.0], dtype="float16"), TypeError, "dtype", "float32", "float16"),
    "device": (lambda: nnx.tensor([1.0], device="gpu"), ValueError, "device", "cpu", "gpu"),
    "device number": (lambda: nnx.tensor([1.0], device="cuda:x"), ValueError, "device", "cpu", "cuda:x"),
    "not a producer": (lambda: nnx.from_dlpack(3), TypeError, "obj", "__dlpack__", "int"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    expect_bad(*BAD[case])


@pytest.mark.skipif(nnx.cuda.is_available(), reason="CUDA is here")
def test_without_cuda_it_says_why():
    assert not nnx.cuda.is_available()
    assert nnx.cuda.device_count() == 0
    assert nnx.info()["cuda"]["available"] is False
    assert nnx.info()["cuda"]["reason"]
    for call in (lambda: nnx.tensor([1.0], device="cuda"), lambda: nnx.tensor([1.0]).to("cuda:0")):
        with pytest.raises((ValueError, RuntimeError), match=r"(?i)cuda"):
            call()
