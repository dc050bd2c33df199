"""The loops over messages: compiled or not they give the same, and leave the same to the slow way."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable
from datetime import datetime
from types import ModuleType

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.decode.rackdocumentshapes import Shapes
from collector.kernels import portable
from facility.instants import from_iso
from facility.readings import Flag
from facility.units import UNITS


def a_native() -> ModuleType:
    """Return the compiled loops, where they were built."""
    try:
        return importlib.import_module("collector.kernels._native")
    except ImportError:
        pytest.skip("the loops were not compiled: there was no C compiler, or no headers of Python")


Values = list[tuple[int, int, float | None, bool]]


def values_of(kernel: ModuleType, payloads: list[bytes], routes: dict[bytes, object] | None = None) -> Values:
    """Return point, time, value and trust of the values that a loop reads, all of topic `t`."""
    parts, spans, at = [], np.empty((len(payloads), 4), np.int32), 0
    for row, payload in enumerate(payloads):
        parts += [b"t", payload]
        spans[row] = at, at + 1, at + 1, at + 1 + len(payload)
        at += 1 + len(payload)
    points, times = np.empty(len(payloads), np.int32), np.empty(len(payloads), np.int64)
    values, good = np.empty(len(payloads)), np.empty(len(payloads), np.uint8)
    known = {b"t": 7} if routes is None else routes
    count = kernel.read_values(b"".join(parts), spans, 0, known, points, times, values, good)
    found = zip(points, times, values, good, strict=True)
    return [(int(p), int(t), None if math.isnan(v) else float(v), bool(g)) for p, t, v, g in found][:count]


def text_of(value: float | None) -> st.SearchStrategy[str]:
    """Return ways to write a number in JSON that say the same."""
    plain = json.dumps(value)
    if value is None:
        return st.just(plain)
    return st.sampled_from(
        [plain, f"{value:.17e}", f"{value:.17E}".replace("E", "E+0").replace("E+0-", "E-0")]
    )


NUMBERS = st.one_of(
    st.none(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(-2000, 2000, places=3, allow_nan=False, allow_infinity=False).map(float),
)
SPACES = st.sampled_from(["", "", "", " ", "\n\t", "\r "])
QUALITIES = st.one_of(
    st.integers(0, 3), st.sampled_from(["1", "0", "good", "", "a\\u0031", "\u00fc", None, 1.0, True])
)


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """Draw what may come as a value: mostly values, in any order and form, and some that are none."""
    value, quality = draw(NUMBERS), draw(QUALITIES)
    time = draw(st.one_of(st.integers(0, 2**53), st.integers(-(2**70), 2**70), st.floats(0, 1e15)))
    written = draw(text_of(value))
    members = [f'"value"{draw(SPACES)}:{draw(SPACES)}{written}', f'"timestamp":{json.dumps(time)}']
    members.append(f'"quality":{draw(SPACES)}{json.dumps(quality, ensure_ascii=draw(st.booleans()))}')
    members += draw(
        st.lists(st.sampled_from(['"more":1', '"value":2', '"quality":1', '"x":{"a":[]}', '""']), max_size=1)
    )
    order = draw(st.permutations(members))
    text = (
        draw(SPACES) + "{" + f"{draw(SPACES)},{draw(SPACES)}".join(order) + draw(SPACES) + "}" + draw(SPACES)
    )
    raw = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:  # a byte is lost, or another
        at = draw(st.integers(0, len(raw) - 1))
        raw = raw[:at] + draw(st.binary(max_size=2)) + raw[at + 1 :]
    return raw


class _Value(msgspec.Struct):
    value: float | None
    timestamp: int
    quality: int | str


@settings(max_examples=400)
@given(payloads())
@example(b'{"value":-0,"timestamp":1,"quality":1}')
@example(b'{"value":9007199254740993,"timestamp":1,"quality":1}')
@example(b'{"value":0.1e23,"timestamp":1,"quality":1}')
@example(b'{"value":1e23,"timestamp":1,"quality":1}')
@example(b'{"value":012,"timestamp":1,"quality":1}')
@example(b'{"value":1.,"timestamp":1,"quality":1}')
@example(b'{"value":1,"timestamp":1,"quality":"1"}')
def test_a_value_that_the_compiled_loop_reads_is_what_json_says(payload: bytes) -> None:
    """To the last bit; what it cannot read so it leaves."""
    found = values_of(a_native(), [payload])
    if not found:
        return
    read = msgspec.json.decode(payload, type=_Value)
    assert found == [(7, read.timestamp, read.value, read.quality in (1, "1"))]
    assert str(found[0][2]) == str(read.value), "the sign of a zero too"
    assert list(json.loads(payload, object_pairs_hook=lambda pairs: [key for key, _ in pairs])) != []


@settings(max_examples=200)
@given(payloads())
def test_what_the_loop_in_python_reads_the_compiled_one_reads_too_or_leaves(payload: bytes) -> None:
    """Where both read a message, they read the same."""
    slow, fast = values_of(portable, [payload]), values_of(a_native(), [payload])
    assert not slow or not fast or slow == fast


KERNELS = {"python": lambda: portable, "compiled": a_native}


@pytest.fixture(params=list(KERNELS.values()), ids=list(KERNELS))
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    """Return either of the two modules."""
    make: Callable[[], ModuleType] = request.param
    return make()


@pytest.mark.parametrize("power", range(-15, 16))
def test_usual_numbers_are_read(kernel: ModuleType, power: int) -> None:
    """Whatever a source usually writes is not left to the slow way."""
    texts = [f"{digits}e{power}" for digits in ("1", "90.5", "-1307.25", "0.001", "123456.789", "0")]
    read = values_of(kernel, [b'{"value":%s,"timestamp":1,"quality":1}' % text.encode() for text in texts])
    assert [value for _, _, value, _ in read] == [float(text) for text in texts]


def test_reading_ends_where_a_message_is_no_plain_value(kernel: ModuleType) -> None:
    """What is before it is read; it and all that follow are left."""
    good = b'{"value": 1.5, "timestamp": 5, "quality": 1}'
    doubtful = good.replace(b": 1}", b": 0}")
    assert values_of(kernel, [good, doubtful, b"{}", good]) == [(7, 5, 1.5, True), (7, 5, 1.5, False)]
    assert values_of(kernel, [good], {}) == []
    assert values_of(kernel, [good], {b"t": "refused"}) == []
    assert values_of(kernel, [good[:-1] + b" " * portable.MOST_VALUE_BYTES + b"}"]) == []


@pytest.mark.parametrize("leak", [b'1.5},{"value":1', b'1.5}\n{"value":1', b'"', b"}"])
def test_no_payload_leaks_into_its_neighbour(kernel: ModuleType, leak: bytes) -> None:
    """What ends early or goes on is no value."""
    good = b'{"value":1.5,"timestamp":5,"quality":1}'
    assert values_of(kernel, [good.replace(b"1.5", leak), good]) == []


# Documents ----------------------------------------------------------------------------

DOCUMENT = (
    b'{"time":1780000000000,"seq":7,"power_kw":118.4,"inlet_f":73.5,"leak":false,'
    b'"feeds":{"a":{"amps":[1,2,3]}}}'
)
POINTS = [11, 12, 13, 21, 22, 23]

Document = tuple[list[int], list[int], list[float | None], int]


def documents_of(
    kernel: ModuleType, payloads: list[bytes], *, known: bytes = DOCUMENT, room: int = 100
) -> list[Document]:
    """Return points, times, values and number of the documents that a loop reads, by the shape of one."""
    shapes = Shapes()
    shapes.learn("t", known, ["r1"], POINTS)
    parts, spans, at = [], np.empty((len(payloads), 4), np.int32), 0
    for row, payload in enumerate(payloads):
        parts += [b"t", payload]
        spans[row] = at, at + 1, at + 1, at + 1 + len(payload)
        at += 1 + len(payload)
    points, times = np.empty(room, np.int32), np.empty(room, np.int64)
    values, sequences = np.empty(room), np.empty(room, np.int64)
    found = kernel.read_documents(b"".join(parts), spans, 0, shapes.known, points, times, values, sequences)
    read = [None if math.isnan(one) else one for one in values.tolist()]
    each = len(POINTS)
    return [
        (points[at : at + each].tolist(), times[at : at + each].tolist(), read[at : at + each], int(number))
        for at, number in zip(range(0, each * len(found), each), sequences, strict=False)
    ]


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Draw a document of the shape, or of nearly that."""

    def number() -> str:
        return draw(text_of(draw(NUMBERS)))

    time = draw(
        st.one_of(
            st.integers(0, 2**70).map(str),
            st.datetimes().map(lambda moment: f'"{moment.isoformat()}Z"'),
            st.datetimes(timezones=st.timezones()).map(lambda moment: f'"{moment.isoformat(" ")}"'),
        )
    )
    leak = draw(st.sampled_from(["true", "false", "null", "1", "0.0"]))
    text = (
        f'{{"time":{time},"seq":{draw(st.integers(-1, 2**65))},"power_kw":{number()},"inlet_f":{number()},'
        f'"leak":{leak},"feeds":{{"a":{{"amps":[{number()},{number()},{number()}]}}}}}}'
    )
    raw = text.encode()
    if draw(st.integers(0, 9)) == 0:  # a byte is lost, or another
        at = draw(st.integers(0, len(raw) - 1))
        raw = raw[:at] + draw(st.binary(max_size=2)) + raw[at + 1 :]
    return raw


