"""What device="cuda" promises beyond the parity of its ops: whole models, memory, graphs, streams. On a GPU where there
is one, else on the emulator, where the plugin was built for it."""

import ctypes
import gc
import os
import re
import subprocess
import sys
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import nnx
import numpy as np
import pytest
from harness import NMSE, draw, nmse, same_bits
from nnx import _core

HERE = nnx.cuda.is_available()
needs_cuda = pytest.mark.skipif(not HERE, reason="no CUDA device and no emulator")
emulated_only = pytest.mark.skipif(not nnx.cuda.is_emulated(), reason="only the emulator fails on request")

LAYERS = {
    "mlp": (
        (20,),
        lambda: nnx.Sequential(
            nnx.Dense(33, activation="relu"), nnx.Dropout(0.5), nnx.Dense(17, activation="tanh"), nnx.Dense(5)
        ),
    ),
    "convolutions": (
        (9, 8, 3),
        lambda: nnx.Sequential(
            nnx.Conv2D(6, 3, padding="same", activation="relu"),
            nnx.MaxPool2D(2),
            nnx.Conv2D(8, 3, strides=2, activation="leaky_relu"),
            nnx.Flatten(),
            nnx.Dropout(0.3),
            nnx.Dense(5),
        ),
    ),
    "norms": (
        (6, 6, 4),
        lambda: nnx.Sequential(
            nnx.Conv2D(5, 3, padding="same"),
            nnx.BatchNorm(),
            nnx.ReLU(),
            nnx.LocalResponseNorm(),
            nnx.AvgPool2D(2),
            nnx.Flatten(),
            nnx.Dense(5, activation="softmax"),
        ),
    ),
}


def data(rng, shape, rows=45, classes=5):
    return draw(rng, (rows, *shape)), rng.integers(0, classes, rows)


def trained(name, device, x, y, *, epochs=2, batch_size=10, callbacks=(), precision="float32", **options):
    model = LAYERS[name][1]()
    options = {"optimizer": nnx.SGD(0.05, momentum=0.9), "metrics": ["accuracy"], "seed": 3} | options
    model.compile(loss="cross_entropy", device=device, precision=precision, **options)
    history = model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=list(callbacks))
    return model, history.history


