"""E18: the load of the site swings by more than the grid's operator allows within seconds."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.grid import VARIATION_WINDOWS_S
from facility.readings import FloatArray
from rules.base import Desk, Severity
from rules.comparison import Threshold
from rules.model.measured import Measured, chosen
from rules.model.rows import SUPPLY
from rules.model.tables import Table
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind

(MOST_5, LEAST_5), (MOST_15, LEAST_15) = (
    (
        Window(SUPPLY, Statistic.MOST, over_s, of_total=True),
        Window(SUPPLY, Statistic.LEAST, over_s, of_total=True),
    )
    for over_s in VARIATION_WINDOWS_S
)


class Variation(Threshold):
    """Peak to peak within some seconds, the site's load varies by more than `variation_mw` of `[grid]`.

    ERCOT's staff propose at most 10 MW in any 5 s, IESO asks for at most 5 MW in any 15 s. Peak to peak of
    samples is at most that of the load: what is seen to be too much is too much for certain, and what is not
    seen may be all the same. So its silence is no proof of compliance, which takes at least 110 samples a
    second.
    """

    name: ClassVar[str] = "E18"
    title: ClassVar[str] = "load varies more than the grid allows"
    kind: ClassVar[SubjectKind] = SubjectKind.SITE
    quantities: ClassVar[tuple[str, ...]] = (SUPPLY,)
    windows: ClassVar[tuple[Window, ...]] = (MOST_5, LEAST_5, MOST_15, LEAST_15)
    unit: ClassVar[str] = "MW"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "See whose draw swings, and whether its jobs can smooth their power."

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(0, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(300, ge=0, description="how long it must be over for the alarm to end [s]")
    deadband_percent: float = Field(
        10, ge=0, lt=50, description="how far below the limit it must be for the alarm to end [%]"
    )

    def value(self, table: Table) -> Measured:
        """Return the most less the least of the window."""
        is_long = np.equal(table.setting("variation_window_s"), MOST_15.over_s)
        most, least = (
            chosen(is_long, table.over(long), table.over(short))
            for long, short in ((MOST_15, MOST_5), (LEAST_15, LEAST_5))
        )
        return (most - least) * (1 / 1_000)

    def limit(self, table: Table) -> FloatArray:
        """Return what is allowed."""
        return table.setting("variation_mw")
