"""The rooms of python/nnx: arrows between them go one way, and no import runs in a ring."""

import ast
from pathlib import Path

import nnx
import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "python/nnx"

# From the ground up. A room may import what stands in a line above its own, and within itself.
FLOORS = (
    "_core",
    "_types _checks _html seeds",
    "_config",
    "graph initializers schedules cuda plots data",
    "ops optimizers regularizers",
    "layers losses metrics datasets utils",
    "augment activations",
    "training",
    "callbacks",
    "saving summary",
    "looking",
    "model",  # the front
    "sequential loading",
    "models rate_finder",
    "commands",  # and neighbours
    "cli",
    "__main__",
    "__init__",
)
FLOOR = {room: number for number, line in enumerate(FLOORS) for room in line.split()}


def modules():
    """Name, from "nnx" to "nnx.ops.dense", and tree of every module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, ast.parse(path.read_text(), str(path))


TREES = dict(modules())


def room_of(name):
    return name.split(".")[1] if "." in name else "__init__"


def annotations(tree):
    """Every node that is part of an annotation: it need not exist when the program runs."""
    for node in ast.walk(tree):
        given = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        for annotation in filter(None, given):
            yield from ast.walk(annotation)


def is_type_checking(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def module_named(base, name):
    return f"{base}.{name}" if f"{base}.{name}" in TREES or (base, name) == ("nnx", "_core") else base


def imports(tree):
    """The modules of nnx that a module imports anywhere, but for annotations alone; and the lines."""
    for_types = {id(n) for node in ast.walk(tree) if is_type_checking(node) for n in ast.walk(node)}
    hints = {id(node) for node in annotations(tree)}
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in hints}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [(alias.name, (alias.asname or alias.name).split(".")[0]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            found = [(module_named(node.module, a.name), a.asname or a.name) for a in node.names]
        else:
            continue
        for name, bound in found:
            if name.split(".")[0] == "nnx" and (id(node) not in for_types or bound in used):
                yield name, node.lineno


ARROWS = {name: {target for target, _ in imports(tree)} for name, tree in TREES.items()}


def test_every_room_has_its_floor():
    assert {room_of(name) for name in TREES} - set(FLOOR) == set()
    assert set(FLOOR) - {room_of(name) for name in TREES} - {"_core"} == set()


@pytest.mark.parametrize("name", [name for name in TREES if name != "nnx"])
def test_arrows_go_one_way(name):
    """Down to lower floors, or within a room: what is imported within functions counts, too."""
    floor = FLOOR[room_of(name)]
    back = [
        f"line {line}: {target}"
        for target, line in imports(TREES[name])
        if room_of(target) != room_of(name) and FLOOR[room_of(target)] >= floor
    ]
    assert back == []


def test_nothing_below_the_front_imports_the_front():
    front = {name for name in TREES if FLOOR[room_of(name)] >= FLOOR["model"]}
    below = {name: ARROWS[name] & front for name in TREES if name not in front}
    assert {name: found for name, found in below.items() if found} == {}


def ring(arrows):
    """Names of modules that import each other in a ring; none where there is no ring."""
    left = {name: set(targets) & set(arrows) for name, targets in arrows.items()}
    while True:
        ends = {name for name, targets in left.items() if not targets - {name}}
        if not ends:
            return sorted(left)
        left = {name: targets - ends for name, targets in left.items() if name not in ends}
        if not left:
            return []


def test_no_imports_run_in_a_ring():
    """A package's own __init__ gathers what its modules define; they do not import it."""
    assert ring(ARROWS) == []


def test_a_ring_is_found():
    assert ring({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def f():\n    from nnx import model", {"nnx.model"}),
        ("from nnx import ops", {"nnx.ops"}),
        ("from nnx.model import Model", {"nnx.model"}),
        ("import nnx.model as m", {"nnx.model"}),
        ("if TYPE_CHECKING:\n    from nnx.model import Model\ndef f(m: Model) -> Model: pass", set()),
        ("if TYPE_CHECKING:\n    from nnx.model import Model\nx = Model", {"nnx.model"}),
    ],
)
def test_imports_are_found_wherever_they_stand(code, found):
    assert {name for name, _ in imports(ast.parse(code))} == found


def test_rooms_know_nothing_of_a_models_inside():
    """Only the front reaches for what a model keeps: `model._...` stands nowhere else."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                reaches = node.value.id == "model" and node.attr.startswith("_")
                assert not reaches, f"{name}, line {node.lineno}: model.{node.attr}"


def test_dir_shows_what_users_use():
    assert set(dir(nnx)) == {*nnx.__all__, "__version__"}
    model = nnx.models.mlp(4, 3, 2)
    shown = {name for name in dir(model) if not name.startswith("_")}
    assert {"fit", "compile", "layers", "epoch", "optimizer", "summary", "weights"} <= shown
    internal = ["bound", "traced", "named_weights", "own_weights", "given_name", "ensure_built", "programs"]
    assert shown & set(internal) == set()
    assert "ensure_built" not in dir(model.layers[0])
