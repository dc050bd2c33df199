"""What is found while a site file is read: faults, warnings, and the readings of dates and powers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Generic, TypeVar
from zoneinfo import ZoneInfo

from facility.errors import Fault
from facility.instants import midnight_ms, to_ms
from facility.names import nearest
from facility.sitetables import Table, When

TableType = TypeVar("TableType", bound=Table)

KW: Final = 1_000_000
"""Milliwatts in a kilowatt."""
MW: Final = 1_000_000_000
"""Milliwatts in a megawatt."""
MOST_MILLIWATTS: Final = 100_000 * MW
"""100 GW: more than any site, and small enough that a day of it fits 64 bits as mW·ms."""


@dataclass(frozen=True, slots=True)
class Located(Generic[TableType]):
    """A table and where in the file it stands."""

    path: str
    table: TableType


@dataclass(slots=True)
class Notes:
    """What is found while a site file is read.

    Attributes:
        faults: What makes the file unusable.
        warnings: What is allowed and worth a second look.
        zone: The site's zone, in which a date without an offset is read.
    """

    faults: list[Fault]
    warnings: list[str] = field(default_factory=list)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    def fault(self, path: str, expected: str, found: str, hint: str = "") -> None:
        """Note a fault: where, what was expected, what was found, and a way out."""
        self.faults.append(Fault(path=path, expected=expected, found=found, hint=hint))

    def unknown(self, path: str, expected: str, found: str, known: Iterable[str]) -> None:
        """Note a name that nobody knows, with the nearest one that is known."""
        self.fault(path, expected, f"'{found}'", nearest(found, known))

    def unique(self, names: Iterable[tuple[str, str]], expected: str) -> None:
        """Note each name that stands at more than one path."""
        seen: dict[str, str] = {}
        for path, name in names:
            if name in seen:
                self.fault(path, expected, f"'{name}', as at {seen[name]}")
            seen.setdefault(name, path)

    def instant(self, when: When, *, end_of_day: bool = False) -> int:
        """Return a date or time of the file as an instant [ms].

        Args:
            when: A date, or a time with or without an offset.
            end_of_day: Whether a date means the end of its day instead of the beginning.
        """
        if isinstance(when, datetime):
            return to_ms(when if when.tzinfo else when.replace(tzinfo=self.zone))
        return midnight_ms(when + timedelta(days=1) if end_of_day else when, self.zone)

    def power(self, path: str, power: Decimal | None, unit: int) -> int | None:
        """Return a power as milliwatts, None for None; a fault where it is not a whole number of them."""
        return None if power is None else self.milliwatts(path, power, unit)

    def milliwatts(self, path: str, power: Decimal, unit: int) -> int:
        """Return a power as milliwatts; a fault, and 0, where it is not a whole number of them.

        Args:
            path: Where the power stands.
            power: The number that stands there.
            unit: Milliwatts in one of its unit.
        """
        milliwatts = power * unit
        if milliwatts > MOST_MILLIWATTS or milliwatts != int(milliwatts):
            self.fault(path, "a whole number of milliwatts, at most 100 GW", str(power))
            return 0
        return int(milliwatts)
