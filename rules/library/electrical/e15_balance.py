"""E15: a power node loses more than it can, or passes on more than it gets."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.readings import FloatArray
from rules.base import Desk, Findings, Rule, Severity
from rules.comparison import Held
from rules.model.measured import Condition, above, below, outside
from rules.model.rows import SUPPLY
from rules.model.tables import Table
from rules.subject import SubjectKind
from rules.view import View

UPS: Final = "UPS"
TRANSFORMER: Final = "Transformer"


class Balance(Rule):
    """What a node carries, less what the meters next beneath it carry, is outside what its kind loses.

    A double-converting UPS loses 3 to 5 %, a transformer up to 1.5 %, a distribution board, a busway and
    cables up to 1.5 % (usual efficiencies, from memory: our choice). A loss below zero cannot be. Either is
    a wrong current transformer, a wrong graph, or a load that nobody meters. Class errors of both sides
    count, by `meter_tolerance_percent` of `[site]` where a meter has no class: what they leave open is no
    breach. Only nodes are judged beneath which everything is metered and hangs on them alone. Readings count
    with their sign: one below zero over loads that draw is a reversed current transformer.
    """

    name: ClassVar[str] = "E15"
    title: ClassVar[str] = "losses out of band: levels do not balance"
    kind: ClassVar[SubjectKind] = SubjectKind.NODE
    quantities: ClassVar[tuple[str, ...]] = (SUPPLY,)
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA, Desk.TICKET)
    look_at: ClassVar[str] = "Add up the meters beneath it; look for a wrong ratio or a missing meter."

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(900, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(1_800, ge=0, description="how long it must be over for the alarm to end [s]")
    ups_percent: float = Field(5, gt=0, lt=50, description="the most that a UPS loses [%]")
    transformer_percent: float = Field(1.5, gt=0, lt=50, description="the most that a transformer loses [%]")
    other_percent: float = Field(1.5, gt=0, lt=50, description="the most that any other node loses [%]")
    least_kw: float = Field(
        10, ge=0, description="power, either way, below which losses without load are too large a share [kW]"
    )
    deadband_percent: float = Field(
        0.5, ge=0, le=10, description="how far inside the band it must be for the alarm to end [%]"
    )

    def judge(self, view: View) -> Findings:
        """Hold the losses of each node that can be balanced within the band of its kind."""
        table = view.table(self.kind)
        loss = table.losses(view.table(SubjectKind.RACK)) * 100
        # There is no band for a node that cannot be balanced.
        most, least = np.where(table.is_balanced(), [self._most(table), np.zeros(len(table))], np.nan)
        broken, known = outside(loss, least, most), loss.is_known
        best = replace(loss, low=np.where(known, loss.best, -np.inf), high=np.where(known, loss.best, np.inf))
        held = Held(
            loss,
            np.where(loss.best < 0, least, most),
            # Class errors are there for ever: what they leave open is no breach, and is not awaited.
            Condition(broken.holds, broken.fails | (known & ~broken.holds)),
            ~outside(best, least, most - self.deadband_percent),
        )
        carried = table.measured(SUPPLY)
        counts = above(carried, self.least_kw) | below(carried, -self.least_kw)
        return held.where(counts).findings(self)

    def _most(self, table: Table) -> FloatArray:
        is_ups, is_transformer = table.is_of(UPS), table.is_of(TRANSFORMER)
        other = np.where(is_transformer, self.transformer_percent, self.other_percent)
        return np.where(is_ups, self.ups_percent, other)
