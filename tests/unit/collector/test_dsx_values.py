"""Values of the DSX bus: what is kept, with which quality, and why the rest is not."""

from __future__ import annotations

import pytest

from collector.kernels.portable import MOST_VALUE_BYTES
from facility.readings import DEAD_LETTER_BYTES, Quality, Reason
from testing.builders import T0_MS
from testing.collector.hearing import Hearing, a_site, describing, key_of, metadata, raw, value
from testing.operations import peak_of

KEY = key_of("r1")
TOPIC = value("r1").topic
DIGITS = "9" * 5_000


def payload(read: str = "90.5", time_ms: str = str(T0_MS), quality: str = "1", more: str = "") -> bytes:
    """Return the payload of a value with its parts as they are written."""
    return f'{{"value":{read},"timestamp":{time_ms},"quality":{quality}{more}}}'.encode()


# Numbers ------------------------------------------------------------------------------

_KEPT = {
    "a float": ("90.5", 90.5),
    "an integer": ("5", 5.0),
    "a float that is an integer": ("5.0", 5.0),
    "an exponent": ("9.05e1", 90.5),
    "zero": ("0", 0.0),
    "minus zero": ("-0.0", 0.0),
    "no value": ("null", None),
    "the least number": ("5e-324", 5e-324),
    "less than the least number": ("1e-999", 0.0),
    "digits beyond a float": ("90.500000000000000000000000000001", 90.5),
    "the highest possible": ("1200", 1_200.0),
    "the lowest possible": ("-5", -5.0),
}


@pytest.mark.parametrize(("text", "read"), _KEPT.values(), ids=_KEPT)
def test_a_number_in_range_is_kept_as_it_is(text: str, read: float | None) -> None:
    """Whatever form a number has, its value is stored; no value is stored as none."""
    outcome = describing().hear(raw(TOPIC, payload(text)))

    assert outcome.rows == [(KEY, T0_MS, read)]
    assert not outcome.rejections


_REFUSED = {
    "NaN": ("NaN", Reason.BAD_JSON),
    "minus infinity": ("-Infinity", Reason.BAD_JSON),
    "too large for a float": ("1e999", Reason.OUT_OF_RANGE),
    "400 digits": ("9" * 400, Reason.OUT_OF_RANGE),
    "5,000 digits": (DIGITS, Reason.OUT_OF_RANGE),
    "2^63": (str(2**63), Reason.OUT_OF_RANGE),
    "2^64": (str(2**64), Reason.OUT_OF_RANGE),
    "the largest float": ("1.7976931348623157e308", Reason.OUT_OF_RANGE),
    "a sentinel of 16 bits": ("65535", Reason.OUT_OF_RANGE),
    "that sentinel, scaled": ("6553.5", Reason.OUT_OF_RANGE),
    "a signed register read as unsigned": (str(2**32 - 1), Reason.OUT_OF_RANGE),
    "watts for kilowatts": ("90500", Reason.OUT_OF_RANGE),
    "a step above the highest possible": ("1200.0000000000002", Reason.OUT_OF_RANGE),
    "a step below the lowest possible": ("-5.000000000000001", Reason.OUT_OF_RANGE),
    "text": ('"12.5"', Reason.WRONG_TYPE),
    "true": ("true", Reason.WRONG_TYPE),
    "an object": ("{}", Reason.WRONG_TYPE),
    "an array": ("[90.5]", Reason.WRONG_TYPE),
    "nothing": ("", Reason.BAD_JSON),
    "a leading zero": ("090.5", Reason.BAD_JSON),
    "a leading plus": ("+90.5", Reason.BAD_JSON),
    "a decimal comma": ("90,5", Reason.BAD_JSON),
    "hexadecimal": ("0x5A", Reason.BAD_JSON),
    "a template that nobody filled in": ("{{value}}", Reason.BAD_JSON),
}


@pytest.mark.parametrize(("text", "reason"), _REFUSED.values(), ids=_REFUSED)
def test_what_is_no_possible_number_is_refused_and_puts_the_point_in_doubt(text: str, reason: Reason) -> None:
    """It is dead-lettered with the reason, and the point's last good value is not trusted any more."""
    message = raw(TOPIC, payload(text))

    outcome = describing().hear(message)

    assert outcome.rows == []
    assert outcome.reasons == [reason]
    assert outcome.doubts == [KEY]
    (rejection,) = outcome.rejections
    assert rejection.topic == TOPIC
    assert rejection.payload == message.payload[:DEAD_LETTER_BYTES]
    assert rejection.length == len(message.payload)
    assert 0 < len(rejection.detail) <= 500


