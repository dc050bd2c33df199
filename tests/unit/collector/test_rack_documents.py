"""Rack documents: every value is a reading of its own, and what is wrong with one takes no other with it."""

from __future__ import annotations

from typing import Any

import pytest

from facility.points import Cadence
from facility.readings import Flag, Quality, Reason
from facility.units import UNITS
from formats.rackdoc import FEED_KEYS, RACK_KEYS, point_key
from testing.builders import T0_MS
from testing.collector.hearing import (
    Hearing,
    document,
    listening,
    row,
)

POWER = point_key("r1", "rack.power.active")
INLET = point_key("r1", "air.inlet")


# Good documents -----------------------------------------------------------------------

_INSIDE = {
    "power.factor": 0.97,
    "leak": 0,
    "leak.fault": 0,
}


@pytest.mark.parametrize("name", RACK_KEYS)
def test_each_key_is_one_reading_in_the_canonical_unit(name: str) -> None:
    """Whatever unit is in the name, the point is that of the quantity and its value is converted."""
    key = RACK_KEYS[name]
    unit = UNITS[key.unit]
    canonical = _INSIDE.get(key.quantity.name, 30.0)
    written = (canonical - unit.offset) / unit.factor

    hearing = listening()
    said: dict[str, Any] = {name: written}
    outcome = hearing.hear(document("r1", **said))

    ((found, time_ms, read),) = outcome.rows
    assert (found, time_ms) == (point_key("r1", key.quantity.name), T0_MS)
    assert read == pytest.approx(canonical, rel=1e-12)
    (known,) = outcome.news
    assert (known.point.asset, known.point.unit) == ("r1", key.quantity.unit)
    assert (known.point.cadence, known.point.stream) == (Cadence.PERIODIC, "bus:documents")


@pytest.mark.parametrize("name", FEED_KEYS)
def test_each_key_of_a_feed_is_a_reading_of_that_feed(name: str) -> None:
    """The two feeds of a rack are two points."""
    key = FEED_KEYS[name]
    canonical = _INSIDE.get(key.quantity.name, 30.0)
    written = canonical / UNITS[key.unit].factor

    outcome = listening().hear(document("r1", feeds={"a": {name: written}, "b": {name: written}}))

    assert [found for found, _, _ in outcome.rows] == [
        point_key("r1", key.quantity.name, "a"),
        point_key("r1", key.quantity.name, "b"),
    ]
    assert [read for _, _, read in outcome.rows] == pytest.approx([canonical] * 2)
    assert [known.point.feed for known in outcome.news] == ["a", "b"]


@pytest.mark.parametrize("name", [name for name, key in FEED_KEYS.items() if key.has_phases])
def test_three_values_are_three_phases(name: str) -> None:
    """A list of three is a point for each phase; a null among them is no value of that phase alone."""
    quantity = FEED_KEYS[name].quantity.name

    outcome = listening().hear(document("r1", feeds={"a": {name: [31, None, 33.5]}}))

    assert outcome.rows == [
        (point_key("r1", quantity, "a", phase), T0_MS, read)
        for phase, read in (("1", 31.0), ("2", None), ("3", 33.5))
    ]
    assert outcome.qualities == [Quality.GOOD, Quality.NO_VALUE, Quality.GOOD]


def test_the_document_of_the_reference_is_whole() -> None:
    """The example of the reference page gives each of its values, and no dead letter."""
    feeds = {
        "a": {"kw": 59.1, "amps": [82.0, 81.5, 82.4], "volts": [240.1, 239.8, 240.3], "kwh": 10482.5},
        "b": {"kw": 59.3, "kwh": 10391.0},
    }

    outcome = listening().hear(
        document(
            "r1",
            rack="r1",
            time="2026-05-28T20:26:40.250Z",
            seq=4711,
            power_kw=118.4,
            inlet_c=23.5,
            supply_c=32.0,
            return_c=42.1,
            flow_lpm=171.0,
            feeds=feeds,
            received_ms=T0_MS + 300,
        )
    )

    assert not outcome.rejections
    assert len(outcome.rows) == 5 + 8 + 2
    assert {time_ms for _, time_ms, _ in outcome.rows} == {T0_MS + 250}
    assert set(outcome.qualities) == {Quality.GOOD}


@pytest.mark.shows(Quality.NO_VALUE, Quality.GOOD, Flag.NONE)
def test_a_null_is_no_value_and_never_zero() -> None:
    """A source without a value says so, and that is a reading."""
    outcome = listening().hear(document("r1", power_kw=None, inlet_c=23.5))

    assert outcome.rows == [(POWER, T0_MS, None), (INLET, T0_MS, 23.5)]
    assert outcome.qualities == [Quality.NO_VALUE, Quality.GOOD]


@pytest.mark.parametrize(("written", "read"), [(True, 1.0), (False, 0.0), (1, 1.0), (-1, -1.0), (None, None)])
def test_a_state_may_be_true_or_false(written: object, read: float | None) -> None:
    """A leak detector says yes or no."""
    outcome = listening().hear(document("r1", leak=written))

    assert outcome.rows == [(point_key("r1", "leak"), T0_MS, read)]


def test_a_row_is_one_message() -> None:
    """Each document of an array is a rack of its own, with a time of its own."""
    outcome = listening().hear(
        row(
            {"rack": "r1", "time": T0_MS, "power_kw": 90},
            {"rack": "r2", "time": T0_MS + 1, "power_kw": 80},
        )
    )

    assert outcome.rows == [
        (POWER, T0_MS, 90.0),
        (point_key("r2", "rack.power.active"), T0_MS + 1, 80.0),
    ]


