"""The command line, each call in an interpreter of its own or through main()."""

import os
import re
import signal
import subprocess
import sys
import time

import nnx
import numpy as np
import pytest
from test_datasets import HOSTILE, idx, write_mnist


def run(*arguments, cwd=None):
    environment = os.environ | {"MPLBACKEND": "Agg"}
    return subprocess.run(
        [sys.executable, "-m", "nnx", *map(str, arguments)],
        env=environment, cwd=cwd, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short training of the digits, its folder and its output."""
    out = tmp_path_factory.mktemp("out") / "deep" / "er"
    done = run("train", "--epochs", 4, "--batch-size", 64, "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done


def files(folder):
    return {p.name for p in folder.iterdir()}


def test_training_leaves_its_files(trained):
    out, done = trained
    assert "history.csv" in files(out)
    assert any(name.endswith(".safetensors") for name in files(out))
    pictures = sorted(p for p in out.iterdir() if p.suffix == ".png")
    assert len(pictures) >= 2
    assert all(p.read_bytes().startswith(b"\x89PNG") and p.stat().st_size > 2000 for p in pictures)
    assert "accuracy" in done.stdout + done.stderr


def test_the_history_has_a_row_an_epoch(trained):
    rows = (trained[0] / "history.csv").read_text().splitlines()
    assert len(rows) == 5
    names = rows[0].split(",")
    assert {"loss", "accuracy"} <= set(names)
    assert all(len(row.split(",")) == len(names) for row in rows)
    losses = [float(row.split(",")[names.index("loss")]) for row in rows[1:]]
    assert losses[-1] < losses[0]


def test_the_weights_are_all_there(trained):
    weights = nnx.load(trained[0] / "model.safetensors").state_dict()
    assert sum(name.endswith("kernel") for name in weights) == 4
    assert all(np.isfinite(w).all() for w in weights.values())


def test_the_accuracy_is_reported(trained):
    """Of what was held out, and as the history has it."""
    printed = float(re.search(r"accuracy: ([\d.]+)%", trained[1].stdout)[1]) / 100
    rows = [row.split(",") for row in (trained[0] / "history.csv").read_text().splitlines()]
    assert printed == pytest.approx(float(rows[-1][rows[0].index("val_accuracy")]), abs=1e-4)
    assert printed > 0.9


def test_info():
    done = run("info")
    assert done.returncode == 0
    assert nnx.__version__ in done.stdout
    assert nnx.info()["cpu"]["isa"] in done.stdout


def test_the_version_and_help():
    done = run("--help")
    assert done.returncode == 0
    for word in ("train", "evaluate", "predict", "info", "bench"):
        assert word in done.stdout
    assert run("--version").stdout == f"nnx {nnx.__version__}\n"


def digits_folder(folder, **options):
    x, y = nnx.datasets.load_digits()
    images = (x[..., 0] * (255 / x.max())).astype(np.uint8)[:400]
    write_mnist(folder, images, y[:400].astype(np.uint8), **options)
    return folder


@pytest.mark.parametrize("pack", [False, True])
def test_a_folder_of_idx_files(tmp_path, pack):
    (tmp_path / "data").mkdir()
    digits_folder(tmp_path / "data", pack=pack)
    done = run(
        "train", "--data", tmp_path / "data", "--model", "mlp", "--epochs", 2, "--out", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    assert "history.csv" in files(tmp_path / "out")


def test_an_npz_file(tmp_path):
    x, y = nnx.datasets.load_digits()
    np.savez(tmp_path / "data.npz", x=x[:300], y=y[:300])
    done = run(
        "train", "--data", tmp_path / "data.npz", "--model", "mlp", "--epochs", 1, "--out", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("decay", ["step", "exp", "cosine"])
def test_decay(tmp_path, decay):
    arguments = (
        "train",
        "--model",
        "mlp",
        "--epochs",
        3,
        "--lr",
        0.1,
        "--decay",
        decay,
        "--out",
        tmp_path / "out",
    )
    done = run(*arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_idx_files(tmp_path, name):
    """Exit status 2, a message that names the file, no traceback, nothing written."""
    data = tmp_path / "data"
    data.mkdir()
    digits_folder(data)
    (data / "train-images-idx3-ubyte").write_bytes(HOSTILE[name])
    done = run("train", "--data", data, "--epochs", 1, "--out", tmp_path / "out")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "train-images-idx3-ubyte" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists() or files(tmp_path / "out") == set()


def test_labels_that_do_not_match(tmp_path):
    digits_folder(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(7, np.uint8)))
    done = run("train", "--data", tmp_path, "--epochs", 1, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "7" in done.stderr
    assert "300" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("train", "--data", "nowhere"), "nowhere"),
        (("train", "--model", "nonsense"), "nonsense"),
        (("train", "--epochs", "-1"), "epochs"),
        (("train", "--epochs", "many"), "many"),
        (("train", "--batch-size", "0"), "batch"),
        (("train", "--lr", "nan"), "lr"),
        (("train", "--decay", "slow"), "slow"),
        (("train", "--device", "tpu"), "tpu"),
        (("nonsense",), "nonsense"),
    ],
)
def test_bad_arguments(tmp_path, arguments, word):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == set()


@pytest.mark.slow
def test_ctrl_c_leaves_the_model(tmp_path):
    """Exit status 130, no traceback, and the files of what was learnt so far."""
    child = subprocess.Popen(
        [sys.executable, "-u", "-m", "nnx", "train", "--epochs", "100000", "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"MPLBACKEND": "Agg"},
    )  # fmt: skip
    child.stdout.readline()
    time.sleep(2)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in errors
    assert {"model.safetensors", "history.csv"} <= files(tmp_path / "out")
