"""A monitor as a process of its own, on real brokers and receivers: one part fails, the others go on."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import pytest

from facility.instants import to_iso
from megawatch.run.process import end
from testing.collector.publishing import Publisher
from testing.fakes.webhook import FakeReceiver, Reply, receiver
from testing.megawatch.monitoring import Receiver, journalled, receiving
from testing.megawatch.saying import read_status
from testing.servers.brokers import Mosquitto
from testing.servers.process import free_port
from testing.waiting import until

ROOT: Final = Path(__file__).parents[2]
SITE: Final = """
[site]
name = "hall"
[metrics]
port = {metrics}
[[broker]]
name = "north"
url = "{north}"
format = "rack-documents"
[[broker]]
name = "south"
url = "{south}"
format = "rack-documents"
[[rack]]
ids = "r-{{north,south}}"
rating_kw = 100
[[tenant]]
id = "acme"
holds = [{{ racks = "r-north", from = 2020-01-01 }}]
contract = [{{ from = 2020-01-01, committed_mw = 0.05 }}]
[[tenant]]
id = "globex"
holds = [{{ racks = "r-south", from = 2020-01-01 }}]
contract = [{{ from = 2020-01-01, committed_mw = 0.05 }}]
[rules.C2]
on_delay_s = 0
[[route]]
to = {{ webhook = "{pager}" }}
[[route]]
to = {{ webhook = "{mail}" }}
"""


@dataclass(slots=True)
class Hall:
    """What publishes, what runs, and who is told.

    Attributes:
        publishers: A client of each broker.
        pager: A receiver that may hang.
        mail: A receiver that does not.
        data: The monitor's data folder.
        metrics: The port of its metrics.
        fault: The file that is there while a part fails.
        power_kw: What each rack draws.
        said: The time of each document that was published [ms].
    """

    publishers: dict[str, Publisher]
    pager: FakeReceiver
    mail: Receiver
    data: Path
    metrics: int
    fault: Path
    power_kw: dict[str, float] = field(default_factory=lambda: {"north": 30.0, "south": 30.0})
    said: list[int] = field(default_factory=list)

    async def live(self) -> None:
        """Publish at least once until cancelled, each document at a time of its own."""
        loop = asyncio.get_running_loop()
        at_ms, began_s = read_status(self.data)["at_ms"], loop.time()
        while True:
            for name, publisher in self.publishers.items():
                at_ms += 1
                document = {"rack": f"r-{name}", "time": to_iso(at_ms), "power_kw": self.power_kw[name]}
                publisher.publish(f"megawatch/v1/hall/r-{name}", json.dumps(document).encode())
                self.said.append(at_ms)
            await asyncio.sleep(0.1)
            at_ms = max(at_ms, self.said[0] + round((loop.time() - began_s) * 1_000))

    def part(self, name: str) -> dict[str, Any]:
        """Return what the status says of a part."""
        parts = read_status(self.data).get("parts", ())
        return next((part for part in parts if part["name"] == name), {"state": "", "restarts": 0})

    def told(self, rule: str, subject: str, change: str = "opened") -> bool:
        """Tell whether the mail was told of a change of an alarm."""
        asked = rule, subject, change
        return any((body["rule"], body["subject"], body["change"]) == asked for _, body in self.mail.pages)

    def paged(self, rule: str, subject: str) -> bool:
        """Tell whether the pager was told that an alarm opened."""
        bodies = [json.loads(came.body) for came in self.pager.deliveries]
        return any(
            (body["rule"], body["subject"], body["change"]) == (rule, subject, "opened") for body in bodies
        )

    def scrape(self) -> str:
        """Return the metrics."""
        with urlopen(f"http://127.0.0.1:{self.metrics}/metrics") as answer:
            return str(answer.read().decode())


@asynccontextmanager
async def a_hall(folder: Path, part: str) -> AsyncIterator[Hall]:
    """Run a monitor of which a part can be made to fail, and stop it politely."""
    async with AsyncExitStack() as stack:
        brokers = {name: stack.enter_context(Mosquitto(folder / name)) for name in ("north", "south")}
        pager = await stack.enter_async_context(receiver())
        mail = await stack.enter_async_context(receiving())
        metrics, site, fault = free_port(), folder / "site", folder / "fault"
        urls = {name: broker.url for name, broker in brokers.items()}
        site.mkdir()
        (site / "site.toml").write_text(SITE.format(metrics=metrics, pager=pager.url, mail=mail.url, **urls))
        command = (sys.executable, "-m", "tests.integration.faultymonitor", str(site), part, str(fault))
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        publishers = {name: stack.enter_context(Publisher(broker.port)) for name, broker in brokers.items()}
        hall = Hall(publishers, pager, mail, site / "data", metrics, fault)
        await until(lambda: connected(hall.data) == 2, "both brokers are connected")
        living = asyncio.create_task(hall.live())
        try:
            yield hall
            await end(living)
            for publisher in publishers.values():
                await asyncio.to_thread(publisher.flush)
            await until(lambda: not lost(hall), "every reading is kept", lambda: len(lost(hall)))
        finally:
            await end(living)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0


def connected(data: Path) -> int:
    """Return how many brokers are connected."""
    return sum(broker["state"] == "connected" for broker in read_status(data).get("brokers", ()))


def lost(hall: Hall) -> set[int]:
    """Return the times of what was published and is not in the journal [ms]."""
    return set(hall.said) - set(journalled(hall.data).source_ms.tolist())


@pytest.mark.servers
@pytest.mark.parametrize(
    ("part", "subject", "state"),
    [
        ("collector", "collector of north", "restarting"),
        pytest.param("rules", "rules", "hanging", marks=pytest.mark.soak),
    ],
)
def test_a_part_that_fails_is_told_and_takes_no_other_with_it(
    part: str, subject: str, state: str, tmp_path: Path
) -> None:
    """Shown in the status and in the metrics, told on both routes, and well again once the fault is over."""

    async def story() -> None:
        async with a_hall(tmp_path, part) as hall:
            hall.fault.touch()
            await until(lambda: hall.part(subject)["state"] == state, "it is shown")
            await until(lambda: hall.told("Q9", subject) and hall.paged("Q9", subject), "it is told")
            stored = read_status(hall.data)["accounting"]["stored"]
            await until(lambda: read_status(hall.data)["accounting"]["stored"] > stored + 10, "others go on")
            hall.power_kw["south"] = 90.0
            if part != "rules":
                await until(lambda: hall.told("C2", "globex"), "an overdraw is told meanwhile")
            hall.fault.unlink()
            await until(lambda: hall.told("Q9", subject, "returned"), "its end is told")
            await until(lambda: hall.told("C2", "globex") and hall.paged("C2", "globex"), "both are told")
            name = f'megawatch_part_restarts_total{{part="{subject}"}}'
            lines = (await asyncio.to_thread(hall.scrape)).split("\n")
            (restarts,) = (float(line.split()[-1]) for line in lines if line.startswith(name))
            assert restarts >= 1
            others = [part for part in read_status(hall.data)["parts"] if part["name"] != subject]
            assert {part["name"]: part["error"] for part in others if part["restarts"]} == {}

    asyncio.run(story())


@pytest.mark.servers
@pytest.mark.soak
def test_a_receiver_that_hangs_delays_no_other(tmp_path: Path) -> None:
    """The mail is told at once, also that the pager does not answer; once it does it has every page."""

    async def story() -> None:
        async with a_hall(tmp_path, "none") as hall:
            hall.pager.script = [Reply(hangs=True)] * 100
            hall.power_kw["south"] = 90.0
            await until(lambda: hall.told("C2", "globex"), "an overdraw is told on the other route")
            pages = f"pages to 127.0.0.1:{hall.pager.url.split(':')[2].split('/')[0]}"
            await until(lambda: hall.told("Q9", pages), "it is told that the pager does not answer")
            before = len(hall.pager.deliveries)
            hall.pager.script = []
            await until(lambda: hall.told("Q9", pages, "returned"), "it is told that it answers again")
            after = [json.loads(came.body) for came in hall.pager.deliveries[before:]]
            assert ("C2", "globex") in {(body["rule"], body["subject"]) for body in after}
            assert all(part["restarts"] == 0 for part in read_status(hall.data)["parts"])

    asyncio.run(story())
