"""Q6: a clock is off: that of a publisher, or our own."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from rules.base import Desk, Findings, Rule, Severity, SeverityStep, Steps, codes
from rules.model.rows import Links
from rules.subject import SubjectKind
from rules.view import View

TOLD_SOONER_S: Final = 10
NO_RACKS: Final = np.zeros(0, np.intp)


class ClockOff(Rule):
    """What a publisher stamps is not when it arrives, or several values of a point have one stamp.

    Above zero it is ahead: nothing is measured after it arrives. Below zero it is behind by what every
    reading of the last minutes was late at least: a slow clock, or a way that takes so long. Whole hours or
    quarters of one are a zone written as another. The page tells a constant offset, a drift (seconds a day)
    and a jump within the last hour apart; which it is shows once the clock was heard for a minute. Beyond
    30 s ahead and 7 days behind values are refused: this rule tells it with
    the racks and their tenants, Q2 and Q5 say nothing beside it, and these racks are not called silent. The
    subject `monitor` is the clock of our own machine, told for a minute after it was set. The levels are our
    choice.
    """

    name: ClassVar[str] = "Q6"
    title: ClassVar[str] = "clock off"
    kind: ClassVar[SubjectKind] = SubjectKind.PUBLISHER
    unit: ClassVar[str] = "s"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA,)
    look_at: ClassVar[str] = (
        "Look at the time service and the zone of the publisher's machine; its racks are likely well. Where "
        "its clock is right, its readings take so long on their way."
    )
    severity_steps: ClassVar[Steps] = (SeverityStep(Severity.MEDIUM, "from `severe_s` on"),)

    severity: Severity = Field(Severity.LOW, description="how bad it is within the upper level")
    on_delay_s: float = Field(60, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    tolerance_s: float = Field(2, gt=0, description="how far a clock may be off [s]")
    severe_s: float = Field(
        30, gt=0, description="from where on it is of medium severity, and told after 10 s [s]"
    )

    def judge(self, view: View) -> Findings:
        """Report the clocks that are off."""
        publishers = view.publishers
        offset_s = publishers.offset_ms / 1_000
        off_s = np.abs(offset_s)
        breach = (off_s > self.tolerance_s) | publishers.says_two
        severe = off_s >= self.severe_s
        delay_ms = round(self.on_delay_s * 1_000)
        return Findings(
            verdict=codes(breach, ~breach),
            value=np.where(off_s > self.tolerance_s, offset_s, np.nan),
            limit=np.full(len(off_s), self.tolerance_s),
            returned=~breach,
            severity=self.severities(severe),
            on_delay_ms=np.where(severe, min(delay_ms, TOLD_SOONER_S * 1_000), delay_ms),
        )

    def racks(self, view: View) -> Links:
        """Return the racks of each publisher that are refused for their stamps: these its clock explains."""
        racks = view.racks
        of_each = (racks.publishers.get(name, NO_RACKS) for name in view.publishers.ids)
        return Links.of([places[racks.is_misdated[places]] for places in of_each])
