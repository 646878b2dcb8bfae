"""What the compiler made of the CUDA kernels: registers, spills, occupancy, and the instructions of their loops.

Needs the plugin and the toolkit's cuobjdump and nvdisasm, but no GPU. Ends with 1 where a kernel lacks an instruction
that it was written for, or has one that it must not have.
"""

from __future__ import annotations

import argparse
import functools
import glob
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import common
import report

TITLE = "What the compiler made of the CUDA kernels"
PLAN = Path(__file__).resolve().parent.parent / "cuda/gemm_plan.h"
# Of a multiprocessor of compute capability 8.0, 9.0 or 10.0.
REGISTERS, WARPS, BLOCKS, SCHEDULERS = 65536, 64, 32, 4

VECTOR, SINGLE = r"LDG(STS)?\.\S*128", r"LDG(STS)?\.(?!\S*128)"  # loads of four elements, and of one

# A part of kernels' names, the instructions that they must have, and those that they must not have.
RULES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (r"^multiply .* float32", ("FFMA", "LDGSTS.E.BYPASS.128"), ("HMMA",)),
    (r"^multiply .* float64", ("DFMA",), ("HMMA",)),
    (r"^multiply .* TF32", ("HMMA.1688.F32.TF32", "LDG.E.128"), ()),
    (r"^multiply .* bfloat16", ("HMMA.16816.F32.BF16", "LDSM.16"), ()),
    (r"^multiply .* rounded bfloat16", ("LDGSTS.E.BYPASS.128",), ()),
    (r"^round_operands", ("F2FP.BF16", r"LDG?.E.128", r"STG?.E.128"), ()),
    (r"^rows_kernel<4, .*float|^copy_rows_kernel<4, float, float>", ("LDG.E.128", "STG.E.128"), ()),
    # Sums in an order that nobody decides: two runs could differ.
    (r"", (), (r"(ATOMG?|RED)\.\S*F(32|64)",)),
)


@dataclass(frozen=True)
class Instruction:
    address: int
    name: str
    target: int | None = None  # of a branch


@dataclass(frozen=True)
class Tile:
    """A product's tile as the planner knows it; `cycles`: of a slice, on a full multiprocessor."""

    rows: int
    columns: int
    depth: int
    cycles: int


