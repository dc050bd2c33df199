"""However messages are read, in columns or each by itself, the journal is the same, byte for byte."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode import dsx
from collector.kernels import portable
from collector.mqtt.message import Message, Messages
from facility.readings import Flag
from store.journal.intake import Intake
from store.journal.journal import Journal
from testing import recording
from testing.builders import T0_MS
from testing.collector.bad_payloads import Generator
from testing.collector.hearing import Hearing, document, heartbeat, metadata, raw, value, withdrawn


def never(*_details: object) -> int:
    """Read nothing in columns."""
    return 0


def ways() -> dict[str, Any]:
    """Return the ways to read what is plain."""
    found: dict[str, Any] = {"one by one": never, "in Python": portable.read_values}
    with suppress(ImportError):  # where it was not built, `test_kernels` says so
        found["compiled"] = import_module("collector.kernels._native").read_values
    return found


def journal_of(parts: Sequence[Sequence[Message]], read_values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - a loop
    """Return everything that a journal holds once parts of a stream were read and appended in turn."""
    hearing = Hearing()
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(dsx, "read_values", read_values)
        journal = Journal(Path(folder))
        for part in parts:
            outcome = hearing.hear(*part, now_ms=part[-1].received_ms)
            intake = Intake(
                known=list(outcome.news),
                batch=outcome.batch,
                metadata=dict(outcome.metadata),
                rejections=list(outcome.rejections),
                waiting=list(outcome.waiting),
                settled=list(outcome.settled),
                received_ms=part[-1].received_ms,
            )
            journal.append(intake, part[-1].received_ms)
        journal.close()
        return contents(journal.path)


def contents(path: Path) -> list[tuple[Any, ...]]:
    """Return every row of every table of a journal."""
    with sqlite3.connect(path) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = [(table, *row) for table in sorted(tables) for row in file.execute(f"SELECT * FROM {table}")]  # noqa: S608
    file.close()
    return found


RACKS = st.sampled_from(["r1", "r2", "r3"])
READS = st.one_of(
    st.floats(0, 200),
    st.integers(0, 132),
    st.none(),
    st.just(1e9),
    st.just("text"),
    st.just(2**70),
    st.booleans(),
)
TIMES = st.one_of(
    st.integers(T0_MS - 5_000, T0_MS + 5_000),
    st.sampled_from([0, -1, T0_MS + 60_000, T0_MS - 10**9, 2**63, 2**70, 1.5, T0_MS // 1_000]),
)
QUALITIES = st.sampled_from([1, 1, 1, 1, "1", 0, 2, "good", True, None])
ODDITIES = st.sampled_from(
    [
        b"",
        b"{}",
        b"[1,2]",
        b'{"value":1,"timestamp":%d,"quality":1' % T0_MS,
        b'{"value":1,"value":2,"timestamp":%d,"quality":1}' % T0_MS,
        b'{"value":1e400,"timestamp":%d,"quality":1}' % T0_MS,
        b'{"value":-0,"timestamp":%d,"quality":1}' % T0_MS,
        b'{"value":1,"timestamp":%d,"quality":1,"more":{"a":[]}}' % T0_MS,
        b'{"value":1,"timestamp":%d,"quality":1}},{"x":1}' % T0_MS,
        b"\xff" * 40,
        b" " * 70_000,
    ]
)
FLAGS = st.sampled_from([0, 0, 0, int(Flag.AT_MOST_ONCE), int(Flag.REDELIVERED), int(Flag.RETAINED)])


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Draw a message of a bus: mostly values of a few racks, some described and some not."""
    kind, rack = draw(st.integers(0, 19)), draw(RACKS)
    if kind == 0:
        return metadata(rack, engUnit=draw(st.sampled_from(["kW", "kW", "W", "degC"])))
    if kind == 1:
        return withdrawn(metadata(rack))
    if kind == 2:
        return heartbeat(
            "BMS", scope=draw(st.sampled_from([None, f"BMS/v1/PUB/Value/Rack/RackPower/{rack}"]))
        )
    if kind == 3:
        return raw(value(rack).topic, draw(ODDITIES), flags=draw(FLAGS))
    if kind == 4:
        return draw(st.sampled_from([document(rack), raw("odd", b"x"), value(rack, publisher="else")]))
    return value(
        rack, draw(READS), draw(TIMES), quality=draw(QUALITIES), received_ms=T0_MS + 20, flags=draw(FLAGS)
    )


@settings(max_examples=120)
@given(st.lists(st.lists(messages(), min_size=1, max_size=40), min_size=1, max_size=4))
def test_a_stream_with_every_oddity_is_one_journal(parts: list[list[Message]]) -> None:
    """Described and described anew, refused, doubtful, too early, too late, no JSON at all, and twice."""
    parts = [[metadata("r1"), metadata("r2")], *parts]
    found = {name: journal_of(parts, way) for name, way in ways().items()}
    for name, held in found.items():
        assert held == found["one by one"], name


@pytest.mark.parametrize("seed", range(5))
def test_broken_and_odd_payloads_are_one_journal(seed: int) -> None:
    """Bytes flipped, cut and repeated, any JSON in the place of a value, texts and depths of every kind."""
    generator = Generator(seed)
    parts = [[generator.message() for _ in range(60)] for _ in range(4)]
    found = {name: journal_of(parts, way) for name, way in ways().items()}
    for name, held in found.items():
        assert held == found["one by one"], name


def test_a_change_that_is_confirmed_within_one_read_is_one_journal() -> None:
    """Each value of a point that means something else counts by itself, until the change stands."""
    described = [metadata("r1"), metadata("r2")]
    hour = [value(rack, 90 + i % 7, T0_MS + i * 10_000) for i in range(60) for rack in ("r1", "r2")]
    changed = [metadata("r1", engUnit="W", received_ms=T0_MS + 600_000)]
    after = [value(rack, 90, T0_MS + 600_000 + i * 10_000) for i in range(60) for rack in ("r1", "r2")]
    parts = [described, hour, changed, after[:40], after[40:80], after[80:]]
    found = {name: journal_of(parts, way) for name, way in ways().items()}
    for name, held in found.items():
        assert held == found["one by one"], name


def test_the_recording_is_one_journal() -> None:
    """NVIDIA's own row, a second at a time, with its metadata in the middle of it."""
    described = [raw(m.topic, m.payload, received_ms=T0_MS + m.offset_ms) for m in recording.metadata()]
    values = [raw(m.topic, m.stamped(T0_MS), received_ms=T0_MS + m.offset_ms) for m in recording.values()]
    parts = [
        described[:80],
        values[:700],
        values[700:900] + described[80:] + values[900:1_500],
        values[1_500:],
    ]
    found = {name: journal_of(parts, way) for name, way in ways().items()}
    for name, held in found.items():
        assert held == found["one by one"], name


def test_messages_in_columns_are_the_messages() -> None:
    """There and back; a byte that is no text stays what it is on the wire."""
    said = [raw("a/b", b"1", flags=1), raw("", b""), raw("\u00fc", b"\xff\x00", received_ms=5)]
    columns = Messages.of(said, [3, 0, 9])

    assert list(columns) == said
    assert columns.number.tolist() == [3, 0, 9]
    assert columns.said(2) == ("\u00fc".encode(), b"\xff\x00")
    odd = Messages.of_one(b"a\xff", b"x", 5, 0, 1)
    assert odd.said(0) == (b"a\xff", b"x")
    assert odd.message(0).topic == "a\N{REPLACEMENT CHARACTER}"
