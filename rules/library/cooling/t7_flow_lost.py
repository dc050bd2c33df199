"""T7: a rack that draws power has no coolant flow."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from facility.readings import FloatArray
from rules.base import Desk, Severity
from rules.comparison import DRAW_OF_A_MINUTE, OfLoadedRacks, Threshold
from rules.model.measured import Measured
from rules.model.tables import Table
from rules.model.windows import Window
from rules.subject import SubjectKind


class FlowLost(Threshold, OfLoadedRacks):
    """The coolant flow of a rack is below a fifth of its design while it draws much of its rating.

    A rack without flow overheats within tens of seconds, so the delay is 3 s; 5 s where pumps may fail over
    (levels and delay are our choice). The design flow is `rated_lpm` of the site file; a rack that has none
    is not judged, and of one without `rating_kw` it is not known whether it is loaded. It is loaded by what
    it draws now, or by the mean of a minute where that is more: a load that swings heats by its mean. Below a
    tenth of `load_percent` it is off (our choice). Many racks of one coolant unit without flow are told by
    that alone (T18).
    """

    name: ClassVar[str] = "T7"
    title: ClassVar[str] = "coolant flow lost"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("rack.coolant.flow",)
    windows: ClassVar[tuple[Window, ...]] = (DRAW_OF_A_MINUTE,)
    falls: ClassVar[bool] = True
    unit: ClassVar[str] = "L/min"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.PAGE,)
    look_at: ClassVar[str] = "Look at the pumps and valves of the coolant unit, then at the rack's isolation."

    severity: Severity = Field(Severity.CRITICAL, description="how bad it is")
    on_delay_s: float = Field(3, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    flow_percent: float = Field(
        20, gt=0, le=100, description="share of the design flow that is too little [%]"
    )
    load_percent: float = Field(30, ge=0, le=100, description="share of the rating from which it counts [%]")

    def value(self, table: Table) -> Measured:
        """Return the flow of each rack."""
        return table.measured("rack.coolant.flow")

    def limit(self, table: Table) -> FloatArray:
        """Return the least flow of each rack."""
        return table.setting("rated_lpm") * self.flow_percent / 100
