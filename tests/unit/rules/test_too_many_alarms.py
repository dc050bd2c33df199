"""Rule Q10 as people meet it: 500 sensors that chatter for an hour, what pages say, and its switch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest

from megawatch.cli.alarmstats import statistics_of
from rules.alarms.openings import DAMPED, Openings
from rules.base import CANNOT_VERIFY
from rules.engine.engine import Step
from rules.engine.judging import Judging
from rules.library.data.q10_alarm_health import AlarmHealth
from rules.notify.routing import Route
from rules.notify.telling import Teller
from rules.registry import make_rules
from store.ledger.alarms import Notice, Progress
from testing.fakes.memory_ledger import MemoryLedger
from testing.rules.openings import USUAL
from testing.scenarios.reading import Scenario, read
from testing.scenarios.runner import run

HOUR_S: Final = 3_600
STEP_S: Final = 14
AT_ONCE: Final = "[rules.T1]\non_delay_s = 0\noff_delay_s = 0\nagreed_delay_s = 0\n"
SWINGS: Final = HOUR_S // STEP_S // 2


def a_scenario(
    folder: Path, said: str, *, racks: int, rules: str = AT_ONCE, step_s: int = STEP_S
) -> Scenario:
    """Return a site of so many racks that says something."""
    site = f'[[rack]]\nids = "r{{001..{racks:03d}}}"\nrating_kw = 100\nfeeds = 1'
    path = folder / "scenario.toml"
    head = f'about = "a test"\nkind = "more"\nstep_s = {step_s}\nsite = """{site}"""\nrules = """{rules}"""'
    path.write_text(f"{head}\n{said}\n[expect]\n")
    return read(path)


def paged(scenario: Scenario) -> MemoryLedger:
    """Play a scenario; return the ledger as judging and telling leave it."""
    ledger = MemoryLedger()
    made = {rule.name: rule for rule in make_rules(scenario.file.rules, [])}
    named = made | {f"{name}-{CANNOT_VERIFY}": rule for name, rule in made.items()}
    teller = Teller(ledger, named, site=scenario.file.site, routes=[Route(name="pager")])

    def tell(step: Step) -> None:
        telling = teller.tell(step.changes, step.view, step.at_ms)
        ledger.save(
            Progress(seq=step.seq, tick_ms=step.at_ms, changes=telling.changes, notices=telling.notices)
        )
        teller.saved()

    run(scenario, tell)
    return ledger


def opened(notices: Iterable[Notice]) -> Counter[tuple[str, str, str]]:
    """Return how often people were told that an alarm opened, by rule, subject and severity."""
    return Counter(
        (str(n.body["rule"]), str(n.body["subject"]), str(n.body["severity"]))
        for n in notices
        if n.body["change"] == "opened"
    )


def test_500_sensors_that_chatter_for_an_hour(tmp_path: Path) -> None:
    """Ten sensors are told, three times each; every high one three times; every critical one; the leak."""
    swings = {
        "r{001..470}": f"{'30x1 24x1 ' * SWINGS}",
        "r{471..495}": f"{'33x1 24x1 ' * SWINGS}",
        "r{496..500}": f"{'36x1 24x1 ' * SWINGS}",
    }
    said = f'[kw]\n"r{{001..500}}" = "50x{2 * SWINGS}"\n[measured."air.inlet"]\n'
    said += "\n".join(f'"{racks}" = "{values}"' for racks, values in swings.items())
    said += f'\n[measured.leak]\n"r001" = "0x60 1x20 0x{2 * SWINGS - 80}"\n'
    scenario = a_scenario(tmp_path, said, racks=500)

    ledger = paged(scenario)

    told = opened(ledger.notices)
    by_severity: dict[str, Counter[str]] = defaultdict(Counter)
    for (rule, subject, severity), count in told.items():
        if rule == "T1":
            by_severity[severity][subject] += count
    assert by_severity["low"] == {f"r{number:03d}": 3 for number in range(1, 11)}
    assert by_severity["high"] == {f"r{number:03d}": 3 for number in range(471, 496)}
    assert by_severity["critical"] == {f"r{number:03d}": SWINGS for number in range(496, 501)}
    assert told["T12", "r001", "high"] + told["T12", "r001", "critical"] == 1
    assert {key: count for key, count in told.items() if key[0] == "Q10"} == {("Q10", "T1", "low"): 1}
    ends = Counter(n.alarm_id for n in ledger.notices if n.body["change"] == "returned")
    assert all(
        ends[alarm.id] == 1 for alarm in ledger.alarms() if alarm.is_told and alarm.returned_ms is not None
    )
    damped = {change.alarm.id for change in ledger.changes if change.reason.startswith(DAMPED)}
    begin_ms = scenario.begin_ms
    found = statistics_of(ledger.alarms(), begin_ms, begin_ms + HOUR_S * 1_000, damped)
    assert found["damped"] == 495 * SWINGS - (10 + 25) * 3
    assert found["chattering"] == 10 + 25 + 5


CHATTER: Final = f'[kw]\n"r{{001..002}}" = "50x12"\n[measured."air.inlet"]\nr001 = "{"33x1 24x1 " * 6}"\n'


def pages(ledger: MemoryLedger, rule: str, change: str = "opened") -> list[dict[str, Any]]:
    """Return the pages of a rule."""
    return [dict(n.body) for n in ledger.notices if n.body["rule"] == rule and n.body["change"] == change]


def test_the_page_of_a_chatter_says_how_often_and_until_when(tmp_path: Path) -> None:
    """And so do the last page of the alarm itself, and its end: whoever reads them hears no more of it."""
    ledger = paged(a_scenario(tmp_path, CHATTER, racks=2))

    (page,) = pages(ledger, "Q10")
    until = "told again only where it stands for 60 s or is critical, until it has been quiet for 10 min"
    assert page["headline"] == "[LOW] T1 r001: chatters, opened 3 times in 60 s"
    assert page["desks"] == ["T"]
    assert f"damped: {until}" in page["text"].splitlines()
    assert (page["openings"], page["openings_untold"]) == (3, 0)
    first, _, third = pages(ledger, "T1")
    assert "damped" not in first
    assert f"damped: {until}" in third["text"].splitlines()
    assert f"damped: {until}" in pages(ledger, "T1", "returned")[-1]["text"].splitlines()


def test_the_page_of_a_flood_says_how_many_and_where_they_are(tmp_path: Path) -> None:
    """The first ten were told."""
    said = '[kw]\n"r{001..312}" = "50x3"\n[measured."air.inlet"]\n"r{001..312}" = "24x1 30x2"\n'
    ledger = paged(a_scenario(tmp_path, said, racks=312))

    (page,) = pages(ledger, "Q10")
    assert page["headline"] == "[LOW] T1: 312 alarms, more than 10 in 10 min"
    lines = page["text"].splitlines()
    assert "opened: 312, not told 302" in lines
    assert "damped: below high severity 10 in 10 min are told; `megawatch alarms` lists all" in lines
    assert len(pages(ledger, "T1")) == 10


def test_the_channel_hears_of_a_flood_of_medium_alarms(tmp_path: Path) -> None:
    """It would have heard of the alarms."""
    said = '[kw]\n"r{001..020}" = "50x3"\n[measured."air.inlet"]\n"r{001..020}" = "24x1 30x2"\n'
    ledger = paged(a_scenario(tmp_path, said, racks=20, rules=f"{AT_ONCE}severity = 2"))

    (page,) = pages(ledger, "Q10")
    assert (page["severity"], page["desks"]) == ("medium", ["T", "P2"])


def test_nothing_is_damped_where_the_rule_is_off(tmp_path: Path) -> None:
    """Each opening is told."""
    ledger = paged(a_scenario(tmp_path, CHATTER, racks=2, rules=f"{AT_ONCE}[rules.Q10]\nenabled = false"))

    assert len(pages(ledger, "T1")) == 6
    assert not pages(ledger, "Q10")


def test_the_rule_damps_as_the_standards_count() -> None:
    """Where the site file says nothing else."""
    assert AlarmHealth.model_validate({}).damping == USUAL


@pytest.mark.parametrize("part", ["take", "close", "view"])
def test_a_fault_of_the_damping_holds_nothing_back(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every opening is told, and the rule is unhealthy."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("integer modulo by zero")

    scenario, errors = a_scenario(tmp_path, CHATTER, racks=2), []

    def note(engine: Judging, _: object, step: int) -> Judging:
        if step == 1:
            monkeypatch.setattr(Openings, part, fail)
        errors.append({judge.rule.name: judge.error for judge in engine.judges if judge.error})
        return engine

    steps = list[Step]()
    run(scenario, steps.append, again=note)

    changes = [change for step in steps for change in step.changes if change.rule == "T1"]
    assert Counter(change.is_told for change in changes) == {True: 11}
    assert errors[-1] == {"Q10": "ZeroDivisionError: integer modulo by zero"}
