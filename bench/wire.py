"""The simulated wire: what a message costs, publishing beside a plain client, speed and memory."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

import paho.mqtt.client as paho
import psutil
from paho.mqtt.enums import CallbackAPIVersion

from bench.frame import Figure
from facility.sitefile.reader import read_site
from simulators.meters.instruments import RECORDED
from simulators.model.jobs import Inference, Storage, Training
from simulators.model.layouts import Shape, site_text
from simulators.publish.publisher import Options, Publisher, address_of
from simulators.run import Simulation
from simulators.scenario.scenario import Scenario
from simulators.wire.bus import payloads
from simulators.wire.frames import MQTT_5, Framer
from simulators.wire.rows import Rows
from testing.servers.brokers import Mosquitto

SIZES: Final = (48, 500, 2_270)
REAL_TIME_AIM: Final = 50
"""How many times real time a whole site has to be in process."""
WINDOW: Final = 1_000
"""Messages that the plain client lets be on their way: with its usual 20 it waits more than it works."""


def a_simulation(racks: int) -> Simulation:
    """Return a site in full operation: half of it trains, the others serve and store.

    Args:
        racks: How many racks, four or more.
    """
    shape = Shape(racks=racks)
    text = site_text(shape)
    ids, half, quarter = shape.rack_ids, racks // 2, racks // 4
    jobs = (
        Training(name="training", racks=ids[:half]),
        Inference(name="inference", racks=ids[half : half + quarter]),
        Storage(name="storage", racks=ids[half + quarter :]),
    )
    scenario = Scenario(
        name="bench",
        proves="",
        site_text=text,
        site=read_site(text),
        begin_ms=1_780_000_000_000,
        seconds=1_000_000,
        jobs=jobs,
    )
    return Simulation(scenario, instruments=RECORDED)


def run_seconds(simulation: Simulation, seconds: int) -> tuple[float, int]:
    """Return the CPU time of some seconds of a simulation [s], and how many messages they had."""
    begin, count = time.process_time(), 0
    for _ in range(seconds):
        count += len(simulation.step().rows)
    return time.process_time() - begin, count


def encoding_us(rows: Rows, topics: list[str]) -> float:
    """Return the CPU time per message of writing rows out as MQTT packets [µs]."""
    framer = Framer(MQTT_5, topics)
    framer.frames(rows.channel[:1].tolist(), payloads(rows.take(slice(0, 1))), None)
    begin = time.process_time()
    framer.frames(rows.channel.tolist(), payloads(rows), None)
    return (time.process_time() - begin) / len(rows) * 1e6


def plain_encoding_us(rows: Rows, topics: list[str]) -> float:
    """Return the CPU time per message of the plain way: a dictionary for each, and `json` [µs]."""
    columns = (rows.channel.tolist(), rows.value.tolist(), rows.time_ms.tolist(), rows.quality.tolist())
    begin = time.process_time()
    for channel, value, stamp, quality in zip(*columns, strict=True):
        topics[channel].encode()
        json.dumps({"value": value, "timestamp": stamp, "quality": quality}).encode()
    return (time.process_time() - begin) / len(rows) * 1e6


def publishing_rate(url: str, rows: Rows, topics: list[str], qos: int) -> float:
    """Return how many messages a second the publisher brings to a broker, until the last is taken."""

    async def act() -> float:
        async with Publisher(address_of(url), Options(qos=qos), topics=topics) as publisher:
            begin = time.perf_counter()
            await publisher.publish_rows(rows)
            assert await publisher.settle(60)
            return len(rows) / (time.perf_counter() - begin)

    return asyncio.run(act())


def plain_rate(port: int, rows: Rows, topics: list[str], qos: int) -> float:
    """Return the same of a plain client, paho with its network loop in a thread of its own."""
    messages = [(topics[c], p) for c, p in zip(rows.channel.tolist(), payloads(rows), strict=True)]
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(WINDOW)
    client.max_queued_messages_set(0)
    done, left = threading.Event(), len(messages)

    def taken(*_details: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    client.on_publish = taken
    client.connect("127.0.0.1", port)
    client.loop_start()
    begin = time.perf_counter()
    for topic, payload in messages:
        client.publish(topic, payload, qos=qos)
    assert done.wait(120)
    found = len(messages) / (time.perf_counter() - begin)
    client.disconnect()
    client.loop_stop()
    return found


def memory_mb(racks: int) -> float:
    """Return the memory of a process that has run a site for some seconds [MB]."""
    command = [sys.executable, "-m", "bench.wire", str(racks)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def _speeds(*, quick: bool) -> list[Figure]:
    repetitions, seconds = (2, 20) if quick else (5, 60)
    found = []
    for racks in SIZES:
        simulation = a_simulation(racks)
        simulation.step()
        runs = [run_seconds(simulation, seconds) for _ in range(repetitions)]
        aim = f"over {REAL_TIME_AIM}" if racks == SIZES[-1] else ""
        speeds = [seconds / spent for spent, _ in runs]
        what = f"{racks:,} racks, {len(simulation.catalogue):,} points, in process"
        found.append(Figure(what=what, unit="times real time", samples=speeds, aim=aim))
        rates = [count / seconds for _, count in runs]
        found.append(Figure(what=f"{racks:,} racks: messages", unit="1/s", samples=rates))
        costs = [spent / count * 1e6 for spent, count in runs]
        found.append(Figure(what=f"{racks:,} racks: generation per message", unit="µs", samples=costs))
        memory = [memory_mb(racks)]
        found.append(Figure(what=f"{racks:,} racks: memory of the process", unit="MB", samples=memory))
    return found


def _publishing(rows: Rows, topics: list[str], *, quick: bool) -> list[Figure]:
    repetitions = 2 if quick else 5
    found = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Mosquitto(Path(folder) / "broker", keeps_sessions=False) as broker,
    ):
        for qos in (0, 1):
            ours, theirs = [], []
            for _ in range(repetitions):
                ours.append(publishing_rate(broker.url, rows, topics, qos))
                theirs.append(plain_rate(broker.port, rows, topics, qos))
            found.append(
                Figure(
                    what=f"publishing at quality of service {qos}",
                    unit="1/s",
                    samples=ours,
                    beside="paho, payloads ready",
                    theirs=theirs,
                    aim="over 64,000" if qos == 0 else "over 20,600",
                )
            )
    return found


def run(*, quick: bool) -> list[Figure]:
    """Measure.

    Args:
        quick: Whether a look is enough.
    """
    simulation = a_simulation(SIZES[-1])
    simulation.step()
    rows = simulation.step().rows
    rows = rows.take(~rows.is_retained)
    topics = simulation.topics
    turns = 3 if quick else 15
    encoded = [(encoding_us(rows, topics), plain_encoding_us(rows, topics)) for _ in range(turns)]
    return [
        *_speeds(quick=quick),
        Figure(
            what="encoding per message",
            unit="µs",
            samples=[ours for ours, _ in encoded],
            beside="json of a dictionary",
            theirs=[theirs for _, theirs in encoded],
        ),
        *_publishing(rows, topics, quick=quick),
    ]


def main() -> None:
    """Run a site of so many racks for ten seconds, and say how much memory that took [MB]."""
    run_seconds(a_simulation(int(sys.argv[1])), 10)
    print(psutil.Process().memory_info().rss / 1e6)


if __name__ == "__main__":
    main()
