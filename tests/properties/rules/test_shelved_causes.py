"""Whatever people shelve, and when: nothing graver than a shelved cause that they did not shelve is untold.

Facility water is too warm (T17, medium); coolant units (T5) and racks (T6) are, for it, and highly so.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules.alarms.states import alarm_id
from rules.base import Severity
from rules.engine.engine import Step
from rules.engine.judging import Judging
from rules.notify.routing import Route
from rules.notify.telling import Teller, Telling
from rules.registry import make_rules
from store.journal.entries import Entry
from store.ledger.alarms import Progress
from store.ledger.suppressions import Suppression, SuppressionKind
from testing.fakes.memory_ledger import MemoryLedger
from testing.scenarios.reading import FOLDER, Scenario, read
from testing.scenarios.runner import run

WATER: Final = ("T17", "T5", "T6")
HIDDEN: Final = {"T5": ("cdu1", "cdu2"), "T6": ("a1", "a2", "a3")}
STEPS: Final = 40
HOT: Final = 13
"""A step at which the alarms of coolant units stand, and those of racks are about to open."""


@cache
def warm_water() -> Scenario:
    """Return what happens at the site."""
    return read(FOLDER / "t17_facility_water_warm" / "chillers_stop.toml")


def a_shelf(number: int, rule: str, begin: int, end: int, *subjects: str) -> Suppression:
    """Return what shelves a rule, or some of its subjects, from one step to another."""
    begin_ms, step_ms = warm_water().begin_ms, warm_water().step_ms
    return Suppression(
        id=str(number),
        kind=SuppressionKind.SHELVED,
        rules=(rule,),
        subjects=subjects,
        from_ms=begin_ms + begin * step_ms,
        to_ms=begin_ms + end * step_ms,
        by="ann",
        why="it is known",
        made_ms=begin_ms + begin * step_ms,
    )


@st.composite
def shelves(draw: st.DrawFn) -> list[Suppression]:
    """Draw what is shelved, each for some steps: some rules whole, and others' subjects one by one.

    All of them begin before racks are hot, and end while they are, or later.
    """
    whole = draw(st.sampled_from([WATER, WATER, ("T17", "T5"), ("T17", "T6"), ("T17",)]))
    named = [(rule, name) for rule in HIDDEN for name in HIDDEN[rule]]
    single = draw(st.lists(st.sampled_from(named), max_size=4))
    ends = st.one_of(st.integers(HOT + 1, HOT + 10), st.integers(HOT + 1, STEPS + 1))
    return [
        a_shelf(number, rule, draw(st.integers(0, HOT)), draw(ends), *subjects)
        for number, (rule, *subjects) in enumerate([*((rule,) for rule in whole), *single])
    ]


ALL: Final = [a_shelf(0, "T17", 9, 40), a_shelf(1, "T5", 0, 40), a_shelf(2, "T6", 0, 18)]
"""All are shelved, and racks are so no longer while they are hot."""


@settings(max_examples=60)
@given(kept=shelves(), restarts=st.booleans())
@example(kept=ALL, restarts=False)
@example(kept=ALL, restarts=True)
def test_what_nobody_shelved_is_told_by_its_cause(*, kept: list[Suppression], restarts: bool) -> None:
    """At each step: told by facility water at its own severity, as long as that stands."""
    scenario, ledger = warm_water(), MemoryLedger()
    ledger.kept = kept
    rules = {rule.name: rule for rule in make_rules(scenario.file.rules, [])}

    def a_teller() -> Teller:
        return Teller(ledger, rules, site=scenario.file.site, routes=(Route(name="pager"),))

    tellers = [a_teller()]

    def save(told: Telling, at_ms: int) -> None:
        ledger.save(Progress(seq=1, tick_ms=at_ms, changes=told.changes, notices=told.notices))
        tellers[-1].saved()

    def keep(step: Step) -> None:
        changes = [change for change in step.changes if change.rule in WATER]
        save(tellers[-1].tell(changes, step.view, step.at_ms), step.at_ms)

    def follow(judging: Judging, _: list[Entry], __: int) -> Judging:
        if (view := judging.live.view) is not None:
            save(tellers[-1].follow(view, view.at_ms), view.at_ms)
            check(judging, view.at_ms, ledger)
            if restarts:
                tellers.append(a_teller())
        return judging

    run(scenario, keep, again=follow)
    keys = [notice.key for notice in ledger.notices]
    assert len(keys) == len(set(keys))


def check(judging: Judging, at_ms: int, ledger: MemoryLedger) -> None:
    """Hold what was told against what stands, and what is shelved."""
    banks = {judge.rule.name: judge.bank for judge in judging.live.judges if judge.rule.name in WATER}
    cause = banks["T17"]
    if not cause.is_active.any():
        return
    its_id = alarm_id("T17", cause.subjects[0], int(cause.opened_ms[0]))
    told = max((Severity.of(n.body["severity"]) for n in ledger.notices_of(its_id)), default=-1)
    in_force = ledger.suppressions(at_ms)
    is_held = any(one.covers(its_id, "T17", cause.subjects[0], ()) for one in in_force)
    for rule in HIDDEN:
        bank = banks[rule]
        for place in np.flatnonzero(bank.stands).tolist():
            subject, opened_ms = bank.subjects[place], int(bank.opened_ms[place])
            own = int(bank.own_severities[place])
            is_free = not any(
                one.covers(alarm_id(rule, subject, opened_ms), rule, subject, ()) for one in in_force
            )
            is_mild = is_held and own <= int(cause.own_severities[0])
            assert not is_free or is_mild or own <= told, (rule, subject, at_ms)
