"""E6: a UPS, a transformer, a generator or a circuit carries more than it is rated for."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.readings import BoolArray, FloatArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import Threshold
from rules.model.measured import Measured, above, largest_of, relative
from rules.model.tables import Table
from rules.subject import SubjectKind


class Overload(Threshold):
    """The load is above the rating: apparent power, active power, current, or what a UPS tells in percent.

    A UPS carries an overload for a short time, then it goes to bypass or drops the load: designs without a
    reserve count on about 10 s at 133 % (Microsoft's Flex, from memory). What is rated is `rated_kva`,
    `rated_kw` or `rated_a` of the site file; a UPS that tells its load in percent needs none. The current is
    that of the line that carries most, of which the circuit's own current counts as one where it is measured.
    Where E2 tells when the breaker of a circuit trips, this says nothing more.
    """

    name: ClassVar[str] = "E6"
    title: ClassVar[str] = "load above the rating"
    kind: ClassVar[SubjectKind] = SubjectKind.NODE
    quantities: ClassVar[tuple[str, ...]] = (
        "meter.power.apparent",
        "meter.power.active",
        "ups.load",
        "current.phase",
        "current",
    )
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.PAGE,)
    look_at: ClassVar[str] = "Shed or shift load before it goes to bypass; see what failed beside it."
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.CRITICAL, "above `critical_percent` of the rating", "critical_on_delay_s"),
    )

    severity: Severity = Field(Severity.HIGH, description="how bad it is")
    on_delay_s: float = Field(10, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    percent: float = Field(100, gt=0, le=200, description="share of the rating that may be carried [%]")
    critical_percent: float = Field(
        125, gt=0, le=300, description="share of the rating from which it is critical [%]"
    )
    critical_on_delay_s: float = Field(
        1, ge=0, description="how long it must last to become an alarm that is critical [s]"
    )

    def value(self, table: Table) -> Measured:
        """Return the load of each, as a share of its rating."""
        return largest_of(
            relative(table.measured("meter.power.apparent"), table.setting("rated_kva")) * 100,
            relative(table.measured("meter.power.active"), table.setting("rated_kw")) * 100,
            relative(table.line_current(), table.setting("rated_a")) * 100,
            table.measured("ups.load"),
        )

    def limit(self, table: Table) -> FloatArray:
        """Return the largest share, of what is rated or tells its load in percent."""
        is_rated = ~np.isnan([table.setting(name) for name in ("rated_kva", "rated_kw", "rated_a")]).all(
            axis=0
        )
        return np.where(is_rated | table.is_measured("ups.load"), self.percent, np.nan)

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return what is overloaded by so much that seconds count."""
        del table
        return (above(value, self.critical_percent).holds,)