@needs_cuda
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "clipped", "decaying", "adamw"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_model_trains_as_on_the_cpu(rng, name, optimizer):
    """Same batches, same dropout masks, same updates: the weights differ by rounding alone."""
    rules = {
        "sgd": lambda: nnx.SGD(0.05, weight_decay=1e-3),
        "momentum": lambda: nnx.SGD(0.05, momentum=0.9, nesterov=True),
        "clipped": lambda: nnx.SGD(0.1, momentum=0.5, clip_norm=0.5),
        "decaying": lambda: nnx.SGD(nnx.schedules.ExponentialDecay(0.2, 0.7, per="step")),
        "adamw": lambda: nnx.AdamW(0.002),
    }
    x, y = data(rng, LAYERS[name][0])
    options = {"precision": "float64"}
    cpu, history_cpu = trained(name, "cpu", x, y, optimizer=rules[optimizer](), **options)
    cuda, history_cuda = trained(name, "cuda", x, y, optimizer=rules[optimizer](), **options)
    for key in ("loss", "accuracy", "learning_rate"):
        np.testing.assert_allclose(history_cuda[key], history_cpu[key], rtol=1e-9, atol=1e-12, err_msg=key)
    for a, b in zip(cuda.get_weights(), cpu.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(cuda.predict(x), cpu.predict(x), rtol=1e-7, atol=1e-9)
    of_cpu, of_cuda = cpu.evaluate(x, y), cuda.evaluate(x, y)
    assert of_cuda == pytest.approx(of_cpu, rel=1e-9)


@needs_cuda
@pytest.mark.parametrize("name", LAYERS)
def test_the_same_bits_every_time(rng, name):
    x, y = data(rng, LAYERS[name][0])
    first, second = (trained(name, "cuda", x, y)[0].get_weights() for _ in range(2))
    assert all(same_bits(a, b) for a, b in zip(first, second, strict=True))


@needs_cuda
def test_one_step_at_a_time_and_many_in_a_graph(rng):
    """A callback on every batch has steps replayed one by one; without one they go in long graphs."""

    class Count(nnx.callbacks.Callback):
        batches = 0

        def on_train_batch_end(self, batch, logs):
            self.batches += 1

    x, y = data(rng, (20,), rows=415)
    count = Count()
    single, _ = trained("mlp", "cuda", x, y, callbacks=[count])
    assert count.batches == 2 * 42
    many, _ = trained("mlp", "cuda", x, y)
    by_hand = LAYERS["mlp"][1]()
    by_hand.compile(nnx.SGD(0.05, momentum=0.9), "cross_entropy", device="cuda", seed=3)
    by_hand.build((20,))
    losses = [by_hand.train_step(x[:10], y[:10]) for _ in range(40)]
    assert np.mean(losses[-5:]) < losses[0]
    assert all(same_bits(a, b) for a, b in zip(single.get_weights(), many.get_weights(), strict=True))


@needs_cuda
def test_dtypes_of_inputs_and_weights_of_samples(rng):
    x = rng.integers(0, 256, (30, 20)).astype(np.uint8)
    y, weight = rng.integers(0, 5, 30).astype(np.int64), rng.uniform(0, 2, 30)
    results = []
    for device in ("cpu", "cuda"):
        model = nnx.Sequential(nnx.Normalize(128.0, 64.0), nnx.Dense(5))
        model.compile("adam", "cross_entropy", device=device, precision="float64", seed=1)
        model.fit(x, y, batch_size=7, epochs=2, sample_weight=weight, class_weight={0: 2.0}, verbose=0)
        results.append(model.predict(x))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-9, atol=1e-12)


@needs_cuda
def test_a_loss_that_is_not_finite_is_told_as_on_the_cpu(rng):
    x, y = data(rng, (20,), rows=200)
    x[133] = 3e38
    order = []
    for device in ("cpu", "cuda"):
        model = nnx.Sequential(nnx.Dense(8), nnx.Dense(5))
        model.compile(nnx.SGD(1e-3), "cross_entropy", metrics=["accuracy"], device=device, seed=1)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            history = model.fit(x, y, batch_size=10, shuffle=False, verbose=0)
        assert len(caught) == 1
        order.append((str(caught[0].message), history.history["accuracy"]))
    assert order[0] == order[1]
    assert "step 13" in order[0][0]


@needs_cuda
def test_such_a_loss_changes_nothing_before_its_layer_is_found(rng):
    """The second layer's output overflows; had the update been done, the first layer's would be NaN as well."""
    x, y = data(rng, (20,), rows=400)
    x[133] = 1e30
    messages = []
    for device in ("cpu", "cuda"):
        model = nnx.Sequential(nnx.Dense(8), nnx.Dense(5))
        model.compile(nnx.SGD(1e-30), "cross_entropy", device=device, seed=1)
        model.build((20,))
        weights = model.get_weights()
        weights[2] = weights[2] * np.float32(1e10)
        model.set_weights(weights)
        with pytest.warns(RuntimeWarning, match="not finite from step 13 on.*'dense_1'") as caught:
            model.fit(x, y, batch_size=10, shuffle=False, verbose=0)
        messages.append([str(warning.message) for warning in caught])
    assert messages[0] == messages[1]


@needs_cuda
@pytest.mark.parametrize(("precision", "bits"), [("tf32", 10), ("bfloat16", 7)])
def test_precisions_round_the_factors(rng, precision, bits):
    """Products of rounded factors, sums in float32: about 2^-bits from strict ones, and not equal to them."""
    x, _ = data(rng, (64,))
    outputs = {}
    for kind in ("float32", precision):
        model = nnx.Sequential(nnx.Dense(48, activation="relu"), nnx.Dense(5))
        model.compile("sgd", "cross_entropy", device="cuda", precision=kind, seed=1)
        model.build((64,))
        outputs[kind] = model.predict(x)
        assert model.get_weights()[0].dtype == np.float32
    error = nmse(outputs[precision], outputs["float32"])
    assert NMSE["float32"] < error < 4 * 4.0**-bits


