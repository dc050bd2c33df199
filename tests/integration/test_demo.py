"""The demo, as a newcomer runs it: what it tells, what it leaves behind, and who speaks on its bus."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from megawatch.demo.broker import find_broker, own_broker
from testing.megawatch.asking import check_output
from testing.servers.observed import Observed, has_session, kept
from testing.servers.process import is_listening, need
from testing.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.xdist_group("demo")

ROOT = Path(__file__).parents[2]
SECONDS = 75
SILENT, BACK = "falls silent", "is back"
BEGUN = "all three tenants draw what they contracted"


@dataclass(slots=True)
class Run:
    """A demo in a process of its own.

    Attributes:
        process: The process, in a group of its own.
        folder: Where it keeps temporary files, output and errors.
        children: Every process that it started, as far as was seen.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    children: set[psutil.Process] = field(default_factory=set)

    @property
    def out(self) -> str:
        """Its standard output."""
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        """Its standard error."""
        return (self.folder / "err").read_text()

    @property
    def document(self) -> Any:  # noqa: ANN401 - any document
        """Standard output, which is one JSON document and nothing else, of the shape that the docs state."""
        found = json.loads(self.out)
        check_output("demo", found)
        return found

    def look(self) -> None:
        """Note the processes that it has started."""
        try:
            self.children |= set(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return

    def has_broker(self) -> bool:
        """Tell whether it runs a broker, whose guard is a shell."""
        self.look()
        return any(name_of(child) == "mosquitto" for child in self.children)

    def close(self) -> None:
        """Kill it, where it still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def left_behind(self) -> list[object]:
        """Return what is still there: temporary files, and processes that it started."""
        _, alive = psutil.wait_procs(
            [child for child in self.children if not is_over(child)], timeout=PATIENCE_S
        )
        return [*(self.folder / "tmp").iterdir(), *(child for child in alive if not is_over(child))]


def is_over(process: psutil.Process) -> bool:
    """Tell whether a process has ended, be it that nobody asked how."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def name_of(process: psutil.Process) -> str:
    """Return a process's name, "" of one that is over."""
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def start(folder: Path, *arguments: str, by_make: bool = False) -> Run:
    """Start a demo; by `make`, as a newcomer does, where its environment is up to date."""
    (folder / "tmp").mkdir(parents=True)
    command = [sys.executable, "-m", "megawatch", "demo", *arguments]
    make = shutil.which("make")
    if by_make and make is not None:
        asked = subprocess.run([make, "-q", ".venv/.ready"], cwd=ROOT, capture_output=True, check=False)
        if asked.returncode == 0:
            command = [make, "-s", "demo", f"ARGS={' '.join(arguments)}"]
    environment = os.environ | {"TMPDIR": str(folder / "tmp"), "COLUMNS": "80", "LINES": "24"}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=out, stderr=err, start_new_session=True
        )
    return Run(process, folder)


