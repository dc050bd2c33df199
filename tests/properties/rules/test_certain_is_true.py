"""Whatever stamps and networks do, a value that is called certain is what an exact observer would say."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from facility.readings import Batch, Flag, Quality
from rules.telemetry.state import Knowledge
from rules.telemetry.timing import Timing
from testing.builders import T0_MS
from testing.rules.halls import BUS, KW, known_rack

SECONDS, TICK_MS, LATENESS_MS = 150, 250, 250
QUIET_S = 8
"""Nothing is late before: what a clock was always behind can only be told from what came in time."""
TIMING = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=1_000, certain_ms=1_500)


@dataclass
class Source:
    """A rack that publishes by itself each second, with a clock and a network of its own.

    Attributes:
        chance: Where its faults come from.
        offset_ms: How far its clock is ahead, below zero for behind [ms].
        is_conforming: Whether nothing of it is late or lost.
        said: When it measured what [ms, kW].
    """

    chance: random.Random
    offset_ms: int
    is_conforming: bool
    said: list[tuple[int, int]] = field(default_factory=list)

    def second(self, second: int, phase_ms: int) -> list[tuple[int, int, int, bool]]:
        """Return what arrives of a second: when, stamped when, the value [kW], and whether it is refused."""
        at_ms = T0_MS + second * 1_000 + phase_ms
        power_kw = self.chance.choice((40, 60, 90)) if self.chance.random() < 0.4 else self.last_kw()
        self.said.append((at_ms, power_kw))
        received_ms, stamp_ms = at_ms + self.chance.randint(5, 150), at_ms + self.offset_ms
        if second >= QUIET_S and not self.is_conforming:
            happens = self.chance.random()
            if happens < 0.04:
                received_ms += self.chance.randint(400, 30_000)
            elif happens < 0.06:
                return []
            elif happens < 0.08 and self.offset_ms <= 0:
                stamp_ms = received_ms + self.chance.randint(1_000, 29_500)
            elif happens < 0.10:
                other = (received_ms + 200, stamp_ms, power_kw + 5, True)
                self.said.append((received_ms, power_kw + 5))
                return [(received_ms, stamp_ms, power_kw, False), other]
        return [(received_ms, stamp_ms, power_kw, False)]

    def last_kw(self) -> int:
        """Return what it said last [kW]."""
        return self.said[-1][1] if self.said else 50

    def at(self, at_ms: int) -> int:
        """Return what it measured last by a moment [kW]: what the observer knows."""
        return next(power for measured_ms, power in reversed(self.said) if measured_ms <= at_ms)


def a_batch(point: int, arrival: tuple[int, int, int, bool]) -> Batch:
    """Return one reading, or the doubt that a second value of one stamp leaves."""
    received_ms, stamp_ms, power_kw, is_refused = arrival
    value = float("nan") if is_refused else power_kw
    quality, flags = (Quality.REFUSED, Flag.CONFLICT) if is_refused else (Quality.GOOD, Flag.NONE)
    return Batch.of([[point], [stamp_ms], [received_ms], [value], [quality], [flags]])


def counts_ms(arrival: tuple[int, int, int, bool]) -> int:
    """Return from when on something counts: a doubt may be of any time that a tick waits for [ms]."""
    received_ms, stamp_ms, _, is_refused = arrival
    return min(received_ms, stamp_ms) - (LATENESS_MS if is_refused else 0)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_certain_is_true_and_what_conforms_is_never_silent(seed: int) -> None:
    """Lags, jitter, bursts, losses, equal stamps, stamps in the future, clocks ahead and behind."""
    chance = random.Random(seed)  # noqa: S311 - a course of events, not a secret
    sources = [
        Source(chance, offset_ms, is_conforming)
        for offset_ms in (0, chance.randint(300, 20_000), -chance.randint(300, 40_000))
        for is_conforming in (True, False)
    ]
    phases = [chance.randrange(0, 1_000, 25) for _ in sources]
    knowledge = Knowledge({BUS: TIMING}, LATENESS_MS)
    for number in range(len(sources)):
        knowledge.add(number, known_rack(number, f"r{number}").point)
    coming: list[tuple[int, int, tuple[int, int, int, bool]]] = []
    claimed = [0] * len(sources)

    for second in range(SECONDS):
        for number, source in enumerate(sources):
            coming += [(a[0], number, a) for a in source.second(second, phases[number])]
        for tick_ms in range(T0_MS + second * 1_000 - 1_000, T0_MS + second * 1_000, TICK_MS):
            coming.sort()
            # As the engine's queue does: what is there in time, but nothing before its own time.
            due = [c for c in coming if c[0] <= tick_ms + LATENESS_MS and counts_ms(c[2]) <= tick_ms]
            for one in due:
                coming.remove(one)
                knowledge.heard.hear(a_batch(one[1], one[2]))
            known = knowledge.at(tick_ms)
            if tick_ms < T0_MS + QUIET_S * 1_000:
                continue
            for number, source in enumerate(sources):
                said = f"seed {seed}, rack {number}, {(tick_ms - T0_MS) / 1_000} s"
                assert known.is_fresh[number] or not source.is_conforming, said
                if known.is_certain[number]:
                    claimed[number] += 1
                    # A wrong stamp can be put right to within the shortest and the longest way.
                    early_ms = 0 if source.is_conforming and not source.offset_ms else 150
                    late_ms = LATENESS_MS if source.offset_ms else 0
                    moments = range(tick_ms - early_ms, tick_ms + late_ms + 1, 25)
                    near = {source.at(at_ms) * KW for at_ms in moments}
                    assert known.power[number] in near, said

    ticks = (SECONDS - QUIET_S) * 1_000 // TICK_MS
    for number, source in enumerate(sources):
        assert claimed[number] > ticks * (0.7 if source.is_conforming else 0.1), f"seed {seed}, rack {number}"
