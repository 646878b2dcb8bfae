"""The programs for a machine with a GPU run through, on whatever there is: they get no second chance there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nnx
import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "bench/gpu.sh"


def run(*command, **variables):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=os.environ | {"PYTHON": sys.executable, "MPLBACKEND": "Agg", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["train_step", "gemm", "epoch"])
def test_a_dry_run_gives_every_row(name, tmp_path):
    program = ROOT / f"bench/gpu_{name}.py"
    code, output = run(sys.executable, program, "--dry-run", "--no-compile", "--output", tmp_path)
    assert code == 0, output
    (found,) = tmp_path.glob("*.json")
    rows = json.loads(found.read_text())["data"]
    assert rows
    assert [row for row in rows if "failed" in row] == []
    assert all(row["row"] in found.with_suffix(".md").read_text() for row in rows)


def test_a_row_that_fails_is_told_and_the_others_are_kept(tmp_path):
    program = (
        "import sys; sys.path.insert(0, 'bench'); import gpu_gemm; "
        "gpu_gemm.DRY_SIZES = (24, 16); real = gpu_gemm.chains; "
        "gpu_gemm.chains = lambda x, *rest: real(x, *rest) if len(x) == 16 else 1 / 0; gpu_gemm.main()"
    )
    code, output = run(
        sys.executable, "-c", program, "--dry-run", "--precision", "float32", "--output", tmp_path
    )
    assert code == 1, output
    (found,) = tmp_path.glob("*.json")
    first, second = json.loads(found.read_text())["data"]
    assert first["failed"].startswith("ZeroDivisionError")
    assert second["tflops"]["nnx"] > 0
    assert "FAILED 24 x 24 x 24" in found.with_suffix(".md").read_text()


def test_kernels_agree_with_their_definitions():
    rows = ("dense 5", "conv2d plain", "losses", "norms", "MLP, SGD, float32")
    code, output = run(sys.executable, ROOT / "bench/gpu_kernels.py", "--dry-run", "--rows", *rows)
    assert code == 0, output
    assert output.count("ok ") == 9
    assert "0 failed" in output


def test_kernels_of_a_trace_are_counted_per_step():
    program = """
import sys

sys.path.insert(0, "bench")
import gpu_profile

events = [
    {"ph": "X", "cat": "kernel", "name": "a", "ts": 10.0, "dur": 2.0},
    {"ph": "X", "cat": "kernel", "name": "b", "ts": 15.0, "dur": 4.0},
    {"ph": "X", "cat": "kernel", "name": "a", "ts": 20.0, "dur": 4.0},
    {"ph": "X", "cat": "cpu_op", "name": "c", "ts": 0.0, "dur": 90.0},
    {"ph": "M", "name": "process_name"},
]
found = gpu_profile.per_step(events, 2)
assert found["kernels"] == 1.5, found
assert found["busy_us"] == 5.0 and found["span_us"] == 7.0, found
assert found["list"][0] == {"name": "a", "calls": 1.0, "us": 3.0, "median_us": 3.0}, found
"""
    code, output = run(sys.executable, "-c", program)
    assert code == 0, output


def test_the_script_is_sound():
    code, output = run("bash", "-n", SCRIPT)
    assert code == 0, output
    code, output = run("bash", SCRIPT, "--help")
    assert code == 0
    assert "compute-sanitizer" in output
    code, output = run("bash", SCRIPT, "no-such-stage")
    assert code == 2
    assert "unknown stage" in output


def test_the_script_goes_on_after_a_stage_that_fails(tmp_path):
    results, packed = tmp_path / "results", tmp_path / "results.tgz"
    code, output = run(
        *("bash", SCRIPT, "--out", results, "--tar", packed, "gemm", "epoch"),
        *("--", "--dry-run", "--no-compile", "--workers", "0"),  # which gpu_gemm.py does not know
    )
    assert code == 1, output
    stages = json.loads((results / "summary.json").read_text())
    assert [(s["stage"], s["status"]) for s in stages] == [("gemm", "failed"), ("epoch", "passed")], output
    assert "--workers" in (results / "gemm.txt").read_text()
    assert packed.exists()


@pytest.mark.skipif(nnx.cuda.is_available(), reason="there is a GPU, or the emulator")
def test_without_a_gpu_the_programs_say_so():
    code, output = run(sys.executable, ROOT / "bench/gpu_gemm.py")
    assert code == 1
    assert "no GPU for nnx" in output
