"""Streams that are heard all at once are known as each is that hears its own readings, one after another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.telemetry.liveness import SEASON_MS, Streams, broker_of, is_within
from store.journal.entries import EVERY_BROKER
from testing.builders import T0_MS
from tests.properties.rules.plainstreams import PlainStream, Said

HEARTBEAT_MS, REPEAT_MS = 10_000, 100_000
NAMES: Final = ("bus:g0", "bus:g1", "bus:g2", "other:g0", "other:g1")
PATIENCE_MS: Final = {"bus:g1": 6_000, "other:g0": 40_000}
BEATING: Final = ("bus:g0", "bus:g1", "other:g1")
SCOPES: Final = ("bus", "other", "bus:g1", EVERY_BROKER)


@dataclass(frozen=True)
class Batch:
    """Readings, each with the place of its stream, how long before now it was measured and heard [ms]."""

    readings: tuple[tuple[int, int, int, bool], ...]
    is_refused: bool


@dataclass(frozen=True)
class Turn:
    """What happens, after how long [ms]: a batch, or something to the connections of a scope."""

    after_ms: int
    what: Batch | tuple[str, str]
    is_restarted: bool


readings = st.tuples(
    st.integers(0, len(NAMES) - 1),
    st.sampled_from([0, 5, 150, 200, 900, 3_000, 3_001, 20_000]),
    st.sampled_from([0, 0, 0, 100, 2_500]),
    st.booleans(),
)
batches = st.builds(Batch, st.lists(readings, min_size=1, max_size=25).map(tuple), st.booleans())
changes = st.tuples(st.sampled_from(["connect", "lose", "resume", "anew"]), st.sampled_from(SCOPES))
turns = st.builds(
    Turn,
    st.sampled_from([0, 100, 250, 250, 900, 4_000, 35_000, SEASON_MS]),
    st.one_of(batches, batches, batches, changes),
    st.booleans(),
)


def the_streams() -> Streams:
    """Return streams of which nothing was heard."""
    streams = Streams()
    for name in NAMES:
        place = streams.get(name, heartbeat_period_ms=HEARTBEAT_MS, repeat_ms=REPEAT_MS)
        streams.set_patience(place, PATIENCE_MS.get(name, 0))
        if name in BEATING:
            streams.set_heartbeat(place)
    return streams


def restarted(streams: Streams) -> Streams:
    """Return streams of which the same was heard, from a snapshot."""
    again = Streams()
    again.load(json.loads(json.dumps(streams.save())))
    for name in NAMES:
        place = again.get(name, heartbeat_period_ms=HEARTBEAT_MS, repeat_ms=REPEAT_MS)
        again.set_patience(place, PATIENCE_MS.get(name, 0))
    return again


def hear(streams: Streams, plain: dict[str, PlainStream], batch: Batch, at_ms: int) -> None:
    """Let all streams hear a batch, and each plain one its own readings."""
    stream = np.array([place for place, *_ in batch.readings], np.intp)
    heard = at_ms - np.array([heard_ago for _, _, heard_ago, _ in batch.readings])
    said = heard - np.array([said_ago for _, said_ago, _, _ in batch.readings])
    is_late, is_beat = heard - said > 1_000, np.array([beats for *_, beats in batch.readings])
    if batch.is_refused:
        streams.notice(stream, heard, is_beat)
        for row, place in enumerate(stream.tolist()):
            plain[NAMES[place]].notice(int(heard[row]), is_beat=bool(is_beat[row]))
        return
    back, risen = streams.hear(stream, said, heard, is_late, is_beat)
    found = {}
    for place in sorted(set(stream.tolist())):
        rows = np.flatnonzero(stream == place)
        columns = (column[rows].tolist() for column in (said, heard, is_late, is_beat))
        found[place] = plain[NAMES[place]].hear([Said(*reading) for reading in zip(*columns, strict=True)])
    assert back.tolist() == [place for place, (fell_silent, _) in found.items() if fell_silent]
    assert risen.tolist() == [place for place, (_, died) in found.items() if died]


def change(streams: Streams, plain: dict[str, PlainStream], what: str, scope: str, at_ms: int) -> None:
    """Let something happen to the connections of a scope."""
    touched = [plain[name] for name in NAMES if is_within(name, scope)]
    if what == "resume":
        streams.resume(scope)
        for stream in touched:
            stream.resume()
    elif what == "anew":
        streams.listen_anew(streams.within(scope), at_ms - 50)
        for stream in touched:
            stream.restart(max(stream.listening_ms, at_ms - 50))
    else:
        streams.connect(scope, is_connected=what == "connect", at_ms=at_ms - 50)
        for stream in touched:
            stream.connect(at_ms - 50, is_connected=what == "connect")


@given(course=st.lists(turns, max_size=40))
def test_all_at_once_are_known_as_each_by_itself(course: list[Turn]) -> None:
    """Over gaps, seasons, late and refused readings, lost and kept connections, and restarts."""
    streams = the_streams()
    plain = {
        name: PlainStream(HEARTBEAT_MS, REPEAT_MS, PATIENCE_MS.get(name, 0), has_heartbeat=name in BEATING)
        for name in NAMES
    }
    at_ms = T0_MS
    for turn in course:
        at_ms += turn.after_ms
        if isinstance(turn.what, Batch):
            hear(streams, plain, turn.what, at_ms)
        else:
            change(streams, plain, *turn.what, at_ms)
        if turn.is_restarted:
            streams = restarted(streams)
        found = [tuple(row) for row in np.transpose(streams.at(at_ms)).tolist()]
        assert found == [plain[name].at(at_ms) for name in NAMES]
        assert streams.unsure_ms.tolist() == [plain[name].unsure_ms for name in NAMES]
        assert streams.said_ms.tolist() == [plain[name].said_ms for name in NAMES]
        assert streams.listening_ms.tolist() == [plain[name].listening_ms for name in NAMES]
        assert streams.is_late.tolist() == [plain[name].is_late for name in NAMES]


@given(count=st.integers(8, 30), period_ms=st.integers(250, 2_000))
def test_a_usual_gap_is_learnt_in_one_batch(count: int, period_ms: int) -> None:
    """What a disk that was full told at once has the gaps that it had."""
    place, plain = NAMES.index("bus:g2"), PlainStream(HEARTBEAT_MS, REPEAT_MS, 0, has_heartbeat=False)
    streams = the_streams()
    said = T0_MS + np.arange(count) * period_ms
    nothing = np.zeros(count, np.bool_)
    streams.hear(np.full(count, place), said, said, nothing, nothing)
    for said_ms in said.tolist():
        plain.hear([Said(said_ms, said_ms, is_late=False, is_beat=False)])
    for after_ms in (period_ms - 1, period_ms, 40_000):
        at_ms = int(said[-1]) + after_ms
        assert tuple(flags[place] for flags in streams.at(at_ms)) == plain.at(at_ms)


def test_a_stream_that_appears_later_is_connected_as_its_broker_is() -> None:
    """A stream that is described while its broker is away is away as well."""
    streams = the_streams()
    streams.connect("other", is_connected=False, at_ms=T0_MS)
    streams.connect("bus:g9", is_connected=False, at_ms=T0_MS)

    places = [
        streams.get(name, heartbeat_period_ms=HEARTBEAT_MS, repeat_ms=REPEAT_MS)
        for name in ("other:g7", "bus:g8", "bus:g9")
    ]

    assert streams.is_connected[places].tolist() == [False, True, False]
    assert broker_of(streams.names[places[0]]) == "other"
