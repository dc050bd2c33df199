"""T5: a coolant unit does not keep its set point."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from facility.readings import BoolArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import Band
from rules.model.measured import Condition, Measured, above
from rules.model.rows import Place
from rules.model.tables import Table
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind

SUPPLY: Final = Place(within=("secondary", "supply"))
SET_POINT: Final = Place(within=("secondary", "supply"), is_target=True)
RUNS_PERCENT: Final = 1.0
"""Speed above which a pump runs (our choice)."""
PUMPS: Final = Window(
    "pump.speed",
    Statistic.STOOD,
    1_200,
    places=(Place(without=("fill",)), Place(without=("fill",), kind="Pump")),
    level=RUNS_PERCENT,
    level_s=60,
)
"""Whether all pumps of a unit stood within 20 minutes, for a minute on end (our choice)."""


class SupplyOffSetPoint(Band):
    """The secondary supply of a coolant unit is off its set point: valve, pump or facility water is at fault.

    2 K for two minutes, with a hysteresis of 1 K, are the defaults of coolant units (Coolcentric's manual);
    so is that nothing is told for 20 minutes after the pumps started: after all that are measured stood for a
    minute at least. Set point and temperature are those whose area on the bus says `Secondary` and `Supply`.
    Racks that get it too warm (T6) are told by it alone, with their tenants; it is not told beside facility
    water that is too warm (T17).
    """

    name: ClassVar[str] = "T5"
    title: ClassVar[str] = "coolant supply off its set point"
    kind: ClassVar[SubjectKind] = SubjectKind.COOLANT_UNIT
    quantities: ClassVar[tuple[str, ...]] = ("coolant.temperature",)
    windows: ClassVar[tuple[Window, ...]] = (PUMPS,)
    unit: ClassVar[str] = "K"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "Look at the unit's control valve and its facility water, then at its load."
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.HIGH, "above `hot_c`", on_delay="hot_delay_s", desks=(Desk.PAGE,)),
    )

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(120, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    most_k: float = Field(2, gt=0, le=20, description="how far the supply may be off its set point [K]")
    deadband_k: float = Field(1, ge=0, lt=10, description="how far within that it must be to end [K]")
    hot_c: float = Field(
        45, ge=10, le=70, description="supply above which it is graver: the class of the racks (T6) [°C]"
    )
    hot_delay_s: float = Field(30, ge=0, description="how long it must last above `hot_c` [s]")

    def value(self, table: Table) -> Measured:
        """Return how far each unit's supply is above its set point."""
        return table.at("coolant.temperature", SUPPLY) - table.at("coolant.temperature", SET_POINT)

    def least(self, table: Table) -> float:
        """Return how far below it may be [K]."""
        del table
        return -self.most_k

    def most(self, table: Table) -> float:
        """Return how far above it may be [K]."""
        del table
        return self.most_k

    def deadband(self) -> float:
        """Return the deadband [K]."""
        return self.deadband_k

    def applies(self, table: Table) -> Condition:
        """Return where the pumps are not known to have stood within the last 20 minutes."""
        return Condition.of(~above(table.over(PUMPS), 0).holds)

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return which units give coolant that is too warm for racks."""
        too_warm = above(value, self.most_k) & above(table.at("coolant.temperature", SUPPLY), self.hot_c)
        return (too_warm.holds,)
