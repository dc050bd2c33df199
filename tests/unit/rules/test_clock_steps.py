"""The machine's clock is set: judging goes on where it was set to, and no rack is blamed for it."""

from __future__ import annotations

import numpy as np
import pytest

from facility.instants import HOUR_MS
from facility.points import Cadence
from rules.alarms.states import Bank
from rules.alarms.time_above import TimeAbove
from rules.base import Findings, Severity, Verdict
from rules.engine.engine import Step
from store.journal.entries import MarkKind
from testing.builders import T0_MS
from testing.rules.halls import KW, Tape, an_engine, at_once, known_racks_of, lines_of, one_tenant, play

YEAR_MS = 365 * 86_400_000
SET_S, END_S = 30, 90
STEPS = {"paused for 90 s": 90_000, "was an hour fast": -HOUR_MS, "was started in 1970": 56 * YEAR_MS}


def a_tape(by_ms: int, *, power_kw: float, cadence: Cadence, machine_ms: int) -> Tape:
    """Return a journal of racks that publish right stamps, on a machine whose clock is set after 30 s.

    Args:
        by_ms: By how much [ms].
        power_kw: What each rack draws from then on [kW].
        cadence: When the racks publish.
        machine_ms: How far the machine's clock is off before [ms].
    """
    tape = Tape()
    tape.put(T0_MS - 1_000 + machine_ms, known_racks_of(one_tenant(), cadence=cadence))
    tape.connect(T0_MS - 1_000 + machine_ms)
    passed_ms = machine_ms + by_ms
    for second in range(END_S):
        if second == SET_S:
            now_ms = T0_MS + second * 1_000
            tape.mark(now_ms + passed_ms, MarkKind.STEPPED, since_ms=now_ms + machine_ms, broker="*")
        is_before = second < SET_S
        at_ms = T0_MS + second * 1_000 + (0 if is_before else passed_ms)
        if is_before or cadence is Cadence.PERIODIC or second % 5 == 0:
            received_ms = at_ms + 10 + (machine_ms if is_before else 0)
            batch = at_once([50 if is_before else power_kw] * 3, at_ms, received_ms=received_ms)
            tape.put(received_ms + 10, batch)
    return tape


def judged(
    by_ms: int, *, power_kw: float = 50, cadence: Cadence = Cadence.PERIODIC
) -> tuple[list[Step], int]:
    """Return what was judged, and when the clock was set by what it says since then [ms]."""
    machine_ms = 0 if by_ms == 90_000 else -by_ms
    tape = a_tape(by_ms, power_kw=power_kw, cadence=cadence, machine_ms=machine_ms)
    set_ms = next(e.stamp_ms for e in tape.entries if getattr(e.content, "kind", "") == MarkKind.STEPPED)
    return play(an_engine(one_tenant(), lateness_ms=200, tick_ms=250), tape.entries), set_ms


@pytest.mark.parametrize("by_ms", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("cadence", list(Cadence))
def test_no_rack_is_blamed_for_our_own_clock(by_ms: int, cadence: Cadence) -> None:
    """No tick between the two times is judged, and no rack is silent for what the clock left out."""
    steps, set_ms = judged(by_ms, cadence=cadence)

    after = [step for step in steps if step.seq > SET_S + 5]
    assert len(steps) < 4 * (END_S + 5)
    assert {step.at_ms >= set_ms - 250 for step in after} == {True}
    assert not lines_of(after, "Q1", "Q3", "Q2")


@pytest.mark.parametrize("by_ms", STEPS.values(), ids=STEPS)
def test_an_overdraw_after_the_step_is_told(by_ms: int) -> None:
    """Racks that draw 240 of 200 kW from the step on: known from the first reading, told after its delay."""
    steps, set_ms = judged(by_ms, power_kw=80)

    opened = [change for step in steps for change in step.changes if change.rule == "C2"]
    assert [change.at_ms - set_ms < 7_000 for change in opened] == [True]
    assert steps[-1].draws == () or steps[-1].draws[0].low_milliwatts == 240 * KW


@pytest.mark.parametrize("by_ms", STEPS.values(), ids=STEPS)
def test_what_was_pending_by_a_clock_that_was_wrong_begins_anew(by_ms: int) -> None:
    """Above for 3 s before the step, then unknown, then above for 3 s: no alarm."""
    bank = Bank("C2", Severity.HIGH, 5_000, 60_000, TimeAbove(60_000, 20_000))

    assert opened_in(bank, T0_MS, "..xxx") == []
    bank.begin_anew()
    assert opened_in(bank, T0_MS + 5_000 + by_ms, "?????xxx") == []
    assert opened_in(bank, T0_MS + 13_000 + by_ms, "xxx") == [2_000]


@pytest.mark.parametrize("by_ms", STEPS.values(), ids=STEPS)
def test_what_was_above_by_a_clock_that_was_wrong_is_no_time_above(by_ms: int) -> None:
    """Swings of 16 s before the step are forgotten, and what the clock left out is no time above."""
    bank = Bank("C2", Severity.HIGH, 5_000, 60_000, TimeAbove(60_000, 20_000))

    assert opened_in(bank, T0_MS, ".xxxx.xxxx.xxxx.xxxx") == []
    bank.begin_anew()
    assert opened_in(bank, T0_MS + 20_000 + by_ms, ".xxxx.xxxx.xxxx.xxxx.xxxx") == [24_000]


def opened_in(bank: Bank, begin_ms: int, verdicts: str) -> list[int]:
    """Return when an alarm opens, second by second: x for a breach, ? for unknown, . for clear [ms]."""
    found = []
    for second, verdict in enumerate(verdicts):
        breach, clear = np.array([verdict == "x"]), np.array([verdict == "."])
        findings = Findings(
            verdict=np.where(breach, Verdict.BREACH, np.where(clear, Verdict.CLEAR, Verdict.UNKNOWN)).astype(
                np.int8
            ),
            value=np.full(1, 240.0),
            limit=np.full(1, 200.0),
            returned=clear,
        )
        at_ms = begin_ms + second * 1_000
        found += [change.at_ms - begin_ms for change in bank.step(("acme",), findings, at_ms)]
    return found
