"""Q8: two meters of one power disagree by more than their errors."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.readings import BoolArray
from rules.base import Desk, Findings, Rule, Severity, codes
from rules.subject import SubjectKind
from rules.view import KILOWATT, MeterView, View


class MetersDisagree(Rule):
    """What meters say of a power and what others say of it exclude each other, beyond their class errors.

    These are meters above racks, racks beneath the meters of a contract, feeds of a rack, or several sources
    of one power. While it lasts neither is believed: the draw lies anywhere between the two. It ends when
    both are seen to agree, not when one falls silent. The usual causes are a current transformer of another
    ratio, a stuck meter, wiring that is other than described, and a load that nobody declared. Where meters
    of a group disagree and so do meters of smaller groups inside it, the largest is told. The delays are our
    choice: a verdict that cannot be told pages after 30 s, and its cause should not come much later.
    """

    name: ClassVar[str] = "Q8"
    title: ClassVar[str] = "meters disagree by more than their errors"
    kind: ClassVar[SubjectKind] = SubjectKind.COMPARISON
    unit: ClassVar[str] = "kW"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA, Desk.CONTRACT)
    look_at: ClassVar[str] = (
        "Read both at the meters; look for a wrong current transformer, a stuck meter, or a load that nobody "
        "declared."
    )

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(60, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    least_kw: float = Field(1, ge=0, description="how far apart the two must be, beyond their errors [kW]")

    def judge(self, view: View) -> Findings:
        """Report meters that are contradicted now."""
        meters = view.meters
        apart_kw = meters.apart / KILOWATT
        return Findings(
            verdict=codes(self._disagree(meters), ~meters.is_denied),
            value=np.where(meters.apart > 0, apart_kw, np.nan),
            limit=np.zeros(len(meters.ids)),
            returned=~meters.is_denied,
        )

    def _disagree(self, meters: MeterView) -> BoolArray:
        disagree: BoolArray = meters.is_denied & (meters.apart > self.least_kw * KILOWATT)
        return disagree
