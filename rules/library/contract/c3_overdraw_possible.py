"""C3: it cannot be ruled out that the tenant draws more than it contracted."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from rules.base import Desk, Findings, Rule, Severity, codes
from rules.fixed_point import in_kilowatts
from rules.subject import SubjectKind
from rules.view import NO_LIMIT, View


class OverdrawPossible(Rule):
    """The limit lies between the bounds of the draw, while enough of the tenant is covered by readings.

    With less coverage the sum is not valid for any decision about the contract (Q2 says why):
    an alarm that stands then stays, and a new one is C2's own "cannot verify".
    """

    name: ClassVar[str] = "C3"
    title: ClassVar[str] = "cannot verify the contract: an overdraw is possible"
    kind: ClassVar[SubjectKind] = SubjectKind.TENANT
    unit: ClassVar[str] = "kW"
    value_is_bound: ClassVar[bool] = True
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL, Desk.DATA)
    look_at: ClassVar[str] = (
        "Find out why racks are silent; until they are heard, only the bounds are certain."
    )

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(30, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    least_coverage: float = Field(
        0.8, ge=0, le=1, description="share of the held rating that must be covered by readings"
    )

    def judge(self, view: View) -> Findings:
        """Find out whether the limit lies between the bounds."""
        tenants = view.tenants
        applies = (tenants.limit != NO_LIMIT) & tenants.binds_instantly
        between = applies & (tenants.low <= tenants.limit) & (tenants.limit < tenants.high)
        breach = between & (tenants.coverage >= self.least_coverage) & ~tenants.is_starting
        return Findings(
            # Too little coverage, or a start, is no breach here and no return: it ends a pending alarm.
            verdict=codes(breach, ~breach),
            value=in_kilowatts(tenants.high),
            limit=in_kilowatts(tenants.limit),
            returned=~between,
        )
