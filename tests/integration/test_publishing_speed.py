"""The publisher in time: a whole site for seconds and for ten minutes, by `make soak`.

What is printed is what was measured; run with `-s` to see it.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from simulators.meters.instruments import RECORDED
from simulators.publish.pace import Pace, perform
from simulators.publish.publisher import Options, Publisher, address_of
from simulators.run import Second, Simulation
from simulators.scenario.scenario import FaultKind
from testing.servers.brokers import Mosquitto
from testing.simulators.simulated import a_fault, a_scenario
from testing.waiting import PATIENCE_S

pytestmark = pytest.mark.servers

RACKS = 2_270
RATE = 20_600
"""Messages a second of a site of 300 MW."""
BURST = 64_000
"""Messages of its worst second."""


def _now_ms() -> float:
    return time.monotonic() * 1_000


def _site(seconds: int) -> Simulation:
    return Simulation(a_scenario(RACKS, racks_per_row=12, seconds=seconds), instruments=RECORDED)


@dataclass(slots=True)
class Kept:
    """How a run kept its time.

    Attributes:
        pace: Its account.
        publisher: Who published it.
        sizes: Messages of each second.
        behind_ms: How far behind it was after each second [ms].
    """

    pace: Pace
    publisher: Publisher
    sizes: list[int]
    behind_ms: list[float]

    @property
    def rate(self) -> float:
        """Messages a second, the first one with its snapshot left out."""
        return float(np.mean(self.sizes[1:]))

    def report(self, what: str) -> None:
        """Print what was measured."""
        median, late, worst = (float(np.percentile(self.behind_ms[1:], share)) for share in (50, 99, 100))
        print(  # noqa: T201 - shown by pytest -s, and where a test fails
            f"{what}: {self.rate:,.0f} messages/s, {self.pace.messages:,} in all; behind its clock after "
            f"each second by {median:.0f} ms (median), {late:.0f} ms (99 %), {worst:.0f} ms (most)"
        )


def _keep_up(folder: Path, seconds: int, qos: int, connections: int = 1) -> Kept:
    simulation = _site(seconds)
    sizes: list[int] = []
    behind_ms: list[float] = []

    def said(second: Second, pace: Pace) -> None:
        sizes.append(len(second.rows))
        behind_ms.append(pace.behind_ms)

    async def act(url: str) -> tuple[Pace, Publisher]:
        async with Publisher(
            address_of(url), Options(qos=qos, connections=connections), topics=simulation.topics
        ) as publisher:
            pace = await perform(simulation.seconds(), publisher, now_ms=_now_ms, said=said)
            assert await publisher.settle(PATIENCE_S)
            return pace, publisher

    with Mosquitto(folder / "broker", keeps_sessions=False) as broker:
        pace, publisher = asyncio.run(act(broker.url))
    return Kept(pace, publisher, sizes, behind_ms)


@pytest.mark.soak
@pytest.mark.parametrize("qos", [0, 1])
def test_a_whole_site_in_real_time(qos: int, tmp_path: Path) -> None:
    """A site of 300 MW is published as it happens; on a shared machine it may lag, but not lose its clock."""
    kept = _keep_up(tmp_path, 10, qos)
    kept.report(f"qos {qos}")
    assert kept.rate > RATE
    assert kept.publisher.tally.acknowledged == kept.publisher.published == sum(kept.sizes)
    assert kept.publisher.undelivered == []
    assert kept.pace.behind_ms < 3_000


@pytest.mark.soak
@pytest.mark.parametrize("qos", [0, 1])
def test_ten_minutes_without_falling_behind(qos: int, tmp_path: Path) -> None:
    """For ten minutes a whole site is published and everything is taken, each second within the next.

    The publisher and the broker should be alone on the machine.
    """
    seconds = int(os.environ.get("MEGAWATCH_SOAK_S", "600"))
    kept = _keep_up(tmp_path, seconds, qos)
    kept.report(f"qos {qos}, {seconds} s")
    assert kept.rate > RATE
    assert kept.publisher.tally.acknowledged == kept.publisher.published == sum(kept.sizes)
    assert kept.publisher.undelivered == []
    assert kept.pace.behind_ms < 200
    assert np.percentile(kept.behind_ms, 99) < 1_000


@pytest.mark.soak
def test_bursts_in_one_second(tmp_path: Path) -> None:
    """Bursts of 64,000 messages in a second, ten seconds apart, go out within their second."""
    scenario = a_scenario(RACKS, racks_per_row=12, seconds=41)
    bursts = tuple(
        a_fault(FaultKind.BURST, window=(second, second + 1), strength=4.0) for second in range(10, 41, 10)
    )
    simulation = Simulation(replace(scenario, faults=bursts), instruments=RECORDED)
    behind: list[tuple[int, float]] = []

    def said(second: Second, pace: Pace) -> None:
        behind.append((len(second.rows), pace.behind_ms))

    async def act(url: str) -> None:
        async with Publisher(address_of(url), Options(qos=0), topics=simulation.topics) as publisher:
            await perform(simulation.seconds(), publisher, now_ms=_now_ms, said=said)
            assert await publisher.settle(PATIENCE_S)
            assert publisher.tally.acknowledged == publisher.published

    with Mosquitto(tmp_path / "broker", keeps_sessions=False) as broker:
        asyncio.run(act(broker.url))
    largest = [(size, late) for size, late in behind[1:] if size >= BURST]
    print(f"bursts, and ms behind: {[(n, round(late)) for n, late in largest]}")  # noqa: T201 - as above
    assert len(largest) >= 3
    assert all(late < 200 for _, late in largest)
