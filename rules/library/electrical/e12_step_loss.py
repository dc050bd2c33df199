"""E12: much of the site's load is gone within seconds."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from rules.base import Desk, Findings, Rule, Severity
from rules.comparison import Held
from rules.model.rows import SUPPLY
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind
from rules.view import KILOWATT, NO_LIMIT, View

BEFORE: Final = Window(SUPPLY, Statistic.MOST, 3, of_total=True)
"""The most that the site took in the last two seconds and in the one before them."""


class StepLoss(Rule):
    """The site takes less than two seconds ago by more than a fifth of what its contracts allow.

    Loads that transfer to their UPS together, or trip, leave the grid at once: on 10 July 2024 some 1,500 MW
    of data centers did so within 82 s (NERC's review). A fifth is our choice. It is judged where the site
    file has a `[grid]` table, by its supply meters together; it stays on the list until it is acknowledged.
    """

    name: ClassVar[str] = "E12"
    title: ClassVar[str] = "step loss of load"
    kind: ClassVar[SubjectKind] = SubjectKind.SITE
    quantities: ClassVar[tuple[str, ...]] = (SUPPLY,)
    windows: ClassVar[tuple[Window, ...]] = (BEFORE,)
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
        fall = table.over(BEFORE) - table.total(SUPPLY)
        limits = view.tenants.limit
        contracted_kw = int(limits[limits != NO_LIMIT].sum()) / KILOWATT
        # Where there is a grid, it has a nominal frequency.
        is_judged = ~np.isnan(table.setting("nominal_hz")) & (contracted_kw > 0)
        limit = np.where(is_judged, contracted_kw * self.percent / 100, np.nan)
        return Held.over(fall, limit, 0.0).findings(self)
