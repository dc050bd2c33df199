"""Collector CPU per message, beside a plain loop, each in a process of its own behind the same broker.

Ours takes messages from the broker, decodes them, appends them to the synced journal and acknowledges them;
with the writer it also writes them to a database. The plain loop is what one would write in an afternoon:
aiomqtt, a pydantic model, an influxdb-client Point in its batching writer; it acknowledges before anything is
stored. Both are given the same messages at quality of service 1, flat out, in turn.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.frame import Figure
from simulators.wire.bus import Tag, metadata_message, meter_tag, rack_tag, value_message
from testing.collector.publishing import Publisher
from testing.servers.brokers import Mosquitto
from testing.servers.process import find

RACKS: Final = 500
T0_MS: Final = time.time_ns() // 1_000_000 - 3_600_000  # noqa: TID251 - what is older than a week is refused

Messages = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is published.

    Attributes:
        name: What it is called.
        format: What the site file calls it.
        metadata: Retained messages that come first.
        sources: How many sources there are; each speaks once before anything is measured.
        make: Makes so many messages, of a round that is later than any before.
        readings: Readings in a message.
    """

    name: str
    format: str
    metadata: Messages
    sources: int
    make: Callable[[int, int], Messages]
    readings: int


def dsx_points() -> list[Tag]:
    """Return the points of the racks: power, two taps, flow, supply and return."""
    points = []
    for number in range(RACKS):
        rack, path = f"r{number:04d}", f"bench/rack{number:04d}"
        points.append(rack_tag(rack, "RackPower", f"{path}/power", "kW"))
        points += [meter_tag(f"{rack}-T{i}", "ActivePower", f"{path}/tap{i}", "kW", [rack]) for i in (1, 2)]
        points.append(rack_tag(rack, "RackLiquidFlow", f"{path}/flow", "LPM"))
        points.append(rack_tag(rack, "RackLiquidSupplyTemperature", f"{path}/supply", "C"))
        points.append(rack_tag(rack, "RackLiquidReturnTemperature", f"{path}/return", "C"))
    return points


def dsx() -> Traffic:
    """Return values on the DSX bus."""
    points = dsx_points()

    def make(count: int, round_number: int) -> Messages:
        found = []
        for i in range(count):
            at_ms = T0_MS + round_number * 100_000 + i // len(points) * 1_000
            message = value_message(points[i % len(points)], 50 + i % 97 / 10, at_ms)
            found.append((message.topic, message.payload))
        return found

    messages = [metadata_message(point) for point in points]
    metadata = [(m.topic, m.payload) for m in messages]
    return Traffic("DSX value", "dsx", metadata, len(points), make, 1)


def documents() -> Traffic:
    """Return rack documents with eleven readings each."""

    def make(count: int, round_number: int) -> Messages:
        found = []
        for i in range(count):
            at_ms = T0_MS + round_number * 100_000 + i // RACKS * 1_000
            watts = 90 + i % 97 / 10
            feed = {"kw": watts / 2, "amps": [66.0, 66.1 + i % 7 / 10, 66.2]}
            body = {
                "time": at_ms, "power_kw": watts, "supply_c": 32.0, "return_c": 42.1 + i % 5 / 10,
                "flow_lpm": 198.0, "inlet_c": 23.4, "feeds": {"a": feed, "b": {"kw": watts / 2}},
            }  # fmt: skip
            topic = f"megawatch/v1/bench/r{i % RACKS:04d}"
            found.append((topic, json.dumps(body, separators=(",", ":")).encode()))
        return found

    return Traffic("rack document of 10 readings", "rack-documents", [], RACKS, make, 10)


def run(*, quick: bool = False) -> list[Figure]:
    """Measure the collector, alone and with its writer, beside the plain loop."""
    if find("mosquitto") is None:
        sys.stderr.write("ingest: left out, no mosquitto on this machine\n")
        return []
    repetitions, count = (1, 6_000) if quick else (5, 40_000)
    figures = []
    for traffic in (dsx(), documents()):
        number = count if traffic.readings == 1 else count // 4
        samples: dict[str, list[float]] = {"collector": [], "whole": [], "plain": []}
        for repetition in range(repetitions):
            for side, found in samples.items():
                found.append(_measure(side, traffic, number, repetition))
        for side, what in (("collector", "journal, acknowledgement"), ("whole", "and written to InfluxDB")):
            figures.append(
                Figure(
                    what=f"{traffic.name}: {what}",
                    unit="µs",
                    samples=samples[side],
                    beside="aiomqtt, pydantic, Points",
                    theirs=samples["plain"],
                    aim="at most 0.5",
                )
            )
    return figures


def _measure(side: str, traffic: Traffic, count: int, repetition: int) -> float:
    """Return the CPU that one side spends on a message [µs]."""
    messages = traffic.make(count, 2 * repetition + 1)
    first = traffic.make(traffic.sources, 2 * repetition)
    with tempfile.TemporaryDirectory() as name, _sink() as sink_port:
        folder = Path(name)
        home = folder / "broker"
        with Mosquitto(home, keeps_sessions=False) as broker, Publisher(broker.port) as publisher:
            command = [
                sys.executable, "-m", "bench.sides", side, name, str(broker.port), str(sink_port),
                traffic.format, str(count), str(traffic.sources), str(traffic.readings),
            ]  # fmt: skip
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                _expect("listening", process)
                for topic, payload in traffic.metadata:
                    publisher.publish(topic, payload, retain=True)
                for topic, payload in first:
                    publisher.publish(topic, payload)
                _expect("ready", process)
                for topic, payload in messages:
                    publisher.publish(topic, payload)
                publisher.flush()
                return float(_line(process)) / count * 1e6


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _expect(word: str, process: subprocess.Popen[str]) -> None:
    said = _line(process)
    if said != word:
        raise AssertionError(f"expected {word}, found {said!r}")


@contextmanager
def _sink() -> Iterator[int]:
    """Run a database that takes everything and keeps nothing, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.sides", "sink"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()
