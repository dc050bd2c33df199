"""Rack documents that are wrong as a whole: each is one dead letter with its reason, and nothing else."""

from __future__ import annotations

import pytest

from facility.instants import DAY_MS
from facility.readings import DEAD_LETTER_BYTES, Quality, Reason
from formats.rackdoc import point_key
from testing.builders import T0_MS
from testing.collector.hearing import (
    LAG_MS,
    Hearing,
    a_site,
    document,
    document_topic,
    listening,
    metadata,
    raw,
    row,
    value,
)

POWER = point_key("r1", "rack.power.active")


# A document that is wrong as a whole --------------------------------------------------

_DOCUMENTS = {
    "nothing": (b"", Reason.BAD_JSON),
    "no JSON": (b"power=90", Reason.BAD_JSON),
    "truncated": (b'{"time":', Reason.BAD_JSON),
    "NaN": (b'{"power_kw":NaN}', Reason.BAD_JSON),
    "100,000 open brackets": (b"[" * 100_000, Reason.BAD_JSON),
    "10,000 open objects": (b'{"rack":' * 10_000, Reason.BAD_JSON),
    "byte-order mark": (b"\xef\xbb\xbf{}", Reason.BAD_JSON),
    "bytes that are no UTF-8": (b'{"rack":"r\xff"}', Reason.BAD_JSON),
    "half of a surrogate pair": (b'{"rack":"\\ud800"}', Reason.BAD_JSON),
    "a number": (b"90.5", Reason.WRONG_TYPE),
    "text": (b'"r1"', Reason.WRONG_TYPE),
    "an empty array": (b"[]", Reason.WRONG_TYPE),
    "an array of numbers": (b"[90.5]", Reason.WRONG_TYPE),
    "an array in an array": (b"[[{}]]", Reason.WRONG_TYPE),
    "no time": (b'{"power_kw":90}', Reason.BAD_TIME),
    "no value": (f'{{"time":{T0_MS}}}'.encode(), Reason.MISSING_FIELD),
    "no value but a number": (f'{{"time":{T0_MS},"seq":1,"rack":"r1"}}'.encode(), Reason.MISSING_FIELD),
    "empty feeds": (f'{{"time":{T0_MS},"feeds":{{"a":{{}}}}}}'.encode(), Reason.MISSING_FIELD),
    "a key twice": (f'{{"time":{T0_MS},"power_kw":90,"power_kw":91}}'.encode(), Reason.DUPLICATE_KEY),
    "a feed twice": (
        f'{{"time":{T0_MS},"feeds":{{"a":{{"kw":1}},"a":{{"kw":2}}}}}}'.encode(),
        Reason.DUPLICATE_KEY,
    ),
    "a number of 5,000 digits": (
        f'{{"time":{T0_MS},"power_kw":{"9" * 5_000}}}'.encode(),
        Reason.OUT_OF_RANGE,
    ),
    "another rack": (f'{{"rack":"r2","time":{T0_MS},"power_kw":1}}'.encode(), Reason.IDENTITY_CONFLICT),
    "a rack that is a number": (f'{{"rack":1,"time":{T0_MS},"power_kw":1}}'.encode(), Reason.BAD_NAME),
    "a rack that is null": (f'{{"rack":null,"time":{T0_MS},"power_kw":1}}'.encode(), Reason.BAD_NAME),
}


@pytest.mark.parametrize(("body", "reason"), _DOCUMENTS.values(), ids=_DOCUMENTS)
def test_a_document_that_is_none_is_one_dead_letter(body: bytes, reason: Reason) -> None:
    """It is refused as a whole, with the reason, and no point comes of it."""
    outcome = listening().hear(raw(document_topic("r1"), body))

    assert outcome.reasons == [reason]
    assert not outcome.rows
    assert not outcome.news
    assert outcome.rejections[0].payload == body[:DEAD_LETTER_BYTES]


@pytest.mark.shows(Reason.WRONG_TYPE, Reason.BAD_NAME)
def test_a_bad_document_takes_no_other_of_its_row_with_it() -> None:
    """The other racks of the array are kept."""
    outcome = listening().hear(
        row(
            {"rack": "r1", "time": T0_MS, "power_kw": 90},
            None,
            {"time": T0_MS, "power_kw": 1},
            {"rack": "r2", "time": "yesterday", "power_kw": 1},
            {"rack": "nobody", "time": T0_MS, "power_kw": 1},
            {"rack": "r3", "time": T0_MS, "power_kw": 80},
        )
    )

    assert [read for _, _, read in outcome.rows] == [90.0, 80.0]
    assert outcome.reasons == [Reason.WRONG_TYPE, Reason.BAD_NAME, Reason.BAD_TIME, Reason.UNKNOWN_RACK]