@dataclass(frozen=True, slots=True)
class Runs:
    """Five demos that ran beside each other.

    Attributes:
        whole: Ran to its end.
        interrupted: Was interrupted in mid-story.
        killed: Was killed in mid-story, and could end nothing.
        guest: Used a broker that was there already, for a while.
        other: Showed another scenario.
        broker: The broker of the guest.
    """

    whole: Run
    interrupted: Run
    killed: Run
    guest: Run
    other: Run
    broker: Observed


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Run the demos, all in the time of one."""
    need("mosquitto")
    folder = tmp_path_factory.mktemp("demo")
    with ExitStack() as stack:
        broker = stack.enter_context(Observed(folder / "broker"))
        whole = start(folder / "whole", "--seconds", str(SECONDS), "--json", by_make=True)
        interrupted = start(folder / "interrupted")
        killed = start(folder / "killed", "--json")
        guest = start(folder / "guest", "--seconds", "20", "--broker", broker.url, "--json")
        other = start(folder / "other", "--scenario", "i_grid_sag", "--seconds", "30", "--json")
        for run in (whole, interrupted, killed, guest, other):
            stack.callback(run.close)
        for run in (whole, interrupted, killed, other):
            wait_until(run.has_broker, "the demo runs a broker of its own")
        wait_until(lambda: BEGUN in interrupted.out, "the story begins", lambda: interrupted.err)
        os.killpg(interrupted.process.pid, signal.SIGINT)
        killed.close()
        for run in (interrupted, guest, other, whole):
            assert run.process.wait(SECONDS + PATIENCE_S) == 0, run.err
        yield Runs(whole, interrupted, killed, guest, other, broker)


def seconds(instant: str) -> float:
    """Return an instant of a document in seconds."""
    return datetime.fromisoformat(instant).timestamp()


def story(document: Any) -> dict[str, float]:  # noqa: ANN401 - any document
    """Return when the gateway fell silent and when it was back [s]."""
    return {
        word: seconds(event["time"])
        for word in (SILENT, BACK)
        for event in document["story"]
        if word in event["caption"]
    }


# The whole of it --------------------------------------------------------------------------


@pytest.mark.servers
def test_standard_output_is_one_document_and_nothing_else(runs: Runs) -> None:
    """It can be piped into any program; nothing is on standard error either."""
    assert runs.whole.document["site"] == "demo"
    assert runs.whole.document["seconds"] == SECONDS
    assert runs.whole.err == ""


@pytest.mark.servers
def test_every_reading_is_accounted_for(runs: Runs) -> None:
    """Received is stored, dead-lettered, duplicate or waiting; here all was stored and all delivered."""
    account = runs.whole.document["accounting"]

    parts = ("stored", "dead_lettered", "duplicates", "waiting")
    assert account["received"] == sum(account[part] for part in parts)
    assert account["received"] == account["stored"] > 200 * SECONDS
    assert account["dead_lettered_by_reason"] == {}
    assert account["undelivered"] == 0


@pytest.mark.servers
def test_a_tenant_passes_its_warning_and_then_its_contract(runs: Runs) -> None:
    """C1 opens at 95 % of the contract, then C2 above it, and C2 is paged; both name the contract's limit."""
    document = runs.whole.document
    alarms = {(alarm["rule"], alarm["subject"]): alarm for alarm in document["alarms"]}
    near, over = alarms["C1", "orchid"], alarms["C2", "orchid"]

    assert seconds(near["opened"]) < seconds(over["opened"]) < story(document)[SILENT]
    assert (near["limit"], over["limit"], over["unit"]) == (1_850.0, 1_850.0, "kW")
    assert near["value"] > 0.95 * near["limit"]
    assert over["peak"] >= over["value"] > over["limit"]
    page = next(page for page in document["pages"] if page["key"] == f"{over['id']}:opened")
    assert (page["state"], page["rule"], page["subject"]) == ("delivered", "C2", "orchid")
    assert not [alarm for alarm in document["alarms"] if alarm["subject"] == "cedar"]


@pytest.mark.servers
def test_silence_widens_bounds_and_resolves_nothing(runs: Runs) -> None:
    """While the gateway is silent its two tenants cannot be verified, and the overdraw stays open."""
    document = runs.whole.document
    silent, back = story(document)[SILENT], story(document)[BACK]
    alarms, tenants = document["alarms"], {tenant["id"]: tenant for tenant in document["tenants"]}

    for name in ("orchid", "basil"):
        widest = tenants[name]["widest"]
        assert silent < seconds(widest["time"]) < back + 3
        assert widest["low_kw"] < widest["best_kw"] < widest["high_kw"]
        assert widest["low_kw"] < widest["limit_kw"] < widest["high_kw"]
        assert tenants[name]["seconds"]["unknown"] >= 5
        doubts = [a for a in alarms if a["subject"] == name and "cannot verify" in a["title"] and a["told"]]
        assert doubts
        assert all(silent < seconds(alarm["opened"]) < back for alarm in doubts)
        assert all(seconds(alarm["closed"]) >= back for alarm in doubts)
    # A machine that is busy with other tests may lose a second of anybody here and there.
    assert tenants["cedar"]["seconds"]["unknown"] < tenants["orchid"]["seconds"]["unknown"] / 2
    resolved = [page for page in document["pages"] if page["change"] == "returned"]
    assert not [page for page in resolved if silent < seconds(page["source_time"]) < back]
    [over] = [alarm for alarm in alarms if (alarm["rule"], alarm["subject"]) == ("C2", "orchid")]
    assert seconds(over["closed"]) > back


@pytest.mark.servers
def test_nothing_is_told_before_the_story_begins(runs: Runs) -> None:
    """What is only starting is nobody's alarm: the first to be heard of is the warning of the tenant."""
    document = runs.whole.document
    begins = min(seconds(event["time"]) for event in document["story"] if event["second"] > 0)

    assert all(seconds(alarm["opened"]) > begins for alarm in document["alarms"])
    assert (document["pages"][0]["rule"], document["pages"][0]["subject"]) == ("C1", "orchid")


@pytest.mark.servers
def test_a_common_cause_is_paged_once_for_all_its_racks(runs: Runs) -> None:
    """Twelve silent racks are one page about their gateway."""
    document = runs.whole.document
    racks = [alarm for alarm in document["alarms"] if alarm["rule"] == "Q1"]
    causes = [page for page in document["pages"] if (page["rule"], page["change"]) == ("Q3", "opened")]

    assert len(racks) == 12
    assert not any(alarm["told"] for alarm in racks)
    assert [page["subject"] for page in causes] == ["bus:PUB:GW-P01B"]
    assert not [page for page in document["pages"] if page["rule"] == "Q1"]


