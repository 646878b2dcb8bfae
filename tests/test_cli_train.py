"""`nnx train` that is cut off, resumed, diverges, or cannot write: what is trained is kept."""

import json
import os
import signal
import subprocess
import sys
import time

import nnx
import numpy as np
import pytest
from nnx.commands import outputs, train
from test_cli import files, run

FILE = "model.safetensors"
SHORT = ("train", "--model", "mlp", "--epochs", 3, "--batch-size", 64, "--seed", 5)


def main(*arguments):
    from nnx.cli import main

    return main([str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken") / "out"
    done = run(*SHORT, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def expect_same(out, unbroken):
    one, other = nnx.load(out / FILE), nnx.load(unbroken / FILE)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.epoch, one.optimizer.iterations) == (other.epoch, other.optimizer.iterations)
    assert (out / "history.csv").read_bytes() == (unbroken / "history.csv").read_bytes()
    assert {"curves.png", "confusion.png"} <= files(out)


class Cut(BaseException):
    """A kill: nothing is done after it."""


def cut_at(monkeypatch, error, epoch, before_saving):
    """Has training end at an epoch's end."""
    original = train._Keep.on_epoch_end

    def on_epoch_end(self, number, logs=None):
        if number == epoch and before_saving:
            raise error
        original(self, number, logs)
        if number == epoch:
            raise error

    monkeypatch.setattr(train._Keep, "on_epoch_end", on_epoch_end)


@pytest.mark.parametrize("before_saving", [True, False])
@pytest.mark.parametrize("epoch", [0, 1])
def test_a_killed_run_resumes(tmp_path, monkeypatch, unbroken, epoch, before_saving):
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        cut_at(patched, Cut, epoch, before_saving)
        with pytest.raises(Cut):
            main(*SHORT, "--out", out)
    assert files(out) == {FILE, "options.json"}
    assert nnx.load(out / FILE).epoch == epoch + (0 if before_saving else 1)
    assert main("train", "--resume", "--out", out) == 0
    expect_same(out, unbroken)


def test_a_run_resumes_within_an_epoch_after_ctrl_c(tmp_path, monkeypatch, unbroken, capsys):
    out = tmp_path / "out"

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 30:  # of 23 an epoch
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(train._Keep, "on_train_batch_end", on_train_batch_end)
        assert main(*SHORT, "--out", out) == 130
    model = nnx.load(out / FILE)
    assert (model.epoch, model.optimizer.iterations) == (1, 30)
    assert "--resume" in capsys.readouterr().err
    assert {"history.csv", "curves.png"} <= files(out)
    assert main("train", "--resume", "--out", out) == 0
    assert "1 of 3 epochs" in capsys.readouterr().out
    expect_same(out, unbroken)


@pytest.mark.slow
def test_sigkill(tmp_path):
    """The file is whole at any time, and the run goes on to what the unbroken one comes to."""
    arguments = ("train", "--model", "lenet", "--epochs", 6, "--batch-size", 64)
    done = run(*arguments, "--out", tmp_path / "unbroken")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    command = [sys.executable, "-m", "nnx", *map(str, arguments), "--out", str(out)]
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"MPLBACKEND": "Agg"}
    )
    while not (out / FILE).exists() or nnx.load(out / FILE).epoch < 2:
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert nnx.load(out / FILE).epoch < 6
    done = run("train", "--resume", "--out", out)
    assert done.returncode == 0, done.stderr
    expect_same(out, tmp_path / "unbroken")


def test_a_finished_run_stays_as_it_is(tmp_path, unbroken):
    out = tmp_path / "out"
    out.mkdir()
    for name in (FILE, "options.json"):
        (out / name).write_bytes((unbroken / name).read_bytes())
    assert main("train", "--resume", "--out", out) == 0
    expect_same(out, unbroken)


