"""The emulator of the GPU: its own tests, a C++ program of tests/emulator/, built here with and without
AddressSanitizer."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMPILER = os.environ.get("CXX") or shutil.which("c++")

pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler: neither $CXX nor c++"),
    pytest.mark.skipif(not (ROOT / "cuda/emulator").is_dir(), reason="not in a source tree"),
]

BUILDS = {
    "plain": ["-O2"],
    "address": ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
    "ucontext": ["-O1", "-DNNX_EMULATOR_UCONTEXT"],
}


@pytest.mark.slow
@pytest.mark.parametrize("build", BUILDS)
def test_emulator(build, tmp_path):
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-DNNX_CUDA_EMULATOR"]
    folders = [f"-I{ROOT / folder}" for folder in ("cuda/emulator", "cuda", "csrc")]
    sources = sorted((ROOT / "cuda/emulator").glob("*.cpp")) + sorted((ROOT / "tests/emulator").glob("*.cpp"))
    program = tmp_path / "emulator"
    command = [COMPILER, *flags, *BUILDS[build], *folders, *map(str, sources), "-o", str(program), "-pthread"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode != 0 and build == "address" and "sanitize" in built.stderr:
        pytest.skip(f"{COMPILER} has no AddressSanitizer")
    assert built.returncode == 0, built.stderr
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NNX_EMULATOR")}
    ran = subprocess.run(
        [str(program)], capture_output=True, text=True, check=False, env=environment, timeout=600
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
