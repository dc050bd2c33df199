"""Who is told that alarms are held back: also the routes of the tenants whose alarms they are."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from facility.names import CANARY
from megawatch.run.problems import ABOUT_TENANTS
from megawatch.run.self_monitoring import Problem
from rules.notify.routing import Route, routes_of_document
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
    assert first["damped_tenants"] == ["t11", "t12"]
    assert "held back: alarms of t11, t12" in str(first["text"]).splitlines()
    assert routes_of_document(first, routes) == ["all", "t12"]


@pytest.mark.parametrize(("silences_all", "told"), [(True, ["all", "acme"]), (False, ["all"])])
def test_what_keeps_every_alarm_from_being_told_is_told_to_every_tenant(
    told: list[str], *, silences_all: bool
) -> None:
    """A disk that takes no alarm; not one file of the past that is damaged."""
    routes = [Route(name="all"), of("acme"), of(CANARY)]

    notices = of_ourselves(Problem("journal", "disk full", silences_all=silences_all), routes)

    assert [n.route for n in notices if n.body["change"] == "opened"] == told
    assert {"C1", "C2", "Q2"} <= ABOUT_TENANTS