@pytest.mark.servers
def test_everything_returns(runs: Runs) -> None:
    """At the end every alarm is over, and each one that was told is told to be over."""
    document = runs.whole.document
    told = {page["key"] for page in document["pages"]}

    assert all(alarm["closed"] for alarm in document["alarms"])
    for alarm in document["alarms"]:
        if alarm["told"]:
            assert {f"{alarm['id']}:opened", f"{alarm['id']}:returned"} <= told


@pytest.mark.servers
def test_each_page_has_a_key_of_its_own_and_follows_what_it_tells(runs: Runs) -> None:
    """No key twice, one attempt each, and after the source time of what it tells."""
    pages = runs.whole.document["pages"]

    assert len({page["key"] for page in pages}) == len(pages) >= 10
    assert {(page["state"], page["attempts"]) for page in pages} == {("delivered", 1)}
    assert all(page["delay_s"] > 0 for page in pages)


@pytest.mark.servers
def test_nothing_is_left_behind(runs: Runs) -> None:
    """No process, no temporary file, and nobody listens on the broker's port; not of a killed one either."""
    for run in (runs.whole, runs.interrupted, runs.killed, runs.other):
        assert run.children, "the broker was seen"
        assert run.left_behind() == []
    assert runs.guest.left_behind() == []
    port = int(runs.whole.document["broker"].rpartition(":")[2])
    assert "mosquitto" in runs.whole.document["broker"]
    assert not is_listening(port)


@pytest.mark.servers
def test_an_interrupt_ends_it_with_a_summary(runs: Runs) -> None:
    """Without a terminal the story is told as it happens; at the end it says where every reading went."""
    assert "0:00" in runs.interrupted.out
    assert BEGUN in runs.interrupted.out
    assert re.fullmatch(
        r"[\d,]+ received = [\d,]+ stored \+ 0 dead-lettered \+ 0 duplicates \+ [\d,]+ waiting",
        runs.interrupted.out.splitlines()[-1].strip(),
    )
    assert "Traceback" not in runs.interrupted.out + runs.interrupted.err


@pytest.mark.servers
def test_any_scenario_can_be_shown(runs: Runs) -> None:
    """Its site, its tenants and contracts, its course; all that it says is stored."""
    document = runs.other.document
    account = document["accounting"]

    assert runs.other.err == ""
    assert (document["site"], document["seconds"]) == ("titan", 30)
    assert [tenant["id"] for tenant in document["tenants"]] == ["acme"]
    assert document["tenants"][0]["seconds"]["breach"] == 0
    assert account["received"] == account["stored"] > 1_000


# On a broker that is there already --------------------------------------------------------


@pytest.mark.servers
def test_only_the_simulated_site_publishes(runs: Runs) -> None:
    """The monitor says nothing on the bus: it subscribes, and acknowledges; there is no command topic."""
    spoke = runs.broker.spoke()
    topics = {topic for _, topic in spoke}
    log = (runs.broker.folder / "log").read_text(errors="replace")

    assert all(who.startswith("demo-plant-") for who, _ in spoke)
    assert all(
        re.match(r"BMS/v1/(PUB|NICO|MEPAI)/(Metadata|Value)/[A-Za-z]+/[A-Za-z]+/demo/", topic)
        for topic in topics
    )
    assert len(topics) > 1_000
    assert re.search(r"Received SUBSCRIBE from megawatch-demo-", log)
    assert re.search(r"Received PUBACK from megawatch-demo-", log)


@pytest.mark.servers
def test_nothing_stays_on_a_broker_that_was_there(runs: Runs) -> None:
    """No retained message and no session; what it stored adds up as ever."""
    account = runs.guest.document["accounting"]

    assert account["received"] == account["stored"] > 1_000
    assert runs.guest.document["broker"] == f"your broker at {runs.broker.url}"
    assert kept(runs.broker.port, "BMS/#") == {}
    clients = {name for name in runs.broker.came() if name.startswith(("megawatch-demo-", "demo-plant-"))}
    assert len(clients) > 1
    assert not [name for name in clients if has_session(runs.broker.port, name)]


@pytest.mark.servers
def test_without_mosquitto_the_wheel_of_the_nats_server_serves(tmp_path: Path) -> None:
    """Where no server is installed the demo runs on the one that pip installed, over MQTT 3.1.1."""
    if find_broker(str(tmp_path)) is None:
        pytest.skip("the extra 'nats' is not installed")

    async def story() -> str:
        (tmp_path / "broker").mkdir()
        async with own_broker(tmp_path / "broker", str(tmp_path)) as (url, name):
            run = start(tmp_path / "run", "--seconds", "6", "--broker", url, "--json")
            assert await asyncio.to_thread(run.process.wait, PATIENCE_S) == 0
            account = run.document["accounting"]
            assert account["received"] == account["stored"] > 1_000
            assert run.left_behind() == []
        return name

    assert asyncio.run(story()) == "nats-server"
