"""However messages are read, in columns or each by itself, the journal is the same, byte for byte."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode import dsx, rackdocument
from collector.kernels import portable
from collector.mqtt.message import Message, Messages
from facility.readings import Flag
from store.journal.intake import Intake
from store.journal.journal import Journal
from testing import recording
from testing.builders import T0_MS
from testing.collector.bad_payloads import Generator
from testing.collector.hearing import (
    Hearing,
    document,
    document_topic,
    heartbeat,
    listening,
    metadata,
    raw,
    value,
    withdrawn,
)


class Never:
    """Reads nothing in columns."""

    @staticmethod
    def read_values(*_details: object) -> int:
        """Leave all values."""
        return 0

    @staticmethod
    def read_documents(*_details: object) -> list[object]:
        """Leave all documents."""
        return []


def ways() -> dict[str, type[Never] | ModuleType]:
    """Return the ways to read what is plain."""
    found: dict[str, type[Never] | ModuleType] = {"one by one": Never, "in Python": portable}
    with suppress(ImportError):  # where it was not built, `test_kernels` says so
        found["compiled"] = import_module("collector.kernels._native")
    return found


def journal_of(
    parts: Sequence[Sequence[Message]], way: type[Never] | ModuleType, start: Callable[[], Hearing] = Hearing
) -> list[tuple[Any, ...]]:
    """Return everything that a journal holds once parts of a stream were read and appended in turn."""
    hearing = start()
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(dsx, "read_values", way.read_values)
        patch.setattr(rackdocument, "read_documents", way.read_documents)
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
        held = contents(journal.path)
    return [*held, ("missed", hearing.decoder.missed)]


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


@settings(max_examples=30)
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


# Rack documents -----------------------------------------------------------------------

SCALARS = st.one_of(
    st.floats(0, 200).map(json.dumps),
    st.decimals(0, 200, places=2).map(str),
    st.integers(0, 132).map(str),
    st.sampled_from(
        [
            "null",
            "true",
            "false",
            '"1"',
            "-0",
            "-0.0",
            "1e9",
            "1e400",
            "1e-400",
            "9007199254740993",
            "01",
            "1.",
        ]
    ),
    st.sampled_from([str(2**70), "[1,2,3]", "{}", "NaN", "23.500000000000004", "1E+1", "0.1e2", "1" * 420]),
)
STAMPS = st.one_of(
    st.integers(T0_MS - 5_000, T0_MS + 5_000).map(str),
    st.integers(0, 59).map(lambda second: f'"2026-05-28T20:26:{second:02}.{second:03}Z"'),
    st.sampled_from(
        [
            '"2026-05-28T22:26:40+02:00"', '"2026-05-28 20:26:40.123456+0000"', '"2026-05-28T20:26:60Z"',
            '"2026-02-29T20:26:40Z"', '"2026-05-28T20:26:40"', '"2026-05-28T20:26:40z"', '"later"',
            '"1999-05-28T20:26:40Z"', "0", "-1", "true", "1.78e12", str(2**63),
            str(T0_MS + 60_000), str(T0_MS // 1_000),
        ]
    ),
)  # fmt: skip
LITERALS = st.sampled_from(
    [
        '{"time":@,"power_kw":#,"inlet_c":#,"leak":#}',
        '{"time":@,"power_kw":#,"inlet_c":#,"leak":#}',
        '{"time":@,"power_kw":#,"inlet_c":#,"leak":#}',
        '{"power_kw":#,"power_w":#,"inlet_f":#,"time":@,"seq":~}',
        '{"seq": ~, "time": @, "feeds": {"a": {"kw": #, "amps": [#, #, #]}, "b": {"kw": #}}}',
        '{"seq": ~, "time": @, "feeds": {"a": {"kw": #, "amps": [#, #, #]}, "b": {"kw": #}}}',
        '{"rack":"r1","time":@,"power_kw":#}',
        '{"rack":"r2","time":@,"power_kw":#}\n',
        '[{"rack":"r1","power_kw":#,"time":@,"seq":~},{"rack":"r2","time":@,"leak":#,"seq":~}]',
        '[{"rack":"r1","power_kw":#,"time":@,"seq":~},{"rack":"r2","time":@,"leak":#,"seq":~}]',
        '[{"rack":"r1","time":@,"power_kw":#},{"rack":"nobody","time":@,"power_kw":#}]',
        '{"time":@,"power_kw":#,"power_kw":#}',
        '{"time":@,"p\\u006fwer_kw":#}',
        '{"time":@,"powr_kw":#,"inlet_c":#}',
        '{"time":@,"seq":~}',
        '{"time":@,"power_kw":#',
        '{"time":@,"power_kw":#}}',
        '{"time":@,"feeds":{"z":{"kw":#}}}',
    ]
)
COUNTS = st.one_of(st.integers(0, 20), st.sampled_from([-1, 10**18, 2**64, "null", '"x"', "true", "2.5"]))


@st.composite
def documents(draw: st.DrawFn) -> Message:
    """Draw a message of documents: mostly of few shapes, with any numbers, times and other things in them."""
    if draw(st.integers(0, 30)) == 0:
        return draw(
            st.sampled_from([raw(document_topic("r1"), b""), value("r1"), document("nobody", leak=1)])
        )
    usual = draw(st.booleans())
    holes = {
        "@": st.integers(T0_MS - 5, T0_MS + 5).map(str) if usual else STAMPS,
        "#": st.decimals(0, 100, places=1).map(str) if usual else SCALARS,
        "~": st.integers(0, 20).map(str) if usual else COUNTS.map(str),
    }
    text = "".join(draw(holes[part]) if part in holes else part for part in draw(LITERALS))
    payload = text.encode()
    if draw(st.integers(0, 15)) == 0:  # a byte is lost, or another
        at = draw(st.integers(0, len(payload) - 1))
        payload = payload[:at] + draw(st.binary(max_size=2)) + payload[at + 1 :]
    return raw(document_topic(draw(st.sampled_from(["r1", "r1", "r2", "rowA"]))), payload, flags=draw(FLAGS))


@settings(max_examples=25)
@given(st.lists(st.lists(documents(), min_size=1, max_size=40), min_size=1, max_size=3))
def test_documents_with_every_oddity_are_one_journal(parts: list[list[Message]]) -> None:
    """Shapes that come again and again, among them what is no number, no time, no JSON and of no rack."""
    found = {name: journal_of(parts, way, listening) for name, way in ways().items()}
    for name, held in found.items():
        assert held == found["one by one"], name


def test_what_is_refused_in_documents_of_a_known_shape_is_bounded_as_before() -> None:
    """Of a message with many impossible values only the first dead letters hold its payload."""
    feeds = {feed: {"kw": 1, "volts": [1, 2, 3], "amps": [1, 2, 3]} for feed in "abcd"}
    impossible = {feed: {"kw": 1e9, "volts": [1e9] * 3, "amps": [1e9] * 3} for feed in "abcd"}
    parts = [[document("r1", feeds=feeds), document("r1", feeds=impossible), document("r1", feeds=feeds)]]
    found = {name: journal_of(parts, way, listening) for name, way in ways().items()}
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
