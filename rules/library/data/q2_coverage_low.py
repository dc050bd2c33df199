"""Q2: too much of a tenant is silent."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from rules.base import Desk, Findings, Rule, Severity, SeverityStep, Steps, codes
from rules.subject import SubjectKind
from rules.view import View


class CoverageLow(Rule):
    """The share of a tenant's rating that is covered by fresh readings is low.

    Below 80 % its sum is valid for no decision about the contract: Meta's Dynamo treats a sum as invalid when
    more than 20 % of its servers give no reading (ISCA 2016). 95 % is our choice. It is not told beside what
    all its silent racks have in common: a feed that is lost (E4), or a common silence (Q3).
    """

    name: ClassVar[str] = "Q2"
    title: ClassVar[str] = "too few readings of a tenant"
    kind: ClassVar[SubjectKind] = SubjectKind.TENANT
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA, Desk.CHANNEL)
    look_at: ClassVar[str] = "Find what the silent racks have in common: a gateway, a network, a publisher."
    severity_steps: ClassVar[Steps] = (SeverityStep(Severity.HIGH, "below `invalid_share`"),)

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is above the lower level")
    on_delay_s: float = Field(30, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    low_share: float = Field(0.95, ge=0, le=1, description="coverage below which it is an alarm")
    invalid_share: float = Field(0.80, ge=0, le=1, description="coverage below which it is of high severity")
    deadband: float = Field(0.01, ge=0, lt=0.5, description="how far above the level coverage must rise")

    def judge(self, view: View) -> Findings:
        """Hold the coverage of each tenant against the levels."""
        coverage, has_racks = view.tenants.coverage, view.tenants.has_racks
        low = (coverage < self.low_share) & has_racks & ~view.tenants.is_starting
        low[-1] = False  # what is not contracted breaks no contract: Q1 says how much of it is silent
        return Findings(
            verdict=codes(low, ~low),
            value=coverage * 100,
            limit=np.full(len(coverage), self.low_share * 100),
            returned=~has_racks | (coverage >= min(1.0, round(self.low_share + self.deadband, 9))),
            severity=self.severities(coverage < self.invalid_share),
        )
