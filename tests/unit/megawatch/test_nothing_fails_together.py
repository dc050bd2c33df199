"""Each part killed, raising and hanging in turn: the others go on, it is told, it recovers, nothing is lost.

A whole monitor with its journal and its ledger; brokers and receivers are in memory.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from facility.backoff import Backoff
from facility.instants import to_iso
from megawatch import composition
from megawatch.run import monitor as monitors
from megawatch.run import problems, self_monitoring, supervisor
from megawatch.run.process import end
from megawatch.run.supervisor import Supervised
from rules.base import Findings
from rules.library.contract.c2_overdraw import Overdraw
from rules.notify import base, outbox
from rules.notify.registry import RECEIVERS, Receiver
from rules.view import View
from store.journal.entries import MarkKind
from store.ledger.alarms import Notice
from store.threads import in_thread
from testing.fakes.memory_broker import MemoryBroker, MemorySession
from testing.megawatch.monitoring import Watch, journalled, marks, watching
from testing.waiting import until

SITE: Final = """
[site]
name = "hall"
timezone = "UTC"
[engine]
lateness_ms = 0
snapshot_s = 1
[store]
seal_s = 1
[[broker]]
name = "north"
url = "mqtt://127.0.0.1:1"
format = "rack-documents"
[[broker]]
name = "south"
url = "mqtt://127.0.0.1:2"
format = "rack-documents"
[[rack]]
ids = "r-{north,south}"
rating_kw = 100
[[tenant]]
id = "acme"
holds = [{ racks = "r-north", from = 2020-01-01 }]
contract = [{ from = 2020-01-01, committed_mw = 0.05 }]
[[tenant]]
id = "globex"
holds = [{ racks = "r-south", from = 2020-01-01 }]
contract = [{ from = 2020-01-01, committed_mw = 0.05 }]
[rules.C2]
on_delay_s = 0
[[route]]
to = { webhook = "http://pager/" }
[[route]]
to = { webhook = "http://mail/" }
"""
SOON: Final = Backoff(first_s=0.02, longest_s=0.02)
BOUND_S: Final = 0.3
"""After how long the part that is made to hang counts as hanging."""


@dataclass
class Fault:
    """What happens to a part while it is on.

    Attributes:
        kind: `raising` or `hanging`.
        is_on: Whether it happens.
    """

    kind: str
    is_on: bool = False
    _over: threading.Event = field(default_factory=threading.Event)

    async def strike(self) -> None:
        """Raise, or wait for what never comes."""
        if self.is_on and self.kind == "raising":
            raise RuntimeError("a fault")
        if self.is_on:
            await asyncio.Event().wait()

    def strike_thread(self) -> None:
        """Raise, or block the thread until it is over."""
        if self.is_on and self.kind == "raising":
            raise RuntimeError("a fault")
        if self.is_on:
            self._over.wait()

    def end(self) -> None:
        """Let everything go on."""
        self.is_on = False
        self._over.set()


@dataclass
class MemoryReceiver:
    """A receiver that keeps what it is given.

    Attributes:
        took: What it accepted, in order.
        before: Is awaited before it accepts.
    """

    took: list[Mapping[str, Any]] = field(default_factory=list)
    before: Callable[[], Awaitable[None]] | None = None

    async def deliver(self, notice: Notice) -> None:
        """Accept a notification."""
        if self.before is not None:
            await self.before()
        self.took.append(notice.body)

    async def close(self) -> None:
        """Nothing is held."""

    def about(self, rule: str, change: str, subject: str) -> list[Mapping[str, Any]]:
        """Return what it accepted of a change of an alarm."""
        asked = rule, change, subject
        return [body for body in self.took if (body["rule"], body["change"], body["subject"]) == asked]


@dataclass
class Hall:
    """A monitor, its brokers and its receivers.

    Attributes:
        watch: The monitor.
        brokers: The brokers by name.
        pager: One receiver.
        mail: Another.
        power_kw: What each rack draws.
        published: What was published: the time of each document [ms], by broker and number.
    """

    watch: Watch
    brokers: Mapping[str, MemoryBroker]
    pager: MemoryReceiver
    mail: MemoryReceiver
    power_kw: dict[str, float] = field(default_factory=lambda: {"north": 30.0, "south": 30.0})
    published: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def parts(self) -> Mapping[str, Supervised]:
        """What is supervised."""
        return self.watch.monitor.built.supervisor.parts

    async def live(self) -> None:
        """Let both racks publish until cancelled."""
        clock, last_ms = self.watch.monitor.built.clock, 0
        while True:
            last_ms = max(last_ms + 1, clock.now_ms())
            for name, broker in self.brokers.items():
                rack = f"r-{name}"
                document = {"rack": rack, "time": to_iso(last_ms), "power_kw": self.power_kw[name]}
                number = broker.publish(f"megawatch/v1/hall/{rack}", json.dumps(document).encode())
                self.published[name, number] = last_ms
            await asyncio.sleep(0.05)

    async def all_go_on(self, *, but: str) -> None:
        """Wait until each part but one has made progress, and none was begun again."""
        others = {name: part for name, part in self.parts.items() if name not in (but, "service manager")}
        for _ in range(2):
            before = {name: part.runs.rounds for name, part in others.items()}
            await until(
                lambda: all(part.runs.rounds != before[name] for name, part in others.items()),  # noqa: B023 - called at once
                "the others go on",
                lambda: {name: part.runs.rounds for name, part in others.items()},
            )
        assert {name: part.error for name, part in others.items() if part.restarts} == {}

    def lost(self) -> set[tuple[str, int]]:
        """Return what was published and is not in the journal."""
        stored = set(journalled(self.watch.data).source_ms.tolist())
        return {place for place, at_ms in self.published.items() if at_ms not in stored}


@asynccontextmanager
async def a_hall(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Hall]:
    """Run a monitor whose pauses are short."""
    brokers = {"north": MemoryBroker(), "south": MemoryBroker()}
    receivers = {"http://pager/": MemoryReceiver(), "http://mail/": MemoryReceiver()}

    def session(name: str, *_: object, now_ms: Callable[[], int], **__: object) -> MemorySession:
        return MemorySession(name, brokers[name], now_ms)

    kind = Receiver(route=lambda to: to.webhook or "", make=lambda to, _: receivers[to.webhook or ""])
    patch.setitem(RECEIVERS, "webhook", kind)
    patch.setattr(composition, "Session", session)
    patch.setattr(monitors, "TRIM_S", 0.05)
    patch.setattr(monitors, "STATUS_S", 0.05)
    patch.setattr(monitors, "DAMAGE_S", 0.05)
    patch.setattr(supervisor, "CHECK_S", 0.05)
    patch.setattr(supervisor, "STEADY_S", 3_600)
    patch.setattr(self_monitoring, "CHECK_S", 0.05)
    patch.setattr(self_monitoring, "ON_DELAY_MS", 100)
    patch.setattr(self_monitoring, "OFF_DELAY_MS", 100)
    patch.setattr(problems, "AWAY_MS", 100)
    patch.setattr(outbox, "POLL_S", 0.05)
    patch.setattr(outbox, "ATTEMPT_S", BOUND_S)
    patch.setattr(base, "BACKOFF", SOON)
    async with watching(folder, SITE) as watch:
        watch.monitor.built.supervisor.backoff = SOON
        hall = Hall(watch, brokers, receivers["http://pager/"], receivers["http://mail/"])
        living = asyncio.create_task(hall.live())
        try:
            yield hall
        finally:
            await end(living)


Strike = Callable[[Hall, Fault, pytest.MonkeyPatch], None]


def in_front(thing: object, name: str, fault: Fault, patch: pytest.MonkeyPatch) -> None:
    """Let a function strike before it does what it is for."""
    work = getattr(thing, name)

    def struck(*args: object) -> object:
        fault.strike_thread()
        return work(*args)

    patch.setattr(thing, name, struck)


def in_front_of_store(hall: Hall, fault: Fault, patch: pytest.MonkeyPatch) -> None:
    """Let the history strike before it stores a chunk."""
    assert hall.watch.monitor.built.shipper is not None
    shipper: Any = hall.watch.monitor.built.shipper
    ship = shipper.ship

    async def struck() -> bool:
        await in_thread(fault.strike_thread)
        return bool(await ship())

    patch.setattr(shipper, "ship", struck)


def in_front_of_due(hall: Hall, fault: Fault, patch: pytest.MonkeyPatch) -> None:
    """Let the loop of the pager's receiver strike before it looks what is due."""
    assert hall.watch.monitor.built.outbox is not None
    receiver: Any = hall.watch.monitor.built.outbox.receivers["http://pager/"]
    look = receiver._next

    async def struck(under_way: Mapping[str, object]) -> list[Notice]:
        await fault.strike()
        found: list[Notice] = await look(under_way)
        return found

    patch.setattr(receiver, "_next", struck)


