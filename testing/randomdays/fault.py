"""What goes wrong on a random day, second by second: silence, wrong values, clocks, and the troubles.

Each row of racks has a gateway, and some rows have a meter above them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testing.randomdays.day import ROWS, RandomDay
from testing.randomdays.trouble import OF_METERS, SEEN_S, TEMPTING, Trouble, TroubleKind

METERED: Final = 0.2
"""Share of the rows that have a meter above them."""


class Said(IntEnum):
    """What comes in place of a value."""

    TRUTH = 0
    DOUBTED = 1  # the source itself does not trust it
    NOTHING = 2  # null
    TEXT = 3  # the number in quotation marks
    WATTS = 4  # in W where kW is said
    NEGATIVE = 5  # the current transformer is the wrong way round
    WILD = 6  # more than the rack's rating allows
    NOUGHT = 7  # nought, with all confidence
    SAME_TIME = 8  # two values of one moment, one of them true
    AHEAD = 9  # the truth, stamped half a minute ahead at most
    FAR_AHEAD = 10  # the truth, stamped an hour ahead


_SAID: Final = {
    TroubleKind.RACKS_LIE: Said.NOUGHT,
    TroubleKind.SAME_TIME: Said.SAME_TIME,
    TroubleKind.AHEAD: Said.AHEAD,
    TroubleKind.FAR_AHEAD: Said.FAR_AHEAD,
}
"""What racks say in a trouble of theirs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Faults:
    """What goes wrong, second by second.

    Attributes:
        is_silent: Whether a row's gateway says nothing, shape (T, rows).
        said: What comes in place of each rack's value, shape (T, R).
        offset_ms: How far each gateway's clock is off, shape (rows,) [ms].
        transit_ms: How long each gateway's messages take, shape (rows,) [ms].
        phase_ms: When in a second each gateway speaks, shape (rows,) [ms].
        zone_ms: How far stamps are of another zone, shape (T, rows) [ms].
        late_s: How late each gateway's messages are at most, shape (rows,) [s].
        polled_s: How often each gateway polls its racks, 0 for at once, shape (rows,) [s].
        repeated: Share of the messages that come twice.
    """

    is_silent: NDArray[np.bool_]
    said: NDArray[np.int8]
    offset_ms: NDArray[np.int64]
    transit_ms: NDArray[np.int64]
    phase_ms: NDArray[np.int64]
    zone_ms: NDArray[np.int64]
    late_s: NDArray[np.int64]
    polled_s: NDArray[np.int64]
    repeated: float

    def stamped_s(self, row: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return how far the stamps of each rack may be from the truth [s].

        Args:
            row: Row of each rack, shape (racks,).
        """
        off = -(-np.abs(self.offset_ms) // 1_000)
        found: NDArray[np.int64] = (np.maximum(off, self.late_s) + self.polled_s)[row]
        return found


def metered_rows(day: RandomDay, troubles: Sequence[Trouble]) -> tuple[int, ...]:
    """Return the rows with a meter above them.

    Args:
        day: Racks, draws and contracts of the day.
        troubles: What goes wrong on it.
    """
    chosen = np.flatnonzero(np.random.default_rng((day.seed, 6)).random(ROWS) < METERED)
    lying = {trouble.row for trouble in troubles if trouble.kind in OF_METERS}
    return tuple(sorted(lying | set(chosen.tolist())))


def faults_of(day: RandomDay, troubles: Sequence[Trouble], metered: Sequence[int], *, is_dsx: bool) -> Faults:
    """Return what goes wrong on a day.

    Args:
        day: Racks, draws and contracts of the day.
        troubles: What goes wrong beyond silence and wrong values.
        metered: Rows with a meter above them.
        is_dsx: Whether it is a bus that speaks, and not rack documents.
    """
    random, seconds = np.random.default_rng((day.seed, 1)), day.seconds
    silent = np.zeros((seconds, ROWS), np.bool_)
    said = np.zeros((seconds, len(day.racks)), np.int8)
    for _ in range(int(random.integers(0, 4))):
        start = int(random.integers(1, seconds))
        silent[start : start + int(random.integers(3, 180)), random.integers(0, ROWS)] = True
    wrong = [Said.NOTHING, Said.TEXT, Said.WATTS, Said.NEGATIVE, Said.WILD]
    for _ in range(int(random.integers(0, 5))):
        start, first = int(random.integers(1, seconds)), int(random.integers(0, len(day.racks)))
        racks = slice(first, first + int(random.choice([1, 2, 10])))
        kinds = [*wrong, Said.DOUBTED] if is_dsx else wrong
        said[start : start + int(random.integers(1, 120)), racks] = random.choice(kinds)
    phases = random.integers(0, 400, ROWS)
    offsets = np.where(random.random(ROWS) < 0.3, random.integers(-20_000, 20_000, ROWS), 0)
    for row in metered:
        # No listener can compare a meter with racks whose clock is off.
        offsets[row] = 0
    found = Faults(
        is_silent=silent,
        said=said,
        offset_ms=offsets,
        # What is said of a second arrives at once, so that it is appended at once: a day is then cheaper.
        transit_ms=int(random.integers(400, 900)) - phases,
        phase_ms=phases,
        zone_ms=np.zeros((seconds, ROWS), np.int64),
        late_s=np.zeros(ROWS, np.int64),
        polled_s=np.zeros(ROWS, np.int64),
        repeated=float(random.choice([0.0, 0.02])),
    )
    chance = np.random.default_rng((day.seed, 7))
    for trouble in troubles:
        _strike(found, trouble, day.row == trouble.row, chance)
    return found


def _strike(faults: Faults, trouble: Trouble, of_row: NDArray[np.bool_], chance: np.random.Generator) -> None:
    """Let a trouble change what goes wrong."""
    said, span, row = faults.said, slice(trouble.from_s, trouble.to_s), trouble.row
    if trouble.kind is TroubleKind.ZONE:
        faults.zone_ms[span, row] = round(trouble.amount * 1_000)
    elif trouble.kind is TroubleKind.LATE:
        faults.late_s[row] = round(trouble.amount)
        faults.offset_ms[row] = 0
    elif trouble.kind is TroubleKind.AHEAD:
        faults.offset_ms[row] = 0
    elif trouble.kind is TroubleKind.BURSTS:
        faults.polled_s[row] = round(trouble.amount)
    elif trouble.kind in OF_METERS:
        faults.is_silent[: trouble.from_s + SEEN_S, row] = False
        said[: trouble.from_s + SEEN_S, of_row] = Said.TRUTH
    elif trouble.kind is TroubleKind.TWO_SOURCES:
        said[span, trouble.racks] = Said.TRUTH  # a second source that nothing contradicts is a lie
    if trouble.kind in _SAID:
        said[span, trouble.racks] = _SAID[trouble.kind]
    if trouble.kind in TEMPTING:
        # Some racks are doubted then, so that a monitor may be tempted to believe the rest.
        racks = np.flatnonzero(of_row)
        some = racks[: 1 + int(chance.integers(0, len(racks)))]
        start = trouble.from_s + SEEN_S + int(chance.integers(1, 20))
        said[start : start + int(chance.integers(10, 80)), some] = Said.DOUBTED
