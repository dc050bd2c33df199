"""What can be known of a random day: at the time, and in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testing.randomdays.day import PERIOD_S, RATING_KW, RandomDay
from testing.randomdays.fault import Faults, Said
from testing.randomdays.sight import Course
from testing.randomdays.trouble import (
    BREAKS,
    OF_METADATA,
    OF_METERS,
    Trouble,
    TroubleKind,
    period_of,
    stretches_of,
)

BEAT_S: Final = 10
"""How often a gateway says that it lives [s]."""
MISSED_S: Final = 3 * BEAT_S + BEAT_S
"""By when the silence of a gateway is known: three heartbeats after the last, which is up to one old [s]."""
MISSED_PERIODS: Final = 2
"""By when that of a row of documents is known: each stands for a period and its jitter."""

_GONE: Final = (TroubleKind.FORGOTTEN, TroubleKind.OVERFLOW, TroubleKind.CLOCK_OFF)
"""Breaks that lose part of what was said for good, or date it by a wrong clock."""
_OWN_CLOCK: Final = (TroubleKind.MACHINE_PAUSED, TroubleKind.CLOCK_OFF)
"""Breaks after which the monitor knows only what is said from then on."""
_TWOFOLD: Final = (TroubleKind.TWO_SOURCES, TroubleKind.SAME_TIME)
"""Troubles in which two values are said of one rack."""


def course_of(
    day: RandomDay,
    faults: Faults,
    published: NDArray[np.bool_],
    troubles: Sequence[Trouble],
    *,
    is_dsx: bool,
) -> Course:
    """Return what every rack drew and said, and what can be known of it.

    Args:
        day: Racks, draws and contracts of the day.
        faults: What goes wrong on it.
        published: When each rack's value is published, shape (T, R).
        troubles: What goes wrong beyond silence and wrong values.
        is_dsx: Whether it is a bus that speaks, and not rack documents.
    """
    known_by_s = MISSED_S if is_dsx else MISSED_PERIODS * period_of(troubles)
    knowing = _Knowing(day, faults, published, known_by_s)
    for trouble in troubles:
        knowing.befall(trouble)
    return Course(
        begin_ms=day.begin_ms,
        drawn=day.drawn,
        believed=knowing.believed,
        is_dark=knowing.dark,
        is_hidden=knowing.hidden & knowing.dark,
        is_lost=knowing.lost,
        late_s=(faults.late_s + faults.polled_s)[day.row],
        stamped_s=faults.stamped_s(day.row),
        holder=_held_by_clock(day, troubles),
        cap=np.full(len(day.racks), 10 * round(RATING_KW * 1e6), np.int64),
    )


def _held_by_clock(day: RandomDay, troubles: Sequence[Trouble]) -> NDArray[np.intp]:
    """Return who holds each rack at the time that the monitor's clock says, shape (T, R)."""
    says = np.arange(day.seconds)
    for stretch in stretches_of(day.seconds, troubles):
        says[stretch.from_s : stretch.to_s] += stretch.ahead_s
    return day.holder[np.clip(says, 0, day.seconds - 1)]


