"""From breach to page: a reading above the contract is published, and a receiver accepts the page.

The delay counts from the source time of the first reading above the limit to the receiver's acceptance, less
the rule's on-delay. The whole monitor runs: broker, journal, engine, outbox, signed webhook.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bench.frame import Figure, quantile
from simulators.wire.bus import heartbeat_tag, metadata_message, rack_tag, value_message
from testing.collector.publishing import Publisher
from testing.megawatch.monitoring import Receiver, Watch, receiving, watching
from testing.servers.brokers import Mosquitto
from testing.servers.process import find

EPISODES: Final = 50
ON_DELAY_S: Final = 0.5
RATE: Final = 10_000

SITE = """
[site]
name = "bench"
rack_rating_kw = 132
[[broker]]
url = "{url}"
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
C2 = {{ on_delay_s = 0.5, off_delay_s = 0.5 }}
"""


def run(*, quick: bool = False) -> list[Figure]:
    """Measure on a quiet site, and under 10,000 messages a second."""
    if find("mosquitto") is None:
        sys.stderr.write("page: left out, no mosquitto on this machine\n")
        return []
    episodes = 5 if quick else EPISODES
    figures = []
    for rate, site in ((0, "quiet site"), (RATE, f"under {RATE:,} messages/s")):
        delays, reached = asyncio.run(_episodes(episodes, rate))
        figures.append(Figure(what=f"{site}: breach to page, p50", unit="s", samples=[quantile(delays, 0.5)]))
        figures.append(
            Figure(what=f"{site}: p99 of {episodes} episodes", unit="s", samples=[quantile(delays, 0.99)])
        )
        if rate:
            figures.append(Figure(what="  stored meanwhile", unit="messages/s", samples=[reached]))
    return figures


async def _episodes(episodes: int, rate: int) -> tuple[list[float], float]:
    """Play episodes; return the delay of each page [s] and what was stored meanwhile [messages/s]."""
    random_source = random.Random(7)  # noqa: S311 - the phase of an episode
    with tempfile.TemporaryDirectory() as name, ExitStack() as servers:
        folder = Path(name)
        broker = servers.enter_context(Mosquitto(folder / "broker", keeps_sessions=False))
        publisher = servers.enter_context(Publisher(broker.port))
        async with AsyncExitStack() as stack:
            pager = await stack.enter_async_context(receiving())
            text = SITE.format(url=broker.url, pager=pager.url)
            watch = await stack.enter_async_context(watching(folder / "site", text))
            await watch.until_connected()
            acme = Acme(publisher)
            living = asyncio.create_task(acme.live())
            with _load(broker.port, rate):
                await watch.until(lambda: watch.tenant("acme")["verdict"] == "clear", "a verdict")
                await asyncio.sleep(5 if rate else 0)
                before, begin_s = watch.accounting()["stored"], time.monotonic()
                delays = [await _episode(acme, watch, pager, random_source) for _ in range(episodes)]
                reached = (watch.accounting()["stored"] - before) / (time.monotonic() - begin_s)
            living.cancel()
    return delays, reached


class Acme:
    """A tenant of two racks, measured once a second, and at once when its draw jumps."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._power = [rack_tag(f"acme-{i}", "RackPower", f"bench/acme{i}/power", "kW") for i in (1, 2)]
        self._beat = heartbeat_tag("GW", "bench/gateway/heartbeat", "bench")
        self._kilowatts = 80.0
        for point in (*self._power, self._beat):
            message = metadata_message(point)
            publisher.publish(message.topic, message.payload, retain=True)

    async def live(self) -> None:
        """Publish once a second."""
        second = 0
        while True:
            if second % 10 == 0:
                self._say(_now_ms(), beat=True)
            else:
                self._say(_now_ms())
            second += 1
            await asyncio.sleep(1)

    def draw(self, kilowatts: float) -> int:
        """Let each rack draw so much from now on, and say so; returns when that is [ms]."""
        self._kilowatts = kilowatts
        at_ms = _now_ms()
        self._say(at_ms)
        return at_ms

    def _say(self, at_ms: int, *, beat: bool = False) -> None:
        self._kilowatts += 0.001  # on change: it always does
        messages = [value_message(point, round(self._kilowatts, 3), at_ms) for point in self._power]
        if beat:
            messages.append(value_message(self._beat, float(at_ms), at_ms))
        for message in messages:
            self._publisher.publish(message.topic, message.payload)


async def _episode(acme: Acme, watch: Watch, pager: Receiver, random_source: random.Random) -> float:
    """Play one episode; return the delay of its page [s]."""
    await asyncio.sleep(random_source.random())
    opened, returned = len(pager.about("C2")), len(pager.about("C2", "returned"))
    breach_ms = acme.draw(110)
    await watch.until(lambda: len(pager.about("C2")) > opened, "the page")
    accepted_ms = pager.accepted_ms[-1]
    acme.draw(80)
    await watch.until(lambda: len(pager.about("C2", "returned")) > returned, "the return")
    return (accepted_ms - breach_ms) / 1_000 - ON_DELAY_S


@contextmanager
def _load(port: int, rate: int) -> Iterator[None]:
    """Publish values of other racks meanwhile, from a process of its own."""
    if not rate:
        yield
        return
    command = [sys.executable, "-m", "bench.load", str(port), str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.terminate()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000  # noqa: TID251 - the site has a clock of its own
