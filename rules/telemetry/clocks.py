"""Clocks of sources: how far what they stamp is from when it arrives.

A reading that arrives late was slow on its way, or its source's clock is slow; one alone does not tell which.
A clock is as slow for every reading, and a network is not: what *every* reading of the last minutes was late
at least is taken for the clock's, what one was late beyond that for the network's. A clock that is ahead
shows at once, for nothing is measured after it arrives; it takes two such readings in a row, so that one
wrong stamp is no habit.

How a clock came to be off is told by its seasons: it *jumped* where one is a second or more from that before,
it *drifts* where they move away from that after its last jump bit by bit, and else its offset is constant.

Arrays have one place for each clock: that of a publisher on change, and that of each periodic point, for
racks that publish by themselves have clocks of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from facility.readings import BoolArray, IntArray
from rules.columns import Columns
from rules.telemetry.liveness import NEVER

SEASON_MS: Final = 60_000
"""The least lag of this season and the one before is the clock's (our choice)."""
LEARNT: Final = 2
"""How many readings must have come before that is known (our choice)."""
JUMP_MS: Final = 1_000
"""A clock that is off by so much more, or less, than a season before has jumped (our choice)."""
JUMP_TOLD_MS: Final = 3_600_000
"""How long that is told of it; as long is looked back for a drift (our choice)."""
LEAST_DRIFT_MS: Final = 50
"""What is less than this is no drift: ways through a network differ by as much (our choice)."""
REFUSED_MS: Final = 30_000
"""What is stamped further ahead is refused: it tells how far a clock is off, and dates nothing."""
TOLD_MS: Final = 120_000
"""How long what a clock stamped tells whether it is off; half as long that it was ahead (our choice)."""
EVERY: Final = slice(None)
"""In place of clocks: all of them."""
UNKNOWN: Final = 2**62
"""The least lag of none."""


class _ClockColumns(Columns):
    """One place for each clock: the least lag of all stamps, and that of those that are believed."""

    last_ms: IntArray
    before_ms: IntArray
    least_ms: IntArray
    least_before_ms: IntArray
    believed_ms: IntArray
    believed_before_ms: IntArray
    lead_ms: IntArray
    lead_before_ms: IntArray
    count: IntArray
    ahead_ms: IntArray
    ahead_at_ms: IntArray
    heard_at_ms: IntArray
    jump_ms: IntArray
    jump_at_ms: IntArray
    anchor_ms: IntArray
    anchor_at_ms: IntArray
    drift_ppm: IntArray

    FILL: ClassVar[Mapping[str, tuple[Any, Any]]] = {
        "last_ms": (np.int64, 0),
        "before_ms": (np.int64, 0),
        "least_ms": (np.int64, UNKNOWN),
        "least_before_ms": (np.int64, UNKNOWN),
        "believed_ms": (np.int64, UNKNOWN),
        "believed_before_ms": (np.int64, UNKNOWN),
        "lead_ms": (np.int64, 0),
        "lead_before_ms": (np.int64, 0),
        "count": (np.int64, 0),
        "ahead_ms": (np.int64, 0),
        "ahead_at_ms": (np.int64, NEVER),
        "heard_at_ms": (np.int64, NEVER),
        "jump_ms": (np.int64, 0),
        "jump_at_ms": (np.int64, NEVER),
        "anchor_ms": (np.int64, 0),
        "anchor_at_ms": (np.int64, NEVER),
        "drift_ppm": (np.int64, 0),
    }


