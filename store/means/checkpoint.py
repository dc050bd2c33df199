"""Making means across restarts: what is known is kept beside the journal, with the entry it stands at."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from facility.points import Point
from facility.readings import Batch
from store.means.accumulator import Meaner
from store.means.columnfile import load_columns, save_columns
from store.means.means import Means

SAVE_MS: Final = 60_000
"""How often what is known is kept, by the time of readings [ms]; what came since is read again at a start."""


class MeanFile:
    """Makes means of the journal's readings, in order.

    A file that is damaged or gone is done without: the steps that were open then are made of what comes.

    Args:
        path: File that keeps open steps over a restart.
        hold: Tells how long a value stands for its point [ms].

    Attributes:
        seq: The last entry of the journal that was taken; 0 where that is not known.
    """

    def __init__(self, path: Path, hold: Callable[[Point], int]) -> None:
        self._path = path
        self._hold = hold
        self._meaner = Meaner()
        self._saved_ms = 0
        self.seq = 0
        columns = load_columns(path)
        with suppress(KeyError):  # none, or of another version
            self._meaner.restore(columns)
            self.seq = int(columns["seq"])

    @property
    def late(self) -> int:
        """How many readings came too late to be in a mean."""
        return self._meaner.late

    def forget(self) -> None:
        """Begin anew."""
        self._meaner = Meaner()
        self.seq = 0

    def learn(self, number: int, point: Point) -> None:
        """Take in a point, or what became known better of it."""
        self._meaner.learn(number, self._hold(point))

    def take(self, seq: int, batch: Batch) -> list[Means]:
        """Take in the readings up to an entry; return the means that are complete, or fuller than before."""
        self.seq = seq
        if not len(batch):
            return []  # no time has passed
        return [means for means in self._meaner.take(batch) if len(means)]

    def save(self) -> None:
        """Keep what is known, now and then; where the disk refuses, what was kept before stays."""
        if self._meaner.now_ms - self._saved_ms < SAVE_MS:
            return
        self._saved_ms = self._meaner.now_ms
        save_columns(self._path, {"seq": np.array(self.seq, np.int64), **self._meaner.state()})
