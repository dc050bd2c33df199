"""Q1: a rack's power is not known."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from rules.base import Desk, Findings, Rule, Severity, SeverityStep, Steps, codes
from rules.model.rows import Links
from rules.subject import SubjectKind
from rules.view import View

NOBODYS: Final = "racks that nobody contracted"
"""The subject that stands for all of them."""


class RackSilent(Rule):
    """A rack's power is too old, was not heard in time, or is not to be trusted.

    How old is too old depends on the source: three periods and at least 5 s for a periodic one; for one that
    publishes on change, 110 s, or its publisher's heartbeat being away for 30 s. DSX repeats a value after
    100 s and beats every 10 s; the margins are our choice. A rack that was never heard is silent once it must
    have spoken: until then it is starting. Racks that nobody contracted are told together, in one alarm.
    """

    name: ClassVar[str] = "Q1"
    title: ClassVar[str] = "rack silent"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    beside: ClassVar[tuple[str, ...]] = (NOBODYS,)
    unit: ClassVar[str] = "s"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA,)
    look_at: ClassVar[str] = (
        "Look at the rack's meter and its gateway; its tenant's draw has bounds meanwhile."
    )
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.MEDIUM, "after `medium_after_s`, of a rack that somebody contracted"),
    )

    severity: Severity = Field(Severity.LOW, description="how bad it is at first")
    on_delay_s: float = Field(10, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(10, ge=0, description="how long it must be over for the alarm to end [s]")
    medium_after_s: float = Field(300, ge=0, description="how long until it is of medium severity [s]")

    def judge(self, view: View) -> Findings:
        """Report the silent racks."""
        racks = view.racks
        if not racks.is_silent.any():
            return Findings.clear(len(racks.ids) + 1, 0.0)
        nobodys = racks.is_silent & ~racks.is_contracted
        is_silent = np.append(racks.is_silent & racks.is_contracted, nobodys.any())
        silent_ms = np.append(racks.silent_ms, racks.silent_ms[nobodys].max(initial=0))
        is_long = (silent_ms > self.medium_after_s * 1_000) & np.append(racks.is_contracted, False)
        return Findings(
            verdict=codes(is_silent, ~is_silent),
            value=silent_ms / 1_000,
            limit=np.zeros(len(is_silent)),
            returned=~is_silent,
            severity=self.severities(is_long),
        )

    def racks(self, view: View) -> Links:
        """Return each rack, and all that nobody contracted and are silent."""
        racks = view.racks
        nobodys = np.flatnonzero(racks.is_silent & ~racks.is_contracted)
        count = len(racks.ids)
        return Links(
            np.append(np.arange(count), nobodys), np.append(np.arange(count + 1), count + len(nobodys))
        )
