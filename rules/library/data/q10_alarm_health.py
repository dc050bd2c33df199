"""Q10: an alarm chatters, or the alarms of a rule are a flood."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from rules.alarms.openings import CHATTERS, CHATTERS_WITHIN_MS, FLOOD_BEGINS, FLOOD_ENDS
from rules.base import Damping, Desk, Findings, Rule, Severity, SeverityStep, Steps, codes
from rules.subject import SubjectKind
from rules.view import View


class AlarmHealth(Rule):
    """An alarm opens again and again, or a rule has more alarms than anybody can take in.

    An alarm (a rule and a subject) that opens three times in a minute, or ten times in ten minutes, chatters
    until it has not opened for ten minutes: meanwhile openings are told that stand for a minute. Of a rule,
    ten alarms below high severity are told in ten minutes; what opens beyond that is held back until the
    flood is over: fewer than five alarms of the rule were told in ten minutes, are held back or chatter.
    What is critical is told each time, and so are a leak and an imminent trip; so is each return of what was
    told. What another alarm hides counts for neither. ISA-18.2 and EEMUA 191 give the counts; ten openings in
    ten minutes and the quiet time are our choice.
    """

    name: ClassVar[str] = "Q10"
    title: ClassVar[str] = "too many alarms"
    kind: ClassVar[SubjectKind] = SubjectKind.ALARM
    unit: ClassVar[str] = "alarms"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.TICKET,)
    look_at: ClassVar[str] = (
        "List them with `megawatch alarms`; look at the sensor, then at the delays and the limit of its rule."
    )
    severity_steps: ClassVar[Steps] = (
        SeverityStep(
            Severity.MEDIUM, "where a flood holds back alarms of medium severity", desks=(Desk.CHANNEL,)
        ),
    )

    severity: Severity = Field(Severity.LOW, description="how bad it is")
    on_delay_s: float = Field(0, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(0, ge=0, description="how long it must be over for the alarm to end [s]")
    least_openings: int = Field(
        CHATTERS, ge=2, le=100, description="openings within `within_s` that are chatter"
    )
    within_s: float = Field(
        CHATTERS_WITHIN_MS / 1_000,
        gt=0,
        le=600,
        description="within how long, and how long an alarm that chatters must stand to be told [s]",
    )
    quiet_s: float = Field(
        600, gt=0, le=86_400, description="how long it must not have opened to chatter no more [s]"
    )
    most_alarms: int = Field(
        FLOOD_BEGINS,
        ge=1,
        description="alarms of a rule in 10 min; more are a flood, and so many openings of one are chatter",
    )
    few_alarms: int = Field(FLOOD_ENDS, ge=1, description="fewer alarms of a rule than this end a flood")

    @property
    def damping(self) -> Damping:
        """From when on alarms are held back."""
        return Damping(
            least_openings=self.least_openings,
            within_ms=round(self.within_s * 1_000),
            quiet_ms=round(self.quiet_s * 1_000),
            most_alarms=self.most_alarms,
            few_alarms=self.few_alarms,
        )

    def judge(self, view: View) -> Findings:
        """Report the alarms that chatter and the rules that flood."""
        alarms = view.alarms
        return Findings(
            verdict=codes(alarms.is_on, ~alarms.is_on),
            value=alarms.openings.astype(np.float64),
            limit=alarms.limit.astype(np.float64),
            returned=~alarms.is_on,
            severity=self.severities(alarms.severity >= Severity.MEDIUM),
        )
