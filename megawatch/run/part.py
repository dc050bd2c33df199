"""The parts of the monitor, by the names that `run --only` takes."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Part(StrEnum):
    """A part of the monitor that can run in a process of its own."""

    COLLECTOR = "collector"
    WRITER = "writer"
    RULES = "rules"
    NOTIFIER = "notifier"


ALL_PARTS: Final = frozenset(Part)
