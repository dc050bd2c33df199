"""Rehearsals themselves: time goes on, whatever the engine does."""

from __future__ import annotations

import json

import pytest

from collector.continuity.continuity import Continuity
from collector.continuity.keeping import Keeping
from collector.mqtt.message import ConnectionChange, ConnectionEvent
from facility.errors import SiteFileError
from facility.instants import to_iso
from facility.sitefile.reader import read_site
from megawatch.composition import make_judging
from rules.engine.engine import Engine, Step
from rules.engine.judging import Judging
from rules.registry import make_rules
from simulators.scenario.file import open_scenario, read_scenario
from simulators.scenario.scenario import BreakKind
from store.journal.entries import Entry, Mark, MarkKind
from testing.builders import T0_MS
from testing.rehearsal.perform import Audience, perform
from testing.rehearsal.rehearsal import Rehearsal, as_message
from tests.rehearsals.performances import TICK_MS

HALL = """
[site]
name = "hall"
rack_rating_kw = 100

[[broker]]
url = "mqtt://127.0.0.1:1883"
format = "rack-documents"

[[tenant]]
id = "acme"
holds = [{ racks = ["r1"], from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.050
"""


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


def test_what_arrives_just_as_a_tick_is_due_belongs_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stamped exactly at tick and lateness: rehearsed or judged again, it comes to the same."""
    file = read_site(HALL)
    entries: list[Entry] = []
    take = Judging.take

    def taken(judging: Judging, entry: Entry) -> list[Step]:
        entries.append(entry)
        return take(judging, entry)

    with monkeypatch.context() as patch:
        patch.setattr(Judging, "take", taken)
        steps: list[Step] = []
        rehearsal = Rehearsal(file, begin_ms=T0_MS, told=steps.append)
        for second in range(20):
            at_ms = T0_MS + second * 1_000
            body = {"time": to_iso(at_ms), "power_kw": 40.0 + 2 * second}
            arrives_ms = at_ms + file.engine.lateness_ms
            message = as_message(
                "megawatch/v1/hall/r1", json.dumps(body).encode(), arrives_ms, qos=1, is_retained=False
            )
            rehearsal.hear([message], arrives_ms)
    again = make_judging(file, make_rules(file.rules, []))

    replayed = [step for entry in entries for step in again.take(entry)]
    replayed += again.advance(rehearsal.now_ms)

    draws = {step.at_ms: step.draws for step in steps if step.draws}
    assert draws == {step.at_ms: step.draws for step in replayed if step.draws}
    last_ms = T0_MS + 19_000
    assert draws[last_ms][0].best_milliwatts == 78_000_000


BREAK = """
proves = "What a break leaves."
begin = 2026-06-01T00:00:00Z
seconds = 60
wire = "rack-documents"

[layout]
racks = 2
racks_per_row = 2

[[lease]]
id = "acme"
racks = 2
contract = '''
from = 2026-01-01
committed_mw = 0.2
'''

[[load]]
name = "job"
kind = "steady"
racks = "acme"
total_kw = 100

[[break]]
kind = "{kind}"
from_s = 20
to_s = 40
"""


@pytest.mark.parametrize(
    ("kind", "queue", "messages"),
    [
        ("connection-lost", "", 120),
        ("monitor-paused", "", 120),
        ("machine-paused", "", 120),
        ("clock-off", "by_s = 3_600", 120),
        ("clock-off", "by_s = -600", 120),
        ("monitor-stopped", "", 120),
        ("session-lost", "", 80),
        ("queue-overflowed", "queue = 7", 87),
        ("queue-overflowed", "", 120),
    ],
)
def test_a_break_leaves_what_the_broker_kept(kind: str, queue: str, messages: int) -> None:
    """All of it, nothing of it, or as much as fits into a queue."""
    scenario = read_scenario(BREAK.format(kind=kind) + queue)

    found = perform(scenario, tick_ms=TICK_MS, gather_ms=TICK_MS)

    assert found.messages == messages


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (BreakKind.CONNECTION_LOST, ConnectionChange.RESUMED),
        (BreakKind.QUEUE_OVERFLOWED, ConnectionChange.RESUMED),
        (BreakKind.SESSION_LOST, ConnectionChange.RENEWED),
    ],
)
def test_the_journal_is_told_of_a_break_what_the_collector_tells_it(
    kind: BreakKind, change: ConnectionChange
) -> None:
    """The connection broke at 20 s and stands since 40 s: each mark says when, as `Continuity` does."""
    scenario = read_scenario(BREAK.format(kind=kind))
    at_ms = scenario.begin_ms
    rehearsal = Rehearsal(scenario.site, begin_ms=at_ms)
    audience = Audience(
        rehearsal, scenario.breaks, begin_ms=at_ms, qos=1, keeping=Keeping(1_000_000, rate_per_s=1)
    )
    of = Continuity("broker", Keeping(1_000_000, rate_per_s=1), now_ms=at_ms, since_ms=0)
    happened = [
        ConnectionEvent(ConnectionChange.RENEWED, at_ms, ""),
        ConnectionEvent(ConnectionChange.LOST, at_ms + 20_000, ""),
        ConnectionEvent(change, at_ms + 40_000, ""),
    ]

    for second in range(45):
        audience.hear([], second)

    told = [entry.content for entry in rehearsal.journal.read(0) if isinstance(entry.content, Mark)]
    expected = [of.opening(), *(mark for event in happened for mark in of.happen(event, event.since_ms))]
    found = [(mark.kind, mark.since_ms) for mark in told if mark.kind is not MarkKind.CAUGHT_UP]
    assert found == [(mark.kind, mark.since_ms) for mark in expected]


def test_only_a_clock_that_is_off_says_by_how_much() -> None:
    """It must, and nothing else may."""
    paths = []
    for kind, by in (("clock-off", ""), ("clock-off", "by_s = 0"), ("session-lost", "by_s = 7")):
        with pytest.raises(SiteFileError) as caught:
            read_scenario(BREAK.format(kind=kind) + by)
        paths += [fault.path for fault in caught.value.faults]

    assert paths == ["break[0].by_s"] * 3


def test_only_a_queue_that_overflows_has_a_length() -> None:
    """What cannot be is refused, with its place."""
    with pytest.raises(SiteFileError) as caught:
        read_scenario(BREAK.format(kind="session-lost") + "queue = 7")

    assert [fault.path for fault in caught.value.faults] == ["break[0].queue"]
