"""E1: a circuit carries more than it may carry for long."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from facility.readings import BoolArray, FloatArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import Threshold
from rules.model.measured import Measured, above, chosen, largest_of
from rules.model.tables import Table
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause

HEATS: Final = Window("current.phase", Statistic.RMS, 60)
"""What a current that swings heats a circuit by."""


class BreakerLoad(Threshold):
    """The line of a circuit that carries most is above its share of the rated current.

    A breaker may carry 80 % of its rating for three hours and more (NEC 210.20, 215.3), one that is rated for
    it 100 %: set `percent`. Ten minutes leave time to shift load (our choice). Above its rating it trips
    sooner or later. The rating is `rated_a` of the site file, else the current limit that the bus tells
    where that is above 0 A. The circuit's own current, where it is measured, counts like that of a phase: one
    of its lines carries as much at least, whatever is known of the phases.

    A current that swings every few seconds heats by the root of its mean square. That of the last minute
    counts where it is more than the current now (our choice).
    """

    name: ClassVar[str] = "E1"
    title: ClassVar[str] = "circuit loaded above what it may carry for long"
    kind: ClassVar[SubjectKind] = SubjectKind.BREAKER
    quantities: ClassVar[tuple[str, ...]] = ("current.phase", "current", "current.limit")
    windows: ClassVar[tuple[Window, ...]] = (HEATS,)
    unit: ClassVar[str] = "A"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "Compare the phases; shift load to the other feed or to another circuit."
    severity_steps: ClassVar[Steps] = (SeverityStep(Severity.CRITICAL, "above `critical_percent` of it"),)

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(600, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(600, ge=0, description="how long it must be over for the alarm to end [s]")
    percent: float = Field(80, gt=0, le=150, description="share of the rated current that may last [%]")
    critical_percent: float = Field(100, gt=0, le=200, description="share from which it is critical [%]")

    def value(self, table: Table) -> Measured:
        """Return the current of the line that carries most, or what it heats by where that is more."""
        now = table.line_current()
        return chosen(now.cause == Cause.NO_POINT, now, largest_of(now, table.over(HEATS)))

    def limit(self, table: Table) -> FloatArray:
        """Return the current that each circuit may carry for long."""
        return table.rated_current() * self.percent / 100

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return which circuits carry more than they are rated for."""
        return (above(value, table.rated_current() * self.critical_percent / 100).holds,)
