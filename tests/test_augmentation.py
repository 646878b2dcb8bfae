"""Random changes of samples, inside programs: what a step sees, and what it passes back."""

import functools

import nnx
import numpy as np
import pytest
import reference
from harness import FLOATS, check_close, draw, same_bits, threads
from nnx import _core, augment

SEED = 12345


def probe(*front, device="cpu", precision="float64", n=6):
    """A model whose gradients by its weights are the samples that a step sees: see `seen`."""
    model = nnx.Sequential(*front, nnx.Flatten(), nnx.Dense(n, use_bias=False, kernel_initializer="zeros"))
    loss = nnx.losses.HalfSumSquaredError(reduction="sum")
    model.compile(nnx.SGD(0.0), loss, device=device, precision=precision, seed=SEED)
    return model


def seen(model, x):
    """With weights of 0 and targets of -1 the output's gradient is the unit matrix, and x^T times it is x^T."""
    _, gradients = model.gradients(x, -np.eye(len(x)))
    return next(iter(gradients.values())).T


FRONTS = {
    "flip": ([augment.RandomFlip()], [reference.random_flip]),
    "translation": (
        [augment.RandomTranslation(0.3, (-0.1, 0.4))],
        [functools.partial(reference.random_translation, height_factor=0.3, width_factor=(-0.1, 0.4))],
    ),
    "flip and translation": (
        [augment.RandomFlip("horizontal"), augment.RandomTranslation(0.3, 0.2, "constant", fill_value=2.0)],
        [
            functools.partial(reference.random_flip, mode="horizontal"),
            functools.partial(
                reference.random_translation,
                height_factor=0.3,
                width_factor=0.2,
                fill_mode="constant",
                fill_value=2.0,
            ),
        ],
    ),
    "flip and crop": (
        [augment.RandomFlip(), augment.RandomCrop(4, 3)],
        [reference.random_flip, functools.partial(reference.random_crop, height=4, width=3)],
    ),
    "two flips and a rotation": (
        [
            augment.RandomFlip("vertical"),
            augment.RandomFlip("horizontal"),
            augment.RandomRotation(0.2, "nearest"),
        ],
        [
            functools.partial(reference.random_flip, mode="vertical"),
            functools.partial(reference.random_flip, mode="horizontal"),
            functools.partial(reference.random_rotation, factor=0.2, fill_mode="nearest"),
        ],
    ),
    "rotation and flip": (
        [augment.RandomRotation(0.2), augment.RandomFlip()],
        [functools.partial(reference.random_rotation, factor=0.2), reference.random_flip],
    ),
    "contrast": (
        [augment.RandomContrast((0.5, 0.9), (-1, 1))],
        [functools.partial(reference.random_contrast, factor=(0.5, 0.9), value_range=(-1, 1))],
    ),
    "noise and channels": (
        [nnx.GaussianNoise(0.3), nnx.SpatialDropout2D(0.5)],
        [
            functools.partial(reference.gaussian_noise, stddev=0.3),
            functools.partial(reference.spatial_dropout2d, rate=0.5),
        ],
    ),
}


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("name", FRONTS)
def test_a_step_sees_what_the_reference_draws(rng, device, name, precision):
    layers, functions = FRONTS[name]
    x = draw(rng, (6, 6, 5, 2), precision)
    model = probe(*layers, device=device, precision=precision)
    for step in range(3):
        want = x
        for layer, function in enumerate(functions):
            want = function(want, seed=SEED, layer=layer, step=step)
        check_close(seen(model, x), want.reshape(6, -1), 100, f"step {step}")
        model.fit(x, -np.eye(6), batch_size=6, verbose=0)


def test_a_flip_that_others_read_too_is_kept(rng, device):
    class Two(nnx.Model):
        def __init__(self):
            super().__init__()
            self.flip, self.move = augment.RandomFlip(), augment.RandomTranslation(0.4, 0.4)
            self.flat, self.out = nnx.Flatten(), nnx.Dense(4, use_bias=False, kernel_initializer="zeros")

        def forward(self, x):
            flipped = self.flip(x)
            return self.out(self.flat(self.move(flipped) + flipped))

    x = draw(rng, (4, 5, 4, 1), "float64")
    model = Two()
    loss = nnx.losses.HalfSumSquaredError(reduction="sum")
    model.compile(nnx.SGD(0.0), loss, device=device, precision="float64", seed=SEED)
    flipped = reference.random_flip(x, seed=SEED)
    want = flipped + reference.random_translation(flipped, 0.4, 0.4, seed=SEED, layer=1)
    check_close(seen(model, x), want.reshape(4, -1), 100)