_TOPICS = {
    "of another site": "megawatch/v1/other/r1",
    "of another version": "megawatch/v2/titan/r1",
    "of the DSX bus": "BMS/v1/PUB/Value/Rack/RackPower/r1",
    "with a level more": "megawatch/v1/titan/r1/x",
    "with no rack": "megawatch/v1/titan",
    "with an empty rack": "megawatch/v1/titan/",
    "with a wildcard": "megawatch/v1/titan/#",
    "with a replaced byte": "megawatch/v1/titan/r\ufffd",
    "that begins with a slash": "/megawatch/v1/titan/r1",
}


@pytest.mark.shows(Reason.UNKNOWN_TOPIC)
@pytest.mark.parametrize("topic", _TOPICS.values(), ids=_TOPICS)
def test_a_topic_of_no_rack_of_the_site_is_refused(topic: str) -> None:
    """What is published elsewhere is not the rack that it says it is."""
    outcome = listening().hear(raw(topic, document("r1", rack="r1", power_kw=90).payload))

    assert outcome.reasons == [Reason.UNKNOWN_TOPIC]
    assert not outcome.rows


@pytest.mark.shows(Reason.UNKNOWN_RACK)
def test_an_unknown_rack_names_the_nearest_one() -> None:
    """A slip of the pen in a site file or a device is seen at once."""
    outcome = listening(("pod1-A-01", "pod1-A-02")).hear(document("pod1-A01", power_kw=90))

    assert outcome.reasons == [Reason.UNKNOWN_RACK]
    assert "pod1-A-01" in outcome.rejections[0].detail
    assert not outcome.news


@pytest.mark.shows(Reason.IDENTITY_CONFLICT)
def test_a_rack_can_not_speak_for_another_in_an_array() -> None:
    """Who may publish on the topic of one rack reports that rack and no other, however it is written."""
    outcome = listening().hear(
        row(
            {"rack": "r2", "time": T0_MS, "power_kw": 1},
            {"rack": "r1", "time": T0_MS, "power_kw": 90},
            topic="r1",
        )
    )

    assert outcome.rows == [(POWER, T0_MS, 90.0)]
    assert outcome.reasons == [Reason.IDENTITY_CONFLICT]


def test_metadata_and_values_of_a_bus_are_no_documents() -> None:
    """What comes on another format's topics is a dead letter here."""
    outcome = listening().hear(metadata("r1"), value("r1"))

    assert outcome.reasons == [Reason.UNKNOWN_TOPIC] * 2


# Time ---------------------------------------------------------------------------------

_INSTANTS = {
    "milliseconds": (T0_MS, T0_MS),
    "UTC": ("2026-05-28T20:26:40Z", T0_MS),
    "a small z": ("2026-05-28T20:26:40z", T0_MS),
    "a fraction": ("2026-05-28T20:26:40.123456789Z", T0_MS + 123),
    "a decimal comma": ("2026-05-28T20:26:40,5Z", T0_MS + 500),
    "ahead of UTC": ("2026-05-28T22:26:40+02:00", T0_MS),
    "behind UTC": ("2026-05-28T15:26:40-05:00", T0_MS),
    "half an hour beside": ("2026-05-29T01:56:40+0530", T0_MS),
    "a blank instead of the T": ("2026-05-28 20:26:40Z", T0_MS),
    "a leap second": ("2026-05-28T20:26:60Z", T0_MS + 20_000),
}


@pytest.mark.parametrize(("written", "time_ms"), _INSTANTS.values(), ids=_INSTANTS)
def test_a_time_with_a_zone_is_an_instant(written: object, time_ms: int) -> None:
    """ISO 8601 with an offset, or Unix milliseconds."""
    outcome = listening().hear(document("r1", time=written, power_kw=90))

    assert outcome.rows == [(POWER, time_ms, 90.0)]


_NO_INSTANTS = {
    "without a zone": "2026-05-28T20:26:40",
    "a date": "2026-05-28",
    "a month too many": "2026-13-28T20:26:40Z",
    "an hour too many": "2026-05-28T25:26:40Z",
    "a minute after 24:00": "2026-05-28T24:01:00Z",
    "in seconds": T0_MS // 1_000,
    "in microseconds": T0_MS * 1_000,
    "in nanoseconds": T0_MS * 1_000_000,
    "400 digits": 10**400,
    "negative": -T0_MS,
    "a fraction of a millisecond": T0_MS + 0.5,
    "text of digits": str(T0_MS),
    "true": True,
    "null": None,
    "an object": {},
    "empty": "",
    "the end of the calendar": "9999-12-31T24:00:00Z",
    "the last leap second": "9999-12-31T23:59:60Z",
    "before the calendar": "0001-01-01T00:00:00+23:59",
    "after the calendar": "9999-12-31T23:59:59-23:59",
    "the year 0": "0000-01-01T00:00:00Z",
    "other digits": "\u0662\u0660\u0662\u0666-05-28T20:26:40Z",
}