def in_front_of_rule(_: Hall, fault: Fault, patch: pytest.MonkeyPatch) -> None:
    """Let rule C2 strike before it judges."""
    judge = Overdraw.judge

    def struck(self: Overdraw, view: View) -> Findings:
        fault.strike_thread()
        return judge(self, view)

    patch.setattr(Overdraw, "judge", struck)


def in_collector(hall: Hall, fault: Fault, _: pytest.MonkeyPatch) -> None:
    """Let the collector of the north strike before it waits for what comes."""
    hall.brokers["north"].before_arrival = fault.strike


def in_pager(hall: Hall, fault: Fault, _: pytest.MonkeyPatch) -> None:
    """Let the pager strike before it accepts."""
    hall.pager.before = fault.strike


STRIKES: Final[Mapping[str, tuple[str, str, Strike]]] = {
    # What is struck: the part that is seen to fail or hang, what Q9 is about, and where the fault is put.
    "collector": ("collector of north", "collector of north", in_collector),
    "rules": ("rules", "rules", lambda hall, *to: in_front(hall.watch.monitor.built.rules, "step", *to)),
    "rule": ("rules", "rule C2", in_front_of_rule),
    "writer": ("history writer", "history writer", in_front_of_store),
    "outbox": ("receiver pager", "receiver pager", in_front_of_due),
    "receiver": ("", "pages to pager", in_pager),
    "status": ("status", "status", lambda hall, *to: in_front(hall.watch.monitor.status, "_save", *to)),
    "trim": ("trim", "trim", lambda _, *to: in_front(monitors, "trim", *to)),
    "self-monitoring": (
        "self-monitoring",
        "self-monitoring",
        lambda hall, *to: in_front(hall.watch.monitor.built.distress, "problems", *to),
    ),
}
KILLED: Final = [name for name in STRIKES if name not in ("rule", "receiver")]
BLOCKING: Final = [name for name in STRIKES if name != "self-monitoring"]
"""Self-monitoring looks at what is in memory: it waits for nothing."""
CASES: Final = [
    *((what, "killed") for what in KILLED),
    *((what, "raising") for what in STRIKES),
    *((what, "hanging") for what in BLOCKING),
]


