"""Who is told that alarms are held back: also the routes of the tenants whose alarms they are.

A tenant may read there: it is told of its own alarms, and that there are others, and of no error's text.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any, Final

import pytest

from facility.instants import DAY_MS
from facility.names import CANARY
from megawatch.run.problems import ABOUT_TENANTS
from megawatch.run.self_monitoring import Problem
from rules.notify.discretion import UNSAID_CAUSE, UNSAID_LACK, discreet, readers_of
from rules.notify.message import ended
from rules.notify.routing import Route, routes_of_document
from rules.notify.wording import worded
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.rules.halls import (
    Tape,
    a_judging,
    a_site,
    a_tenant,
    a_version,
    known_racks_of,
    racks_of,
)
from testing.rules.services import judge_as_it_comes
from testing.store.ledgers import a_change
from tests.unit.rules.test_notification_documents import of_ourselves

TENANTS: Final = tuple(f"t{number:02d}" for number in range(1, 14))
RACKS: Final = tuple(f"r{number:02d}" for number in range(1, 14))
SITE: Final = a_site(
    racks_of(*RACKS),
    *(a_tenant(name, [rack], a_version(90)) for name, rack in zip(TENANTS, RACKS, strict=True)),
)
OFF: Final = ("C2", "C3", "C4", "C5", "C9", "C10", "C12", "Q1", "Q2", "Q3", "E17")
RULES: Final[dict[str, dict[str, Any]]] = {
    "C1": {"on_delay_s": 0, "off_delay_s": 0},
    **{name: {"enabled": False} for name in OFF},
}


def of(*tenants: str) -> Route:
    """Return a route of tenants, called like the first."""
    return Route(name=tenants[0], tenants=frozenset(tenants))


def test_a_flood_is_told_to_the_tenants_whose_alarms_it_holds_back(tmp_path: Path) -> None:
    """Ten were told of theirs; two are held back as it begins, and one more later."""
    tape, routes = Tape(), [Route(name="all"), of("t01"), of("t12"), of("t13", "t02")]
    tape.put(T0_MS - 1_000, known_racks_of(SITE))
    tape.connect(T0_MS - 1_000)
    for second in range(700):
        late = 88 if 30 <= second < 60 else 50
        tape.second(second, *([88 if 5 <= second < 60 else 50] * 12), late)
    with closing(Ledger(tmp_path)) as ledger:
        judge_as_it_comes(a_judging(SITE, rules=RULES), tape, ledger, tmp_path, site=SITE, routes=routes)
        notices = [notice for notice in ledger.notices() if notice.body["rule"] == "Q10"]

    told = {(n.route, str(n.body["change"])): (n.source_ms - T0_MS) // 1_000 for n in notices}
    ends = {second for (_, change), second in told.items() if change == "returned"}
    assert {who: second for who, second in told.items() if who[1] == "opened"} == {
        ("all", "opened"): 5,
        ("t12", "opened"): 5,
        ("t13", "opened"): 30,
    }
    assert {route for route, change in told if change == "returned"} == {"all", "t12", "t13"}
    assert len(ends) == 1
    assert len({notice.key for notice in notices}) == 2
    first = next(n.body for n in notices if (n.route, n.body["change"]) == ("t12", "opened"))
    assert (first["damped_tenants"], first["damped_others"]) == (["t12"], 1)
    assert "held back: alarms of t12 and of 1 other tenant" in str(first["text"]).splitlines()
    assert "t11" not in str(first)
    assert routes_of_document(first, routes, T0_MS) == ["all", "t12"]
    whole = next(n.body for n in notices if (n.route, n.body["change"]) == ("all", "opened"))
    assert (whole["damped_tenants"], whole["damped_others"]) == (["t11", "t12"], 0)
    assert "held back: alarms of t11, t12" in str(whole["text"]).splitlines()
    # Where it has waited for a route that there is no more, it goes to no tenant that may not read it.
    assert routes_of_document(whole, [*routes, of("t11", "t12")], T0_MS) == ["all", "t11"]
    names = {name for n in notices if n.route == "t13" for name in TENANTS if name in str(n.body)}
    assert names == {"t13"}


def test_who_chatters_in_a_flood_hears_of_the_flood(tmp_path: Path) -> None:
    """Its C1 opens every six seconds; from the third time on it is held back, under the flood of C1."""
    tape, routes = Tape(), [Route(name="all"), of("t01")]
    tape.put(T0_MS - 1_000, known_racks_of(SITE))
    tape.connect(T0_MS - 1_000)
    for second in range(60):
        swing = 88 if second >= 5 and second % 6 < 2 else 50
        tape.second(second, swing, *([88 if second >= 14 else 50] * 12))
    with closing(Ledger(tmp_path)) as ledger:
        judge_as_it_comes(a_judging(SITE, rules=RULES), tape, ledger, tmp_path, site=SITE, routes=routes)
        own = [a for a in ledger.alarms() if (a.rule, a.subject) == ("C1", "t01")]
        notices = [notice for notice in ledger.notices() if notice.body["rule"] == "Q10"]

    (flood,) = (notice for notice in notices if notice.route == "t01")
    assert [alarm.is_told for alarm in own] == [True] * 3 + [False] * 6
    assert (flood.body["subject"], flood.body["damped_tenants"]) == ("C1", ["t01"])
    assert flood.source_ms == own[2].opened_ms


def test_a_flood_of_dates_is_told_to_the_tenants_of_these_contracts(tmp_path: Path) -> None:
    """Thirteen contracts end on one day: whoever is not told of that is told of the flood."""
    end_ms = T0_MS + 7 * DAY_MS + 10_000
    site = a_site(
        racks_of(*RACKS),
        *(
            a_tenant(name, [rack], a_version(90), ends_ms=end_ms)
            for name, rack in zip(TENANTS, RACKS, strict=True)
        ),
    )
    tape, routes = Tape(), [Route(name="all"), *map(of, TENANTS)]
    tape.put(T0_MS - 1_000, known_racks_of(site))
    tape.connect(T0_MS - 1_000)
    for second in range(5):
        tape.second(second, *([50] * len(RACKS)))
    with closing(Ledger(tmp_path)) as ledger:
        judge_as_it_comes(a_judging(site), tape, ledger, tmp_path, site=site, routes=routes)
        untold = {a.subject.partition(":")[0] for a in ledger.alarms() if a.rule == "C10" and not a.is_told}
        notices = ledger.notices()

    flood = {notice.route: notice.body for notice in notices if notice.body["rule"] == "Q10"}
    assert len(untold) == 3
    assert flood.keys() == {"all", *untold}
    assert all(flood[tenant]["damped_tenants"] == [tenant] for tenant in untold)
    assert {notice.route for notice in notices} == {"all", *TENANTS}


@pytest.mark.parametrize(
    ("tenants", "readers"),
    [
        (["", "acme"], None),
        (["acme", "bolt"], {"acme", "bolt"}),
        ([], None),
    ],
    ids=["also for all", "of two tenants", "the terminal"],
)
def test_a_receiver_is_as_discreet_as_its_routes_are(tenants: list[str], readers: set[str] | None) -> None:
    """Several routes may lead to it: one that takes everything makes it one of those who run the monitor."""
    routes = [Route(name="pager", tenants=frozenset(filter(None, [tenant]))) for tenant in tenants]

    assert readers_of("pager", [*routes, Route(name="all")]) == readers


def test_why_details_are_missing_is_not_for_tenants() -> None:
    """An error may name whatever it met."""
    over = ended(a_change("aa01", "opened", T0_MS).alarm, {}, "", T0_MS, SITE)
    told = worded(replace(over, incomplete="KeyError: 'bolt'"), UTC)

    assert discreet(told, None, UTC) is told
    kept = discreet(told, frozenset({"acme"}), UTC)
    assert f"incomplete: {UNSAID_LACK}" in kept.text.splitlines()
    assert "bolt" not in str(kept.document())


@pytest.mark.parametrize(("silences_all", "told"), [(True, ["all", "acme"]), (False, ["all"])])
def test_what_keeps_every_alarm_from_being_told_is_told_to_every_tenant(
    told: list[str], *, silences_all: bool
) -> None:
    """A disk that takes no alarm; not one file of the past that is damaged."""
    routes = [Route(name="all"), of("acme"), of(CANARY)]

    notices = of_ourselves(Problem("journal", "disk of bolt full", silences_all=silences_all), routes)

    assert [n.route for n in notices if n.body["change"] == "opened"] == told
    causes = {n.route: [line for line in n.body["text"].splitlines() if "cause" in line] for n in notices}
    assert causes.pop("all") == ["cause: disk of bolt full"]
    assert list(causes.values()) == [[f"cause: {UNSAID_CAUSE}"]] * (len(told) - 1)
    assert {"C1", "C2", "C10", "Q2"} <= ABOUT_TENANTS
