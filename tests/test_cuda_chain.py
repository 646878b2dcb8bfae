"""Each link of the chain to a CUDA device, missing: what nnx says then, and that it trains on the CPU all the same."""

import os
import subprocess
import sys

import nnx
import pytest
from nnx import _core

emulated_only = pytest.mark.skipif(
    not nnx.cuda.is_emulated(), reason="only the emulator lacks things on request"
)

BUILT = "the plugin was built with CUDA 13.0"
NO_CODE = "the CUDA plugin has no code for emulator (compute capability 6.1); it was built for the emulator"
UNUSABLE = {
    "no driver": ({"NNX_EMULATOR_DRIVER": "0"}, f"no NVIDIA driver was found (libcuda.so.1); {BUILT}"),
    "old driver": (
        {"NNX_EMULATOR_DRIVER": "12080"},
        f"the NVIDIA driver is too old: it supports CUDA 12.8, {BUILT}",
    ),
    "driver in disorder": (
        {"NNX_EMULATOR_ERROR": "999"},
        "the NVIDIA driver failed: looking for devices: cudaErrorUnknown, unknown error",
    ),
    "no device": ({"NNX_EMULATOR_DEVICES": "0"}, "the NVIDIA driver finds no device"),
    "no code": ({"NNX_EMULATOR_CAPABILITY": "61"}, NO_CODE),
    "no code for any": ({"NNX_EMULATOR_CAPABILITY": "61,62", "NNX_EMULATOR_DEVICES": "2"}, NO_CODE),
}


def python(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# What every call says that names a device, a line each, after what it gives without one.
CALLS = """
import nnx, numpy as np
assert nnx.ops.relu([-1.0, 2.0]).tolist() == [0, 2]
model = nnx.Sequential(nnx.Dense(2))
def auto():
    model.compile("sgd", "mse")
    model.fit(np.ones((3, 2)), np.ones((3, 2)), verbose=0)
    return model.device
def compile(device="cuda", precision="float32"):
    return lambda: nnx.Sequential(nnx.Dense(1)).compile(device=device, precision=precision)
def said(call):
    try:
        return call()
    except ValueError as error:
        return error
print(nnx.cuda.is_available(), nnx.cuda.device_count(), nnx.info()["cuda"]["available"], said(auto))
print(nnx.info()["cuda"]["reason"])
"""


@emulated_only
@pytest.mark.parametrize("link", UNUSABLE)
def test_a_missing_link_is_named(link):
    environment, reason = UNUSABLE[link]
    code = CALLS + "print(said(lambda: nnx.tensor([1.0], device='cuda')), said(compile()), sep='\\n')"
    state, told, of_tensor, of_compile = python("-c", code, **environment).splitlines()
    assert state == "False 0 False cpu"
    assert told == reason
    assert of_tensor == f"device 'cuda:0': {reason}"
    assert of_compile == f"argument 'device' is 'cuda', but {reason}"
    shown = [
        line for line in python("-m", "nnx", "info", **environment).splitlines() if line.startswith("cuda")
    ]
    assert shown == [f"cuda     not available: {reason}"]


@emulated_only
def test_versions_are_told_where_they_are_known():
    code = (
        "import nnx; cuda = nnx.info()['cuda']; print(cuda['driver'], cuda['runtime'], cuda['architectures'])"
    )
    assert python("-c", code, NNX_EMULATOR_DRIVER="12080") == "12.8 13.0 the emulator\n"
    assert python("-c", code, NNX_EMULATOR_DRIVER="13020") == "13.2 13.0 the emulator\n"
    assert python("-c", code, NNX_EMULATOR_DRIVER="0") == "None 13.0 the emulator\n"


@emulated_only
def test_one_device_of_two_has_code():
    """ "auto" passes the other over, which says why when it is asked for by its number."""
    environment = {"NNX_EMULATOR_CAPABILITY": "61,90", "NNX_EMULATOR_DEVICES": "2"}
    code = CALLS + (
        "nnx._core.cuda_is_emulated = lambda: False\n"  # which "auto" does not take
        "print(auto(), said(lambda: nnx.tensor([1.0], device='cuda:0')), said(compile()), sep='\\n')\n"
        "print(nnx.tensor([1.0], device='cuda:1').device); nnx.cuda.empty_cache()"
    )
    state, told, auto, of_tensor, of_compile, second = python("-c", code, **environment).splitlines()
    assert state == "True 2 True cpu"
    assert told == "None"
    assert auto == second == "cuda:1"
    assert of_tensor == f"device 'cuda:0': {NO_CODE}"
    assert of_compile == f"argument 'device' is 'cuda', but {NO_CODE}"
    shown = python("-m", "nnx", "info", **environment).splitlines()[-2:]
    assert shown == [f"cuda:0   {NO_CODE}", "cuda:1   emulator (compute capability 9.0, code for 9.0)"]


# Turing's tensor cores know neither; and code for 7.5 does not use those of a newer GPU.
TURING = {
    "7.5": {"NNX_EMULATOR_CAPABILITY": "75"},
    "8.6": {"NNX_EMULATOR_CAPABILITY": "86", "NNX_EMULATOR_CODE": "75"},
}


@emulated_only
@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
@pytest.mark.parametrize("capability", TURING)
def test_tensor_cores_are_refused_before_8_0(capability, precision):
    code = CALLS + (
        f"print(said(compile('cuda', {precision!r})), said(compile('cuda', 'float64')), sep='\\n')\n"
        f"nnx.training.devices.check_precision = lambda precision, device: None\n"
        f"model.compile(device='cuda', precision={precision!r})\n"
        f"print(said(lambda: model.predict(np.ones((3, 2)))))"
    )
    *_, refused, accepted, of_core = python("-c", code, **TURING[capability]).splitlines()
    where = f"emulator (compute capability {capability}, code for 7.5)"
    assert refused == (
        f"argument 'precision' expected 'float32' or 'float64' on device 'cuda', {where}, got {precision!r}"
    )
    assert accepted == "None"
    assert of_core == f"program: argument 'precision' expected 'strict' on {where}, got {precision!r}"


@emulated_only
@pytest.mark.parametrize("capability", ["80", "86"])
def test_tensor_cores_are_accepted_from_8_0_on(capability):
    code = CALLS + "print(said(compile('cuda', 'tf32')), said(compile('cuda', 'bfloat16')))"
    assert python("-c", code, NNX_EMULATOR_CAPABILITY=capability).splitlines()[-1] == "None None"


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        ("nowhere/libnnx_cuda.so", "nnx was built without its CUDA plugin (NNX_CUDA=OFF)"),
        (__file__, f"the CUDA plugin cannot be opened: {__file__}: "),
        (_core.__file__, f"the CUDA plugin {_core.__file__} belongs to another version of nnx"),
    ],
    ids=["missing", "not a library", "another library"],
)
def test_a_plugin_that_does_not_fit(plugin, reason):
    code = CALLS + "print(said(lambda: nnx.tensor([1.0], device='cuda')), said(compile()), sep='\\n')"
    state, told, of_tensor, of_compile = python("-c", code, NNX_CUDA_PLUGIN=plugin).splitlines()
    assert state == "False 0 False cpu"
    assert told.startswith(reason)
    assert of_tensor == f"device 'cuda:0': {told}"
    assert of_compile == f"argument 'device' is 'cuda', but {told}"
