"""Q3: racks that share a gateway, a feed or a coolant unit fall silent together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from facility.readings import BoolArray, FloatArray, IntArray
from rules.base import Desk, Findings, HiddenBy, Rule, Severity, codes
from rules.model.rows import Links, Relation
from rules.subject import SubjectKind
from rules.view import RackView, View

NEVER_HEARD: Final = "racks that were never heard"
"""The subject that stands for all of them."""
NEARLY_ALL: Final = 0.9


class CommonSilence(Rule):
    """At least 30 % and at least three of the racks that have something in common are silent.

    That they were never heard at all is in common too, of all racks of the site: where it holds for more than
    90 %, the bus is to blame and no gateway. Where only racks are silent that nobody contracted, Q1 tells it.

    Groups overlap: a gateway, two busways and a coolant unit may see the same racks. The group that is silent
    most wholly is told, the larger one first; a group whose silent racks are all told already is not.
    The levels are our choice. It is not told beside a feed that is lost (E4) with all its silent racks.
    """

    name: ClassVar[str] = "Q3"
    title: ClassVar[str] = "racks silent for a common cause"
    kind: ClassVar[SubjectKind] = SubjectKind.GROUP
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA, Desk.CHANNEL)
    hidden_by: ClassVar[tuple[HiddenBy, ...]] = (HiddenBy("E4", Relation.SILENT_BY),)
    look_at: ClassVar[str] = "Look at what the racks share; the racks themselves are likely well."

    severity: Severity = Field(Severity.HIGH, description="how bad it is")
    on_delay_s: float = Field(10, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(30, ge=0, description="how long it must be over for the alarm to end [s]")
    least_share: float = Field(0.3, gt=0, le=1, description="share of the group that must be silent")
    least_racks: int = Field(3, ge=1, description="silent racks that there must be")

    def subjects(self, view: View) -> tuple[str, ...]:
        """Return what racks have in common."""
        return (*view.racks.groups, NEVER_HEARD)

    def judge(self, view: View) -> Findings:
        """Find the groups that explain the silence of their racks."""
        racks = view.racks
        groups = (*racks.groups.values(), np.flatnonzero(racks.is_unheard))
        silent = np.zeros(len(groups), np.int64)
        if racks.is_silent.any():
            silent = _counts(racks)
        sizes = [*(len(places) for places in racks.groups.values()), len(racks.ids)]
        share = silent / np.maximum(np.array(sizes, np.int64), 1)
        fires = (silent >= self.least_racks) & (share >= self.least_share)
        told = self._explain(racks.is_silent & racks.is_contracted, groups, share, fires)
        return Findings(
            verdict=codes(told, ~told),
            value=share * 100,
            limit=np.full(len(groups), self.least_share * 100),
            returned=~told,
        )

    def racks(self, view: View) -> Links:
        """Return the racks of each group."""
        return Links.of([*view.racks.groups.values(), np.flatnonzero(view.racks.is_unheard)])

    @staticmethod
    def _explain(
        is_silent: BoolArray, groups: Sequence[NDArray[np.intp]], share: FloatArray, fires: BoolArray
    ) -> BoolArray:
        told = np.zeros(len(groups), np.bool_)
        unexplained = is_silent.copy()
        # Where nearly no rack was ever heard, the bus is to blame; else first what racks share.
        never = len(groups) - 1
        first = share[never] > NEARLY_ALL
        order = sorted(
            np.flatnonzero(fires).tolist(),
            key=lambda g: ((g == never) != first, -share[g], -len(groups[g]), g),
        )
        for group in order:
            if unexplained[groups[group]].any():
                told[group] = True
                unexplained[groups[group]] = False
        return told


def _counts(racks: RackView) -> IntArray:
    """Return how many racks of each group are silent, and of those that were never heard."""
    counts = np.zeros(0, np.int64)
    if len(racks.starts):
        counts = np.add.reduceat(racks.is_silent[racks.members].astype(np.int64), racks.starts)
    return np.append(counts, np.count_nonzero(racks.is_unheard))
