"""C12: a rack draws more than is contracted for one rack, or its feeds carry more than one circuit may."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from facility.site import Site
from rules.base import Desk, Findings, Severity
from rules.comparison import Held, OfRows, of_several
from rules.model.measured import largest_of, relative
from rules.model.rows import DRAW
from rules.model.tables import Table
from rules.subject import SubjectKind


class RackOverContracted(OfRows):
    """A rack draws more than `rack_cap_kw` of its contract, or its feeds together more than one circuit may.

    The feeds of a rack are sold as one circuit and its reserve: both together, phase by phase, may carry what
    one may alone. In North America and Asia that is 80 % of its rating (Equinix's colocation terms), in
    Europe and the Middle East 100 %: set `percent`. The rating is `rated_a` of the rack. Whose load a tap of
    several racks measures is not known: such a rack is never told for its draw.
    """

    name: ClassVar[str] = "C12"
    title: ClassVar[str] = "rack above what is contracted"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = (
        "rack.power.active",
        "meter.power.active",
        "current.phase",
        "current",
    )
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "See what the tenant put into the rack, and what its other racks draw."

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(60, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(120, ge=0, description="how long it must be over for the alarm to end [s]")
    percent: float = Field(
        80, gt=0, le=150, description="share of a circuit's rating that all feeds may carry together [%]"
    )
    deadband_percent: float = Field(
        2, ge=0, lt=50, description="how far below the limit it must be for the alarm to end [% of it]"
    )

    @classmethod
    def is_used(cls, site: Site) -> bool:
        """Tell whether a contract caps its racks, or a rack has a circuit's rating."""
        contracts = (tenant.contract for tenant in site.tenants if tenant.contract is not None)
        caps = (version.rack_cap_milliwatts for contract in contracts for version in contract.versions)
        is_rated = any("rated_a" in site.settings.get(rack, {}) for rack in site.racks)
        return is_rated or any(cap is not None for cap in caps)

    def judge_rows(self, table: Table) -> Findings:
        """Hold what each rack draws, and what its feeds carry together, against what is agreed."""
        drawn = relative(table.total(DRAW), table.rack_cap()) * 100
        carried = largest_of(table.together("current.phase"), table.together("current"))
        carried = relative(carried, table.setting("rated_a")) * 100
        held = [
            Held.over(value, limit, limit * self.deadband_percent / 100)
            for value, limit in ((drawn, 100.0), (carried, self.percent))
        ]
        return of_several(held).findings(self)
