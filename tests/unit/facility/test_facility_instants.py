"""Instants come in by many spellings, go out by one, and blocks of wall time partition them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from facility.instants import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    block_end_ms,
    block_start_ms,
    from_iso,
    midnight_ms,
    to_datetime,
    to_iso,
    to_ms,
    utc_offset_ms,
)
from testing.builders import T0_MS

CHICAGO = ZoneInfo("America/Chicago")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
KATHMANDU = ZoneInfo("Asia/Kathmandu")

# 20,000 days and 12,345,678 ms after the epoch; 2024-10-04T03:25:45.678Z by the calendar.
AN_INSTANT = 20_000 * DAY_MS + 12_345_678

ISO = [
    ("2024-10-04T03:25:45.678Z", 1_728_012_345_678),
    ("2024-10-04T03:25:45.678z", 1_728_012_345_678),
    ("2024-10-04 03:25:45.678Z", 1_728_012_345_678),
    ("2024-10-04T03:25:45,678Z", 1_728_012_345_678),
    ("2024-10-04T03:25:45.678999999Z", 1_728_012_345_678),
    ("2024-10-04T03:25:45.6Z", 1_728_012_345_600),
    ("2024-10-04T03:25:45Z", 1_728_012_345_000),
    ("2024-10-04T03:25:45.678+00:00", 1_728_012_345_678),
    ("2024-10-04T05:25:45.678+02:00", 1_728_012_345_678),
    ("2024-10-04T05:25:45.678+0200", 1_728_012_345_678),
    ("2024-10-03T22:25:45.678-05:00", 1_728_012_345_678),
    ("2024-10-04T09:10:45.678+05:45", 1_728_012_345_678),
    ("2024-10-03T17:55:45.678-09:30", 1_728_012_345_678),
    (" 2024-10-04T03:25:45.678Z\n", 1_728_012_345_678),
    ("1970-01-01T00:00:00Z", 0),
    ("1969-12-31T23:59:59.999Z", -1),
    ("2016-12-31T23:59:60Z", 1_483_228_800_000),
    ("2016-12-31T23:59:60.500Z", 1_483_228_800_500),
    ("2017-01-01T01:59:60+02:00", 1_483_228_800_000),
    ("2026-11-22T24:00:00Z", 1_795_392_000_000),
    ("2026-12-31T24:00:00Z", 1_798_761_600_000),
    ("2024-02-29T00:00:00Z", 1_709_164_800_000),
]

LOCAL = [
    ("2026-01-15T12:00:00", "2026-01-15T18:00:00.000Z"),
    ("2026-07-15T12:00:00", "2026-07-15T17:00:00.000Z"),
    ("2026-03-08T01:59:59", "2026-03-08T07:59:59.000Z"),
    # The night of 8 March 2026 has no 02:30: it is read with the offset that held before.
    ("2026-03-08T02:30:00", "2026-03-08T08:30:00.000Z"),
    # The night of 1 November has two 01:30: the first is meant.
    ("2026-11-01T01:30:00", "2026-11-01T06:30:00.000Z"),
    ("2026-11-01T02:00:00", "2026-11-01T08:00:00.000Z"),
    ("2026-10-31T24:00:00", "2026-11-01T05:00:00.000Z"),
    ("2026-07-15T12:00:00Z", "2026-07-15T12:00:00.000Z"),
]

BAD_ISO = [
    "", "now", "2024-10-04", "2024-10-04T03:25Z", "2024-10-04T03:25:45.Z", "24-10-04T03:25:45Z",
    "2024-10-04T3:25:45Z", "2024/10/04T03:25:45Z", "20241004T032545Z", "2024-13-01T00:00:00Z",
    "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-00-01T00:00:00Z", "2024-01-00T00:00:00Z",
    "0000-01-01T00:00:00Z", "2024-01-01T24:00:01Z", "2024-01-01T24:01:00Z", "2024-01-01T25:00:00Z",
    "2024-01-01T00:60:00Z", "2024-01-01T00:00:61Z", "2024-01-01T00:00:99Z", "2024-01-01T00:00:00+2",
    "2024-01-01T00:00:00.1234567890Z", "2024-01-01T00:00:00ZZ", "2024-01-01T00:00:00 UTC",
    "2024-01-01T00:00:00\N{MINUS SIGN}05:00", "\uff12\uff10\uff12\uff14-01-01T00:00:00Z",
    "2024-01-01T00:00:00Z\0",
    "2024-01-01T00:00:00+99:99", "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00-05:60",
    "9999-12-31T24:00:00Z", "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00",
]  # fmt: skip

NIGHTS = [
    ("America/Chicago", date(2026, 3, 8), 23),
    ("America/Chicago", date(2026, 11, 1), 25),
    ("America/Chicago", date(2026, 7, 1), 24),
    ("Europe/Berlin", date(2026, 3, 29), 23),
    ("Europe/Berlin", date(2026, 10, 25), 25),
    ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
    ("Asia/Kolkata", date(2026, 3, 29), 24),
    ("Asia/Kathmandu", date(2026, 3, 29), 24),
    ("Pacific/Chatham", date(2026, 4, 5), 25),
    ("Antarctica/Troll", date(2026, 3, 29), 22),
    ("America/Sao_Paulo", date(2018, 11, 4), 23),
    ("America/Havana", date(2026, 11, 1), 25),
    ("Asia/Pyongyang", date(2018, 5, 4), 23.5),
    ("America/St_Johns", date(2010, 11, 7), 25),
    ("UTC", date(2026, 3, 29), 24),
]

BLOCKS_MIN = [5, 10, 15, 30, 60]


@pytest.mark.parametrize(("text", "instant_ms"), ISO, ids=[text.strip() for text, _ in ISO])
def test_an_iso_time_is_read_whatever_its_offset(text: str, instant_ms: int) -> None:
    """Offsets, fractions, a leap second and an hour of 24 lead to the instant that is meant."""
    assert from_iso(text) == instant_ms


@pytest.mark.parametrize(("text", "instant"), LOCAL, ids=[text for text, _ in LOCAL])
def test_an_iso_time_without_an_offset_is_in_the_given_zone(text: str, instant: str) -> None:
    """The zone is used only where the text has no offset, and the clock's change does not confuse it."""
    assert to_iso(from_iso(text, CHICAGO)) == instant


