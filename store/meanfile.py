"""Making means across restarts: what is known is kept beside the journal, with the entry it stands at."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from facility.points import Point
from facility.readings import Batch
from store.meaner import Meaner
from store.means import Means

SAVE_MS: Final = 60_000
"""How often what is known is kept, by the time of readings [ms]; what came since is read again at a start."""


class MeanFile:
    """Makes means of the journal's readings, in order.

    A file that is damaged or gone is done without: the steps that were open then are made of what comes.

    Args:
        path: The file.
        hold: Tells how long a value stands for its point [ms].

    Attributes:
        seq: The last entry of the journal that was taken; 0 where nobody knows.
    """

    def __init__(self, path: Path, hold: Callable[[Point], int]) -> None:
        self._path = path
        self._hold = hold
        self._meaner = Meaner()
        self._saved_ms = 0
        self.seq = 0
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as columns:
                self._meaner.restore(columns)
                self.seq = int(columns["seq"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            self.forget()

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
        return [means for means in self._meaner.take(batch) if len(means)]

    def save(self) -> None:
        """Keep what is known, now and then; where the disk refuses, what was kept before stays."""
        if self._meaner.now_ms - self._saved_ms < SAVE_MS:
            return
        self._saved_ms = self._meaner.now_ms
        draft = self._path.with_suffix(".draft")
        with suppress(OSError):
            with draft.open("wb") as file:
                np.savez(file, allow_pickle=False, seq=np.int64(self.seq), **self._meaner.state())
            draft.replace(self._path)
