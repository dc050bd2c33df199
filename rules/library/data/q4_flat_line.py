"""Q4: a meter shows the same value for too long, while others like it move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.readings import BoolArray, FloatArray
from rules.base import Desk, Findings, Rule, Severity, codes
from rules.draw.summation_plan import Index
from rules.model.measured import Condition, Measured, above
from rules.model.rows import DRAW
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind
from rules.view import View

SAME: Final = Window("rack.power.active", Statistic.UNCHANGED, 300)
MOVES_S: Final = 60
"""A rack whose power changed within this long moves [s] (our choice)."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """What is seen of some meters, of racks or of feeds; arrays of shape (rows,).

    Attributes:
        is_flat: Which have said the same for five minutes, and say too much for that to be so.
        is_clear: Which have not, or may.
        moves: Which moved lately.
        same_s: For how long each has said the same, at least [s]; NaN where that is not known.
    """

    is_flat: BoolArray
    is_clear: BoolArray
    moves: BoolArray
    same_s: FloatArray

    def by_feeds(self, feeds: _Looked, racks: Index, metered: Index) -> _Looked:
        """Return what is seen of racks, where feeds are metered by these: each by itself.

        Args:
            feeds: What is seen of feeds.
            racks: The rack of each feed.
            metered: The feeds whose power is metered.
        """
        is_flat, is_clear, moves = self.is_flat.copy(), self.is_clear.copy(), self.moves.copy()
        same_s = self.same_s.copy()
        of = racks[metered]
        is_flat[of], is_clear[of], moves[of], same_s[of] = False, True, False, np.nan
        is_flat[of[feeds.is_flat[metered]]] = True
        is_clear[of[~feeds.is_clear[metered]]] = False
        moves[of[feeds.moves[metered]]] = True
        np.fmax.at(same_s, of, feeds.same_s[metered])
        return _Looked(is_flat, is_clear, moves, same_s)


def _looked_at(same: Measured, draws: Condition) -> _Looked:
    """Return what is seen of meters: for how long each said the same, and which draw enough to move."""
    return _Looked(
        is_flat=(same.low >= SAME.over_s) & draws.holds,
        is_clear=(same.high < SAME.over_s) | draws.fails,
        moves=same.high < MOVES_S,
        same_s=np.where(same.is_known, same.low, np.nan),
    )


class FlatLine(Rule):
    """A rack's power, or a feed's, was the same for five minutes, while most racks of its tenant moved.

    Load of servers never stands still, and meters have noise: a value that does not change is that of a meter
    or a gateway that is stuck, and its tenant's draw rests on it. The form of the test is that of QARTOD; the
    levels are our choice. A rack that draws next to nothing may stand still, and so may a feed.
    """

    name: ClassVar[str] = "Q4"
    title: ClassVar[str] = "meter stuck"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    windows: ClassVar[tuple[Window, ...]] = (SAME,)
    feed_windows: ClassVar[tuple[Window, ...]] = (SAME,)
    unit: ClassVar[str] = "s"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA,)
    look_at: ClassVar[str] = "Compare with another meter of the rack, then restart the meter or its gateway."

    severity: Severity = Field(Severity.LOW, description="how bad it is")
    on_delay_s: float = Field(0, ge=0, description="how long it must last beyond the five minutes [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    least_percent: float = Field(
        5, ge=0, le=100, description="share of its rating above which a rack cannot stand still [%]"
    )
    least_others: int = Field(3, ge=1, le=1_000, description="racks of its tenant that must have moved")

    def judge(self, view: View) -> Findings:
        """Hold how long each rack's power was the same against how its tenant's other racks moved."""
        table = view.table(self.kind)
        least_kw = table.setting("rating_kw") * self.least_percent / 100
        found = _looked_at(table.over(SAME), above(table.load(table.total(DRAW)), least_kw))
        feeds = view.table(SubjectKind.FEED)
        if len(table) and feeds.has_any(SAME.quantities):
            racks = feeds.rack_rows()
            draws = above(feeds.total(SAME.quantity), least_kw[racks])
            are_metered = feeds.is_measured(SAME.quantity) & (racks >= 0)
            found = found.by_feeds(_looked_at(feeds.over(SAME), draws), racks, np.flatnonzero(are_metered))
        return Findings(
            verdict=codes(found.is_flat & self._others_move(view, found.moves), found.is_clear),
            value=found.same_s,
            limit=np.full(len(table), SAME.over_s),
            returned=found.is_clear,
        )

    def _others_move(self, view: View, moves: BoolArray) -> BoolArray:
        """Return of which racks most others of the same tenant moved lately."""
        holders, count = view.racks.holders, len(view.tenants.ids)
        racks = np.bincount(holders, minlength=count)[holders] - 1
        moved = np.bincount(holders[moves], minlength=count)[holders] - moves
        enough: BoolArray = (moved >= self.least_others) & (2 * moved >= racks)
        return enough