def test_a_seed_of_ones_own(rng):
    x = draw(rng, (6, 4, 4, 1), "float64")
    for layer, function in (
        (augment.RandomFlip(seed=5), reference.random_flip),
        (augment.RandomCrop(2, 3, seed=5), functools.partial(reference.random_crop, height=2, width=3)),
        (nnx.GaussianNoise(1.0, seed=5), functools.partial(reference.gaussian_noise, stddev=1.0)),
        (nnx.SpatialDropout2D(0.5, seed=5), functools.partial(reference.spatial_dropout2d, rate=0.5)),
        (
            augment.RandomContrast(0.9, (-9, 9), 5),
            lambda x, **key: reference.random_contrast(x, 0.9, (-9, 9), **key),
        ),
    ):
        check_close(seen(probe(layer), x), function(x, seed=5).reshape(6, -1), 100, repr(layer))


def test_samples_steps_and_layers_differ(rng):
    x = np.repeat(draw(rng, (1, 8, 8, 1), "float64"), 6, axis=0)
    model = probe(augment.RandomTranslation(0.4, 0.4))
    first = seen(model, x)
    assert len({row.tobytes() for row in first}) == 6
    assert same_bits(seen(model, x), first)  # the clock has not moved
    model.fit(x, -np.eye(6), batch_size=6, verbose=0)
    assert not np.any(np.all(seen(model, x) == first, axis=1))
    twice = seen(probe(augment.RandomFlip("horizontal"), augment.RandomFlip("horizontal")), x)
    assert len({row.tobytes() for row in twice}) == 2


def test_predictions_see_the_data_as_it_is(rng, device):
    layers = [
        augment.RandomFlip(),
        augment.RandomTranslation(0.5, 0.5),
        augment.RandomRotation(0.5),
        augment.RandomContrast(0.5),
        nnx.GaussianNoise(1.0),
        nnx.SpatialDropout2D(0.5),
    ]
    x, y = draw(rng, (20, 6, 6, 2)), rng.integers(0, 3, 20)
    tail = [nnx.Conv2D(4, 3, activation="relu"), nnx.Flatten(), nnx.Dense(3)]
    plain, changed = nnx.Sequential(*tail), nnx.Sequential(*layers, *tail)
    for model in (plain, changed):
        model.compile(nnx.SGD(0.1), "cross_entropy", ["accuracy"], device=device, seed=1)
    assert same_bits(changed.predict(x), plain.predict(x))
    assert changed.evaluate(x, y) == plain.evaluate(x, y)
    for layer in layers:
        assert layer(x) is x or same_bits(layer(x), x)
    assert changed.gradients(x, y)[0] != plain.gradients(x, y)[0]


def test_a_crop_predicts_from_the_middle(rng, device):
    x = draw(rng, (5, 7, 8, 2))
    crop = nnx.Sequential(augment.RandomCrop(4, 5), nnx.Flatten())
    crop.build((7, 8, 2))
    crop.to(device)
    middle = x[:, 1:5, 1:6]
    np.testing.assert_array_equal(crop.predict(x), middle.reshape(5, -1))
    np.testing.assert_array_equal(augment.RandomCrop(4, 5)(x), middle)


def network(device="cpu", precision="float32"):
    model = nnx.Sequential(
        augment.RandomFlip("horizontal"),
        augment.RandomTranslation(0.2, 0.2),
        augment.RandomContrast(0.3, (-3, 3)),
        nnx.GaussianNoise(0.1),
        nnx.Conv2D(3, 3, activation="relu"),
        nnx.SpatialDropout2D(0.3),
        augment.RandomFlip("vertical"),
        augment.RandomRotation(0.1, "constant"),
        augment.RandomCrop(3, 3),
        nnx.Flatten(),
        nnx.Dense(3),
    )
    model.compile(nnx.SGD(0.05, momentum=0.9), "cross_entropy", device=device, precision=precision, seed=8)
    return model


