"""Instants: milliseconds since 1970-01-01 UTC, as integers, and the ways in and out of them.

Milliseconds are what the DSX bus carries and what every series is stored in. Zones matter only where
people meet the time: the borders of a contract, of a demand block, of a day.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as wall_time
from typing import Final, Protocol
from zoneinfo import ZoneInfo

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

# What a telemetry time stamp can honestly be: after the first MQTT broker, before signed seconds end.
EARLIEST_MS: Final = 946_684_800_000  # 2000-01-01
LATEST_MS: Final = 4_102_444_800_000  # 2100-01-01

_ISO: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?"
    r"(Z|z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?",
    re.ASCII,
)


STEP_MS: Final = 1_000
"""A clock that is off by more was set, or stood still (our choice)."""


class Clock(Protocol):
    """What services take the time from; chosen at the rim, and steered in tests."""

    def now_ms(self) -> int:
        """Return the time [ms]. It falls only where the machine's clock was set back by over a second."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds since some moment, to measure with [s]."""
        ...


class StepClock(Clock, Protocol):
    """A clock that says when it was set."""

    def take_step(self) -> tuple[int, int] | None:
        """Return once what it said before it was set, and what it says since [ms]."""
        ...


def from_iso(text: str, zone: ZoneInfo | None = None) -> int:
    """Return an ISO 8601 time as milliseconds since 1970-01-01 UTC.

    A second of 60 (a leap second) and an hour of 24 are read as the instant that follows them.

    Args:
        text: Date and time with seconds, with or without a fraction and an offset.
        zone: What a time without an offset is in. None refuses such a time.

    Raises:
        ValueError: Where the text is not such a time.
    """
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected an ISO 8601 date and time, found {text[:40]!r}")
    try:
        moment = _moment(match, zone)
    except OverflowError:
        raise ValueError(f"expected a time of the years 1 to 9999 in UTC, found {text[:40]!r}") from None
    return to_ms(moment) + int((match[7] or "").ljust(3, "0")[:3])


def _moment(match: re.Match[str], zone: ZoneInfo | None) -> datetime:
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    carry = timedelta()
    if second == 60:  # noqa: PLR2004 - the leap second of ISO 8601
        second, carry = 59, timedelta(seconds=1)
    if (hour, minute, second) == (24, 0, 0):
        hour, carry = 0, timedelta(days=1)
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC) + carry
    offset = match[8]
    if offset is None:
        if zone is None:
            raise ValueError(f"expected an offset such as Z or +02:00, found none in {match[0][:40]!r}")
        return moment.replace(tzinfo=zone).astimezone(UTC)
    if offset not in "Zz":
        sign = -1 if offset[0] == "-" else 1
        hours, minutes = int(offset[1:3]), int(offset[-2:])
        moment -= sign * timedelta(hours=hours, minutes=minutes)
    return moment


def to_ms(moment: datetime) -> int:
    """Return an aware datetime as milliseconds since 1970-01-01 UTC.

    Raises:
        ValueError: For a datetime without a zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with a zone, found {moment.isoformat()}")
    return (moment.astimezone(UTC) - _EPOCH) // _MILLISECOND


def to_datetime(instant_ms: int, zone: tzinfo | None = None) -> datetime:
    """Return an instant as an aware datetime, in UTC or in `zone`."""
    moment = _EPOCH + instant_ms * _MILLISECOND
    return moment if zone is None else moment.astimezone(zone)


def to_iso(instant_ms: int) -> str:
    """Return an instant as ISO 8601 text in UTC with milliseconds and a Z."""
    return to_datetime(instant_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def midnight_ms(day: date, zone: ZoneInfo) -> int:
    """Return the instant at which `day` begins in `zone`."""
    return to_ms(datetime.combine(day, wall_time(), tzinfo=zone))


def explain_local(moment: datetime, zone: ZoneInfo) -> tuple[str, str] | None:
    """Return what to ask about a local time that is no single instant; None where it is one.

    Args:
        moment: The local time, naive.
        zone: Whose wall clock.

    Returns:
        Both readings with their offsets, and what is wrong with the time.
    """
    # Where the clock is set over it, one reading has the offset of before and the other that of after.
    readings = sorted({to_ms(moment.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)})
    if len(readings) == 1:
        return None
    shown = [to_datetime(reading, zone) for reading in readings]
    is_twice = all(one.replace(tzinfo=None) == moment for one in shown)
    what = "shows twice" if is_twice else "never shows"
    return (
        f"a time with its offset: {shown[0].isoformat()} or {shown[1].isoformat()}",
        f"{moment.isoformat(sep=' ')}, which the clock of {zone.key} {what}",
    )


def block_start_ms(instant_ms: int, block_ms: int, zone: ZoneInfo) -> int:
    """Return the start of the clock-aligned block that holds an instant.

    Blocks are aligned to local wall time, as demand blocks are billed. Where the wall clock is moved
    inside a block, the block begins at that moment: no block then spans a change of the clock.

    Args:
        instant_ms: The instant [ms].
        block_ms: Length of a block [ms]; it divides a day.
        zone: Whose wall clock.
    """
    offset_ms = utc_offset_ms(instant_ms, zone)
    start_ms = (instant_ms + offset_ms) // block_ms * block_ms - offset_ms
    if utc_offset_ms(start_ms, zone) == offset_ms:
        return start_ms
    return _change_ms(start_ms, instant_ms, zone)


def block_end_ms(instant_ms: int, block_ms: int, zone: ZoneInfo) -> int:
    """Return the end of the clock-aligned block that holds an instant; it is the next one's start."""
    offset_ms = utc_offset_ms(instant_ms, zone)
    end_ms = ((instant_ms + offset_ms) // block_ms + 1) * block_ms - offset_ms
    if utc_offset_ms(end_ms - 1, zone) == offset_ms:
        return end_ms
    return _change_ms(instant_ms, end_ms - 1, zone)


def _change_ms(before_ms: int, after_ms: int, zone: ZoneInfo) -> int:
    """Return the instant between two at which the wall clock of `zone` is moved [ms]; it is moved once."""
    old_ms = utc_offset_ms(before_ms, zone)
    while after_ms - before_ms > 1:
        middle_ms = (before_ms + after_ms) // 2
        if utc_offset_ms(middle_ms, zone) == old_ms:
            before_ms = middle_ms
        else:
            after_ms = middle_ms
    return after_ms


def utc_offset_ms(instant_ms: int, zone: ZoneInfo) -> int:
    """Return how far the wall clock of `zone` is ahead of UTC at an instant [ms]."""
    offset = to_datetime(instant_ms, zone).utcoffset()
    return 0 if offset is None else offset // _MILLISECOND
