"""Twice as much costs twice as much: counted in operations, never in seconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

import store.journal.journal
from collector.decode.base import Gathered
from collector.mqtt.message import Message, Messages
from facility.invariants import present
from rules.engine.engine import Engine
from rules.registry import make_rules
from simulators.run import Simulation
from store.journal.entries import Entry, Mark, MarkKind
from store.journal.intake import Intake
from store.journal.journal import Journal
from store.ledger.alarms import Progress
from store.ledger.ledger import Ledger
from testing.builders import T0_MS, a_batch, known_racks
from testing.collector.hearing import Hearing, heartbeat, metadata
from testing.operations import calls_of, steps_of
from testing.simulators.messages import metadata_message
from testing.simulators.simulated import a_scenario
from testing.store.ledgers import ROUTE, progress

MOST = 2.3
"""How many times as much twice the size may cost: a logarithm and a fixed part go with it."""
SIZE = 200
SLICE = 50
"""How many messages a collector takes at once here."""


def growth(cost: Callable[[int], int]) -> float:
    """Return how many times as much twice the size costs, after a run in which everything is imported."""
    cost(SIZE // 10)
    return cost(2 * SIZE) / cost(SIZE)


def described(count: int) -> list[Message]:
    """Return the metadata of a site; each tenth message is of a heartbeat that has a scope."""
    messages = []
    for row in range(count // 10):
        racks = [f"row{row}/rack{rack}" for rack in range(9)]
        messages += [metadata(path, rackLocationId=path.replace("/", ".")) for path in racks]
        messages.append(heartbeat(f"client-{row}", scope=f"row{row}"))
    return messages


def taken_in(messages: Sequence[Message], hearing: Hearing) -> list[Intake]:
    """Let messages be decoded as they are at a start, some at a time, and return what the journal gets."""
    heard = [hearing.hear(*messages[first : first + SLICE]) for first in range(0, len(messages), SLICE)]
    return [Intake(known=[*outcome.news], metadata={**outcome.metadata}) for outcome in heard]


def test_metadata() -> None:
    """A site that is twice as large is described in twice the work, however its heartbeats come between."""

    def cost(count: int) -> int:
        messages, hearing = described(count), Hearing()
        return calls_of(lambda: taken_in(messages, hearing))

    assert growth(cost) < MOST


def test_metadata_some_at_a_time() -> None:
    """However large a site is, no step of decoding what describes it takes longer: others run in between."""

    def longest(count: int) -> int:
        decoder = Hearing().decoder
        steps = chain(decoder.decode(Messages.of(described(count)), Gathered()), decoder.complete())
        costs, goes_on = [], True

        def step() -> None:
            nonlocal goes_on
            goes_on = next(steps, "over") is None

        while goes_on:
            costs.append(calls_of(step))
        return max(costs)

    longest(SIZE)
    assert longest(20 * SIZE) < 1.1 * longest(10 * SIZE)


def test_a_restart(tmp_path: Path) -> None:
    """What a journal knows of points is read once, whatever asks for it afterwards."""

    def cost(count: int) -> int:
        folder = tmp_path / str(count)
        journal = Journal(folder)
        for intake in taken_in(described(count), Hearing()):
            journal.append(intake, T0_MS)
        journal.close()

        def restart() -> None:
            again = Journal(folder)
            Hearing(known=again.known(), metadata=again.metadata())
            again.point_entries()
            again.close()

        return calls_of(restart)

    assert growth(cost) < MOST


def pages(count: int, alarms: str) -> Progress:
    """Return what makes so many pages: of one alarm, or each of its own."""
    names = ["a" if alarms == "one" else f"a{number}" for number in range(count)]
    return progress(*((name, f"worsened {i}", T0_MS + i) for i, name in enumerate(names)))


@pytest.mark.parametrize("alarms", ["one", "each its own"])
def test_what_is_due(tmp_path: Path, alarms: str) -> None:
    """Pages that wait are looked through once, whether they tell of one alarm or of many."""

    def cost(count: int) -> int:
        ledger = Ledger(tmp_path / f"{alarms} {count}")
        ledger.save(pages(count, alarms))
        connection: sqlite3.Connection = ledger._connection
        steps = steps_of(connection, lambda: ledger.due(T0_MS + 10**6, ROUTE, 16))
        ledger.close()
        return steps

    assert growth(cost) < MOST


@pytest.mark.parametrize("alarms", ["one", "each its own"])
def test_telling_what_waits(tmp_path: Path, alarms: str) -> None:
    """Each page that waits is looked at a few times until all are told, however many wait behind it."""

    def cost(count: int) -> int:
        ledger = Ledger(tmp_path / f"{alarms} {count}")
        ledger.save(pages(count, alarms))

        def tell() -> None:
            while due := ledger.due(T0_MS + 10**6, ROUTE, 16):
                for notice in due:
                    ledger.settle(replace(notice, state="delivered"))

        written: list[int] = []
        read = steps_of(ledger._connection, lambda: written.append(steps_of(ledger._writer, tell)))
        assert len(ledger.notices(state="delivered")) == count
        ledger.close()
        return read + sum(written)

    assert growth(cost) < MOST


def test_a_first_tick() -> None:
    """Layout, tables and rules of a site cost what is described of it, however that hangs together."""

    def cost(count: int) -> int:
        simulation = Simulation(a_scenario(racks=count))
        site = simulation.scenario.site.site
        hearing = Hearing(site)
        said = [metadata_message(tag) for tag in simulation.catalogue.spoken]
        hearing.hear(*(Message(each.topic, each.payload, T0_MS, 0) for each in said))
        engine = Engine(site, {}, make_rules({}, []), tick_ms=1_000, lateness_ms=0)
        engine.take(Entry(1, T0_MS, Mark(MarkKind.STARTED, "bus", T0_MS)))
        engine.take(Entry(2, T0_MS, tuple(hearing.known.values())))
        return calls_of(lambda: engine.advance(T0_MS + 1_000))

    assert growth(cost) < MOST


# Late readings ------------------------------------------------------------------------------

SLOW, RIGHT = range(5), range(5, 20)
"""Points of a gateway whose clock is slow, and of others."""
APPEND_MS = 5_000
"""How long there is between two appends here: what is late by many is beyond what a start reads in."""


def append_late(journal: Journal, first: int, count: int, late: int) -> None:
    """Append readings that come together, some of them late by so many appends, so many times."""
    for number in range(first, first + count):
        at_ms = T0_MS + number * APPEND_MS
        slow = [(point, at_ms - late * APPEND_MS + bool(late), 1.0) for point in SLOW]
        right = [(point, at_ms, 1.0) for point in RIGHT]
        journal.append(Intake(batch=a_batch([*slow, *right]), received_ms=at_ms), at_ms)


def lookups(journal: Journal, first: int, late: int) -> int:
    """Return how much some appends of late readings do, in calls and in steps of SQLite."""
    connection = present(journal._connection, "a connection")
    calls: list[int] = []

    def work() -> None:
        calls.append(calls_of(lambda: append_late(journal, first, 3, late)))

    return steps_of(connection, work) + sum(calls)


def after_a_restart(folder: Path, appends: int, late: int) -> int:
    """Return what readings of a slow clock cost after a restart."""
    with closing(Journal(folder)) as before:
        before.append(Intake(known=list(known_racks([f"r{i}" for i in range(20)]))), T0_MS)
        append_late(before, 0, appends, late)
    with closing(Journal(folder)) as journal:
        return lookups(journal, appends, late)


def after_a_step(folder: Path, since: int) -> int:
    """Return what readings of a clock cost that was set back so many appends ago."""
    with closing(Journal(folder)) as journal:
        journal.append(Intake(known=list(known_racks([f"r{i}" for i in range(20)]))), T0_MS)
        append_late(journal, 0, 4 * SIZE, 0)
        append_late(journal, 4 * SIZE, since, 3 * SIZE)
        return lookups(journal, 4 * SIZE + since, 3 * SIZE)


LATE: dict[str, Callable[[Path, int], int]] = {
    "the lag": lambda folder, size: after_a_restart(folder, 4 * SIZE, size),
    "the journal": lambda folder, size: after_a_restart(folder, size, SIZE // 2),
    "the time since a clock was set back": after_a_step,
}


@pytest.mark.parametrize("of", LATE)
@pytest.mark.parametrize("is_kept", [True, False], ids=["newest kept", "newest lost"])
def test_late_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str, *, is_kept: bool) -> None:
    """Twice as much of what has grown costs no more, also where a start knows no point's newest reading."""
    if not is_kept:
        monkeypatch.setattr(store.journal.journal, "read_newest", lambda *_: None)
    LATE[of](tmp_path / "first", SIZE // 2)

    once, twice = (LATE[of](tmp_path / str(size), size) for size in (SIZE, 2 * SIZE))

    assert twice < 1.1 * once
