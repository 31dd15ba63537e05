"""Progress of a part of some work, told as progress of all of it."""

from __future__ import annotations

from collections.abc import Callable

Told = Callable[[float], None]
"""What a slow method calls with the share of its work that is done; it raises where the user stops."""


def shares(progress: Told | None, start: int, count: int, many: int = 1) -> Told | None:
    """Progress of `many` of `count` equal pieces of work from `start` on, told as progress of all of it."""
    return progress and (lambda share: progress((start + many * share) / count))
