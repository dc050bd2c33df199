"""Counting what work does, for tests of how its cost grows: no clock is in it."""

from __future__ import annotations

import sqlite3
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType


def calls_of(work: Callable[[], object]) -> int:
    """Return how many functions some work calls, those in C too.

    Args:
        work: Is done once.
    """
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def peak_of(work: Callable[[], object]) -> int:
    """Return how much memory some work takes at most while it is done [B].

    Args:
        work: Is done once.
    """
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def steps_of(connection: sqlite3.Connection, work: Callable[[], object]) -> int:
    """Return how many instructions SQLite executes for some work.

    Args:
        connection: What the work asks; no other is counted.
        work: Is done once.
    """
    count = 0

    def note() -> int:
        nonlocal count
        count += 1
        return 0

    connection.set_progress_handler(note, 1)
    try:
        work()
    finally:
        connection.set_progress_handler(None, 0)
    return count
