"""A rule that raises is unhealthy and keeps its alarms; everything else goes on, and no page is lost."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from rules.base import Findings, Rule
from rules.causes import Causes, HiddenBy, Relation
from rules.engine.judging import Judging
from rules.library.contract.c1_draw_near_limit import DrawNearLimit
from rules.library.contract.c2_overdraw import Overdraw
from rules.library.data.q1_rack_silent import RackSilent
from rules.model.rows import Links
from rules.view import View
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.rules.halls import (
    AT_ONCE,
    BUS,
    EVERY_SECOND,
    Tape,
    a_judging,
    known_racks_of,
    lines_of,
    one_tenant,
    play,
)
from testing.rules.services import a_service

FROM_MS: Final = T0_MS + 30_000
"""From when on the rule below raises."""
UNTIL_MS: Final = T0_MS + 60_000


class Faulty(Overdraw):
    """C2, with a fault that shows in one half minute."""

    @staticmethod
    def fails(view: View) -> bool:
        """Tell whether it is the half minute."""
        return FROM_MS <= view.at_ms < UNTIL_MS

    def judge(self, view: View) -> Findings:
        """Judge, or raise."""
        if self.fails(view):
            raise ZeroDivisionError("integer modulo by zero")
        return super().judge(view)


class Misshapen(Faulty):
    """C2, with findings of which one has another shape."""

    def judge(self, view: View) -> Findings:
        """Judge, with a column too short."""
        found = Overdraw.judge(self, view)
        return replace(found, value=np.zeros(0)) if self.fails(view) else found


class Bodiless(Faulty):
    """C2, not able to say whom it is about."""

    def judge(self, view: View) -> Findings:
        """Judge as ever."""
        return Overdraw.judge(self, view)

    def subjects(self, view: View) -> tuple[str, ...]:
        """Return the tenants, or raise."""
        if self.fails(view):
            raise KeyError("acme")
        return super().subjects(view)


FAULTY = [Faulty, Misshapen, Bodiless]


def an_engine_of(*rules: Rule) -> Judging:
    """Return an engine of some rules."""
    return Judging(
        one_tenant(200), {BUS: EVERY_SECOND}, rules, tick_ms=1_000, lateness_ms=0, patience=AT_ONCE
    )


def rule_of(kind: type[Rule]) -> Rule:
    """Return a rule as it is without parameters."""
    return kind.model_validate({})


def a_tape(*powers_kw: tuple[int, float]) -> Tape:
    """Return three racks that draw the same, from given seconds on, up to second 125."""
    tape = Tape()
    tape.put(T0_MS - 1_000, known_racks_of(one_tenant(200)))
    tape.connect(T0_MS - 1_000)
    for second in range(125):
        power_kw = next(power for since, power in reversed(powers_kw) if since <= second)
        tape.second(second, *[power_kw] * 3)
    return tape


@pytest.mark.parametrize("kind", FAULTY)
def test_the_other_rules_judge_on(kind: type[Rule]) -> None:
    """C1 opens in the half minute in which C2 raises, at the second at which it opens beside a sound C2."""
    tape = a_tape((0, 50), (10, 65))

    sound = lines_of(play(an_engine_of(rule_of(Overdraw), rule_of(DrawNearLimit)), tape.entries), "C1")
    beside = lines_of(play(an_engine_of(rule_of(kind), rule_of(DrawNearLimit)), tape.entries), "C1")

    assert beside == sound == ["70 C1 acme opened"]


@pytest.mark.parametrize("kind", FAULTY)
def test_an_alarm_that_stands_stays(kind: type[Rule]) -> None:
    """It neither returns nor opens anew, although the draw falls while nobody can judge it."""
    tape = a_tape((0, 80), (40, 50))

    changes = lines_of(play(an_engine_of(rule_of(kind)), tape.entries))

    assert changes == ["5 C2 acme opened", "120 C2 acme returned"]


@pytest.mark.parametrize("kind", FAULTY)
def test_nothing_opens_that_nobody_judged(kind: type[Rule]) -> None:
    """An overdraw that begins meanwhile opens when the rule judges again, by what it judges then."""
    tape = a_tape((0, 50), (28, 80))

    opened = lines_of(play(an_engine_of(rule_of(kind)), tape.entries))

    assert opened == ["60 C2 acme opened"]


@pytest.mark.parametrize("kind", FAULTY)
def test_it_is_unhealthy_with_its_error_until_it_judges_again(kind: type[Rule]) -> None:
    """The last error is kept as long as it holds."""
    tape = a_tape((0, 50))
    engine = an_engine_of(rule_of(kind))

    play(engine, [entry for entry in tape.entries if entry.stamp_ms <= FROM_MS + 5_000])
    error = engine.judges[0].error
    play(engine, [entry for entry in tape.entries if entry.stamp_ms > FROM_MS + 5_000])

    assert error.partition(":")[0] in {"ZeroDivisionError", "ValueError", "KeyError"}
    assert not engine.judges[0].error


class Unsure(RackSilent):
    """Q1, not able to say which racks an alarm stands for."""

    @classmethod
    def causes_of(cls, alarm_rule: str) -> Causes:
        """Return what hides it here."""
        del alarm_rule
        return (HiddenBy("Q1", Relation.MEMBER_OF, is_early=True),)

    def racks(self, view: View) -> Links:
        """Raise."""
        del view
        raise LookupError("Q3")


def test_what_can_not_be_held_back_is_told() -> None:
    """A fault in suppression hides no alarm."""
    tape = a_tape((0, 50))
    engine = an_engine_of(rule_of(Unsure))

    changes = [c for step in play(engine, tape.entries, until_ms=T0_MS + 200_000) for c in step.changes]

    assert changes
    assert all(change.is_told for change in changes)
    assert engine.judges[0].error == "LookupError: Q3"


# The service ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FAULTY)
def test_every_page_of_the_others_is_kept(kind: type[Rule], tmp_path: Path) -> None:
    """All in one step, as after a stop: what was judged before, beside and after the fault is told."""
    tape = a_tape((0, 50), (10, 65), (90, 80))
    engine = an_engine_of(rule_of(kind), rule_of(DrawNearLimit))
    with closing(Ledger(tmp_path)) as ledger:
        a_service(engine, tape, ledger, tmp_path, site=one_tenant(200)).step(T0_MS + 121_000)

        told = sorted((n.source_ms, n.body["rule"], n.body["change"]) for n in ledger.notices())

    assert [((at_ms - T0_MS) // 1_000, rule, change) for at_ms, rule, change in told] == [
        (70, "C1", "opened"),
        (95, "C2", "opened"),
    ]


def test_a_failing_rule_is_shown_as_long_as_it_fails(tmp_path: Path) -> None:
    """For `status`, and for those who are told."""
    tape = a_tape((0, 50))
    tape.entries = [entry for entry in tape.entries if entry.stamp_ms <= FROM_MS + 5_000]
    engine = an_engine_of(rule_of(Faulty), rule_of(DrawNearLimit))
    with closing(Ledger(tmp_path)) as ledger:
        service = a_service(engine, tape, ledger, tmp_path, site=one_tenant(200))
        service.step(FROM_MS + 5_000)
        failing = dict(service.lag.failing)
        service.step(T0_MS + 121_000)

    assert failing == {"C2": "ZeroDivisionError: integer modulo by zero"}
    assert service.lag.failing == {}


def test_a_tick_that_can_not_be_judged_loses_no_page_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever raises in the engine itself: what was judged before it is saved and told, and it is shown."""
    tape = a_tape((0, 50), (10, 80))
    engine = an_engine_of(rule_of(Overdraw))
    taken = engine.live.knowledge.at

    def breaks(at_ms: int) -> object:
        if at_ms >= FROM_MS:
            raise RuntimeError("a fault of the engine")
        return taken(at_ms)

    monkeypatch.setattr(engine.live.knowledge, "at", breaks)
    with closing(Ledger(tmp_path)) as ledger:
        service = a_service(engine, tape, ledger, tmp_path, site=one_tenant(200))
        service.step(T0_MS + 121_000)

        assert [notice.body["change"] for notice in ledger.notices()] == ["opened"]
    assert service.lag.error == "RuntimeError: a fault of the engine"


def test_no_rule_fails_before_anything_is_described() -> None:
    """A site whose racks nobody has spoken of yet is judged by every rule."""
    site = one_tenant(200)
    engine = a_judging(replace(site, settings={rack: {"rated_lpm": 100.0} for rack in site.racks}))
    tape = Tape()
    tape.connect(T0_MS)
    play(engine, tape.entries, until_ms=T0_MS + 10_000)

    assert engine.live.tick_ms is not None
    assert [judge.error for judge in engine.judges] == [""] * len(engine.judges)