def test_precisions_of_the_cpu():
    for precision in ("tf32", "bfloat16", "half"):
        with pytest.raises(
            ValueError, match=r"argument 'precision' expected 'float32' or 'float64' on device 'cpu'"
        ):
            nnx.Sequential(nnx.Dense(1)).compile(device="cpu", precision=precision)


@needs_cuda
def test_memory_stats(rng):
    gc.collect()
    nnx.cuda.empty_cache()
    before = nnx.cuda.memory_stats()
    tensor = nnx.tensor(np.zeros(1 << 20, np.float32), device="cuda")
    during = nnx.cuda.memory_stats()
    assert during["in_use"] - before["in_use"] >= 4 << 20
    assert during["peak"] >= during["in_use"]
    assert 0 < during["free"] <= during["total"]
    del tensor
    nnx.cuda.empty_cache()
    after = nnx.cuda.memory_stats()
    assert after["in_use"] == before["in_use"]
    assert after["cached"] == 0
    with pytest.raises(ValueError, match="cuda:7"):
        nnx.cuda.memory_stats(7)


@needs_cuda
def test_more_memory_than_there_is():
    total = nnx.cuda.memory_stats()["total"]
    elements = total // 8 + (1 << 20)
    parameters = _core.Parameters(["w"], [(10,)], [True], device="cuda")
    before = nnx.cuda.memory_stats()["in_use"]
    with pytest.raises(MemoryError, match=r"asked for \d+ bytes.*\d+ of \d+ are free"):
        _core.Parameters(["w"], [(elements, 2)], [True], dtype="float64", device="cuda")
    assert nnx.cuda.memory_stats()["in_use"] == before
    np.testing.assert_array_equal(parameters.get(0), np.zeros(10))


def plugin():
    beside = os.path.join(os.path.dirname(_core.__file__), "libnnx_cuda.so")
    return ctypes.CDLL(os.environ.get("NNX_CUDA_PLUGIN", beside))


def emulator():
    library = plugin()
    library.nnx_emulator_fail_allocation.argtypes = [ctypes.c_int64, ctypes.c_int64]
    library.nnx_emulator_memory.argtypes = [ctypes.c_int64]
    library.nnx_emulator_schedule.argtypes = [ctypes.c_int, ctypes.c_uint64]
    return library


@emulated_only
def test_every_allocation_may_fail(rng):
    """MemoryError, nothing lost: the same calls then end with the bits of a run in which nothing failed."""
    x, y = data(rng, (20,), rows=30)

    def run(fails):
        model = LAYERS["mlp"][1]()
        model.compile(nnx.SGD(0.05, momentum=0.9), "cross_entropy", device="cuda", seed=3)
        failed = 0
        emulator().nnx_emulator_fail_allocation(fails, 2)  # the retry too
        try:
            for epoch in (0, 1):
                while model.optimizer.iterations == 3 * epoch:
                    try:
                        model.fit(x, y, batch_size=10, verbose=0, initial_epoch=epoch, epochs=epoch + 1)
                    except MemoryError:
                        failed += 1
                        assert failed < 3
        finally:
            emulator().nnx_emulator_fail_allocation(0, 0)
        return failed, model.get_weights()

    _, expected = run(0)
    failures = 0
    for n in range(1, 30):
        failed, weights = run(n)
        failures += failed
        assert all(same_bits(a, b) for a, b in zip(weights, expected, strict=True)), n
        if failed == 0 and n > 20:
            break
    assert failures >= 5


