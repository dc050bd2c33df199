"""What a socket brings, taken apart, wherever it is cut."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from collector.mqtt import inflow
from collector.mqtt.inflow import Inflow
from collector.mqtt.protocol import Breach
from testing.builders import T0_MS

Came = list[tuple[bytes, bytes] | bytes]
"""Topic and payload of plain messages, and the bytes of other packets, in order."""


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return both ends of a connection; ours does not wait."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003 - its own signature
    with ours, theirs:
        yield ours, theirs


def publish(topic: bytes, payload: bytes) -> bytes:
    """Return a plain PUBLISH of MQTT 5 at quality of service 1, numbered 1."""
    body = len(topic).to_bytes(2, "big") + topic + b"\x00\x01\x00" + payload
    length, found = len(body), bytearray(b"\x32")
    while True:
        length, low = divmod(length, 128)
        found.append(low | (128 if length else 0))
        if not length:
            return bytes(found) + body


def taken(flow: Inflow) -> Came:
    """Return what was taken apart, as paho and the session get it."""
    came: Came = []
    for messages in flow.take(T0_MS):
        if messages is None:
            came.append(flow.give(10**9))
        else:
            came += [messages.said(row) for row in range(len(messages))]
    return came


STREAM = [
    publish(b"a", b"1"),
    b"\xd0\x00",
    publish(b"b", b"2" * 200),
    publish(b"c", b"3"),
    b"\x90\x04\x00\x01\x00\x01",
    publish(b"d", b""),
]
WHOLE: Came = [(b"a", b"1"), STREAM[1], (b"b", b"2" * 200), (b"c", b"3"), STREAM[4], (b"d", b"")]


def test_a_stream_is_the_same_wherever_it_is_cut(ends: tuple[socket.socket, socket.socket]) -> None:
    """Byte by byte, in two parts at each place, and at one go."""
    ours, theirs = ends
    stream = b"".join(STREAM)
    for cut in range(len(stream) + 1):
        flow, came = Inflow(has_properties=True), []
        for part in (stream[:cut], stream[cut:]):
            theirs.sendall(part)
            assert not flow.read(ours)
            came += taken(flow)
        assert came == WHOLE, cut
    flow, came = Inflow(has_properties=True), []
    for i in range(len(stream)):
        theirs.sendall(stream[i : i + 1])
        flow.read(ours)
        came += taken(flow)
    assert came == WHOLE


@pytest.mark.parametrize("step", [1, 50, 64, 2_000])
def test_of_a_message_that_is_too_long_the_beginning_is_handed_on(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """It is refused for its length and acknowledged; what is behind it is read, and no more room is taken."""
    monkeypatch.setattr(inflow, "BUFFER_BYTES", 64)
    monkeypatch.setattr(inflow, "MOST_PACKET_BYTES", 32)
    ours, theirs = ends
    flow, came = Inflow(has_properties=True), []
    stream = publish(b"a", b"1") + publish(b"big", b"x" * 1_000) + publish(b"big", b"") + publish(b"b", b"y")
    for at in range(0, len(stream), step):
        theirs.sendall(stream[at : at + step])
        while flow.read(ours):
            came += taken(flow)
        came += taken(flow)

    assert came == [(b"a", b"1"), (b"big", b"x" * 24), (b"big", b""), (b"b", b"y")]
    assert len(flow._buffer) == 64


def test_what_is_too_long_and_no_message_breaks_the_protocol(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No broker has that much to say."""
    monkeypatch.setattr(inflow, "MOST_PACKET_BYTES", 32)
    ours, theirs = ends
    flow = Inflow(has_properties=True)
    theirs.sendall(publish(b"a", b"1") + b"\x90\x80\x08" + bytes(100))
    flow.read(ours)
    came = flow.take(T0_MS)

    assert next(came) is not None
    with pytest.raises(Breach, match="but messages, found 1024"):
        next(came)


def test_what_is_read_before_the_end_is_handed_on_before_it(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """The last messages of a connection that is closed count; half a packet does not."""
    ours, theirs = ends
    theirs.sendall(publish(b"a", b"1") + b"\x32\x09")
    theirs.close()
    flow = Inflow(has_properties=True)
    flow.read(ours)

    assert taken(flow) == [(b"a", b"1"), b""]


def test_a_broken_connection_is_raised_to_who_reads(ends: tuple[socket.socket, socket.socket]) -> None:
    """As from the socket itself."""
    ours, _ = ends
    flow = Inflow(has_properties=True)
    with pytest.raises(BlockingIOError):
        flow.give(1)
    ours.close()
    flow.read(ours)

    assert next(flow.take(T0_MS)) is None
    with pytest.raises(OSError, match="Bad file descriptor"):
        flow.give(1)


def test_a_length_without_an_end_is_left_to_paho(ends: tuple[socket.socket, socket.socket]) -> None:
    """Nothing can be read after it."""
    ours, theirs = ends
    odd = b"\x32\xff\xff\xff\xff\x01"
    theirs.sendall(publish(b"a", b"1") + odd)
    flow = Inflow(has_properties=True)
    flow.read(ours)

    assert taken(flow) == [(b"a", b"1"), odd]
