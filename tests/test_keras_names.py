"""Names that people bring along: the table is walked, and docs/keras.md shows it.

    python tests/test_keras_names.py

writes the table into the page.
"""

import inspect
from pathlib import Path

import nnx
import numpy as np
import pytest
from nnx import activations, initializers, layers, losses, metrics, ops, optimizers, regularizers, schedules
from nnx._config.names import ARGUMENTS, INSTEAD, STRINGS
from nnx._config.resolving import rules_of
from nnx._config.rules import Ignored, Means, Only, Same, Setting

PAGE = Path(__file__).resolve().parent.parent / "docs/keras.md"
BEGIN, END = "<!-- names: begin -->\n", "<!-- names: end -->"
ROOMS = (layers, losses, metrics, optimizers, schedules, regularizers, initializers)

# What a class cannot be made without.
REQUIRED = {
    "Dense": {"units": 3},
    "Conv2D": {"filters": 4, "kernel_size": 3},
    "Conv2DTranspose": {"filters": 4, "kernel_size": 3},
    "DepthwiseConv2D": {"kernel_size": 3},
    "SeparableConv2D": {"filters": 4, "kernel_size": 3},
    "Dropout": {"rate": 0.25},
    "SpatialDropout2D": {"rate": 0.25},
    "Optimizer": {"learning_rate": 0.5},
    "ExponentialDecay": {"initial": 0.1, "rate": 0.2},
    "InverseTimeDecay": {"initial": 0.1, "rate": 0.2},
    "CosineDecay": {"initial": 0.1, "length": 5},
    "ZeroPadding2D": {"padding": 2},
    "Cropping2D": {"cropping": 2},
    "Lambda": {"function": ops.square},
    "PiecewiseConstant": {"boundaries": [1], "values": [0.1, 0.2]},
}
# A value of each argument that has another name; none is a default.
VALUES = {
    "dilation": (2, 1), "strides": 2, "use_bias": False, "kernel_initializer": "he_normal", "kernel_regularizer": "l2",
    "pool_size": 3, "rate": 0.5, "epsilon": 1e-4, "negative_slope": 0.25, "learning_rate": 0.125, "clip_norm": 2.0,
    "clip_value": 0.5, "beta1": 0.5, "beta2": 0.75, "rho": 0.5, "initial": 0.3, "low": -1.0, "high": 1.0, "std": 0.5,
    "size": (3, 1), "interpolation": "bilinear", "groups": 4,
}  # fmt: skip
# What arguments that are turned into others come to: theirs, and the same in nnx's own.
MEANS = {
    ("Optimizer", "decay"): ({"decay": 0.5}, {"learning_rate": schedules.InverseTimeDecay(0.5, 0.5, per="step")}),
    ("Optimizer", "use_ema"): ({"use_ema": True}, {"ema": 0.99}),
    ("Optimizer", "ema_momentum"): ({"use_ema": True, "ema_momentum": 0.5}, {"ema": 0.5}),
    ("Adam", "betas"): ({"betas": (0.5, 0.75)}, {"beta1": 0.5, "beta2": 0.75}),
    ("Lion", "betas"): ({"betas": (0.5, 0.75)}, {"beta1": 0.5, "beta2": 0.75}),
    ("ExponentialDecay", "decay_steps"): (
        {"decay_steps": 10, "decay_rate": 0.5}, {"rate": np.log(2) / 10, "per": "step"},
    ),
    ("ExponentialDecay", "decay_rate"): (
        {"decay_steps": 10, "decay_rate": 1.0}, {"rate": 0.0, "per": "step"},
    ),
    ("ExponentialDecay", "staircase"): (
        {"decay_steps": 10, "decay_rate": 0.5, "staircase": True},
        {"rate": np.log(2) / 10, "per": "step", "every": 10},
    ),
    ("InverseTimeDecay", "decay_steps"): (
        {"decay_steps": 10, "decay_rate": 0.5}, {"rate": 0.05, "per": "step"},
    ),
    ("InverseTimeDecay", "decay_rate"): (
        {"decay_steps": 10, "decay_rate": 2.0}, {"rate": 0.2, "per": "step"},
    ),
    ("InverseTimeDecay", "staircase"): (
        {"decay_steps": 10, "decay_rate": 0.5, "staircase": True}, {"rate": 0.05, "per": "step", "every": 10},
    ),
    ("CosineDecay", "decay_steps"): ({"decay_steps": 30}, {"length": 30, "per": "step"}),
    ("CosineDecay", "alpha"): ({"decay_steps": 30, "alpha": 0.5}, {"length": 30, "per": "step", "final": 0.05}),
}  # fmt: skip
SHAPES = {"input_shape": (5,), "batch_input_shape": (None, 5), "input_dim": 5}
BASES = {
    "Layer": layers.Flatten, "Loss": losses.MeanSquaredError, "Metric": metrics.Accuracy, "Optimizer": optimizers.SGD,
}  # fmt: skip
RULES = [(name, theirs, rule) for name, rules in ARGUMENTS.items() for theirs, rule in rules.items()]


