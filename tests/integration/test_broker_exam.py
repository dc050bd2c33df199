"""What a broker is found to do for us: measured on real ones, without touching the topics of the site."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from collector.mqtt.address import Address
from collector.mqtt.connection import Refused
from collector.mqtt.probe import Heard, Queue, listen, measure_queue
from megawatch.check.broker import BrokerExam
from megawatch.run.clock import SteadyClock
from testing.collector.publishing import Publisher
from testing.megawatch.asking import asking
from testing.servers.brokers import BROKERS, Mosquitto
from testing.servers.observed import Observed, kept

SITE = """
[site]
name = "exam"
[[broker]]
url = "{url}"
format = "rack-documents"
{more}
[[rack]]
ids = "r1"
rating_kw = 132
"""


@dataclass(slots=True)
class Stock(Mosquitto):
    """Mosquitto as it comes out of the box, with more lines of configuration.

    Attributes:
        more: The lines.
    """

    more: str = ""

    def command(self) -> list[str]:
        """Return how it is started."""
        command = Mosquitto.command(self)
        conf = self.folder / "conf"
        lines = [line for line in conf.read_text().splitlines() if not line.startswith("max_")]
        conf.write_text("\n".join([*lines, self.more]) + "\n")
        return command


def at(port: int) -> Address:
    """Return the address of a broker on loopback."""
    return Address(host="127.0.0.1", port=port, client_id="the-monitor")


def measured(port: int, version: int = 5, count: int = 3_000) -> Queue:
    """Return what a broker is found to keep."""
    return asyncio.run(measure_queue(at(port), version=version, clock=SteadyClock(), count=count))


@pytest.mark.servers
@pytest.mark.parametrize("version", [5, 4])
def test_the_queue_of_stock_mosquitto_is_found(version: int, tmp_path: Path) -> None:
    """It keeps a thousand, and those that were published first; and nothing of the measuring stays."""
    with Stock(tmp_path / "broker") as server:
        found = measured(server.port, version)
        left = kept(server.port, "megawatch/#")

    # In version 5 it is for the client to say how much it takes at once.
    at_once = found.kept if version == 5 else 20
    assert found == Queue(published=3_000, kept=found.kept, are_oldest=True, unacknowledged=at_once)
    assert 1_000 <= found.kept <= 1_020
    assert left == {}


@pytest.mark.servers
@pytest.mark.parametrize("broker", BROKERS)
def test_a_queue_that_holds_everything_is_found(broker: str, tmp_path: Path) -> None:
    """It keeps at least as much as was published."""
    with BROKERS[broker](tmp_path / "broker") as server:
        found = measured(server.port, 5 if broker == "mosquitto" else 4)

    assert (found.kept, found.are_oldest, found.fault) == (3_000, None, "")


@pytest.mark.servers
def test_a_broker_that_lets_nobody_publish_is_not_measured(tmp_path: Path) -> None:
    """It is said why, in both versions; one that does not say so is known by what does not come back."""
    rights = tmp_path / "rights"
    rights.write_text("topic read #\n")
    with Stock(tmp_path / "broker", more=f"acl_file {rights}") as server:
        found = [measured(server.port, version, 10) for version in (5, 4)]

    assert "does not let us publish to megawatch/doctor/...: not authorized" in found[0].fault
    assert "does not come back" in found[1].fault


@pytest.mark.servers
def test_a_broker_of_the_older_version_says_so(tmp_path: Path) -> None:
    """Who asks can then try the other."""
    with BROKERS["nats"](tmp_path / "broker") as server, pytest.raises(Refused) as error:
        asyncio.run(listen(at(server.port), [("#", 1)], 1, version=5, clock=SteadyClock()))

    assert error.value.is_version


@contextmanager
def a_site(folder: Path, url: str, more: str = "") -> Iterator[Path]:
    """Write a site with one broker."""
    folder.mkdir()
    (folder / "site.toml").write_text(SITE.format(url=url, more=more))
    yield folder


@pytest.mark.servers
def test_doctor_measures_and_says_what_to_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is heard, what is kept, and what to write; it publishes on its own topic alone."""
    with (
        Observed(tmp_path / "broker") as server,
        a_site(tmp_path / "site", server.url) as site,
        Publisher(server.port) as plant,
    ):
        plant.publish("megawatch/v1/exam/r1", b"{}", retain=True)
        plant.flush()
        with asking(capsys) as ask:
            answer = ask("doctor", site)
        spoke = {(who, topic) for who, topic in server.spoke() if who != "test-publisher"}

    assert answer.status == 0
    assert "lets us read: yes: 1 messages within 5 s" in answer.out
    assert "keeps for us while we are away: at least 20000 messages" in answer.out
    assert "set under [[broker]]: queued_messages = 20000" in answer.out
    assert spoke
    assert all(who.startswith("megawatch-probe-") for who, _ in spoke)
    assert all(topic.startswith("megawatch/doctor/") for _, topic in spoke)


@pytest.mark.servers
def test_doctor_tells_an_access_list_that_lets_us_subscribe_and_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The broker grants the subscription, and sends nothing."""
    rights = tmp_path / "rights"
    rights.write_text("topic readwrite megawatch/doctor/#\ntopic write megawatch/v1/#\n")
    with (
        Stock(tmp_path / "broker", more=f"acl_file {rights}") as server,
        a_site(tmp_path / "site", server.url, "queued_messages = 5000") as site,
        Publisher(server.port) as plant,
    ):
        plant.publish("megawatch/v1/exam/r1", b"{}", retain=True)
        plant.flush()
        with asking(capsys) as ask:
            answer = ask("doctor", site, "--json")

    reached = {item["what"]: item for item in answer.document["reached"]}["broker bus"]
    (broker,) = answer.document["brokers"]
    assert answer.status == 1
    assert "lets us in and subscribe" in reached["detail"]
    assert broker["heard"] == {"messages": 0, "live": 0, "seconds": 5.0, "rate_per_s": 0.0}
    assert broker["queue"]["kept"] < broker["queued_messages"] == 5_000


def test_what_doctor_says_of_a_broker_that_neither_lets_us_read_nor_keeps_what_was_said() -> None:
    """Each with what follows from it."""
    exam = BrokerExam(
        name="bus",
        mqtt="5",
        said=5_000,
        heard=Heard(messages=0, live=0, seconds=12),
        queue=Queue(published=20_000, kept=1_000, are_oldest=True, unacknowledged=20),
    )
    text = "\n".join(exam.lines())

    assert "lets us read: NO: nothing arrived within 12 s" in text
    assert "the first 1000 of 20000 messages; the others are dropped" in text
    assert "queued_messages = 5000 is MORE than it keeps: set 1000" in text


def test_what_doctor_says_of_a_broker_that_was_not_reached() -> None:
    """The cause, and that nothing was measured."""
    exam = BrokerExam(name="bus", fault="bus.example:1883: connection refused")

    assert exam.lines() == ["broker bus: not measured: bus.example:1883: connection refused"]
    assert not exam.is_fine
    assert replace(exam, said=5).document()["queued_messages"] == 5
