"""`python -m bench.rig.loopstops FILE ARGUMENTS`: `megawatch ARGUMENTS`, noting how long its loop is held.

A stop is the time between two looks of the loop at its sockets: while it lasts nothing else gets its turn.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from megawatch.cli.main import main as megawatch

NOTED_S: Final = 0.002
"""Shorter stops are not noted [s]."""


class _Noting(selectors.DefaultSelector):
    """A selector that notes how long after a look the next one comes."""

    def __init__(self, stops: array[float]) -> None:
        super().__init__()
        self._stops = stops
        self._looked_s = time.monotonic()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        held_s = time.monotonic() - self._looked_s
        if held_s >= NOTED_S:
            self._stops.extend((self._looked_s, held_s))
        found: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
        self._looked_s = time.monotonic()
        return found


class _Policy(asyncio.DefaultEventLoopPolicy):
    def __init__(self, stops: array[float]) -> None:
        super().__init__()
        self._stops = stops

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(_Noting(self._stops))


def read(file: Path, from_s: float, to_s: float) -> Sequence[float]:
    """Return how long each noted stop lasted that began within a time of the monotonic clock [s]."""
    rows = np.fromfile(file).reshape(-1, 2)
    found: list[float] = rows[(rows[:, 0] >= from_s) & (rows[:, 0] < to_s), 1].tolist()
    return found


def wait_s(stops: Sequence[float], length_s: float, share: float) -> float:
    """Return how long what comes at any moment waits at most for the loop, in a share of cases [s].

    Args:
        stops: The stops in that time [s].
        length_s: How long that time was [s].
        share: Which share.
    """
    ordered = np.sort(np.asarray(stops, float))
    low, high = 0.0, float(ordered[-1]) if len(ordered) else 0.0
    for _ in range(50):
        middle = (low + high) / 2
        beyond = float(np.maximum(ordered - middle, 0).sum()) / length_s
        low, high = (middle, high) if beyond > 1 - share else (low, middle)
    return high


def main() -> None:
    """Run the command, and write the stops once it ends."""
    file = Path(sys.argv[1])
    stops = array("d")
    asyncio.set_event_loop_policy(_Policy(stops))
    sys.argv = ["megawatch", *sys.argv[2:]]
    try:
        megawatch()
    finally:
        file.write_bytes(stops.tobytes())


if __name__ == "__main__":
    main()