@emulated_only
def test_data_that_does_not_fit_passes_through_in_windows(rng):
    """The same bits as with the data set on the device."""
    x, y = draw(rng, (20_250, 20)), rng.integers(0, 5, 20_250)
    weight = rng.uniform(0.5, 2, len(x)).astype(np.float32)

    def run(limit):
        gc.collect()
        model = LAYERS["mlp"][1]()
        model.compile("sgd", "cross_entropy", metrics=["accuracy"], device="cuda", seed=3)
        model.fit(x[:500], y[:500], batch_size=500, verbose=0, sample_weight=weight[:500])
        model.predict(x[:500], batch_size=500)
        stats = nnx.cuda.memory_stats()
        used, bytes_of_data = stats["total"] - stats["free"], x.nbytes + y.nbytes + weight.nbytes
        assert bytes_of_data > 1.5 * limit or limit > 1 << 30
        emulator().nnx_emulator_memory(used + limit)
        try:
            history = model.fit(x, y, batch_size=500, epochs=2, verbose=0, sample_weight=weight)
            return model.get_weights(), history.history["accuracy"], model.predict(x, batch_size=500)
        finally:
            emulator().nnx_emulator_memory(2 << 30)

    weights_a, accuracy_a, outputs_a = run(2 << 30)
    weights_b, accuracy_b, outputs_b = run(1 << 20)
    assert accuracy_a == accuracy_b
    assert all(same_bits(a, b) for a, b in zip(weights_a, weights_b, strict=True))
    assert same_bits(outputs_a, outputs_b)


@emulated_only
def test_windows_where_locked_memory_is_short(rng):
    """Smaller windows then, and no kernel takes that failure for its own."""
    x, y = draw(rng, (2000, 20)), rng.integers(0, 5, 2000)

    def run(fails):
        gc.collect()
        model = LAYERS["mlp"][1]()
        model.compile("sgd", "cross_entropy", device="cuda", seed=3)
        model.fit(x[:100], y[:100], batch_size=100, verbose=0)
        stats = nnx.cuda.memory_stats()
        emulator().nnx_emulator_memory(stats["total"] - stats["free"] + x.nbytes)
        emulator().nnx_emulator_fail_allocation(fails, 1)  # the pool asks again, and gets its memory
        try:
            model.fit(x, y, batch_size=100, verbose=0)
            return model.get_weights()
        finally:
            emulator().nnx_emulator_fail_allocation(0, 0)
            emulator().nnx_emulator_memory(2 << 30)

    expected = run(0)
    for n in range(1, 28):
        assert all(same_bits(a, b) for a, b in zip(run(n), expected, strict=True)), n


@emulated_only
@pytest.mark.parametrize("streams", ["now", "random:5"])
@pytest.mark.parametrize("name", LAYERS)
def test_freed_memory_is_used_again(name, streams):
    """As on a GPU: the emulator has no cache of its own, so that it sees the end of every array."""
    code = f"""
import nnx, numpy as np, os, test_cuda as t
rng = np.random.default_rng(3)
x, y = t.data(rng, t.LAYERS[{name!r}][0])
weights = [t.trained({name!r}, "cuda", x, y, batch_size=size)[0].get_weights() for size in (10, 7, 10)]
assert all(t.same_bits(a, b) for a, b in zip(weights[0], weights[2]))
np.savez(os.environ["SAVE"], *weights[0], *weights[1])
print(nnx.cuda.memory_stats()["cached"] > 0)
nnx.cuda.empty_cache()
print(nnx.cuda.memory_stats()["cached"])
big = nnx.tensor(np.zeros(3 << 20, np.uint8), device="cuda")
del big
stats = nnx.cuda.memory_stats()
print(stats["cached"])
t.emulator().nnx_emulator_memory(stats["total"] - stats["free"] - stats["cached"] + (3 << 20))
print(nnx.tensor(np.arange(5 << 18), device="cuda", dtype="uint8").numpy().sum())
"""
    results = []
    for cache in ("0", "1"):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "weights.npz")
            tests = os.path.dirname(__file__)
            output = in_a_process(
                code,
                NNX_CUDA_CACHE=cache,
                NNX_EMULATOR_STREAMS=streams,
                SAVE=file,
                PYTHONPATH=with_path(tests),
            )
            results.append(list(np.load(file).values()))
        assert output.splitlines()[0] == str(cache == "1")
        assert output.splitlines()[1:3] == ["0", str((4 << 20) * int(cache))]
    assert all(same_bits(a, b) for a, b in zip(*results, strict=True))


