"""Whole programs as a user runs them, under load: CPU a message of all their processes, beside their peers.

`megawatch run`, Telegraf, `mosquitto_sub` and a plain loop take turns behind one broker (Mosquitto), into one
database: paced, flat out (published as fast as the broker takes it), in real time and at rest. Every session
is persistent, at quality of service 1 over MQTT 5 (Telegraf has 3.1.1 only). Then a site of 2,268 racks takes
a burst and a lasting load (`bench.rig.burst`).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.frame import Figure
from bench.influxdatabases import databases
from bench.rig import burst, telegraf
from bench.rig.load import Load
from bench.rig.processes import cpu_s, has_ended, peak_mb
from bench.rig.programs import OURS, PLAIN, TELEGRAF, Bench, Program, Running, Target, programs
from bench.rig.stream import DOCUMENTS, DSX, Stream, stream_of
from store.influx.server import Kind
from testing.servers.brokers import Mosquitto
from testing.servers.process import find

LOOK_S: Final = 0.2
"""How often it is looked how far a program is [s]."""
PATIENCE_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Mode:
    """How values are published.

    Attributes:
        name: How it is called.
        per_s: How many a second; 0 for as fast as the broker takes them, None for the site's own rate.
        count: How many in all.
        aim: What `megawatch run` should need.
        form: What is spoken.
        pods: How large a site speaks.
        has_plain: Whether the plain loop takes part: it needs minutes.
        rest_s: For how long nothing is published, instead [s].
    """

    name: str
    per_s: float | None
    count: int
    aim: str
    form: str = DSX
    pods: int = 40
    has_plain: bool = True
    rest_s: float = 0.0


MODES: Final = (
    Mode("paced 5,000/s", 5_000, 50_000, "at most 35 µs, 0.6"),
    Mode("paced 20,000/s", 20_000, 200_000, "at most 12 µs, 0.3", has_plain=False),
    Mode("flat out", 0, 500_000, "at most 12 µs, 0.3", has_plain=False),
    Mode(
        "rack documents of 26 readings, flat out",
        0,
        20_000,
        "read and append 15 µs",
        DOCUMENTS,
        has_plain=False,
    ),
)
OF_A_CORE: Final = (
    Mode("one pod in real time", None, 440, "", pods=1),
    Mode("one pod that says nothing", None, 0, "under 2", pods=1, rest_s=15),
)
"""What is measured in the share of a core that it takes, message or not."""


@dataclass(slots=True)
class Samples:
    """What a program needed in one mode, a sample a round.

    Attributes:
        cpu_us: CPU of all its processes, for a message [µs].
        stages_us: CPU of each of its stages, for a message, as it measures them itself [µs].
        core: CPU of all its processes, of one core [%].
        database_us: CPU of the database, for a message [µs].
        per_s: Messages that it brought to the end, from the first published to the last taken [1/s].
        peak_mb: Most memory that its processes held [MB].
    """

    cpu_us: list[float] = field(default_factory=list)
    stages_us: dict[str, list[float]] = field(default_factory=dict)
    core: list[float] = field(default_factory=list)
    database_us: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)


def run(*, quick: bool = False, seconds: int | None = None) -> list[Figure]:
    """Measure all programs that are there.

    Args:
        quick: Whether a look is enough.
        seconds: How long the load after the burst goes on [s].
    """
    if find("mosquitto") is None:
        sys.stderr.write("whole: left out, no mosquitto on this machine\n")
        return []
    with _target() as target:
        _say_what_is_measured(target)
        return compare(target, quick=quick) + burst.run(target, quick=quick, seconds=seconds)


@contextmanager
def _target() -> Iterator[Target | None]:
    """Run the database that all write to, where one is on this machine."""
    database = next((one for one in databases() if one.kind is not Kind.VICTORIA_METRICS), None)
    if database is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as name, database.run(Path(name)) as server:
        yield Target(database, server)


def _say_what_is_measured(target: Target | None) -> None:
    into = (
        target.database.name if target else "the embedded store, and no peer that writes: no InfluxDB is here"
    )
    found = telegraf.PROGRAM or "not on the PATH, nor named by MEGAWATCH_TELEGRAF"
    if find("mosquitto_sub") is None:
        found = "left out, as is mosquitto_sub, which makes its session and is not on the PATH"
    for mode in (*MODES, *OF_A_CORE):
        sys.stderr.write(f"  {mode.name}: {stream_of(mode.form, mode.pods).name}\n")
    sys.stderr.write(f"  into: {into}\n  Telegraf: {found}\n")


# CPU a message ------------------------------------------------------------------------


def compare(target: Target | None, *, quick: bool) -> list[Figure]:
    """Measure all programs in turn, mode by mode.

    Args:
        target: The database that is written to.
        quick: Whether two rounds of half the messages do.
    """
    found: dict[tuple[Mode, str], Samples] = {}
    for number in range(2 if quick else 5):
        for mode in (*MODES, *OF_A_CORE):
            for side in programs(target):
                if side.name == PLAIN and not mode.has_plain:
                    continue
                sys.stderr.write(f"  round {number + 1}: {mode.name}, {side.name}\n")
                into = found.setdefault((mode, side.name), Samples())
                _measure(side, target, mode, mode.count // (2 if quick else 1), into)
    figures = [figure for mode in MODES for figure in _figures(mode, found)]
    return figures + [figure for mode in OF_A_CORE for figure in _core_figures(mode, found)]


def _measure(side: Program, target: Target | None, mode: Mode, count: int, into: Samples) -> None:
    """Run a program once and add what it needed."""
    stream = stream_of(mode.form, mode.pods)
    with _running(side, target, mode, stream, count) as (running, load):
        cpu_before_s, database_before_s = cpu_s(running.pid), cpu_s(target.server.pid) if target else 0.0
        stages_before = running.stages()
        begin_s, peak = time.monotonic(), 0.0
        if mode.rest_s:
            time.sleep(mode.rest_s)
        else:
            load.begin(count, stream.per_s if mode.per_s is None else mode.per_s)

        def is_done() -> bool:
            nonlocal peak
            peak = max(peak, peak_mb(running.pid))
            return running.taken() >= stream.sources + count and running.is_idle()

        _wait(running, is_done, f"{side.name} has taken all: {mode.name}")
        length_s, spent_s = time.monotonic() - begin_s, cpu_s(running.pid) - cpu_before_s
        into.core.append(spent_s / length_s * 100)
        into.peak_mb.append(peak)
        if not count:
            return
        into.per_s.append(count / length_s)
        into.cpu_us.append(spent_s / count * 1e6)
        for stage, stage_s in running.stages().items():
            spent_us = (stage_s - stages_before[stage]) / count * 1e6
            into.stages_us.setdefault(stage, []).append(spent_us)
        if target:
            into.database_us.append((cpu_s(target.server.pid) - database_before_s) / count * 1e6)


@contextmanager
def _running(
    side: Program, target: Target | None, mode: Mode, stream: Stream, count: int
) -> Iterator[tuple[Running, Load]]:
    """Run a program behind a broker, and return once it has taken a value of each topic."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            Mosquitto(folder / "broker", keeps_sessions=False) as broker,
            Load(broker.port, mode.form, mode.pods) as load,
        ):
            load.describe()
            with side.run(Bench(folder, broker, target, stream, stream.sources + count)) as running:
                load.speak_once()

                def is_ready() -> bool:
                    return running.taken() >= stream.sources and running.is_idle()

                _wait(running, is_ready, f"{side.name} is ready")
                yield running, load