_CREDIBLE = {
    "twice the rating": (264.0, Quality.GOOD),
    "a step above it": (264.00000000000006, Quality.IMPLAUSIBLE),
    "10 times too large": (905.0, Quality.IMPLAUSIBLE),
    "2 % of it backwards": (-2.64, Quality.GOOD),
    "a step more backwards": (-2.6400000000000006, Quality.IMPLAUSIBLE),
}


@pytest.mark.shows
@pytest.mark.parametrize(("read", "quality"), _CREDIBLE.values(), ids=_CREDIBLE)
def test_a_value_beyond_the_rating_is_kept_and_not_trusted(read: float, quality: Quality) -> None:
    """A rack of 132 kW: from -2 % to twice the rating is credible; the rest may mean a wrong rating."""
    outcome = describing().hear(value("r1", read))

    assert outcome.rows == [(KEY, T0_MS, read)]
    assert outcome.qualities == [quality]


def test_without_a_rating_every_possible_value_is_credible() -> None:
    """Nobody can say that 905 kW is too much for a rack that nobody has rated."""
    hearing = Hearing(a_site(rating_kw=None))
    hearing.hear(metadata("r1"))

    assert hearing.hear(value("r1", 905)).qualities == [Quality.GOOD]


_QUALITIES = {
    "good": ("1", Quality.GOOD),
    "bad": ("0", Quality.SOURCE_DOUBTS),
    "another code": ("192", Quality.SOURCE_DOUBTS),
    "a negative code": ("-1", Quality.SOURCE_DOUBTS),
    "an immense code": ("1" + "0" * 30, Quality.SOURCE_DOUBTS),
}


@pytest.mark.parametrize(("text", "quality"), _QUALITIES.values(), ids=_QUALITIES)
def test_only_a_quality_of_one_is_good(text: str, quality: Quality) -> None:
    """Any other integer is stored as the source's own doubt."""
    outcome = describing().hear(raw(TOPIC, payload(quality=text)))

    assert outcome.qualities == [quality]
    assert outcome.rows == [(KEY, T0_MS, 90.5)]


@pytest.mark.parametrize(
    ("text", "quality"),
    [('"1"', Quality.GOOD), ('"0"', Quality.SOURCE_DOUBTS), ('"good"', Quality.SOURCE_DOUBTS)],
)
def test_a_quality_may_be_a_text_as_nico_writes_it(text: str, quality: Quality) -> None:
    """NVIDIA's own integration writes "1"; whatever else stands there is not to be trusted."""
    outcome = describing().hear(raw(TOPIC, payload(quality=text)))

    assert outcome.qualities == [quality]
    assert outcome.rows == [(KEY, T0_MS, 90.5)]


@pytest.mark.parametrize("text", ["1.0", "true", "[1]", "null"])
def test_a_quality_that_is_neither_integer_nor_text_is_refused(text: str) -> None:
    """Nobody guesses what a source means by it."""
    assert describing().hear(raw(TOPIC, payload(quality=text))).reasons == [Reason.WRONG_TYPE]


def test_no_value_is_no_value_however_good_it_is_said_to_be() -> None:
    """A null is never a zero and never good."""
    outcome = describing().hear(value("r1", None, quality=1), value("r1", None, T0_MS + 1, quality=0))

    assert outcome.qualities == [Quality.NO_VALUE, Quality.NO_VALUE]
    assert [read for _, _, read in outcome.rows] == [None, None]


# Structure ----------------------------------------------------------------------------