def test_a_known_rack_is_no_news_after_a_restart() -> None:
    """Points keep their numbers, and nothing is told again."""
    before = listening()
    first = before.hear(document("r1", power_kw=90, inlet_c=20))
    after = Hearing(known=before.known, form="rack-documents")

    again = after.hear(document("r1", power_kw=91, inlet_c=21))

    assert again.batch.point.tolist() == first.batch.point.tolist()
    assert not again.news


# One value that is wrong --------------------------------------------------------------

_WRONG = {
    "text": ("90.5", Reason.WRONG_TYPE),
    "true": (True, Reason.WRONG_TYPE),
    "an object": ({}, Reason.WRONG_TYPE),
    "a list": ([1, 2, 3], Reason.WRONG_TYPE),
    "too large": (1_201, Reason.OUT_OF_RANGE),
    "too small": (-5.1, Reason.OUT_OF_RANGE),
    "2^64": (2**64, Reason.OUT_OF_RANGE),
    "400 digits": (10**400, Reason.OUT_OF_RANGE),
    "the largest float": (1.7976931348623157e308, Reason.OUT_OF_RANGE),
}


@pytest.mark.parametrize(("written", "reason"), _WRONG.values(), ids=_WRONG)
def test_a_wrong_value_takes_no_other_with_it(written: object, reason: Reason) -> None:
    """The values beside it are kept, it is dead-lettered, and its own point is in doubt as of its time."""
    outcome = listening().hear(document("r1", inlet_c=23.5, power_kw=written, outlet_c=35))

    assert outcome.rows == [(INLET, T0_MS, 23.5), (point_key("r1", "air.outlet"), T0_MS, 35.0)]
    assert outcome.reasons == [reason]
    assert outcome.doubts == [POWER]
    assert set(outcome.batch.source_ms.tolist()) == {T0_MS}


@pytest.mark.shows(Reason.OUT_OF_RANGE)
def test_the_largest_float_in_a_large_unit_is_out_of_range() -> None:
    """Megawatts beyond what a float of kilowatts can hold are refused like any other impossible value."""
    outcome = listening().hear(document("r1", power_mw=1.7976931348623157e308, inlet_c=20))

    assert outcome.reasons == [Reason.OUT_OF_RANGE]
    assert outcome.rows == [(INLET, T0_MS, 20.0)]


_PHASES = {
    "two": [31, 32],
    "four": [31, 32, 33, 34],
    "none": [],
    "lists": [[31], [32], [33]],
    "texts": ["31", "32", "33"],
}


@pytest.mark.parametrize("written", _PHASES.values(), ids=_PHASES)
def test_other_than_three_numbers_are_no_phases(written: object) -> None:
    """Nobody guesses which phase two values are of."""
    outcome = listening().hear(document("r1", inlet_c=20, feeds={"a": {"amps": written}}))

    assert outcome.rows == [(INLET, T0_MS, 20.0)]
    assert set(outcome.reasons) == {Reason.WRONG_TYPE}


_FEEDS = {
    "null": (None, Reason.WRONG_TYPE),
    "a list": ([{"kw": 1}], Reason.WRONG_TYPE),
    "five": ({letter: {"kw": 1} for letter in "abcde"}, Reason.WRONG_TYPE),
    "one with another letter": ({"e": {"kw": 1}}, Reason.UNKNOWN_QUANTITY),
    "one in capitals": ({"A": {"kw": 1}}, Reason.UNKNOWN_QUANTITY),
    "one that is a number": ({"a": 59.1}, Reason.UNKNOWN_QUANTITY),
    "one with a key that nobody knows": ({"a": {"watts": 1}}, Reason.UNKNOWN_QUANTITY),
    "one with a name that is none": ({"a\n{{x}}": {"kw": 1}}, Reason.UNKNOWN_QUANTITY),
}


@pytest.mark.parametrize(("feeds", "reason"), _FEEDS.values(), ids=_FEEDS)
def test_feeds_that_are_none_take_no_value_with_them(feeds: object, reason: Reason) -> None:
    """The rest of the document is kept."""
    outcome = listening().hear(document("r1", inlet_c=20, feeds=feeds))

    assert outcome.rows == [(INLET, T0_MS, 20.0)]
    assert outcome.reasons == [reason]


def test_a_good_feed_is_kept_beside_a_bad_one() -> None:
    """Each feed stands for itself."""
    outcome = listening().hear(document("r1", feeds={"z": {"kw": 1}, "a": {"kw": 59.1, "x": 1}}))

    assert outcome.rows == [(point_key("r1", "rack.power.active", "a"), T0_MS, 59.1)]
    assert outcome.reasons == [Reason.UNKNOWN_QUANTITY] * 2


@pytest.mark.shows(Reason.UNKNOWN_QUANTITY)
def test_a_key_that_nobody_knows_names_the_nearest_one() -> None:
    """Whoever writes documents learns from the dead letter what was meant."""
    outcome = listening().hear(document("r1", powr_kw=90, inlet_c=20))

    assert outcome.rows == [(INLET, T0_MS, 20.0)]
    assert outcome.reasons == [Reason.UNKNOWN_QUANTITY]
    assert "power_kw" in outcome.rejections[0].detail
