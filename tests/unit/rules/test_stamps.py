"""What stamps do to a verdict: equal ones, future ones and late ones never make a limit kept for certain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from facility.readings import Batch, BoolArray, FloatArray, IntArray
from rules.engine.engine import Engine, Step
from store.journal.deduplication import Seen
from store.journal.entries import Content, Entry
from store.journal.intake import Intake, contents_of, sift
from testing.builders import T0_MS
from testing.rules.halls import KW, Tape, an_engine, at_once, known_racks_of, lines_of, one_tenant

RACKS = 4
TICK_MS, LATENESS_MS = 250, 250


def _find_nothing(point: IntArray, _source_ms: IntArray) -> tuple[BoolArray, FloatArray]:
    """Say that nothing lies on the disk."""
    return np.zeros(len(point), np.bool_), np.full(len(point), np.nan)


@dataclass
class Monitor:
    """A journal that knows what it has stored, and an engine on it.

    Attributes:
        limit_kw: What the one tenant may draw, of four racks of 100 kW [kW].
        steps: What was judged.
    """

    limit_kw: int
    steps: list[Step] = field(default_factory=list)
    _seen: Seen = field(default_factory=Seen)
    _tape: Tape = field(default_factory=Tape)

    def __post_init__(self) -> None:
        site = one_tenant(self.limit_kw, racks=RACKS)
        self._engine: Engine = an_engine(site, tick_ms=TICK_MS, lateness_ms=LATENESS_MS)
        self._put(T0_MS - 1_000, known_racks_of(site))
        self._tape.connect(T0_MS - 1_000)
        for entry in self._tape.entries:
            self._engine.take(entry)

    def hear(self, batch: Batch) -> None:
        """Take in readings that came together, as an append to the journal does."""
        sifted = sift(batch, self._seen, _find_nothing)
        self._seen.remember(sifted.kept.take(~np.isnan(sifted.kept.value)))
        for content in contents_of(Intake(), sifted):
            self.steps += self._engine.take(self._put(int(batch.received_ms[-1]) + 5, content))

    def advance(self, at_ms: int) -> None:
        """Judge on to a moment [ms]."""
        self.steps += self._engine.advance(at_ms)

    def _put(self, stamp_ms: int, content: Content) -> Entry:
        return self._tape.put(stamp_ms, content)

    def bounds(self, from_s: float) -> Iterator[tuple[int, int]]:
        """Yield the bounds of the draw on every second from one on [kW]."""
        for step in self.steps:
            if step.draws and step.at_ms >= T0_MS + from_s * 1_000:
                low, high = step.draws[0].low_milliwatts, step.draws[0].high_milliwatts
                yield low // KW, -1 if high is None else high // KW


def test_several_values_of_one_stamp_are_never_a_clear() -> None:
    """Four documents a second, stamped in whole seconds: 60, 95, 95 and 95 kW are a mean of 345, not 240."""
    monitor = Monitor(limit_kw=300)
    for second in range(30):
        at_ms = T0_MS + second * 1_000
        for part, power_kw in enumerate((60, 95, 95, 95)):
            received_ms = at_ms + part * 250 + 10
            monitor.hear(at_once([power_kw] * RACKS, at_ms, received_ms=received_ms))

    assert {high > 300 for _, high in monitor.bounds(from_s=1)} == {True}


def test_one_reading_of_the_future_hides_no_overdraw() -> None:
    """40 kW stamped 29.5 s ahead, then honest 60s of 4 racks: 240 kW of 200 from the next second on."""
    monitor = Monitor(limit_kw=200)
    monitor.hear(at_once([40] * RACKS, T0_MS + 29_500, received_ms=T0_MS + 10))
    for second in range(1, 20):
        at_ms = T0_MS + second * 1_000
        monitor.hear(at_once([60] * RACKS, at_ms, received_ms=at_ms + 10))

    assert set(monitor.bounds(from_s=1)) == {(240, 240)}
    assert [line for line in lines_of(monitor.steps, "C2") if "opened" in line] == ["6 C2 acme opened"]


def test_readings_that_become_late_prove_no_clear() -> None:
    """Right stamps, 20 s late from second 30 on: live, nobody knows; no rack that speaks is silent."""
    monitor = Monitor(limit_kw=390)
    for second in range(60):
        at_ms, late_ms = T0_MS + second * 1_000, 10 if second < 30 else 20_000
        monitor.hear(at_once([50 if second < 40 else 99] * RACKS, at_ms, received_ms=at_ms + late_ms))
    monitor.advance(T0_MS + 80_000)

    assert set(monitor.bounds(from_s=31)) == {(0, 400)}
    # While nothing arrived they were silent, and not from then on.
    opened = [line for line in lines_of(monitor.steps, "Q1", "Q3") if "opened" in line]
    assert len(opened) == RACKS + 1
    assert {float(line.split()[0]) < 50 for line in opened} == {True}