class _Knowing:
    """What is believed, dark, hidden and lost, shape (T, R) each: see `Course`."""

    def __init__(self, day: RandomDay, faults: Faults, published: NDArray[np.bool_], known_by_s: int) -> None:
        self._day = day
        self._faults = faults
        self._published = published
        self._stamped_s = faults.stamped_s(day.row)
        second = np.arange(day.seconds)[:, None]
        silent = faults.is_silent[:, day.row]
        spoke = published & np.isin(faults.said, (Said.TRUTH, Said.AHEAD))
        last = np.maximum.accumulate(np.where(spoke, second, -1), axis=0)
        said = np.take_along_axis(day.drawn, np.maximum(last, 0), axis=0)
        self.believed = np.where(last >= 0, said, 0)
        heard = np.maximum.accumulate(np.where(published, second, -1), axis=0)
        since = np.maximum.accumulate(np.where(silent, 0, second), axis=0)
        # What was said last is no truth, or nothing was said since the gateway fell silent.
        wrong = (heard >= 0) & (last < heard)
        fell = np.maximum.accumulate(np.where(silent, second, -1), axis=0)
        unheard = (fell >= 0) & (heard < fell)
        self.lost = silent | wrong | (heard < 0) | unheard
        # The day is over before its last moments are said by who is slow to stamp them, or to send them.
        self.lost[-1] |= ((faults.offset_ms < 0) | (faults.late_s > 0))[day.row]
        self.hidden = (silent & (second - since <= known_by_s)) & ~wrong
        self.dark = self.lost.copy()

    def befall(self, trouble: Trouble) -> None:
        """Note what cannot be known in a trouble."""
        kind, start = trouble.kind, trouble.from_s
        of_row = np.flatnonzero(self._day.row == trouble.row)
        racks = trouble.racks
        if kind in BREAKS:
            self._break(trouble)
        elif kind in OF_METERS:
            self._lose(start, of_row)
            # A meter may be read later than its racks: they differ for sure once both were read again.
            self.hidden[start : start + 1, of_row] = True
        elif kind is TroubleKind.ZONE:
            self._misplace(trouble, of_row)
        elif kind is TroubleKind.LATE:
            self.dark[:, of_row] = self.hidden[:, of_row] = True
        elif kind is TroubleKind.BURSTS:
            # Whether what a round said is believed until the next one is left to the monitor.
            self.dark[:, of_row] = True
        elif kind is TroubleKind.AHEAD:
            # Who has seen a clock jump may doubt what it stamps until it has seen it run evenly again.
            self.dark[start:, of_row] = True
            self.hidden[start:, of_row] = False
        elif kind in OF_METADATA or kind is TroubleKind.SAME_TIME:
            # Who contradicts itself is not believed at once when it no longer does.
            self._lose(start, racks)
            self._mistake(trouble)

    def _misplace(self, trouble: Trouble, of_row: NDArray[np.intp]) -> None:
        """Let nothing that is said from then on take the place of what was said before."""
        start = trouble.from_s
        self._lose(start, of_row)
        before = self.believed[start - 1, of_row]
        self.believed[start:, of_row] = np.maximum(self.believed[start:, of_row], before)
        if trouble.amount < 0:
            # What is stamped long ago may be old; only that nothing newer comes shows that it is not.
            self.hidden[start : start + MISSED_S, of_row] = True

    def _mistake(self, trouble: Trouble) -> None:
        """Let racks be taken for each other, or for what another source says of them."""
        start, racks = trouble.from_s, trouble.racks
        if trouble.kind is TroubleKind.ASSET:
            racks = np.array([*racks, trouble.namesake(self._day.row)])
            self._lose(start, racks)
            self.believed[start:, racks] = self._day.drawn[start:, racks].max(axis=1, keepdims=True)
        elif trouble.kind in _TWOFOLD:
            most = self._day.drawn[start:, racks] * max(1.0, trouble.amount)
            self.believed[start:, racks] = np.maximum(self.believed[start:, racks], most.astype(np.int64))

    def _lose(self, start: int, racks: NDArray[np.intp]) -> None:
        self.lost[start:, racks] = self.dark[start:, racks] = True
        self.hidden[start:, racks] = False

    def _break(self, trouble: Trouble) -> None:
        start, end = trouble.from_s, trouble.to_s
        believed = self.believed[start - 1 : end]
        np.maximum.accumulate(believed, axis=0, out=believed)
        for rack, off in enumerate(self._stamped_s.tolist()):
            until = end
            if trouble.kind is not TroubleKind.PAUSED:
                # Whatever was said meanwhile, only what is said afterwards proves that nothing is missing.
                again = np.flatnonzero(self._published[end:, rack])
                until = end + int(again[0]) if len(again) else self._day.seconds
            self.dark[start:until, rack] = True
            if trouble.kind is not TroubleKind.STOPPED:
                # Its ticks are judged in order once all has come: a silence in it is noticed as any other.
                self.hidden[start:until, rack] = trouble.kind in (TroubleKind.PAUSED, *_OWN_CLOCK)
            if trouble.kind in _GONE:
                early = int(self._faults.late_s[self._day.row[rack]])
                self.lost[max(0, start - early) : until, rack] = True
            if off:
                self._misdate(start, end, rack, off)

    def _misdate(self, start: int, end: int, rack: int, off_s: int) -> None:
        """Let what was said in a break be dated by the clock of a gateway that is off."""
        span = slice(max(0, start - off_s), end + off_s)
        near = self._day.drawn[max(0, start - 2 * off_s) : end + 2 * off_s, rack]
        self.believed[span, rack] = np.maximum(self.believed[span, rack], near.max())
        self.hidden[span, rack] = self.dark[span, rack] = True
        if self._faults.offset_ms[self._day.row[rack]] > 0:
            # What came out of a queue and is stamped ahead of that may be of any moment before.
            self.lost[max(start, end - off_s) : end + PERIOD_S, rack] = True