def test_a_new_run_that_is_killed_before_it_begins(tmp_path, monkeypatch, unbroken):
    """Its options lie beside no other run's model."""
    out = tmp_path / "out"
    assert main("train", "--model", "mlp", "--epochs", 1, "--seed", 1, "--out", out) == 0

    def save(*_):
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(nnx.Sequential, "save", save)
        with pytest.raises(Cut):
            main(*SHORT, "--out", out)
    assert main("train", "--resume", "--out", out) == 0
    expect_same(out, unbroken)


def test_ctrl_c_does_not_replace_weights_by_broken_ones(tmp_path, monkeypatch):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 30:
            self.model.set_weights([np.full_like(w, np.nan) for w in self.model.get_weights()])
            raise KeyboardInterrupt

    monkeypatch.setattr(train._Keep, "on_train_batch_end", on_train_batch_end)
    assert main(*SHORT, "--out", tmp_path) == 130
    model = nnx.load(tmp_path / FILE)
    assert model.epoch == 1
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_new_run_does_not_go_on_with_an_old_one(tmp_path, monkeypatch, unbroken):
    out = tmp_path / "out"
    assert main("train", "--model", "mlp", "--epochs", 1, "--seed", 1, "--out", out) == 0
    with monkeypatch.context() as patched:
        cut_at(patched, Cut, 0, True)
        with pytest.raises(Cut):
            main(*SHORT, "--out", out)
    assert main("train", "--resume", "--out", out) == 0
    expect_same(out, unbroken)


@pytest.mark.parametrize(
    ("option", "value"), [("--epochs", 4), ("--lr", 0.5), ("--model", "lenet"), ("--seed", 1)]
)
def test_resume_refuses_another_run(unbroken, option, value, capsys):
    before = (unbroken / FILE).read_bytes()
    assert main("train", "--resume", "--out", unbroken, option, value) == 2
    assert option in capsys.readouterr().err
    assert (unbroken / FILE).read_bytes() == before


def test_resume_takes_the_same_options(unbroken):
    assert main(*SHORT, "--resume", "--out", unbroken) == 0


def test_resume_refuses_other_data(tmp_path, capsys):
    x, y = nnx.datasets.load_digits()
    np.savez(tmp_path / "data.npz", x=x[:300], y=y[:300])
    out = tmp_path / "out"
    assert main("train", "--model", "mlp", "--epochs", 1, "--data", tmp_path / "data.npz", "--out", out) == 0
    np.savez(tmp_path / "data.npz", x=x[300:600], y=y[300:600])
    assert main("train", "--resume", "--out", out) == 2
    assert "'x'" in capsys.readouterr().err


def damaged(options):
    yield b""
    yield b"{}"
    yield b"[" * 30_000
    yield b"\xff\xfe"
    for name, value in [
        ("epochs", -1),
        ("epochs", True),
        ("epochs", 10**400),
        ("lr", 10**400),
        ("batch_size", "32"),
        ("lr", None),
        ("lr", "nan"),
        ("model", "rnn"),
        ("decay", ["step"]),
        ("data", 7),
        ("seed", 1.5),
        ("more", 1),
    ]:
        yield json.dumps(options | {name: value}).encode()


def test_resume_refuses_damaged_options(tmp_path, unbroken, capsys):
    (tmp_path / FILE).write_bytes((unbroken / FILE).read_bytes())
    for content in damaged(json.loads((unbroken / "options.json").read_text())):
        (tmp_path / "options.json").write_bytes(content)
        assert main("train", "--resume", "--out", tmp_path) == 2, content
        assert "options.json" in capsys.readouterr().err
    assert main("train", "--resume", "--out", tmp_path / "nowhere") == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_model_predicts_and_normalizes(unbroken):
    x, y = nnx.datasets.load_digits()
    model = nnx.load(unbroken / FILE)
    assert isinstance(model.layers[0], nnx.Normalize)
    assert (model.predict(x).argmax(axis=1) == y).mean() > 0.8


# Pictures


