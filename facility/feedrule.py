"""Which series of a foreign InfluxDB are which points."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as field_of
from types import MappingProxyType
from typing import Final

from facility.quantities import QUANTITIES
from facility.units import find_unit

OURS: Final = frozenset(
    {
        "reading", "reading_1m", "reading_15m", "tenant_draw", "tenant_draw_1m", "tenant_draw_15m",
        "rack_draw_1m", "feed_draw_1m", "site_draw_1m", "demand_block", "alarm_event", "pipeline",
        "dead_letters", "point",
    }
)  # fmt: skip
"""Measurements that the writer writes: what it wrote must not come back as something new."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRule:
    """Which series are which points.

    More than one series of a point is a contradiction: `where` says which one it is.

    Attributes:
        measurement: Name of the InfluxDB measurement.
        field: Name of the field that holds the value.
        tag: Name of the tag that holds the asset's id.
        asset: What the tag's whole value looks like, a regular expression; its first group is the asset's id.
        quantity: The quantity, by its name in `facility.quantities`.
        unit: Symbol of the unit of the field's values.
        kind: What the assets are.
        power_feed: The power feed that is measured, "" for none.
        where: Other tags of the series, each with the value that it must have.
    """

    measurement: str
    field: str
    tag: str
    quantity: str
    unit: str
    asset: str = "(.+)"
    kind: str = "Rack"
    power_feed: str = ""
    where: Mapping[str, str] = field_of(default_factory=lambda: MappingProxyType({}))

    def faults(self) -> list[tuple[str, str, str]]:
        """Return what is wrong with it: the attribute, what was expected, and what was found."""
        names = (("measurement", self.measurement), ("field", self.field), ("tag", self.tag))
        found = [
            (name, "letters, digits, '_', '.', '/' and '-'", f"'{text}'")
            for name, text in names
            if not _NAME.fullmatch(text)
        ]
        found += [
            ("where", "tags called by letters, digits, '_', '.', '/' and '-'", f"'{name}'")
            for name in self.where
            if not _NAME.fullmatch(name)
        ]
        if self.measurement in OURS:
            found.append(("measurement", "one that Megawatch does not write itself", f"'{self.measurement}'"))
        try:
            if re.compile(self.asset).groups < 1:
                found.append(("asset", "a group in brackets", f"'{self.asset}'"))
        except re.error as error:
            found.append(("asset", "a regular expression", f"'{self.asset}': {error}"))
        quantity, unit = QUANTITIES.get(self.quantity), find_unit(self.unit)
        if quantity is None:
            found.append(("quantity", "one that is known, such as rack.power.active", f"'{self.quantity}'"))
        elif unit is None or unit.dimension is not quantity.dimension:
            expected = f"one of {self.quantity}, such as {quantity.unit}"
            found.append(("unit", expected, f"'{self.unit}'"))
        return found
