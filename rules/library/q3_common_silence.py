"""Q3: racks that share a gateway, a feed or a coolant unit fall silent together."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.readings import BoolArray
from rules.base import Desk, Findings, Rule, Severity, codes
from rules.view import View


class CommonSilence(Rule):
    """At least 30 % and at least three of the racks that have something in common are silent.

    Groups overlap: a gateway, two busways and a coolant unit may see the same racks. The group that is silent
    most wholly is told, the larger one first; a group whose silent racks are all told already is not.
    The levels are our choice.
    """

    name: ClassVar[str] = "Q3"
    title: ClassVar[str] = "racks silent for a common cause"
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA, Desk.CHANNEL)
    look_at: ClassVar[str] = "Look at what the racks share; the racks themselves are likely well."

    severity: Severity = Field(Severity.HIGH, description="how bad it is")
    on_delay_s: float = Field(10, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(30, ge=0, description="how long it must be over for the alarm to end [s]")
    least_share: float = Field(0.3, gt=0, le=1, description="share of the group that must be silent")
    least_racks: int = Field(3, ge=1, description="silent racks that there must be")

    def subjects(self, view: View) -> tuple[str, ...]:
        """Return what racks have in common."""
        return tuple(view.racks.groups)

    def judge(self, view: View) -> Findings:
        """Find the groups that explain the silence of their racks."""
        racks, groups = view.racks, list(view.racks.groups.values())
        silent = np.zeros(len(groups), np.int64)
        if groups and racks.is_silent.any():
            silent = np.add.reduceat(racks.is_silent[racks.members].astype(np.int64), racks.starts)
        share = silent / np.diff(racks.starts, append=len(racks.members))
        fires = (silent >= self.least_racks) & (share >= self.least_share)
        told = self._explain(racks.is_silent, groups, share, fires) if fires.any() else fires
        return Findings(
            verdict=codes(told, ~told),
            value=share * 100,
            limit=np.full(len(groups), self.least_share * 100),
            returned=~told,
        )

    @staticmethod
    def _explain(
        is_silent: BoolArray, groups: list[np.ndarray], share: np.ndarray, fires: BoolArray
    ) -> BoolArray:
        told = np.zeros(len(groups), np.bool_)
        unexplained = is_silent.copy()
        order = sorted(np.flatnonzero(fires), key=lambda g: (-share[g], -len(groups[g]), g))
        for group in order:
            if unexplained[groups[group]].any():
                told[group] = True
                unexplained[groups[group]] = False
        return told