@settings(max_examples=250)
@given(documents())
@example(DOCUMENT.replace(b"1780000000000", b'"2026-02-29T00:00:00Z"'))
@example(DOCUMENT.replace(b"1780000000000", b'"2096-02-29T23:59:59.9999+23:59"'))
@example(DOCUMENT.replace(b"1780000000000", b'"2100-02-29T00:00:00Z"'))
@example(DOCUMENT.replace(b"118.4", b"118.40000000000000000001"))
@example(DOCUMENT.replace(b"118.4", b"true"))
def test_a_document_that_a_loop_reads_is_what_json_says(payload: bytes) -> None:
    """To the last bit, and of both loops; what one cannot read so it leaves."""
    for kernel in (portable, a_native()):
        found = documents_of(kernel, [payload])
        if not found:
            continue
        said = msgspec.json.decode(payload)
        time = said["time"]
        time_ms = time if isinstance(time, int) else from_iso(time)
        fahrenheit = said["inlet_f"]
        inlet = None if fahrenheit is None else float(fahrenheit) * UNITS["°F"].factor + UNITS["°F"].offset
        values = [said["power_kw"], inlet, said["leak"], *said["feeds"]["a"]["amps"]]
        assert found == [(POINTS, [time_ms] * len(POINTS), values, said["seq"])]


