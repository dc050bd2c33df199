"""T12: a leak detector is wet."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from rules.base import Desk, Severity
from rules.comparison import StateFault
from rules.subject import SubjectKind


class Leak(StateFault):
    """A leak detector of a rack, a tray or a coolant unit tells a leak.

    Two samples rule out a glitch. It stays on the list until it is acknowledged: water that is gone may have
    run under the floor. Nothing hides it.
    """

    name: ClassVar[str] = "T12"
    title: ClassVar[str] = "leak"
    kind: ClassVar[SubjectKind] = SubjectKind.LEAK_DETECTION
    quantities: ClassVar[tuple[str, ...]] = ("leak",)
    unit: ClassVar[str] = ""
    desks: ClassVar[tuple[Desk, ...]] = (Desk.PAGE,)
    look_at: ClassVar[str] = "Go there. Isolate the rack or the loop before you open anything."
    needs_acknowledgement: ClassVar[bool] = True
    is_never_suppressed: ClassVar[bool] = True

    severity: Severity = Field(Severity.CRITICAL, description="how bad it is")
    on_delay_s: float = Field(2, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
