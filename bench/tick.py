"""Engine tick: all rules over every subject of a site of racks, as readings come in; beside plain objects.

A tick is a quarter of a second, as the product has it; once a second what is measured is judged as well. CPU
is that of a whole tick: the readings since the one before are taken in, and every rule judges. And what a
reading costs the rules: taking it in, with its share of the ticks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from bench.frame import Figure
from bench.plainrules import PlainRacks
from bench.site import SIZES, BenchSite, a_site
from facility.instants import MINUTE_MS, SECOND_MS
from facility.readings import Batch, IntArray
from facility.site import Site
from megawatch.run.process import give_back_memory
from rules.engine.judging import Judging
from rules.engine.settled import Patience
from rules.registry import RULES, make_rules
from rules.telemetry.timing import Timing
from store.journal.entries import Entry, Known, Mark, MarkKind

T0_MS: Final = 1_780_000_000_000 // MINUTE_MS * MINUTE_MS
TICK_MS: Final = 250
READINGS: Final = 20_000
"""What a second brings: a site of 2,270 racks on the DSX bus says as much."""
WARM_UP_MS: Final = 65_000
"""After so long every window is whole but those of minutes, and each has slid."""
NO_PARAMETERS: Final[Mapping[str, Mapping[str, Any]]] = {}
SOON: Final = Patience(grace_ms=0, silent_ms=0, away_ms=0)


@dataclass(slots=True)
class _Ticks:
    """What ticks cost [ms CPU].

    Attributes:
        whole: Live ticks on whole seconds.
        between: Live ticks between them.
        settled: Settled ticks.
        without: Rules that have no subjects at the site.
    """

    whole: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)
    settled: list[float] = field(default_factory=list)
    without: list[str] = field(default_factory=list)

    @property
    def live(self) -> list[float]:
        """Every live tick."""
        return self.whole + self.between


def run(*, quick: bool = False) -> list[Figure]:
    """Measure ticks at three sizes, plain objects beside them, and a reading of 20,000 a second.

    Memory is given back to the system as `megawatch run` does it.
    """
    give_back_memory()
    figures = []
    for racks in SIZES[:2] if quick else SIZES:
        site = a_site(racks)
        figures += _figures(site, 10 if quick else 100, READINGS, f"{READINGS:,} readings a second")
        if racks == SIZES[-1]:
            figures += _figures(site, 100, racks, "and each rack's power each second, no others")
    what = (
        "a reading of 20,000 a second, taken in and judged by both, in batches of 100 ms and ticks of 250 ms"
    )
    figures.append(Figure(what=what, unit="µs CPU", samples=_readings(6 if quick else 20)))
    return figures


def _figures(site: BenchSite, seconds: int, readings: int, load: str) -> list[Figure]:
    """Return what ticks cost at a site.

    Args:
        site: The site.
        seconds: How long they are measured [s].
        readings: How many readings a second brings: as many as there are racks for the power of each.
        load: The same in words.
    """
    racks = len(site.powers)
    points = site.powers if readings == racks else np.arange(len(site.known))
    found = _ticks(site, points, readings, seconds)
    plain = PlainRacks(racks)
    theirs = [plain.tick_ms(T0_MS + second * SECOND_MS) for second in range(3)]
    lacking = f" (without subjects: {', '.join(found.without)})" if found.without else ""
    count = len(RULES) - len(found.without)
    return [
        Figure(
            what=f"tick of {count} rules{lacking}, {racks:,} racks, {len(site.known):,} points, {load}",
            unit="ms CPU",
            samples=found.live,
            aim="below 10 ms",
        ),
        Figure(what="  the worst of them", unit="ms CPU", samples=[max(found.live)]),
        Figure(
            what="  of these on whole seconds, with what is measured",
            unit="ms CPU",
            samples=found.whole,
            beside=f"the {plain.rules} rules about racks in plain objects",
            theirs=theirs,
            aim="below 10 ms",
        ),
        Figure(what="  the same tick settled", unit="ms CPU", samples=found.settled, aim="below 10 ms"),
    ]


def _ticks(site: BenchSite, points: IntArray, readings: int, seconds: int) -> _Ticks:
    """Return what ticks cost while so many readings a second come, of these points in turn."""
    judging = judging_of(site.site, site.known, tick_ms=TICK_MS, lateness_ms=0, patience=SOON)
    random = np.random.default_rng(7)
    judging.take(Entry(9, T0_MS, site.readings(np.arange(len(site.known)), T0_MS, random)))
    in_turn, found = _in_turn(points, readings * TICK_MS // SECOND_MS, random), _Ticks()
    for tick in range(1, (WARM_UP_MS + seconds * SECOND_MS) // TICK_MS + 1):
        at_ms = T0_MS + tick * TICK_MS
        entry = Entry(10 + tick, at_ms, site.readings(next(in_turn), at_ms, random))
        of_whole = found.whole if at_ms % SECOND_MS == 0 else found.between
        for engine, samples in ((judging.live, of_whole), (judging.settled, found.settled)):
            begin_s = time.thread_time()
            engine.take(entry)
            engine.advance(at_ms)
            if at_ms > T0_MS + WARM_UP_MS:
                samples.append(1_000 * (time.thread_time() - begin_s))
    found.without = [judge.rule.name for judge in judging.judges if not judge.bank.subjects]
    return found


def _in_turn(points: IntArray, count: int, random: np.random.Generator) -> Iterator[IntArray]:
    """Yield so many points at a time, all of them in turn, in another order each time."""
    while True:
        order = random.permutation(points)
        for begin in range(0, len(order), count):
            yield np.sort(order[begin : begin + count])


def _readings(seconds: int) -> list[float]:
    """Return what a reading costs to take in and to judge [µs CPU], second by second.

    The power of each of 20,000 racks is heard once a second, some milliseconds late, in an order that is not
    that of the racks.
    """
    site, patience = a_site(READINGS), Patience(grace_ms=2_000, silent_ms=3_000, away_ms=3_000)
    known = tuple(site.known[number] for number in site.powers.tolist())
    judging = judging_of(site.site, known, tick_ms=TICK_MS, lateness_ms=300, patience=patience)
    random = np.random.default_rng(7)
    parts = np.array_split(random.permutation(site.powers), 10)
    costs: list[float] = []
    for second in range(seconds):
        cost_s = 0.0
        for number, point in enumerate(parts, second * len(parts)):
            at_ms, nothing = T0_MS + (number + 1) * 100, np.zeros(len(point))
            received = np.sort(at_ms - random.integers(0, 100, len(point)))
            source = received - random.integers(2, 40, len(point))
            power = random.normal(95, 3, len(point)).round(2)
            content = Batch.of([point, source, received, power, nothing, nothing])
            entry = Entry(10 + number, at_ms, content)
            begin_s = time.process_time()
            judging.take(entry)
            judging.advance(at_ms)
            cost_s += time.process_time() - begin_s
        costs.append(cost_s * 1e6 / READINGS)
    return costs[4:]


def judging_of(
    site: Site, known: tuple[Known, ...], *, tick_ms: int, lateness_ms: int, patience: Patience
) -> Judging:
    """Return judgements of a site whose collector has begun.

    Args:
        site: What its file declares.
        known: Its points.
        tick_ms: Event time between two ticks [ms].
        lateness_ms: How long a live tick waits for readings on their way [ms].
        patience: How long a settled tick is left open.
    """
    timing = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=1_000, certain_ms=1_500)
    judging = Judging(
        site,
        {"bus": timing},
        make_rules(NO_PARAMETERS, []),
        tick_ms=tick_ms,
        lateness_ms=lateness_ms,
        patience=patience,
    )
    judging.take(Entry(1, T0_MS - 10, known))
    for i, kind in enumerate((MarkKind.STARTED, MarkKind.CONNECTED, MarkKind.CAUGHT_UP)):
        judging.take(Entry(2 + i, T0_MS - 5, Mark(kind, "bus", T0_MS - 5)))
    return judging
