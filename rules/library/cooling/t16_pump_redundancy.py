"""T16: a coolant unit has no pump to spare."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import Field

from facility.readings import BoolArray, FloatArray
from facility.site import Site
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import OneSided
from rules.model.measured import Measured, below
from rules.model.rows import Place
from rules.model.tables import Fold, Table
from rules.subject import SubjectKind

ABLE: Final = Place(point_type="Available", kind="Pump")
"""Which pumps that serve a unit are available: 1 each, 0 for one that is not."""


class PumpRedundancy(OneSided):
    """Fewer pumps of a coolant unit are available than it needs at full load, and one more.

    N + 1 pumps that take over within 5 s are what NVIDIA's guide asks of coolant units: without the spare,
    the next fault stops the flow, and racks overheat within tens of seconds. `pumps_needed` of the unit in
    the site file is N; available is what the bus tells of each `Pump` that serves the unit. One of which that
    is not known may be available: where there are too few even with these, it is an alarm.
    """

    name: ClassVar[str] = "T16"
    title: ClassVar[str] = "no spare coolant pump"
    kind: ClassVar[SubjectKind] = SubjectKind.COOLANT_UNIT
    quantities: ClassVar[tuple[str, ...]] = ("state",)
    falls: ClassVar[bool] = True
    unit: ClassVar[str] = "pumps"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.PAGE,)
    look_at: ClassVar[str] = "See which pump of the unit is out, and bring it back before another one fails."
    severity_steps: ClassVar[Steps] = (SeverityStep(Severity.CRITICAL, "where fewer are left than it needs"),)

    severity: Severity = Field(Severity.HIGH, description="how bad it is")
    on_delay_s: float = Field(10, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")

    @classmethod
    def is_used(cls, site: Site) -> bool:
        """Tell whether the site file says of any unit how many pumps it needs."""
        return any("pumps_needed" in settings for settings in site.settings.values())

    def value(self, table: Table) -> Measured:
        """Return how many pumps of each unit are available, at least and at most."""
        return table.at("state", ABLE, fold=Fold.COUNT)

    def limit(self, table: Table) -> FloatArray:
        """Return how many make it redundant."""
        return table.setting("pumps_needed") + 1

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return which units have fewer than they need."""
        return (below(value, table.setting("pumps_needed")).holds,)
