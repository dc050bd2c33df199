"""A burst: `megawatch run` under 64,000 messages in a second, and 20,600/s from then on.

Meanwhile a tenant draws too much, again and again: from the source time of the first reading above its
contract to the receiver's acceptance of the page, less the rule's on-delay, is the delay of a page. That is
measured at rest as well.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.frame import Figure, quantile
from bench.rig import loopstops
from bench.rig.load import Load
from bench.rig.processes import memory_mb, peak_mb
from bench.rig.programs import Bench, Target, megawatch, taken
from bench.rig.stream import DSX, RACKS_PER_POD, stream_of
from megawatch.run.status import read_status
from simulators.wire.bus import heartbeat_tag
from testing.collector.publishing import Publisher
from testing.megawatch.monitoring import Receiver, receiving
from testing.servers.brokers import Mosquitto
from testing.simulators.messages import metadata_message, rack_tag, value_message

SITE_PODS: Final = 378
"""Pods of six racks: 2,268 racks."""
QUICK_PODS: Final = 40
BURST: Final = 64_000
"""Messages of a site of that size that all come in one second."""
PER_S: Final = 20_600
"""Messages that it says a second from then on."""
SECONDS: Final = 60
"""How long from then on, where nothing else is asked for."""
QUIET_EPISODES: Final = 20
ON_DELAY_S: Final = 0.5
LOOK_S: Final = 0.1
GROWTH_LOOKS: Final = 60
"""Of how many looks at memory a mean is taken."""
DONE_MS: Final = 500
"""The lag is over once no more is on its way than was published in this time: a status is no younger [ms]."""
PATIENCE_S: Final = 3_600.0

_ACME: Final = """
[[rack]]
ids = "acme-[1-2]"
rating_kw = 132
[[tenant]]
id = "acme"
holds = [{{ racks = "acme-[1-2]", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.2
[[route]]
rule = ["C2"]
to = {{ webhook = "{pager}" }}
[rules]
C2 = {{ on_delay_s = 0.5, off_delay_s = 0.5, above_s = 0 }}
Q10 = {{ enabled = false }} # each of many episodes a minute is to be told
"""


@dataclass(slots=True)
class _Seen:
    """What was seen of a monitor under load.

    Attributes:
        delays_s: From breach to page, of each episode [s].
        taken: When [ms] how many values were stored, duplicates or refused, since the load began.
        memory: Memory at each look [MB].
    """

    delays_s: list[float] = field(default_factory=list)
    taken: list[tuple[int, int]] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


def run(target: Target | None, *, quick: bool = False, seconds: int | None = None) -> list[Figure]:
    """Measure a site at rest, and the same site under the burst.

    Args:
        target: The database that is written to.
        quick: Whether a small site and few seconds do.
        seconds: How long the load goes on after the burst [s].
    """
    pods = QUICK_PODS if quick else SITE_PODS
    length_s = seconds or (SECONDS // 4 if quick else SECONDS)
    return asyncio.run(_run(target, pods, length_s, QUIET_EPISODES // (4 if quick else 1)))


async def _run(target: Target | None, pods: int, length_s: int, episodes: int) -> list[Figure]:
    stream = stream_of(DSX, pods)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, stops = Path(name), Path(name) / "stops"
        broker = stack.enter_context(Mosquitto(folder / "broker", keeps_sessions=False))
        load = stack.enter_context(Load(broker.port, DSX, pods))
        publisher = stack.enter_context(Publisher(broker.port))
        load.describe()
        async with receiving() as pager:
            begin_s = time.monotonic()
            bench = Bench(folder, broker, target, stream, 0)
            with megawatch(
                bench, _ACME.format(pager=pager.url), ("-m", "bench.rig.loopstops", str(stops))
            ) as running:
                site = _Site(folder / "data", Acme(publisher), pager)
                living = asyncio.create_task(site.acme.live())
                load.speak_once()
                await until(lambda: site.verdict() == "clear", "a verdict about the tenant")
                await until(
                    lambda: taken(folder / "data") >= stream.sources, "a value of each topic is stored"
                )
                ready_s = time.monotonic() - begin_s
                quiet = [await site.episode() for _ in range(episodes)]
                load_s = time.monotonic()
                seen = await _under_load(site, running.pid, load, living, length_s)
                end_s = time.monotonic()
                most_mb = peak_mb(running.pid)
            held = loopstops.read(stops, load_s, end_s)
    published = BURST + PER_S * length_s
    lags = _lags(load.progress, seen.taken)
    taken_ms, count = seen.taken[-1]

    def figure(what: str, unit: str, value: float, aim: str = "") -> Figure:
        return Figure(what=what, unit=unit, samples=[value], aim=aim)

    head = f"{BURST:,} in a second, {PER_S:,}/s for {length_s} s"
    wait_s = loopstops.wait_s(held, end_s - load_s, 0.999)
    return [
        figure(f"{pods * RACKS_PER_POD:,} racks: start until all is known and judged", "s", ready_s),
        *_delays("at rest", quiet),
        figure(f"{head}: lost", "messages", max(published - count, 0), "0"),
        figure("  lag over, after the second of the burst", "s", _over_s(load.progress, lags), "at most 5"),
        figure("  most messages behind", "messages", max(lag for _, lag in lags)),
        figure("  taken meanwhile", "messages/s", count / (taken_ms - load.progress[0][0]) * 1e3),
        figure("  most memory", "MB", most_mb, "at most 400"),
        figure("  memory at the end less that halfway", "MB", _growth_mb(seen.memory), "0"),
        *_delays("  meanwhile", seen.delays_s),
        figure("  wait for the event loop, p99.9", "ms", wait_s * 1e3, "at most 25"),
        figure("  longest stop of the event loop", "ms", max(held, default=0.0) * 1e3),
    ]


def _growth_mb(memory: Sequence[float]) -> float:
    """Return by how much the mean of the last looks is above that of as many from halfway on [MB].

    A look is one a second at most; each minute some memory is taken for a moment.
    """
    count = min(GROWTH_LOOKS, len(memory) // 2)
    half = len(memory) // 2
    return float(np.mean(memory[-count:]) - np.mean(memory[half : half + count]))


def _delays(what: str, delays_s: list[float]) -> list[Figure]:
    p50, p99 = quantile(delays_s, 0.5), quantile(delays_s, 0.99)
    return [
        Figure(what=f"{what}: breach to page, p50", unit="s", samples=[p50]),
        Figure(what=f"{what}: p99 of {len(delays_s)} episodes", unit="s", samples=[p99], aim="at most 2"),
    ]


async def _under_load(site: _Site, pid: int, load: Load, living: asyncio.Task[None], length_s: int) -> _Seen:
    """Publish the burst and what follows; breach contracts until it is over, and wait until all is stored."""
    seen, before, begin = _Seen(), taken(site.data), site.acme.said

    def look() -> None:
        status = read_status(site.data)
        if status and (not seen.taken or seen.taken[-1][0] < status["at_ms"]):
            account = status["accounting"]
            count = account["stored"] + account["duplicates"] + account["dead_lettered"]
            seen.taken.append((status["at_ms"], count - before - (site.acme.said - begin)))
            seen.memory.append(memory_mb(pid))

    async def watch() -> None:
        while True:
            look()
            await asyncio.sleep(LOOK_S)

    watching = asyncio.create_task(watch())
    load.begin(BURST, BURST)
    load.begin(PER_S * length_s, PER_S)
    while not load.is_done:
        seen.delays_s.append(await site.episode())
    living.cancel()
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while seen.taken[-1][1] < BURST + PER_S * length_s:  # noqa: ASYNC110 - looking is cheap
                await asyncio.sleep(LOOK_S)
    watching.cancel()
    return seen


def _lags(accepted: list[tuple[int, int]], stored: list[tuple[int, int]]) -> list[tuple[int, float]]:
    """Return when [ms] how many messages that the broker had accepted were not stored."""
    at_ms, counts = np.array(accepted).T
    return [(moment, float(np.interp(moment, at_ms, counts)) - count) for moment, count in stored]


def _over_s(accepted: list[tuple[int, int]], lags: list[tuple[int, float]]) -> float:
    """Return how long after the second of the burst everything is stored but what has just come [s]."""
    burst_ms = next(at_ms for at_ms, count in accepted if count >= BURST)
    over = (at_ms for at_ms, lag in lags if at_ms > burst_ms and lag < PER_S * DONE_MS / 1e3)
    return (next(over, math.inf) - burst_ms) / 1e3


# The tenant that draws too much ---------------------------------------------------------


class Acme:
    """A tenant of two racks, measured once a second, and at once when its draw jumps.

    Attributes:
        said: Values published.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._power = [rack_tag(f"acme-{i}", "RackPower", f"bench/acme{i}/power", "kW") for i in (1, 2)]
        self._beat = heartbeat_tag("GW", "bench/gateway/heartbeat", "bench")
        self._kilowatts = 80.0
        self._said_ms = 0
        self.said = 0
        for point in (*self._power, self._beat):
            message = metadata_message(point)
            publisher.publish(message.topic, message.payload, retain=True)

    async def live(self) -> None:
        """Publish once a second."""
        for second in itertools.count():
            self._say(beat=second % 10 == 0)
            await asyncio.sleep(1)

    def draw(self, kilowatts: float) -> int:
        """Let each rack draw so much from now on, and say so; returns when that is [ms]."""
        self._kilowatts = kilowatts
        return self._say()

    def _say(self, *, beat: bool = False) -> int:
        """Say what each rack draws; returns when that is [ms]: two values of one time would be a doubt."""
        at_ms = self._said_ms = max(_now_ms(), self._said_ms + 1)
        self._kilowatts += 0.001  # on change: it always does
        messages = [value_message(point, round(self._kilowatts, 3), at_ms) for point in self._power]
        if beat:
            messages.append(value_message(self._beat, float(at_ms), at_ms))
        for message in messages:
            self._publisher.publish(message.topic, message.payload)
        self.said += len(messages)
        return at_ms


@dataclass(slots=True)
class _Site:
    """A monitored site with the tenant, and who is paged."""

    data: Path
    acme: Acme
    pager: Receiver
    random_source: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - the phase of an episode

    def verdict(self) -> str | None:
        """Return what is judged of the tenant."""
        status: Any = read_status(self.data)
        tenants = {tenant["id"]: tenant["verdict"] for tenant in (status or {}).get("tenants", ())}
        return tenants.get("acme")

    async def episode(self) -> float:
        """Let the tenant draw too much until that is paged, then little until that is.

        Returns:
            The delay of the first page [s].
        """
        await asyncio.sleep(self.random_source.random())
        pager = self.pager
        opened, returned = len(pager.about("C2")), len(pager.about("C2", "returned"))
        breach_ms = self.acme.draw(110)
        await until(lambda: len(pager.about("C2")) > opened, "the page")
        accepted_ms = pager.accepted_ms[-1]
        self.acme.draw(80)
        await until(lambda: len(pager.about("C2", "returned")) > returned, "the return")
        return (accepted_ms - breach_ms) / 1_000 - ON_DELAY_S


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - looking is cheap
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE_S:g} s: {what}") from None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000  # noqa: TID251 - the site has a clock of its own
