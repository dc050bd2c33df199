"""T11: the coolant supply is close to the dew point of the air around it."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.readings import BoolArray, FloatArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import OneSided
from rules.model.measured import Measured, below
from rules.model.rows import Place
from rules.model.tables import Fold, Table
from rules.subject import SubjectKind

AROUND: Final = Place(without=("outdoor", "outside"), is_around=True)


class Condensation(OneSided):
    """The coolant supply of a rack is hardly warmer than the dew point there: water condenses on the pipes.

    Guides of liquid-cooled racks ask for 2 to 3 K above the dew point: the highest of what the rack itself,
    the sensors that serve it, and the rooms, rows and halls that it stands in measure; not of outdoor air.
    """

    name: ClassVar[str] = "T11"
    title: ClassVar[str] = "coolant supply near the dew point"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("coolant.supply", "dew.point")
    falls: ClassVar[bool] = True
    unit: ClassVar[str] = "K"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "Raise the coolant supply set point, or dry the room's air."
    severity_steps: ClassVar[Steps] = (
        SeverityStep(
            Severity.CRITICAL, "below `critical_k`", on_delay="critical_delay_s", desks=(Desk.PAGE,)
        ),
    )

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(120, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(300, ge=0, description="how long it must be over for the alarm to end [s]")
    margin_k: float = Field(3, ge=0, le=20, description="least distance to the dew point [K]")
    critical_k: float = Field(1, ge=-5, le=20, description="distance below which it is critical [K]")
    critical_delay_s: float = Field(30, ge=0, description="how long it must last below `critical_k` [s]")
    deadband_k: float = Field(0.5, ge=0, lt=10, description="how far above it must be for an end [K]")

    def value(self, table: Table) -> Measured:
        """Return how far each rack's supply is above the dew point."""
        return table.smallest("coolant.supply") - table.at("dew.point", AROUND, fold=Fold.LARGEST)

    def limit(self, table: Table) -> FloatArray:
        """Return the least distance."""
        return np.full(len(table), self.margin_k)

    def deadband(self, limit: FloatArray) -> float:
        """Return the deadband [K]."""
        del limit
        return self.deadband_k

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return where water is about to condense."""
        del table
        return (below(value, self.critical_k).holds,)
