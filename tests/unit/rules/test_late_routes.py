"""Routes that are told later: escalation, hours of the week, repetition; and what an acknowledgement ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from facility.hours import Hours
from facility.names import CANARY
from facility.site import Site
from rules.engine import snapshot
from rules.notify.links import Links
from rules.notify.routing import Route
from store.ledger.alarms import Alarm
from store.ledger.ledger import Ledger
from store.ledger.suppressions import Suppression, SuppressionKind
from testing.builders import T0_MS
from testing.rules.halls import (
    ONLY_C2,
    Tape,
    a_judging,
    a_site,
    a_tenant,
    a_version,
    known_racks_of,
    one_tenant,
    racks_of,
)
from testing.rules.services import judge_as_it_comes

SITE = one_tenant(200)
FIRST = Route(name="first", hears_acknowledgements=True)
SECOND = Route(name="second", unacknowledged_ms=20_000)


class Hall:
    """Three racks that draw too much, judged as their readings come.

    Args:
        folder: Where the ledger and the state are.
        routes: Which notifications go where.
        links: Makes links of pages.
        site: The site.
    """

    def __init__(self, folder: Path, *routes: Route, links: Links | None = None, site: Site = SITE) -> None:
        self._site = site
        self._folder = folder
        self._routes = routes
        self._links = links
        self._tape = Tape()
        self._tape.put(T0_MS - 1_000, known_racks_of(site))
        self._tape.connect(T0_MS - 1_000)
        self.ledger = Ledger(folder)

    def play(self, seconds: range, each_kw: float) -> None:
        """Let the racks draw alike for some seconds, after a restart."""
        for second in seconds:
            self._tape.second(second, each_kw, each_kw, each_kw)
        judge_as_it_comes(
            a_judging(self._site, rules=ONLY_C2),
            self._tape,
            self.ledger,
            self._folder,
            site=self._site,
            routes=self._routes,
            links=self._links,
        )

    @property
    def alarm(self) -> Alarm:
        """The one alarm."""
        (found,) = (alarm for alarm in self.ledger.alarms() if alarm.rule == "C2")
        return found

    def acknowledge(self, second: int = 0) -> None:
        """Let somebody take it in hand."""
        self.ledger.acknowledge(self.alarm, by="ann", at_ms=T0_MS + 1_000 * second)

    def told(self) -> list[tuple[str, str, int]]:
        """Return what was told: the change, the route, and the second of it."""
        notices = sorted(self.ledger.notices(), key=lambda notice: (notice.source_ms, notice.route))
        return [
            (
                notice.key.partition(":")[2].partition(":")[0],
                notice.route,
                (notice.source_ms - T0_MS) // 1_000,
            )
            for notice in notices
        ]


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """Return a hall with a route that is told at once and one that waits for 20 s."""
    made = Hall(tmp_path, FIRST, SECOND)
    with closing(made.ledger):
        yield made


def a_hall(folder: Path, *routes: Route, links: Links | None = None) -> Hall:
    """Return a hall with other routes."""
    return Hall(folder, *routes, links=links)


def test_what_nobody_acknowledges_is_told_on_the_next_route(hall: Hall) -> None:
    """Once, 20 s after it was first told, with its own key; its end is told on both."""
    hall.play(range(20), 80)
    assert hall.told() == [("opened", "first", 5)]
    hall.play(range(20, 40), 80)
    assert hall.told() == [("opened", "first", 5), ("opened", "second", 25)]
    (late,) = (notice for notice in hall.ledger.notices() if notice.route == "second")
    assert late.body["unacknowledged_s"] == 20
    assert "unacknowledged: for 20 s nobody has taken it in hand" in late.body["text"]

    hall.play(range(40, 120), 10)
    assert [told[:2] for told in hall.told()[2:]] == [("returned", "first"), ("returned", "second")]


def test_an_acknowledgement_stops_the_escalation_and_is_told(hall: Hall) -> None:
    """Who hears acknowledgements hears who it was; the second route hears nothing, not even the end."""
    hall.play(range(20), 80)
    hall.acknowledge()
    hall.play(range(20, 60), 80)
    hall.play(range(60, 140), 10)

    told = [told[:2] for told in hall.told()]
    assert told == [("opened", "first"), ("acknowledged", "first"), ("returned", "first")]
    (heard,) = (notice for notice in hall.ledger.notices() if notice.body["change"] == "acknowledged")
    assert heard.body["by"] == "ann"
    assert heard.body["headline"].startswith("[acknowledged] acme")


def test_a_route_that_repeats_does_not_put_off_the_escalation(tmp_path: Path) -> None:
    """It counts from the first time that anybody was told, over restarts too."""
    hall = a_hall(tmp_path, replace(FIRST, repeat_ms=4_000), SECOND)
    with closing(hall.ledger):
        hall.play(range(15), 80)
        hall.play(range(15, 40), 80)
        found = [told for told in hall.told() if told[1] == "second"]
        (late,) = (notice for notice in hall.ledger.notices() if notice.route == "second")

    assert found == [("opened", "second", 25)]
    assert late.body["unacknowledged_s"] == 20


def test_an_acknowledgement_is_never_told_before_the_opening(tmp_path: Path) -> None:
    """Taken in hand while it was shelved: what is told at one time has no order."""
    hall = a_hall(tmp_path, FIRST)
    with closing(hall.ledger):
        shelf = Suppression(
            id="s",
            kind=SuppressionKind.SHELVED,
            rules=("C2",),
            from_ms=T0_MS - 1_000,
            to_ms=T0_MS + 30_000,
            by="ann",
            why="known",
            made_ms=T0_MS - 1_000,
        )
        hall.ledger.suppress(shelf)
        hall.play(range(20), 80)
        hall.acknowledge()
        hall.play(range(20, 40), 80)
        found = hall.told()

    assert found == [("opened", "first", 30), ("acknowledged", "first", 31)]


def test_what_is_over_in_time_is_not_escalated(hall: Hall) -> None:
    """The second route never hears of it."""
    hall.play(range(10), 80)
    hall.play(range(10, 24), 10)
    hall.play(range(24, 100), 10)

    assert {route for _, route, _ in hall.told()} == {"first", "second"}
    assert [told[:2] for told in hall.told() if told[1] == "first"] == [
        ("opened", "first"),
        ("returned", "first"),
    ]


def test_it_is_repeated_until_somebody_acknowledges(tmp_path: Path) -> None:
    """Every 10 s, under keys of their own, also over a restart; then it is quiet."""
    hall = a_hall(tmp_path, replace(FIRST, repeat_ms=10_000))
    with closing(hall.ledger):
        hall.play(range(18), 80)
        hall.play(range(18, 30), 80)
        assert [told[::2] for told in hall.told()] == [("opened", 5), ("repeated", 15), ("repeated", 25)]
        hall.acknowledge()
        hall.play(range(30, 60), 80)
        assert [told[0] for told in hall.told()] == ["opened", "repeated", "repeated", "acknowledged"]
        assert len({notice.key for notice in hall.ledger.notices()}) == 4


def hours_from(second: int) -> Sequence[Hours]:
    """Return hours that begin with the minute of a second after the beginning, in UTC."""
    minute = (T0_MS // 1_000 + second) // 60 % (24 * 60)
    return (Hours(frozenset(range(7)), minute, (minute + 60) % (24 * 60)),)


def test_hours_that_begin_later_are_told_what_still_stands(tmp_path: Path) -> None:
    """Nothing before; then the opening, and its end."""
    begin = 60 - T0_MS // 1_000 % 60 + 60
    hall = a_hall(tmp_path, FIRST, Route(name="day", hours=tuple(hours_from(begin))))
    with closing(hall.ledger):
        hall.play(range(begin - 5), 80)
        assert {route for _, route, _ in hall.told()} == {"first"}
        hall.play(range(begin - 5, begin + 10), 80)
        assert ("opened", "day", begin) in hall.told()
        hall.play(range(begin + 10, begin + 90), 10)
        assert [told[0] for told in hall.told() if told[1] == "day"] == ["opened", "returned"]


def test_what_is_over_before_its_hours_begin_is_not_told_there(tmp_path: Path) -> None:
    """It can wait, so it need not be told at all."""
    hall = a_hall(tmp_path, FIRST, Route(name="day", hours=tuple(hours_from(6 * 3_600))))
    with closing(hall.ledger):
        hall.play(range(20), 80)
        hall.play(range(20, 120), 10)

        assert {route for _, route, _ in hall.told()} == {"first"}


def test_what_worsens_outside_the_hours_is_told_when_they_begin(tmp_path: Path) -> None:
    """It was told as it was; that it is critical by now nobody would know who reads there."""
    begin = 60 - T0_MS // 1_000 % 60 + 120
    minute = T0_MS // 60_000 % (24 * 60)
    first = Hours(frozenset(range(7)), minute, (minute + 1) % (24 * 60))
    hall = a_hall(tmp_path, Route(name="day", hours=(first, *hours_from(begin))))
    with closing(hall.ledger):
        hall.play(range(begin - 60), 75)
        hall.play(range(begin - 60, begin + 90), 90)

        assert [told[:1] + told[2:] for told in hall.told()] == [("opened", 5), ("worsened", begin)]
        assert hall.alarm.severity == "critical"


GRAVEST = Route(name="gravest", severities=frozenset({"critical"}))
WORSE = [
    ("opened", "first", 5),
    ("acknowledged", "first", 15),
    ("worsened", "first", 25),
    ("worsened", "gravest", 25),
]
"""It opens, is acknowledged, and is critical 20 s after it was first told."""


def a_worse_hall(folder: Path, *routes: Route) -> Hall:
    """Return a hall whose alarm worsened once somebody had acknowledged it."""
    hall = a_hall(folder, *routes, GRAVEST)
    hall.play(range(15), 75)
    hall.acknowledge(14)
    hall.play(range(15, 25), 75)
    hall.play(range(25, 40), 90)
    assert hall.told() == WORSE
    assert hall.alarm.state == "active, unacknowledged"
    return hall


def test_what_worsens_once_it_was_acknowledged_waits_for_that_anew(tmp_path: Path) -> None:
    """Whoever had it in hand is told too; 20 s later the next route is, also after a restart."""
    hall = a_worse_hall(tmp_path, FIRST, SECOND)
    with closing(hall.ledger):
        hall.play(range(40, 60), 90)
        (late,) = (notice for notice in hall.ledger.notices() if notice.route == "second")
        hall.play(range(60, 140), 10)

        assert hall.told()[4:5] == [("opened", "second", 45)]
        assert (late.body["severity"], late.body["unacknowledged_s"]) == ("critical", 20)
        assert [each[:2] for each in hall.told()[5:]] == [
            ("returned", "first"),
            ("returned", "gravest"),
            ("returned", "second"),
        ]


def test_what_worsens_once_it_was_acknowledged_is_repeated_again(tmp_path: Path) -> None:
    """From the worsening on."""
    hall = a_worse_hall(tmp_path, replace(FIRST, repeat_ms=20_000))
    with closing(hall.ledger):
        hall.play(range(40, 60), 90)

        assert hall.told()[4:] == [("repeated", "first", 45)]


def test_a_second_acknowledgement_stops_what_the_worsening_began(tmp_path: Path) -> None:
    """It has a key of its own, so that receivers hear of it; whatever is judged again afterwards."""
    hall = a_worse_hall(tmp_path, replace(FIRST, repeat_ms=20_000), SECOND)
    with closing(hall.ledger):
        hall.acknowledge(39)
        hall.play(range(40, 50), 90)
        (tmp_path / snapshot.FILE).unlink()
        hall.play(range(50, 90), 90)

        assert hall.told() == [*WORSE, ("acknowledged", "first", 40)]
        assert hall.alarm.state == "active, acknowledged"
        keys = [n.key for n in hall.ledger.notices() if n.body["change"] == "acknowledged"]
        assert sorted(keys) == [f"{hall.alarm.id}:acknowledged", f"{hall.alarm.id}:acknowledged:2"]


def test_what_worsens_behind_a_shelf_waits_from_when_it_is_told(tmp_path: Path) -> None:
    """Nobody could acknowledge before what nobody was told."""
    hall = a_hall(tmp_path, FIRST, SECOND)
    with closing(hall.ledger):
        hall.play(range(15), 75)
        hall.acknowledge(14)
        hall.ledger.suppress(shelf(from_s=20, to_s=60))
        hall.play(range(15, 25), 75)
        hall.play(range(25, 70), 90)
        assert hall.told()[2:] == [("worsened", "first", 60)]
        hall.play(range(70, 100), 90)

        assert hall.told()[3:] == [("opened", "second", 80)]


def shelf(from_s: int, to_s: int) -> Suppression:
    """Return what shelves everything for a while."""
    return Suppression(
        id="s",
        kind=SuppressionKind.SHELVED,
        from_ms=T0_MS + 1_000 * from_s,
        to_ms=T0_MS + 1_000 * to_s,
        by="ann",
        why="known",
        made_ms=T0_MS,
    )


def test_the_canary_s_alarm_is_over_when_it_is(tmp_path: Path) -> None:
    """It waits for nobody to acknowledge it, and nothing else that is found of it is kept."""
    names = ["r0", "r1", "r2"]
    site = a_site(racks_of(*names), a_tenant(CANARY, names, a_version(200)))
    hall = Hall(tmp_path, replace(FIRST, tenants=frozenset({CANARY})), site=site)
    with closing(hall.ledger):
        hall.play(range(20), 80)
        hall.play(range(20, 120), 10)
        alarms = hall.ledger.alarms()

    assert [(alarm.rule, alarm.state) for alarm in alarms] == [("C2", "normal")]


def test_the_canary_wakes_nobody() -> None:
    """Only a route that names it takes it."""
    takes = [
        route.takes(severity="critical", desks=(), rule="C2", tenants=(CANARY,))
        for route in (FIRST, replace(FIRST, tenants=frozenset({CANARY})))
    ]

    assert takes == [False, True]


@pytest.mark.parametrize(("pattern", "is_told"), [("*", False), ("r0", False)])
def test_a_route_of_assets_hears_of_no_tenant(pattern: str, *, is_told: bool, tmp_path: Path) -> None:
    """A tenant is no asset: its overdraw goes elsewhere."""
    hall = a_hall(tmp_path, FIRST, Route(name="cooling", assets=frozenset({pattern})))
    with closing(hall.ledger):
        hall.play(range(20), 80)

        assert (("opened", "cooling", 5) in hall.told()) is is_told


def test_a_page_has_the_signed_link_of_its_alarm(tmp_path: Path) -> None:
    """As a line of its text and a key of its document; what is over has none."""
    links = Links("https://megawatch.example", b"signs links")
    hall = a_hall(tmp_path, FIRST, links=links)
    with closing(hall.ledger):
        hall.play(range(20), 80)
        hall.play(range(20, 100), 10)
        opened, returned = sorted(hall.ledger.notices(), key=lambda notice: notice.source_ms)

    assert opened.body["acknowledge_url"] == links.to(opened.alarm_id)
    assert f"acknowledge: {links.to(opened.alarm_id)}" in opened.body["text"]
    assert "acknowledge_url" not in returned.body
