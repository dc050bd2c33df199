"""E2: a breaker trips before long, if its current stays as it is."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.readings import BoolArray, FloatArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import Threshold
from rules.model.measured import Measured, below
from rules.model.tables import Table
from rules.model.trip import FADES_S, FOR_EVER_S
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind

USED: Final = Window("current.phase", Statistic.TRIP, FADES_S)
"""How much of what trips a breaker is used up."""
SWING: Final = Window("current.phase", Statistic.WEAR, 24)
"""How much it wears in each of two times of 12 s: iterations of training take 1 to 10 s."""


class BreakerTrips(Threshold):
    """The line that carries most would trip its breaker within minutes at the present load.

    An overloaded breaker trips the sooner the more it carries and the longer it has carried it (UL 489,
    IEC 60947-2). The curve is that of the site file: `trip_tr_s` of an electronic unit for I²t, with
    `trip_pickup` its thermal image, `trip_ir_a` where it is set below its rating. Without these it is a power
    law through two pairs that Meta gives for its breakers (Dynamo, ISCA 2016, from memory), shorter than the
    curves of makers. The circuit's own current, where it is measured, counts like that of a phase; where one
    of them is not known, what the others carry is the least that there is. Five minutes are what people need
    to shed load, one is the last of it (our choice).

    The load is the present current, or what it swings by: a training run is above the level and below it
    every few seconds, and what that uses up adds up. It counts as a swing once it was above the level in both
    of the last two times of 12 s (our choice), so that a transient is none; the time left is then how long
    the mean of what they used up takes to trip it, where that is sooner.
    """

    name: ClassVar[str] = "E2"
    title: ClassVar[str] = "breaker could trip: time left at the present load"
    kind: ClassVar[SubjectKind] = SubjectKind.BREAKER
    quantities: ClassVar[tuple[str, ...]] = ("current.phase", "current", "current.limit")
    windows: ClassVar[tuple[Window, ...]] = (USED, SWING)
    falls: ClassVar[bool] = True
    unit: ClassVar[str] = "s"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.PAGE,)
    look_at: ClassVar[str] = "Take load off the phase that carries most, now; then find what came on."
    severity_steps: ClassVar[Steps] = (SeverityStep(Severity.CRITICAL, "less than `critical_left_s` left"),)
    is_never_suppressed: ClassVar[bool] = True

    severity: Severity = Field(Severity.HIGH, description="how bad it is")
    on_delay_s: float = Field(2, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    left_s: float = Field(300, gt=0, le=7_200, description="less time than this is an alarm [s]")
    critical_left_s: float = Field(60, gt=0, le=7_200, description="less time than this is critical [s]")

    def value(self, table: Table) -> Measured:
        """Return for how long the present load is still held, a day where it is for ever."""
        return table.trip_time(USED, SWING)

    def limit(self, table: Table) -> FloatArray:
        """Return the least time that is well, of circuits that have a rating."""
        return np.where(table.trip_curves().is_known, min(self.left_s, FOR_EVER_S), np.nan)

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return which breakers trip within a minute."""
        del table
        return (below(value, self.critical_left_s).holds,)
