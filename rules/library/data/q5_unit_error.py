"""Q5: values of a rack cannot be right: out of range, or in another unit."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.readings import BoolArray
from rules.base import Desk, Findings, Rule, Severity, codes
from rules.model.measured import Measured
from rules.model.rows import DRAW
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause
from rules.view import View

COLLAPSE: Final = Window("rack.power.active", Statistic.COLLAPSE, 2_592_000)
HOT_C: Final = {"air.inlet": 55.0, "coolant.supply": 70.0}
"""Temperatures that may come in °F, each with that above which it is looked at [°C] (our choice)."""


class UnitError(Rule):
    """A rack's power was refused or is out of range, or a value is in another unit than it says.

    Power of a rack or of a feed that becomes a thousandth within a reading is in MW instead of kW; a
    temperature that is what its tenant's other racks show, on the line from °C to °F, is in °F: each within
    5 %, which hardly ever happens by accident (our choice). A thousand times too much is out of range. Q1
    says nothing beside it.
    """

    name: ClassVar[str] = "Q5"
    title: ClassVar[str] = "values out of range or in another unit"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("rack.power.active", *HOT_C)
    windows: ClassVar[tuple[Window, ...]] = (COLLAPSE,)
    feed_windows: ClassVar[tuple[Window, ...]] = (COLLAPSE,)
    unit: ClassVar[str] = ""
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA,)
    look_at: ClassVar[str] = "Compare the meter's unit and its factor with what its gateway publishes."

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(3, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    within_percent: float = Field(
        5, gt=0, le=20, description="how near to the other unit a value must be, of what is expected [%]"
    )
    least_others: int = Field(3, ge=1, le=1_000, description="racks of its tenant that it is compared with")

    def judge(self, view: View) -> Findings:
        """Look at why power is not known, what it fell from, and what others show."""
        table, cause = view.table(self.kind), view.racks.cause
        draw = table.total(DRAW)
        is_off = (cause == Cause.REFUSED) | (cause == Cause.IMPLAUSIBLE)
        is_off |= self._is_a_thousandth(table.over(COLLAPSE))
        feeds = view.table(SubjectKind.FEED)
        if feeds.has_any(COLLAPSE.quantities):
            racks = feeds.rack_rows()
            is_off[racks[self._is_a_thousandth(feeds.over(COLLAPSE)) & (racks >= 0)]] = True
        value = np.where(is_off, draw.best, np.nan)
        for quantity, from_c in HOT_C.items():
            found = table.largest(quantity)
            is_hot = self._in_fahrenheit(view, found, found.is_known & (found.best > from_c))
            is_off, value = is_off | is_hot, np.where(is_hot, found.best, value)
        clear = draw.is_known & ~is_off
        return Findings(
            verdict=codes(is_off, clear),
            value=value,
            limit=np.full(len(table), np.nan),
            returned=clear,
        )

    def _is_a_thousandth(self, fall: Measured) -> BoolArray:
        """Return which power fell to a thousandth within a reading, and is not back."""
        near = np.abs(fall.low * 1_000 - fall.high) <= fall.high * self.within_percent / 100
        found: BoolArray = (fall.high > 0) & near
        return found

    def _in_fahrenheit(self, view: View, found: Measured, looked_at: BoolArray) -> BoolArray:
        """Return which temperatures are in °F what the others of the same tenant are in °C."""
        holders = view.racks.holders
        others, is_off = found.is_known & ~looked_at, np.zeros(len(looked_at), np.bool_)
        for tenant in np.unique(holders[looked_at]).tolist():
            usual = found.best[others & (holders == tenant)]
            if len(usual) >= self.least_others:
                expected = 1.8 * np.median(usual) + 32
                is_near = np.abs(found.best - expected) <= expected * self.within_percent / 100
                is_off |= looked_at & (holders == tenant) & is_near
        return is_off