def data(rng, precision="float32"):
    return draw(rng, (43, 7, 9, 1), precision), rng.integers(0, 3, 43)


def test_gradients_behind_trained_layers(rng, device):
    """Contrast and rotation behind weights, by central differences of the loss of the same draws."""
    model = nnx.Sequential(
        nnx.Conv2D(2, 3),
        nnx.GaussianNoise(0.2),
        augment.RandomFlip(),
        augment.RandomTranslation(0.3, 0.3, "wrap"),
        augment.RandomContrast(0.5, (-2, 2)),
        nnx.SpatialDropout2D(0.3),
        augment.RandomRotation(0.3),
        augment.RandomCrop(3, 4),
        nnx.Flatten(),
        nnx.Dense(3),
    )
    model.compile(nnx.SGD(0.1), "cross_entropy", device=device, precision="float64", seed=4)
    x, y = draw(rng, (5, 7, 8, 2), "float64"), rng.integers(0, 3, 5)
    _, gradients = model.gradients(x, y)
    state = model.state_dict()
    step = 1e-6
    for name, gradient in gradients.items():
        direction = rng.standard_normal(gradient.shape)
        losses = []
        for sign in (1, -1):
            model.load_state_dict({**state, name: state[name] + sign * step * direction})
            losses.append(model.gradients(x, y)[0])
        numeric = (losses[0] - losses[1]) / (2 * step)
        np.testing.assert_allclose(np.sum(gradient * direction), numeric, rtol=1e-6, atol=1e-8, err_msg=name)
        model.load_state_dict(state)