class Clocks:
    """The clock of every source; a lag is below zero where a stamp lies in the future.

    Args:
        lateness_ms: How long a tick waits for readings on their way: so late, none is late [ms].
    """

    def __init__(self, lateness_ms: int) -> None:
        self._lateness_ms = lateness_ms
        self._columns = _ClockColumns(1)
        self._season_ms = NEVER

    def __len__(self) -> int:
        return len(self._columns)

    def grow(self, count: int) -> None:
        """Make room for at least so many clocks."""
        if count > len(self):
            self._columns.grow(count)

    def hear(self, clock: NDArray[Any], lag: IntArray, received_ms: IntArray) -> None:
        """Take in readings that came live.

        Args:
            clock: Whose clock stamped each, shape (readings,).
            lag: How long after its stamp it arrived [ms].
            received_ms: When that was [ms].
        """
        if not len(clock):
            return
        columns = self._columns
        columns.before_ms[clock] = columns.last_ms[clock]
        columns.last_ms[clock] = lag
        columns.heard_at_ms[clock] = received_ms
        believed, ahead = lag, np.flatnonzero(lag < 0)
        if len(ahead):
            believed = np.where(lag >= -REFUSED_MS, lag, UNKNOWN)
            self._lead(clock[ahead], lag[ahead], received_ms[ahead])
        if (clock[1:] > clock[:-1]).all():
            columns.least_ms[clock] = np.minimum(columns.least_ms[clock], lag)
            columns.believed_ms[clock] = np.minimum(columns.believed_ms[clock], believed)
            columns.count[clock] += 1
        else:
            np.minimum.at(columns.least_ms, clock, lag)
            np.minimum.at(columns.believed_ms, clock, believed)
            np.add.at(columns.count, clock, 1)

    def _lead(self, clock: NDArray[Any], lag: IntArray, received_ms: IntArray) -> None:
        """Take in readings that were stamped in the future, once the last lag of each clock is noted."""
        columns = self._columns
        columns.ahead_ms[clock], columns.ahead_at_ms[clock] = -lag, received_ms
        # What two readings in a row say; a later one that is less ahead was longer on its way.
        lead = -np.maximum(columns.last_ms[clock], columns.before_ms[clock])
        lead = np.where(lead <= REFUSED_MS, lead, 0)
        columns.lead_ms[clock] = np.maximum(columns.lead_ms[clock], lead)

    def behind_ms(self, clock: NDArray[Any] | slice) -> IntArray:
        """Return how far clocks are behind [ms]; 0 where that is not known, or no more than a tick waits."""
        columns = self._columns
        least = np.minimum(columns.believed_ms[clock], columns.believed_before_ms[clock])
        behind = np.zeros_like(least)
        slow = np.flatnonzero(least > self._lateness_ms)
        if len(slow):
            known = slow[(columns.count[clock][slow] >= LEARNT) & (least[slow] != UNKNOWN)]
            behind[known] = least[known]
        return behind

    def ahead_ms(self, clock: NDArray[Any]) -> IntArray:
        """Return how far clocks are ahead [ms]: the most that two of their readings in a row said lately."""
        columns = self._columns
        lead: IntArray = np.maximum(columns.lead_ms[clock], columns.lead_before_ms[clock])
        return lead

    def begin_season(self, at_ms: int) -> bool:
        """Forget what is too old to tell anything, where that is due; return whether it was."""
        if at_ms - self._season_ms < SEASON_MS:
            return False
        is_first, self._season_ms = self._season_ms == NEVER, at_ms
        columns = self._columns
        # A clock that said nothing in this season is what it was in the one before.
        said = columns.least_ms != UNKNOWN
        if not is_first:
            self._follow_drift(said, at_ms)
        columns.least_before_ms = np.where(said, columns.least_ms, columns.least_before_ms)
        columns.least_ms = np.full(len(self), UNKNOWN)
        is_believed = columns.believed_ms != UNKNOWN
        columns.believed_before_ms = np.where(is_believed, columns.believed_ms, columns.believed_before_ms)
        columns.believed_ms = np.full(len(self), UNKNOWN)
        columns.lead_before_ms = np.where(said, columns.lead_ms, columns.lead_before_ms)
        columns.lead_ms = np.zeros(len(self), np.int64)
        return True

    def _follow_drift(self, said: BoolArray, at_ms: int) -> None:
        """Note which clocks jumped since the season before, and which drift since their last jump."""
        columns = self._columns
        least_ms = columns.least_ms
        moved_ms = np.where(
            said & (columns.least_before_ms != UNKNOWN), columns.least_before_ms - least_ms, 0
        )
        jumps = np.abs(moved_ms) >= JUMP_MS
        columns.jump_ms[jumps], columns.jump_at_ms[jumps] = moved_ms[jumps], at_ms
        begins = jumps | (said & (columns.anchor_at_ms == NEVER))
        passed_ms = at_ms - columns.anchor_at_ms
        goes_on = said & ~begins
        drift_ms = np.where(goes_on, columns.anchor_ms - least_ms, 0)
        drifts = goes_on & (np.abs(drift_ms) >= LEAST_DRIFT_MS)
        columns.drift_ppm[begins | goes_on] = 0
        columns.drift_ppm[drifts] = drift_ms[drifts] * 1_000_000 // passed_ms[drifts]
        begins |= goes_on & (passed_ms >= JUMP_TOLD_MS)
        columns.anchor_ms[begins], columns.anchor_at_ms[begins] = least_ms[begins], at_ms

    def jumped_ms(self, clock: NDArray[Any], at_ms: int) -> IntArray:
        """Return by how much clocks jumped ahead in the last hour [ms], below zero for back, 0 for not.

        Args:
            clock: Which clocks.
            at_ms: The moment [ms].
        """
        columns = self._columns
        is_told = at_ms - columns.jump_at_ms[clock] <= JUMP_TOLD_MS
        jumped = np.where(is_told, columns.jump_ms[clock], 0)
        # One jump ahead shows before its season is over, for a season's least lag only falls.
        least_ms, before_ms = columns.least_ms[clock], columns.least_before_ms[clock]
        is_known = (least_ms != UNKNOWN) & (before_ms != UNKNOWN)
        ahead_ms = np.where(is_known, before_ms - least_ms, 0)
        found: IntArray = np.where(ahead_ms >= JUMP_MS, ahead_ms, jumped)
        return found

    def drift_ppm(self, clock: NDArray[Any]) -> IntArray:
        """Return how much too fast clocks run [millionths], below zero for too slow, 0 where none is seen."""
        drift: IntArray = self._columns.drift_ppm[clock]
        return drift

    def is_watched(self, clock: NDArray[Any]) -> BoolArray:
        """Return which clocks were heard for a season, so that a drift or a jump would be seen."""
        watched: BoolArray = self._columns.anchor_at_ms[clock] != NEVER
        return watched

    def forget(self) -> None:
        """Forget everything: our own clock was set, and no lag means what it meant."""
        self._columns = _ClockColumns(len(self))
        self._season_ms = NEVER

    def last_ahead_ms(self, clock: NDArray[Any] | slice, since_ms: int) -> IntArray:
        """Return how far ahead the last stamps in the future of clocks were [ms], 0 for none since then."""
        columns = self._columns
        return np.where(columns.ahead_at_ms[clock] >= since_ms, columns.ahead_ms[clock], 0)

    def is_heard(self, clock: NDArray[Any] | slice, since_ms: int) -> BoolArray:
        """Return which clocks stamped something that arrived since a moment [ms]."""
        heard: BoolArray = self._columns.heard_at_ms[clock] >= since_ms
        return heard

    def offsets_ms(self, clock: NDArray[Any] | slice, at_ms: int) -> tuple[IntArray, IntArray]:
        """Return how far clocks are ahead and how far behind [ms], 0 for those not heard lately.

        Args:
            clock: Which clocks.
            at_ms: The moment [ms].
        """
        heard = self.is_heard(clock, at_ms - TOLD_MS)
        ahead = self.last_ahead_ms(clock, at_ms - TOLD_MS // 2)
        return np.where(heard, ahead, 0), np.where(heard, self.behind_ms(clock), 0)

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything as arrays and as plain values."""
        return self._columns.save(), {"season_ms": self._season_ms}

    def load(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take in what `save` returned."""
        self._columns = _ClockColumns.load(arrays)
        self._season_ms = values["season_ms"]