@pytest.mark.parametrize(("what", "kind"), CASES, ids=[f"{what} {kind}" for what, kind in CASES])
def test_the_others_go_on_it_is_told_it_recovers_and_nothing_is_lost(
    what: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An overdraw that begins meanwhile is paged on every route, and every reading is kept."""
    name, subject, put = STRIKES[what]
    if (what, kind) == ("rule", "hanging"):
        subject = "rules"  # a thread that a rule holds is that of all rules

    async def story() -> None:
        fault = Fault(kind)
        async with a_hall(tmp_path, monkeypatch) as hall:
            await hall.all_go_on(but="")
            put(hall, fault, monkeypatch)
            part = hall.parts.get(name)
            if kind == "killed":
                assert part is not None
                assert part._task is not None
                part._task.cancel()
            if kind == "hanging" and part is not None:
                part.bound_s = BOUND_S
            fault.is_on = kind != "killed"
            try:
                await meanwhile(hall, what, subject)
            finally:
                fault.end()
            await recovered(hall, part, subject)

    asyncio.run(story())


def test_the_journal_says_at_once_that_a_collector_failed_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker counts as lost, so its points are in doubt; a new session resumes."""

    async def story() -> None:
        fault = Fault("raising")
        async with a_hall(tmp_path, monkeypatch) as hall:
            await hall.all_go_on(but="")
            in_collector(hall, fault, monkeypatch)
            fault.is_on = True
            await until(
                lambda: "collector of north failed: RuntimeError: a fault" in lost_of(hall, "north"), "told"
            )
            fault.end()
            sessions = hall.brokers["north"].sessions
            await until(lambda: hall.brokers["north"].sessions > sessions or not hall.lost(), "it goes on")
            await until(lambda: not hall.lost(), "every reading is kept", hall.lost)
            assert lost_of(hall, "south") == []

    asyncio.run(story())


def lost_of(hall: Hall, broker: str) -> list[str]:
    """Return why the journal says that a broker was lost."""
    return [
        mark.detail for mark in marks(hall.watch.data) if (mark.kind, mark.broker) == (MarkKind.LOST, broker)
    ]


async def meanwhile(hall: Hall, what: str, subject: str) -> None:
    """Let a tenant draw too much while a part fails: the others go on, and it is told."""
    hall.power_kw["south"] = 90.0
    await hall.all_go_on(but=STRIKES[what][0])
    if what != "self-monitoring":
        await told(hall, subject)
    if what not in ("rules", "rule"):
        await until(lambda: bool(hall.mail.about("C2", "opened", "globex")), "the overdraw is told")


async def told(hall: Hall, subject: str) -> None:
    """Wait until it is told that something is wrong with the monitor."""
    await until(lambda: bool(hall.mail.about("Q9", "opened", subject)), "it is told", lambda: hall.mail.took)


async def recovered(hall: Hall, part: Supervised | None, subject: str) -> None:
    """Wait until a part is well again: it goes on, its end is told, and what it held up is done."""
    if part is not None:
        rounds = part.runs.rounds
        await until(lambda: part.state == "running" and part.runs.rounds != rounds, "it goes on again")
        part.bound_s = supervisor.BOUND_S
    await told(hall, subject)
    supervisor.STEADY_S = 0  # type: ignore[misc] # set back by the patch of the hall
    await until(lambda: bool(hall.mail.about("Q9", "returned", subject)), "it is told that it is over")
    for receiver in (hall.pager, hall.mail):
        await until(lambda: bool(receiver.about("C2", "opened", "globex")), "the overdraw is told")  # noqa: B023 - called at once
    await until(lambda: not hall.lost(), "every reading is kept", hall.lost)
    acknowledged = {(name, number) for name, broker in hall.brokers.items() for number in broker.acknowledged}
    assert not acknowledged & hall.lost()
    hall.watch.accounting()
