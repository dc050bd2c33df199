"""E7: the phases of a circuit carry unequal currents, or have unequal voltages."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from facility.readings import BoolArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import Held, Several
from rules.model.measured import Measured, above, largest_of, relative
from rules.model.tables import Table
from rules.subject import SubjectKind


class Unbalance(Several):
    """The phase that deviates most does so by more than a share of the mean of the three phases.

    NEMA MG-1 defines voltage unbalance so; ANSI C84.1 allows 3 % of it, and MG-1 runs no motor above 5 %. A
    utility asks that phase currents differ by no more than about 10 % (PG&E's guidance). Currents say little
    below 30 % of the rating, so they are judged above that only, where a rating is known (our choice). Of a
    node that has several times three, such as the input and the output of a UPS by the areas of its points,
    each three are judged by themselves.
    """

    name: ClassVar[str] = "E7"
    title: ClassVar[str] = "phases unbalanced"
    kind: ClassVar[SubjectKind] = SubjectKind.NODE
    quantities: ClassVar[tuple[str, ...]] = ("current.phase", "voltage.ll", "voltage.ln", "current.limit")
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.TICKET,)
    look_at: ClassVar[str] = "Compare the phases: a fuse that blew, or single-phase loads on one of them."
    severity_steps: ClassVar[Steps] = (
        SeverityStep(
            Severity.MEDIUM, "voltages above `severe_voltage_percent`", desks=(Desk.CHANNEL, Desk.TICKET)
        ),
    )

    severity: Severity = Field(Severity.LOW, description="how bad it is")
    on_delay_s: float = Field(600, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(600, ge=0, description="how long it must be over for the alarm to end [s]")
    current_percent: float = Field(10, gt=0, le=100, description="unbalance of currents that may last [%]")
    voltage_percent: float = Field(3, gt=0, le=100, description="unbalance of voltages that may last [%]")
    severe_voltage_percent: float = Field(
        5, gt=0, le=100, description="unbalance of voltages that no motor may run at [%]"
    )
    load_percent: float = Field(
        30, ge=0, le=100, description="share of the rating from which currents count [%]"
    )
    deadband_percent: float = Field(
        0.5, ge=0, le=10, description="how far below the limit it must be for the alarm to end [%]"
    )

    def held(self, table: Table) -> tuple[Held, ...]:
        """Return the voltages that there may be, then the currents, of each three phases."""
        voltages = (
            Held.over(voltage, self.voltage_percent, self.deadband_percent) for voltage in _voltages(table)
        )
        currents = (self._currents(table, trio) for trio in range(max(1, table.trios("current.phase"))))
        return (*voltages, *currents)

    def reached(self, table: Table) -> tuple[BoolArray, ...]:
        """Return where voltages are so uneven that motors must stop."""
        return (above(largest_of(*_voltages(table)), self.severe_voltage_percent).holds,)

    def _currents(self, table: Table, trio: int) -> Held:
        """Return the currents of three phases, where they carry enough."""
        load = relative(table.largest_of_trio("current.phase", trio), table.rated_current()) * 100
        currents = table.unbalance("current.phase", trio) * 100
        return Held.over(currents, self.current_percent, self.deadband_percent).where(
            above(load, self.load_percent)
        )


def _voltages(table: Table) -> list[Measured]:
    """Return how unbalanced the voltages of each three phases are [%], from line to line and to neutral."""
    return [
        table.unbalance(name, trio) * 100
        for name in ("voltage.ll", "voltage.ln")
        for trio in range(max(1, table.trios(name)))
    ]
