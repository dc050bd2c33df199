"""C5: the open demand block will close above its limit if nothing changes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from rules.base import Block, Desk, Findings, Rule, Severity, SeverityStep, Steps, Verdict
from rules.subject import SubjectKind
from rules.view import View


class BlockForecast(Rule):
    """Energy so far plus the mean of the last 30 s for the rest of the block exceeds what it may take.

    `(E + P·r) / T > limit`, once a third of the block is over: before that the forecast is mostly `P`. Both
    are our choice. Blocks of 15 min are the usual demand interval of utilities.
    """

    name: ClassVar[str] = "C5"
    title: ClassVar[str] = "demand block will end above the contracted limit"
    kind: ClassVar[SubjectKind] = SubjectKind.TENANT
    block: ClassVar[Block] = Block.OPEN
    unit: ClassVar[str] = "kW"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL, Desk.CONTRACT)
    look_at: ClassVar[str] = "There is time until the block closes: agree with the tenant what to hold back."
    severity_steps: ClassVar[Steps] = (SeverityStep(Severity.HIGH, "with less than `urgent_s` left"),)

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(30, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    deadband_percent: float = Field(
        1, ge=0, lt=50, description="how far below the limit the forecast must fall [%]"
    )
    least_elapsed: float = Field(
        1 / 3, ge=0, lt=1, description="share of the block that must be over before a forecast counts"
    )
    urgent_s: float = Field(180, ge=0, description="time left from which on it is of high severity [s]")

    def judge(self, view: View) -> Findings:
        """Hold the forecast of the open block against its limit."""
        demand = view.demand
        counts = demand.elapsed_share >= self.least_elapsed
        # Too early to foresee a breach; only a proof that the block will be kept ends that of the one before.
        early = np.where(demand.forecast_verdict == Verdict.CLEAR, Verdict.CLEAR, Verdict.UNKNOWN)
        verdict = np.where(counts, demand.forecast_verdict, early).astype(np.int8)
        urgent = demand.left_ms < self.urgent_s * 1_000
        fallen = ~(demand.forecast_kw > demand.limit_kw * (1 - self.deadband_percent / 100))
        return Findings(
            verdict=verdict,
            value=demand.forecast_kw,
            limit=demand.limit_kw,
            returned=(verdict == Verdict.CLEAR) & fallen,
            severity=self.severities(urgent),
        )
