"""C4: a demand block closed above its limit."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from rules.base import Block, Desk, Findings, Judgement, Rule, Severity, Verdict
from rules.subject import SubjectKind
from rules.view import View


class BlockExceeded(Rule):
    """The mean over a demand block is above the mean of the limit over the same block.

    The limit's mean counts each version and each step of a ramp for its part of the block. The verdict
    stands until the next block closes: a billing breach is a fact, so there is no delay and no deadband. A
    block is judged by source time once its readings have arrived (`[engine] settle_after_s`, a minute), so
    late readings count in the block that they were measured in.
    """

    name: ClassVar[str] = "C4"
    title: ClassVar[str] = "demand block above the contracted limit"
    kind: ClassVar[SubjectKind] = SubjectKind.TENANT
    block: ClassVar[Block] = Block.CLOSED
    unit: ClassVar[str] = "kW"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CONTRACT, Desk.CHANNEL)
    look_at: ClassVar[str] = (
        "Keep the readings of the block; the account team tells the tenant what it costs."
    )
    judges: ClassVar[frozenset[Judgement]] = frozenset({Judgement.SETTLED})
    needs_acknowledgement: ClassVar[bool] = True
    unknown_pages: ClassVar[bool] = True
    unknown_title: ClassVar[str] = "cannot verify that the demand block kept the contract"
    unknown_look_at: ClassVar[str] = (
        "Read the energy registers over the block; the account team needs them where readings are missing."
    )

    severity: Severity = Field(Severity.HIGH, description="how bad it is")
    on_delay_s: float = Field(0, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(0, ge=0, description="how long it must be over for the alarm to end [s]")
    unknown_delay_s: float = Field(
        0, ge=0, description="how long not being able to tell lasts before it is an alarm [s]"
    )

    def judge(self, view: View) -> Findings:
        """Report how the last closed block ended."""
        demand = view.demand
        return Findings(
            verdict=demand.closed_verdict,
            value=demand.closed_kw,
            limit=demand.closed_limit_kw,
            returned=demand.closed_verdict == Verdict.CLEAR,
        )
