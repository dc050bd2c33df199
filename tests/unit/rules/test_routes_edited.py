"""Routes that are edited in the site file: what was told is ended, and what waits is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from facility.hours import Hours
from rules.notify.routing import CONSOLE, Route, routes_of_document
from store.ledger.ledger import FILE, Ledger
from store.ledger.suppressions import Suppression, SuppressionKind
from testing.builders import T0_MS
from testing.rules.halls import ONLY_C2, Tape, a_judging, known_racks_of, one_tenant
from testing.rules.services import a_service

PAGER = Route(name="pager")
A_SHELF = Suppression(
    id="0001",
    kind=SuppressionKind.SHELVED,
    rules=("C2",),
    from_ms=T0_MS + 12_000,
    to_ms=T0_MS + 10_000_000,
    by="ann",
    why="the meter is exchanged",
    made_ms=T0_MS,
)


def run(ledger: Ledger, folder: Path, tape: Tape, *routes: Route, **rules: Mapping[str, Any]) -> None:
    """Run the monitor's judging once on a journal."""
    site = one_tenant(200)
    judging = a_judging(site, rules={**ONLY_C2, **rules})
    service = a_service(judging, tape, ledger, folder, site=site, routes=routes)
    service.start()
    service.step(tape.entries[-1].stamp_ms)
    service.save_snapshot()


def told(ledger: Ledger) -> list[tuple[str, str]]:
    """Return what was told, as change and route."""
    notices = sorted(ledger.notices(), key=lambda notice: (notice.source_ms, notice.route))
    return [(str(notice.body["change"]), notice.route) for notice in notices]


def an_overdraw(each_kw: float = 80) -> Tape:
    """Return 20 s of three racks that draw too much."""
    tape = Tape()
    tape.put(T0_MS - 1_000, known_racks_of(one_tenant(200)))
    tape.connect(T0_MS - 1_000)
    for second in range(20):
        tape.second(second, each_kw, each_kw, each_kw)
    return tape


def end_it(tape: Tape) -> None:
    """Add what ends the overdraw."""
    for second in range(20, 100):
        tape.second(second, 10, 10, 10)


@pytest.mark.parametrize(
    ("routes", "ends_on"),
    [
        pytest.param([PAGER], ["pager"], id="as it was"),
        pytest.param([replace(PAGER, tenants=frozenset({"blue"}))], ["pager"], id="not for it any more"),
        pytest.param([Route(name="new")], ["new"], id="of another name"),
        pytest.param([Route(name="new"), replace(PAGER, rules=frozenset({"Q1"}))], ["pager"], id="both"),
    ],
)
def test_an_alarm_ends_on_each_route_that_heard_of_it_and_is_there(
    routes: list[Route], ends_on: list[str], tmp_path: Path
) -> None:
    """Where it was told and there still is a receiver, else where it is taken now, under one key."""
    tape = an_overdraw()
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, tape, PAGER)
        end_it(tape)
        run(ledger, tmp_path, tape, *routes)

        assert told(ledger) == [("opened", "pager"), *(("returned", route) for route in ends_on)]
        assert len({notice.key for notice in ledger.notices()}) == 2


def test_an_alarm_of_a_rule_that_is_off_ends_there_too(tmp_path: Path) -> None:
    """Both edits at once: the rule is switched off, and the receiver has another address."""
    tape = an_overdraw()
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, tape, PAGER)
        run(ledger, tmp_path, tape, Route(name="new"), C2={"enabled": False})

        assert told(ledger) == [("opened", "pager"), ("returned", "new")]


def test_an_alarm_that_was_told_only_once_it_was_worse_ends_too(tmp_path: Path) -> None:
    """Its route takes what is critical: what was told there first is that it worsened."""
    tape, route = an_overdraw(75), replace(PAGER, severities=frozenset({"critical"}))
    for second in range(20, 40):
        tape.second(second, 90, 90, 90)
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, tape, route)
        run(ledger, tmp_path, tape, route, C2={"enabled": False})

        assert told(ledger) == [("worsened", "pager"), ("returned", "pager")]


@pytest.mark.parametrize("stops_s", [20, 40, None])
def test_what_became_graver_under_a_shelf_does_not_end_where_nobody_was_told(
    tmp_path: Path, stops_s: int | None
) -> None:
    """It opened for nobody, was shelved, and became critical then; after a restart too."""
    tape, route = an_overdraw(75), replace(PAGER, severities=frozenset({"critical"}))
    with closing(Ledger(tmp_path)) as ledger:
        ledger.suppress(A_SHELF)
        if stops_s == 20:
            run(ledger, tmp_path, tape, route)
        for second in range(20, 40):
            tape.second(second, 90, 90, 90)
        if stops_s == 40:
            run(ledger, tmp_path, tape, route)
        for second in range(40, 120):
            tape.second(second, 10, 10, 10)
        run(ledger, tmp_path, tape, route)

        assert told(ledger) == []
        (alarm,) = (alarm for alarm in ledger.alarms() if alarm.rule == "C2")
        assert (alarm.severity, alarm.returned_ms is None) == ("critical", False)


