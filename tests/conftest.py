import harness
import pytest


@pytest.fixture
def rng(request):
    """Random numbers that depend on the test's name; the seed is shown where the test fails."""
    return harness.seeded(request.node.nodeid)


@pytest.fixture(params=harness.devices())
def run(request):
    """nnx.ops on each device, see harness.Runner."""
    return harness.Runner(request.param)