@pytest.fixture
def run_once(tmp_path):
    def run_once():
        code = main("train", "--model", "mlp", "--epochs", 1, "--out", tmp_path / "out")
        assert {FILE, "history.csv"} <= files(tmp_path / "out")
        assert nnx.load(tmp_path / "out" / FILE).epoch == 1
        return code

    return run_once


@pytest.mark.parametrize("error", [RuntimeError("out of ink"), MemoryError(), ImportError("libpng")])
def test_pictures_that_fail_cost_nothing_else(run_once, monkeypatch, capsys, error, tmp_path):
    from nnx import plots

    def curves(*_):
        raise error

    monkeypatch.setattr(plots, "curves", curves)
    assert run_once() == 0
    assert f"no curves.png: {error or 'MemoryError'}" in capsys.readouterr().err
    assert "confusion.png" in files(tmp_path / "out")


def test_a_broken_matplotlib_costs_nothing_else(tmp_path):
    broken = tmp_path / "path/matplotlib"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise OSError('cannot open libfreetype')")
    path = f"{broken.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "nnx", "train", "--model", "mlp", "--epochs", "1", "--out", str(out)],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "libfreetype" in done.stderr
    assert files(out) == {FILE, "options.json", "history.csv"}


def test_ctrl_c_while_pictures_are_drawn(run_once, monkeypatch, capsys):
    from nnx import plots

    def confusion(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(plots, "confusion", confusion)
    assert run_once() == 130
    assert FILE in capsys.readouterr().err


def test_no_memory_for_the_held_out_part(run_once, monkeypatch):
    def predict(*_):
        raise MemoryError

    monkeypatch.setattr(nnx.Sequential, "predict", predict)
    assert run_once() == 2


# A loss that is not finite


def test_a_run_that_diverges_says_so(tmp_path, capsys):
    out = tmp_path / "out"
    with pytest.warns(RuntimeWarning, match="not finite"):
        code = main("train", "--model", "mlp", "--lr", "1e30", "--epochs", 3, "--out", out)
    assert code == 1
    said = capsys.readouterr().err
    assert "the loss is not finite in epoch 1" in said
    assert "--lr" in said
    assert all(np.isfinite(weight).all() for weight in nnx.load(out / FILE).get_weights())
    assert len((out / "history.csv").read_text().splitlines()) == 2


# The folder


def refused(monkeypatch, out):
    """Runs with a `fit` that must not be reached; the exit code."""

    def fit(*_, **__):
        raise AssertionError("trained before the folder was tried")

    monkeypatch.setattr(nnx.Sequential, "fit", fit)
    return main("train", "--model", "mlp", "--epochs", 1, "--out", out)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_write_protected(tmp_path, monkeypatch, capsys):
    tmp_path.chmod(0o500)
    assert refused(monkeypatch, tmp_path) == 2
    assert "--out" in capsys.readouterr().err


def test_folders_that_cannot_be(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file/below", "/proc/nnx-out"):
        assert refused(monkeypatch, out) == 2
        assert "--out" in capsys.readouterr().err


def test_a_full_disk_is_found_before_training(tmp_path, monkeypatch, capsys):
    def fallocate(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    assert refused(monkeypatch, tmp_path / "out") == 2
    assert "No space left" in capsys.readouterr().err
    assert files(tmp_path / "out") == set()


def test_what_is_set_aside_is_more_than_the_model_takes(tmp_path, monkeypatch):
    asked = []
    original = outputs.prepare
    monkeypatch.setattr(outputs, "prepare", lambda out, size: (asked.append(size), original(out, size)))
    for optimizer in ("sgd", "adam"):
        out = tmp_path / optimizer
        assert main("train", "--model", "mlp", "--epochs", 1, "--optimizer", optimizer, "--out", out) == 0
        assert asked[-1] + (1 << 20) >= sum(path.stat().st_size for path in out.iterdir())
        assert not [name for name in files(out) if name.startswith(".")]
