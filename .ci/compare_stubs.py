"""Compares two stub files: names of functions, classes and members, names and order of arguments, which have defaults.

Types are left out: those written by hand say more than those that the compiled module knows.
"""

import ast
import sys
from pathlib import Path


def signature(node: ast.FunctionDef) -> tuple[str, ...]:
    """Arguments in order, a `=` behind those with a default; options by keyword last."""
    if any(ast.unparse(d) == "typing.overload" for d in node.decorator_list):
        return ("overloaded",)
    if any(ast.unparse(d) == "property" for d in node.decorator_list):
        return ("property",)
    plain = [*node.args.posonlyargs, *node.args.args]
    bare = len(plain) - len(node.args.defaults)
    names = [a.arg + ("=" if i >= bare else "") for i, a in enumerate(plain)]
    return tuple(name for name in names if name not in ("self", "cls"))


def interface(path: str) -> dict[str, tuple[str, ...]]:
    """Every public name of a stub file, with its arguments where it is called."""
    found: dict[str, tuple[str, ...]] = {}

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                found[prefix + node.name] = ("class",)
                visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                found[prefix + node.name] = signature(node)

    visit(ast.parse(Path(path).read_text()).body, "")
    return {name: what for name, what in found.items() if not name.startswith("_")}


def main() -> int:
    """Prints every difference; 1 where there is one."""
    generated, ours = interface(sys.argv[1]), interface(sys.argv[2])
    differences = 0
    for name in sorted(generated.keys() | ours.keys()):
        theirs, mine = generated.get(name), ours.get(name)
        if theirs != mine:
            differences += 1
            print(f"{name}: compiled module {theirs}, {sys.argv[2]} {mine}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
