"""What goes wrong on a random day beyond silence and wrong values: troubles that once made monitors lie.

Each is drawn by chance and strikes some racks, a row, or the monitor. `wire` says what it does to
the messages, `course` what a listener can know of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.scenario.scenario import Break, BreakKind
from simulators.truth.terms import delivered, read_agreements
from testing.randomdays.day import (
    PERIOD_S,
    QUEUE,
    RATING_KW,
    ROWS,
    STEP_MILLIWATTS,
    TENANTS,
    RandomDay,
)

SEEN_S: Final = 20
"""A contradiction is there to be seen for so long before anything else befalls its row [s]."""
TAIL_S: Final = 45
"""No break begins so late in a day that its end cannot be seen [s]."""


class TroubleKind(StrEnum):
    """What goes wrong."""

    # Of the monitor: everything arrives afterwards, but for a queue that overflows.
    CUT = "cut"
    PAUSED = "paused"
    STOPPED = "stopped"
    FORGOTTEN = "forgotten"  # the broker forgets the session
    OVERFLOW = "overflow"  # the broker's queue overflows, and the session is resumed all the same
    MACHINE_PAUSED = "machine-paused"  # its machine stands still, and its clock is then set to the time
    CLOCK_OFF = "clock-off"  # its clock is set wrong, and right again afterwards
    # Of a tenant.
    SWINGS = "swings"  # its load is some seconds above its limit and some below, by turns
    # Of some racks.
    RACKS_LIE = "racks-lie"  # they say nought, and the meter above them does not
    SAME_TIME = "same-time"  # two values of one moment
    AHEAD = "ahead"  # stamps of a near future, which count as of their arrival
    FAR_AHEAD = "far-ahead"  # stamps of a far one
    CLEARED = "cleared"  # metadata are cleared, and values go on
    UNIT = "unit"  # metadata say another unit, values do not
    ASSET = "asset"  # metadata name another rack
    PATH = "path"  # the rack comes again under another path, and falls quiet under the first
    TWO_SOURCES = "two-sources"  # another point says another value of the same rack
    # Of a row.
    METER_LIES = "meter-lies"  # the meter above it sees what its racks do not
    FOREIGN_METER = "foreign-meter"  # another publisher describes a meter above it
    FOREIGN_RACKS = "foreign-racks"  # another publisher describes its racks
    ZONE = "zone"  # the stamps of its gateway are of another zone from then on
    LATE = "late"  # its messages take long
    BURSTS = "bursts"  # it polls its racks in rounds, and says nothing of them in between


BREAKS: Final = {
    TroubleKind.CUT: BreakKind.CONNECTION_LOST,
    TroubleKind.PAUSED: BreakKind.MONITOR_PAUSED,
    TroubleKind.STOPPED: BreakKind.MONITOR_STOPPED,
    TroubleKind.FORGOTTEN: BreakKind.SESSION_LOST,
    TroubleKind.OVERFLOW: BreakKind.QUEUE_OVERFLOWED,
    TroubleKind.MACHINE_PAUSED: BreakKind.MACHINE_PAUSED,
    TroubleKind.CLOCK_OFF: BreakKind.CLOCK_OFF,
}
"""The troubles of the monitor."""

OF_METERS: Final = frozenset({TroubleKind.RACKS_LIE, TroubleKind.METER_LIES})
"""Troubles of a row that has a meter."""

OF_METADATA: Final = frozenset(
    {TroubleKind.CLEARED, TroubleKind.UNIT, TroubleKind.ASSET, TroubleKind.PATH, TroubleKind.TWO_SOURCES}
)
"""Troubles after which it is not certain what a value is of: they last until the day is over."""

TEMPTING: Final = OF_METERS | {TroubleKind.FOREIGN_METER}
"""Troubles in which some racks of the row are doubted as well."""

BUS: Final = tuple(TroubleKind)
"""What can go wrong on a DSX bus."""
DOCUMENTS: Final = (
    *BREAKS, TroubleKind.SAME_TIME, TroubleKind.AHEAD, TroubleKind.FAR_AHEAD, TroubleKind.ZONE,
    TroubleKind.LATE, TroubleKind.SWINGS, TroubleKind.BURSTS,
)  # fmt: skip
"""What can go wrong with rack documents."""
CLOCK_SET: Final = (TroubleKind.MACHINE_PAUSED, TroubleKind.CLOCK_OFF)
"""Breaks in which the clock of the monitor's machine is set."""
ABOVE_S: Final = 4
"""How long a load that swings is above its limit each time: shorter than an overdraw must last [s]."""
SWINGS_BY: Final = 0.1
"""By which share of the limit."""
QUIET: Final = 0.25
"""Share of the days on which nothing goes wrong beyond silence and wrong values."""
_AMOUNTS: Final = {
    TroubleKind.METER_LIES: (-0.6, -0.3, -0.15, 0.15, 0.3, 0.6),
    TroubleKind.ZONE: (-6 * 3_600, -5 * 3_600, 3_600, 20_700),
    TroubleKind.FOREIGN_METER: (-500.0, 0.5, 900.0, 5_000.0),
    TroubleKind.FOREIGN_RACKS: (0.0, 2.0, 500.0),
    TroubleKind.SWINGS: (1, 2, 3, 4),
    TroubleKind.BURSTS: (15, 30),
}
"""What the amount of a trouble is drawn from, where it is one of a few."""
_SET_BY_S: Final = (-3_600, -600, -90, 90, 600, 3_600)
"""By how much the clock of the monitor's machine is set wrong: more than a machine is paused for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trouble:
    """Something that goes wrong.

    Attributes:
        kind: What goes wrong.
        from_s: When it begins [s].
        to_s: When it is over [s].
        racks: The places of the racks that it strikes; none where it strikes the monitor.
        row: Row that it strikes.
        amount: How much, in the measure of its kind.
    """

    kind: TroubleKind
    from_s: int
    to_s: int
    racks: NDArray[np.intp]
    row: int
    amount: float

    def namesake(self, row: NDArray[np.intp]) -> int:
        """Return the rack that those it strikes are taken for.

        Args:
            row: Row of each rack, shape (racks,).
        """
        racks = np.flatnonzero(row == self.row)
        others = racks[~np.isin(racks, self.racks)]
        return int(others[0] if len(others) else racks[0])


def troubles_of(day: RandomDay, wire: str, kinds: Sequence[TroubleKind] | None = None) -> tuple[Trouble, ...]:
    """Return what goes wrong on a random day: on three of four days something does.

    Args:
        day: Racks, draws and contracts of the day.
        wire: What is spoken, `dsx` or `rack-documents`.
        kinds: What goes wrong, as far as that is spoken of on the wire; None for chance.
    """
    random = np.random.default_rng((day.seed, 2))
    known = BUS if wire == "dsx" else DOCUMENTS
    if kinds is None:
        count = 0 if random.random() < QUIET else int(random.integers(1, 4))
        kinds = [known[place] for place in random.choice(len(known), count, replace=False)]
    found = [_trouble(kind, day, random) for kind in kinds if kind in known]
    breaks = [trouble for trouble in found if trouble.kind in BREAKS]
    return _honest([trouble for trouble in found if trouble not in breaks[1:]])


def _honest(troubles: Sequence[Trouble]) -> tuple[Trouble, ...]:
    """Return the troubles without those that would hide another from everybody.

    A contradiction must be there to be seen before anything else befalls its row; two changes of metadata of
    one row may leave a lie that nothing contradicts; what is stamped ahead cannot be told from what is late
    once both come out of a broker's queue; and how long a load was above is forgotten as the clock is set.
    """
    found: list[Trouble] = []
    lie = next((trouble for trouble in troubles if trouble.kind in OF_METERS), None)
    breaks = any(trouble.kind in BREAKS for trouble in troubles)
    described: set[int] = set()
    for trouble in troubles:
        kind = trouble.kind
        if lie is not None and trouble is not lie:
            may_hide = kind in BREAKS or trouble.row == lie.row
            if kind in OF_METERS or (may_hide and trouble.from_s < lie.from_s + SEEN_S):
                continue
        if kind in OF_METADATA and trouble.row in described:
            continue
        if kind is TroubleKind.AHEAD and breaks:
            continue
        if kind is TroubleKind.SWINGS and any(each.kind in CLOCK_SET for each in troubles):
            continue
        described |= {trouble.row} if kind in OF_METADATA else set()
        found.append(trouble)
    return tuple(found)


def _trouble(kind: TroubleKind, day: RandomDay, random: np.random.Generator) -> Trouble:
    row = int(random.integers(0, ROWS))
    racks = np.flatnonzero(day.row == row)
    start = int(random.integers(20, max(21, day.seconds - TAIL_S)))
    if kind in BREAKS:
        end = start + int(random.integers(3, 20 if kind is TroubleKind.PAUSED else 61))
        amount = float(random.integers(0, 300))
        if kind is TroubleKind.CLOCK_OFF:
            amount = float(random.choice(_SET_BY_S))
        return Trouble(
            kind=kind, from_s=start, to_s=min(end, day.seconds), racks=racks[:0], row=row, amount=amount
        )
    end = day.seconds
    amount = float(random.choice(_AMOUNTS[kind])) if kind in _AMOUNTS else 0.0
    match kind:
        case TroubleKind.METER_LIES | TroubleKind.BURSTS:
            start = 0
        case TroubleKind.LATE:
            start, amount = 0, float(random.integers(2, 31))
        case TroubleKind.SWINGS:
            racks, start = racks[:0], int(random.integers(1, max(2, day.seconds - 90)))
            end = start + 80
        case TroubleKind.RACKS_LIE:
            racks = _some(racks, random, least=len(racks) // 2)
        case TroubleKind.ZONE | TroubleKind.FOREIGN_METER | TroubleKind.FOREIGN_RACKS:
            pass
        case _:
            racks = _some(racks, random)
            amount = float(random.uniform(0.2, 1.4))
            if kind not in OF_METADATA:
                end = start + int(random.integers(1, 60))
    return Trouble(kind=kind, from_s=start, to_s=min(end, day.seconds), racks=racks, row=row, amount=amount)


def _some(racks: NDArray[np.intp], random: np.random.Generator, least: int = 1) -> NDArray[np.intp]:
    return np.sort(random.choice(racks, int(random.integers(least, len(racks) + 1)), replace=False))


def shaken(day: RandomDay, troubles: Sequence[Trouble]) -> RandomDay:
    """Return a day with an overdraw inside each break: a tenant draws half as much again for a while.

    Where a load swings, it does so around its limit. The site file says how many messages the broker keeps,
    and how often racks are polled.

    Args:
        day: Racks, draws and contracts of the day.
        troubles: What goes wrong on it.
    """
    drawn = day.drawn.copy()
    random = np.random.default_rng((day.seed, 3))
    most = round(RATING_KW * 1e6)
    for trouble in troubles:
        if trouble.kind in BREAKS and trouble.to_s - trouble.from_s > 4:
            mine = np.flatnonzero(day.holder[trouble.from_s] == random.integers(0, len(TENANTS)))
            inside = slice(trouble.from_s + 1, trouble.to_s - int(random.integers(1, 3)))
            raised = np.minimum(drawn[inside, mine] * 3 // 2, most)
            drawn[inside, mine] = raised // STEP_MILLIWATTS * STEP_MILLIWATTS
        elif trouble.kind is TroubleKind.SWINGS:
            _swing(day, drawn, trouble)
    queue = next((max(1, round(t.amount)) for t in troubles if t.kind is TroubleKind.OVERFLOW), QUEUE)
    site_text = day.site_text.replace(f"queued_messages = {QUEUE}", f"queued_messages = {queue}")
    site_text = site_text.replace(f"period_s = {PERIOD_S}", f"period_s = {period_of(troubles)}")
    return replace(day, drawn=drawn, site_text=site_text)


def _swing(day: RandomDay, drawn: NDArray[np.int64], trouble: Trouble) -> None:
    """Let a load swing around its limit: that of the first tenant for which a moment above counts."""
    _, agreements = read_agreements(day.site_text)
    most = round(RATING_KW * 1e6)
    for place, tenant in enumerate(TENANTS):
        for second in range(trouble.from_s, trouble.to_s):
            at_ms = day.begin_ms + second * 1_000
            terms = agreements[tenant].at(at_ms)
            racks = np.flatnonzero(day.holder[second] == place)
            if terms is None or not terms.binds_every_moment or terms.sustain_ms > 0 or not len(racks):
                break
            is_above = (second - trouble.from_s) % (ABOVE_S + round(trouble.amount)) < ABOVE_S
            goal = float(terms.allowed(at_ms)) * (1 + SWINGS_BY if is_above else 1 - SWINGS_BY)
            share = goal / float(delivered(int(drawn[second, racks].sum()), terms))
            wanted = np.minimum(drawn[second, racks] * share, most)
            drawn[second, racks] = np.rint(wanted / STEP_MILLIWATTS).astype(np.int64) * STEP_MILLIWATTS
        else:
            return


def period_of(troubles: Sequence[Trouble]) -> int:
    """Return how often a rack is polled at least, as the site file says it [s].

    Args:
        troubles: What goes wrong on a day.
    """
    return next((round(each.amount) for each in troubles if each.kind is TroubleKind.BURSTS), PERIOD_S)


def breaks_of(troubles: Sequence[Trouble]) -> Iterator[Break]:
    """Yield when the monitor does not listen.

    Args:
        troubles: What goes wrong on a day.
    """
    for trouble in troubles:
        if trouble.kind in BREAKS:
            yield Break(
                kind=BREAKS[trouble.kind],
                from_s=trouble.from_s,
                to_s=trouble.to_s,
                queue=max(1, round(trouble.amount)),
                by_s=round(trouble.amount) if trouble.kind is TroubleKind.CLOCK_OFF else 0,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a day in which the clock of the monitor's machine is as far off.

    Attributes:
        from_s: When it begins [s].
        to_s: When it is over [s].
        ahead_s: How far that clock is ahead of the truth, below zero where it is behind [s].
    """

    from_s: int
    to_s: int
    ahead_s: int = 0

    def clock_ms(self, begin_ms: int) -> int:
        """Return what the clock says as the stretch begins [ms].

        Args:
            begin_ms: When the day begins [ms].
        """
        return begin_ms + (self.from_s + self.ahead_s) * 1_000


def stretches_of(seconds: int, troubles: Sequence[Trouble]) -> tuple[Stretch, ...]:
    """Return the parts of a day by the clock of the monitor's machine, in order.

    A machine that stood still has the right time before and after it, and is not wrong between.

    Args:
        seconds: How long the day lasts [s].
        troubles: What goes wrong on it.
    """
    for trouble in troubles:
        if trouble.kind is TroubleKind.CLOCK_OFF:
            return (
                Stretch(from_s=0, to_s=trouble.from_s),
                Stretch(from_s=trouble.from_s, to_s=trouble.to_s, ahead_s=round(trouble.amount)),
                Stretch(from_s=trouble.to_s, to_s=seconds),
            )
    return (Stretch(from_s=0, to_s=seconds),)
