"""T14: the pressure difference of a coolant unit's loop or filter is out of its range."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from rules.base import AS_WHAT_IT_HIDES, Desk, Severity, Steps
from rules.comparison import Held, Several
from rules.model.measured import Condition, Measured, above, largest_of
from rules.model.rows import Place
from rules.model.tables import Fold, Table
from rules.subject import SubjectKind

DIFFERENCE: Final = "coolant.pressure.differential"
LOOP: Final = Place(within=("secondary",), without=("filter",))
FILTER: Final = Place(within=("filter",))
RUNS_PERCENT: Final = 1.0
"""Speed above which a pump runs (our choice)."""


class Pressure(Several):
    """The pressure difference of a coolant unit's secondary loop is out of range, or its filter clogs.

    0.5 to 3 bar are usual (a table of coolant units); a filter is due at 1.5 times its clean pressure
    difference (our choice), which `filter_clean_kpa` of the site file gives. Which point is which is in its
    area on the bus: `Secondary`, and `Filter` with any number. A unit whose pumps stand has no pressure.
    Racks that starve behind it (T8, T9) are told by it alone, with their tenants.
    """

    name: ClassVar[str] = "T14"
    title: ClassVar[str] = "coolant pressure out of range"
    kind: ClassVar[SubjectKind] = SubjectKind.COOLANT_UNIT
    quantities: ClassVar[tuple[str, ...]] = (DIFFERENCE, "filter.pressure.differential", "pump.speed")
    unit: ClassVar[str] = "kPa"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = (
        "Compare pump speed, valves and filter: find where the way is closed, or open too far."
    )
    severity_steps: ClassVar[Steps] = (AS_WHAT_IT_HIDES,)

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(15, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    least_kpa: float = Field(50, ge=0, le=1_500, description="least pressure difference of the loop [kPa]")
    most_kpa: float = Field(300, gt=0, le=1_500, description="highest pressure difference of the loop [kPa]")
    filter_factor: float = Field(
        1.5, gt=1, le=10, description="pressure difference of a filter that is due, of that of a clean one"
    )
    deadband_percent: float = Field(
        2, ge=0, lt=50, description="how far within the limit it must be for the alarm to end [% of it]"
    )

    def held(self, table: Table) -> tuple[Held, ...]:
        """Return both limits of the loop, and that of the filter, of units whose pumps do not stand."""
        loop = table.at(DIFFERENCE, LOOP)
        filters = largest_of(
            table.at(DIFFERENCE, FILTER, fold=Fold.LARGEST), table.largest("filter.pressure.differential")
        )
        due = table.setting("filter_clean_kpa") * self.filter_factor
        share = self.deadband_percent / 100
        runs = _runs(table.largest("pump.speed"))
        return (
            Held.under(loop, self.least_kpa, self.least_kpa * share).where(runs),
            Held.over(loop, self.most_kpa, self.most_kpa * share).where(runs),
            Held.over(filters, due, due * share).where(runs),
        )


def _runs(speed: Measured) -> Condition:
    """Return where pumps are not known to stand."""
    return Condition.of(~above(speed, RUNS_PERCENT).fails)
