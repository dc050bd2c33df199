"""Episodes: times in which a contract was broken, what a monitor owes to each, and when it is on time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from simulators.truth.terms import SECOND_MS, Milliwatts

Series = Sequence[int]
"""A figure for each second [mW]."""


class Clause(StrEnum):
    """Which words of a contract are broken."""

    OVERDRAW = "overdraw"  # the draw of a moment is above what may be drawn then
    DEMAND = "demand"  # the mean over a demand block is above the mean of what may be drawn in it
    AHEAD = "ahead"  # the draw is above this phase of the ramp
    BURST = "burst"  # the minutes above the commitment are used up for this month


class Duty(StrEnum):
    """What a monitor owes to an episode."""

    PAGE = "page"  # it happened, and could be known: it must be paged
    DOUBT = "doubt"  # it happened, and could not be known for certain: at least the doubt must be told
    TELL = "tell"  # it happened, and follows from all that came in the end: it must be told, however late
    NONE = "none"  # a page within it is right, and none is right too


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One tenant's draw: what was, and what could be known of it, for each second from `begin_ms` on [mW].

    Attributes:
        begin_ms: The first second [ms].
        true: What was drawn.
        open: The part of it that was known, or known not to be known; never above the truth.
        proven: The least that follows from everything that was published; never above the truth.
        brief: The same of a draw that is as briefly above its limit as below: how long it is above counts,
            and not when, so only what may come together of different moments is taken off it.
        recent: The most that was drawn within the time that news takes; never below the truth.
        possible: The most that nothing that was published contradicts; never below `recent`.
    """

    begin_ms: int
    true: Series
    open: Series
    proven: Series
    brief: Series
    recent: Series
    possible: Series

    @property
    def end_ms(self) -> int:
        """When it ends [ms]."""
        return self.begin_ms + len(self.true) * SECOND_MS

    def part(self, start: int, end: int, begin_ms: int) -> Sight:
        """Return the sight of some seconds in a row, by a clock that says another time.

        Args:
            start: The first second, by its place.
            end: One past the last second.
            begin_ms: What the clock says at the first [ms].
        """
        return Sight(
            begin_ms=begin_ms,
            true=self.true[start:end],
            open=self.open[start:end],
            proven=self.proven[start:end],
            brief=self.brief[start:end],
            recent=self.recent[start:end],
            possible=self.possible[start:end],
        )

    @classmethod
    def perfect(cls, begin_ms: int, true: Series) -> Sight:
        """Return the sight of a monitor that sees every draw at once."""
        return cls(
            begin_ms=begin_ms, true=true, open=true, proven=true, brief=true, recent=true, possible=true
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """How soon a page is promised.

    Attributes:
        overdraw_ms: How long an overdraw lasts before it is paged, where the contract says nothing longer.
        swings_ms: How long it is above within the window, with breaks, before it is paged for that.
        window_ms: Length of that window.
        ahead_ms: How long a draw ahead of the ramp does.
        doubt_ms: How long not being able to tell does.
        lag_ms: How long news takes: a publishing period and a second.
        settled_ms: How long after its end a block is settled, with what comes late [ms].
    """

    overdraw_ms: int = 5_000
    swings_ms: int = 20_000
    window_ms: int = 60_000
    ahead_ms: int = 60_000
    doubt_ms: int = 30_000
    lag_ms: int = 2_000
    settled_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A time in which a contract was broken.

    Attributes:
        tenant: Whose.
        clause: Which words.
        duty: What a monitor owes to it.
        from_ms: When it began [ms]: for a demand the block's start.
        to_ms: When it ended [ms].
        earliest_ms: The earliest right moment for the alarm to open, in event time [ms].
        latest_ms: The latest [ms].
        told_by_ms: By when people must be told, by the clock [ms].
        peak: The most that was drawn, or the demand [mW].
        allowed: What might have been drawn then [mW].
    """

    tenant: str
    clause: Clause
    duty: Duty
    from_ms: int
    to_ms: int
    earliest_ms: int
    latest_ms: int
    told_by_ms: int
    peak: Milliwatts
    allowed: Milliwatts


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A demand block that closed.

    Attributes:
        tenant: Whose.
        from_ms: From when on it counts: its start, or the start of the demand clause within it [ms].
        to_ms: When it closed [ms].
        demand: The mean of what was drawn in it, at the delivery point [mW].
        allowed: The mean of what might be drawn in it [mW].
    """

    tenant: str
    from_ms: int
    to_ms: int
    demand: Milliwatts
    allowed: Milliwatts


@dataclass(frozen=True, slots=True)
class Run:
    """Places in a row, from `start` to before `end`."""

    start: int
    end: int


def runs_of(is_true: Callable[[int], bool], count: int) -> Iterator[Run]:
    """Yield the longest runs of places at which something is true."""
    start: int | None = None
    for i in range(count):
        if is_true(i):
            start = i if start is None else start
        elif start is not None:
            yield Run(start, i)
            start = None
    if start is not None:
        yield Run(start, count)


def joined(runs: Iterable[Run], gap: int) -> Iterator[Run]:
    """Yield runs, those that are at most `gap` places apart as one."""
    before: Run | None = None
    for run in runs:
        if before is not None and run.start - before.end <= gap:
            before = Run(before.start, run.end)
            continue
        if before is not None:
            yield before
        before = run
    if before is not None:
        yield before
