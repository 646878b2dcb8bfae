"""Sizes beyond any memory are refused with the bytes; what is only described is counted, not allocated."""

import resource

import nnx
import numpy as np
import pytest
from harness import devices

REFUSED = (ValueError, MemoryError)


def dense():
    model = nnx.Sequential(nnx.Dense(128, activation="relu"), nnx.Dense(10))
    model.compile("adam", "cross_entropy", device="cpu")
    model.build((784,))
    return model


@pytest.mark.parametrize("device", devices())
@pytest.mark.parametrize("pool", [False, True])
def test_an_arena_past_all_memory(device, pool):
    """Its size in bytes passes 2^63; with a pool the largest array is one that is never stored."""
    layers = [nnx.Conv2D(4096, 1, padding=16383), nnx.Conv2D(1, 1, strides=40_000)]
    if pool:
        layers.insert(1, nnx.MaxPool2D(2))
    model = nnx.Sequential(*layers)
    model.compile("sgd", "mse", device=device)
    x = np.zeros((1 << 20, 1, 1, 1), np.float32)
    with pytest.raises(
        MemoryError, match=r"an array would take [\d.]+e\+\d+ bytes, at most \d+ are possible"
    ):
        model.predict(x, batch_size=1 << 20)
    with pytest.raises(MemoryError, match="bytes"):
        model.fit(x, np.zeros((1 << 20, 1, 1, 1), np.float32), batch_size=1 << 20, verbose=0)


@pytest.mark.parametrize("batch", [10**6, 10**9, 10**11])
def test_a_summary_counts_without_allocating(batch):
    """In no more address space than it takes for one sample."""
    model = dense()
    model.summary()
    limit = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), limit[1]))
    try:
        text = model.summary(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
    activations = float(text.split("activations ")[1].split(" MB")[0].replace(",", ""))
    # x, both layers' outputs, their gradients; a label and a weight.
    least, most = 4 * (784 + 128 + 10), 4 * (784 + 2 * 128 + 2 * 10 + 2)
    assert least <= activations * 1e6 / batch <= most * 1.001


def test_a_summary_of_more_than_can_be_counted():
    for batch in (10**14, 2**62, 2**63 - 1):
        with pytest.raises(REFUSED, match=r"bytes|2\^63"):
            dense().summary(batch)


def test_a_described_program_does_not_run(rng):
    model = dense()
    traced = model._learner.bound()
    program = nnx._core.Program(traced.graph, traced.output.node, traced.store, 4, False, describe=True)
    assert program.memory()["activations"] > 0
    with pytest.raises(ValueError, match="describe"):
        program.predict(np.zeros((4, 784), np.float32), 4)


@pytest.mark.parametrize(
    "layers",
    [
        [nnx.Dense(1 << 50)],
        [nnx.Dense(1 << 62), nnx.Dense(1 << 62)],
        [nnx.Conv2D(1 << 45, 1, padding=1 << 13)],
        [nnx.Conv2D(1 << 20, 1, padding=8000), nnx.Conv2D(1, 1)],
    ],
    ids=["dense", "denses", "filters", "image"],
)
def test_layers_past_all_memory(layers):
    def use():
        model = nnx.Sequential(*layers)
        model.build((1, 1, 1) if isinstance(layers[0], nnx.Conv2D) else (1,))
        model.compile("sgd", "mse", device="cpu")
        model.summary()

    with pytest.raises(REFUSED, match=r"bytes|2\^63"):
        use()


def test_metrics_and_labels_of_more_classes_than_can_be():
    class Wide(nnx.Model):
        def forward(self, x):
            return x * 1.0

    for classes, metrics in ((1 << 33, []), (1 << 30, [nnx.metrics.ConfusionMatrix()])):
        model = Wide()
        model.compile("sgd", "cross_entropy", metrics, device="cpu")
        model.build((classes,))
        with pytest.raises(REFUSED, match=r"bytes|2\^31"):
            model._learner.program("evaluate", model._learner.bound(), 1, "labels")