@needs_cuda
def test_what_a_run_reads_lies_where_it_is_expected(rng):
    x, y = data(rng, (20,))
    model, _ = trained("mlp", "cuda", x, y)
    program = model._learner.program("train", model._learner.bound((20,)), 10, "labels")
    resident = [nnx.tensor(array, device="cuda") for array in (x, y)]
    order = nnx.tensor(np.arange(len(x)), device="cuda")
    with pytest.raises(ValueError, match="argument 'order' expected an array on device 'cpu', got 'cuda:0'"):
        program.train_epoch(*resident, None, order, 10, np.ones(1), 0)
    bad = nnx.tensor(np.full_like(y, 5), device="cuda")
    with pytest.raises(ValueError, match=r"argument 'y' expected labels in \[0, 5\), got 5 at index 0"):
        program.train_epoch(resident[0], bad, None, None, 10, np.ones(1), 0)


def with_path(folder):
    return os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])


# core/plugin.h: two numbers and a text, and then these.
PLUGIN = re.findall(
    r"\w+",
    "message probe describe open enter leave allocate deallocate memory empty_cache copy_from_host copy_to_host "
    "copy zero synchronize synchronize_all allocate_host deallocate_host stage await_staged begin_capture end_capture replay",
)


def call(name, *arguments, status=0):
    """A function of the plugin, which gives back 0 where all went well."""
    library = plugin()
    library.nnx_cuda_plugin.restype = ctypes.POINTER(ctypes.c_void_p)
    entries = dict(zip(PLUGIN, library.nnx_cuda_plugin()[2 : 2 + len(PLUGIN)], strict=True))
    types = [ctypes.c_int32 if name == "open" and i == 0 else ctypes.c_void_p for i in range(len(arguments))]
    assert ctypes.CFUNCTYPE(ctypes.c_int32, *types)(entries[name])(*arguments) == status, name


@needs_cuda
def test_a_capture_leaves_the_stream_to_others():
    """What other threads copy meanwhile is copied, and no part of the graph."""
    device, memory, stream, graph = (ctypes.c_void_p() for _ in range(4))
    call("open", 0, ctypes.byref(device))
    call("allocate", device, 16, ctypes.byref(memory))
    sent, back = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)

    def copy():
        call("copy_from_host", device, memory, sent.ctypes.data, 16)
        call("copy_to_host", device, back.ctypes.data, memory, 16)

    call("begin_capture", device, ctypes.byref(stream))
    try:
        with ThreadPoolExecutor(1) as other:  # the thread that captures may not wait for anything
            other.submit(copy).result()
    finally:
        call("end_capture", device, ctypes.byref(graph))
    np.testing.assert_array_equal(back, sent)
    call("zero", device, memory, 16)
    call("replay", device, graph)
    call("copy_to_host", device, back.ctypes.data, memory, 16)
    np.testing.assert_array_equal(back, 0)


@emulated_only
def test_a_launch_is_not_blamed_for_what_failed_before_it():
    x = nnx.tensor(np.array([-1.0, 2.0], np.float32), device="cuda")
    device, memory = ctypes.c_void_p(), ctypes.c_void_p()
    call("open", 0, ctypes.byref(device))
    emulator().nnx_emulator_fail_allocation(1, 1)
    call("allocate_host", device, 16, ctypes.byref(memory), status=1)
    np.testing.assert_array_equal(nnx.ops.relu(x).numpy(), [0, 2])


