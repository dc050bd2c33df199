"""Scenario files: read whole, or refused with every fault, its place and the nearest known name."""

from __future__ import annotations

import pytest

from facility.errors import SiteFileError
from simulators.model.events import EventKind
from simulators.model.jobs import Course, Steady, Training
from simulators.scenario.file import open_scenario, read_scenario, shipped
from simulators.scenario.scenario import BreakKind, FaultKind

GOOD = """
proves = "That it can be read."
begin = 2026-06-01T12:00:00Z
seconds = 600
seed = 7

[layout]
racks = 12
racks_per_row = 6

[[lease]]
id = "acme"
racks = 6
contract = '''
from = 2026-01-01
committed_mw = 0.5
---
from = 2026-06-01T12:05:00Z
committed_mw = 0.6
'''

[metering]
step_w = 10

[[load]]
name = "job"
kind = "training"
racks = "acme"
level = 0.9

[[load]]
name = "flat"
kind = "steady"
racks = ["P01B-0[1-3]"]
total_kw = 300

[[load]]
name = "slope"
kind = "course"
racks = "P01B-0[4-6]"
kw = [[0, 66], [100, 132]]

[[rating]]
ids = "P01A-01-TAP-A"
amps = 250

[[event]]
kind = "feed_loss"
at_s = 60
until_s = 90
subjects = "A"

[[fault]]
kind = "silent"
from_s = 100
to_s = 200
scope = "GW-P01A"

[[break]]
kind = "monitor-stopped"
from_s = 300
to_s = 330

[[caption]]
at_s = 60
text = "feed A is gone"

[[must]]
rule = "Q1"
subject = "P01A-0[12]"
from_s = 110
to_s = 150
severity = "low"

[[must_not]]
rule = "C4"
why = "there is no block contract"

[[waits_for]]
rule = "E4"
subject = "A"
why = "a feed is dead"
"""


def faults_of(text: str, rules: tuple[str, ...] = ()) -> list[str]:
    """Return every fault of a scenario, as one would read it."""
    with pytest.raises(SiteFileError) as caught:
        read_scenario(text, "bad", rules=rules)
    return [str(fault) for fault in caught.value.faults]


def test_a_scenario_is_read_whole() -> None:
    """What runs, what happens, what goes wrong and what must be said all come out of one file."""
    scenario = read_scenario(GOOD, "good", rules=("Q1", "C4"))

    assert (scenario.name, scenario.seconds, scenario.seed) == ("good", 600, 7)
    assert scenario.begin_ms == 1_780_315_200_000
    assert len(scenario.site.site.racks) == 12
    (tenant,) = scenario.site.site.tenants
    assert tenant.contract is not None
    assert [v.committed_milliwatts for v in tenant.contract.versions] == [500_000_000, 600_000_000]
    training, steady, course = scenario.jobs
    assert isinstance(training, Training)
    assert (training.level, len(training.racks)) == (0.9, 6)
    assert isinstance(steady, Steady)
    assert steady.total_milliwatts == 300_000_000
    assert isinstance(course, Course)
    assert course.points == ((0.0, 0.5), (100.0, 1.0))
    assert scenario.metering.step_w == 10
    assert scenario.ratings["P01A-01-TAP-A"].amps == 250
    assert [(e.kind, e.at_s, e.until_s, e.subjects) for e in scenario.events] == [
        (EventKind.FEED_LOSS, 60, 90, ("A",))
    ]
    assert [(f.kind, f.scope) for f in scenario.faults] == [(FaultKind.SILENT, ("GW-P01A",))]
    assert [(b.kind, b.from_s, b.to_s) for b in scenario.breaks] == [(BreakKind.MONITOR_STOPPED, 300, 330)]
    assert scenario.captions == {60: "feed A is gone"}
    assert [(m.rule, m.subject) for m in scenario.must] == [("Q1", "P01A-01"), ("Q1", "P01A-02")]
    assert [w.rule for w in scenario.waits_for] == ["E4"]