def class_of(name):
    return BASES.get(name) or next(vars(room)[name] for room in ROOMS if name in vars(room))


def made(name, given, without=()):
    required = {key: value for key, value in REQUIRED.get(name, {}).items() if key not in {*given, *without}}
    return class_of(name)(**required, **given)


def of_kind(kind):
    return [pytest.param(n, t, r, id=f"{n}-{t}") for n, t, r in RULES if isinstance(r, kind)]


# Classes


def aliases():
    """(room, Keras's name, the object) of everything that a room has under another name than its own."""
    for room in (*ROOMS, activations):
        for name, item in vars(room).items():
            public = (
                not name.startswith("_")
                and callable(item)
                and str(getattr(item, "__module__", "")).startswith("nnx.")
            )
            if public and item.__name__ != name and item.__module__.startswith((room.__name__, "nnx.ops")):
                yield room, name, item


ALIASES = list(aliases())
NAMED = [getattr(metrics, name) for name in metrics.names.__all__] + [schedules.PiecewiseConstantDecay]


def test_the_names_of_the_contract_are_there():
    typed = "MaxPooling2D AveragePooling2D GlobalAveragePooling2D BatchNormalization Concatenate Rescaling Activation"
    for name in [*typed.split(), "DepthwiseConv2D", "SeparableConv2D"]:
        assert getattr(nnx, name) is getattr(layers, name)
        assert name in dir(nnx)
        assert name in nnx.__all__
        assert name in layers.__all__
    assert nnx.MaxPooling2D is nnx.MaxPool2D
    assert nnx.models.load_model is nnx.load
    assert nnx.optimizers.schedules is nnx.schedules


@pytest.mark.parametrize(("room", "name", "item"), ALIASES, ids=lambda v: getattr(v, "__name__", v))
def test_another_name_is_the_same_object(room, name, item):
    assert getattr(room, item.__name__, item) is item
    assert name not in vars(item)


@pytest.mark.parametrize("metric", metrics.names.__all__)
def test_a_metric_under_keras_name_computes_the_same(metric):
    cls = getattr(metrics, metric)
    base = cls.__mro__[1]
    y, scores = np.array([0, 1, 2, 1]), np.random.default_rng(0).random((4, 3))
    if issubclass(base, (metrics.MSE, metrics.MAE, metrics.R2)):
        y = np.random.default_rng(1).random((4, 3))
    assert cls()(y, scores) == base()(y, scores)
    assert cls.name != base.name


# Arguments


@pytest.mark.parametrize(("name", "theirs", "rule"), of_kind(Same))
def test_another_name_of_an_argument_means_the_same(name, theirs, rule):
    value = VALUES[rule.ours]
    ours = made(name, {rule.ours: value})
    again = made(name, {theirs: value}, without=[rule.ours])
    assert again.get_config() == ours.get_config()
    assert repr(again) == repr(ours)
    assert theirs not in again.get_config()
    if rule.ours not in REQUIRED.get(name, {}):
        assert ours.get_config() != made(name, {}).get_config()
    with pytest.raises(TypeError, match=f"'{rule.ours}' and '{theirs}' mean the same: give one"):
        made(name, {rule.ours: value, theirs: value})
    config = ours.get_config()
    config[theirs] = config.pop(rule.ours)
    assert type(ours).from_config(config).get_config() == ours.get_config()


@pytest.mark.parametrize(("name", "theirs", "rule"), of_kind(Only))
def test_values_that_say_what_nnx_does_are_taken_and_others_refused(name, theirs, rule):
    for value in rule.values:
        assert made(name, {theirs: value}).get_config() == made(name, {}).get_config()
    with pytest.raises(ValueError, match=f"argument '{theirs}', got 'other': "):
        made(name, {theirs: "other"})


@pytest.mark.parametrize(("name", "theirs", "rule"), of_kind(Setting))
def test_settings_are_set(name, theirs, rule):
    value = {"trainable": False, "name": "other"}[theirs]
    item = made(name, {theirs: value})
    assert getattr(item, theirs) == value
    assert type(item).from_config(item.get_config()).get_config() == item.get_config()


