"""T6: coolant reaches a rack warmer than its servers allow."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.readings import FloatArray
from rules.base import Desk, Severity
from rules.comparison import TemperatureLimit
from rules.model.measured import Measured
from rules.model.tables import Table
from rules.subject import SubjectKind


class SupplyHot(TemperatureLimit):
    """The coolant supply of a rack is above the temperature of its class.

    ASHRAE's classes S30 to S50 of the technology cooling system name the highest supply temperature; 45 °C
    is that of NVIDIA's guide for its present racks. Set `class_c` to what yours say.
    """

    name: ClassVar[str] = "T6"
    title: ClassVar[str] = "coolant supply above its class"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("coolant.supply",)
    unit: ClassVar[str] = "°C"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.PAGE,)
    look_at: ClassVar[str] = "Look at the coolant unit's facility water: its supply temperature and its flow."

    severity: Severity = Field(Severity.HIGH, description="how bad it is")
    on_delay_s: float = Field(30, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    class_c: float = Field(45, ge=10, le=70, description="highest supply temperature of the class [°C]")

    def value(self, table: Table) -> Measured:
        """Return the supply temperature of each rack."""
        return table.largest("coolant.supply")

    def limit(self, table: Table) -> FloatArray:
        """Return the temperature of the class."""
        return np.full(len(table), self.class_c)
