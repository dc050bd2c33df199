"""What is found while a site file is read: faults, warnings, and what its dates and powers are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from facility.errors import Fault
from facility.instants import explain_local, midnight_ms, to_ms
from facility.names import nearest
from facility.sitefile.fields import KW, MW, When
from facility.sitefile.tables import Table

TableType = TypeVar("TableType", bound=Table)


@dataclass(frozen=True, slots=True)
class Located(Generic[TableType]):
    """A table and where in the file it stands."""

    path: str
    table: TableType


@dataclass(slots=True)
class Notes:
    """What is found while a site file is read.

    Attributes:
        faults: What makes the file unusable; at first what its tables alone told.
        warnings: What is allowed and worth a second look.
        zone: The site's zone, in which a date without an offset is read.
    """

    faults: list[Fault]
    warnings: list[str] = field(default_factory=list)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    _unreadable: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._unreadable = frozenset(
            fault.path[:end] for fault in self.faults for end in _ends_of_places(fault.path)
        )

    def could_read(self, *paths: str) -> bool:
        """Tell whether nothing at or beneath any of these places was told while the tables were read."""
        return self._unreadable.isdisjoint(paths)

    def fault(self, path: str, expected: str, found: str, hint: str = "") -> None:
        """Note a fault: where, what was expected, what was found, and a way out.

        Where the place itself could not be read, that has been told, and what follows from it is not.
        """
        if self.could_read(path):
            self.faults.append(Fault(path=path, expected=expected, found=found, hint=hint))

    def unknown(self, path: str, expected: str, found: str, known: Iterable[str]) -> None:
        """Note a name that is not known, with the nearest one that is known."""
        self.fault(path, expected, f"'{found}'", nearest(found, known))

    def unique(self, names: Iterable[tuple[str, str]], expected: str) -> None:
        """Note each name that stands at more than one path."""
        seen: dict[str, str] = {}
        for path, name in names:
            if name in seen:
                self.fault(path, expected, f"'{name}', as at {seen[name]}")
            seen.setdefault(name, path)

    def instant(self, path: str, when: When, *, end_of_day: bool = False) -> int:
        """Return a date or time of the file as an instant [ms].

        A local time that the clock shows twice, or never, is a fault that names both readings.

        Args:
            path: Where it stands.
            when: A date, or a time with or without an offset.
            end_of_day: Whether a date means the end of its day instead of the beginning.
        """
        if not isinstance(when, datetime):
            return midnight_ms(when + timedelta(days=1) if end_of_day else when, self.zone)
        if when.tzinfo:
            return to_ms(when)
        question = explain_local(when, self.zone)
        if question is not None:
            self.fault(path, *question)
        return to_ms(when.replace(tzinfo=self.zone))

    def warn(self, path: str, text: str) -> None:
        """Note what is allowed and worth a second look: where, and a sentence."""
        self.warnings.append(f"{path}: {text}")


def _ends_of_places(path: str) -> list[int]:
    """Return where in a path a place ends: the whole of it, and everything that it is beneath."""
    return [i for i, character in enumerate(path) if character in ".["] + [len(path)]


def milliwatts_of_kw(power: Decimal) -> int:
    """Return a power of the file [kW], a whole number of milliwatts, as milliwatts."""
    return int(power * KW)


def milliwatts_of_mw(power: Decimal) -> int:
    """Return a power of the file [MW], a whole number of milliwatts, as milliwatts."""
    return int(power * MW)
