"""C10: a date of a contract is near."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.instants import DAY_MS
from rules.base import Desk, Findings, Rule, Severity, codes
from rules.model.rows import Links
from rules.subject import SubjectKind
from rules.view import View


class DateNear(Rule):
    """A contract or an amendment begins, a step of its ramp, its last day of notice or its end is near.

    It is told 90, 60, 30, 7 and 1 days before (our choice; 90 days are the usual notice in leases), each as
    an alarm of its own that ends with the date. Where several stages are over when it is first judged, only
    the last of them is told.
    """

    name: ClassVar[str] = "C10"
    title: ClassVar[str] = "contract date near"
    kind: ClassVar[SubjectKind] = SubjectKind.DATE
    unit: ClassVar[str] = "d"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CONTRACT,)
    look_at: ClassVar[str] = (
        "Read in the site file what changes on that date, and ask the tenant whether it holds."
    )

    severity: Severity = Field(Severity.INFO, description="how bad it is")
    on_delay_s: float = Field(0, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(0, ge=0, description="how long it must be over for the alarm to end [s]")

    def judge(self, view: View) -> Findings:
        """Tell of each stage while it is the last that was reached; its alarm stands until the date."""
        dates = view.table(self.kind)
        from_ms, to_ms, at_ms = (dates.setting(name) for name in ("from_ms", "to_ms", "at_ms"))
        is_far, is_over = view.at_ms < from_ms, view.at_ms >= at_ms
        left_d = (at_ms - view.at_ms) / DAY_MS
        return Findings(
            verdict=codes(~is_far & (view.at_ms < to_ms), is_far | is_over),
            value=np.where(is_far | is_over, np.nan, left_d),
            limit=np.full(len(left_d), np.nan),
            returned=is_over,
        )

    def racks(self, view: View) -> Links:
        """Return the racks that the tenant of each date holds now."""
        holders = view.racks.holders
        tenants = view.table(self.kind).setting("tenant")
        return Links.of([np.flatnonzero(holders == tenant) for tenant in tenants])
