"""Values of the DSX bus: when they were measured, how they came, and on which topics none may come."""

from __future__ import annotations

import numpy as np
import pytest

from collector.row_builder import AHEAD_MS, MOST_AHEAD_MS, OLDEST_MS
from facility.instants import DAY_MS, EARLIEST_MS, HOUR_MS
from facility.readings import Flag, Quality, Reason
from testing.builders import T0_MS
from testing.collector.hearing import describing, key_of, raw, value

KEY = key_of("r1")
TOPIC = value("r1").topic
DIGITS = "9" * 5_000


def payload(read: str = "90.5", time_ms: str = str(T0_MS), quality: str = "1", more: str = "") -> bytes:
    """Return the payload of a value with its parts as they are written."""
    return f'{{"value":{read},"timestamp":{time_ms},"quality":{quality}{more}}}'.encode()


# Time ---------------------------------------------------------------------------------

_RECEIVED = T0_MS + 20
_TIMES = {
    "in seconds": (T0_MS // 1_000, Reason.BAD_TIME),
    "in microseconds": (T0_MS * 1_000, Reason.BAD_TIME),
    "in nanoseconds": (T0_MS * 1_000_000, Reason.BAD_TIME),
    "1970": (0, Reason.BAD_TIME),
    "before 1970": (-T0_MS, Reason.BAD_TIME),
    "just before 2000": (EARLIEST_MS - 1, Reason.BAD_TIME),
    "2106": (4_294_967_295_000, Reason.BAD_TIME),
    "2^63": (2**63, Reason.BAD_TIME),
    "-2^63": (-(2**63), Reason.BAD_TIME),
    "2^64": (2**64, Reason.BAD_TIME),
    "400 digits": (10**400, Reason.BAD_TIME),
    "tomorrow": (_RECEIVED + DAY_MS, Reason.TIME_AHEAD),
    "just too far ahead": (_RECEIVED + MOST_AHEAD_MS + 1, Reason.TIME_AHEAD),
    "just too old": (_RECEIVED - OLDEST_MS - 1, Reason.TIME_TOO_OLD),
    "2001": (1_000_000_000_000, Reason.TIME_TOO_OLD),
}


@pytest.mark.parametrize(("stamp", "reason"), _TIMES.values(), ids=_TIMES)
def test_a_time_that_can_not_be_true_is_refused(stamp: int, reason: Reason) -> None:
    """A unit is never guessed: seconds, microseconds and nanoseconds are bad times."""
    outcome = describing().hear(value("r1", 90.5, stamp, received_ms=_RECEIVED))

    assert outcome.rows == []
    assert outcome.reasons == [reason]


def test_a_reading_that_is_refused_for_its_stamp_puts_its_point_in_doubt_and_tells_of_the_clock() -> None:
    """The doubt keeps what was stamped, a day ahead and seven days behind at most."""
    for stamped_ms, kept_ms in (
        (_RECEIVED + 6 * HOUR_MS, _RECEIVED + 6 * HOUR_MS),
        (_RECEIVED + 9 * DAY_MS, _RECEIVED + DAY_MS),
        (_RECEIVED - OLDEST_MS - 1, _RECEIVED - OLDEST_MS),
    ):
        outcome = describing().hear(value("r1", 90.5, stamped_ms, received_ms=_RECEIVED))

        assert outcome.doubts == [KEY]
        (doubt,) = np.flatnonzero(outcome.batch.quality == Quality.REFUSED)
        assert outcome.batch.source_ms[doubt] == kept_ms
        assert outcome.batch.received_ms[doubt] == _RECEIVED


_STAMPS = {
    "a week old": (_RECEIVED - OLDEST_MS, Flag.NONE),
    "now": (_RECEIVED, Flag.NONE),
    "a second ahead": (_RECEIVED + AHEAD_MS, Flag.NONE),
    "a step more ahead": (_RECEIVED + AHEAD_MS + 1, Flag.AHEAD),
    "30 s ahead": (_RECEIVED + MOST_AHEAD_MS, Flag.AHEAD),
}


@pytest.mark.shows
@pytest.mark.parametrize(("stamp", "flag"), _STAMPS.values(), ids=_STAMPS)
def test_a_time_that_may_be_true_is_kept_and_marked_where_it_is_ahead(stamp: int, flag: Flag) -> None:
    """From one second ahead a reading is marked; at 30 s it is still kept."""
    outcome = describing().hear(value("r1", 90.5, stamp, received_ms=_RECEIVED))

    assert outcome.rows == [(KEY, stamp, 90.5)]
    assert outcome.batch.flags.tolist() == [flag]


@pytest.mark.parametrize("stamp", ["1.78e12", "1780000000000.0", '"2026-05-28T20:26:40Z"', "null", "true"])
def test_a_time_that_is_no_integer_is_refused(stamp: str) -> None:
    """The contract says Unix milliseconds."""
    assert describing().hear(raw(TOPIC, payload(time_ms=stamp))).reasons == [Reason.WRONG_TYPE]


@pytest.mark.shows(Flag.RETAINED, Flag.REDELIVERED, Flag.AT_MOST_ONCE)
def test_how_a_message_came_is_kept_with_its_reading() -> None:
    """Retained, delivered again, at most once: each is a flag and none changes the source time."""
    flags = Flag.RETAINED | Flag.REDELIVERED | Flag.AT_MOST_ONCE

    outcome = describing().hear(value("r1", flags=flags))

    assert outcome.batch.flags.tolist() == [flags]
    assert outcome.batch.source_ms.tolist() == [T0_MS]
    assert outcome.batch.received_ms.tolist() == [_RECEIVED]


# Together -----------------------------------------------------------------------------


def test_a_bad_value_takes_no_other_with_it() -> None:
    """Good values before and after it are kept, and each message is counted once."""
    outcome = describing().hear(
        value("r1", 90, T0_MS),
        raw(TOPIC, b"not JSON"),
        value("r1", 1e6, T0_MS + 1),
        value("r1", 91, T0_MS + 2),
    )

    assert [read for _, _, read in outcome.rows] == [90.0, 91.0]
    assert outcome.reasons == [Reason.BAD_JSON, Reason.OUT_OF_RANGE]
    assert outcome.counted == 4


def test_a_doubt_stands_where_the_bad_value_came() -> None:
    """A good value after a bad one ends the doubt, and one before it does not."""
    outcome = describing().hear(
        value("r1", 90, T0_MS),
        value("r1", 1e6, T0_MS + 1),
        value("r1", 91, T0_MS + 2),
        raw(TOPIC, b"not JSON"),
    )

    assert outcome.qualities == [Quality.GOOD, Quality.REFUSED, Quality.GOOD, Quality.REFUSED]


_DOUBTED = {
    "impossible": (payload("-89.17"), T0_MS),
    "a number in quotation marks": (payload('"89.17"'), T0_MS),
    "too large for a number": (payload(DIGITS), T0_MS),
    "no quality": (f'{{"value":90.5,"timestamp":{T0_MS}}}'.encode(), T0_MS),
    "no JSON": (b"not JSON", _RECEIVED),
    "a stamp that is none": (payload(time_ms="true"), _RECEIVED),
    "two stamps": (payload(more=f',"timestamp":{T0_MS + 1}'), _RECEIVED),
}


@pytest.mark.parametrize(("body", "stamped_ms"), _DOUBTED.values(), ids=_DOUBTED)
def test_a_value_that_is_refused_keeps_its_stamp(body: bytes, stamped_ms: int) -> None:
    """From then on its point is in doubt, however late it comes; one of no known time counts as it comes."""
    message = raw(TOPIC, body, received_ms=_RECEIVED, flags=Flag.RETAINED)

    outcome = describing().hear(message)

    assert outcome.doubts == [KEY]
    assert outcome.batch.source_ms.tolist() == [stamped_ms]
    assert outcome.batch.received_ms.tolist() == [_RECEIVED]
    assert outcome.batch.flags.tolist() == [Flag.RETAINED]


_TOPICS = {
    "of nothing": ("", Reason.UNKNOWN_TOPIC),
    "of another version": ("BMS/v2/PUB/Value/Rack/RackPower/r1", Reason.UNKNOWN_TOPIC),
    "with no tag path": ("BMS/v1/PUB/Value/Rack/RackPower", Reason.UNKNOWN_TOPIC),
    "neither value nor metadata": ("BMS/v1/PUB/Command/Rack/RackPower/r1", Reason.UNKNOWN_TOPIC),
    "that begins with a slash": ("/BMS/v1/PUB/Value/Rack/RackPower/r1", Reason.UNKNOWN_TOPIC),
    "of the broker itself": ("$SYS/broker/clients/connected", Reason.UNKNOWN_TOPIC),
    "with an empty publisher": ("BMS/v1//Value/Rack/RackPower/r1", Reason.BAD_TOPIC),
    "with a wildcard": ("BMS/v1/PUB/Value/Rack/RackPower/#", Reason.BAD_TOPIC),
    "with a NUL": ("BMS/v1/PUB/Value/Rack/RackPower/r\x001", Reason.BAD_TOPIC),
    "with a replaced byte": ("BMS/v1/PUB/Value/Rack/RackPower/r\ufffd", Reason.BAD_TOPIC),
}


@pytest.mark.shows
@pytest.mark.parametrize(("topic", "reason"), _TOPICS.values(), ids=_TOPICS)
def test_a_topic_that_nobody_may_publish_on_is_refused(topic: str, reason: Reason) -> None:
    """Nothing waits and nothing is stored under such a name."""
    outcome = describing().hear(raw(topic, payload()))

    assert outcome.reasons == [reason]
    assert not outcome.rows
    assert not outcome.waiting
    assert len(outcome.rejections[0].topic) <= 512
