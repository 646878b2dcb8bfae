"""Configs: everything with arguments gives them, is made of them anew, and shows them."""

import inspect
import json
import math

import nnx
import numpy as np
import pytest
from nnx import initializers, losses, metrics, optimizers, regularizers, schedules

EXAMPLES = [
    nnx.Dense(10, "softmax", use_bias=False, name="out"),
    nnx.Dense(3, nnx.ops.relu, kernel_initializer=initializers.normal(0.0, 0.1)),
    nnx.Dense(2, nnx.LeakyReLU(0.3), bias_initializer=np.array([1.0, -2.0])),
    nnx.Conv2D(8, (3, 5), (1, 2), ((1, 1), (2, 2)), dilation=2, groups=2, activation="relu"),
    nnx.MaxPool2D((2, 3), strides=1, padding="same"),
    nnx.AvgPool2D(3, count_include_pad=True),
    nnx.GlobalAvgPool2D(name="mean"),
    nnx.MaxPool2D(3, dilation=(1, 2), ceil_mode=True),
    nnx.AvgPool2D(3, dilation=2, ceil_mode=True),
    nnx.GlobalMaxPool2D(),
    nnx.UpSampling2D((2, 3), "bilinear"),
    nnx.LayerNorm((1, 2, 3), 1e-3, center=False),
    nnx.LayerNorm(),
    nnx.GroupNorm(4, scale=False),
    nnx.Conv2DTranspose(8, (3, 5), 2, "same", (1, 0), activation="relu", kernel_regularizer="l2"),
    nnx.Flatten(),
    nnx.Reshape((4, -1)),
    nnx.Dropout(0.25),
    nnx.SpatialDropout2D(0.25, 3),
    nnx.GaussianNoise(0.1, name="noise"),
    nnx.augment.RandomFlip("vertical", seed=4),
    nnx.augment.RandomTranslation((-0.1, 0.2), 0.3, "wrap", "nearest", 5, 1.0),
    nnx.augment.RandomCrop(3, 4),
    nnx.augment.RandomRotation(0.1, "constant", fill_value=0.5),
    nnx.augment.RandomContrast((0.1, 0.2), (0, 1)),
    nnx.BatchNorm(0.8, 1e-3),
    nnx.LocalResponseNorm(3, 1e-3, 0.5, 1.0),
    nnx.Normalize([1.0, 2.0, 3.0], 0.5),
    nnx.Concat(1),
    nnx.Activation("gelu"),
    nnx.Rescaling(0.5, -1.0),
    nnx.DepthwiseConv2D(3, 2, "same", 2, kernel_regularizer="l2"),
    nnx.SeparableConv2D(4, 3, depth_multiplier=2, activation="relu", pointwise_regularizer="l1"),
    nnx.Add(),
    nnx.ELU(0.5),
    nnx.LeakyReLU(0.3),
    nnx.PReLU("ones", "l2", (1, 2)),
    nnx.Lambda(nnx.ops.mish),
    nnx.Cropping2D(((1, 0), (2, 1))),
    nnx.ZeroPadding2D((1, 2)),
    nnx.Normalization((1, -1), [1.0, 2.0], [3.0, 4.0]),
    nnx.Sequential(nnx.Dense(3), nnx.Sequential(nnx.ReLU(), name="inner"), name="outer"),
    optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, clip_norm=1.0),
    optimizers.SGD(schedules.Warmup(schedules.StepDecay(0.1, every=3), 10)),
    optimizers.Adam(beta1=0.8, epsilon=1e-8),
    optimizers.AdamW(1e-4),
    optimizers.RMSprop(0.01, 0.8, 0.5, 1e-6, True, 0.1, 1.0, 0.5, 0.99),
    optimizers.Adagrad(0.1, 0.2, clip_value=0.1),
    optimizers.Lion(beta2=0.9, ema=0.5),
    regularizers.L1(0.1),
    regularizers.L2(0.2),
    regularizers.L1L2(0.1, 0.2),
    nnx.Dense(2, kernel_regularizer="l2", bias_regularizer=regularizers.L1(0.1)),
    nnx.Conv2D(2, 3, kernel_regularizer=regularizers.L1L2(0.1, 0.2)),
    losses.Huber(2.0, reduction="sum"),
    losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
    losses.CategoricalCrossentropy(label_smoothing=0.1),
    losses.HalfSumSquaredError(),
    schedules.Constant(0.1),
    schedules.StepDecay(0.1, 0.9, every=3, per="step"),
    schedules.Warmup(0.1, 10),
    schedules.ExponentialDecay(0.1, 0.2, per="step"),
    schedules.InverseTimeDecay(0.1, 0.2),
    schedules.PiecewiseConstant([1, 2], [0.1, 0.2, 0.3]),
    schedules.CosineDecay(0.1, 10, 0.01),
    nnx.GELU(True),
    metrics.TopK(3),
    metrics.AUC(50),
    metrics.AUC(curve="PR", name="pr"),
    metrics.BinaryAccuracy(0.3),
    metrics.F1("micro"),
    metrics.Accuracy(),
    nnx.callbacks.EarlyStopping(patience=3, baseline=0.5),
    nnx.callbacks.ModelCheckpoint("a-{epoch}", save_freq=3),
    nnx.callbacks.Diagnostics(5),
    initializers.constant(2.5),
    initializers.constant(np.arange(2000.0)),
    initializers.uniform(-1, 1),
    initializers.he_normal(),
]


