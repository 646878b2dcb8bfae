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
    assert output.count("ok      ") == 17
    assert "0 failed" in output


def test_a_wrong_result_is_told_so_that_it_can_be_found_elsewhere():
    """The call, its arguments, the first wrong element; the family's other checks are left out, others go on."""
    program = """
import sys

sys.path.insert(0, "bench")
import gpu_kernels
import nnx

real = nnx.ops.dense
def dense(x, w, b=None, activation=None):
    y = nnx.tensor(real(x, w, b, activation).numpy())
    if y.shape == (5, 129):
        values = y.numpy().copy()
        values[3, 128] += 1
        y = nnx.tensor(values)
    return y
nnx.ops.dense = dense
gpu_kernels.main()
"""
    rows = ("--device", "cpu", "--dry-run", "--rows", "dense", "elementwise")
    code, output = run(sys.executable, "-c", program, *rows)
    assert code == 1, output
    assert "FAILED  dense 5 x 3 x 129, float32, integers: AssertionError: result 0 of 7" in output
    assert "1 of 645 elements of shape (5, 129) are off\n    at (3, 128): expected " in output
    assert "in dense(activation='gelu') of\n      float32 (5, 3): " in output
    assert "what is left of the family 'dense' is left out" in output
    assert "dense 130" not in output
    assert output.count("ok      elementwise") == 4


def test_a_check_that_hangs_is_left_for_the_others(tmp_path):
    program = """
import sys, time

sys.path.insert(0, "bench")
import gpu_cases, gpu_kernels

gpu_cases.CASES["softmax"] = lambda ops, draw: time.sleep(100)
gpu_kernels.main()
"""
    path = tmp_path / "hanging.py"
    path.write_text(program)
    rows = ("--device", "cpu", "--dry-run", "--hang", "2", "--rows", "softmax", "elementwise")
    code, output = run(sys.executable, path, *rows)
    assert code == 1, output
    assert "FAILED  softmax, float32, integers: nothing came back within 2 s" in output
    assert output.count("ok      elementwise") == 4
    assert "4 ok, 1 failed" in output


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


LISTING = """
        /*0000*/                   LDG.E.128 R4, desc[UR4][R2.64] ;
        /*0010*/              @!P0 BRA 0x30 ;
        /*0020*/                   LDG.E R4, desc[UR4][R2.64] ;
        /*0030*/                   BAR.SYNC.DEFER_BLOCKING 0x0 ;
        /*0040*/                   FFMA R0, R1, R2, R0 ;
        /*0050*/                   LDS.128 R8, [R9] ;
        /*0060*/               @P1 BRA 0x40 ;
        /*0070*/               @P2 BRA 0x0 ;
        /*0080*/                   EXIT ;
"""


def test_a_slice_is_counted_along_the_way_that_reads_vectors(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import gpu_code

    code = gpu_code.instructions(LISTING)
    assert [i.name for i in code][2:4] == ["LDG.E", "BAR.SYNC.DEFER_BLOCKING"]
    tile = gpu_code.Tile(rows=8, columns=8, depth=4, cycles=0)
    found = gpu_code.slice_of(code, tile, threads=32)
    # 256 products, a thread's 8 of them in as many rounds of the loop inside; without the load of one element.
    assert found == {"LDG.E.128": 1, "BRA": 2 + 8, "BAR.SYNC.DEFER_BLOCKING": 1, "FFMA": 8, "LDS.128": 8}
    assert gpu_code.count(found, "LDG.E") == 1
    assert gpu_code.count(found, "LD") == 0


def test_kernels_without_their_instructions_are_named(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import gpu_code

    name, tile = gpu_code.readable(
        "void nnx::cuda::multiply<nnx::cuda::TensorLoop<nnx::cuda::Tf32Format, nnx::cuda::TensorTile<2, 2, 32, 16, 6, 16>, "
        "nnx::cuda::MatrixReader<float, true>>, nnx::cuda::DensePass<nnx::cuda::OutputWriter<float>, false> >(int)"
    )
    assert name == "multiply 64 x 32 TF32, dense forward"
    kernel = gpu_code.Kernel(name, registers=80, threads=128, tile=tile)
    assert (kernel.warps, kernel.blocks) == (4, 6)
    kernel.code.update({"LDG.E.128": 2, "ATOMG.E.ADD.F32.FTZ.RN": 1})
    told = [text for text in gpu_code.broken_rules([kernel]) if text.startswith(name)]
    assert len(told) == 3, told
    assert "has no HMMA.1688.F32.TF32" in told[0]
    assert "ATOMG" in told[1]
    assert "slices was not recognised" in told[2]
