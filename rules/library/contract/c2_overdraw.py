"""C2: the tenant draws more than it contracted, for certain."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from rules.base import Desk, Findings, Judgement, Rule, Severity, SeverityStep, Steps, codes
from rules.fixed_point import in_kilowatts, lowered
from rules.subject import SubjectKind
from rules.view import NO_LIMIT, View


class Overdraw(Rule):
    """The lower bound of the draw is above the limit, under a clause that binds at every moment.

    Exactly at the limit is compliant. The clause is that of leases with an electricity consumption threshold;
    the on-delay of 5 s is no part of it but keeps single readings from paging (our choice). Above the
    contract's critical share it is critical: NVIDIA's DSX Flex splits at 20 % over target. What a gap hid is
    found once its readings have arrived, and told as past.

    A draw that swings around the limit, 4 s above and 4 s below, never lasts as long as the on-delay. It
    opens the alarm once it was above for 20 s of the last 60 s (our choice), unless the contract itself says
    how long a draw must stay above.
    """

    name: ClassVar[str] = "C2"
    title: ClassVar[str] = "draw above the contracted limit"
    kind: ClassVar[SubjectKind] = SubjectKind.TENANT
    unit: ClassVar[str] = "kW"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.PAGE, Desk.CONTRACT)
    look_at: ClassVar[str] = (
        "Look at the racks that rose most; agree with the tenant what to take off; note when it was told."
    )
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.CRITICAL, "above the contract's critical share"),
    )
    judges: ClassVar[frozenset[Judgement]] = frozenset({Judgement.LIVE, Judgement.SETTLED})
    needs_acknowledgement: ClassVar[bool] = True
    unknown_pages: ClassVar[bool] = True
    unknown_title: ClassVar[str] = "cannot verify that the draw keeps the contract"
    unknown_look_at: ClassVar[str] = (
        "Find out why readings are missing; until they are heard, ask the tenant what it draws."
    )

    severity: Severity = Field(Severity.HIGH, description="how bad it is up to the critical share")
    on_delay_s: float = Field(5, ge=0, description="how long it must last, at least as the contract says [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    above_s: float = Field(
        20, ge=0, description="how long it must last within the window, with breaks; 0 for no such memory [s]"
    )
    deadband_percent: float = Field(
        1, ge=0, lt=50, description="how far below the limit the draw must fall [%]"
    )

    def judge(self, view: View) -> Findings:
        """Hold the bounds of the draw against the limit in force."""
        tenants = view.tenants
        limit = tenants.limit
        applies = (limit != NO_LIMIT) & tenants.binds_instantly
        critical = tenants.low > tenants.critical
        return Findings(
            verdict=codes(tenants.low > limit, tenants.high <= limit, applies),
            value=in_kilowatts(tenants.best),
            limit=in_kilowatts(limit),
            returned=~applies | (tenants.high <= lowered(limit, self.deadband_percent)),
            severity=self.severities(critical),
            on_delay_ms=np.maximum(tenants.sustain_ms, round(self.on_delay_s * 1_000)),
        )