@pytest.mark.parametrize("item", EXAMPLES, ids=repr)
def test_made_anew_from_its_config(item):
    config = item.get_config()
    parameters = inspect.signature(type(item)).parameters
    assert set(config) == set(parameters), "every argument is in the config"
    for text in (config, json.loads(json.dumps(config))):
        again = type(item).from_config(text)
        assert type(again) is type(item)
        assert repr(again) == repr(item)
        assert json.dumps(again.get_config()) == json.dumps(config)


def test_every_public_class_with_arguments_is_tried():
    tried = {type(item) for item in EXAMPLES}
    rooms = (nnx.layers, optimizers, regularizers, schedules)
    classes = {
        item
        for room in rooms
        for item in vars(room).values()
        if isinstance(item, type)
        and hasattr(item, "get_config")
        and item.__module__.startswith(room.__name__)
    }
    bases = {nnx.Layer, optimizers.Optimizer, regularizers.Regularizer, schedules.Schedule}
    bare = {item for item in classes if set(inspect.signature(item).parameters) <= {"name"}}
    assert {item.__name__ for item in classes - tried - bases - bare} == set()


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (nnx.Dense(10), "Dense(10)"),
        (nnx.Dense(10, "relu"), "Dense(10, activation='relu')"),
        (nnx.Conv2D(8, 3, padding="same"), "Conv2D(8, (3, 3), padding='same')"),
        (optimizers.SGD(0.1, 0.9), "SGD(learning_rate=0.1, momentum=0.9)"),
        (schedules.CosineDecay(0.1, 10), "CosineDecay(0.1, 10.0)"),
        (nnx.Dense(2, nnx.ReLU(), name="a"), "Dense(2, activation=ReLU(), name='a')"),
        (initializers.constant(np.zeros((2, 8))), "Constant(array of shape (2, 8))"),
        (metrics.Accuracy(), "Accuracy()"),
    ],
)
def test_repr_shows_what_differs_from_the_defaults(item, text):
    assert repr(item) == text


def test_arrays_and_numbers_that_are_not_finite_come_back_to_the_last_bit():
    numbers = np.array([math.pi, 1e-310, -0.0, 3.0])
    again = initializers.Constant.from_config(
        json.loads(json.dumps(initializers.constant(numbers).get_config()))
    )
    assert again.value.tobytes() == numbers.tobytes()
    config = json.dumps(Scaled(2, math.inf, -math.inf, bias=math.nan).get_config(), allow_nan=False)
    again = Scaled.from_config(json.loads(config)).get_config()
    assert json.dumps(again) == config


def test_settings_that_are_no_arguments_are_kept():
    layer = nnx.Dense(3)
    assert "trainable" not in layer.get_config()
    layer.trainable = False
    assert nnx.Dense.from_config(layer.get_config()).trainable is False
    dropout = nnx.Dropout(0.5)
    dropout.rate = 0.25
    assert nnx.Dropout.from_config(dropout.get_config()).rate == 0.25


class Scaled(nnx.Layer):
    def __init__(self, factor, *others, bias=0.0, **more):
        super().__init__()
        self.factor = factor
        self.inner = nnx.Dense(int(factor))

    def forward(self, x):
        return self.inner(x) * self.factor


class Counted(nnx.Layer):
    """In the manner of Keras's guides."""

    def __init__(self, units=3):
        super().__init__()
        self.layer = nnx.Dense(units)

    def get_config(self):
        return {**super().get_config(), "units": self.layer.units}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def test_classes_of_ones_own_are_made_of_what_they_were_made_with():
    layer = Scaled(2, 5, 6, bias=1.5, extra="x")
    assert layer.get_config() == {"factor": 2, "others": (5, 6), "bias": 1.5, "extra": "x"}
    assert repr(layer) == "Scaled(2, 5, 6, bias=1.5, extra='x')"
    assert [name for name, _ in layer.walk()] == ["", "inner"]
    layer.factor = 4  # kept under its name: as it is now
    assert Scaled.from_config(layer.get_config()).factor == 4
    assert Counted.from_config(Counted(7).get_config()).layer.units == 7


def test_what_cannot_be_written_says_which_argument():
    with pytest.raises(TypeError, match=r"Dense\.activation: cannot be saved, since it is a lambda"):
        nnx.Dense(3, lambda x: x).get_config()
    assert repr(nnx.Dense(3, lambda x: x)) == "Dense(3, activation=<lambda>)"


@pytest.mark.parametrize("config", [None, 3, [], "Dense"])
def test_a_config_that_is_no_dict_is_refused(config):
    with pytest.raises(TypeError, match="from_config: expected a dict"):
        nnx.Dense.from_config(config)


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError, match="Dense: unexpected arguments colour"):
        nnx.Dense.from_config({"units": 3, "colour": "red"})
    with pytest.raises(TypeError, match="argument"):
        metrics.Accuracy(3)


def test_classes_that_are_not_known_are_named():
    model = nnx.Sequential(Scaled(2), nnx.Dense(1))
    config = model.get_config()
    with pytest.raises(ValueError, match=r"needs the class Scaled \(of module .*test_configs\)"):
        nnx.Sequential.from_config(config)


def test_register_takes_classes_and_functions_alone():
    with pytest.raises(TypeError, match="register: argument 'item' expected a class or a function, got 3"):
        nnx.register(3)
