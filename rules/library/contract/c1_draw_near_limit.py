"""C1: the draw comes near the contracted limit."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from rules.base import Desk, Findings, Rule, Severity, codes
from rules.fixed_point import in_kilowatts, lowered
from rules.subject import SubjectKind
from rules.view import NO_LIMIT, View


class DrawNearLimit(Rule):
    """The best estimate of the draw is above the warning share of the limit.

    The share is the contract's own, 95 % where it says nothing: the level to which Meta's Dynamo caps a
    breaker (ISCA 2016).
    """

    name: ClassVar[str] = "C1"
    title: ClassVar[str] = "draw near the contracted limit"
    kind: ClassVar[SubjectKind] = SubjectKind.TENANT
    unit: ClassVar[str] = "kW"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL, Desk.CONTRACT)
    look_at: ClassVar[str] = (
        "Compare the draw with the forecast of the block; ask the tenant what it is starting."
    )

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(60, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(120, ge=0, description="how long it must be over for the alarm to end [s]")
    deadband_percent: float = Field(
        2, ge=0, lt=50, description="how far below the warning level the draw must fall [%]"
    )

    def judge(self, view: View) -> Findings:
        """Hold the draw against the warning share of the limit in force."""
        tenants = view.tenants
        level, applies = tenants.warn, tenants.limit != NO_LIMIT
        return Findings(
            verdict=codes(tenants.best > level, tenants.high <= level, applies),
            value=in_kilowatts(tenants.best),
            limit=in_kilowatts(tenants.limit),
            returned=~applies | (tenants.high <= lowered(level, self.deadband_percent)),
        )
