"""Q7: a register of energy fell."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.readings import BoolArray, FloatArray
from rules.base import Desk, Findings, Severity, SeverityStep, Steps, codes
from rules.comparison import OfRows
from rules.model.tables import Table
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind

FALL: Final = Window("energy.active", Statistic.FALL, 3_600)
BINARY_KWH: Final = 2**32 / 1_000
"""Where a register of 32 bits that counts watt-hours rolls over [kWh]."""
NEAR_END: Final = 0.9
"""Share of its span above which a register may roll over (our choice)."""


class RegisterFault(OfRows):
    """A register of energy shows less than before: it was reset, it rolled over, or it is of another meter.

    Near its end (a power of ten, or 32 bits of watt-hours) it rolled over, near zero it was reset; anywhere
    else the meter was replaced or set, and only people know what was not counted. Home Assistant's rule for
    such counters is the same; the levels are our choice. It is told for an hour, and stays on the list until
    it is acknowledged.
    """

    name: ClassVar[str] = "Q7"
    title: ClassVar[str] = "energy register fell"
    kind: ClassVar[SubjectKind] = SubjectKind.REGISTER
    windows: ClassVar[tuple[Window, ...]] = (FALL,)
    unit: ClassVar[str] = "kWh"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA,)
    needs_acknowledgement: ClassVar[bool] = True
    look_at: ClassVar[str] = (
        "Was the meter replaced, reset or restarted? Note the last and the first reading."
    )
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.MEDIUM, "where it neither rolled over nor began near zero"),
    )

    severity: Severity = Field(Severity.LOW, description="how bad it is")
    on_delay_s: float = Field(0, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(0, ge=0, description="how long it must be over for the alarm to end [s]")
    jitter_percent: float = Field(
        0.1, ge=0, le=10, description="fall that is no more than a meter's rounding, of its reading [%]"
    )
    zero_kwh: float = Field(5, ge=0, le=1_000, description="reading up to which it began anew [kWh]")

    def judge_rows(self, table: Table) -> Findings:
        """Report the registers that fell within the last hour."""
        fall = table.over(FALL)
        before, after, known = fall.high, fall.low, fall.is_known
        fell = known & (before - after > before * self.jitter_percent / 100)
        clear = known & ~fell
        is_zero = after <= self.zero_kwh
        return Findings(
            verdict=codes(fell, clear),
            value=np.where(known, before - after, np.nan),
            limit=np.full(len(before), np.nan),
            returned=clear,
            severity=self.severities(fell & ~is_zero & ~_rolled_over(before, after)),
        )


def _rolled_over(before: FloatArray, after: FloatArray) -> BoolArray:
    """Return which registers went from near their end to near their beginning [kWh]."""
    is_over = np.zeros(len(before), np.bool_)
    decimal = 10.0 ** np.ceil(np.log10(np.clip(before, 1.0, 1e12)))
    for span in (decimal, np.full(len(before), BINARY_KWH)):
        is_over |= (before >= NEAR_END * span) & (before <= span) & (after <= (1 - NEAR_END) * span)
    return is_over
