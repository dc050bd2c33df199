"""C9: the tenant draws more than its ramp allows yet."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from rules.base import Desk, Findings, Rule, Severity, codes
from rules.fixed_point import in_kilowatts, lowered
from rules.subject import SubjectKind
from rules.view import NO_LIMIT, View


class AheadOfRamp(Rule):
    """The best estimate is above the limit of this phase of the ramp.

    Leases step up by phase, and the phase is what holds (clauses on electricity consumption thresholds).
    Where every moment is held against the limit, C2 tells it, and this rule says nothing beside it.
    """

    name: ClassVar[str] = "C9"
    title: ClassVar[str] = "draw ahead of the ramp schedule"
    kind: ClassVar[SubjectKind] = SubjectKind.TENANT
    unit: ClassVar[str] = "kW"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CONTRACT, Desk.CHANNEL)
    look_at: ClassVar[str] = "Compare with the dates of the ramp: the tenant may have started a phase early."

    severity: Severity = Field(Severity.HIGH, description="how bad it is")
    on_delay_s: float = Field(60, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(120, ge=0, description="how long it must be over for the alarm to end [s]")
    deadband_percent: float = Field(
        1, ge=0, lt=50, description="how far below the limit the draw must fall [%]"
    )

    def judge(self, view: View) -> Findings:
        """Hold the draw against the phase and against the end of the ramp."""
        tenants = view.tenants
        ramping = (tenants.limit != NO_LIMIT) & (tenants.limit < tenants.final)
        return Findings(
            verdict=codes(tenants.best > tenants.limit, tenants.high <= tenants.limit, ramping),
            value=in_kilowatts(tenants.best),
            limit=in_kilowatts(tenants.limit),
            returned=~ramping | (tenants.high <= lowered(tenants.limit, self.deadband_percent)),
        )
