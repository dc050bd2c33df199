"""E17: a rack that must be off draws power, or one that must be in operation draws none."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.readings import FloatArray
from facility.site import Site
from rules.base import Desk, Severity
from rules.comparison import Band
from rules.model.measured import Measured
from rules.model.rows import DRAW
from rules.model.tables import Table
from rules.subject import SubjectKind


class NotAsExpected(Band):
    """A rack draws power though the site file says that it is not in operation, or none though it is.

    `live` of a `[[rack]]` says which. Above 0.2 kW a rack is energised, below 5 % of its rating it is dead:
    servers that only idle draw more (both are our choice). Of a rack without `live` nothing is expected.
    """

    name: ClassVar[str] = "E17"
    title: ClassVar[str] = "rack energised or dead against its plan"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("rack.power.active", "meter.power.active")
    unit: ClassVar[str] = "kW"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.TICKET,)
    look_at: ClassVar[str] = (
        "Ask who put the rack into operation, or took it out, and whether that was planned."
    )

    severity: Severity = Field(Severity.LOW, description="how bad it is")
    on_delay_s: float = Field(600, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(600, ge=0, description="how long it must be over for the alarm to end [s]")
    off_kw: float = Field(0.2, ge=0, le=100, description="the most that a rack draws which is off [kW]")
    live_percent: float = Field(
        5, gt=0, le=100, description="the least that a rack in operation draws, of its rating [%]"
    )

    @classmethod
    def is_used(cls, site: Site) -> bool:
        """Tell whether the site file says of any rack whether it is in operation."""
        return any("live" in settings for settings in site.settings.values())

    def value(self, table: Table) -> Measured:
        """Return what each rack draws."""
        return table.total(DRAW)

    def least(self, table: Table) -> FloatArray:
        """Return the least that a rack in operation draws [kW]."""
        least = table.setting("rating_kw") * self.live_percent / 100
        return np.where(table.setting("live") == 1, least, np.nan)

    def most(self, table: Table) -> FloatArray:
        """Return the most that a rack draws which is off [kW]."""
        return np.where(table.setting("live") == 0, self.off_kw, np.nan)

    def deadband(self) -> float:
        """Return none: what is expected is another level altogether [kW]."""
        return 0.0
