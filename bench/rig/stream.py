"""What is published to every side: a site's metadata, and values that are framed once and stamped as they go.

On the DSX bus NVIDIA's recording of one pod, for as many pods as are asked for, each with names of its own;
where there is no recording beside the repository, the stream of a simulated site of as many racks. Rack
documents are made up: of each rack one a second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from bench.wire import a_simulation
from simulators.wire.bus import payloads
from simulators.wire.frames import MOST_IDS, MQTT_3, Framer
from testing.recording import FOLDER, PLACEHOLDER, Recorded, metadata, values

DSX: Final = "dsx"
DOCUMENTS: Final = "rack-documents"
RACKS_PER_POD: Final = 6
SIMULATED_S: Final = 20
"""Seconds of a simulated site that are published over and over."""

DSX_VALUES: Final = "BMS/v1/PUB/Value/#"
DOCUMENT_READINGS: Final = 26

_STAMP: Final = re.compile(rb'"time(?:stamp)?":\s*(\d{13})')
_DIGITS: Final = 13
_TENANT: Final = """
[[rack]]
ids = "Pod{pod}C-E0[1-6]"
rating_kw = 132
[[tenant]]
id = "pod{pod}"
holds = [{{ racks = "Pod{pod}C-E0[1-6]", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.3
"""

Messages = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Stream:
    """A site's messages.

    Attributes:
        name: What it is.
        form: What the site file calls its format.
        topics: The topic filter of its values.
        time_key: The key of a payload's time stamp [ms].
        readings: Readings in a value.
        site: Tables of a site file that describe the site: racks, tenants, contracts.
        metadata: Retained messages that come first.
        values: Messages of a while, each with a time stamp of 13 digits; they are published over and over.
        distance: How many messages lie at least between two of one topic: so many may have one time stamp.
        per_s: How many messages a second the site says by itself.
    """

    name: str
    form: str
    topics: str
    time_key: str
    readings: int
    site: str
    metadata: Messages
    values: Messages
    distance: int
    per_s: float

    @property
    def sources(self) -> int:
        """How many topics say values."""
        return len({topic for topic, _ in self.values})


def stream_of(form: str, pods: int) -> Stream:
    """Return the stream of as many pods of six racks.

    Args:
        form: `DSX` or `DOCUMENTS`.
        pods: How many.
    """
    racks = pods * RACKS_PER_POD
    if form == DOCUMENTS:
        return _documents(racks)
    return _recorded(pods) if FOLDER.exists() else simulated(racks)


def _recorded(pods: int) -> Stream:
    told, said = metadata(), values()
    messages = [_copy(message, pod) for message in said for pod in range(1, pods + 1)]
    seconds = (said[-1].offset_ms - said[0].offset_ms) / 1_000
    return Stream(
        name=f"NVIDIA's recording for {pods} pods ({pods * len(told):,} points)",
        form=DSX,
        topics=DSX_VALUES,
        time_key="timestamp",
        readings=1,
        site='[site]\nname = "bench"\n' + "".join(_TENANT.format(pod=pod) for pod in range(1, pods + 1)),
        metadata=[_copy(message, pod) for message in told for pod in range(1, pods + 1)],
        values=messages,
        distance=_distance([topic for topic, _ in messages]),
        per_s=len(messages) / seconds,
    )  # fmt: skip


def _copy(message: Recorded, pod: int) -> tuple[str, bytes]:
    """Return a recorded message of the one pod as another pod would say it."""
    payload = message.payload.replace(PLACEHOLDER, b"1" * _DIGITS)
    payload = payload.replace(b"Pod1C", b"Pod%dC" % pod).replace(b'"C-', b'"P%dC-' % pod)
    return message.topic.replace("pod1C", f"pod{pod}C"), payload


def simulated(racks: int) -> Stream:
    """Return the stream of a simulated site of as many racks."""
    simulation = a_simulation(racks)
    told, said = list[tuple[str, bytes]](), list[tuple[str, bytes]]()
    for _ in range(SIMULATED_S):
        rows = simulation.step().rows
        for channel, payload, is_retained in zip(
            rows.channel.tolist(), payloads(rows), rows.is_retained.tolist(), strict=True
        ):
            message = (simulation.topics[channel], payload)
            if is_retained:
                told.append(message)
            elif _STAMP.search(payload):
                said.append(message)
    return Stream(
        name=f"a simulated site of {racks:,} racks",
        form=DSX,
        topics=DSX_VALUES,
        time_key="timestamp",
        readings=1,
        site=simulation.scenario.site_text,
        metadata=told,
        values=said,
        distance=_distance([topic for topic, _ in said]),
        per_s=len(said) / SIMULATED_S,
    )


def _documents(racks: int) -> Stream:
    def document(i: int) -> bytes:
        def feed(amperes: float) -> dict[str, object]:
            volts = [240.1, 239.8, 240.3]
            return {
                "kw": 59.1,
                "amps": [amperes, amperes + 0.1, amperes - 0.2],
                "volts": volts,
                "kwh": 10_482.5,
            }

        body = {
            "time": 1_111_111_111_111, "power_kw": 118.4 + i % 97 / 10, "inlet_c": 23.5, "outlet_c": 31.5,
            "supply_c": 32.0, "return_c": 42.1 + i % 5 / 10, "humidity_percent": 41.0, "flow_lpm": 171.0,
            "pressure_difference_kpa": 88.1, "valve_percent": 61.0, "energy_kwh": 20_965.0 + i,
            "feeds": {"a": feed(82 + i % 7), "b": feed(81 + i % 7)},
        }  # fmt: skip
        return json.dumps(body, separators=(",", ":")).encode()

    return Stream(
        name=f"rack documents of {DOCUMENT_READINGS} readings, {racks:,} racks",
        form=DOCUMENTS,
        topics="megawatch/v1/#",
        time_key="time",
        readings=DOCUMENT_READINGS,
        site=f'[site]\nname = "bench"\n[[rack]]\nids = "r{{0000..{racks - 1:04}}}"\nrating_kw = 132\n',
        metadata=[],
        values=[(f"megawatch/v1/bench/r{i % racks:04}", document(i)) for i in range(10 * racks)],
        distance=racks,
        per_s=racks,
    )


def _distance(topics: Sequence[str]) -> int:
    last: dict[str, int] = {}
    found = len(topics)
    for place, topic in enumerate(topics):
        found = min(found, place - last.get(topic, -found))
        last[topic] = place
    return found


class Packets:
    """Values as PUBLISH packets at quality of service 1: only time stamp and packet id still change.

    Args:
        values: Messages, each with a time stamp.
    """

    def __init__(self, values: Messages) -> None:
        topics = list(dict.fromkeys(topic for topic, _ in values))
        channels = {topic: place for place, topic in enumerate(topics)}
        framer = Framer(MQTT_3, topics)
        packets = [framer.frames([channels[topic]], [payload], [1]) for topic, payload in values]
        self._bytes = np.frombuffer(b"".join(packets), np.uint8)
        self._starts = np.concatenate([[0], np.cumsum([len(packet) for packet in packets])])
        self._stamps = self._starts[:-1] + [_stamp_place(packet) for packet in packets]
        bodies = np.array([len(payload) for _, payload in values])
        self._ids = self._starts[1:] - bodies - 2
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._ids)

    def take(self, first: int, last: int, at_ms: int) -> bytes:
        """Return packets from `first` up to `last`, with the next packet ids.

        Args:
            first: The first packet.
            last: The one after the last.
            at_ms: Their time stamp [ms].
        """
        begin = self._starts[first]
        found = self._bytes[begin : self._starts[last]].copy()
        digits = np.frombuffer(b"%013d" % at_ms, np.uint8)
        found[(self._stamps[first:last] - begin)[:, None] + np.arange(_DIGITS)] = digits
        ids = (self._next_id + np.arange(last - first)) % MOST_IDS + 1
        self._next_id += last - first
        places = self._ids[first:last] - begin
        found[places] = ids >> 8
        found[places + 1] = ids & 0xFF
        return found.tobytes()


def _stamp_place(packet: bytes) -> int:
    found = _STAMP.search(packet)
    assert found is not None, f"expected a time stamp of {_DIGITS} digits, found {packet!r}"
    return found.start(1)


def batches(messages: Messages, size: int) -> Iterator[Messages]:
    """Yield messages in batches."""
    rest = iter(messages)
    while batch := list(islice(rest, size)):
        yield batch