def test_a_site_may_be_written_out() -> None:
    """In place of a layout stands any site file."""
    site = '[site]\nname = "hall"\n[[broker]]\nurl = "mqtt://127.0.0.1"\n'
    site += '[[rack]]\nids = "a{1..3}"\nrating_kw = 50\n'
    text = f"proves = 'x'\nbegin = 2026-06-01\nseconds = 5\nsite = '''{site}'''\n"

    assert [str(rack) for rack in read_scenario(text).site.site.racks] == ["a1", "a2", "a3"]


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        (
            'kind = "feed_loss"',
            'kind = "feed_los"',
            "event[0].kind: expected 'feed_loss'",
        ),
        (
            'kind = "silent"',
            'kind = "silnet"',
            "fault[0].kind: expected 'silent'",
        ),
        (
            'scope = "GW-P01A"',
            'scope = "GW-P01X"',
            "fault[0].scope: expected ids that there are, found 'GW-P01X' (did you mean 'GW-P01B'?)",
        ),
        (
            'racks = "acme"\nlevel',
            'racks = "acne"\nlevel',
            "load[0].racks: expected ids that there are, found 'acne' (did you mean 'acme'?)",
        ),
        (
            "from_s = 100\nto_s = 200",
            "from_s = 100\nto_s = 100",
            "fault[0].to_s: expected a second after 100, found 100",
        ),
        (
            "from_s = 100\nto_s = 200",
            "from_s = 600\nto_s = 700",
            "fault[0].from_s: expected a second of the 600 that it lasts, found 600",
        ),
        (
            "at_s = 60\nuntil_s = 90",
            "at_s = 60\nuntil_s = 60",
            "event[0].until_s: expected a moment after 60, found 60",
        ),
        (
            "amps = 250",
            "amps = -1",
            "'P01A-01-TAP-A'.amps: expected a current from 0.1 to 200,000 A, found -1",
        ),
        (
            "[100, 132]",
            "[100, 133]",
            "load[2].kw[1]: expected 0 to the rating of its racks, 132 kW, found 133",
        ),
        ("[100, 132]", "[0, 132]", "load[2].kw[1]: expected a second after 0, found 0"),
        (
            "level = 0.9",
            "sigma = 0.9",
            "load[0].sigma: expected what a load of kind 'training' has, found 'sigma'",
        ),
        ("committed_mw = 0.6", "committed_mw = -1", "committed_mw: expected at least 0, found -1"),
        ("racks = 12\n", "racks = 3\n", "lease: expected leases of at most 3 racks in all, found 6"),
        ("begin = 2026-06-01T12:00:00Z", 'begin = "noon"', "begin: expected a date or a time"),
        ("[metering]", "[metring]", "metring: expected one of the tables"),
        ("seconds = 600", "seconds = 0", "seconds: expected at least 1, found 0"),
        ('subjects = "A"', "subjects = []", "event[0].subjects: expected at least one id, found none"),
        (
            "from_s = 110\nto_s = 150",
            "from_s = 700\nto_s = 710",
            "must[0].from_s: expected a second of the 600",
        ),
        ('rule = "E4"', 'rule = "Q1"', "waits_for[0].rule: expected a rule that does not exist yet"),
        (
            'rule = "Q1"\nsubject = "P',
            'rule = "Q11"\nsubject = "P',
            "must[0].rule: expected a rule that there is",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(before: str, after: str, fault: str) -> None:
    """An unknown name, an impossible time, strength or rating: where it stands, what may, what does."""
    assert before in GOOD

    found = faults_of(GOOD.replace(before, after, 1), rules=("Q1", "C4"))

    assert any(fault in text for text in found), found


def test_all_faults_come_at_once() -> None:
    """Whoever mends one thing is not told of the next only then."""
    text = GOOD
    for before, after in (
        ('kind = "silent"', 'kind = "silnet"'),
        ('subjects = "A"', 'subjects = "Z"'),
        ('racks = "acme"\nlevel', 'racks = "acne"\nlevel'),
        ("amps = 250", "amps = -1"),
        ("to_s = 330", "to_s = 10"),
    ):
        assert before in text
        text = text.replace(before, after, 1)

    found = faults_of(text)

    places = ("fault[0].kind", "event[0].subjects", "load[0].racks", "'P01A-01-TAP-A'.amps", "break[0].to_s")
    assert all(any(place in fault for fault in found) for place in places), found


def test_what_is_no_toml_is_refused() -> None:
    """The parser's own words say where."""
    assert faults_of("proves = ") == [
        "file: expected a TOML document, found Invalid value (at end of document)"
    ]


def test_an_unknown_scenario_is_refused_with_the_nearest() -> None:
    """The names of those that come with the product stand beside it."""
    with pytest.raises(SiteFileError, match="did you mean 'g_missing_in_an_overdraw'"):
        open_scenario("g_missing_in_overdraw")


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_scenario_that_comes_with_the_product_can_be_read(name: str) -> None:
    """Each says in one sentence what it proves, and expects, forbids or waits for something."""
    scenario = open_scenario(name)

    assert scenario.proves.endswith(".")
    assert scenario.must or scenario.must_not or scenario.waits_for or scenario.captions