@dataclass
class Kernel:
    """A compiled kernel; `slice`: what a thread of a product issues for each slice."""

    name: str
    registers: int = 0
    stack: int = 0
    threads: int = 0
    tile: Tile | None = None
    code: Counter[str] = field(default_factory=Counter)
    slice: Counter[str] = field(default_factory=Counter)

    @property
    def spills(self) -> int:
        """Loads and stores of a thread's own memory."""
        return count(self.code, "STL") + count(self.code, "LDL")

    @property
    def warps(self) -> int:
        """Of a block; one where the launch bounds name none."""
        return max(1, -(-self.threads // 32))

    @property
    def blocks(self) -> int:
        """Blocks that a multiprocessor's registers hold."""
        warps = REGISTERS // (32 * 8 * -(-self.registers // 8)) // SCHEDULERS * SCHEDULERS
        return min(min(warps, WARPS) // self.warps, BLOCKS)

    @property
    def issue_cycles(self) -> int:
        """The least a slice can take: each scheduler issues one instruction at a time."""
        return self.slice.total() * self.warps // SCHEDULERS


def main() -> None:
    parser = argparse.ArgumentParser(description=TITLE)
    parser.add_argument("plugin", nargs="?", type=Path, help="libnnx_cuda.so; default: nnx's own")
    parser.add_argument("--architecture", default="sm_90", metavar="NAME")
    parser.add_argument("--output", type=Path, default=common.RESULTS, metavar="DIR")
    options = parser.parse_args()
    options.quick, options.rows = False, []
    plugin = options.plugin or plugin_of_nnx()
    kernels = read(plugin, options.architecture)
    wrong = list(broken_rules(kernels))
    text = render(kernels, wrong)
    print(text)
    about = {"compiled for": options.architecture, "compiler": compiler()}
    report.save("gpu_code", TITLE, options, text, [record(k) for k in kernels], None, about)
    sys.exit(1 if wrong else 0)


def plugin_of_nnx() -> Path:
    import nnx

    return Path(nnx.__file__).parent / "libnnx_cuda.so"


# Reading


def found(name: str) -> str | None:
    """A program of the toolkit: on the PATH, beside nvcc, or where the toolkit is usually put."""
    nvcc = os.environ.get("CUDACXX") or shutil.which("nvcc")
    places = [
        os.environ.get("PATH", ""),
        *([str(Path(nvcc).resolve().parent)] if nvcc else []),
        "/usr/local/cuda/bin",
        *sorted(glob.glob("/usr/local/cuda-*/bin"), reverse=True),
    ]
    return shutil.which(name, path=os.pathsep.join(places))


def tool(name: str) -> str:
    """The same, where nothing goes on without it."""
    return found(name) or sys.exit(f"{name} of the CUDA toolkit was not found")


def compiler() -> str:
    nvcc = os.environ.get("CUDACXX") or found("nvcc")
    if not nvcc:
        return "unknown"
    said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False).stdout
    release = re.search(r"release [^\n]*", said)
    return f"nvcc, {release[0]}" if release else "unknown"


def dump(plugin: Path, architecture: str, what: str) -> str:
    """What cuobjdump says, with nvdisasm in its reach."""
    folders = [str(Path(tool(name)).parent) for name in ("cuobjdump", "nvdisasm")]
    path = os.pathsep.join([*folders, os.environ.get("PATH", "")])
    command = [tool("cuobjdump"), what, "-arch", architecture, str(plugin)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path}
    )
    if done.returncode != 0:
        sys.exit(f"cuobjdump {what} {plugin}: {(done.stderr or done.stdout).strip()[:300]}")
    return done.stdout


def read(plugin: Path, architecture: str) -> list[Kernel]:
    """Every kernel of an architecture in the plugin, by name."""
    found: dict[str, Kernel] = {}
    usage = dump(plugin, architecture, "--dump-resource-usage")
    for symbol, registers, stack in re.findall(r"Function (\S+):\s+REG:(\d+) STACK:(\d+)", usage):
        found[symbol] = Kernel(symbol, int(registers), int(stack))
    if not found:
        sys.exit(f"{plugin} has no code for {architecture}")
    for symbol, plain in zip(found, demangled(list(found)), strict=True):
        found[symbol].name, found[symbol].tile = readable(plain)
    for part in dump(plugin, architecture, "-elf").split("\n.nv.info.")[1:]:
        symbol = part.split(None, 1)[0]
        bounds = re.search(r"EIATTR_MAX_THREADS\n.*\n\s*Value:\s*(\w+) (\w+) (\w+)", part)
        if bounds and symbol in found:
            found[symbol].threads = int(bounds[1], 16) * int(bounds[2], 16) * int(bounds[3], 16)
    for part in dump(plugin, architecture, "-sass").split("Function : ")[1:]:
        kernel = found[part.split(None, 1)[0]]
        code = instructions(part)
        kernel.code = names(code)
        if kernel.tile is not None:
            kernel.slice = slice_of(code, kernel.tile, kernel.threads)
    return sorted(found.values(), key=lambda kernel: kernel.name)


def demangled(symbols: list[str]) -> list[str]:
    if shutil.which("c++filt") is None:
        return symbols
    done = subprocess.run(["c++filt"], input="\n".join(symbols), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def readable(name: str) -> tuple[str, Tile | None]:
    """A kernel's name without its arguments; a product's by its tile, its precision and its pass."""
    name = re.sub(r"\(anonymous namespace\)::|nnx::cuda::|nnx::|^void ", "", name)
    product = re.match(r"multiply<(\w+)Loop<", name)
    if product is None:
        depth = 0
        for at, letter in enumerate(name):
            depth += {"<": 1, ">": -1}.get(letter, 0)
            if letter == "(" and depth == 0:
                return name[:at], None
        return name, None
    tile, precision = tile_of(product[1], name)
    return f"multiply {tile.rows} x {tile.columns} {precision}, {pass_of(name)}", tile


def tile_of(loop: str, name: str) -> tuple[Tile, str]:
    kinds = planned()
    simt, tensor = (
        re.search(r"\(TileKind\)(\d+)", name),
        re.search(r"TensorTile<(\d+), (\d+), (\d+), (\d+)", name),
    )
    if tensor is not None:
        warps_m, warps_n, rows, columns = map(int, tensor.groups())
        rounded = loop == "Rounded"
        (tile,) = [
            tile
            for kind, tile in kinds.items()
            if (tile.rows, tile.columns) == (warps_m * rows, warps_n * columns)
            and kind.startswith("rounded" if rounded else "tensor")
        ]
        return tile, "TF32" if "Tf32" in name else "rounded bfloat16" if rounded else "bfloat16"
    if simt is not None:
        return list(kinds.values())[int(simt[1])], "float32"
    return kinds["medium"], "float64"


@functools.cache
def planned() -> dict[str, Tile]:
    """The planner's tiles, in the order of TileKind."""
    text = PLAN.read_text()
    order = re.search(r"enum class TileKind : int32_t \{(.*?)\}", text, re.DOTALL)
    kinds = re.findall(r"^\s*(\w+)", order[1] if order else "", re.MULTILINE)
    costs = re.findall(r"case TileKind::(\w+):\s*return \{(\d+), (\d+), (\d+), \d+, \d+, (\d+),", text)
    tiles = {
        kind: Tile(int(rows), int(columns), int(depth), int(cycles))
        for kind, rows, columns, depth, cycles in costs
    }
    return {kind: tiles[kind] for kind in kinds}


def pass_of(name: str) -> str:
    for text, what in (
        ("ForwardPass", "forward"),
        ("InputGradientPass", "backward_input"),
        ("WeightGradientPass", "backward_weights"),
    ):
        if text in name:
            return f"conv2d {what}" + (", few channels" if "(WindowRole)1" in name else "")
    for text, what in (
        ("OutputWriter", "forward"),
        ("InputGradientWriter", "backward_input"),
        ("WeightGradientWriter", "backward_weights"),
    ):
        if text in name:
            return f"dense {what}"
    return name[:80]


# Code


def instructions(listing: str) -> list[Instruction]:
    found = []
    pattern = r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)([^;]*);"
    for address, name, rest in re.findall(pattern, listing):
        target = re.search(r"0x([0-9a-f]+)", rest) if name.startswith("BRA") else None
        found.append(Instruction(int(address, 16), name, int(target[1], 16) if target else None))
    return found


def names(code: Iterable[Instruction]) -> Counter[str]:
    return Counter(i.name for i in code)


def count(code: Counter[str], opcode: str) -> int:
    """Instructions whose names begin so, in whole parts between the dots; `opcode`: a regular expression."""
    return sum(n for name, n in code.items() if re.match(rf"(?:{opcode})(?![A-Z0-9])", name))


def arithmetic(code: Counter[str]) -> int:
    """Multiplications of a thread: a warp's HMMA does 16 x 8 x 8 of them, or 16 x 8 x 16."""
    return count(code, "[FD]FMA") + 32 * count(code, "HMMA.1688") + 64 * count(code, "HMMA.16816")


def slice_of(code: list[Instruction], tile: Tile, threads: int) -> Counter[str]:
    """What a thread issues for a slice: the loop around a barrier with the most arithmetic.

    Where it can read vectors, blocks of instructions that read single elements are left out. A loop inside goes round
    until the thread's products are done.
    """

    def within(loop: tuple[int, int]) -> list[Instruction]:
        return [i for i in code if loop[0] <= i.address <= loop[1]]

    loops = [(i.target, i.address) for i in code if i.target is not None and i.target < i.address]
    work = {loop: arithmetic(names(within(loop))) for loop in loops}
    around = [loop for loop in loops if work[loop] and count(names(within(loop)), "BAR")]
    if not around:
        return Counter()
    outer = max(around, key=lambda loop: (work[loop], loop[0] - loop[1]))
    body = within(outer)
    vectors = any(re.match(VECTOR, i.name) for i in body)
    result: Counter[str] = Counter()
    for block in basic_blocks(body):
        if not (vectors and any(re.match(SINGLE, i.name) for i in block)):
            result += names(block)
    for loop in loops:
        if work[loop] and outer[0] <= loop[0] and loop[1] < outer[1]:
            rounds = tile.rows * tile.columns * tile.depth // threads // work[loop]
            result += Counter({name: (rounds - 1) * n for name, n in names(within(loop)).items()})
    return result


def basic_blocks(code: list[Instruction]) -> list[list[Instruction]]:
    targets = {i.target for i in code if i.target is not None}
    result: list[list[Instruction]] = [[]]
    for i in code:
        if i.address in targets or (result[-1] and result[-1][-1].name.startswith(("BRA", "EXIT"))):
            result.append([])
        result[-1].append(i)
    return result


def broken_rules(kernels: list[Kernel]) -> Iterator[str]:
    for pattern, needed, forbidden in RULES:
        meant = [kernel for kernel in kernels if re.search(pattern, kernel.name)]
        if not meant:
            yield f"no kernel is named like {pattern!r}"
        for kernel in meant:
            yield from (f"{kernel.name}: has no {o}" for o in needed if not count(kernel.code, o))
            yield from (f"{kernel.name}: has {o}" for o in forbidden if count(kernel.code, o))
    for kernel in kernels:
        if (
            kernel.tile
            and arithmetic(kernel.slice) * kernel.threads
            != kernel.tile.rows * kernel.tile.columns * kernel.tile.depth
        ):
            yield f"{kernel.name}: the loop over slices was not recognised"


# Telling


COLUMNS = (
    "kernels",
    "threads",
    "registers",
    "stack, bytes",
    "local accesses",
    "blocks by registers",
    "warps of 64",
)
NOTE = """\
Registers, stack and accesses to a thread's own memory (spills) are the compiler's. Blocks by registers: as many as a
multiprocessor's hold; its shared memory holds no fewer than the launch bounds of a product ask for, which is asserted
where it is compiled. A slice's instructions are those a thread issues where it reads vectors; times the warps of a
block, by four schedulers, they are the cycles below which a slice cannot fall. Beside them: what the planner reckons."""


def span(values: Iterable[int]) -> str:
    found = list(values)
    return f"{min(found)}" if min(found) == max(found) else f"{min(found)} - {max(found)}"


def row(name: str, group: list[Kernel]) -> list[str]:
    values = ("threads", "registers", "stack", "spills", "blocks")
    spans = [span(getattr(kernel, value) for kernel in group) for value in values]
    return [name, str(len(group)), *spans, span(kernel.blocks * kernel.warps for kernel in group)]


def render(kernels: list[Kernel], wrong: list[str]) -> str:
    products: dict[str, list[Kernel]] = defaultdict(list)
    others: dict[str, list[Kernel]] = defaultdict(list)
    for kernel in kernels:
        if kernel.tile is None:
            others[kernel.name.split("<")[0]].append(kernel)
        else:
            products[kernel.name.removeprefix("multiply ").split(",")[0]].append(kernel)
    lines = []
    for name, group in products.items():
        tile = group[0].tile
        opcode = "HMMA" if count(group[0].slice, "HMMA") else "[FD]FMA"
        lines.append(
            [
                *row(name, group),
                span(kernel.slice.total() for kernel in group),
                span(count(kernel.slice, opcode) for kernel in group),
                span(kernel.issue_cycles for kernel in group),
                f"{tile.cycles}" if tile and not name.endswith("float64") else "-",
            ]
        )
    header = ("tile", *COLUMNS, "instructions of a slice", "of them FMA", "cycles to issue", "planned")
    verdict = (
        "\n".join(f"- {text}" for text in wrong) or "Every kernel has the instructions it was written for."
    )
    return "\n\n".join(
        [
            f"{len(kernels)} kernels.\n{NOTE}",
            "## Products",
            report.table(header, lines),
            "## The others",
            report.table(("kernels of", *COLUMNS), [row(name, group) for name, group in others.items()]),
            verdict,
        ]
    )


def record(kernel: Kernel) -> dict[str, object]:
    data: dict[str, object] = {
        "kernel": kernel.name,
        "threads": kernel.threads,
        "registers": kernel.registers,
    }
    data |= {"stack": kernel.stack, "local accesses": kernel.spills, "blocks": kernel.blocks}
    if kernel.tile is not None:
        data |= {"instructions of a slice": kernel.slice.total(), "slice": dict(kernel.slice.most_common())}
    return data


if __name__ == "__main__":
    main()
