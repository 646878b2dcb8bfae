"""What was set since: attributes of layers hold from the next call on, so somebody has to notice.

One count for the process. Who remembers it knows whether anything was set since, and looks closer only then.
"""

from __future__ import annotations

_count = 0


def note() -> None:
    """An attribute of a layer that is built has got another value."""
    global _count
    _count += 1


def count() -> int:
    """How often that has happened."""
    return _count
