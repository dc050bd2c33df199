"""E12: much of the site's load is gone within seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.readings import BoolArray
from rules.base import Desk, Findings, Rule, Severity
from rules.comparison import Held
from rules.model.measured import Condition
from rules.model.rows import SUPPLY
from rules.model.tables import Table
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind
from rules.view import KILOWATT, NO_LIMIT, View

FALL: Final = Window(SUPPLY, Statistic.STEP, 9, of_total=True)
"""How far the load of the site fell; all that is compared lies within 9 s (our choice)."""
READ: Final = Window(SUPPLY, Statistic.MOST, 12, of_smallest=True)
"""What each of the supply meters read at least, at some moment of that time."""
SLOWEST_S: Final = 2.5
"""Meters that pause for longer between two readings do not tell within which two seconds a load was lost (our
choice: two seconds and some jitter)."""
NOTHING: Final = 0.01
"""A meter that reads less than this share of what it read is at nothing (our choice)."""
STORES: Final = ("UPS", "BESS", "Generator")
"""Kinds of assets that carry racks while the grid does not."""


class StepLoss(Rule):
    """The site takes less than two seconds ago by more than a fifth of what its contracts allow.

    Loads that transfer to their UPS together, or trip, leave the grid at once: on 10 July 2024 some 1,500 MW
    of data centers did so within 82 s (NERC's review). A fifth is our choice. It is judged where the site
    file has a `[grid]` table, by its supply meters together; it stays on the list until it is acknowledged.

    Meters are not read at one instant, so what one second alone says is no step: a load that moves from one
    supply to another is counted twice then, or not at all. Meters that fall silent in a sag are held against
    what they said before, where that is at most six seconds of silence ago. Meters that are read more seldom
    than every two seconds tell no step. One that comes to read nothing while racks draw more than the site
    takes is in doubt, unless a UPS, a battery or a generator that may carry them is described: that leaves it
    UNKNOWN, which is no alarm.
    """

    name: ClassVar[str] = "E12"
    title: ClassVar[str] = "step loss of load"
    kind: ClassVar[SubjectKind] = SubjectKind.SITE
    quantities: ClassVar[tuple[str, ...]] = (SUPPLY,)
    windows: ClassVar[tuple[Window, ...]] = (FALL, READ)
    unit: ClassVar[str] = "kW"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.PAGE,)
    look_at: ClassVar[str] = "See whether UPSs went to battery or breakers tripped; call the grid's operator."
    needs_acknowledgement: ClassVar[bool] = True

    severity: Severity = Field(Severity.CRITICAL, description="how bad it is")
    on_delay_s: float = Field(0, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(0, ge=0, description="how long it must be over for the alarm to end [s]")
    percent: float = Field(
        20, gt=0, le=100, description="share of what is contracted that may be lost in two seconds [%]"
    )

    def judge(self, view: View) -> Findings:
        """Hold what was lost against a share of what tenants may draw."""
        table = view.table(self.kind)
        fall = table.over(FALL)
        limits = view.tenants.limit
        contracted_kw = int(limits[limits != NO_LIMIT].sum()) / KILOWATT
        # Where there is a grid, it has a nominal frequency.
        is_judged = ~np.isnan(table.setting("nominal_hz")) & (contracted_kw > 0)
        limit = np.where(is_judged, contracted_kw * self.percent / 100, np.nan)
        held = Held.over(fall, limit, 0.0)
        if held.breach.holds.any():
            proves = (table.pause_s(SUPPLY) <= SLOWEST_S) & ~self._is_denied(view, table)
            held = replace(held, breach=Condition(held.breach.holds & proves, held.breach.fails))
        return held.findings(self)

    def _is_denied(self, view: View, table: Table) -> BoolArray:
        """Return whether a meter that came to read nothing is denied by what racks draw, shape (1,)."""
        nodes = view.table(SubjectKind.NODE)
        if any(nodes.is_of(kind).any() for kind in STORES):
            return np.zeros(len(table), np.bool_)
        is_at_nothing = table.smallest(SUPPLY).high < table.over(READ).low * NOTHING
        draws_more = view.table(SubjectKind.RACK).all_draw().low > table.total(SUPPLY).high
        denied: BoolArray = is_at_nothing & draws_more
        return denied