def test_a_layer_read_twice_gets_both_gradients(rng, device):
    """Gradients add up in an array that another layer has begun."""

    class Sum(nnx.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.flat, self.out = nnx.Conv2D(2, 2), nnx.Flatten(), nnx.Dense(2)
            self.changes = [
                augment.RandomTranslation(0.4, 0.4),
                augment.RandomContrast(0.5, (-1, 1)),
                nnx.GaussianNoise(0.1),
                nnx.SpatialDropout2D(0.5),
            ]

        def forward(self, x):
            x = self.conv(x)
            total = self.changes[0](x)
            for change in self.changes[1:]:
                total = total + change(x)
            return self.out(self.flat(total))

    model = Sum()
    model.compile(nnx.SGD(0.1), "cross_entropy", device=device, precision="float64", seed=4)
    x, y = draw(rng, (4, 5, 5, 1), "float64"), rng.integers(0, 2, 4)
    _, gradients = model.gradients(x, y)
    state = model.state_dict()
    name = "conv.kernel"
    direction = rng.standard_normal(state[name].shape)
    losses = []
    for sign in (1, -1):
        model.load_state_dict({**state, name: state[name] + sign * 1e-6 * direction})
        losses.append(model.gradients(x, y)[0])
    np.testing.assert_allclose(np.sum(gradients[name] * direction), (losses[0] - losses[1]) / 2e-6, rtol=1e-6)


def test_devices_train_alike(rng, device):
    x, y = data(rng, "float64")
    a, b = network("cpu", "float64"), network(device, "float64")
    for model in (a, b):
        model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    for name, value in a.state_dict().items():
        np.testing.assert_allclose(b.state_dict()[name], value, rtol=1e-10, atol=1e-12, err_msg=name)


def test_parts_make_the_step_of_a_large_batch(rng, device):
    """Of an odd number of elements each, so that parts begin within pairs and blocks."""
    x, y = data(rng, "float64")
    parts, whole = network(device, "float64"), network(device, "float64")
    parts.fit(x, y, batch_size=3, accumulate=4, epochs=2, verbose=0)
    whole.fit(x, y, batch_size=12, epochs=2, verbose=0)
    for name, value in whole.state_dict().items():
        np.testing.assert_allclose(parts.state_dict()[name], value, rtol=1e-11, atol=1e-12, err_msg=name)


def test_a_resumed_run_is_the_unbroken_one(rng, device, tmp_path):
    class Save(nnx.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 8:
                self.model.save(tmp_path / "m")

    x, y = data(rng)
    options = {"batch_size": 8, "epochs": 3, "verbose": 0}
    whole = network(device)
    whole.fit(x, y, callbacks=[Save()], **options)
    for count in (1, 3):
        with threads(count):
            resumed = nnx.load(tmp_path / "m")
            resumed.fit(x, y, resume=True, **options)
        for name, value in whole.state_dict().items():
            assert same_bits(resumed.state_dict()[name], value), name


def test_bytes_are_cast_before_they_are_changed(rng):
    x, y = rng.integers(0, 256, (43, 7, 9, 1)).astype(np.uint8), rng.integers(0, 3, 43)
    a, b = network(), network()
    a.fit(x, y, batch_size=8, verbose=0)
    b.fit(x.astype(np.float32), y, batch_size=8, verbose=0)
    for name, value in a.state_dict().items():
        assert same_bits(b.state_dict()[name], value), name


def test_arguments_hold_from_the_next_call_on(rng):
    x = draw(rng, (6, 4, 4, 1), "float64")
    model = probe(augment.RandomTranslation(0.0, 0.0))
    np.testing.assert_array_equal(seen(model, x), x.reshape(6, -1))
    model.layers[0].width_factor = (0.25, 0.25)
    np.testing.assert_array_equal(seen(model, x).reshape(x.shape)[:, :, 1:], x[:, :, :-1])


def test_the_first_layers_cost_no_backward_pass():
    """A dense layer whose input's gradient nobody wants costs two products more than its forward pass, else three."""
    graph, shapes = _core.Graph(), [(18, 4), (4,)]
    x = graph.warp("w", graph.input((3, 3, 2)), flip="horizontal")
    x = graph.warp("w", x, motion="rotation", high=(0.5, 0), layer=1)
    x = graph.contrast(graph.noise(x, 0.5, 2), 0.5, 1.5, (0, 1), 3)
    output = graph.dense(graph.reshape(x, (18,)), *(graph.parameter(i, s) for i, s in enumerate(shapes)))
    parameters = _core.Parameters(["w", "b"], shapes, [True, True])
    loss = {"kind": "half_sum_squared_error", "targets": "values", "reduction": "sum"}
    program = _core.Program(graph, output, parameters, 5, True, loss, {"kind": "sgd"})
    assert program.flops_training == 2 * program.flops_forward
    # The input, what the flip and the rotation give in one pass, noise, contrast, the output and its gradient.
    floats = 5 * (4 * 18 + 2 * 4 + 4)
    assert program.memory()["activations"] <= 4 * floats + 64 * 8


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: augment.RandomFlip("both"), ValueError, "RandomFlip: argument 'mode' expected .*, got 'both'"),
        (lambda: augment.RandomFlip(seed=-1), ValueError, "'seed' expected an int of at least 0, got -1"),
        (lambda: augment.RandomTranslation(2, 0), ValueError, "'height_factor' expected .*, got 2"),
        (lambda: augment.RandomTranslation(0, "a"), TypeError, "'width_factor' expected a number, got str"),
        (lambda: augment.RandomTranslation(0, 0, "edge"), ValueError, "'fill_mode' expected .*wrap, got 'edge'"),
        (lambda: augment.RandomTranslation(0, 0, fill_value=np.inf), ValueError, "'fill_value' expected .*, got inf"),
        (lambda: augment.RandomCrop(0, 3), ValueError, "RandomCrop: argument 'height' expected .*, got 0"),
        (lambda: augment.RandomRotation((1, 2)), ValueError, "'factor' expected .*, got 2"),
        (lambda: augment.RandomContrast(1.5), ValueError, "'factor' expected .*, got 1.5"),
        (lambda: augment.RandomContrast(0.5, (1, 0)), ValueError, "'value_range' expected .*larger, got"),
        (lambda: augment.RandomContrast(0.5, 1), ValueError, "'value_range' expected two numbers.*, got 1"),
        (lambda: nnx.GaussianNoise(-0.5), ValueError, "'stddev' expected .*, got -0.5"),
        (lambda: nnx.SpatialDropout2D(1.0), ValueError, "'rate' expected .*, got 1.0"),
        (lambda: nnx.Sequential(augment.RandomCrop(5, 5)).build((4, 6, 1)), ValueError, "'height' expected .*, got 5"),
        (lambda: nnx.Sequential(augment.RandomFlip()).build((4, 6)), ValueError, "'x' expected .*N, H, W, C.*, got"),
    ],
)  # fmt: skip
def test_bad_arguments(make, error, words):
    with pytest.raises(error, match=words):
        make()