@pytest.mark.parametrize("kernel_name", KERNELS)
@settings(max_examples=150)
@given(moment=st.datetimes(min_value=datetime(2000, 1, 2), max_value=datetime(2099, 12, 30)), data=st.data())  # noqa: DTZ001 - drawn
def test_usual_documents_are_read(kernel_name: str, moment: datetime, data: st.DataObject) -> None:
    """Whatever a source usually writes is not left to the slow way."""
    zone = data.draw(st.sampled_from(["Z", "+00:00", "-0530", "+02:00"]))
    digits = data.draw(st.integers(1, 9))
    fraction = data.draw(st.sampled_from(["", f".{'123456789'[:digits]}"]))
    written = f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"
    number = data.draw(
        st.one_of(
            st.integers(0, 10**9).map(str),
            st.floats(1e-6, 1e15).map(repr),
            st.sampled_from(["null", "-0.0", "0.30000000000000004"]),
        )
    )
    payload = DOCUMENT.replace(b"1780000000000", f'"{written}"'.encode()).replace(b"118.4", number.encode())
    (found,) = documents_of(KERNELS[kernel_name](), [payload])
    assert found[1] == [from_iso(written)] * len(POINTS)
    assert found[2][0] == json.loads(number)


def test_reading_documents_ends_where_one_has_no_known_shape_and_no_room(kernel: ModuleType) -> None:
    """What is before it is read; it and all that follow are left."""
    assert [number for *_, number in documents_of(kernel, [DOCUMENT, DOCUMENT, b"{}", DOCUMENT])] == [7, 7]
    for odd in (
        b" " + DOCUMENT,
        DOCUMENT + b" ",
        DOCUMENT[:-1],
        DOCUMENT * 2,
        DOCUMENT.replace(b"_f", b"_c"),
    ):
        assert documents_of(kernel, [odd, DOCUMENT]) == []
    for room in range(3 * len(POINTS)):
        assert len(documents_of(kernel, [DOCUMENT] * 4, room=room)) == room // len(POINTS)
    spaces = DOCUMENT.replace(b",", b"," + b" " * portable.MOST_DOCUMENT_BYTES)
    assert documents_of(kernel, [spaces], known=spaces) == []


# Packets ------------------------------------------------------------------------------


def a_publish(
    topic: bytes,
    payload: bytes,
    *,
    quality: int = 1,
    number: int = 1,
    flags: int = 0,
    properties: bytes | None = b"",
) -> bytes:
    """Return a PUBLISH packet; without properties it is one of MQTT 3.1.1."""
    body = len(topic).to_bytes(2, "big") + topic + (number.to_bytes(2, "big") if quality else b"")
    if properties is not None:
        body += bytes([len(properties)]) + properties
    return bytes([0x30 | quality << 1 | flags]) + remaining(len(body) + len(payload)) + body + payload


