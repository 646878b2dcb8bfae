"""Whether a run may go on as another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.training.state import Record


def expect_same_run(
    record: Record, arguments: dict[str, Any], fingerprints: Callable[[], dict[str, str]]
) -> None:
    """ValueError names every argument that is not as it was in the run that is resumed."""
    problems = [
        f"argument '{name}' expected {was!r}, as in the run that is resumed, got {arguments[name]!r}"
        for name, was in record.arguments.items()
        if name in arguments and arguments[name] != was
    ]
    if record.fingerprints is not None:
        now = fingerprints()
        problems += [
            f"argument '{name}' expected the data of the run that is resumed, got other data"
            for name in dict.fromkeys([*record.fingerprints, *now])
            if record.fingerprints.get(name) != now.get(name)
        ]
    if problems:
        raise ValueError(f"fit(resume=True): {'; '.join(problems)}")