_STRUCTURES = {
    "empty": (b"", Reason.BAD_JSON),
    "blank": (b"  \n", Reason.BAD_JSON),
    "truncated": (payload()[:-1], Reason.BAD_JSON),
    "trailing": (payload() + b"x", Reason.BAD_JSON),
    "two objects": (payload() * 2, Reason.BAD_JSON),
    "byte-order mark": (b"\xef\xbb\xbf" + payload(), Reason.BAD_JSON),
    "UTF-16": (payload().decode().encode("utf-16"), Reason.BAD_JSON),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", Reason.BAD_JSON),
    "NUL": (b"\x00" * 20, Reason.BAD_JSON),
    "single quotes": (payload().replace(b'"', b"'"), Reason.BAD_JSON),
    "40,000 open brackets": (b"[" * 40_000, Reason.BAD_JSON),
    "40,000 open brackets in a key that nobody reads": (
        payload(more=',"x":' + "[" * 40_000),
        Reason.BAD_JSON,
    ),
    "40,000 open objects": (b'{"a":' * 8_000, Reason.BAD_JSON),
    "an array": (b"[" + payload() + b"]", Reason.WRONG_TYPE),
    "a number": (b"90.5", Reason.WRONG_TYPE),
    "null": (b"null", Reason.WRONG_TYPE),
    "nothing in it": (b"{}", Reason.MISSING_FIELD),
    "no time": (b'{"value":90.5,"quality":1}', Reason.MISSING_FIELD),
    "no quality": (f'{{"value":90.5,"timestamp":{T0_MS}}}'.encode(), Reason.MISSING_FIELD),
    "no value": (f'{{"timestamp":{T0_MS},"quality":1}}'.encode(), Reason.MISSING_FIELD),
    "a key twice": (payload(more=',"value":91'), Reason.DUPLICATE_KEY),
    "a key twice, once written in escapes": (payload(more=',"\\u0076alue":91'), Reason.DUPLICATE_KEY),
    "a key twice with the same value": (payload(more=f',"timestamp":{T0_MS}'), Reason.DUPLICATE_KEY),
    "another key twice": (payload(more=',"x":1,"x":2'), Reason.DUPLICATE_KEY),
}


@pytest.mark.shows
@pytest.mark.parametrize(("body", "reason"), _STRUCTURES.values(), ids=_STRUCTURES)
def test_what_is_no_value_message_is_refused(body: bytes, reason: Reason) -> None:
    """Each message that cannot be read is one dead letter with its reason."""
    outcome = describing().hear(raw(TOPIC, body))

    assert outcome.reasons == [reason]
    assert outcome.rows == []
    assert outcome.doubts == [KEY]


_EXTRAS = {
    "a number": ',"x":1',
    "an object with keys of its own": ',"source":{"value":1,"unit":"kW"}',
    "a text with quotation marks": ',"note":"\\"value\\":1"',
    "an integer of 4,000 digits": f',"x":{"9" * 4_000}',
}


@pytest.mark.parametrize("more", _EXTRAS.values(), ids=_EXTRAS)
def test_other_keys_are_let_be(more: str) -> None:
    """A newer publisher may say more than we read."""
    outcome = describing().hear(raw(TOPIC, payload(more=more)))

    assert outcome.rows == [(KEY, T0_MS, 90.5)]


_OTHER_HORRORS = {
    "bytes that are no UTF-8": (b'","x":"\xff', Reason.BAD_JSON),
    "half of a surrogate pair": (b'","x":"\\ud800', Reason.BAD_JSON),
}


@pytest.mark.parametrize(("more", "reason"), _OTHER_HORRORS.values(), ids=_OTHER_HORRORS)
def test_text_that_is_no_text_is_not_called_a_repeated_key(more: bytes, reason: Reason) -> None:
    """The reason says what is wrong even where that stands in a key that nobody reads."""
    body = payload(more=',"note":"').removesuffix(b"}") + more + b'"}'

    assert describing().hear(raw(TOPIC, body)).reasons == [reason]


@pytest.mark.parametrize("length", [MOST_VALUE_BYTES + 1, 1_000_000, 16_000_000])
@pytest.mark.parametrize("filler", ["x", "[],"], ids=["one text", "many arrays"])
def test_a_huge_payload_is_refused_before_it_is_read(length: int, filler: str) -> None:
    """Beyond 64 KiB nothing is parsed, however well it is formed: reading it would hold up all others."""
    many = filler * (length // len(filler))
    more = f',"x":"{many}"' if filler == "x" else f',"x":[{many}[]]'
    message = raw(TOPIC, payload(more=more))
    hearing = describing()

    outcomes = []

    taken_bytes = peak_of(lambda: outcomes.append(hearing.hear(message)))

    [outcome] = outcomes
    assert outcome.reasons == [Reason.TOO_LARGE]
    assert outcome.rejections[0].length == len(message.payload)
    assert len(outcome.rejections[0].payload) == DEAD_LETTER_BYTES
    assert taken_bytes < 2.5 * length + 100_000, "it is handed on twice; what is read takes more room"


def test_the_longest_payload_is_still_read() -> None:
    """At 64 KiB a value is a value."""
    body = payload(more=f',"x":"{"y" * (MOST_VALUE_BYTES - len(payload()) - 7)}"')
    assert len(body) == MOST_VALUE_BYTES

    assert describing().hear(raw(TOPIC, body)).rows == [(KEY, T0_MS, 90.5)]