@needs_cuda
@pytest.mark.parametrize("size", [(1 << 15) - 1, 1 << 15, (8 << 20) + 3])
def test_large_copies_from_the_host(rng, size):
    """In pieces, by several threads: every byte arrives, again and again through the same buffers."""
    for _ in range(3):
        values = rng.integers(0, 256, size, dtype=np.uint8)
        assert same_bits(nnx.tensor(values, device="cuda").numpy(), values)


@emulated_only
@pytest.mark.parametrize("schedule", [0, 1, 2])
@pytest.mark.parametrize("name", LAYERS)
def test_the_order_of_threads_does_not_show(rng, name, schedule):
    x, y = data(rng, LAYERS[name][0], rows=20)
    _, expected = (
        trained(name, "cuda", x, y, epochs=1)[1],
        trained(name, "cuda", x, y, epochs=1)[0].get_weights(),
    )
    emulator().nnx_emulator_schedule(schedule, 11)
    try:
        weights = trained(name, "cuda", x, y, epochs=1)[0].get_weights()
    finally:
        emulator().nnx_emulator_schedule(0, 0)
    assert all(same_bits(a, b) for a, b in zip(weights, expected, strict=True))


@emulated_only
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(700, 40, 70), (3000, 20, 9), (20, 900, 33)])
def test_the_order_of_blocks_does_not_show(rng, shape, dtype):
    """Whichever block of a long sum is done last."""
    rows, inputs, outputs = shape
    x, w, dy = (
        nnx.tensor(draw(rng, s, dtype), device="cuda")
        for s in ((rows, inputs), (inputs, outputs), (rows, outputs))
    )

    def results():
        return [t.numpy() for t in (nnx.ops.dense(x, w), *nnx.ops.dense_backward(dy, x, w))]

    expected = results()
    for schedule in (1, 2):
        emulator().nnx_emulator_schedule(schedule, 11)
        try:
            found = results()
        finally:
            emulator().nnx_emulator_schedule(0, 0)
        assert all(same_bits(a, b) for a, b in zip(found, expected, strict=True))


class OnDevice:
    """A producer of CUDA memory that notes what it is asked for."""

    def __init__(self, tensor):
        self.tensor, self.streams = tensor, []

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()

    def __dlpack__(self, stream=None, **options):
        self.streams.append(stream)
        return self.tensor.__dlpack__(stream=stream, **options)


@needs_cuda
def test_dlpack_hands_streams_over(rng):
    x = draw(rng, (3, 5))
    tensor = nnx.tensor(x, device="cuda")
    assert tensor.__dlpack_device__() == (2, 0)
    producer = OnDevice(tensor)
    taken = nnx.from_dlpack(producer)
    assert taken.device == "cuda:0"
    assert len(producer.streams) == 1
    assert producer.streams[0] > 2  # the stream nnx works on, which the producer lets wait
    np.testing.assert_array_equal(taken.numpy(), x)
    nnx.ops.sgd_update(taken, nnx.tensor(np.ones_like(x), device="cuda"), None, 1.0)
    np.testing.assert_array_equal(tensor.numpy(), x - 1)  # the same memory
    for stream in (None, -1, 1, 2):
        tensor.__dlpack__(stream=stream)
    for stream in (0, -2):
        with pytest.raises(ValueError, match="argument 'stream' expected"):
            tensor.__dlpack__(stream=stream)
    host = np.from_dlpack(HostOf(tensor))
    np.testing.assert_array_equal(host, x - 1)


