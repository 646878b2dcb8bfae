"""The parity suite once more for every instruction set this machine has, each in an interpreter of its own."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import nnx
import pytest

CPU = nnx.info()["cpu"]
OPS = Path(__file__).resolve().parent / "ops"
# avx512 goes last: where the machine lacks it, choosing it must fail by name.
ALL = ("baseline", "avx2", "avx512")


def available():
    """Built here, and no wider than the one chosen."""
    built = list(CPU["isas_built"])
    return built[: built.index(CPU["isa"]) + 1] if "NNX_CPU" not in os.environ else []


def child(arguments, isa):
    environment = os.environ | {"NNX_CPU": isa}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("isa", ALL)
def test_the_ops_on(isa):
    if isa not in available() or isa == CPU["isa"]:
        pytest.skip(f"{isa} is not here, or is what all other tests run on")
    done = child(
        ["-m", "pytest", "-q", "--maxfail=20", "-p", "no:cacheprovider", str(OPS), "-k", "not bad_input"], isa
    )
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("isa", ALL)
def test_the_environment_chooses(isa):
    if isa not in available():
        pytest.skip(f"{isa} is not here")
    done = child(["-c", "import nnx; print(nnx.info()['cpu']['isa'])"], isa)
    assert done.stdout.strip() == isa, done.stderr


@pytest.mark.parametrize("bad", ["sse9", "AVX-2", " "])
def test_an_unknown_name_is_refused(bad):
    """By an error that names the variable, what is there and what came."""
    done = child(["-c", "import numpy as np, nnx; nnx.ops.relu(np.ones(3))"], bad)
    assert done.returncode != 0
    assert "NNX_CPU" in done.stderr
    assert CPU["isas_built"][0] in done.stderr
    assert f"got '{bad}'" in done.stderr


def test_the_module_keeps_its_c_plus_plus_library_to_itself():
    """Else modules loaded later bind to half of it: importing onnxruntime after nnx crashed."""
    library = ctypes.CDLL(nnx._core.__file__)
    assert hasattr(library, "PyInit__core")
    assert not hasattr(library, "_ZNSt6locale2id11_S_refcountE")  # a counter of which a process has one
