import signal

import harness
import nnx
import pytest

# What a shell starts in the background ignores Ctrl-C, and so would all that it starts in turn.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def rng(request):
    """Random numbers that depend on the test's name; the seed is shown where the test fails."""
    return harness.seeded(request.node.nodeid)


@pytest.fixture(params=harness.devices())
def run(request):
    """nnx.ops on each device, see harness.Runner."""
    return harness.Runner(request.param)


@pytest.fixture(params=harness.devices())
def device(request):
    """The name of each device, for calls that `run` has no names for."""
    return request.param


@pytest.fixture(autouse=True)
def programs_run_on_the_device_wanted(monkeypatch):
    """With NNX_TEST_PROGRAMS=cuda, models that name no device train there."""
    if harness.PROGRAM_DEVICE == "cpu":
        return
    resolve = nnx.training.devices.resolve_device
    wanted = harness.PROGRAM_DEVICE
    monkeypatch.setattr(
        nnx.training.devices, "resolve_device", lambda device: resolve(wanted if device == "auto" else device)
    )
