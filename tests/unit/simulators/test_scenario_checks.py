"""What cannot be is refused when a scenario is read: with its place, the reason, the nearest known name."""

from __future__ import annotations

import pytest

from facility.errors import SiteFileError
from simulators.scenario.file import read_scenario

GOOD = """
proves = "That it can be."
begin = 2026-06-01T12:00:00Z
seconds = 600

[layout]
racks = 12
racks_per_row = 6
timezone = "America/Chicago"

[[lease]]
id = "acme"
racks = 6
contract = '''
from = 2026-01-01
committed_mw = 0.792
---
from = 2026-06-01T12:05:00Z
committed_mw = 0.5
'''

[[lease]]
id = "basil"
racks = 2
contract = '''
from = 2026-01-01
committed_mw = 0.264
boundary = "tap_meter"
'''

[[load]]
name = "flat"
kind = "steady"
racks = "acme"
total_kw = 700

[[load]]
name = "slope"
kind = "course"
racks = "basil"
kw = [[0, 66], [100, 132]]

[[event]]
kind = "load_step"
at_s = 60
subjects = "basil"
total_kw = 264

[[event]]
kind = "curtail"
at_s = 500
subjects = "flat"
total_kw = 500

[[fault]]
kind = "register-reset"
from_s = 100
to_s = 200
scope = "P01A-BUS-A"

[[break]]
kind = "session-lost"
from_s = 100
to_s = 130

[[break]]
kind = "monitor-stopped"
from_s = 300
to_s = 330

[[caption]]
at_s = 60
text = "load"

[[must]]
rule = "C2"
subject = "acme"
from_s = 110
to_s = 150
returns_by_s = 600

[[must_not]]
rule = "C4"
subject = "basil"
why = "there is no block contract"

[[waits_for]]
rule = "E4"
subject = "A"
why = "a feed is dead"
"""
RULES = ("C2", "C4")
RAMP = """committed_mw = 0.9
ramp = [{ from = 2026-06-01T12:05:00Z, committed_mw = 0.5 },
  { from = 2026-06-01T12:10:00Z, committed_mw = 0.9, shape = "linear" }]
"""

WRONG = {
    "a commitment above the ratings of the racks": (
        "committed_mw = 0.792",
        "committed_mw = 0.793",
        "[0].committed_mw: expected at most 0.792, what the racks that 'acme' holds are rated, found 0.793",
    ),
    "a commitment that goes too far in the run": (
        "committed_mw = 0.5\n",
        "committed_mw = 0.9\n",
        "tenant[0].contract[1].committed_mw: expected at most 0.792",
    ),
    "a ramp that goes too far in the run": (
        "committed_mw = 0.5\n",
        RAMP,
        "tenant[0].contract[1].committed_mw: expected at most 0.792",
    ),
    "a commitment that losses do not explain": (
        "committed_mw = 0.264",
        "committed_mw = 0.32",
        "tenant[1].contract[0].committed_mw: expected at most 0.3036",
    ),
    "a load above the ratings of its racks": (
        "total_kw = 700",
        "total_kw = 793",
        "load[0].total_kw: expected at most 792 kW, what the racks are rated, found 793 kW",
    ),
    "a course above the rating": (
        "[100, 132]",
        "[100, 132.1]",
        "load[1].kw[1]: expected 0 to the rating of its racks, 132 kW, found 132.1",
    ),
    "a step of a tenant above the ratings of its racks": (
        "total_kw = 264",
        "total_kw = 265",
        "event[0].total_kw: expected at most 264 kW, what the racks are rated, found 265 kW",
    ),
    "a cap of a job above the ratings of its racks": (
        "total_kw = 500",
        "total_kw = 900",
        "event[1].total_kw: expected at most 792 kW, what the racks are rated, found 900 kW",
    ),
    "a step of the whole site above all ratings": (
        'subjects = "basil"\ntotal_kw = 264',
        'subjects = ["acme", "operator"]\ntotal_kw = 1585',
        "event[0].total_kw: expected at most 1584 kW, what the racks are rated, found 1585 kW",
    ),
    "an event after the end": (
        "at_s = 500",
        "at_s = 600",
        "event[1].at_s: expected a second of the 600 that it lasts, found 600",
    ),
    "a load after the end": (
        "total_kw = 700",
        "total_kw = 700\nfrom_s = 700",
        "load[0].from_s: expected a second of the 600 that it lasts, found 700",
    ),
    "a load that ends before it begins": (
        "total_kw = 700",
        "total_kw = 700\nfrom_s = 70\nto_s = 60",
        "load[0].to_s: expected a moment after 70, found 60",
    ),
    "a caption after the end": (
        'at_s = 60\ntext = "load"',
        'at_s = 601\ntext = "load"',
        "caption[0].at_s: expected a second of the 600 that it lasts, found 601",
    ),
    "breaks in each other": (
        "from_s = 300\nto_s = 330",
        "from_s = 120\nto_s = 330",
        "break[1].from_s: expected a break after the one before, 130, found 120",
    ),
    "registers where there are none": (
        'scope = "P01A-BUS-A"',
        'scope = "P01A-CDU"',
        "fault[0].scope: expected meters with energy registers, found P01A-CDU",
    ),
    "local time that is UTC": (
        "register-reset",
        "local-time",
        "fault[0].kind: expected a site whose clocks differ from UTC, found the zone 'UTC'",
    ),
    "a strength where there is none": (
        'scope = "P01A-BUS-A"',
        'scope = "P01A-BUS-A"\nstrength = 2',
        "fault[0].strength: expected none with 'register-reset', found 2",
    ),
    "a point type that the scope has not": (
        'kind = "register-reset"',
        'point_type = "ActivPower"\nkind = "freeze"',
        "expected a point type of its scope, found 'ActivPower' (did you mean 'ActivePower'?)",
    ),
    "an alarm of nobody": (
        'rule = "C2"\nsubject = "acme"',
        'rule = "C2"\nsubject = "acne"',
        "must[0].subject: expected ids that there are, found 'acne' (did you mean 'acme'?)",
    ),
    "an alarm that returns before it comes": (
        "returns_by_s = 600",
        "returns_by_s = 100",
        "must[0].returns_by_s: expected a second from 110 to the end, 600, found 100",
    ),
    "an alarm that returns after the end": (
        "returns_by_s = 600",
        "returns_by_s = 601",
        "must[0].returns_by_s: expected a second from 110 to the end, 600, found 601",
    ),
    "a mistake of a rule that is not": (
        'rule = "C4"',
        'rule = "C44"',
        "must_not[0].rule: expected a rule that there is, or *, found 'C44' (did you mean 'C4'?)",
    ),
    "a mistake about nobody": (
        'subject = "basil"\nwhy',
        'subject = "basel"\nwhy',
        "must_not[0].subject: expected ids that there are, found 'basel' (did you mean 'basil'?)",
    ),
    "an alarm to come about nobody": (
        'subject = "A"\nwhy',
        'subject = "P01A-BUS-C"\nwhy',
        "waits_for[0].subject: expected ids that there are, found 'P01A-BUS-C' (did you mean 'P01A-BUS-",
    ),
}


