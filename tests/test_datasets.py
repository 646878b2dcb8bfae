"""What nnx.datasets loads, and what it refuses."""

import gzip
import struct

import nnx
import numpy as np
import pytest


def idx(array):
    """An IDX file of unsigned bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_mnist(folder, x, y, train="train", test="t10k", pack=False):
    """The four files of MNIST's layout, the last quarter held out."""
    cut = len(x) * 3 // 4
    for prefix, rows in ((train, slice(None, cut)), (test, slice(cut, None))):
        for name, data in ((f"{prefix}-images-idx3-ubyte", x[rows]), (f"{prefix}-labels-idx1-ubyte", y[rows])):
            content = idx(data)
            path = folder / (name + (".gz" if pack else ""))
            path.write_bytes(gzip.compress(content) if pack else content)


def test_digits():
    x, y = nnx.datasets.load_digits()
    assert x.shape[1:] == (8, 8, 1)
    assert len(x) == len(y) == 1797
    assert x.dtype in (np.float32, np.uint8)
    assert set(np.unique(y)) == set(range(10))
    again = nnx.datasets.load_digits()
    np.testing.assert_array_equal(again[0], x)


def test_digits_are_the_published_ones():
    sklearn = pytest.importorskip("sklearn.datasets")
    want = sklearn.load_digits()
    x, y = nnx.datasets.load_digits()
    np.testing.assert_array_equal(y, want.target)
    scale = 16 if x.max() > 1 else 1 / x.max() and want.images.max() / x.max()
    if x.max() <= 1:
        np.testing.assert_allclose(x[..., 0] * scale, want.images, atol=1e-5)
    else:
        np.testing.assert_array_equal(x[..., 0] / x.max() * 16, want.images)
