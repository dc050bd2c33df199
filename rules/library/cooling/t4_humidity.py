"""T4: the air is too humid or too dry."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from rules.base import Desk, Rise, Severity, SeverityStep, Steps
from rules.comparison import Held, Several
from rules.model.rows import Place
from rules.model.tables import Fold, Table
from rules.subject import SubjectKind

INLET_SIDE: Final = Place(without=("hot", "return", "exhaust"))


class Humidity(Several):
    """The air that servers take in is more humid or drier than agreed, by relative humidity or dew point.

    Service levels usually promise 30 to 70 % relative humidity, counted over a day; ASHRAE TC 9.9 recommends
    a dew point of -9 to 15 °C, and allows class A1 -12 to 17 °C. Half an hour leaves a day to put it right,
    and after 20 hours little of it is left (our choice): broken or not heard, and never known to be kept, not
    even within the deadband in which the alarm stands. Sensors whose area on the bus names a hot aisle, a
    return or an exhaust do not count: the same air is drier there because it is warm.
    """

    name: ClassVar[str] = "T4"
    title: ClassVar[str] = "air too humid or too dry"
    kind: ClassVar[SubjectKind] = SubjectKind.AIR
    quantities: ClassVar[tuple[str, ...]] = ("humidity", "dew.point")
    unit: ClassVar[str] = "% or °C"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.TICKET, Desk.CONTRACT)
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.HIGH, "once its limit was broken for `high_after_s`", desks=(Desk.CHANNEL,)),
    )
    look_at: ClassVar[str] = "Look at the humidifiers and dehumidifiers of the room, then at its outdoor air."

    severity: Severity = Field(Severity.LOW, description="how bad it is")
    on_delay_s: float = Field(1_800, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(1_800, ge=0, description="how long it must be over for the alarm to end [s]")
    high_after_s: float = Field(
        72_000,
        ge=0,
        description="how long its limit was broken when the day of a service level is nearly over [s]",
    )
    least_percent: float = Field(30, ge=0, le=100, description="lowest relative humidity [%]")
    most_percent: float = Field(70, ge=0, le=100, description="highest relative humidity [%]")
    least_c: float = Field(-9, ge=-40, le=40, description="lowest dew point [°C]")
    most_c: float = Field(15, ge=-40, le=40, description="highest dew point [°C]")
    deadband_percent: float = Field(
        2, ge=0, lt=20, description="how far within its limits the humidity must be to end [%]"
    )
    deadband_k: float = Field(
        0.5, ge=0, lt=10, description="how far within its limits the dew point must be to end [K]"
    )

    @property
    def rise(self) -> Rise:
        """From when on it is graver: as the day over which service levels count goes by."""
        return Rise(self.high_after_s, Severity.HIGH)

    def held(self, table: Table) -> tuple[Held, ...]:
        """Return both limits of the humidity, and both of the dew point."""
        return (
            Held.over(
                table.at("humidity", INLET_SIDE, fold=Fold.LARGEST), self.most_percent, self.deadband_percent
            ),
            Held.under(
                table.at("humidity", INLET_SIDE, fold=Fold.SMALLEST),
                self.least_percent,
                self.deadband_percent,
            ),
            Held.over(table.at("dew.point", INLET_SIDE, fold=Fold.LARGEST), self.most_c, self.deadband_k),
            Held.under(table.at("dew.point", INLET_SIDE, fold=Fold.SMALLEST), self.least_c, self.deadband_k),
        )
