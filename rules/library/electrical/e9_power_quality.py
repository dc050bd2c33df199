"""E9: the voltage is distorted, or the power factor is low."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from rules.base import Desk, Severity
from rules.comparison import Held, Several
from rules.model.measured import above, relative
from rules.model.tables import Table
from rules.subject import SubjectKind


class PowerQuality(Several):
    """The total harmonic distortion of the voltage is above 5 %, or the power factor below 95 %.

    IEEE 519 limits the distortion to 5 % above 1 kV, and to 8 % at or below that: set `thd_percent` for
    those. Utilities ask for 95 % lagging to leading (Ameren; CAISO 97 to 99 %). A power factor says little
    below 30 % of the rated current, and is judged above that only, where a rating is known (our choice).
    """

    name: ClassVar[str] = "E9"
    title: ClassVar[str] = "voltage distorted or power factor low"
    kind: ClassVar[SubjectKind] = SubjectKind.NODE
    quantities: ClassVar[tuple[str, ...]] = (
        "thd.voltage", "power.factor", "current.phase", "current", "current.limit",
    )  # fmt: skip
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.TICKET,)
    look_at: ClassVar[str] = "See what came on or went off: filters, capacitors, lightly loaded supplies."

    severity: Severity = Field(Severity.LOW, description="how bad it is")
    on_delay_s: float = Field(900, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(900, ge=0, description="how long it must be over for the alarm to end [s]")
    thd_percent: float = Field(5, gt=0, le=100, description="distortion of the voltage that may last [%]")
    thd_deadband_percent: float = Field(
        0.5, ge=0, le=10, description="how far below that it must be for the alarm to end [%]"
    )
    factor_percent: float = Field(95, gt=0, le=100, description="lowest power factor that may last [%]")
    factor_deadband_percent: float = Field(
        1, ge=0, le=10, description="how far above that it must be for the alarm to end [%]"
    )
    load_percent: float = Field(
        30, ge=0, le=100, description="share of the rated current from which the power factor counts [%]"
    )

    def held(self, table: Table) -> tuple[Held, ...]:
        """Return the distortion, then the power factor of what is loaded."""
        load = relative(table.line_current(), table.rated_current()) * 100
        return (
            Held.over(table.largest("thd.voltage"), self.thd_percent, self.thd_deadband_percent),
            Held.under(
                table.magnitude("power.factor") * 100, self.factor_percent, self.factor_deadband_percent
            ).where(above(load, self.load_percent)),
        )