def _wait(running: Running, condition: Callable[[], bool], what: str) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        if has_ended(running.pid) or time.monotonic() > until_s:
            assert condition(), f"it ended, or not within {PATIENCE_S:g} s: {what}; {running.log.read_text()}"
            return
        time.sleep(LOOK_S)


# Figures ------------------------------------------------------------------------------


def _figures(mode: Mode, found: dict[tuple[Mode, str], Samples]) -> list[Figure]:
    figures = []
    beside = found.get((mode, TELEGRAF))
    for name, samples in _of(mode, found):
        compared = beside if name == OURS else None
        figures.append(
            Figure(
                what=f"{mode.name}: {name}, CPU per message",
                unit="µs",
                samples=samples.cpu_us,
                beside=TELEGRAF if compared else "",
                theirs=compared.cpu_us if compared else (),
                aim=mode.aim if name == OURS else "",
            )
        )
        figures += [
            Figure(what=f"  of that, stage {stage}", unit="µs", samples=values)
            for stage, values in samples.stages_us.items()
        ]
        figures.append(Figure(what="  brought to the end", unit="messages/s", samples=samples.per_s))
        figures.append(Figure(what="  most memory", unit="MB", samples=samples.peak_mb))
        if samples.database_us:
            what = "  CPU of the database meanwhile, per message"
            figures.append(Figure(what=what, unit="µs", samples=samples.database_us))
    return figures


def _core_figures(mode: Mode, found: dict[tuple[Mode, str], Samples]) -> list[Figure]:
    return [
        Figure(
            what=f"{mode.name}: {name}, of a core",
            unit="%",
            samples=samples.core,
            aim=mode.aim if name == OURS else "",
        )
        for name, samples in _of(mode, found)
    ]


def _of(mode: Mode, found: dict[tuple[Mode, str], Samples]) -> Sequence[tuple[str, Samples]]:
    return [(name, samples) for (of, name), samples in found.items() if of is mode]
