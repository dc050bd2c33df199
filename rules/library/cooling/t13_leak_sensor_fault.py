"""T13: a leak detector is faulty."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.readings import FloatArray
from rules.base import Desk, OneSided, Severity
from rules.model.measured import Measured
from rules.model.tables import Table
from rules.subject import SubjectKind


class LeakSensorFault(OneSided):
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

    def value(self, table: Table) -> Measured:
        """Return the state of the detectors of each asset: 1 for a fault."""
        return table.largest("leak.fault")

    def limit(self, table: Table) -> FloatArray:
        """Return the state of sound detectors."""
        return np.zeros(len(table))
