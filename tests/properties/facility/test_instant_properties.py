"""Blocks of wall time partition time in every zone, and times survive being written."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.instants import (
    EARLIEST_MS,
    LATEST_MS,
    MINUTE_MS,
    block_end_ms,
    block_start_ms,
    from_iso,
    to_datetime,
    to_iso,
    to_ms,
    utc_offset_ms,
)

DEMAND_BLOCKS = [5, 10, 15, 30, 60]
LONG_BLOCKS = [120, 180, 240, 360, 480, 720, 1_440]

# Nights in which clocks are moved: by an hour, by half an hour, by two hours, by a whole day.
NIGHTS = [
    ("America/Chicago", "2026-03-08T08:00:00Z"),
    ("America/Chicago", "2026-11-01T07:00:00Z"),
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("Antarctica/Troll", "2026-03-29T01:00:00Z"),
    ("America/St_Johns", "2010-11-07T02:31:00Z"),
    ("Asia/Pyongyang", "2018-05-04T15:00:00Z"),
    ("America/Caracas", "2016-05-01T07:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Asia/Kolkata", "2026-03-29T01:00:00Z"),
    ("Asia/Kathmandu", "2026-03-29T01:00:00Z"),
]

zones = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
instants = st.integers(EARLIEST_MS, LATEST_MS)


@st.composite
def places_in_a_night(draw: st.DrawFn) -> tuple[ZoneInfo, int]:
    """Draw an instant within a day and a half of a change of the clock, and its zone."""
    zone, change = draw(st.sampled_from(NIGHTS))
    return ZoneInfo(zone), from_iso(change) + draw(st.integers(-36 * 60, 36 * 60) | st.just(0)) * MINUTE_MS


def check_block(instant: int, block_ms: int, zone: ZoneInfo, inside: float) -> None:
    """Check all that is promised of the block that holds an instant.

    Args:
        instant: The instant [ms].
        block_ms: Length of a block [ms].
        zone: Whose wall clock.
        inside: Which other place of the block is looked at as well, 0 to 1.
    """
    start, end = block_start_ms(instant, block_ms, zone), block_end_ms(instant, block_ms, zone)

    assert start <= instant < end
    assert end - start <= block_ms
    for other in (start, end - 1, start + int((end - 1 - start) * inside)):
        assert (block_start_ms(other, block_ms, zone), block_end_ms(other, block_ms, zone)) == (start, end)
        assert utc_offset_ms(other, zone) == utc_offset_ms(instant, zone)
    assert block_start_ms(end, block_ms, zone) == end
    assert block_end_ms(start - 1, block_ms, zone) == start
    for border in (start, end):
        is_round = (border + utc_offset_ms(border, zone)) % block_ms == 0
        is_moved = utc_offset_ms(border - 1, zone) != utc_offset_ms(border, zone)
        assert is_round or is_moved
    if (end - start) != block_ms:
        assert any(utc_offset_ms(border - 1, zone) != utc_offset_ms(border, zone) for border in (start, end))


@given(instants, st.sampled_from(DEMAND_BLOCKS), zones, st.floats(0, 1))
def test_every_instant_is_in_exactly_one_block(
    instant: int, minutes: int, zone: ZoneInfo, inside: float
) -> None:
    """In any zone blocks follow each other, are round on the wall clock, and are cut only where it moves."""
    check_block(instant, minutes * MINUTE_MS, zone, inside)


@given(places_in_a_night(), st.sampled_from(DEMAND_BLOCKS), st.floats(0, 1))
def test_every_instant_is_in_exactly_one_block_when_clocks_are_moved(
    place: tuple[ZoneInfo, int], minutes: int, inside: float
) -> None:
    """The nights of 23 hours, 25 hours and half an hour more or less are partitioned like any other."""
    zone, instant = place

    check_block(instant, minutes * MINUTE_MS, zone, inside)


@given(places_in_a_night(), st.sampled_from(LONG_BLOCKS), st.floats(0, 1))
def test_every_instant_is_in_exactly_one_long_block_when_clocks_are_moved(
    place: tuple[ZoneInfo, int], minutes: int, inside: float
) -> None:
    """A block of hours may hold a change of the clock in its middle, and is cut there."""
    zone, instant = place

    check_block(instant, minutes * MINUTE_MS, zone, inside)


@given(instants)
def test_an_instant_comes_back_from_its_text(instant: int) -> None:
    """What is written as ISO 8601 is read as the same millisecond."""
    assert from_iso(to_iso(instant)) == instant
    assert to_ms(to_datetime(instant)) == instant


@given(
    st.datetimes(datetime(1970, 1, 3), datetime(2999, 12, 29)),  # noqa: DTZ001 - the zone is drawn, too
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.sampled_from(["T", " "]),
)
def test_a_time_of_any_offset_is_read(moment: datetime, minutes: int, separator: str) -> None:
    """Any date and any offset in whole minutes lead to the instant that the calendar gives, rounded down."""
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))

    assert from_iso(aware.isoformat(separator, "microseconds")) == to_ms(aware)


@given(
    st.text(max_size=40)
    | st.from_regex(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}([.]\d{1,9})?([+-]\d{2}:\d{2}|Z)?")
)
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    """Nothing that a publisher writes as a time can do more than be refused."""
    try:
        instant = from_iso(text, ZoneInfo("America/Chicago"))
    except ValueError:
        return

    assert isinstance(instant, int)


def test_every_zone_of_the_nights_is_known() -> None:
    """The nights that are drawn from are there, with a change of the clock at the named instant or none."""
    moved = {
        zone
        for zone, at in NIGHTS
        if utc_offset_ms(from_iso(at) - 1, ZoneInfo(zone)) != utc_offset_ms(from_iso(at), ZoneInfo(zone))
    }

    assert moved == {zone for zone, _ in NIGHTS} - {"Asia/Kolkata", "Asia/Kathmandu"}


@pytest.mark.parametrize("minutes", DEMAND_BLOCKS + LONG_BLOCKS)
def test_every_block_divides_a_day(minutes: int) -> None:
    """The lengths that are drawn from are those that a site file may ask for."""
    assert 1_440 % minutes == 0
