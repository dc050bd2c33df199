"""T15: a valve is not where it was told to be."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from rules.base import Desk, Severity
from rules.comparison import Band
from rules.model.measured import Measured
from rules.model.rows import Place
from rules.model.tables import Table
from rules.subject import SubjectKind

POSITION: Final = "valve.position"
IS: Final = Place()
SHALL_BE: Final = Place(is_target=True)


class ValveMismatch(Band):
    """The position that a valve reports differs from its command: the actuator is stuck, or its feedback is.

    10 % after 15 minutes is the default of coolant units (Coolcentric's manual). The command is the point of
    the position that the bus marks as a set point. Where an asset has several valves that stand differently,
    nobody can tell which command is whose.
    """

    name: ClassVar[str] = "T15"
    title: ClassVar[str] = "valve not where it was told to be"
    kind: ClassVar[SubjectKind] = SubjectKind.VALVE
    quantities: ClassVar[tuple[str, ...]] = (POSITION,)
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "Look at the valve itself, whether it moves when its command changes."

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(900, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(900, ge=0, description="how long it must be over for the alarm to end [s]")
    most_percent: float = Field(
        10, gt=0, le=100, description="how far a valve may be from its command, of its travel [%]"
    )
    deadband_percent: float = Field(
        2, ge=0, lt=10, description="how far within that it must be for the alarm to end [%]"
    )

    def value(self, table: Table) -> Measured:
        """Return how far each valve is open beyond its command."""
        return table.at(POSITION, IS) - table.at(POSITION, SHALL_BE)

    def least(self, table: Table) -> float:
        """Return how far it may be closed beyond its command [%]."""
        del table
        return -self.most_percent

    def most(self, table: Table) -> float:
        """Return how far it may be open beyond its command [%]."""
        del table
        return self.most_percent

    def deadband(self) -> float:
        """Return the deadband [%]."""
        return self.deadband_percent
