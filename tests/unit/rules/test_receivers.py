"""A receiver is one entry of the registry: routes, notifiers and the outbox find it there."""

from __future__ import annotations

import asyncio
import random
from contextlib import closing
from datetime import UTC
from pathlib import Path

import pytest
from rich.console import Console

from facility.sitefile.tables import RouteTable, TargetTable
from rules.notify.outbox import Outbox
from rules.notify.registry import (
    RECEIVERS,
    Receiver,
    Surroundings,
    addresses_of,
    make_notifiers,
    make_routes,
)
from rules.notify.routing import CONSOLE
from store.ledger.alarms import Notice, Progress
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from tests.unit.megawatch.test_telling import a_page

HOOK = "https://pager/hook"
AROUND = Surroundings(now_ms=lambda: T0_MS, console=Console(), secret=str.upper, own="Q9")


class Pigeon:
    """Takes what it is given."""

    def __init__(self) -> None:
        self.took: list[Notice] = []

    async def deliver(self, notice: Notice) -> None:
        """Take a notification."""
        self.took.append(notice)

    async def close(self) -> None:
        """Nothing is held."""


def test_one_entry_is_enough_for_a_receiver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its routes come from the site file, and the outbox delivers to it."""
    pigeon = Pigeon()
    entry = Receiver(
        route=lambda target: "pigeon" if target.proxy else "",
        make=lambda _target, _around: pigeon,
        address=lambda target: target.proxy or "",
    )
    monkeypatch.setitem(RECEIVERS, "pigeon", entry)
    tables = [RouteTable(to=TargetTable(proxy="http://dovecote"), severity=["critical"])]

    (route,) = make_routes(tables, UTC)
    notifiers = make_notifiers(tables, AROUND)
    assert (route.name, set(route.severities)) == ("pigeon", {"critical"})
    assert set(notifiers) == {CONSOLE, "pigeon"}
    assert addresses_of(tables) == [("http://dovecote", "http://dovecote")]
    with closing(Ledger(tmp_path)) as ledger:
        outbox = Outbox(
            ledger,
            notifiers,
            now_ms=lambda: T0_MS,
            random_source=random.Random(1),  # noqa: S311 - jitter
        )
        ledger.save(Progress(seq=1, tick_ms=T0_MS, notices=[a_page(T0_MS, route.name)]))
        (due,) = ledger.due(T0_MS, route.name)
        told = asyncio.run(outbox.receivers[route.name].attempt(due))

    assert told.state == "delivered"
    assert [notice.key for notice in pigeon.took] == ["a:opened"]


def test_a_target_may_lead_to_several_receivers() -> None:
    """A webhook and the terminal, each a route of its own, and one notifier for each address."""
    tables = [
        RouteTable(to=TargetTable(webhook=HOOK, console=True)),
        RouteTable(to=TargetTable(webhook=HOOK, proxy="http://proxy"), rule=["C2"]),
    ]

    assert [(route.name, set(route.rules)) for route in make_routes(tables, UTC)] == [
        (HOOK, set()),
        (CONSOLE, set()),
        (HOOK, {"C2"}),
    ]
    assert set(make_notifiers(tables, AROUND)) == {HOOK, CONSOLE}
    assert addresses_of(tables) == [(HOOK, None), (HOOK, "http://proxy")]


def test_without_a_route_everything_goes_to_the_console() -> None:
    """Nobody has to write a route to see alarms."""
    assert [route.name for route in make_routes([], UTC)] == [CONSOLE]
    assert set(make_notifiers([], AROUND)) == {CONSOLE}
