"""What is on its way to a broker: no packet id is used twice, nothing is forgotten, nothing counted twice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from simulators.publish.window import Tally, Window
from simulators.wire.frames import MOST_IDS, MQTT_3, MQTT_5, BadPacket, connect, packets, varint, welcome
from simulators.wire.rows import Rows


def _rows(first: int, count: int) -> Rows:
    """Return rows whose channels number them."""
    at_ms = np.zeros(count, np.int64)
    return Rows.of_values(np.arange(first, first + count, dtype=np.int32), at_ms, at_ms, np.zeros(count))


class WindowMachine(RuleBasedStateMachine):
    """Publishes, acknowledges in any order and answers pings, beside a plain account of the same."""

    @initialize(most=st.integers(1, 40))
    def begin(self, most: int) -> None:
        """Begin with a window of some size."""
        self.tally = Tally()
        self.window = Window(most, self.tally)
        self.on_way: dict[int, int] = {}
        self.unsure: list[tuple[int, int]] = []
        self.fences: list[int] = []
        self.next = 0
        self.taken = 0

    @rule(count=st.integers(1, 30))
    def publish_once_at_least(self, count: int) -> None:
        """Publish at quality of service 1, as much as may be."""
        ids = self.window.claim(count)
        assert len(ids) == min(count, self.window.most - len(self.on_way))
        assert not set(ids.tolist()) & set(self.on_way)
        assert all(1 <= number <= MOST_IDS for number in ids.tolist())
        self.window.sent(_rows(self.next, len(ids)), ids)
        for number in ids.tolist():
            self.on_way[number] = self.next
            self.next += 1

    @rule(count=st.integers(1, 30))
    def publish_once_at_most(self, count: int) -> None:
        """Publish at quality of service 0."""
        self.window.sent(_rows(self.next, count), None)
        number = self.window.fence()
        self.window_fence(number)
        self.unsure += [(number, self.next + i) for i in range(count)]
        self.next += count

    def window_fence(self, number: int) -> None:
        """Note a ping."""
        self.fences.append(number)

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Acknowledge some, in any order, some twice, some with a refusal; and some that never were."""
        known = data.draw(st.lists(st.sampled_from(sorted(self.on_way) or [1]), max_size=20))
        strange = data.draw(st.lists(st.integers(1, MOST_IDS), max_size=2))
        ids = np.array(known + [s for s in strange if s not in self.on_way], np.int64)
        refused = np.zeros(len(ids), np.bool_)
        if data.draw(st.booleans()) and len(ids):
            refused[:1] = True
        own = {number for number in ids.tolist() if number in self.on_way}
        self.window.acknowledge(ids, refused)
        self.taken += len(own)
        for number in own:
            del self.on_way[number]

    @rule()
    def pong(self) -> None:
        """Answer the oldest ping."""
        assert self.window.confirm() is bool(self.fences)
        if self.fences:
            fence = self.fences.pop(0)
            self.taken += sum(number <= fence for number, _ in self.unsure)
            self.unsure = [(number, row) for number, row in self.unsure if number > fence]

    @invariant()
    def nothing_is_lost(self) -> None:
        """What is open is exactly what was not acknowledged."""
        if not hasattr(self, "window"):
            return
        found = self.window.outstanding()
        assert sorted(found.unacknowledged.channel.tolist()) == sorted(self.on_way.values())
        assert sorted(found.unsure.channel.tolist()) == sorted(row for _, row in self.unsure)
        assert self.window.in_flight == len(self.on_way) <= self.window.most
        assert self.tally.acknowledged + self.tally.refused == self.taken
        assert self.tally.refused == sum(len(rows) for rows in self.window.refused)


WindowMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestWindow = WindowMachine.TestCase


def test_packet_ids_come_round() -> None:
    """After the last id comes the first, and an id that is still on its way is not given again."""
    window = Window(MOST_IDS, Tally())
    first = window.claim(MOST_IDS)
    assert first.tolist() == list(range(1, MOST_IDS + 1))
    assert not len(window.claim(1))
    window.acknowledge(np.array([1, 2, 4]), np.zeros(3, np.bool_))
    assert window.claim(10).tolist() == [1, 2]


@given(
    said=st.lists(st.tuples(st.sampled_from([0x20, 0x40, 0xD0]), st.binary(max_size=200)), max_size=20),
    cuts=st.lists(st.integers(0, 3_000), max_size=10),
)
@settings(max_examples=60)
def test_packets_come_whole_however_they_are_cut(said: list[tuple[int, bytes]], cuts: list[int]) -> None:
    """A stream in pieces of any size gives the packets that it was made of."""
    stream = b"".join(bytes([kind]) + varint(len(body)) + body for kind, body in said)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    buffer, found = bytearray(), []
    for a, b in pairwise(edges):
        buffer += stream[a:b]
        found += list(packets(buffer))
    assert found == said
    assert not buffer


@given(data=st.binary(max_size=60), version=st.sampled_from([MQTT_3, MQTT_5]))
@settings(max_examples=100)
def test_a_welcome_of_any_bytes_is_read_or_refused(data: bytes, version: int) -> None:
    """No CONNACK makes the reader do anything but read it or say what is wrong."""
    try:
        found = welcome(data, version)
    except BadPacket:
        return
    assert found.code == data[1]
    assert 0 <= found.receive_maximum <= MOST_IDS


def test_connect_says_who_we_are() -> None:
    """User and password are in the packet, with their flags; the byte layout is that of the standard."""
    plain = connect(MQTT_3, "me", 15, None, None)
    assert plain == b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x0f\x00\x02me"
    known = connect(MQTT_5, "me", 15, "user", "pass")
    assert known == b"\x10\x1b\x00\x04MQTT\x05\xc2\x00\x0f\x00\x00\x02me\x00\x04user\x00\x04pass"