@pytest.mark.parametrize("each_kw", [75, 90], ids=["high", "critical"])
def test_what_became_graver_under_a_shelf_ends_where_it_was_told_by_another_name(
    tmp_path: Path, each_kw: float
) -> None:
    """Its route is renamed; that of what is critical hears of the end only where it would have been told."""
    tape, grave = an_overdraw(each_kw), Route(name="grave", severities=frozenset({"critical"}))
    with closing(Ledger(tmp_path)) as ledger:
        ledger.suppress(A_SHELF)
        run(ledger, tmp_path, tape, PAGER)
        for second in range(20, 40):
            tape.second(second, 90, 90, 90)
        for second in range(40, 120):
            tape.second(second, 10, 10, 10)
        run(ledger, tmp_path, tape, Route(name="new"), grave)

        ends = [("returned", "grave")] * (each_kw == 90) + [("returned", "new")]
        assert told(ledger) == [("opened", "pager"), *ends]


@pytest.mark.parametrize("lost", [("outbox",), ("outbox", "change")])
def test_an_alarm_ends_where_it_would_have_been_told_though_its_notices_are_lost(
    tmp_path: Path, lost: tuple[str, ...]
) -> None:
    """A damaged ledger is begun anew with what can be read of it."""
    tape, other = an_overdraw(), replace(PAGER, name="other", rules=frozenset({"Q1"}))
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, tape, PAGER, other)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        for table in lost:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
    end_it(tape)
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, tape, PAGER, other)

        assert told(ledger) == [("returned", "pager")]


@pytest.mark.parametrize(
    "late",
    [Route(name="second", unacknowledged_ms=900_000), Route(name="by day", hours=(Hours(frozenset()),))],
    ids=lambda route: route.name,
)
def test_what_waits_goes_to_no_route_that_is_told_later(tmp_path: Path, late: Route) -> None:
    """The first receiver gets another address: that is no reason to call the second, or anybody at night."""
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, an_overdraw(), Route(name="wrong"), late)

        taking = partial(routes_of_document, routes=[PAGER, late], at_ms=T0_MS + 20_000)
        ledger.reroute({"pager", late.name}, taking)

        assert ledger.waiting() == {"pager": 1}


def test_what_waits_for_a_route_that_is_gone_goes_where_it_is_taken_now(tmp_path: Path) -> None:
    """Its address was wrong and is put right: the page that waited is told, under the same key, once."""
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, an_overdraw(), Route(name="wrong"))
        (waiting,) = ledger.due(T0_MS + 10**9, "wrong")
        routes = [
            replace(PAGER, severities=frozenset({"critical", "high"})),
            Route(name="other", rules=frozenset({"Q1"})),
        ]

        taking = partial(routes_of_document, routes=routes, at_ms=T0_MS + 20_000)
        assert [ledger.reroute({"pager", "other", CONSOLE}, taking) for _ in range(2)] == [1, 0]

        (moved,) = ledger.due(T0_MS + 10**9, "pager")
        assert (moved.key, moved.body) == (waiting.key, waiting.body)
        assert ledger.waiting() == {"pager": 1}
        (gone,) = ledger.notices(state="refused")
        assert (gone.route, gone.error) == ("wrong", "the site file names this route no longer")


def test_a_receiver_that_cannot_be_told_of_the_end_is_known(tmp_path: Path) -> None:
    """As long as an alarm that was delivered there is not over."""
    tape = an_overdraw()
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, tape, PAGER)
        (opened,) = ledger.due(T0_MS + 10**9, "pager")
        assert ledger.told_elsewhere({"new"}) == {}
        ledger.settle(replace(opened, state="delivered", delivered_ms=T0_MS))

        assert ledger.told_elsewhere({"pager"}) == {}
        assert ledger.told_elsewhere({"new"}) == {"pager": 1}
        end_it(tape)
        run(ledger, tmp_path, tape, Route(name="new"))
        assert ledger.told_elsewhere({"new"}) == {}


def test_an_alarm_that_is_not_found_again_under_an_edited_file_ends(tmp_path: Path) -> None:
    """Killed before a snapshot knew of it, and started with a contract that allows the draw: that is told."""
    tape = an_overdraw()
    with closing(Ledger(tmp_path)) as ledger:
        service = a_service(
            a_judging(one_tenant(200), rules=ONLY_C2),
            tape,
            ledger,
            tmp_path,
            site=one_tenant(200),
            routes=[PAGER],
        )
        service.start()
        service.step(tape.entries[-1].stamp_ms)  # and no snapshot
        assert told(ledger) == [("opened", "pager")]

        site = one_tenant(1_000)
        again = a_service(a_judging(site, rules=ONLY_C2), tape, ledger, tmp_path, site=site, routes=[PAGER])
        again.start()
        again.step(tape.entries[-1].stamp_ms)
        for second in range(20, 200):
            tape.second(second, 80, 80, 80)
        again.step(tape.entries[-1].stamp_ms)
        again.step(tape.entries[-1].stamp_ms + 1_000)

        assert told(ledger) == [("opened", "pager"), ("returned", "pager")]


def test_a_route_that_is_new_is_told_of_what_stands(tmp_path: Path) -> None:
    """Its receiver is the one in use now; it hears of the end as well, and the one of before does not."""
    tape = an_overdraw()
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, tape, PAGER)
        tape.second(20, 80, 80, 80)
        run(ledger, tmp_path, tape, Route(name="new"))
        assert told(ledger) == [("opened", "pager"), ("opened", "new")]
        for second in range(21, 100):
            tape.second(second, 10, 10, 10)
        run(ledger, tmp_path, tape, Route(name="new"))

        assert told(ledger) == [("opened", "pager"), ("opened", "new"), ("returned", "new")]