class From:
    """A producer of a one-dimensional tensor's memory from its second element on, which no pack of four starts at."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()

    def __dlpack__(self, stream=None, **options):
        capsule = self.tensor.__dlpack__(stream=stream)
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        array = pointer(capsule, b"dltensor")
        shape = ctypes.cast(ctypes.c_void_p.from_address(array + 24).value, ctypes.POINTER(ctypes.c_int64))
        shape[0] -= 1
        ctypes.c_uint64.from_address(array + 40).value = self.tensor.dtype.itemsize  # byte_offset
        return capsule


@needs_cuda
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_that_start_anywhere(rng, dtype):
    """Elements four at a time only where the addresses allow it."""
    values = [draw(rng, (1030,), dtype) for _ in range(3)]

    def place():
        return [nnx.from_dlpack(From(nnx.tensor(value, device="cuda"))) for value in values]

    x, g, v = (value[1:] for value in values)
    tensors = place()
    np.testing.assert_array_equal(tensors[0].numpy(), x)
    np.testing.assert_array_equal(nnx.ops.relu(tensors[0]).numpy(), np.maximum(x, 0))
    np.testing.assert_array_equal(nnx.ops.add(tensors[0], tensors[1]).numpy(), x + g)
    kept = nnx.ops.dropout(tensors[0], 0.5, seed=1, layer=2, step=3).numpy()
    np.testing.assert_array_equal(kept, nnx.ops.dropout(x, 0.5, seed=1, layer=2, step=3))
    p, g, v = place()
    nnx.ops.sgd_update(p, g, v, 0.5, momentum=0.5)
    expected = v_after = values[2][1:] * 0.5 - values[1][1:] * 0.5
    np.testing.assert_allclose(v.numpy(), v_after, rtol=1e-6)
    np.testing.assert_allclose(p.numpy(), x + expected, rtol=1e-5, atol=1e-6)


class HostOf:
    """Asks a device's tensor for a copy on the host."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, **options):
        return self.tensor.__dlpack__(dl_device=(1, 0))


@pytest.mark.skipif(not HERE or nnx.cuda.is_emulated(), reason="no GPU")
@pytest.mark.parametrize("library", ["torch", "cupy"])
def test_dlpack_with_libraries_of_the_gpu(rng, library):
    other = pytest.importorskip(library)
    x = draw(rng, (64, 5))
    theirs = other.asarray(x) if library == "cupy" else other.asarray(x).cuda()
    ours = nnx.from_dlpack(theirs * 2)
    np.testing.assert_array_equal(ours.numpy(), 2 * x)
    back = other.from_dlpack(nnx.ops.relu(ours))
    np.testing.assert_array_equal(
        np.asarray(back.get() if library == "cupy" else back.cpu()), np.maximum(2 * x, 0)
    )


def in_a_process(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@needs_cuda
def test_copies_of_other_threads_stay_out_of_captured_steps(rng):
    """A copy to a stream while it is captured would run with each replay, and a wait would end the capture."""
    x, y, host = draw(rng, (640, 8)), rng.integers(0, 3, 640), np.ones(1000, np.float32)
    done = threading.Event()

    def copy():
        copies = 0
        while not done.is_set():
            np.testing.assert_array_equal(nnx.tensor(host, device="cuda").numpy(), host)
            copies += 1
        return copies

    pool = ThreadPoolExecutor(2)
    copying = [pool.submit(copy) for _ in range(2)]
    try:
        for _ in range(10):
            model = nnx.Sequential(nnx.Dense(8, activation="relu"), nnx.Dense(3))
            model.compile("sgd", "cross_entropy", device="cuda", seed=1)
            model.fit(x, y, batch_size=8, verbose=0)
    finally:
        done.set()
    assert all(thread.result() > 0 for thread in copying)


@emulated_only
def test_several_devices():
    code = (
        "import nnx, numpy as np; assert nnx.cuda.device_count() == 2\n"
        "x = nnx.tensor(np.arange(4.0), device='cuda:1'); assert x.device == 'cuda:1'\n"
        "y = nnx.ops.relu(x); assert y.device == 'cuda:1'; assert y.to('cuda:0').device == 'cuda:0'\n"
        "try: nnx.ops.add(x, x.to('cuda:0'))\n"
        "except ValueError as error: print(error)\n"
        "try: nnx.tensor([1.0], device='cuda:2')\n"
        "except ValueError as error: print(error)\n"
    )
    output = in_a_process(code, NNX_EMULATOR_DEVICES="2").splitlines()
    assert "expected a tensor on device 'cuda:1', got 'cuda:0'" in output[0]
    assert "cuda:2" in output[1]
