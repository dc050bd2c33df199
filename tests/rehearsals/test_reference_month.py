"""The reference month: parts of it through the whole monitor, and its file, from which docs/rules.md is made.

`make month` makes the file; `make soak` goes through the whole month again and holds the file against it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any, Final

import pytest

from rules.registry import RULES
from simulators.run import Simulation
from testing.month.__main__ import FILE
from testing.month.account import CANNOT, Places, account_of, as_document
from testing.month.faults import DAY_S, FAULTS, HOUR_S, Fault
from testing.month.live import Lived, live_through, looks
from testing.month.site import DAYS, EQUIPMENT, scenario_of

STORED: Final[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
IN_ORDER: Final = sorted(FAULTS, key=lambda fault: fault.at_s)


SLOW: Final = "coolant that goes past a rack through an open by-pass"
FAST: Final = "the coolant flow of a rack lost for twenty seconds"


@cache
def lived_around(what: str) -> tuple[Lived, Fault]:
    """Return the stretch of the month around a fault, with half an hour of quiet, and that fault."""
    fault = next(each for each in FAULTS if each.what == what)
    begins_s = (fault.at_s - HOUR_S // 2) // 900 * 900
    return live_through(FAULTS, fault.ends_s + fault.settles_s, begins_s=begins_s), fault


@pytest.mark.parametrize("what", [SLOW, FAST])
def test_a_stretch_of_the_month_raises_what_its_fault_owes_and_nothing_else(what: str) -> None:
    """Quiet, a fault and quiet: the alarm that is owed, and those of dates that are near."""
    lived, fault = lived_around(what)

    account = account_of(lived, [fault])

    assert account.wrong == []
    assert {alarm.rule for alarm in lived.alarms} == {"C10", fault.owes[0].partition(" ")[0]}


def test_an_alarm_without_a_cause_is_found_out_and_so_is_one_that_does_not_come() -> None:
    """The same alarms, held against a month without that fault, and against one with another."""
    lived, fault = lived_around(SLOW)
    other = replace(fault, owes=("T12 P01A-01",))

    invented = account_of(lived, []).invented
    missed = account_of(lived, [fault, other]).missed

    assert [text.partition(" on ")[0] for text in invented] == [f"invented: {fault.owes[0]}"]
    assert missed == [f"missed: T12 P01A-01, of {other.what}"]


def test_an_alarm_elsewhere_is_not_explained_by_a_fault_that_may_raise_its_rule() -> None:
    """What serves a place or is served by it, its tenant and its row hang together with it, and no more."""
    places = Places(scenario_of(0, 1, (), ()))

    assert places.hang_together("P01A-01-TAP-A", ["UPS-01A"])
    assert places.hang_together("P01A-BUS-B", ["P01A-02"])
    assert places.hang_together("bus:PUB:GW-P01B", ["P01B-03"])
    assert places.hang_together("acme", ["GW-P01B"])
    assert places.hang_together("racks that nobody contracted", ["P01B-05"])
    assert not places.hang_together("P01A-01-TAP-A", ["UPS-01B"])
    assert not places.hang_together("P01B-BUS-A", ["P01A-BUS-A"])
    assert not places.hang_together("basil", ["GW-P01B"])


def test_looks_are_seldom_in_quiet_times_and_often_around_faults() -> None:
    """They come in order, at both ends of each fault and nowhere beyond the month; fast ones each second."""
    planned = list(looks(IN_ORDER, DAYS * DAY_S))
    seconds = [look.second for look in planned]

    assert seconds == sorted(set(seconds))
    assert {edge for fault in FAULTS for edge in (fault.at_s, fault.ends_s)} <= set(seconds)
    assert {look.tick_s for look in planned} == {1, 10, 100, 300}
    for fault in FAULTS:
        near = [look for look in planned if fault.at_s < look.second <= fault.ends_s]
        assert fault.is_slow or not any(look.is_leap for look in near)


def test_the_file_is_of_the_month_that_there_is() -> None:
    """Whoever changes what happens in it makes the file anew: `make month`."""
    said = [
        (fault["what"], fault["day"], fault["lasts_s"], tuple(fault["owes"])) for fault in STORED["faults"]
    ]

    assert said == [(f.what, f.at_s // DAY_S + 1, f.lasts_s, f.owes) for f in IN_ORDER]
    assert STORED["days"] == DAYS
    assert STORED["cannot_fire"] == dict(CANNOT)
    assert list(STORED["rules"]) == [rule.name for rule in RULES]


def test_nothing_was_invented_or_missed_and_each_rule_that_can_fire_did() -> None:
    """The sums of the file are right, and each alarm had a cause."""
    assert (STORED["invented"], STORED["missed"]) == ([], [])
    for name, counts in STORED["rules"].items():
        assert (
            counts["opened"]
            == counts["cause"]
            == sum(counts[way] for way in ("told", "suppressed", "damped"))
        )
        assert counts["missed"] == 0
        assert (name in CANNOT) == (counts["opened"] == 0)


def test_what_rules_lack_that_cannot_fire_is_not_on_the_bus() -> None:
    """No inlets, no dew points, no commands of valves, no pumps."""
    tags = Simulation(scenario_of(0, 1, (), ()), equipment=EQUIPMENT).catalogue.tags
    kinds = {tag.metadata["objectType"] for tag in tags}
    types = {tag.metadata["pointType"] for tag in tags}
    commanded = {tag.metadata["pointType"] for tag in tags if tag.metadata.get("isSetpoint")}

    assert "Pump" not in kinds
    assert not {name for name in types if "Inlet" in name or "DewPoint" in name}
    assert not {name for name in commanded if "Valve" in name}


@pytest.mark.soak
def test_the_whole_month_is_as_its_file_says() -> None:
    """All thirty days again."""
    lived = live_through(IN_ORDER, DAYS * DAY_S)

    document = as_document(account_of(lived, IN_ORDER), lived, IN_ORDER)

    assert json.loads(json.dumps(document)) == STORED
