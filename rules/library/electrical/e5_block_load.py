"""E5: a block of a distributed design carries more than its share."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from facility.readings import FloatArray
from facility.site import Site
from rules.base import Desk, Severity
from rules.comparison import Threshold
from rules.model.measured import Measured, largest_of, relative
from rules.model.tables import Table
from rules.subject import SubjectKind


class BlockLoad(Threshold):
    """A block of a distributed redundant design carries so much that the others cannot take its load.

    Four blocks that carry the load of three may each be loaded to 75 % (4N3R), three that carry that of two
    to 66.7 % (3N2; public articles on such designs). `block_percent` of the site file is that share, of each
    UPS or transformer that is such a block, beside `rated_kva` or `rated_kw`.
    """

    name: ClassVar[str] = "E5"
    title: ClassVar[str] = "block loaded above its share"
    kind: ClassVar[SubjectKind] = SubjectKind.NODE
    quantities: ClassVar[tuple[str, ...]] = ("meter.power.apparent", "meter.power.active", "ups.load")
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "Compare the blocks: move load from this one to the one that carries least."

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(300, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(600, ge=0, description="how long it must be over for the alarm to end [s]")

    @classmethod
    def is_used(cls, site: Site) -> bool:
        """Tell whether the site file names any block of such a design."""
        return any("block_percent" in settings for settings in site.settings.values())

    def value(self, table: Table) -> Measured:
        """Return the load of each block, as a share of its rating."""
        return largest_of(
            relative(table.measured("meter.power.apparent"), table.setting("rated_kva")) * 100,
            relative(table.measured("meter.power.active"), table.setting("rated_kw")) * 100,
            table.measured("ups.load"),
        )

    def limit(self, table: Table) -> FloatArray:
        """Return the share that each may carry."""
        return table.setting("block_percent")
