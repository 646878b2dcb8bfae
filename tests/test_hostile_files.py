"""Files that are damaged, truncated, foreign, newer or made to do harm: refused by name, and nothing else happens."""

import hashlib
import json
import random
import tracemalloc

import nnx
import numpy as np
import pytest
from safetensors.numpy import save_file

DATA = np.random.default_rng(0).normal(size=(24, 5, 5, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A file with everything in it: saved within an epoch, with moments, history, callbacks' arrays."""
    path = tmp_path_factory.mktemp("hostile") / "m.safetensors"

    class Save(nnx.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 5:
                self.model.save(path)

        def get_state(self):
            return {"best": np.arange(3.0), "wait": 2, "name": "x"}

    model = nnx.Sequential(
        nnx.Normalize([0.5], 2.0),
        nnx.Conv2D(2, 3, activation=nnx.LeakyReLU(0.1)),
        nnx.BatchNorm(),
        nnx.Flatten(),
        nnx.Dropout(0.5),
        nnx.Dense(2),
    )
    optimizer = nnx.Adam(nnx.schedules.PiecewiseConstant([1], [0.1, 0.01]))
    model.compile(optimizer, "cross_entropy", ["accuracy", "confusion_matrix"], device="cpu", seed=1)
    model.fit(DATA, np.arange(24) % 2, batch_size=8, epochs=2, callbacks=[Save()], verbose=0)
    return path.read_bytes()


def load(tmp_path, content):
    """What comes of a file with these bytes: None, or the error, which names the file; memory stays bounded."""
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        nnx.load(path, device="cpu").predict(DATA[:2])
        return None
    except (ValueError, MemoryError) as error:
        return error
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak <= 2 * len(content) + (4 << 20)


def parts(content):
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def signed(header, data):
    """A file of that header and data, with a checksum that is right."""
    header["__metadata__"]["checksum"] = "0" * 64
    text = json.dumps(header, separators=(",", ":")).encode()
    whole = len(text).to_bytes(8, "little") + text + data
    key = b'"checksum":"'
    place = whole.index(key) + len(key)
    return whole[:place] + hashlib.sha256(whole).hexdigest().encode() + whole[place + 64 :]


def test_the_file_itself_is_good(content, tmp_path):
    assert load(tmp_path, content) is None
    assert load(tmp_path, signed(*parts(content))) is None


def test_truncated_anywhere(content, tmp_path):
    for length in [*range(24), *range(24, len(content), 211), len(content) - 1]:
        error = load(tmp_path, content[:length])
        assert isinstance(error, ValueError), length
        assert "hostile.safetensors: " in str(error)


def test_any_bit_that_is_flipped_is_noticed(content, tmp_path, rng):
    for place in rng.integers(0, len(content), 200):
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        error = load(tmp_path, bytes(changed))
        assert isinstance(error, ValueError), place
        assert "hostile.safetensors: " in str(error)


def test_longer_files_and_other_kinds(content, tmp_path):
    for changed in (
        content + b"\0",
        b"",
        b"\0" * 100,
        b"\xff" * 100,
        b"PK\x03\x04" + content,
        b"\x80\x04\x95" + b"cos\nsystem\n(S'true'\ntR." * 9,
        b'{"a": 1}' * 20,
    ):
        error = load(tmp_path, changed)
        assert isinstance(error, ValueError)
        assert "hostile.safetensors: " in str(error)


def test_what_is_wrong_is_said(content, tmp_path):
    header, data = parts(content)
    error = load(tmp_path, content[:-10])
    assert "the file is truncated" in str(error)
    changed = bytearray(content)
    changed[-1] ^= 1
    assert "the file is damaged: its checksum does not match its contents" in str(
        load(tmp_path, bytes(changed))
    )
    header["__metadata__"]["version"] = "2"
    assert "was written by a newer nnx: its format is version 2, and this one reads up to 1" in str(
        load(tmp_path, signed(header, data))
    )
    path = tmp_path / "foreign.safetensors"
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(
        ValueError, match=r"foreign\.safetensors: expected a model, got arrays that nnx did not write"
    ):
        nnx.load(path)
    with pytest.raises(FileNotFoundError, match=r"missing\.safetensors"):
        nnx.load(tmp_path / "missing.safetensors")
    with pytest.raises(IsADirectoryError):
        nnx.load(tmp_path)


RUBBISH = (
    None, True, -1, 0, 1, 3, 10**9, 2**63, 10**30, 0.5, -1e308, "", "x", "nan", "adam", "../../etc/passwd",
    [], [1], [[]], {}, {"class_name": "Dense"}, {"class_name": "function", "config": "exit", "module": "builtins"},
    {"class_name": "Popen", "module": "subprocess", "config": {"args": "true"}},
    {"class_name": "_Given", "module": "nnx.initializers", "config": {"function": None}},
    {"class_name": "same", "config": 10**6}, {"class_name": "same", "config": 0},
    {"class_name": "float", "config": "x"}, {"class_name": "tuple", "config": 3},
    {"class_name": "ndarray", "config": {"dtype": "O", "shape": [1], "values": [1]}},
    {"class_name": "ndarray", "config": {"dtype": "float64", "shape": [10**12], "bytes": ""}},
    {"class_name": "ndarray", "config": {"dtype": "float64", "shape": [2, 2], "number": 99}},
    {"class_name": "Dense", "module": "nnx.layers", "config": {"units": 10**12}},
    {"class_name": "Sequential", "module": "nnx.sequential", "config": {"layers": []}},
)  # fmt: skip


def places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def with_value(about, path, value):
    about = json.loads(json.dumps(about))
    if not path:
        return value
    holder = about
    for key in path[:-1]:
        holder = holder[key]
    if value is places:  # a mark: left out
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return about


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_any_value_of_the_json_may_be_rubbish(content, tmp_path, rng):
    """With a checksum that is right: refused as ValueError or MemoryError that names the file, or harmless."""
    header, data = parts(content)
    about = json.loads(header["__metadata__"]["nnx"])
    where = list(places(about))
    chance = random.Random(int(rng.integers(1 << 30)))
    refused = 0
    for _ in range(300):
        path, value = chance.choice(where), chance.choice([*RUBBISH, places])
        if not path and value is places:
            continue
        header["__metadata__"]["nnx"] = json.dumps(with_value(about, path, value))
        error = load(tmp_path, signed(header, data))
        if error is not None:
            refused += 1
            assert "hostile.safetensors: " in str(error) or "predict" in str(error), (path, value, error)
    assert refused > 100


def test_tensors_that_lie_are_refused(content, tmp_path):
    header, data = parts(content)
    name = "dense.kernel"
    for change in (
        {"dtype": "BF16"},
        {"dtype": "F64"},
        {"shape": [3, 6]},
        {"shape": [10**6, 10**6]},
        {"data_offsets": [0, 10**9]},
        {"data_offsets": [-4, 0]},
        {"dtype": "I32"},
    ):
        changed = json.loads(json.dumps(header))
        changed[name] |= change
        error = load(tmp_path, signed(changed, data))
        if change != {"dtype": "I32"}:
            assert isinstance(error, ValueError), change
    gone = json.loads(json.dumps(header))
    gone["other"] = gone.pop(name)
    assert isinstance(load(tmp_path, signed(gone, data)), ValueError)


def test_json_that_is_deep_is_refused(content, tmp_path):
    header, data = parts(content)
    for text in ("[" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000):
        header["__metadata__"]["nnx"] = text
        assert isinstance(load(tmp_path, signed(header, data)), ValueError)


def test_memory_stays_within_the_files_size(tmp_path):
    model = nnx.Sequential(nnx.Dense(1500), nnx.Dense(1500))
    model.build((1500,))
    path = tmp_path / "large.safetensors"
    model.save(path)
    size = path.stat().st_size
    assert size > 17e6

    def peak():
        tracemalloc.start()
        try:
            nnx.load(path, device="cpu")
        except ValueError:
            pass
        finally:
            result = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return result

    assert peak() <= 1.05 * size + (1 << 20)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert peak() <= (17 << 20)  # a piece at a time: refused before any array is read
