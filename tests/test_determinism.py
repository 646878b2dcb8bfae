"""The same bits over repeated runs and any number of threads."""

import nnx
import numpy as np
import pytest
from harness import FLOATS, draw, results_of, same_bits, threads
from nnx import _core

COUNTS = (1, 2, 3, 8)


def arrays(rng, dtype, *shapes):
    return tuple(draw(rng, shape, dtype) for shape in shapes)


def pooled(x):
    y, index = nnx.ops.max_pool2d(x, 3, 2)
    return y, index, nnx.ops.max_pool2d_backward(y, index, x.shape, 3, 2)


def updated(p, g, v):
    p, v = p.copy(), np.abs(v)
    nnx.ops.sgd_update(p, g, v, 0.1, momentum=0.9)
    _core.adam_update(p, g, v.copy(), v, 3, 0.01)
    nnx.ops.rmsprop_update(p, g, v, v / 2, v.copy(), 0.01, momentum=0.5)
    nnx.ops.adagrad_update(p, g, v, 0.01)
    nnx.ops.lion_update(p, g, v.copy(), 0.01)
    total = nnx.ops.penalty(p, 0.1, 0.2, v)
    return p, v, np.array(total)


IMAGES, MANY, ROWS = (4, 28, 28, 16), (300_000,), (2000, 65)
LABELS = np.arange(2000) % 65
# Each large enough to be spread over threads: (shapes, function).
OPS = {
    "dense": (((257, 300), (300, 129), (129,)), lambda x, w, b: nnx.ops.dense(x, w, b, "tanh")),
    "dense of one row": (((1, 3000), (3000, 1500)), nnx.ops.dense),
    "dense_backward": (((257, 129), (257, 300), (300, 129)), nnx.ops.dense_backward),
    "dense_backward of many rows": (((4000, 30), (4000, 25), (25, 30)), nnx.ops.dense_backward),
    "conv2d": ((IMAGES, (3, 3, 16, 33)), lambda x, w: nnx.ops.conv2d(x, w, padding="same", activation="relu")),
    "conv2d_backward": (
        ((4, 28, 28, 33), IMAGES, (3, 3, 16, 33)),
        lambda dy, x, w: nnx.ops.conv2d_backward(dy, x, w, padding="same"),
    ),
    "conv2d of wide windows": ((IMAGES, (5, 5, 16, 33)), lambda x, w: nnx.ops.conv2d(x, w, padding=2)),
    "conv2d_backward of wide windows": (
        ((4, 28, 28, 33), IMAGES, (5, 5, 16, 33)),
        lambda dy, x, w: nnx.ops.conv2d_backward(dy, x, w, padding=2),
    ),
    "grouped conv2d_backward": (
        ((4, 14, 14, 32), IMAGES, (3, 3, 8, 32)),
        lambda dy, x, w: nnx.ops.conv2d_backward(dy, x, w, 2, "same", 1, 2),
    ),
    "max_pool2d": ((IMAGES,), pooled),
    "avg_pool2d": ((IMAGES,), lambda x: (nnx.ops.avg_pool2d(x, 3, 2, "same"), nnx.ops.global_avg_pool2d(x))),
    "avg_pool2d_backward": (((4, 14, 14, 16),), lambda dy: nnx.ops.avg_pool2d_backward(dy, IMAGES)),
    "activations": ((MANY,), lambda x: tuple(getattr(nnx.ops, n)(x) for n in ("sigmoid", "tanh", "elu", "gelu", "silu"))),
    "activation gradients": ((MANY, MANY), lambda dy, y: (nnx.ops.tanh_backward(dy, y), nnx.ops.gelu_backward(dy, y))),
    "softmax": ((ROWS,), lambda x: (nnx.ops.softmax(x), nnx.ops.log_softmax(x), nnx.ops.softmax(x, axis=0))),
    "softmax_backward": ((ROWS, ROWS), lambda dy, y: (nnx.ops.softmax_backward(dy, y), nnx.ops.log_softmax_backward(dy, y))),
    "pointwise losses": (
        (ROWS, ROWS),
        lambda y, t: tuple(getattr(nnx.ops, n)(y, t) for n in ("mean_squared_error", "huber", "half_sum_squared_error")),
    ),
    "softmax_cross_entropy": ((ROWS,), lambda z: nnx.ops.softmax_cross_entropy(z, LABELS)),
    "softmax_cross_entropy_backward": ((ROWS,), lambda z: nnx.ops.softmax_cross_entropy_backward(z, LABELS)),
    "dropout": ((MANY,), lambda x: (nnx.ops.dropout(x, 0.3, 7), nnx.ops.dropout_mask(MANY, 0.3, 7))),
    "random numbers": ((), lambda: (_core.random_uniform(MANY, 0, 1, 5), _core.random_normal(MANY, 0, 1, 5))),
    "batch_norm": (
        (IMAGES, (16,), (16,)),
        lambda x, g, b: nnx.ops.batch_norm(x, g, b, g, np.abs(b), training=True),
    ),
    "batch_norm_backward": ((IMAGES, IMAGES, (16,), (16,), (16,)), nnx.ops.batch_norm_backward),
    "layer_norm": (
        (ROWS, ROWS, (65,)),
        lambda x, dy, g: (nnx.ops.layer_norm(x, g), *nnx.ops.layer_norm_backward(dy, x, g)),
    ),
    "group_norm": (
        ((9, 28, 28, 48), (9, 28, 28, 48), (48,)),
        lambda x, dy, g: (nnx.ops.group_norm(x, 6, g), *nnx.ops.group_norm_backward(dy, x, 6, g)),
    ),
    "conv2d_transpose": (
        ((4, 14, 14, 33), (4, 4, 16, 33), (4, 28, 28, 16)),
        lambda x, w, dy: (
            nnx.ops.conv2d_transpose(x, w, None, 2, "same"),
            *nnx.ops.conv2d_transpose_backward(dy, x, w, 2, "same"),
        ),
    ),
    "whole images": (
        (IMAGES, (4, 16)),
        lambda x, dy: (nnx.ops.global_max_pool2d(x), nnx.ops.global_max_pool2d_backward(dy, x)),
    ),
    "upsample2d": (
        (IMAGES,),
        lambda x: (
            nnx.ops.upsample2d(x), nnx.ops.upsample2d(x, 2, "bilinear"), nnx.ops.upsample2d_backward(x, 2, "bilinear"),
        ),
    ),
    "local_response_norm": (
        (IMAGES, IMAGES),
        lambda x, dy: (nnx.ops.local_response_norm(x), nnx.ops.local_response_norm_backward(dy, x)),
    ),
    "optimizers": ((MANY, MANY, MANY), updated),
    "elementwise": (
        (IMAGES, IMAGES, (16,)),
        lambda a, b, c: (nnx.ops.add(a, b), nnx.ops.multiply(a, b), nnx.ops.concat([a, b]), nnx.ops.normalize(a, c, np.abs(c))),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", OPS)
def test_ops(rng, name, dtype):
    """In float64 too, where no rounding of the result hides another order of a sum."""
    shapes, function = OPS[name]
    given = arrays(rng, dtype, *shapes)
    wanted = None
    for count in COUNTS:
        with threads(count):
            for _ in range(3):
                results = [np.array(r) for r in results_of(function(*given))]
                wanted = wanted or results
                for a, b in zip(results, wanted, strict=True):
                    assert same_bits(a, b), f"{count} threads"


def train(build, x, y, **options):
    model = build()
    model.compile(seed=5, **options)
    history = model.fit(x, y, batch_size=32, epochs=2, verbose=0)
    return [*model.get_weights(), np.array(history.history["loss"]), model.predict(x[:50])]


def convolutional():
    return nnx.Sequential(
        nnx.Conv2D(8, 3, padding="same", activation="relu"), nnx.MaxPool2D(2), nnx.BatchNorm(), nnx.Dropout(0.3),
        nnx.Flatten(), nnx.Dense(40, activation="tanh"), nnx.Dense(5),
    )  # fmt: skip


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: nnx.SGD(0.05),
        lambda: nnx.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-4, clip_norm=1.0),
        lambda: nnx.Adam(0.01),
    ],
    ids=["sgd", "momentum, clipped", "adam"],
)
def test_training(rng, optimizer):
    x, y = rng.random((200, 12, 12, 3), np.float32), rng.integers(0, 5, 200)
    wanted = None
    for count in (*COUNTS, 2):
        with threads(count):
            results = train(convolutional, x, y, loss="cross_entropy", optimizer=optimizer())
        wanted = wanted or results
        for a, b in zip(results, wanted, strict=True):
            assert same_bits(a, b), f"{count} threads"


def test_the_seed_decides(rng):
    x, y = rng.random((64, 12, 12, 3), np.float32), rng.integers(0, 5, 64)
    runs = []
    for seed in (1, 1, 2):
        model = convolutional()
        model.compile("sgd", "cross_entropy", seed=seed)
        model.fit(x, y, epochs=1, batch_size=16, verbose=0)
        runs.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    assert same_bits(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_set_seed_decides_where_no_seed_is_given(rng):
    x, y = rng.random((64, 12, 12, 3), np.float32), rng.integers(0, 5, 64)
    runs = []
    for _ in range(2):
        nnx.set_seed(9)
        model = convolutional()
        model.compile("sgd", "cross_entropy")
        model.fit(x, y, epochs=1, batch_size=16, verbose=0)
        runs.append(model.get_weights())
    assert all(same_bits(a, b) for a, b in zip(*runs, strict=True))
