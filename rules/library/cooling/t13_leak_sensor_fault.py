"""T13: a leak detector is faulty."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from rules.base import Desk, Severity
from rules.comparison import StateFault
from rules.subject import SubjectKind


class LeakSensorFault(StateFault):
    """A leak detector says that it is faulty: a leak there would be told by nothing."""

    name: ClassVar[str] = "T13"
    title: ClassVar[str] = "leak detector faulty"
    kind: ClassVar[SubjectKind] = SubjectKind.LEAK_DETECTION
    quantities: ClassVar[tuple[str, ...]] = ("leak.fault",)
    unit: ClassVar[str] = ""
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "Look at the cable and the controller of the leak detector."

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(60, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
