"""How models and their parts show themselves: repr, HTML, summary, dir."""

import contextlib
import html.parser
import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import nnx
import numpy as np
import pytest


class Residual(nnx.Model):
    def __init__(self, units=5):
        super().__init__()
        self.inner = nnx.Dense(units, activation="relu")
        self.blocks = [nnx.Dense(5), nnx.Sequential(nnx.Dense(5), nnx.Dense(5, name="end"))]

    def forward(self, x):
        x = self.inner(x) + x
        for block in self.blocks:
            x = block(x)
        return x


def images(built=True):
    model = nnx.Sequential(
        nnx.Conv2D(4, 3, activation="relu"), nnx.Conv2D(8, 3), nnx.Flatten(), nnx.Dense(10)
    )
    if built:
        model.build((8, 8, 1))
    return model


@pytest.fixture(scope="module")
def history():
    x, y = nnx.datasets.load_digits()
    model = images()
    model.compile("sgd", "cross_entropy", ["accuracy", "confusion_matrix"], seed=0)
    return model.fit(x[:100], y[:100], epochs=3, validation_split=0.2, verbose=0)


# repr


def test_a_sequential_is_a_line_for_each_layer():
    assert repr(images()).splitlines() == [
        "Sequential(",
        f"  (conv2d): {nnx.Conv2D(4, 3, activation='relu')!r}",
        f"  (conv2d_1): {nnx.Conv2D(8, 3)!r}",
        "  (flatten): Flatten()",
        "  (dense): Dense(10)",
        ")",
    ]