def test_an_iso_time_without_an_offset_is_refused_where_no_zone_is_given() -> None:
    """A time that could be anywhere on earth is never taken for UTC."""
    with pytest.raises(ValueError, match="offset"):
        from_iso("2024-10-04T03:25:45")


@pytest.mark.parametrize("text", BAD_ISO, ids=ascii)
def test_what_is_no_iso_time_is_a_value_error(text: str) -> None:
    """Whatever cannot be read as a time is refused in the one way that decoders catch."""
    with pytest.raises(ValueError):  # noqa: PT011 - the message may come from the calendar
        from_iso(text, CHICAGO)


def test_an_instant_is_what_the_calendar_says() -> None:
    """Days and milliseconds counted by hand agree with the calendar's text."""
    assert to_iso(AN_INSTANT) == "2024-10-04T03:25:45.678Z"
    assert to_datetime(AN_INSTANT) == datetime(2024, 10, 4, 3, 25, 45, 678_000, tzinfo=UTC)
    assert to_iso(T0_MS) == "2026-05-28T20:26:40.000Z"


def test_a_time_of_any_zone_is_one_instant() -> None:
    """An aware time is the same instant whatever zone it is told in, rounded down to milliseconds."""
    moment = datetime(2024, 10, 4, 3, 25, 45, 678_999, tzinfo=UTC)

    told = [moment, moment.astimezone(CHICAGO), moment.astimezone(timezone(timedelta(hours=5, minutes=45)))]

    assert [to_ms(each) for each in told] == [AN_INSTANT] * 3


def test_a_naive_time_is_no_instant() -> None:
    """A time without a zone is refused instead of being taken for local."""
    with pytest.raises(ValueError, match="zone"):
        to_ms(datetime(2024, 10, 4))  # noqa: DTZ001 - the naive time is what is refused


@pytest.mark.parametrize(
    ("zone", "day", "instant"),
    [
        ("UTC", date(2026, 6, 1), "2026-06-01T00:00:00.000Z"),
        ("America/Chicago", date(2026, 1, 1), "2026-01-01T06:00:00.000Z"),
        ("America/Chicago", date(2026, 6, 1), "2026-06-01T05:00:00.000Z"),
        ("Asia/Kathmandu", date(2026, 6, 1), "2026-05-31T18:15:00.000Z"),
        # No midnight: the day begins at 01:00.
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T03:00:00.000Z"),
        # Two midnights: the day begins at the first.
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00:00.000Z"),
    ],
)
def test_a_day_begins_at_its_first_instant_in_the_zone(zone: str, day: date, instant: str) -> None:
    """Midnight is local, also where the clock skips it or shows it twice."""
    assert to_iso(midnight_ms(day, ZoneInfo(zone))) == instant


@pytest.mark.parametrize(
    ("zone", "instant", "minutes"),
    [("UTC", T0_MS, 0), ("Asia/Kathmandu", T0_MS, 345), ("America/Chicago", T0_MS, -300)],
)
def test_an_offset_is_how_far_the_wall_clock_is_ahead(zone: str, instant: int, minutes: int) -> None:
    """East of Greenwich the wall clock is ahead of UTC, and west of it behind."""
    assert utc_offset_ms(instant, ZoneInfo(zone)) == minutes * MINUTE_MS


