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
        for name, data in (
            (f"{prefix}-images-idx3-ubyte", x[rows]),
            (f"{prefix}-labels-idx1-ubyte", y[rows]),
        ):
            content = idx(data)
            path = folder / (name + (".gz" if pack else ""))
            path.write_bytes(gzip.compress(content) if pack else content)


def test_digits():
    x, y = nnx.datasets.load_digits()
    assert x.shape == (1797, 8, 8, 1)
    assert y.shape == (1797,)
    assert x.dtype == y.dtype == np.uint8
    assert (x.min(), x.max()) == (0, 16)
    assert set(y.tolist()) == set(range(10))


def test_digits_are_the_published_ones():
    want = pytest.importorskip("sklearn.datasets").load_digits()
    x, y = nnx.datasets.load_digits()
    np.testing.assert_array_equal(y, want.target)
    np.testing.assert_array_equal(x[..., 0], want.images)


TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("code", TYPES)
def test_every_type_of_idx(tmp_path, rng, code, pack):
    for shape in ((5,), (3, 4), (2, 3, 4), (0,), (2, 0, 3)):
        want = rng.integers(0, 100, shape).astype(TYPES[code])
        content = struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape) + want.tobytes()
        path = tmp_path / "file"
        path.write_bytes(gzip.compress(content) if pack else content)
        got = nnx.datasets.read_idx(path)
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype.newbyteorder("=")


@pytest.mark.parametrize("pack", [False, True])
def test_a_folder_like_mnist(tmp_path, rng, pack):
    x, y = rng.integers(0, 256, (40, 7, 5), dtype=np.uint8), rng.integers(0, 10, 40, dtype=np.uint8)
    write_mnist(tmp_path, x, y, pack=pack)
    (x_train, y_train), (x_test, y_test) = nnx.datasets.load_idx_folder(tmp_path)
    np.testing.assert_array_equal(np.concatenate([x_train, x_test])[..., 0], x)
    np.testing.assert_array_equal(np.concatenate([y_train, y_test]), y)
    assert x_train.shape == (30, 7, 5, 1)


def hostile():
    """Files that no loader should trust, by what is wrong with them."""
    sound = idx(np.zeros((4, 8, 8), np.uint8))
    yield "empty", b""
    yield "half a header", sound[:7]
    yield "truncated", sound[:-1]
    yield "too long", sound + b"\0"
    yield "another magic", b"\x01" + sound[1:]
    yield "unknown type", sound[:2] + b"\x0a" + sound[3:]
    yield "another type", sound[:2] + b"\x0d" + sound[3:]
    yield "more axes than bytes", sound[:3] + b"\xff" + sound[4:]
    yield "no axes", sound[:3] + b"\0" + sound[4:]
    yield "huge", struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1) + b"\0" * 16
    yield "overflowing", struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 2**31, 4)
    yield "text", b"<html>not found</html>"
    yield "not gzip", b"\x1f\x8b" + b"\0" * 30
    yield "truncated gzip", gzip.compress(sound)[:-9]
    yield "damaged gzip", gzip.compress(sound)[:14] + b"\xff\xff" + gzip.compress(sound)[16:]


HOSTILE = dict(hostile())


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(tmp_path, name):
    """By an error that names the file."""
    path = tmp_path / "images"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(ValueError, match="images"):
        nnx.datasets.read_idx(path)


def test_a_bomb_of_zeros_is_not_unpacked(tmp_path):
    """Far more content than the header says: reading stops behind the last element."""
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(idx(np.zeros(10, np.uint8)) + bytes(50_000_000)))
    with pytest.raises(ValueError, match="bomb"):
        nnx.datasets.read_idx(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        nnx.datasets.read_idx(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        nnx.datasets.load_idx_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="train-images"):
        nnx.datasets.load_idx_folder(tmp_path)


def test_numbers_of_images_and_labels_must_agree(tmp_path, rng):
    write_mnist(tmp_path, rng.integers(0, 9, (8, 3, 3)), rng.integers(0, 9, 8))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(7, np.uint8)))
    with pytest.raises(ValueError, match=r"\(6, 3, 3\).*\(7,\)"):
        nnx.datasets.load_idx_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "want"), [("and", "0001"), ("or", "0111"), ("xor", "0110"), ("nand", "1110"), ("nor", "1000")]
)
def test_logic_gates(name, want):
    x, y = nnx.datasets.logic_gate(name)
    assert x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert "".join(str(int(v)) for v in y.ravel()) == want
    assert (x.dtype, y.dtype, y.shape) == (np.float32, np.float32, (4, 1))


def test_unknown_gates():
    with pytest.raises(ValueError, match=r"'name' expected .*xor.*, got 'maybe'"):
        nnx.datasets.logic_gate("maybe")


@pytest.mark.parametrize("name", ["moons", "spirals"])
def test_toys(name):
    load = getattr(nnx.datasets, name)
    x, y = load(100, seed=3)
    assert (x.shape, x.dtype, y.shape) == ((100, 2), np.float32, (100,))
    assert np.isfinite(x).all()
    np.testing.assert_array_equal(load(100, seed=3)[0], x)
    assert not np.array_equal(load(100, seed=4)[0], x)
    assert set(y.tolist()) == set(range(2 if name == "moons" else 3))
