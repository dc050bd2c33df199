"""E11: the load of the site ramps faster than the grid's operator allows, up or down."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.grid import RAMP_WINDOWS_S
from facility.readings import BoolArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import Held, Several
from rules.model.measured import Measured, above, below, chosen
from rules.model.rows import SUPPLY
from rules.model.tables import Table
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind

SHORT, LONG = (Window(SUPPLY, Statistic.CHANGE, over_s, of_total=True) for over_s in RAMP_WINDOWS_S)
MW_PER_MIN: Final = 60 / 1_000
"""One kilowatt a second."""


class Ramp(Several):
    """The site's load rises or falls by more megawatts a minute than the limit of the `[grid]` table.

    Operators ask large loads for at most 20 MW/min (Southern; CAISO's straw proposal, as a mean over ten
    minutes; IESO). A fall is as bad for the grid as a rise. A ramp is what the load changed by over the time
    that the table says, a step as well, by the supply meters together: between means over a twelfth of that
    time, so that compliance over minutes can be told of a load that swings.
    """

    name: ClassVar[str] = "E11"
    title: ClassVar[str] = "load ramps faster than the grid allows"
    kind: ClassVar[SubjectKind] = SubjectKind.SITE
    quantities: ClassVar[tuple[str, ...]] = (SUPPLY,)
    windows: ClassVar[tuple[Window, ...]] = (SHORT, LONG)
    unit: ClassVar[str] = "MW/min"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "See whose draw changed; ask that tenant to start or stop jobs in steps."
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.HIGH, "more than `severe_percent` of the limit"),
    )

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(0, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    severe_percent: float = Field(
        200, ge=100, le=1_000, description="share of the limit from which it is graver [%]"
    )
    deadband_mw_per_min: float = Field(
        2,
        ge=0,
        le=100,
        description="how far inside the limit it must be to end, half of the limit at most [MW/min]",
    )

    def held(self, table: Table) -> tuple[Held, ...]:
        """Return the ramp against the limit of a rise and that of a fall."""
        ramp = self._ramp(table)
        up, down = table.setting("ramp_up_mw_per_min"), table.setting("ramp_down_mw_per_min")
        return (
            Held.over(ramp, up, np.minimum(self.deadband_mw_per_min, up / 2)),
            Held.under(ramp, -down, np.minimum(self.deadband_mw_per_min, down / 2)),
        )

    def reached(self, table: Table) -> tuple[BoolArray, ...]:
        """Return where the ramp is twice as fast."""
        ramp, share = self._ramp(table), self.severe_percent / 100
        rises = above(ramp, table.setting("ramp_up_mw_per_min") * share)
        falls = below(ramp, -table.setting("ramp_down_mw_per_min") * share)
        return ((rises | falls).holds,)

    @staticmethod
    def _ramp(table: Table) -> Measured:
        is_long = np.equal(table.setting("ramp_window_s"), LONG.over_s)
        return chosen(is_long, table.over(LONG), table.over(SHORT)) * MW_PER_MIN
