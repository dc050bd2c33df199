"""At a first start ticks wait until the broker has sent what describes the site, for a while at most."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from facility.graph import Graph
from facility.points import Point
from facility.site import Site
from rules.draw.metering_boundary import LayoutBuilder
from rules.draw.summation_plan import Layout
from rules.engine import arrangement
from rules.engine.engine import BEGINNING_MS, Engine
from rules.engine.settled import Patience
from store.journal.entries import MarkKind
from testing.builders import T0_MS
from testing.rules.halls import Tape, a_judging, an_engine, at_once, known_rack, lines_of, one_tenant, play

BUSY_KW = 70.0
DESCRIBED_MS = T0_MS + 2_500


def a_tape(end: MarkKind | None = MarkKind.CAUGHT_UP, *, seconds: int = 10) -> Tape:
    """Return a journal: the points of three racks come second by second, and the tenant draws too much.

    Args:
        end: What is said once all have come; None for nothing.
        seconds: How long they draw.
    """
    tape = Tape()
    tape.mark(T0_MS, MarkKind.STARTED)
    tape.mark(T0_MS + 20, MarkKind.CONNECTED)
    for second in range(seconds):
        at_ms = T0_MS + second * 1_000
        if second < 3:
            tape.put(at_ms + 100, (known_rack(second, f"r{second}"),))
        known = [BUSY_KW] * min(second + 1, 3)
        tape.put(at_ms + 200, at_once(known, at_ms + 150, received_ms=at_ms + 180))
        if second == 2 and end is not None:
            tape.mark(DESCRIBED_MS, end)
    return tape


def the_engine() -> Engine:
    """Return an engine of a tenant of 200 kW that waits 200 ms for readings."""
    return an_engine(one_tenant(), tick_ms=250, lateness_ms=200)


def test_one_layout_is_made_of_all_that_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many entries describe the site, what it is summed of is found once."""
    made = []

    class Counted(LayoutBuilder):
        def build(self, instant_ms: int) -> Layout:
            made.append(instant_ms)
            return super().build(instant_ms)

    monkeypatch.setattr(arrangement, "LayoutBuilder", Counted)

    play(the_engine(), a_tape().entries)

    assert made == [T0_MS + 250]


def test_both_judgements_use_what_one_of_them_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layout is made once for live and settled ticks, where both know the same."""
    made = []

    class Counted(LayoutBuilder):
        def __init__(self, site: Site, graph: Graph, points: Mapping[int, Point]) -> None:
            made.append(sorted(points))
            super().__init__(site, graph, points)

    monkeypatch.setattr(arrangement, "LayoutBuilder", Counted)
    patience = Patience(grace_ms=5_000, silent_ms=5_000, away_ms=5_000)
    judging = a_judging(one_tenant(), tick_ms=250, lateness_ms=200, patience=patience)

    steps = [step for entry in a_tape(seconds=20).entries for step in judging.take(entry)]

    assert {step.is_settled for step in steps} == {True, False}
    assert made == [[0, 1, 2]]


@pytest.mark.parametrize("end", [MarkKind.CAUGHT_UP, MarkKind.LOST])
def test_the_first_ticks_are_judged_in_order_once_the_site_is_described(end: MarkKind) -> None:
    """Nothing is left out: also where the broker goes away meanwhile."""
    tape = a_tape(end)
    at = next(i for i, entry in enumerate(tape.entries) if entry.stamp_ms == DESCRIBED_MS)
    engine = the_engine()

    before = play(engine, tape.entries[:at], until_ms=DESCRIBED_MS - 1)
    is_held = engine.is_held
    after = play(engine, tape.entries[at:])

    assert before == []
    assert is_held
    assert not engine.is_held
    assert [step.at_ms for step in after[:3]] == [T0_MS + 250, T0_MS + 500, T0_MS + 750]


def test_an_overdraw_meanwhile_opens_when_it_would_have_opened() -> None:
    """It is told when all is judged, and dated by its own time."""
    steps = play(the_engine(), a_tape().entries)

    assert lines_of(steps, "C2") == ["7.25 C2 acme opened"]


def test_a_broker_that_never_comes_to_an_end_is_waited_for_for_a_while() -> None:
    """Who publishes without a pause may never be seen to have sent everything."""
    engine, seconds = the_engine(), BEGINNING_MS // 1_000
    tape = a_tape(None, seconds=seconds + 2)
    held = [entry for entry in tape.entries if entry.stamp_ms < T0_MS + BEGINNING_MS]

    during = play(engine, held, until_ms=T0_MS + BEGINNING_MS - 1)
    after = engine.advance(T0_MS + BEGINNING_MS)

    assert during == []
    assert after[0].at_ms == T0_MS + 250
    assert after[-1].at_ms == T0_MS + BEGINNING_MS - 250
    assert lines_of(after, "C2") == ["7.25 C2 acme opened"]


def test_a_snapshot_keeps_that_the_site_is_being_described() -> None:
    """A restart meanwhile waits for as long as was left."""
    engine, again = the_engine(), the_engine()
    tape = a_tape(None, seconds=3)
    play(engine, tape.entries)

    again.load(*engine.save(), tape.entries, "a snapshot")

    assert again.is_held
    assert again.advance(T0_MS + BEGINNING_MS - 1) == []
    assert again.advance(T0_MS + BEGINNING_MS) != []
