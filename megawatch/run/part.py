"""The parts of the monitor, by the names that `run --only` takes."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Final


class Part(StrEnum):
    """A part of the monitor that can run in a process of its own."""

    COLLECTOR = "collector"
    WRITER = "writer"
    RULES = "rules"
    NOTIFIER = "notifier"


ALL_PARTS: Final = frozenset(Part)


def metrics_port(port: int, parts: AbstractSet[Part]) -> int:
    """Return the port of /metrics of a process, so that no two of one machine want the same.

    Args:
        port: The port of the site file: that of the whole monitor, and of the collector.
        parts: What runs in the process; the first of them, in their order, gives its port.
    """
    return port + next(place for place, part in enumerate(Part) if part in parts)
