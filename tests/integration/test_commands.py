"""The commands that people use beside a running monitor, and the monitor's own beginning and end."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from facility.instants import to_ms
from simulators.run import Simulation
from simulators.scenario.file import open_scenario
from testing.collector.publishing import Publisher
from testing.megawatch.asking import Answer, asking
from testing.megawatch.saying import read_status
from testing.recording import metadata, values
from testing.servers.brokers import Mosquitto
from testing.servers.process import stop
from testing.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.xdist_group("commands")

SEED = 11
SITE = """
[site]
name = "{name}"
rack_rating_kw = 132
[[broker]]
url = "{url}"
client_id = "monitor-{name}"
keepalive_s = 4
[store]
seal_s = 2
[[tenant]]
id = "orchid"
name = "Orchid AI"
holds = [{{ racks = "P01A-*", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 1.0
[[rack]]
ids = "P01A-{{01..12}}"
[rules]
C2 = {{ on_delay_s = 1 }}
"""
PARTS = ("collector", "rules", "writer", "notifier")

LOOK_S = 2
"""How long after the recording was said it is looked what is known of it."""
POD_KW = 214.08
"""What the racks of NVIDIA's recording draw in the end [kW]."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A monitor that runs in a process of its own, beside the test.

    Attributes:
        site: Its folder.
        broker: Its broker.
        truth: The folder where the simulator writes what is true.
        process: The process.
    """

    site: Path
    broker: Mosquitto
    truth: Path
    process: subprocess.Popen[bytes]

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.site / "data"


def start(*arguments: object, log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a process of its own."""
    command = [sys.executable, "-m", "megawatch", *map(str, arguments)]
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)


def can_be_stopped(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a process takes a SIGTERM itself, as it does once it is up."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def write_site(folder: Path, url: str) -> Path:
    """Write a site whose one tenant draws more than it contracted, and return its folder."""
    folder.mkdir(parents=True)
    (folder / "site.toml").write_text(SITE.format(name=folder.name, url=url))
    return folder


def is_in_breach(data: Path) -> bool:
    """Tell whether the status has a history, and a tenant in breach that is known whole."""
    found = read_status(data)
    return "history" in found and any(
        tenant["verdict"] == "breach" and tenant["low_kw"] == tenant["high_kw"]
        for tenant in found.get("tenants", ())
    )


def until_in_breach(data: Path) -> None:
    """Wait until the status has a history, and a tenant in breach that is known whole."""
    wait_until(lambda: is_in_breach(data), "a breach", lambda: read_status(data))


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """Run a broker, a simulated site and a monitor, until the tenant is in breach and paged."""
    folder = tmp_path_factory.mktemp("beside")
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder / "broker"))
        site = write_site(folder / "one", broker.url)
        monitor = start("run", site, log=folder / "run.log")
        stack.callback(stop, monitor, signal.SIGKILL)
        truth = folder / "truth"
        plant = start(
            *("simulate", "--broker", broker.url, "--truth", truth, "--seed", SEED, "--seconds", 600),
            log=folder / "plant.log",
        )
        stack.callback(stop, plant, signal.SIGINT)
        until_in_breach(site / "data")
        time.sleep(5)
        yield Beside(site, broker, truth, monitor)


@pytest.mark.servers
def test_status_shows_tenants_and_where_every_reading_went(
    beside: Beside, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a document and for people, beside the running monitor: verdict, bounds, and a sum that closes."""
    with asking(capsys) as ask:

        def is_in_breach_throughout() -> bool:
            """Ask in both ways; a machine that stood still meanwhile puts every verdict in doubt."""
            asked[:] = [ask("status", beside.site, "--json"), ask("status", beside.site)]
            orchid = next(one for one in asked[0].document["tenants"] if one["id"] == "orchid")
            return orchid["coverage"] == 1 and "BREACH" in asked[1].out

        asked = list[Answer]()
        wait_until(is_in_breach_throughout, "a breach is shown", lambda: asked)
        shown, told = asked

    document = shown.document
    [orchid] = [tenant for tenant in document["tenants"] if tenant["id"] == "orchid"]
    account = document["accounting"]
    assert (shown.status, told.status, document["is_running"]) == (0, 0, True)
    assert document["open_alarms"] >= 1
    assert (orchid["verdict"], orchid["limit_kw"], orchid["coverage"]) == ("breach", 1_000.0, 1.0)
    assert orchid["low_kw"] == orchid["best_kw"] == orchid["high_kw"] > 1_000
    parts = ("stored", "dead_lettered", "duplicates", "waiting")
    assert account["received"] == sum(account[part] for part in parts) > 1_000
    assert account["dead_lettered"] == account["duplicates"] == 0
    assert all(
        word in told.out for word in ("Orchid AI", "BREACH", "1.000 MW", "received =", "C2", "connected")
    )


@pytest.mark.servers
def test_an_alarm_is_listed_and_taken_in_hand(beside: Beside, capsys: pytest.CaptureFixture[str]) -> None:
    """By the beginning of its id, once; who took it first stays; the monitor goes on with it."""
    with asking(capsys) as ask:
        found = ask("alarms", beside.site, "--json").document
        [alarm] = [one for one in found if (one["rule"], one["subject"]) == ("C2", "orchid")]
        taken = ask("ack", beside.site, alarm["id"][:7], "--by", "kim", "--json").document
        again = ask("ack", beside.site, alarm["id"], "--by", "lee")
        listed = ask("alarms", beside.site)
        nobody = ask("ack", beside.site, "zzz")
        empty = ask("ack", beside.site, "")

    assert (alarm["state"], alarm["limit"], alarm["unit"]) == ("active, unacknowledged", 1_000.0, "kW")
    assert alarm["value"] > 1_000
    assert (taken["state"], taken["acknowledged_by"]) == ("active, acknowledged", "kim")
    assert "by kim" in again.out
    assert "acknowledged: kim" in listed.out
    assert [nobody.status, empty.status] == [1, 1]
    assert "found no alarm for 'zzz'" in nobody.err


@pytest.mark.servers
def test_query_gives_what_the_site_truly_drew(beside: Beside, capsys: pytest.CaptureFixture[str]) -> None:
    """A rack's readings are the simulator's truth, second by second; a tenant's draw is their sum."""
    begin_ms, powers = drawn(beside.truth, 300)
    with asking(capsys) as ask:
        rack = ask("query", beside.site, "P01A-03", "--last", "1h", "--json").document
        lines = ask("query", beside.site, "P01A-03", "rack.power.active", "--last", "1h", "--csv").out
        tenant = ask("query", beside.site, "orchid", "--last", "1h", "--json").document
        covered = ask("query", beside.site, "orchid", "coverage", "--last", "1h", "--json").document
        means = ask("query", beside.site, "orchid", "--last", "1h", "--step", "2s", "--json").document
        told = ask("query", beside.site, "orchid", "high", "--last", "1m")

    shown = [row for row in rack["values"] if (ms_of(row["time"]) - begin_ms) // 1_000 < len(powers)]
    assert len(shown) >= 5
    for row in shown:
        second = (ms_of(row["time"]) - begin_ms) // 1_000
        assert row["value"] == pytest.approx(powers[second]["P01A-03"] / 1e6, abs=0.0006), row
    assert rack["unit"] == "kW"
    rows = {row["time"]: float(row["value [kW]"]) for row in csv.DictReader(lines.splitlines())}
    assert rows.items() >= {row["time"]: row["value"] for row in shown}.items()
    # Each rack speaks at its own moment of a second, and may be on its way for a while; until all have
    # spoken the estimate is that of some, or there is none.
    whole = {row["time"] for row in covered["values"] if row["value"] == 1}
    judged = [(row, (ms_of(row["time"]) - begin_ms) // 1_000) for row in tenant["values"]]
    assert all(row["quality"] == "no value" for row, _ in judged if row["value"] is None)
    settled = [(row, second) for row, second in judged if row["time"] in whole and 3 <= second < len(powers)]
    assert len(settled) >= 2
    for row, second in settled:
        recent = [[power[rack] for power in powers[second - 2 : second + 1]] for rack in powers[0]]
        low, high = (sum(map(extreme, recent)) / 1e9 for extreme in (min, max))
        assert low - 1e-5 <= row["value"] <= high + 1e-5, (row, low, high)
        assert high - low < 0.05
    assert tenant["unit"] == "MW"
    assert 2 <= len(means["values"]) < len(tenant["values"])
    assert told.status == 0
    assert "orchid high [MW]" in told.out


def drawn(truth: Path, seconds: int) -> tuple[int, list[dict[str, int]]]:
    """Return when the simulated site began [ms], and what each rack of row P01A drew then [mW].

    The truth is that of the same scenario and seed, made once more.
    """
    head = json.loads((truth / "run.jsonl").read_text())
    scenario = replace(open_scenario(head["scenario"]), seed=head["seed"], seconds=seconds)
    simulation = Simulation(scenario)
    racks = [(i, str(rack)) for i, rack in enumerate(simulation.wiring.racks) if rack.startswith("P01A-")]
    powers = [second.state.rack_milliwatts.tolist() for second in simulation.seconds()]
    return ms_of(head["begin"]), [{rack: power[i] for i, rack in racks} for power in powers]


def ms_of(text: str) -> int:
    """Return a time of a document [ms]."""
    return to_ms(datetime.fromisoformat(text))


@pytest.mark.servers
def test_what_can_not_be_found_is_told_with_the_nearest_name(
    beside: Beside, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown tenant, figure or quantity is answered with what there is."""
    with asking(capsys) as ask:
        answers = [
            ask("query", beside.site, "orchit"),
            ask("query", beside.site, "orchid", "hihg"),
            ask("query", beside.site, "P01A-03", "rack.power"),
            ask("query", beside.site, "orchid", "--from", "2026-01-02", "--to", "2026-01-01"),
        ]

    assert [answer.status for answer in answers] == [1, 1, 1, 2]
    assert "did you mean 'orchid'?" in answers[0].err
    assert "did you mean 'high'?" in answers[1].err
    assert "rack.power.active" in answers[2].err
    assert "a start before the end" in answers[3].err


@pytest.mark.servers
def test_a_second_monitor_on_the_same_data_is_refused(beside: Beside, tmp_path: Path) -> None:
    """Whole or in part it is told which process runs, and the first one is not disturbed."""
    for options in ((), ("--only", "rules")):
        second = start("run", beside.site, *options, log=tmp_path / "log")
        assert second.wait(PATIENCE_S) == 1
        told = (tmp_path / "log").read_text()
        assert f"process {beside.process.pid} already runs the" in told
        assert "stop it first" in told
        assert "Traceback" not in told
    assert beside.process.poll() is None
    assert read_status(beside.data)["brokers"][0]["connections"] == 1


@pytest.mark.servers
def test_each_part_runs_in_a_process_of_its_own(
    beside: Beside, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four processes on one data folder are one monitor; without the collector's journal the others wait."""
    site = write_site(tmp_path / "parts", beside.broker.url)
    early = start("run", site, "--only", "rules", log=tmp_path / "early")
    assert early.wait(PATIENCE_S) == 1
    assert "start the collector first" in (tmp_path / "early").read_text()

    running = [start("run", site, "--only", PARTS[0], log=tmp_path / PARTS[0])]
    try:
        wait_until((site / "data" / "journal.sqlite").exists, "the collector makes its journal")
        running += [start("run", site, "--only", part, log=tmp_path / part) for part in PARTS[1:]]
        wait_until(lambda: all(map(can_be_stopped, running)), "each is up")
        until_in_breach(site / "data")
        with asking(capsys) as ask:
            shown = ask("status", site, "--json")
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
    ended = [process.wait(PATIENCE_S) for process in running]

    assert shown.status == 0
    assert {"accounting", "rules", "history", "tenants"} <= set(shown.document)
    assert ended == [0] * 4, [(tmp_path / part).read_text()[-300:] for part in PARTS]


@pytest.mark.servers
def test_discover_writes_a_site_file_that_check_accepts_and_run_monitors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From NVIDIA's recording: its racks, its graph, guesses marked as such, then the draw of all."""
    with Mosquitto(tmp_path / "broker") as broker, Publisher(broker.port) as publisher:
        for message in metadata():
            publisher.publish(message.topic, message.payload, retain=True)
        publisher.flush()
        out = tmp_path / "site" / "site.toml"
        out.parent.mkdir()
        listening = start(
            *("discover", broker.url, "--out", out, "--seconds", 4, "--name", "pod", "--json"),
            log=tmp_path / "found",
        )
        time.sleep(2)
        now_ms = time.time_ns() // 1_000_000  # noqa: TID251 - a publisher has a clock of its own
        said = values()
        for message in said:
            publisher.publish(message.topic, message.stamped(now_ms - 60_000))
        assert listening.wait(PATIENCE_S) == 0, (tmp_path / "found").read_text()
        found = json.loads((tmp_path / "found").read_text())
        with asking(capsys) as ask:
            checked = ask("check", out.parent, "--live")
            again = ask("discover", broker.url, "--out", out, "--seconds", 1)

        monitor = start("run", out.parent, log=tmp_path / "run")
        try:
            stored = monitored(out.parent / "data", publisher)
        finally:
            monitor.send_signal(signal.SIGTERM)
        assert monitor.wait(PATIENCE_S) == 0, (tmp_path / "run").read_text()

    text = out.read_text()
    assert (found["racks"], found["points"], found["refused"]) == (6, 166, {})
    assert found["site_file"] == text
    assert 'ids = ["Pod1C-E05"]' in text
    assert "rating_kw = 140  # guess: what a liquid-cooled rack" in text
    assert 'serves = ["C-E01-TAP-E1", "C-E02-TAP-E1"' in text
    assert "# Who holds what is nowhere on the bus" in text
    assert checked.status == 0, checked.out
    assert "fine; 6 racks, 0 tenants" in checked.out
    assert again.status == 1
    assert "left as it is" in again.err
    assert stored == pytest.approx(POD_KW, abs=0.005)


def monitored(data: Path, publisher: Publisher) -> float:
    """Publish the recording until a monitor knows it whole; return what it says the site draws [kW]."""

    def is_connected() -> bool:
        return bool(read_status(data).get("brokers", [{}])[0].get("state") == "connected")

    def drawn() -> float:
        tenants = read_status(data).get("tenants") or [{}]
        return float(tenants[0]["best_kw"]) if tenants[0].get("coverage") == 1 else 0.0

    def is_known() -> bool:
        """Say it all and look once: what was said is known for some seconds only."""
        now_ms = time.time_ns() // 1_000_000  # noqa: TID251 - a publisher has a clock of its own
        for message in values():
            publisher.publish(message.topic, message.stamped(now_ms - 50_000))
        publisher.flush()
        time.sleep(LOOK_S)
        found.append(drawn())
        return found[-1] == pytest.approx(POD_KW, abs=0.005)

    found = list[float]()
    wait_until(is_connected, "connected", lambda: read_status(data))
    wait_until(is_known, f"{POD_KW} kW", lambda: read_status(data))
    return found[-1]


@pytest.mark.servers
def test_the_monitor_ends_when_asked_and_status_says_so(
    beside: Beside, capsys: pytest.CaptureFixture[str]
) -> None:
    """A termination ends it, with status 0; what it knew last stays to be seen."""
    beside.process.send_signal(signal.SIGTERM)
    ended = beside.process.wait(PATIENCE_S)
    with asking(capsys) as ask:
        shown = ask("status", beside.site, "--json")
        told = ask("status", beside.site)
        listed = ask("alarms", beside.site, "--json")

    assert ended == 0
    assert (shown.status, told.status, listed.status) == (1, 1, 0)
    assert shown.document["is_running"] is False
    assert "The monitor does not run" in told.out
    assert any(alarm["rule"] == "C2" for alarm in listed.document)
