"""The first minutes on a GPU, rehearsed on the emulator: bench/gpu.sh contact goes through, and leaves what can be read."""

import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import nnx
import pytest
from nnx import _core

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "bench/gpu.sh"
PLUGIN = os.environ.get("NNX_CUDA_PLUGIN", "")
STAGES = ["build", "kernels", "digits", "memcheck", "train", "gemm", "epoch", "suite", "racecheck"]
# What the programs of the bench and of nnx use where it is there.
OPTIONAL = (
    "torch",
    "tqdm",
    "safetensors",
    "matplotlib",
    "pytest",
    "hypothesis",
    "xdist",
    "sklearn",
    "triton",
)

pytestmark = pytest.mark.skipif(
    not (nnx.cuda.is_emulated() and PLUGIN), reason="a rehearsal on the emulator, whose plugin is not here"
)


def contact(folder, verb="contact"):
    # The checkout's nnx comes first; where there is none built, the one that runs these tests.
    core = Path(_core.__file__).parent.parent
    command = ["bash", str(SCRIPT), verb, "--emulated", PLUGIN, "--brief", "--total", "520"]
    command += ["--out", str(folder / "results"), "--tar", str(folder / "results.tgz")]
    paths = [str(core), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(paths),
        "MPLBACKEND": "Agg",
    }
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def readable(folder):
    """Every result is whole: the stages so far, each program's rows, and the archive of them."""
    results = folder / "results"
    for path in results.glob("*.json"):
        json.loads(path.read_text())
    with tarfile.open(folder / "results.tgz") as packed:
        names = [Path(name).name for name in packed.getnames()]
        for member in packed.getmembers():
            if member.isfile():
                packed.extractfile(member).read()
    return names


def test_contact_goes_through(tmp_path):
    process = contact(tmp_path)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    stages = json.loads((tmp_path / "results/summary.json").read_text())
    assert [stage["stage"] for stage in stages] == STAGES
    assert {stage["status"] for stage in stages} <= {"passed", "skipped"}, output
    # Nobody may take these for results of a GPU.
    assert all(stage["emulated"] for stage in stages)
    assert "emulated: a dry run" in (tmp_path / "results/machine.txt").read_text()
    assert "(the emulator)" in (tmp_path / "results/kernels.txt").read_text()
    tables = list((tmp_path / "results").glob("*-dry-run.json"))
    assert len(tables) == 3
    assert all(json.loads(path.read_text())["machine"]["emulated"] == "True" for path in tables)
    assert {"summary.json", "kernels.txt", "train.txt"} <= set(readable(tmp_path))


def test_what_contact_leaves_goes_through(tmp_path):
    process = contact(tmp_path, "contact2")
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    stages = {s["stage"]: s["status"] for s in json.loads((tmp_path / "results/summary.json").read_text())}
    assert stages["plan"] == stages["rounding"] == "passed"
    assert "case TileKind::large:" in next((tmp_path / "results").glob("*-gpu_plan-dry-run.md")).read_text()


def test_contact_needs_none_of_what_is_optional(tmp_path):
    """What is missing is left out, with a word."""
    blind = tmp_path / "sitecustomize.py"
    blind.write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {OPTIONAL!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(tmp_path), before]))
    try:
        process = contact(tmp_path)
        output, _ = process.communicate(timeout=600)
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    assert process.returncode == 0, output
    stages = {s["stage"]: s for s in json.loads((tmp_path / "results/summary.json").read_text())}
    assert stages["suite"]["status"] == "skipped"
    assert "pytest is not installed" in stages["suite"]["last"]
    assert stages["train"]["status"] == stages["gemm"]["status"] == stages["epoch"]["status"] == "passed"
    assert "no picture: matplotlib is not installed" in (tmp_path / "results/train.txt").read_text()


def test_contact_killed_at_any_moment_leaves_what_can_be_read(tmp_path):
    """By SIGTERM, which it takes note of, and by SIGKILL, which it cannot."""
    draw = random.Random(int(os.environ.get("NNX_TEST_SEED", "0")) + 5)
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = contact(folder)
        wait = draw.uniform(2, 12)
        time.sleep(wait)
        with_word = number % 2 == 0
        os.killpg(process.pid, signal.SIGTERM if with_word else signal.SIGKILL)
        process.communicate(timeout=60)
        what = f"killed after {wait:.1f} s"
        for path in (folder / "results").glob("*.json"):
            json.loads(path.read_text())
        if with_word:
            assert {"summary.json", "machine.txt"} <= set(readable(folder)), what
            stages = json.loads((folder / "results/summary.json").read_text())
            assert stages[-1]["status"] == "stopped", what
            names = [stage["stage"] for stage in stages if stage["stage"] != "between"]
            assert names == STAGES[: len(names)], what
        elif (folder / "results/summary.json").exists():
            assert readable(folder), what
