"""The thread pool: counts, forks, and several Python threads at once."""

import os
import subprocess
import sys
import threading

import nnx
import numpy as np
import pytest
from harness import same_bits, threads


def big_product(seed=0):
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((300, 400), np.float32), rng.standard_normal((400, 300), np.float32)
    return nnx.ops.dense(x, w)


def test_the_count_is_kept():
    for count in (1, 2, 3, 8):
        with threads(count):
            assert nnx.get_num_threads() == count
            assert nnx.info()["threads"] == count


@pytest.mark.parametrize("bad", [0, -1, -(2**40)])
def test_bad_counts(bad):
    before = nnx.get_num_threads()
    with pytest.raises(ValueError, match=f"expected .*1.*, got {bad}"):
        nnx.set_num_threads(bad)
    assert nnx.get_num_threads() == before


@pytest.mark.parametrize("bad", ["two", 1.5, None])
def test_counts_of_another_kind(bad):
    with pytest.raises((TypeError, ValueError)):
        nnx.set_num_threads(bad)


def test_a_huge_count_is_refused_or_served():
    before = nnx.get_num_threads()
    try:
        nnx.set_num_threads(10**6)
    except ValueError:
        assert nnx.get_num_threads() == before
    finally:
        nnx.set_num_threads(before)


def in_child(code, **environment):
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_environment_sets_the_default():
    code = "import nnx; print(nnx.get_num_threads())"
    assert in_child(code, NNX_NUM_THREADS="3") == "3"
    assert in_child(code, NNX_NUM_THREADS="1") == "1"
    available = len(os.sched_getaffinity(0))
    environment = {key: value for key, value in os.environ.items() if key != "NNX_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert 1 <= int(done.stdout) <= available


def test_the_affinity_mask_is_respected():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import nnx; print(nnx.get_num_threads())"
    environment = {key: value for key, value in os.environ.items() if key != "NNX_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"


FORKING = """
import os, sys, warnings
import numpy as np, nnx
warnings.simplefilter("ignore")
nnx.set_num_threads(2)
x = np.arange(400 * 300, dtype=np.float32).reshape(400, 300) % 7
want = nnx.ops.dense(x, x.T.copy())
for _ in range(5):
    child = os.fork()
    if child == 0:
        same = np.array_equal(nnx.ops.dense(x, x.T.copy()), want)
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if np.array_equal(nnx.ops.dense(x, x.T.copy()), want) else 1)
        os._exit(0 if same and os.waitpid(grandchild, 0)[1] == 0 else 1)
    assert np.array_equal(nnx.ops.dense(x, x.T.copy()), want)
    assert os.waitpid(child, 0)[1] == 0
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_children_of_a_fork_compute():
    assert in_child(FORKING) == "done"


def test_the_interpreter_ends_with_the_pool_alive():
    code = "import numpy as np, nnx; nnx.set_num_threads(4); x = np.ones((400, 400), 'f4'); nnx.ops.dense(x, x); print('end')"
    assert in_child(code) == "end"


@pytest.mark.parametrize("count", [1, 2, 4])
def test_several_python_threads_at_once(count):
    wanted = [big_product(seed) for seed in range(4)]
    results = [[] for _ in range(4)]

    def work(seed):
        for _ in range(15):
            results[seed].append(big_product(seed))

    with threads(count):
        workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
    assert [len(result) for result in results] == [15] * 4
    for seed in range(4):
        assert all(same_bits(result, wanted[seed]) for result in results[seed])


def test_the_count_may_change_between_calls():
    want = big_product()
    before = nnx.get_num_threads()
    try:
        for count in (1, 4, 2, 8, 3, 1, 2):
            nnx.set_num_threads(count)
            assert same_bits(big_product(), want)
    finally:
        nnx.set_num_threads(before)


SPARE = """
import os, time
import numpy as np, nnx

def nanoseconds():  # on a CPU, by thread
    return {task: int(open(f"/proc/self/task/{task}/schedstat").read().split()[0]) for task in os.listdir("/proc/self/task")}

def products(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        nnx.ops.dense(x, x)

x = np.ones((300, 300), np.float32)
others = set(os.listdir("/proc/self/task"))
for count in (6, 2):
    nnx.set_num_threads(count)
    products(0.2)
before = nanoseconds()
products(0.2)
after = nanoseconds()
print(sum(after[task] - before[task] > 20_000_000 for task in after if task not in others))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="the system does not say")
def test_threads_beyond_the_count_rest():
    """One helper works; the others do not get a tenth of the time."""
    assert int(in_child(SPARE)) <= 1


RESTING = (
    SPARE[: SPARE.index("for count in")]
    + """
nnx.set_num_threads(2)
wakes = 0
for _ in range(20):
    products(0.005)
    time.sleep(0.03)
    before = nanoseconds()
    time.sleep(0.01)
    after = nanoseconds()
    wakes += sum(after[task] > before[task] for task in after if task not in others)
print(wakes)
"""
)


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="the system does not say")
def test_threads_sleep_between_calls():
    assert int(in_child(RESTING)) <= 10  # of 20, on a machine that may keep a thread from going to sleep


def test_models_train_side_by_side():
    """Two models in two threads end as they would alone."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((256, 20), np.float32), rng.integers(0, 3, 256)

    def train(seed):
        model = nnx.models.mlp(20, [32], 3)
        model.compile("sgd", "cross_entropy", seed=seed)
        model.fit(x, y, epochs=3, batch_size=16, verbose=0)
        return model.get_weights()

    alone = [train(seed) for seed in range(2)]
    together = [None, None]
    workers = [threading.Thread(target=lambda s=s: together.__setitem__(s, train(s))) for s in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    for a, b in zip(alone, together, strict=True):
        assert all(same_bits(u, v) for u, v in zip(a, b, strict=True))
