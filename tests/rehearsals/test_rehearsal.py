"""Rehearsals themselves: time goes on, whatever the engine does."""

from __future__ import annotations

import pytest

from megawatch.rehearse import Rehearsal
from rules.engine import Engine, Step
from simulators.scenario.file import open_scenario


def test_an_engine_that_holds_its_ticks_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time that passes asks it once; the clock goes on; later the held ticks are judged."""
    scenario = open_scenario("i_grid_sag")
    begin_ms, tick_ms = scenario.begin_ms, scenario.site.engine.tick_ms
    rehearsal = Rehearsal(scenario.site, begin_ms=begin_ms)
    rehearsal.hear([], begin_ms + 3_000)
    stands_ms = rehearsal.engine.tick_ms
    assert stands_ms is not None
    assert stands_ms > begin_ms
    asked: list[int] = []

    def hold(_engine: Engine, closed_ms: int) -> list[Step]:
        asked.append(closed_ms)
        assert len(asked) < 100, "asked again and again"
        return []

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "advance", hold)
        rehearsal.hear([], begin_ms + 60_000)
        rehearsal.hear([], begin_ms + 61_000)
    assert len(asked) == 2
    assert rehearsal.now_ms == begin_ms + 61_000
    assert rehearsal.engine.tick_ms == stands_ms

    rehearsal.hear([], begin_ms + 62_000)

    assert rehearsal.engine.tick_ms == stands_ms + (62_000 - 3_000) // tick_ms * tick_ms
