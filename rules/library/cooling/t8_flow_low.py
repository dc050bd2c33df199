"""T8: a rack gets too little coolant for what it draws."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.readings import FloatArray
from rules.base import Desk, Severity
from rules.comparison import DRAW_OF_A_MINUTE, OfSteadilyLoadedRacks, Threshold
from rules.model.measured import Measured
from rules.model.tables import Table
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind

FLOW: Window = Window("rack.coolant.flow", Statistic.MEAN, 60)


class FlowLow(Threshold, OfSteadilyLoadedRacks):
    """A rack that is loaded gets less coolant for each kilowatt than its servers need.

    Racks are designed for 1.0 to 1.5 L/min and kilowatt (OCP: 1.5 at 10 K; NVIDIA's guide: 1.5 with PG25).
    Flow and draw are means of a minute, for pumps hunt and loads swing with each step of a training run.
    """

    name: ClassVar[str] = "T8"
    title: ClassVar[str] = "too little coolant flow for the load"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("rack.coolant.flow",)
    windows: ClassVar[tuple[Window, ...]] = (FLOW, DRAW_OF_A_MINUTE)
    falls: ClassVar[bool] = True
    unit: ClassVar[str] = "L/min per kW"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.PAGE,)
    look_at: ClassVar[str] = "Compare the rack's flow with its neighbours', then its filter and its valve."

    severity: Severity = Field(Severity.HIGH, description="how bad it is")
    on_delay_s: float = Field(60, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(120, ge=0, description="how long it must be over for the alarm to end [s]")
    deadband_percent: float = Field(
        5, ge=0, lt=50, description="how far above the limit it must be for the alarm to end [%]"
    )
    least_lpm_per_kw: float = Field(
        1.0, gt=0, le=10, description="least coolant for each kilowatt [L/min per kW]"
    )

    def value(self, table: Table) -> Measured:
        """Return the flow of each rack for each kilowatt that it draws."""
        return table.over(FLOW).per(self.draw(table))

    def limit(self, table: Table) -> FloatArray:
        """Return what a kilowatt needs."""
        return np.full(len(table), self.least_lpm_per_kw)
