"""A start and a restart of a site of 2,270 racks: CPU until it judges, memory, and stops of the event loop.

The broker keeps everything that describes the site, as it does for any monitor that starts; no values come.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.frame import Figure
from bench.rig import loopstops
from bench.rig.load import Speaker, Wire
from bench.rig.processes import cpu_s, memory_mb, peak_mb
from bench.rig.programs import Bench, megawatch
from bench.rig.stream import Stream, simulated
from megawatch.run.status import read_status
from testing.servers.brokers import Mosquitto
from testing.waiting import wait_until

RACKS: Final = 2_270
QUICK_RACKS: Final = 100
REST_S: Final = 20.0
"""How long it runs on before its memory is looked at [s]."""


@dataclass(frozen=True, slots=True)
class _Started:
    """What a start needed.

    Attributes:
        cpu_s: CPU of all its processes until it knew everything and judged a tick after that [s].
        memory_mb: Memory some time later [MB].
        peak_mb: The most memory up to then [MB].
        stop_ms: The longest stop of the event loop, from the first message on [ms].
    """

    cpu_s: float
    memory_mb: float
    peak_mb: float
    stop_ms: float


def run(*, quick: bool = False) -> list[Figure]:
    """Measure starts and restarts in turn; each repetition has a data folder of its own.

    Args:
        quick: Whether one repetition of a small site does.
    """
    stream = simulated(QUICK_RACKS if quick else RACKS)
    found: dict[str, list[_Started]] = {"start": [], "restart": []}
    with tempfile.TemporaryDirectory() as name, Mosquitto(Path(name), keeps_sessions=False) as broker:
        Speaker(Wire(broker.port), stream).describe()
        for _ in range(1 if quick else 3):
            with tempfile.TemporaryDirectory() as folder:
                bench = Bench(Path(folder), broker, None, stream, 0)
                for what, samples in found.items():
                    samples.append(_started(bench, what))
    return [figure for what, samples in found.items() for figure in _figures(what, stream, samples)]


def _figures(what: str, stream: Stream, samples: Sequence[_Started]) -> list[Figure]:
    def figure(name: str, unit: str, values: Iterable[float], aim: str = "") -> Figure:
        return Figure(what=name, unit=unit, samples=[*values], aim=aim)

    title = f"{what} of {stream.name}, {_topics(stream):,} points: CPU until it judges"
    return [
        figure(title, "s", (each.cpu_s for each in samples), "below 5"),
        figure("  memory afterwards", "MB", (each.memory_mb for each in samples), "at most 400"),
        figure("  most memory", "MB", (each.peak_mb for each in samples)),
        figure("  longest stop of the event loop", "ms", (each.stop_ms for each in samples), "at most 25"),
    ]


def _started(bench: Bench, what: str) -> _Started:
    """Run a monitor until it judges what the broker describes, and a while longer."""
    stops = bench.folder / f"stops of the {what}"
    topics = _topics(bench.stream)

    def is_judged() -> bool:
        status = read_status(bench.folder / "data")
        if status is None or not status["is_running"]:
            return False
        account, rules = status["accounting"], status["rules"]
        has_all = account["metadata"] + account["metadata_unchanged"] >= topics
        is_level = rules["seq"] >= status["journal_seq"]
        return has_all and is_level and rules["tick_ms"] > status["journal_stamp_ms"]

    with megawatch(bench, "", ("-m", "bench.rig.loopstops", str(stops))) as running:
        from_s = time.monotonic()
        wait_until(is_judged, f"the {what} is over", running.log.read_text)
        spent_s, to_s = cpu_s(running.pid), time.monotonic()
        time.sleep(REST_S)
        memory, peak = memory_mb(running.pid), peak_mb(running.pid)
    longest_s = max(loopstops.read(stops, from_s, to_s), default=0.0)
    return _Started(spent_s, memory, peak, longest_s * 1e3)


def _topics(stream: Stream) -> int:
    """Return how many topics say what a point is."""
    return len({topic for topic, _ in stream.metadata})
