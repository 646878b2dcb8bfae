"""What the house promises about itself, computed from the tree."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import nnx
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = sorted(p.stem for p in (ROOT / "csrc/kernels").glob("*.h") if p.stem != "table")
SOURCES = [p for folder in ("csrc", "cuda") for p in sorted((ROOT / folder).rglob("*.*")) if p.is_file()]
PYTHON = sorted((ROOT / "python").rglob("*.py"))
MODULES = [
    importlib.import_module(module.name)
    for module in [
        pkgutil.ModuleInfo(None, "nnx", True),
        *pkgutil.walk_packages(nnx.__path__, "nnx.", onerror=lambda name: None),
    ]
    if not module.name.startswith("nnx._")
    and module.name not in ("nnx.__main__", "nnx.sklearn", "nnx.libnnx_cuda")
]


def lines(path):
    return len(path.read_text().splitlines())


def test_the_families():
    assert (
        sorted(
            [
                "dense",
                "conv2d",
                "pool2d",
                "activation",
                "softmax",
                "loss",
                "dropout",
                "augment",
                "norm",
                "optimizer",
                "elementwise",
                "arithmetic",
            ]
        )
        == FAMILIES
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_one_family_has_one_name_on_every_floor(family):
    floors = [
        f"csrc/cpu/{family}.cpp",
        f"csrc/ops/{family}.cpp",
        f"csrc/ops/{family}.h",
        f"tests/reference/{family}.py",
        f"tests/ops/test_{family}.py",
        f"python/nnx/ops/{family}.py",
    ]
    if list((ROOT / "cuda").glob("*.cu")):
        floors.append(f"cuda/{family}.cu")
    assert [floor for floor in floors if not (ROOT / floor).is_file()] == []


def test_nothing_stands_beside_the_mirror():
    """No op, reference or test of a family that has no kernels."""
    families = set(FAMILIES)
    for folder, pattern in (("cuda", "*.cu"), ("tests/ops", "test_*.py")):
        found = {p.stem.removeprefix("test_") for p in (ROOT / folder).glob(pattern)}
        assert found - families - {"device", "memory", "plugin", "upload"} == set()


def test_kernel_files_are_short():
    kernels = [p for p in (ROOT / "csrc/cpu").rglob("*") if p.suffix in (".cpp", ".h")]
    lengths = sorted(map(lines, kernels))
    assert np.percentile(lengths, 90) <= 200, {p.name: lines(p) for p in kernels if lines(p) > 200}
    cuda = sorted(lines(p) for p in (ROOT / "cuda").glob("*.cu*"))
    assert not cuda or np.percentile(cuda, 90) <= 300


def test_bindings_are_short():
    assert {p.name: lines(p) for p in (ROOT / "csrc/bindings").iterdir() if lines(p) > 300} == {}


def test_no_file_is_longer_than_the_house_allows():
    assert {str(p): lines(p) for p in [*SOURCES, *PYTHON] if p.suffix != ".gz" and lines(p) > 400} == {}


def test_no_cuda_conditionals_outside_device_code():
    conditional = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif)\b.*CUDA", re.MULTILINE)
    # philox.h is compiled for both sides and says __host__ __device__ by a macro.
    found = [p.name for p in SOURCES if p.is_relative_to(ROOT / "csrc") and conditional.search(p.read_text())]
    assert [name for name in found if name != "philox.h"] == []


def test_kernels_know_no_tensors_and_ops_no_instruction_sets():
    for path in (ROOT / "csrc/cpu").rglob("*.cpp"):
        if path.is_relative_to(ROOT / "csrc/cpu/runtime"):
            continue
        assert "core/tensor.h" not in path.read_text(), path
    for path in (ROOT / "csrc/ops").iterdir():
        assert not re.search(r"avx|NNX_ISA|cpu/simd|pybind11", path.read_text()), path


def test_every_kernel_waits_for_what_came_before_it():
    """Kernels are launched while the one before them ends; one without the wait would read what is not written yet."""
    found = 0
    for path in sorted((ROOT / "cuda").glob("*.cu*")):
        for _, body in re.findall(r"__global__ ([^;{]*)\{(.{0,40})", path.read_text(), re.DOTALL):
            found += 1
            assert body.lstrip().startswith(("begin_kernel();", "}")), f"{path.name}: {body!r}"
    assert found > 25


def test_no_path_of_a_machine_is_named():
    pattern = re.compile(r"(?<![\w.])/(home|root|work|Users|opt|mnt)/\w|[A-Z]:\\\\")
    text = {".py", ".h", ".cpp", ".cu", ".cuh", ".md", ".toml", ".txt", ".yaml", ".yml", ".pyi", ""}
    folders = ("csrc", "cuda", "python", "tests", "bench", "examples", "docs", ".ci")
    files = [p for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file() and p.suffix in text]
    files += [p for p in ROOT.iterdir() if p.is_file() and p.suffix in text]
    ours = [p for p in files if "__pycache__" not in p.parts and p != Path(__file__).resolve()]
    assert [str(p) for p in ours if pattern.search(p.read_text(errors="replace"))] == []


def public(module):
    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    for name in names:
        item = getattr(module, name)
        home = getattr(item, "__module__", "") or ""
        if (inspect.isclass(item) or inspect.isroutine(item)) and home.startswith("nnx"):
            yield name, item


def undocumented(name, item):
    if not (inspect.getdoc(item) or "").strip():
        yield name
    if inspect.isclass(item):
        for attribute, member in vars(item).items():
            plain = getattr(member, "fget", None) or getattr(member, "__func__", member)
            is_ours = inspect.isroutine(plain) and not attribute.startswith("_")
            if is_ours and not (inspect.getdoc(getattr(item, attribute, plain)) or "").strip():
                yield f"{name}.{attribute}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_everything_public_has_a_docstring(module):
    missing = {entry for name, item in public(module) for entry in undocumented(name, item)}
    assert missing == set()
    assert (module.__doc__ or "").strip(), module.__name__


def test_docstrings_of_ops_state_shapes():
    """Somewhere in each: an array's axes in parentheses, or which other array it is like, or that any shape will do."""
    axes = re.compile(r"\((\.\.\.|[A-Z][A-Z0-9/ a-z]*)(, [A-Z.][A-Za-z0-9/ .]*)*,?\)|shape|like [a-z]\b")
    silent = [name for name, item in public(nnx.ops) if not axes.search(inspect.getdoc(item) or "")]
    assert silent == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_all_is_complete(module):
    """__all__ names what exists, and everything public that the module defines or its package gathers."""
    names = getattr(module, "__all__", None)
    if names is None:
        return
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(module, name)] == []
    own = {
        name
        for name, item in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(item) or inspect.isfunction(item))
        and item.__module__ == module.__name__
    }
    assert own - set(names) == set()


def test_packages_say_what_is_theirs():
    for name in ("nnx", "nnx.ops", "nnx.layers", "nnx.datasets"):
        assert importlib.import_module(name).__all__


def test_the_reference_has_the_signatures_of_the_ops():
    """Same names, order and defaults of parameters; losses take theirs by keyword, tracing needs no seed."""
    reference = importlib.import_module("reference")
    for name, item in public(nnx.ops):
        if name == "reshape":
            continue
        ours, theirs = (
            inspect.signature(item).parameters,
            inspect.signature(getattr(reference, name)).parameters,
        )
        if any(p.kind is p.VAR_KEYWORD for p in theirs.values()):
            continue
        assert len(ours) == len(theirs), name
        pairs = [
            (a, b.default) for a, b in zip(ours.values(), theirs.values(), strict=True) if a.name != "seed"
        ]
        assert [a.default for a, _ in pairs] == [b for _, b in pairs], name
