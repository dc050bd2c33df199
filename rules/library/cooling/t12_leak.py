"""T12: a leak detector is wet."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.readings import FloatArray
from rules.base import Desk, OneSided, Severity
from rules.model.measured import Measured
from rules.model.tables import Table
from rules.subject import SubjectKind


class Leak(OneSided):
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

    severity: Severity = Field(Severity.CRITICAL, description="how bad it is")
    on_delay_s: float = Field(2, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")

    def value(self, table: Table) -> Measured:
        """Return the state of the detectors of each asset: 1 for a leak."""
        return table.largest("leak")

    def limit(self, table: Table) -> FloatArray:
        """Return the state of dry detectors."""
        return np.zeros(len(table))
