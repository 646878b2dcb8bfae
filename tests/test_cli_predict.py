"""`nnx predict` and `nnx evaluate`, and what files may not do to them and to `nnx train`."""

import builtins
import csv
import io
import struct
import zipfile

import nnx
import numpy as np
import pytest
from nnx.cli import main as cli
from nnx.commands import archives


def main(*arguments):
    return cli([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def digits():
    return nnx.datasets.load_digits()


@pytest.fixture(scope="module")
def model(tmp_path_factory, digits):
    """The path of a trained model, and the model."""
    x, y = digits
    model = nnx.Sequential(nnx.Normalize(x.mean(), x.std()), nnx.Flatten(), nnx.Dense(10))
    model.compile(nnx.Adam(0.01), "cross_entropy", ["accuracy", "confusion_matrix"], seed=0)
    model.fit(x, y, epochs=2, verbose=0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    model.save(path)
    return path, model


@pytest.fixture
def arrays(tmp_path, digits):
    np.save(tmp_path / "x.npy", digits[0][:4])
    return tmp_path / "x.npy"


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


# predict


def test_a_line_for_each_sample(model, arrays, digits, capsys):
    path, net = model
    assert main("predict", path, arrays) == 0
    p = softmax(net.predict(digits[0][:4]))
    expected = [f"{arrays}[{n}]: class {row.argmax()} {row.max():.2%}" for n, row in enumerate(p)]
    assert capsys.readouterr().out.splitlines() == expected


def test_the_most_probable_classes_first(model, arrays, digits, capsys):
    path, net = model
    assert main("predict", path, arrays, "--top", 3, "--csv") == 0
    rows = rows_of(capsys.readouterr().out)
    p = softmax(net.predict(digits[0][:4]))
    for row, values in zip(rows, p, strict=True):
        best = np.argsort(-values)[:3]
        assert [int(row[f"class_{k}"]) for k in (1, 2, 3)] == best.tolist()
        assert [float(row[f"probability_{k}"]) for k in (1, 2, 3)] == pytest.approx(values[best], rel=1e-4)
    assert main("predict", path, arrays, "--top", 99, "--csv") == 0
    row = rows_of(capsys.readouterr().out)[0]
    assert sum(float(row[f"probability_{k}"]) for k in range(1, 11)) == pytest.approx(1, abs=1e-4)


def test_arrays_of_all_the_shapes_that_are_meant(model, digits, tmp_path, capsys):
    image = digits[0][7]
    np.save(tmp_path / "one.npy", image)
    np.save(tmp_path / "flat.npy", image[..., 0])
    np.save(tmp_path / "fortran.npy", np.asfortranarray(image.astype(np.float64)[None]))
    np.savez_compressed(tmp_path / "x.npz", x=image[None], y=digits[1][7:8])
    np.savez(tmp_path / "single.npz", anything=image[None, ..., 0])
    names = ("one.npy", "flat.npy", "fortran.npy", "x.npz", "single.npz")
    assert main("predict", model[0], *(tmp_path / name for name in names), "--csv") == 0
    rows = rows_of(capsys.readouterr().out)
    assert [row["file"] for row in rows] == [str(tmp_path / name) for name in names]
    assert len({(row["class_1"], row["probability_1"]) for row in rows}) == 1


@pytest.mark.parametrize("size", [(8, 8), (24, 16)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1"])
def test_pictures(model, digits, tmp_path, capsys, size, mode):
    image_module = pytest.importorskip("PIL.Image")
    picture = image_module.fromarray(digits[0][3, :, :, 0].astype(np.uint8))
    picture.resize(size).convert(mode).save(tmp_path / "picture.png")
    assert main("predict", model[0], tmp_path / "picture.png", "--csv") == 0
    (row,) = rows_of(capsys.readouterr().out)
    if size == (8, 8) and mode == "L":
        p = softmax(model[1].predict(digits[0][3:4]))[0]
        assert (int(row["class_1"]), float(row["probability_1"])) == (
            p.argmax(),
            pytest.approx(p.max(), 1e-4),
        )


def test_pictures_without_pillow(model, tmp_path, capsys, monkeypatch, arrays):
    original = builtins.__import__

    def no_pillow(name, *arguments, **options):
        if name.startswith("PIL"):
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    monkeypatch.setattr(builtins, "__import__", no_pillow)
    assert main("predict", model[0], arrays) == 0
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert main("predict", model[0], tmp_path / "picture.png") == 2
    assert "pip install pillow" in capsys.readouterr().err


def saved(tmp_path, last, loss, width=4):
    model = nnx.Sequential(*last)
    model.build((width,))
    model.compile("sgd", loss, seed=3)
    model.save(tmp_path / "m.safetensors")
    x = np.random.default_rng(0).standard_normal((5, width)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    return model.predict(x)


@pytest.mark.parametrize(
    ("last", "loss", "given"),
    [
        ([nnx.Dense(3, activation="softmax")], "cross_entropy", "probabilities"),
        ([nnx.Dense(3), nnx.Softmax()], "cross_entropy", "probabilities"),
        ([nnx.Dense(3)], "cross_entropy", "logits"),
        ([nnx.Dense(1, activation="sigmoid")], "bce", "probability"),
        ([nnx.Dense(1), nnx.Sigmoid()], "bce", "probability"),
        ([nnx.Dense(1)], "bce", "logit"),
        ([nnx.Dense(2)], "mse", "values"),
        ([nnx.Dense(1)], "mse", "values"),
    ],
)
def test_outputs_are_taken_for_what_they_are(tmp_path, capsys, last, loss, given):
    outputs = saved(tmp_path, last, loss)
    assert main("predict", tmp_path / "m.safetensors", tmp_path / "x.npy", "--csv", "--top", 3) == 0
    rows = rows_of(capsys.readouterr().out)
    if given == "values":
        shown = [[float(row[f"output_{k}"]) for k in range(outputs.shape[1])] for row in rows]
        np.testing.assert_allclose(shown, outputs, rtol=1e-5)
        return
    if given == "logits":
        p = softmax(outputs)
    elif given == "probabilities":
        p = outputs
    else:
        one = 1 / (1 + np.exp(-outputs)) if given == "logit" else outputs
        p = np.concatenate([1 - one, one], axis=1)
    assert [int(row["class_1"]) for row in rows] == p.argmax(axis=1).tolist()
    assert [float(row["probability_1"]) for row in rows] == pytest.approx(p.max(axis=1), rel=1e-4)


def test_values_are_printed_as_numbers(tmp_path, capsys):
    outputs = saved(tmp_path, [nnx.Dense(2)], "mse")
    assert main("predict", tmp_path / "m.safetensors", tmp_path / "x.npy") == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"{tmp_path / 'x.npy'}[0]: {outputs[0, 0]:.6g}, {outputs[0, 1]:.6g}"


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((9, 9)), r"8, 8, 1"),
        (np.zeros((3, 1, 8, 8)), r"8, 8, 1"),
        (np.float32(3), r"8, 8, 1"),
        (np.full((8, 8), "a"), "real numbers"),
        (np.zeros((8, 8), complex), "real numbers"),
        (np.array([None]), "real numbers"),
    ],
)
def test_predict_refuses_what_does_not_fit(model, tmp_path, capsys, array, word):
    np.save(tmp_path / "x.npy", array)
    assert main("predict", model[0], tmp_path / "x.npy") == 2
    said = capsys.readouterr().err
    assert word in said
    assert "x.npy" in said
    assert len(said.splitlines()) == 1


def test_nothing_is_printed_where_a_later_file_is_bad(model, arrays, tmp_path, capsys):
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    assert main("predict", model[0], arrays, tmp_path / "bad.npy") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "bad.npy" in said.err


@pytest.mark.parametrize("name", ["missing.npy", "missing.npz", "missing.png", "."])
def test_files_that_are_not_there(model, tmp_path, capsys, name):
    assert main("predict", model[0], tmp_path / name) == 2
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize("command", [("predict",), ("evaluate", "--data", "digits")])
def test_models_that_are_none(arrays, tmp_path, capsys, command):
    files = [arrays] if command == ("predict",) else []
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 100)
    nnx.Sequential(nnx.Dense(3)).save(tmp_path / "unbuilt.safetensors")
    for name in ("bad.safetensors", "missing.safetensors", "unbuilt.safetensors"):
        assert main(*command, tmp_path / name, *files) == 2
        assert name in capsys.readouterr().err


# evaluate


def test_evaluate_prints_loss_and_metrics(model, digits, tmp_path, capsys):
    x, y = digits[0][:200], digits[1][:200]
    np.savez(tmp_path / "data.npz", x=x, y=y)
    assert main("evaluate", model[0], "--data", tmp_path / "data.npz") == 0
    lines = capsys.readouterr().out.splitlines()
    expected = model[1].evaluate(x, y)
    assert lines[0].startswith("200 samples")
    shown = {line.split()[0]: line.split()[1] for line in lines[1:3]}
    assert float(shown["loss"]) == pytest.approx(expected["loss"], rel=1e-5)
    assert float(shown["accuracy"]) == pytest.approx(expected["accuracy"], rel=1e-5)
    assert lines[3] == "confusion_matrix"
    assert len(lines) == 14


def test_evaluate_takes_what_was_held_out(tmp_path, digits, capsys):
    """The accuracy that nnx train has told, of the same samples, by the seed."""
    assert main("train", "--model", "mlp", "--epochs", 1, "--seed", 4, "--out", tmp_path / "out") == 0
    told = capsys.readouterr().out.split("Held-out accuracy: ")[1].split("%")[0]
    path = tmp_path / "out/model.safetensors"
    assert main("evaluate", path, "--data", "digits", "--seed", 4) == 0
    said = capsys.readouterr().out
    accuracy = float(said.split("accuracy")[1].split()[0])
    assert "359 samples" in said
    assert accuracy * 100 == pytest.approx(float(told), abs=0.005)
    x, y = digits
    np.savez(tmp_path / "four.npz", x_train=x[:50], y_train=y[:50], x_test=x[50:80], y_test=y[50:80])
    assert main("evaluate", path, "--data", tmp_path / "four.npz") == 0
    assert "30 samples" in capsys.readouterr().out


def test_evaluate_refuses_data_of_another_kind(model, tmp_path, capsys):
    np.savez(tmp_path / "data.npz", x=np.zeros((5, 9, 9, 1)), y=np.zeros(5, int))
    assert main("evaluate", model[0], "--data", tmp_path / "data.npz") == 2
    assert "(8, 8, 1)" in capsys.readouterr().err
    np.savez(tmp_path / "data.npz", x=np.zeros((5, 8, 8, 1)), y=np.full(5, 10))
    assert main("evaluate", model[0], "--data", tmp_path / "data.npz") == 2
    assert "10" in capsys.readouterr().err


def test_a_model_without_a_loss_is_not_evaluated(tmp_path, capsys):
    model = nnx.Sequential(nnx.Flatten(), nnx.Dense(10))
    model.build((8, 8, 1))
    model.save(tmp_path / "m.safetensors")
    assert main("evaluate", tmp_path / "m.safetensors", "--data", "digits") == 2
    assert "loss" in capsys.readouterr().err


# Files that lie


def npy(shape="(4, 8, 8, 1)", descr="'|u1'", body=b"\0" * 256, version=(1, 0), length=None, fortran="False"):
    header = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    header += b" " * (64 - (len(header) + 11) % 64) + b"\n"
    size = struct.pack("<H" if version == (1, 0) else "<I", len(header) if length is None else length)
    return b"\x93NUMPY" + bytes(version) + size + header + body


LYING = {
    "empty": b"",
    "a short header": npy()[:20],
    "more than there is": npy("(4000000000, 8, 8, 1)"),
    "more than can be": npy("(4000000000, 4000000000, 4000000000)"),
    "less than there is": npy("(3, 8, 8, 1)"),
    "a negative shape": npy("(-4, -8, 8, 1)"),
    "a shape of words": npy("('a',)"),
    "a shape of True": npy("True"),
    "an open bracket": npy("(" * 3000),
    "nested brackets": npy("[" * 3000 + "]" * 3000),
    "objects": npy(descr="'|O'"),
    "unicode": npy(descr="'<U64'"),
    "void": npy(descr="'|V4'"),
    "fields": npy(descr="[('a', '<f4')]"),
    "times": npy(descr="'<M8[s]'"),
    "no dtype": npy(descr="'zz'"),
    "a long header": npy(version=(2, 0), length=1 << 31),
    "version 3": npy(version=(3, 0)),
    "version 9": npy(version=(9, 9)),
    "an unclosed string": npy(descr="'"),
    "no numbers of bytes": npy(descr="'f0'", shape="(5,)"),
}


@pytest.mark.parametrize("name", LYING)
def test_arrays_that_lie(model, tmp_path, capsys, name):
    """One line that names the file, exit code 2, and nothing of the size that is claimed."""
    (tmp_path / "lie.npy").write_bytes(LYING[name])
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        archive.writestr("x.npy", LYING[name])
        archive.writestr("y.npy", npy("(4,)", body=bytes(4)))
    calls = [
        ("predict", model[0], tmp_path / "lie.npy"),
        ("predict", model[0], tmp_path / "lie.npz"),
        ("evaluate", model[0], "--data", tmp_path / "lie.npz"),
        ("train", "--data", tmp_path / "lie.npz", "--out", tmp_path / "out"),
    ]
    for call in calls:
        assert main(*call) == 2
        said = capsys.readouterr().err
        assert "lie.np" in said
        assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_honest_arrays_by_the_same_hand(model, tmp_path, capsys):
    for content in (npy(), npy(version=(2, 0)), npy(descr="'>f4'", body=bytes(1024)), npy(fortran="True")):
        (tmp_path / "x.npy").write_bytes(content)
        assert main("predict", model[0], tmp_path / "x.npy") == 0
        assert len(capsys.readouterr().out.splitlines()) == 4


def bomb(path, size=1 << 28):
    """An archive of a few hundred kB that unpacks to `size`."""
    head = npy(f"({size}, 1, 1, 1)", body=b"")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as stream:
        stream.write(head)
        for _ in range(size >> 20):
            stream.write(bytes(1 << 20))
    return path


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    path = bomb(tmp_path / "bomb.npz")
    monkeypatch.setattr(zipfile.ZipFile, "open", None)  # not even looked into
    with pytest.raises(ValueError, match=r"bomb\.npz.*claim to hold"):
        archives.Archive(path).read(["x"])


def test_more_than_memory_is_not_unpacked(tmp_path, monkeypatch):
    np.savez(tmp_path / "large.npz", x=np.zeros(1000))
    monkeypatch.setattr(archives, "_memory", lambda: 5000)
    with pytest.raises(ValueError, match=r"large\.npz.*5000 bytes of memory"):
        archives.Archive(tmp_path / "large.npz").read(["x"])


def mutants(content, count):
    generator = np.random.default_rng(7)
    for _ in range(count):
        mutant = bytearray(content)
        for _ in range(generator.integers(1, 6)):
            kind = generator.integers(3)
            place = int(generator.integers(len(mutant)))
            if kind == 0:
                mutant[place] = int(generator.integers(256))
            elif kind == 1:
                del mutant[place : place + int(generator.integers(1, 40))]
            else:
                mutant[place:place] = mutant[max(0, place - 30) : place]
        yield bytes(mutant)


@pytest.mark.parametrize("packed", [False, True])
def test_mutants_raise_nothing_but_errors_of_one_line(tmp_path, packed):
    path = tmp_path / "data.npz"
    (np.savez_compressed if packed else np.savez)(path, x=np.arange(64, dtype=np.uint8), y=np.arange(4))
    said = []
    for mutant in mutants(path.read_bytes(), 400):
        path.write_bytes(mutant)
        try:
            archive = archives.Archive(path)
            archive.read([name for name in ("x", "y") if name in archive.names])
        except ValueError as error:
            said.append(str(error))
    assert len(said) > 100
    assert [text for text in said if str(path) not in text or "\n" in text] == []


def test_a_picture_that_is_none(model, tmp_path, capsys):
    pytest.importorskip("PIL")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    assert main("predict", model[0], tmp_path / "x.png") == 2
    assert "x.png" in capsys.readouterr().err