def names_in(text):
    """Dotted paths of the layers in a model's repr."""
    path, names = [], []
    for line in text.splitlines()[1:]:
        found = re.match(r"( *)\(([\w.]+)\): ", line)
        if found:
            path[len(found[1]) // 2 - 1 :] = [found[2]]
            names.append(".".join(path))
    return names


@pytest.mark.parametrize("make", [images, Residual, lambda: nnx.models.lenet((8, 8, 1), 10)])
def test_the_names_are_those_of_state_dict(make):
    model = make()
    model.build(model.input_shape or (5,))
    layers = [name.rpartition(".")[0] for name in model.state_dict()]
    names = names_in(repr(model))
    assert set(layers) <= set(names)
    assert len(names) == len(set(names))


def test_models_in_models_are_set_in():
    assert repr(Residual()).splitlines() == [
        "Residual(",
        "  (inner): Dense(5, activation='relu')",
        "  (blocks.0): Dense(5)",
        "  (blocks.1): Sequential(",
        "    (dense): Dense(5)",
        "    (end): Dense(5, name='end')",
        "  )",
        ")",
    ]


def test_a_layer_that_is_used_twice_is_one_line():
    shared = nnx.Dense(3)
    assert repr(nnx.Sequential(shared, nnx.ReLU(), shared)).count("Dense(3)") == 1


def test_models_without_layers_and_around_themselves():
    assert repr(nnx.Sequential()) == "Sequential()"
    model = nnx.Sequential(nnx.Dense(1))
    model.layers.append(model)
    assert len(repr(model)) < 1000


def test_a_history_tells_its_last_numbers(history):
    text = repr(history)
    assert text.startswith("History(3 epochs; last: loss ")
    assert f"val_accuracy {history.history['val_accuracy'][-1]:.4g}" in text
    assert "confusion" not in text
    assert "0x" not in text
    assert repr(nnx.History()) == "History(no epochs)"


def test_a_weight_shows_its_shape():
    assert repr(images().layers[0].kernel) == "Weight('kernel', shape=(3, 3, 1, 4), trainable=True)"


# HTML

VOID = {"meta", "br", "hr"}


class Reader(html.parser.HTMLParser):
    """Tables of cells and the text; AssertionError where tags are not nested."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert tag not in {"script", "iframe", "img"}
        assert not [name for name, _ in attributes if name.startswith("on")]
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def read(item):
    return Reader(item._repr_html_())


def pictures(item):
    """The SVG pictures, as XML."""
    return [ET.fromstring(text) for text in re.findall(r"<svg.*?</svg>", item._repr_html_(), re.DOTALL)]


def lines(picture):
    """Polylines: a list of points for each stroke that is a curve."""
    paths = [p.get("d") for p in picture.iter("{http://www.w3.org/2000/svg}path") if p.get("stroke-width")]
    return [[tuple(map(float, p.split())) for p in re.split("[ML]", d)[1:]] for d in paths]


def test_a_built_model_is_a_table_of_shapes_and_parameters():
    rows = read(images()).rows
    assert rows[0] == ["Layer", "Type", "Output shape", "Parameters"]
    assert ["conv2d", "Conv2D", "(N, 6, 6, 4)", "40"] in rows
    assert ["conv2d_1", "Conv2D", "(N, 4, 4, 8)", "296"] in rows
    assert "Parameters: 1,626, of which 1,626 are trained" in read(images()).text


def test_a_model_that_is_not_built_is_a_table_all_the_same():
    page = read(images(built=False))
    assert ["dense", "Dense", "Dense(10)"] in page.rows
    assert "Not built" in page.text


def test_showing_a_model_leaves_it_as_it_is():
    model = images()
    model._repr_html_(), repr(model)
    assert model.seed is None
    assert all(weight._value is None for weight in model.weights)


def test_a_layer_is_its_arguments_and_weights():
    rows = read(images().layers[1]).rows
    assert ["filters", "8"] in rows
    assert ["kernel", "(3, 3, 4, 8)", "288", "yes"] in rows
    assert ["units", "7"] in read(nnx.Dense(7)).rows


def test_a_history_is_curves_and_a_table(history):
    rows = read(history).rows
    assert rows[0][:3] == ["epoch", "loss", "accuracy"]
    assert [row[0] for row in rows[1:]] == ["1", "2", "3"]
    assert float(rows[3][1]) == pytest.approx(history.history["loss"][2], rel=1e-3)
    loss, accuracy = pictures(history)
    assert loss.get("aria-label") == "loss"
    assert accuracy.get("aria-label") == "accuracy"
    training, validation = lines(loss)
    assert len(training) == len(validation) == 3
    order = np.argsort(history.history["loss"])
    assert (np.argsort([-y for _, y in training]) == order).all(), "higher is further up"
    assert read(nnx.History()).rows == [["epoch"]]


def history_of(**values):
    history = nnx.History()
    history.history = values
    history.epoch = list(range(max(map(len, values.values()))))
    return history


def test_a_long_history_is_shortened():
    long = history_of(loss=[1.0 / (epoch + 1) for epoch in range(5000)])
    rows = read(long).rows
    assert len(rows) < 20
    assert rows[-1][0] == "5000"
    assert len(long._repr_html_()) < 30_000


def test_numbers_that_are_not_finite_leave_gaps():
    odd = history_of(loss=[1.0, 2.0, float("nan"), 3.0, float("inf"), 1e308, -1e308])
    (picture,) = pictures(odd)
    points = [point for line in lines(picture) for point in line]
    assert len(points) == 5
    assert np.isfinite(points).all()
    lost = history_of(loss=[float("nan")])
    (picture,) = pictures(lost)
    assert lines(picture) == []


SCHEDULES = [
    nnx.schedules.Constant(0.1),
    nnx.schedules.StepDecay(0.1),
    nnx.schedules.ExponentialDecay(0.1, 0.3),
    nnx.schedules.ExponentialDecay(0.1, 0.0),
    nnx.schedules.InverseTimeDecay(0.1, 1e-300),
    nnx.schedules.PiecewiseConstant([3, 6], [1, 0.1, 0.01]),
    nnx.schedules.PiecewiseConstant([], [1]),
    nnx.schedules.CosineDecay(0.1, length=1e300),
    nnx.schedules.Warmup(0.1, 100),
    nnx.schedules.Warmup(nnx.schedules.CosineDecay(0.1, 1000, per="step"), 100),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_a_schedule_is_its_arguments_and_a_curve(schedule):
    assert read(schedule).rows
    *_, picture = pictures(schedule)  # after those of schedules inside
    (line,) = lines(picture)
    assert len(line) > 1
    assert np.isfinite(line).all()


def test_a_curve_falls_as_its_schedule_does():
    ((points,),) = map(lines, pictures(nnx.schedules.CosineDecay(0.1, 20)))
    heights = [y for _, y in points]
    assert heights == sorted(heights)  # down the page
    assert heights[0] < heights[-1]


def test_an_optimizer_is_its_arguments_with_the_rates_curve():
    optimizer = nnx.SGD(nnx.schedules.CosineDecay(0.02, 10), momentum=0.9)
    assert ["momentum", "0.9"] in read(optimizer).rows
    assert ["length", "10.0"] in read(optimizer).rows
    assert len(pictures(optimizer)) == 1
    assert pictures(nnx.Adam()) == []


def test_losses_and_metrics_are_their_arguments():
    assert ["reduction", "'mean'"] in read(nnx.losses.Huber()).rows
    assert read(nnx.metrics.TopK(3)).rows


def test_everything_is_escaped():
    evil = "<script>alert('&\"')</script>"
    model = nnx.Sequential(nnx.Dense(2, name=evil))
    for item in (model, model.layers[0]):
        assert evil in read(item).text.replace("\\", "")
    model.build((3,))
    assert evil in read(model).text
    history = history_of(**{"loss": [1.0], evil: [2.0]})
    assert [p.get("aria-label") for p in pictures(history)] == ["loss", evil]
    assert evil in read(history).rows[0]


# summary


def printed(call):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        result = call()
    return out.getvalue(), result


def test_summary_prints_and_returns_the_text():
    out, text = printed(lambda: images().summary(2))
    assert out == f"{text}\n"
    assert isinstance(text, str)
    assert "conv2d_1" in text


def test_a_prompt_does_not_show_it_again():
    script = "m.summary()\n"
    done = subprocess.run(
        [sys.executable, "-i", "-q", "-c", "import nnx; m = nnx.models.mlp(4, 3, 2)"],
        input=script, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.count("dense_1") == 1
    assert r"\n" not in done.stdout


def test_a_notebook_does_not_show_it_again():
    """IPython asks for this method before any other, and shows nothing besides what it does."""
    _, text = printed(images().summary)
    assert printed(text._ipython_display_) == ("", None)


def test_summary_can_be_had_without_printing():
    out, text = printed(lambda: images().summary(print_fn=None))
    assert out == ""
    taken = []
    out, _ = printed(lambda: images().summary(print_fn=taken.append))
    assert (out, taken) == ("", [text])


def test_summary_says_what_to_do_before_there_are_shapes():
    with pytest.raises(ValueError, match=r"not built.*build\(\(28, 28, 1\)\)"):
        images(built=False).summary()


def test_summary_counts_memory_and_names_the_device():
    model = images()
    text = model.summary(4, print_fn=None)
    for word in ("parameters", "gradients", "optimizer", "activations", "cpu", "float32"):
        assert word in text
    assert "not compiled yet" in text
    model.compile("sgd", "cross_entropy", device="cpu")
    text = model.summary(4, print_fn=None)
    assert "gradients 0.00 kB" in text
    assert "gradients take none: each is added" in text
    model.compile("adam", "cross_entropy", device="cpu")
    text = model.summary(4, print_fn=None)
    assert float(re.search(r"gradients ([\d.]+) kB", text)[1]) == pytest.approx(
        4 * model.count_params() / 1000, rel=0.05
    )
    assert "optimizer 0.01 MB" in text
    assert "not compiled" not in text
    assert "take none" not in text


# dir


def public(item):
    return {name for name in dir(item) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("item", "shown", "hidden"),
    [
        (images(), {"fit", "save", "layers", "summary"}, {"arguments", "plain_values", "ensure_built"}),
        (nnx.Dense(2), {"units", "kernel_initializer", "trainable"}, {"own_weights", "given_name"}),
        (nnx.SGD(), {"learning_rate", "iterations", "get_config"}, {"spec", "rates", "last_rate"}),
        (nnx.schedules.StepDecay(0.1), {"factor", "get_config"}, {"rates", "arguments"}),
        (nnx.losses.Huber(), {"delta"}, {"spec", "kind", "targets"}),
        (nnx.metrics.TopK(2), {"k"}, {"spec", "result"}),
        (nnx.History(), {"history", "epoch", "plot"}, {"on_epoch_end", "set_model", "restore", "get_state"}),
        (
            nnx,
            {"plots", "datasets", "Sequential", "load"},
            {"summary", "looking", "graph", "training", "cli"},
        ),
    ],
    ids=lambda item: type(item).__name__,
)
def test_dir_shows_what_users_use(item, shown, hidden):
    assert shown <= public(item)
    assert public(item) & hidden == set()
