"""E4: a part of the power path has no voltage, so racks beneath it live on one feed or are dark."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.readings import BoolArray, FloatArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import Threshold
from rules.model.measured import Measured, below
from rules.model.tables import Table
from rules.subject import SubjectKind


class FeedLost(Threshold):
    """The voltage of a power node is below half of its nominal voltage: the feed that it belongs to is lost.

    Every rack beneath it is without redundancy, and dark where its other feeds are lost too: that is
    critical. Of a node whose nominal voltage (`nominal_v`) the site file does not give, less than `dead_v` is
    none: no mains is so low. Only the uppermost node that is dead tells, with the racks beneath it (levels
    and delay are our choice).
    """

    name: ClassVar[str] = "E4"
    title: ClassVar[str] = "feed lost"
    kind: ClassVar[SubjectKind] = SubjectKind.NODE
    looks_beyond: ClassVar[bool] = True
    quantities: ClassVar[tuple[str, ...]] = ("voltage.ll", "voltage.ln")
    falls: ClassVar[bool] = True
    unit: ClassVar[str] = "V"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.PAGE,)
    look_at: ClassVar[str] = (
        "See which switch or breaker above it opened, and what the other feed now carries."
    )
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.CRITICAL, "where a rack beneath it has no feed left"),
    )

    severity: Severity = Field(Severity.HIGH, description="how bad it is")
    on_delay_s: float = Field(2, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(30, ge=0, description="how long it must be over for the alarm to end [s]")
    dead_percent: float = Field(
        50, gt=0, lt=100, description="share of the nominal voltage below which a feed is lost [%]"
    )
    dead_v: float = Field(
        50, gt=0, le=400, description="voltage below which it is lost, where no nominal one is known [V]"
    )

    def value(self, table: Table) -> Measured:
        """Return the highest voltage of each node: one phase that is alive is another fault (E7, E8)."""
        return table.line_voltage(highest=True)

    def limit(self, table: Table) -> FloatArray:
        """Return below which voltage each node is dead."""
        nominal = table.setting("nominal_v") * self.dead_percent / 100
        return np.where(np.isnan(nominal), self.dead_v, nominal)

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return beneath which nodes a rack is dark."""
        dark = table.dark_racks(below(value, self.limit(table)).holds)
        return (table.any_rack(dark),)