@pytest.mark.shows(Reason.BAD_TIME)
@pytest.mark.parametrize("written", _NO_INSTANTS.values(), ids=_NO_INSTANTS)
def test_a_time_that_is_no_instant_refuses_the_document(written: object) -> None:
    """A zone is never assumed and a unit never guessed; and no calendar ends the collector."""
    outcome = listening().hear(document("r1", time=written, power_kw=90))

    assert outcome.reasons == [Reason.BAD_TIME]
    assert not outcome.rows


@pytest.mark.shows(Reason.TIME_AHEAD, Reason.TIME_TOO_OLD)
def test_a_document_from_far_ahead_or_long_ago_is_refused_value_by_value() -> None:
    """The same limits hold as for any reading, and each value is counted."""
    received_ms = T0_MS + LAG_MS
    ahead = listening().hear(document("r1", time=received_ms + DAY_MS, power_kw=90, inlet_c=20))
    old = listening().hear(document("r1", time=received_ms - 8 * DAY_MS, power_kw=90))

    assert ahead.reasons == [Reason.TIME_AHEAD] * 2
    assert old.reasons == [Reason.TIME_TOO_OLD]


@pytest.mark.parametrize("written", [float(T0_MS), "1.78e12"])
def test_a_whole_number_of_milliseconds_is_one_however_it_is_written(written: object) -> None:
    """JSON has one kind of number, and its schema calls 1780000000000.0 an integer."""
    body = f'{{"time":{written},"power_kw":90}}'.encode()

    outcome = listening().hear(raw(document_topic("r1"), body))

    assert outcome.rows == [(POWER, T0_MS, 90.0)]


# What was said before it --------------------------------------------------------------

_LATER = T0_MS + 1_000
_REFUSED = {
    "NaN": b'{"time":%d,"power_kw":NaN}' % _LATER,
    "a key twice": b'{"time":%d,"power_kw":60,"power_kw":61}' % _LATER,
    "time in seconds": b'{"time":%d,"power_kw":60}' % (_LATER // 1_000),
    "another rack": b'{"time":%d,"rack":"r2","power_kw":60}' % _LATER,
    "no object": b"[60]",
    "too long": b" " * 200_000,
    "too many keys": b'{"time":%d,%s}' % (_LATER, b",".join(b'"k%d":1' % i for i in range(600))),
}


@pytest.mark.parametrize("body", _REFUSED.values(), ids=_REFUSED)
def test_a_refused_document_puts_its_rack_in_doubt(body: bytes) -> None:
    """The last good values are not known to be those of now; a restart forgets none of them."""
    hearing = listening()
    hearing.hear(document("r1", power_kw=50.0, leak=0), document("r2", power_kw=50.0))

    for each in (hearing, Hearing(a_site(), form="rack-documents", known=hearing.known)):
        outcome = each.hear(raw(document_topic("r1"), body))
        assert sorted(outcome.doubts) == sorted([POWER, point_key("r1", "leak")])
        assert not outcome.rows


def test_a_refused_row_puts_the_racks_of_the_one_before_in_doubt() -> None:
    """Its topic names none of them: they are known by what came on it before."""
    hearing = listening()
    racks = [{"rack": rack, "time": T0_MS, "power_kw": 50} for rack in ("r1", "r2")]
    hearing.hear(row(*racks), document("r3", power_kw=50))

    outcome = hearing.hear(raw(document_topic("rowA"), b'[{"rack":"r1","time":%d,"power_kw":NaN}]' % _LATER))

    assert sorted(outcome.doubts) == [POWER, point_key("r2", "rack.power.active")]


def test_a_rack_is_put_in_doubt_once_a_message() -> None:
    """A thousand refused documents of it in one row say no more than one."""
    hearing = listening()
    hearing.hear(document("r1", power_kw=50.0))
    bad, good = {"rack": "r1", "time": 1}, {"rack": "r1", "time": _LATER, "power_kw": 60}

    outcome = hearing.hear(row(*[bad] * 100, good, *[bad] * 100))

    assert [quality is Quality.REFUSED for quality in outcome.qualities] == [True, False, True]


@pytest.mark.parametrize("number", [{"id": 7}, {"time": T0_MS}, [1], "7", True, -1, 1.5], ids=repr)
def test_a_number_of_a_document_that_is_none_is_refused_by_itself(number: object) -> None:
    """Its values are kept, with the time of their own document, and so are those of the next."""
    hearing = listening()

    for second in range(3):
        time_ms = T0_MS + second * 1_000
        said = document("r1", time=time_ms, seq=number, power_kw=50.0, received_ms=time_ms + LAG_MS)
        outcome = hearing.hear(said)
        assert outcome.rows == [(POWER, time_ms, 50.0)]
        assert outcome.reasons == [Reason.WRONG_TYPE]
        assert "seq of r1" in outcome.rejections[0].detail
        assert not outcome.doubts