@pytest.mark.parametrize(("name", "theirs", "rule"), of_kind(Ignored))
def test_what_is_ignored_says_so_where_it_could_matter(name, theirs, rule):
    if rule.warning:
        with pytest.warns(UserWarning, match=f"argument '{theirs}': it has no effect") as caught:
            item = made(name, {theirs: 3})
        assert caught[0].filename == __file__
    else:
        item = made(name, {theirs: "other"})
    assert item.get_config() == made(name, {}).get_config()


@pytest.mark.parametrize(("name", "theirs", "rule"), of_kind(Means))
def test_what_is_turned_into_other_arguments(name, theirs, rule):
    if name == "Layer":
        assert nnx.Dense(2, **{theirs: SHAPES[theirs]}).first_shape == (5,)
        return
    given, ours = MEANS[name, theirs]
    replaced = [key for key in ("rate", "length") if key in ours]
    assert theirs in given
    expected = made(name, ours, without=replaced)
    assert made(name, given, without=replaced).get_config() == expected.get_config()


def test_positional_arguments_count_as_given():
    with pytest.raises(TypeError, match="'dilation' and 'dilation_rate' mean the same"):
        nnx.Conv2D(8, 3, 1, "same", 2, dilation_rate=2)
    with pytest.raises(TypeError, match="multiple values for argument 'filters'"):
        nnx.Conv2D(8, 3, filters=8, dilation_rate=2)
    with pytest.raises(TypeError, match="'beta1' cannot stand beside betas"):
        nnx.Adam(betas=(0.5, 0.5), beta1=0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nnx.Conv2D(8, 3, dilatoin=2), r"Conv2D: unexpected argument 'dilatoin'; did you mean 'dilation'\?"),
        (lambda: nnx.Adam(beta_11=2), "Adam: unexpected argument 'beta_11'; did you mean 'beta_1'"),
        (lambda: nnx.Flatten(colour=1), "Flatten: unexpected argument 'colour'; it takes name"),
        (lambda: metrics.Accuracy(colour=1), "Accuracy: unexpected argument 'colour'"),
        (lambda: nnx.Sequential(nnx.Flatten(), colour=1), "Sequential: unexpected argument 'colour'"),
    ],
)  # fmt: skip
def test_an_argument_unknown_names_the_nearest(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_subclasses_take_what_their_bases_take():
    class Mine(nnx.Conv2D):
        pass

    class Stacked(nnx.Conv2D):
        def __init__(self, filters, **rest):
            super().__init__(filters, 3, **rest)

    assert Mine(8, 3, dilation_rate=2).dilation == 2
    assert Stacked(8, dilation_rate=2).dilation == 2
    assert rules_of(Mine) == rules_of(nnx.Conv2D)


def test_signatures_show_our_own_names():
    assert "dilation" in inspect.signature(nnx.Conv2D).parameters
    assert "dilation_rate" not in inspect.signature(nnx.Conv2D).parameters


# Strings

LOOK_UP = {
    "activation": lambda name: nnx.Activation(name),
    "initializer": initializers.get,
    "loss": losses.get,
    "metric": metrics.get,
    "optimizer": optimizers.get,
    "regularizer": regularizers.get,
    "reduction": lambda name: losses.MeanSquaredError(name),
    "mode": lambda name: initializers.VarianceScaling(1.0, name),
    "distribution": lambda name: initializers.VarianceScaling(1.0, "in", name),
}


@pytest.mark.parametrize(
    ("kind", "theirs", "ours"), [(kind, *pair) for kind, names in STRINGS.items() for pair in names.items()]
)
def test_a_string_means_the_same_under_another_name(kind, theirs, ours):
    found, expected = LOOK_UP[kind](theirs), LOOK_UP[kind](ours)
    assert type(found) is type(expected)
    if kind == "activation":
        x = np.linspace(-2, 2, 5, dtype=np.float32)
        np.testing.assert_array_equal(found(x), expected(x))
    elif kind == "metric":
        assert found.name == theirs
    else:
        assert found.get_config() == expected.get_config()
    if kind in ("mode", "distribution", "reduction"):
        assert theirs not in repr(found)


@pytest.mark.parametrize(
    ("kind", "given", "cls"),
    [
        ("loss", "MeanSquaredError", losses.MeanSquaredError),
        ("loss", "SparseCategoricalCrossentropy", losses.SparseCategoricalCrossentropy),
        ("loss", "MSE", losses.MeanSquaredError),
        ("optimizer", "RMSprop", nnx.RMSprop),
        ("optimizer", "Adam", nnx.Adam),
        ("metric", "SparseCategoricalAccuracy", metrics.Accuracy),
        ("initializer", "HeNormal", initializers.VarianceScaling),
    ],
)
def test_names_of_classes_are_names(kind, given, cls):
    assert isinstance(LOOK_UP[kind](given), cls)


@pytest.mark.parametrize(
    ("kind", "given", "meant"),
    [
        ("loss", "cros_entropy", "cross_entropy"),
        ("optimizer", "adma", "adam"),
        ("metric", "acuracy", "accuracy"),
        ("activation", "rleu", "relu"),
        ("initializer", "he_norml", "he_normal"),
    ],
)
def test_a_string_unknown_names_the_nearest(kind, given, meant):
    with pytest.raises(ValueError, match=f"got '{given}'; did you mean '{meant}'"):
        LOOK_UP[kind](given)


@pytest.mark.parametrize("name", INSTEAD)
def test_what_is_not_here_says_what_is(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}': here it is "):
        getattr(nnx, name)
    instead = INSTEAD[name].partition("(")[0].partition(",")[0]
    found = nnx
    for part in instead.split("."):
        found = getattr(found, part) if part.isidentifier() else found
    with pytest.raises(AttributeError, match="did you mean 'Dense'"):
        nnx.Desne  # noqa: B018


# The page


def row(*cells):
    return f"| {' | '.join(cells)} |"


def described(rule):
    if isinstance(rule, Same):
        return f"`{rule.ours}`"
    if isinstance(rule, Only):
        values = ", ".join(f"`{value!r}`" for value in rule.values)
        return f"{values}; else: {rule.advice}"
    if isinstance(rule, Setting):
        return "an attribute of that name"
    if isinstance(rule, Ignored):
        return rule.warning or "taken, not used"
    return rule.text


def table():
    lines = ["### Classes and functions", "", row("typed", "nnx"), row("---", "---")]
    lines += [
        row(f"`{room.__name__[4:]}.{name}`", f"`{item.__name__}`")
        for room, name, item in sorted(ALIASES, key=lambda alias: (alias[0].__name__, alias[1]))
    ]
    lines += [
        row(f"`{item.__module__.split('.')[1]}.{item.__name__}`", item.__doc__.splitlines()[0])
        for item in NAMED
    ]
    lines += [
        "",
        "### Arguments",
        "",
        "Those of `Layer` are taken by all layers, those of `Optimizer` by all optimizers, ...",
        "",
    ]
    lines += [row("of", "typed", "nnx"), row("---", "---", "---")]
    grouped = {}
    for name, theirs, rule in RULES:
        grouped.setdefault((theirs, described(rule)), []).append(f"`{name}`")
    lines += [row(", ".join(names), f"`{theirs}`", text) for (theirs, text), names in grouped.items()]
    lines += ["", "### Strings", "", 'Names of classes are taken, too: "HeNormal", "MeanSquaredError".', ""]
    lines += [row("of a", "typed", "nnx"), row("---", "---", "---")]
    lines += [row(kind, f'`"{a}"`', f'`"{b}"`') for kind, names in STRINGS.items() for a, b in names.items()]
    lines += ["", "### Elsewhere", "", row("typed", "here it is"), row("---", "---")]
    lines += [row(f"`nnx.{name}`", text) for name, text in INSTEAD.items()]
    return "\n".join(lines) + "\n"


def test_the_page_shows_the_table():
    page = PAGE.read_text()
    assert page[page.index(BEGIN) + len(BEGIN) : page.index(END)] == table(), (
        "run python tests/test_keras_names.py"
    )


def test_an_input_in_front_builds_a_sequential():
    model = nnx.Sequential([nnx.Input(shape=(4,)), nnx.Dense(3)])
    assert model.input_shape == (4,)
    assert model.count_params() == 15
    assert len(model.layers) == 1
    grown = nnx.Sequential()
    grown.add(nnx.Input((4,)))
    assert grown.layers == []
    grown.add(nnx.Dense(2))
    assert grown.count_params() == 10
    again = nnx.Sequential.from_config(model.get_config())
    assert [type(layer) for layer in again.layers] == [nnx.Dense]
    with pytest.raises(TypeError, match="expected layers, got Symbol"):
        nnx.Sequential(nnx.Dense(3), nnx.Input((4,)))


if __name__ == "__main__":
    page = PAGE.read_text()
    PAGE.write_text(page[: page.index(BEGIN) + len(BEGIN)] + table() + page[page.index(END) :])
