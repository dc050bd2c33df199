"""Alarms, ids, pages and series are what they were: a change that is not wanted shows as lines that differ.

`tests.rehearsals.alarmruns` says which runs there are, and writes the lists anew where a change is wanted.
"""

from __future__ import annotations

import json
from functools import partial

import pytest

from facility.sitefile.reader import read_site
from testing.builders import T0_MS
from testing.rehearsal.rehearsal import Rehearsal, as_message
from tests.rehearsals.alarmlist import AlarmList, difference
from tests.rehearsals.alarmruns import FOLDER, LISTS, SHIPPED, path_of, paths_of, stored
from tests.rehearsals.performances import listed, played

LONG = {"random_days"}
"""What takes longest runs with `make soak`: the suite has other days, in other tests."""
AGAIN = "python -m tests.rehearsals.alarmruns --rewrite"
RULES = [name for name in LISTS if name.startswith("rules/")]
OTHERS = [name for name in LISTS if not name.startswith(("shipped/", "rules/"))]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.soak] if name in LONG else []) for name in OTHERS],
)
def test_alarms_and_figures_are_as_before(name: str) -> None:
    """Random days, contracts, polling in bursts and the recording: line by line."""
    _check(name, LISTS[name](AlarmList))


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in RULES])
def test_alarms_and_figures_of_a_rule_s_scenarios_are_as_before(name: str) -> None:
    """Each played once, for this and for what its file says: line by line."""
    _check(name, [line for path in paths_of(name.removeprefix("rules/")) for line in played(path)[2]])


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in SHIPPED]
)
def test_alarms_and_figures_of_a_shipped_scenario_are_as_before(name: str) -> None:
    """Through decoder and engine: line by line, what was published first."""
    _, lines = listed(name)

    _check(f"shipped/{name}", list(lines))


def test_no_list_is_left_behind() -> None:
    """Every stored list is one of those that are compared."""
    found = {path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.jsonl")}

    assert found == set(LISTS)


@pytest.mark.parametrize("drawn_kw", [90.001, 89.0])
def test_a_figure_that_changes_is_found(drawn_kw: float) -> None:
    """A watt more or a kilowatt less: the list says where it begins to differ, expected and found."""
    before, after = _overdrawn(90.0), _overdrawn(drawn_kw)

    wrong = difference(before, after)

    assert wrong.startswith("hall: differs from line 3 on; ")
    assert "\n  expected {" in wrong
    assert "\n  found    {" in wrong
    gone = set(before) - set(after)
    assert {next(iter(json.loads(line))) for line in gone} >= {"alarm", "page", "draw"}
    assert difference(before, before) == ""


def test_sums_made_in_another_order_are_the_same_figures() -> None:
    """Figures that differ by less than one in 10^9 are the same; whole milliwatts are compared exactly."""
    line = {"run": "x", "value": 0.3, "low": 400_000_000_000, "names": ["a"]}
    near, far, other = line | {"value": 0.1 + 0.2}, line | {"value": 0.30001}, line | {"low": 400_000_000_001}

    found = [difference([json.dumps(line)], [json.dumps(each)]) == "" for each in (near, far, other)]

    assert found == [True, False, False]


@pytest.mark.parametrize("kept", [0, 2])
def test_a_list_that_ends_early_is_found(kept: int) -> None:
    """Lines that are missing or new are counted."""
    lines = _overdrawn(90.0)

    assert f"{len(lines) - kept} of {len(lines)} lines are gone, 0 are new" in difference(lines, lines[:kept])
    assert f"0 of {kept} lines are gone, {len(lines) - kept} are new" in difference(lines[:kept], lines)


def _check(name: str, lines: list[str]) -> None:
    wrong = difference(stored(name), lines)
    assert not wrong, f"{path_of(name).name}: where this is wanted, run `{AGAIN} {name}`\n{wrong}"


HALL = """
[site]
name = "hall"
rack_rating_kw = 100

[[rack]]
ids = "r1"

[[broker]]
url = "mqtt://127.0.0.1"
format = "rack-documents"
period_s = 1

[[tenant]]
id = "acme"
holds = [{ racks = ["r1"], from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.050
"""


def _overdrawn(drawn_kw: float) -> list[str]:
    """Return the list of half a minute in which a tenant draws more than it may."""
    found, file = AlarmList("hall"), read_site(HALL)
    rehearsal = Rehearsal(file, begin_ms=T0_MS, told=partial(found.note, file))
    for second in range(30):
        at_ms = T0_MS + second * 1_000
        body = f'{{"rack":"r1","time":{at_ms},"power_kw":{drawn_kw}}}'.encode()
        message = as_message("megawatch/v1/hall/r1", body, at_ms, qos=1, is_retained=False)
        rehearsal.hear([message], at_ms + 900)
    return found.lines(rehearsal.heard)
