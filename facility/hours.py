"""Hours of the week, as a site file writes them: `Mon-Fri 08:00-18:00`, `22:00-06:00`, `Sat,Sun`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, Self

from facility.instants import to_datetime

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY_MIN: Final = 24 * 60
_FORM: Final = re.compile(
    r"(?P<days>[A-Z][a-z]{2}(?:[-,][A-Z][a-z]{2})*)?"
    r"(?:(?:^|\s+)(?P<from>\d{2}:\d{2})-(?P<to>\d{2}:\d{2}))?"
)
EXPECTED: Final = "hours such as 'Mon-Fri 08:00-18:00', '22:00-06:00' or 'Sat,Sun'"


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of some days of the week.

    Attributes:
        days: The days on which they begin, 0 for Monday.
        from_min: When they begin on such a day [min after midnight].
        to_min: When they end [min after midnight], on the next day where that is not later.
    """

    days: frozenset[int]
    from_min: int = 0
    to_min: int = _DAY_MIN

    @classmethod
    def read(cls, text: str) -> Self:
        """Return hours as they are written.

        Raises:
            ValueError: Where that is none.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None or not text.strip():
            raise ValueError(f"expected {EXPECTED}, found {text!r}")
        days = _days(match["days"], text) if match["days"] else frozenset(range(7))
        if match["from"] is None:
            return cls(days)
        begin, end = _minutes(match["from"], text), _minutes(match["to"], text)
        if begin in (end, _DAY_MIN):
            raise ValueError(f"expected a span of time, found {text!r}")
        return cls(days, begin, end)

    def __str__(self) -> str:
        """Return them as a site file writes them."""
        days = "" if len(self.days) == len(DAYS) else ",".join(_runs(sorted(self.days)))
        if (self.from_min, self.to_min) == (0, _DAY_MIN):
            return days or ",".join(DAYS)
        span = "-".join(f"{end // 60:02}:{end % 60:02}" for end in (self.from_min, self.to_min))
        return f"{days} {span}".strip()

    def hold(self, day: int, minute: int) -> bool:
        """Tell whether they hold on a day of the week at a minute of it."""
        if self.from_min < self.to_min:
            return day in self.days and self.from_min <= minute < self.to_min
        is_of_today = day in self.days and minute >= self.from_min
        return is_of_today or ((day - 1) % 7 in self.days and minute < self.to_min)


def _runs(days: Sequence[int]) -> Iterator[str]:
    """Yield rising days of the week, three and more in a row as a span."""
    begin = 0
    for place in range(1, len(days) + 1):
        if place < len(days) and days[place] == days[place - 1] + 1:
            continue
        run = [DAYS[day] for day in days[begin:place]]
        yield from [f"{run[0]}-{run[-1]}"] if len(run) >= 3 else run  # noqa: PLR2004 - said above
        begin = place


def is_within(hours: Sequence[Hours], at_ms: int, zone: tzinfo) -> bool:
    """Tell whether a moment [ms] is within any of some hours; always where there are none."""
    if not hours:
        return True
    local = to_datetime(at_ms, zone)
    return any(one.hold(local.weekday(), local.hour * 60 + local.minute) for one in hours)


def _days(text: str, whole: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        names = part.split("-")
        unknown = [name for name in names if name not in DAYS]
        if unknown or len(names) > 2:  # noqa: PLR2004 - a day, or from one to another
            raise ValueError(f"expected {EXPECTED}, found {whole!r}")
        first, last = DAYS.index(names[0]), DAYS.index(names[-1])
        found.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return frozenset(found)


def _minutes(text: str, whole: str) -> int:
    hour, minute = int(text[:2]), int(text[3:])
    total = hour * 60 + minute
    if minute >= 60 or total > _DAY_MIN:  # noqa: PLR2004 - minutes of an hour
        raise ValueError(f"expected times from 00:00 to 24:00, found {whole!r}")
    return total
