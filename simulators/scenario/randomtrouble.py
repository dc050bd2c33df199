"""What goes wrong on a random day beyond silence and wrong values: troubles that once made monitors lie.

Each is drawn by chance and strikes some racks, a row, or whoever listens. `randomwire` says what it does to
the messages, `randomcourse` what a listener can know of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.scenario.randomday import QUEUE, RATING_KW, ROWS, STEP_MILLIWATTS, TENANTS, RandomDay
from simulators.scenario.scenario import Break, BreakKind

SEEN_S: Final = 20
"""A contradiction is there to be seen for so long before anything else befalls its row [s]."""
TAIL_S: Final = 45
"""No break begins so late in a day that its end can not be seen [s]."""


class TroubleKind(StrEnum):
    """What goes wrong."""

    # Of whoever listens: everything arrives afterwards, but for a queue that overflows.
    CUT = "cut"
    PAUSED = "paused"
    STOPPED = "stopped"
    FORGOTTEN = "forgotten"  # the broker forgets the session
    OVERFLOW = "overflow"  # the broker's queue overflows, and the session is resumed all the same
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
    FOREIGN_METER = "foreign-meter"  # somebody else describes a meter above it
    FOREIGN_RACKS = "foreign-racks"  # somebody else describes its racks
    ZONE = "zone"  # the stamps of its gateway are of another zone from then on
    LATE = "late"  # its messages take long


BREAKS: Final = {
    TroubleKind.CUT: BreakKind.CONNECTION_LOST,
    TroubleKind.PAUSED: BreakKind.MONITOR_PAUSED,
    TroubleKind.STOPPED: BreakKind.MONITOR_STOPPED,
    TroubleKind.FORGOTTEN: BreakKind.SESSION_LOST,
    TroubleKind.OVERFLOW: BreakKind.QUEUE_OVERFLOWED,
}
"""The troubles of whoever listens."""

OF_METERS: Final = frozenset({TroubleKind.RACKS_LIE, TroubleKind.METER_LIES})
"""Troubles of a row that has a meter."""

OF_METADATA: Final = frozenset(
    {TroubleKind.CLEARED, TroubleKind.UNIT, TroubleKind.ASSET, TroubleKind.PATH, TroubleKind.TWO_SOURCES}
)
"""Troubles after which nobody can say for certain what a value is of: they last until the day is over."""

TEMPTING: Final = OF_METERS | {TroubleKind.FOREIGN_METER}
"""Troubles in which some racks of the row are doubted as well."""

BUS: Final = tuple(TroubleKind)
"""What can go wrong on a DSX bus."""
DOCUMENTS: Final = (
    *BREAKS, TroubleKind.SAME_TIME, TroubleKind.AHEAD, TroubleKind.FAR_AHEAD, TroubleKind.ZONE,
    TroubleKind.LATE,
)  # fmt: skip
"""What can go wrong with rack documents."""
QUIET: Final = 0.25
"""Share of the days on which nothing goes wrong beyond silence and wrong values."""
_ZONES_S: Final = (-6 * 3_600, -5 * 3_600, 3_600, 20_700)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trouble:
    """Something that goes wrong.

    Attributes:
        kind: What.
        from_s: When it begins [s].
        to_s: When it is over [s].
        racks: The places of the racks that it strikes; none where it strikes whoever listens.
        row: The row that it strikes.
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
            row: The row of each rack.
        """
        racks = np.flatnonzero(row == self.row)
        others = racks[~np.isin(racks, self.racks)]
        return int(others[0] if len(others) else racks[0])


def troubles_of(day: RandomDay, wire: str, kinds: Sequence[TroubleKind] | None = None) -> tuple[Trouble, ...]:
    """Return what goes wrong on a random day: on three of four days something does.

    Args:
        day: The day.
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
    one row may leave a lie that nothing contradicts; and what is stamped ahead can not be told from what is
    late once both come out of a broker's queue.
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
        described |= {trouble.row} if kind in OF_METADATA else set()
        found.append(trouble)
    return tuple(found)


def _trouble(kind: TroubleKind, day: RandomDay, random: np.random.Generator) -> Trouble:
    row = int(random.integers(0, ROWS))
    racks = np.flatnonzero(day.row == row)
    start = int(random.integers(20, max(21, day.seconds - TAIL_S)))
    end = day.seconds
    amount = 0.0
    match kind:
        case _ if kind in BREAKS:
            racks = racks[:0]
            end = start + int(random.integers(3, 20 if kind is TroubleKind.PAUSED else 61))
            amount = float(random.integers(0, 300))
        case TroubleKind.METER_LIES:
            start, amount = 0, float(random.choice([-0.6, -0.3, -0.15, 0.15, 0.3, 0.6]))
        case TroubleKind.RACKS_LIE:
            racks = _some(racks, random, least=len(racks) // 2)
        case TroubleKind.ZONE:
            amount = float(random.choice(_ZONES_S))
        case TroubleKind.LATE:
            start, amount = 0, float(random.integers(2, 31))
        case TroubleKind.FOREIGN_METER:
            amount = float(random.choice([-500.0, 0.5, 900.0, 5_000.0]))
        case TroubleKind.FOREIGN_RACKS:
            amount = float(random.choice([0.0, 2.0, 500.0]))
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

    The site file says how many messages the broker keeps.

    Args:
        day: The day.
        troubles: What goes wrong on it.
    """
    drawn = day.drawn.copy()
    random = np.random.default_rng((day.seed, 3))
    most = round(RATING_KW * 1e6)
    for trouble in troubles:
        if trouble.kind in BREAKS and trouble.to_s - trouble.from_s > 4:  # noqa: PLR2004 - long enough to hide one
            mine = np.flatnonzero(day.holder[trouble.from_s] == random.integers(0, len(TENANTS)))
            inside = slice(trouble.from_s + 1, trouble.to_s - int(random.integers(1, 3)))
            raised = np.minimum(drawn[inside, mine] * 3 // 2, most)
            drawn[inside, mine] = raised // STEP_MILLIWATTS * STEP_MILLIWATTS
    queue = next((max(1, round(t.amount)) for t in troubles if t.kind is TroubleKind.OVERFLOW), QUEUE)
    site_text = day.site_text.replace(f"queued_messages = {QUEUE}", f"queued_messages = {queue}")
    return replace(day, drawn=drawn, site_text=site_text)


def breaks_of(troubles: Sequence[Trouble]) -> Iterator[Break]:
    """Yield when nobody listens.

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
            )
