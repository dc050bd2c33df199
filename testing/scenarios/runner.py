"""Lets a site say what a scenario says, step by step, and follows its alarms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from facility.names import AssetId
from facility.points import Asset, Cadence, Point
from facility.quantities import QUANTITIES
from facility.readings import Batch, Quality
from rules.alarms.states import ACTIVE, PENDING, Bank, Change, Transition
from rules.engine.engine import Step
from rules.engine.judging import Judging
from rules.engine.settled import Patience
from rules.registry import make_rules
from rules.telemetry.timing import Timing
from store.journal.entries import EVERY_BROKER, Entry, Known, Mark, MarkKind
from testing.scenarios.reading import BROKER, Scenario, Value

PUBLISHER: Final = "PUB"
BEAT_MS: Final = 10_000
REPEAT_MS: Final = 100_000
AT_ONCE: Final = Patience(grace_ms=0, silent_ms=0, away_ms=0)
"""Settles each step as soon as it is judged live."""
AWAITED_MS: Final = 110_000
"""How long a rack that was never heard may still be starting [ms]."""


@dataclass(slots=True)
class Found:
    """What a scenario came to.

    Attributes:
        paths: The path of each alarm that the scenario expects something of.
        told: Everything that people hear.
        subjects: What each rule judged.
    """

    paths: dict[tuple[str, str], str]
    told: list[str]
    subjects: dict[str, tuple[str, ...]]


def run(
    scenario: Scenario,
    told: Callable[[Step], None] | None = None,
    *,
    again: Callable[[Judging, list[Entry], int], Judging] | None = None,
    set_back_at: int | None = None,
    set_back_s: int = 3_600,
) -> Found:
    """Let a site say what a scenario says, and follow its alarms.

    Args:
        scenario: As its file was read.
        told: Is given every step of the engine.
        again: Is given the judgements before each step, the descriptions and the number of the step; what it
            returns goes on.
        set_back_at: Before which step every clock is set back; None for never.
        set_back_s: By how much [s].
    """
    source = ScenarioSource(scenario)
    engine = Judging(
        scenario.file.site,
        {BROKER: source.timing},
        make_rules(scenario.file.rules, []),
        tick_ms=scenario.step_ms,
        lateness_ms=0,
        patience=AT_ONCE,
    )
    banks = banks_of(engine)
    found = Found(dict.fromkeys(scenario.expect, ""), [], {})
    opening = list(source.opening())
    for entry in opening:
        engine.take(entry)
    # What was never heard has had its time to speak: how a site starts has tests of its own.
    for each in engine.engines.values():
        each.began_ms -= AWAITED_MS
    for number in range(scenario.steps):
        if again is not None:
            engine = again(engine, [entry for entry in opening if isinstance(entry.content, tuple)], number)
            banks = banks_of(engine)
        set_back = [source.set_back(number, set_back_s)] if number == set_back_at else []
        steps = [step for entry in (*set_back, *source.entries(number)) for step in engine.take(entry)]
        steps += engine.advance(source.at_ms(number))
        if told is not None:
            for step in steps:
                told(step)
        follow(found, banks, [change for step in steps for change in step.changes], number)
    found.subjects = {rule: bank.subjects for rule, bank in banks.items()}
    return found


def banks_of(engine: Judging) -> dict[str, Bank]:
    """Return every bank of alarms of both judgements, by what its alarms are called."""
    banks = (bank for judge in engine.judges for bank in (judge.bank, judge.unverified))
    return {bank.rule: bank for bank in banks if bank is not None}


def follow(found: Found, banks: Mapping[str, Bank], changes: Sequence[Transition], number: int) -> None:
    """Note what the alarms of a step came to.

    Args:
        found: Takes it.
        banks: The alarms, by what they are called.
        changes: What became of them in this step.
        number: The step.
    """
    returned = {(change.rule, change.subject) for change in changes if change.change is Change.RETURNED}
    for rule, subject in found.paths:
        found.paths[rule, subject] += "r" if (rule, subject) in returned else _state(banks[rule], subject)
    found.told += [
        f"{number} {change.rule} {change.subject} {change.change} {change.severity.word}"
        for change in changes
        if change.is_told
    ]


def _state(bank: Bank, subject: str) -> str:
    if subject not in bank.subjects:
        return "."
    columns, place = bank.save()[0], bank.subjects.index(subject)
    if columns["state"][place] == ACTIVE:
        return "A" if columns["told"][place] else "s"
    return "p" if columns["state"][place] == PENDING else "."


class ScenarioSource:
    """The entries of the journal that a scenario makes."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._seq = 0
        meters = {str(asset.id) for asset in scenario.file.site.assets}
        self._points: dict[str, Known] = {}
        for name in scenario.values:
            asset = re.split("[ .@=:]", name, maxsplit=1)[0]
            self._points[name] = self._known(name, asset, is_meter=asset in meters)
        self._beats = self._heartbeats()
        self._published: dict[str, tuple[float | None, int]] = {}
        self._back_ms = 0

    @property
    def timing(self) -> Timing:
        """When its sources publish."""
        step_ms = self._scenario.step_ms
        return Timing(
            repeat_ms=REPEAT_MS, heartbeat_ms=BEAT_MS, period_ms=step_ms, certain_ms=step_ms + step_ms // 2
        )

    def at_ms(self, number: int) -> int:
        """Return when a step is [ms]."""
        return self._scenario.begin_ms + number * self._scenario.step_ms - self._back_ms

    def set_back(self, number: int, by_s: int) -> Entry:
        """Set every clock back before a step, and return what the journal says of it."""
        before_ms, self._back_ms = self.at_ms(number) - 1, by_s * 1_000
        return self._entry(number, Mark(MarkKind.STEPPED, EVERY_BROKER, before_ms), before_ms=1)

    def opening(self) -> Iterator[Entry]:
        """Yield what is there a step before the first: the points, and a connection."""
        yield self._entry(-1, tuple(self._points.values()), before_ms=AWAITED_MS)
        yield self._entry(-1, tuple(self._beats.values()), before_ms=AWAITED_MS)
        for kind in (MarkKind.STARTED, MarkKind.CONNECTED, MarkKind.CAUGHT_UP):
            yield self._entry(-1, Mark(kind, BROKER, self.at_ms(-1)))

    def entries(self, number: int) -> Iterator[Entry]:
        """Yield what comes in a step."""
        rows = [*self._said(number), *self._beaten(number)]
        if rows:
            points, values, quality = zip(*rows, strict=True)
            times = np.full(len(rows), self.at_ms(number))
            stamps = times - [self._lag_ms(point, number) for point in points]
            flags = np.zeros(len(rows))
            yield self._entry(number, Batch.of([points, stamps, times, values, quality, flags]))

    def _said(self, number: int) -> Iterator[tuple[int, float, Quality]]:
        for name, said in self._scenario.values.items():
            value = said[number]
            if value is None or not self._is_due(name, value, number):
                continue
            yield self._points[name].id, np.nan if value.number is None else value.number, value.quality

    def _is_due(self, name: str, value: Value, number: int) -> bool:
        """Tell whether a source publishes: always, or where its value changed or is due again."""
        if self._scenario.cadence is Cadence.PERIODIC:
            return True
        before = self._published.get(name)
        at_ms = self.at_ms(number)
        if before is not None and before[0] == value.number and at_ms - before[1] < REPEAT_MS:
            return False
        self._published[name] = (value.number, at_ms)
        return True

    def _lag_ms(self, number: int, step: int) -> int:
        """Return how long after its stamp a point is heard in a step [ms]."""
        if not self._scenario.lags_ms:
            return 0
        name = next((name for name, known in self._points.items() if known.id == number), "")
        lags_ms = self._scenario.lags_ms.get(name)
        return 0 if lags_ms is None else lags_ms[step]

    def _beaten(self, number: int) -> Iterator[tuple[int, float, Quality]]:
        for gateway, known in self._beats.items():
            beats = self._scenario.beats.get(gateway)
            usual = (number * self._scenario.step_ms) % max(BEAT_MS, self._scenario.step_ms) == 0
            if usual if beats is None else beats[number]:
                yield known.id, float(self.at_ms(number)), Quality.GOOD

    def _known(self, name: str, asset: str, *, is_meter: bool) -> Known:
        named, _, quantity = name.partition(" ")
        source, _, point_type = named.partition(":")
        source, _, target = source.partition("=")
        source, _, area = source.partition("@")
        parts = source.split(".")[1:]
        phase = next((part for part in parts if part.startswith("L")), "")
        quantity = quantity or ("meter.power.active" if is_meter else "rack.power.active")
        point = Point(
            key=name,
            asset=AssetId(asset),
            quantity=quantity,
            unit=QUANTITIES[quantity].unit,
            stream=self._scenario.streams.get(named, f"{BROKER}:{PUBLISHER}"),
            cadence=self._scenario.cadence,
            feed=next((part for part in parts if part != phase), ""),
            phase=phase,
            area=tuple(area.split("/")) if area else (),
            is_setpoint=target == "target",
            point_type=point_type,
        )
        described = None if is_meter else Asset(id=AssetId(asset), kind="Rack")
        return Known(len(self._points), point, described)

    def _heartbeats(self) -> dict[str, Known]:
        if self._scenario.cadence is Cadence.PERIODIC:
            return {}
        streams = dict.fromkeys(known.point.stream for known in self._points.values())
        return {
            stream.removeprefix(f"{BROKER}:"): Known(
                len(self._points) + number,
                Point(
                    key=f"beat/{stream}",
                    asset=AssetId("gateway"),
                    quantity="heartbeat",
                    unit="ms",
                    stream=stream,
                    cadence=Cadence.ON_CHANGE,
                ),
            )
            for number, stream in enumerate(streams)
        }

    def _entry(self, number: int, content: Batch | tuple[Known, ...] | Mark, *, before_ms: int = 0) -> Entry:
        self._seq += 1
        return Entry(self._seq, self.at_ms(number) - before_ms, content)


# Comparing ----------------------------------------------------------------------------


def difference(scenario: Scenario, found: Found) -> str:
    """Return what is not as it should be, expected and found under each other; "" where nothing is."""
    lines: list[str] = []
    for (rule, subject), expected in scenario.expect.items():
        if subject not in found.subjects[rule]:
            lines += [f"{rule} {subject}: expected one of {', '.join(found.subjects[rule])}"]
        elif found.paths[rule, subject] != expected:
            path = found.paths[rule, subject]
            first = next(i for i in range(len(path)) if path[i] != expected[i])
            lines += [
                f"{rule} {subject}: differs from step {first} on",
                f"  expected {expected}",
                f"  found    {path}",
                f"           {'^':>{first + 1}}",
            ]
    if scenario.told is not None and sorted(scenario.told) != sorted(found.told):
        lines += ["told:", "  expected " + "; ".join(scenario.told), "  found    " + "; ".join(found.told)]
    return "\n".join([scenario.name, *lines]) if lines else ""