def faults_of(text: str) -> list[str]:
    """Return every fault of a scenario, as one would read it."""
    with pytest.raises(SiteFileError) as caught:
        read_scenario(text, "bad", rules=RULES)
    return [str(fault) for fault in caught.value.faults]


def changed(*cases: str) -> str:
    """Return the scenario with some things wrong."""
    text = GOOD
    for case in cases:
        before, after, _ = WRONG[case]
        assert before in text
        text = text.replace(before, after, 1)
    return text


def test_what_can_be_is_accepted() -> None:
    """Commitments, loads and steps up to the very rating."""
    scenario = read_scenario(GOOD, rules=RULES)

    assert [len(scenario.jobs), len(scenario.events), len(scenario.faults), len(scenario.breaks)] == [
        2,
        2,
        1,
        2,
    ]


@pytest.mark.parametrize("case", WRONG)
def test_what_can_not_be_is_refused_with_place_and_reason(case: str) -> None:
    """One thing that is wrong is one fault, and says what may stand there."""
    text = changed(case)
    if case == "local time that is UTC":
        text = text.replace("America/Chicago", "UTC")

    (found,) = faults_of(text)

    assert WRONG[case][2] in found


def test_all_of_it_comes_at_once() -> None:
    """Commitment, rating, loads, times, names: every one of them in one go, in spite of the others."""
    cases = [
        "a commitment above the ratings of the racks",
        "a load above the ratings of its racks",
        "a course above the rating",
        "a step of a tenant above the ratings of its racks",
        "an event after the end",
        "breaks in each other",
        "registers where there are none",
        "an alarm of nobody",
        "a mistake of a rule that is not",
        "an alarm to come about nobody",
    ]
    impossible = '[[rating]]\nids = "P01A-01-TAP-A"\namps = -1\n'

    found = faults_of(changed(*cases) + impossible)

    assert len(found) == len(cases) + 1
    for case in cases:
        assert any(WRONG[case][2] in fault for fault in found), case
    assert any("'P01A-01-TAP-A'.amps: expected a current" in fault for fault in found)


def test_a_head_that_can_not_be_read_hides_nothing() -> None:
    """Without a beginning and a length, the rest is still checked."""
    text = changed("an alarm of nobody", "a load above the ratings of its racks")
    text = text.replace("seconds = 600\n", "").replace("begin = 2026-06-01T12:00:00Z", 'begin = "noon"')

    found = faults_of(text)

    assert [fault.partition(":")[0] for fault in found] == [
        "bad.begin",
        "bad.seconds",
        "load[0].total_kw",
        "must[0].subject",
    ]


def test_a_site_that_can_not_be_read_hides_no_times_and_rules() -> None:
    """What needs no names of the site is told beside what is wrong with it."""
    text = changed("an event after the end", "breaks in each other", "a mistake of a rule that is not")

    found = faults_of(text.replace("committed_mw = 0.264", "comitted_mw = 0.264"))

    assert [fault.partition(":")[0] for fault in found if "tenant" not in fault] == [
        "event[1].at_s",
        "break[1].from_s",
        "must_not[0].rule",
    ]
    assert any("comitted_mw" in fault for fault in found)


def test_a_course_needs_racks_of_one_rating() -> None:
    """It is a share of their rating; racks without one cannot be simulated, and that is told once."""
    site = (
        '[site]\nname = "hall"\n[[broker]]\nurl = "mqtt://127.0.0.1"\n[[rack]]\nids = "a"\nrating_kw = 50\n'
    )
    site += '[[rack]]\nids = "b"\n{rating}\n'
    text = "proves = 'x'\nbegin = 2026-06-01\nseconds = 5\nsite = '''{site}'''\n"
    text += '[[load]]\nname = "l"\nkind = "course"\nracks = ["a", "b"]\nkw = [[0, 0]]\n'

    other = faults_of(text.format(site=site.format(rating="rating_kw = 60")))
    none = faults_of(text.format(site=site.format(rating="")))

    assert other == [
        "load[0].kw: expected racks of one rating, since a course is a share of it, found 50 kW, 60 kW"
    ]
    assert "rack.rating_kw: expected a rating, to be simulated, found none for 1 racks, such as 'b'" in none