@pytest.mark.parametrize("minutes", BLOCKS_MIN)
@pytest.mark.parametrize(("zone", "day", "hours"), NIGHTS, ids=[f"{z} {d}" for z, d, _ in NIGHTS])
def test_the_blocks_of_a_day_follow_each_other_and_fill_it(
    zone: str, day: date, hours: float, minutes: int
) -> None:
    """Walked from block to block a day has no gap and no overlap, also when it has 23 or 25 hours."""
    where, block_ms = ZoneInfo(zone), minutes * MINUTE_MS
    first, last = midnight_ms(day, where), midnight_ms(day + timedelta(days=1), where)

    starts = [block_start_ms(first, block_ms, where)]
    while starts[-1] < last:
        end = block_end_ms(starts[-1], block_ms, where)
        assert 0 < end - starts[-1] <= block_ms
        assert block_start_ms(end - 1, block_ms, where) == starts[-1]
        assert block_start_ms(end, block_ms, where) == end
        starts.append(end)

    assert starts[0] == first
    assert starts[-1] == last
    assert sum(after - before for before, after in pairwise(starts)) == hours * HOUR_MS


@pytest.mark.parametrize(
    ("zone", "text", "minutes", "start", "end"),
    [
        ("America/Chicago", "2026-05-28T20:26:40Z", 15, "20:15:00", "20:30:00"),
        ("America/Chicago", "2026-05-28T20:15:00Z", 15, "20:15:00", "20:30:00"),
        ("America/Chicago", "2026-05-28T20:14:59.999Z", 15, "20:00:00", "20:15:00"),
        # Wall time 05:45 ahead: an hour of the wall begins at a quarter past in UTC.
        ("Asia/Kathmandu", "2026-05-28T20:26:40Z", 60, "20:15:00", "21:15:00"),
        ("Asia/Kolkata", "2026-05-28T20:26:40Z", 60, "19:30:00", "20:30:00"),
        # Lord Howe goes from 02:00 to 02:30 at 15:30Z: the hour that is left of two o'clock is a half.
        ("Australia/Lord_Howe", "2026-10-03T15:40:00Z", 60, "15:30:00", "16:00:00"),
        # And back from 02:00 to 01:30 at 15:00Z: the second half past one is a block of its own.
        ("Australia/Lord_Howe", "2026-04-04T15:10:00Z", 60, "15:00:00", "15:30:00"),
        ("Australia/Lord_Howe", "2026-04-04T14:50:00Z", 60, "14:00:00", "15:00:00"),
    ],
)
def test_a_block_is_aligned_to_the_wall_clock(
    zone: str, text: str, minutes: int, start: str, end: str
) -> None:
    """Blocks begin where the local clock shows a round time, or where it is moved."""
    instant, where = from_iso(text), ZoneInfo(zone)

    found = [call(instant, minutes * MINUTE_MS, where) for call in (block_start_ms, block_end_ms)]

    assert [to_iso(each)[11:19] for each in found] == [start, end]


@pytest.mark.parametrize("minutes", [120, 180, 360, 720, 1_440])
@pytest.mark.parametrize(
    ("zone", "day"), [(z, d) for z, d, _ in NIGHTS], ids=[f"{z} {d}" for z, d, _ in NIGHTS]
)
def test_long_blocks_end_where_the_next_begins_too(zone: str, day: date, minutes: int) -> None:
    """A block of hours that the clock is moved in ends at that moment, where the next one begins."""
    where, block_ms = ZoneInfo(zone), minutes * MINUTE_MS
    first = midnight_ms(day, where)

    for instant in range(first, first + DAY_MS + HOUR_MS, 10 * MINUTE_MS):
        start = block_start_ms(instant, block_ms, where)
        end = block_end_ms(instant, block_ms, where)

        assert start <= instant < end
        assert end - start <= block_ms
        assert block_start_ms(end - 1, block_ms, where) == start
        assert block_start_ms(end, block_ms, where) == end


def test_two_halves_of_an_hour_that_comes_twice_are_told_apart() -> None:
    """Half past one comes twice in the night of 1 November: two blocks an hour apart."""
    first, second = from_iso("2026-11-01T06:30:00Z"), from_iso("2026-11-01T07:30:00Z")

    starts = [block_start_ms(instant, HOUR_MS, CHICAGO) for instant in (first, second)]

    assert [to_datetime(instant, CHICAGO).strftime("%H:%M") for instant in (first, second)] == ["01:30"] * 2
    assert starts[1] - starts[0] == HOUR_MS


def test_zones_with_odd_offsets_are_what_the_tests_mean() -> None:
    """The zones of these tests have the offsets for which they were chosen."""
    assert utc_offset_ms(T0_MS, KATHMANDU) % HOUR_MS == 45 * MINUTE_MS
    assert utc_offset_ms(T0_MS, LORD_HOWE) % HOUR_MS == 30 * MINUTE_MS