def remaining(length: int) -> bytes:
    """Return a length as MQTT writes it."""
    found = bytearray()
    while True:
        length, low = divmod(length, 128)
        found.append(low | (128 if length else 0))
        if not length:
            return bytes(found)


Framed = tuple[list[tuple[bytes, bytes, int, int]], int]


def framed(
    kernel: ModuleType, data: bytes, *, has_properties: bool = True, at: int = 0, most: int = 1_000
) -> Framed:
    """Return topic, payload, flags and number of the plain packets, and where they end."""
    spans, flags = np.empty((most, 4), np.int32), np.empty(most, np.uint8)
    numbers = np.empty(most, np.int64)
    count, end = kernel.frame(bytearray(data), at, len(data), has_properties, spans, flags, numbers)
    found = [
        (data[a:b], data[c:d], int(flag), int(number))
        for (a, b, c, d), flag, number in zip(spans[:count].tolist(), flags, numbers, strict=False)
    ]
    return found, end


@st.composite
def packets(draw: st.DrawFn, has_properties: bool) -> bytes:  # noqa: FBT001 - a parameter
    """Draw a packet: mostly a plain PUBLISH, and some that are none."""
    if draw(st.integers(0, 5)) == 0:
        return draw(
            st.one_of(
                st.binary(max_size=12),
                st.sampled_from([b"\xd0\x00", b"\x40\x02\x00\x01", b"\x30\xff\xff\xff\xff\x7f"]),
            )
        )
    properties = draw(st.sampled_from([b"", b"", b"", b"\x01\x00"])) if has_properties else None
    return a_publish(
        draw(st.binary(max_size=6)),
        draw(st.binary(max_size=300)),
        quality=draw(st.sampled_from([0, 1, 1, 1, 2, 3])),
        number=draw(st.integers(0, 65_535)),
        flags=draw(st.sampled_from([0, 0, 0, 1, 8, 9])),
        properties=properties,
    )


@settings(max_examples=200)
@given(st.booleans(), st.data())
def test_both_loops_find_the_same_packets(has_properties: bool, data: st.DataObject) -> None:  # noqa: FBT001 - drawn
    """Wherever a stream is cut, whatever stands in it."""
    stream = b"".join(data.draw(st.lists(packets(has_properties), max_size=6)))
    stream = stream[: data.draw(st.integers(0, len(stream)))]
    most = data.draw(st.integers(1, 8))
    assert framed(a_native(), stream, has_properties=has_properties, most=most) == framed(
        portable, stream, has_properties=has_properties, most=most
    )


def test_plain_packets_are_found_up_to_one_that_is_not(kernel: ModuleType) -> None:
    """Flags and numbers come with them; half a packet is left."""
    stream = [
        a_publish(b"a", b"1", number=258, flags=1),
        a_publish(b"b/c", b"", quality=0),
        a_publish(b"d", b"x" * 200, number=3, flags=8),
    ]
    found = [
        (b"a", b"1", int(Flag.RETAINED), 258),
        (b"b/c", b"", int(Flag.AT_MOST_ONCE), 0),
        (b"d", b"x" * 200, int(Flag.REDELIVERED), 3),
    ]
    whole = b"".join(stream)
    assert framed(kernel, whole) == (found, len(whole))
    assert framed(kernel, whole[:-1]) == (found[:2], len(stream[0]) + len(stream[1]))
    assert framed(kernel, whole, at=len(stream[0])) == (found[1:], len(whole))
    assert framed(kernel, whole, most=2) == (found[:2], len(stream[0]) + len(stream[1]))


ODD = {
    "an answer": b"\xd0\x00",
    "at most once, said again": a_publish(b"a", b"", quality=0, flags=8),
    "exactly once": a_publish(b"a", b"", quality=2),
    "no quality of service": a_publish(b"a", b"", quality=3),
    "no topic": a_publish(b"", b"x"),
    "no number": a_publish(b"a", b"x", number=0),
    "properties": a_publish(b"a", b"x", properties=b"\x01\x01"),
    "a topic longer than the packet": b"\x32\x06\x00\x09ab\x00\x01",
    "too short": b"\x32\x02\x00\x01",
    "a length without an end": b"\x32\xff\xff\xff\xff\x01",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_is_not_plain_is_left(kernel: ModuleType, odd: bytes) -> None:
    """It and what follows it: paho reads it."""
    plain = a_publish(b"a", b"1")
    assert framed(kernel, plain + odd + plain) == ([(b"a", b"1", 0, 1)], len(plain))
