"""E3: what both feeds carry would not fit on one of them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from rules.base import UNKNOWN, Desk, Findings, Rule, Severity, SeverityStep, Steps
from rules.comparison import Held
from rules.model.measured import above
from rules.subject import SubjectKind
from rules.view import View


class FailoverHeadroom(Rule):
    """If another part of the power path failed, a circuit would carry more than it may carry for long.

    With two feeds (2N) each may carry half of that, so that one can carry both: what a circuit would carry
    then is its line current now, for each kilowatt of all that the racks beneath it draw, each rack once. It
    is taken for the part of the path whose failure is worst for the circuit, so at every level. A breaker may
    carry 80 % of its rating for long (NEC 210.20), and trips above all of it.

    A circuit that carries next to nothing, such as a feed that stands by, has a poor power factor: what it
    takes for a kilowatt then is more than under load, and proves no breach. There `nominal_v` tells what its
    load would take. What cannot be attributed, such as a load beneath it that nobody described, leaves that
    circuit UNKNOWN; so does a load that may move to it through a transfer switch, or by a feed that nobody
    described. That is no alarm.
    """

    name: ClassVar[str] = "E3"
    title: ClassVar[str] = "failover headroom lost: one feed cannot carry both"
    kind: ClassVar[SubjectKind] = SubjectKind.BREAKER
    quantities: ClassVar[tuple[str, ...]] = (
        "current.phase",
        "current",
        "meter.power.active",
        "current.limit",
    )
    unit: ClassVar[str] = "A"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "Move racks to other feeds, or lower their load, before a feed is lost."
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.CRITICAL, "above `critical_percent` of the rated current"),
    )

    severity: Severity = Field(Severity.HIGH, description="how bad it is")
    on_delay_s: float = Field(300, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(600, ge=0, description="how long it must be over for the alarm to end [s]")
    percent: float = Field(80, gt=0, le=150, description="share of the rated current that may last [%]")
    critical_percent: float = Field(
        100, gt=0, le=200, description="share of the rated current from which it is critical [%]"
    )
    deadband_percent: float = Field(
        2, ge=0, lt=50, description="how far below the limit it must be for the alarm to end [%]"
    )

    light_percent: float = Field(
        10,
        ge=0,
        le=50,
        description="share of the rated current below which a circuit carries next to nothing [%]",
    )
    light_power_factor: float = Field(
        0.9,
        gt=0.3,
        le=1,
        description="least power factor of a load that moves to such a circuit, where `nominal_v` is given; "
        "how unbalanced its phases are counts in it (our choice)",
    )

    def judge(self, view: View) -> Findings:
        """Hold what each circuit would carry against its rating; all is clear where nothing can move."""
        table = view.table(self.kind)
        all_found, rows = Findings.clear(len(table)).of(self), table.that_fail_over()
        is_open = table.open_to_failover()
        all_found.verdict[is_open], all_found.returned[is_open] = UNKNOWN, False
        if len(rows):
            rated = table.part(rows).rated_current()
            found = table.failover_current(
                view.table(SubjectKind.RACK), rated * self.light_percent / 100, self.light_power_factor
            )
            limit = rated * self.percent / 100
            held = Held.over(found, limit, limit * self.deadband_percent / 100)
            reached = above(found, rated * self.critical_percent / 100).holds
            all_found.put(rows, held.findings(self, reached))
        return all_found
