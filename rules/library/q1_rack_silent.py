"""Q1: a rack's power is not known."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.readings import BoolArray
from rules.base import Active, Desk, Findings, Rule, Severity, codes
from rules.view import View

COMMON_CAUSE = "Q3"


class RackSilent(Rule):
    """A rack's power was never heard, is too old, or is not to be trusted.

    How old is too old depends on the source: three periods and at least 5 s for a periodic one; for one that
    publishes on change, 110 s, or its publisher's heartbeat being away for 30 s. DSX repeats a value after
    100 s and beats every 10 s; the margins are our choice.
    """

    name: ClassVar[str] = "Q1"
    title: ClassVar[str] = "rack silent"
    unit: ClassVar[str] = "s"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA,)
    look_at: ClassVar[str] = (
        "Look at the rack's meter and its gateway; its tenant's draw has bounds meanwhile."
    )

    severity: Severity = Field(Severity.LOW, description="how bad it is at first")
    on_delay_s: float = Field(10, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(10, ge=0, description="how long it must be over for the alarm to end [s]")
    medium_after_s: float = Field(300, ge=0, description="how long until it is of medium severity [s]")

    def subjects(self, view: View) -> tuple[str, ...]:
        """Return the racks."""
        return view.racks.ids

    def judge(self, view: View) -> Findings:
        """Report the silent racks."""
        racks = view.racks
        long_silent = racks.silent_ms > self.medium_after_s * 1_000
        return Findings(
            verdict=codes(racks.is_silent, ~racks.is_silent),
            value=racks.silent_ms / 1_000,
            limit=np.zeros(len(racks.ids)),
            returned=~racks.is_silent,
            severity=np.where(long_silent, max(Severity.MEDIUM, self.severity), self.severity).astype(
                np.int8
            ),
        )

    def suppressed(self, view: View, active: Active) -> BoolArray | None:
        """Say nothing of racks whose silence has a common cause that is known."""
        told = active(COMMON_CAUSE)
        if told is None:
            return None
        silent = np.zeros(len(view.racks.ids), np.bool_)
        for places, is_active in zip(view.racks.groups.values(), told.tolist(), strict=True):
            if is_active:
                silent[places] = True
        return silent
