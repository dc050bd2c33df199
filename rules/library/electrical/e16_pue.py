"""E16: the site takes too much for what its racks draw, or less than they do, which cannot be."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from rules.base import Desk, Findings, Rule, Severity, SeverityStep, Steps
from rules.comparison import Held
from rules.model.measured import below, outside
from rules.model.rows import SUPPLY
from rules.subject import SubjectKind
from rules.view import View


class Effectiveness(Rule):
    """The power usage effectiveness of the moment is above its design by more than 0.15 for an hour.

    PUE is the energy of the whole site by that of its racks over a year (ISO/IEC 30134-2); what is judged
    here is the power of the moment, by the supply meters and the racks, an interim figure (iPUE). A design
    of 1.18 stands in a published contract; the 0.15 are our choice. Below 1.0 is impossible: then a meter is
    wrong, or one is missing. Silent racks widen the figure by their ratings, so that it may be UNKNOWN,
    never wrong.
    """

    name: ClassVar[str] = "E16"
    title: ClassVar[str] = "interim PUE out of band"
    kind: ClassVar[SubjectKind] = SubjectKind.SITE
    quantities: ClassVar[tuple[str, ...]] = (SUPPLY,)
    unit: ClassVar[str] = "kW per kW"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.TICKET,)
    look_at: ClassVar[str] = (
        "Below 1.0 look at the supply meters; above, at the cooling and at what it serves."
    )
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.MEDIUM, "below 1.0, which is impossible", desks=(Desk.DATA,)),
    )

    severity: Severity = Field(Severity.LOW, description="how bad it is")
    on_delay_s: float = Field(3_600, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(3_600, ge=0, description="how long it must be over for the alarm to end [s]")
    design_pue: float = Field(1.18, ge=1, le=3, description="PUE that the site is designed for")
    above_design: float = Field(0.15, ge=0, le=1, description="how far above that it may be")
    deadband: float = Field(
        0.02, ge=0, le=0.5, description="how far below the highest PUE it must be for the alarm to end"
    )

    @property
    def is_worse_below(self) -> bool:
        """Below 1.0 it is."""
        return True

    def judge(self, view: View) -> Findings:
        """Hold the supply by the draw of all racks against both ends of the band."""
        most = round(self.design_pue + self.above_design, 9)  # 1.18 and 0.15 are 1.33
        found = view.table(self.kind).total(SUPPLY).per(view.table(SubjectKind.RACK).all_draw())
        held = Held(
            found,
            np.where(found.best < 1, 1.0, most),
            outside(found, 1.0, most),
            ~outside(found, 1.0, most - self.deadband),
        )
        return held.findings(self, below(found, 1.0).holds)
