"""Q4: a meter shows the same value for too long, while others like it move."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.readings import BoolArray
from rules.base import Desk, Findings, Rule, Severity, codes
from rules.model.measured import above
from rules.model.rows import DRAW
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind
from rules.view import View

SAME: Final = Window("rack.power.active", Statistic.UNCHANGED, 300)
MOVES_S: Final = 60
"""A rack whose power changed within this long moves [s] (our choice)."""


class FlatLine(Rule):
    """A rack's power has been exactly the same for five minutes, while most racks of its tenant moved.

    Load of servers never stands still, and meters have noise: a value that does not change is that of a meter
    or a gateway that is stuck, and its tenant's draw rests on it. The form of the test is that of QARTOD; the
    levels are our choice. A rack that draws next to nothing may stand still.
    """

    name: ClassVar[str] = "Q4"
    title: ClassVar[str] = "meter stuck"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    windows: ClassVar[tuple[Window, ...]] = (SAME,)
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
        same, draw = table.over(SAME), table.total(DRAW)
        draws = above(draw, table.setting("rating_kw") * self.least_percent / 100)
        is_flat = same.low >= SAME.over_s
        is_clear = (same.high < SAME.over_s) | draws.fails
        return Findings(
            verdict=codes(is_flat & draws.holds & self._others_move(view, same.high < MOVES_S), is_clear),
            value=np.where(same.is_known, same.low, np.nan),
            limit=np.full(len(table), SAME.over_s),
            returned=is_clear,
        )

    def _others_move(self, view: View, moves: BoolArray) -> BoolArray:
        """Return of which racks most others of the same tenant moved lately."""
        holders, count = view.racks.holders, len(view.tenants.ids)
        racks = np.bincount(holders, minlength=count)[holders] - 1
        moved = np.bincount(holders[moves], minlength=count)[holders] - moves
        enough: BoolArray = (moved >= self.least_others) & (2 * moved >= racks)
        return enough
