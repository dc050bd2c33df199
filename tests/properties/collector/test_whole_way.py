"""Any JSON in any field of any message goes the whole way, and no message ends anything.

Decoded, journalled, read back, judged, in a snapshot, in the history, as lines, and on a terminal.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from collector.mqtt.message import Message
from facility.readings import Batch
from megawatch.cli import query
from rules.engine import snapshot
from rules.engine.judging import Judging
from store.base import Chunk
from store.history.reader import ParquetHistory
from store.influx.lineprotocol import Encoder
from store.journal.entries import Entry, Known
from store.journal.intake import readings_of
from testing.builders import T0_MS
from testing.collector.bad_payloads import RACKS, Generator
from testing.collector.hearing import a_site, document, heartbeat, metadata, raw, value, withdrawn
from testing.rules.halls import a_judging
from testing.store.histories import seal
from tests.properties.collector.intaking import Intaking, a_listener

FIELDS = (
    "objectType", "pointType", "engUnit", "stateText", "rackLocationName", "rackLocationId", "objectName",
    "objectId", "associateId", "servesId", "processArea", "phase", "isSetpoint", "scope", "integration",
    "value", "timestamp", "quality", "rack", "time", "seq", "feeds", "power_kw", "leak", "energy_kwh",
)  # fmt: skip
ODDITIES = (
    "null",
    "true",
    "0",
    "-0.0",
    "1",
    "1e308",
    "-1e308",
    "9007199254740993",
    "18446744073709551616",
    "9" * 4_000,
    '""',
    '"A"',
    '"kW"',
    '"1"',
    '"[/]"',
    '"\\u001b[2J"',
    '"\\u202e"',
    '"\\ud83d\\ude00"',
    '"\\u0000"',
    '"x,y=1 z"',
    '"Rack 7"',
    '"K\\u00fchlung"',
    '"../.."',
    '"~"',
    json.dumps("y" * 3_000),
    "[]",
    "{}",
    '["r1", "Rack 7"]',
    "[null]",
    "[[[]]]",
    '{"a": {"kw": 18446744073709551616}}',
    '[{"value": 18446744073709551616, "text": "a"}]',
    '[{"value": -9223372036854775809, "text": "\\u001b]0;x\\u0007"}]',
    '[{"value": 1, "text": ""}]',
    json.dumps([{"value": i, "text": "on"} for i in range(1_500)]),
    json.dumps([f"m{i}" for i in range(5_000)]),
)
"""JSON of every kind and of sizes that no honest source sends."""
SECONDS = 20
EACH = 1_000
SEEDS = [1, 2, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 101))]
"""100,000 messages in all; two thousand where nothing else is asked for."""


def odd_messages() -> Iterator[Message]:
    """Yield each kind of message with each oddity in each field."""
    honest = (
        value("r1"),
        metadata("r2", servesId=["x"], stateText=None),
        metadata("leak", object_type="Rack", point_type="RackLeakDetect", engUnit=None, rackLocationId="r3"),
        heartbeat("BMS", scope="r1"),
        document("r1", power_kw=90.5),
    )
    for message in honest:
        fields = json.loads(message.payload)
        for name in FIELDS:
            for oddity in ODDITIES:
                others = [f"{json.dumps(k)}:{json.dumps(v)}" for k, v in fields.items() if k != name]
                body = ",".join([*others, f'"{name}":{oddity}'])
                yield raw(message.topic, f"{{{body}}}".encode())
        yield withdrawn(message)
        yield message


def walk(intaking: Intaking, folder: Path) -> None:
    """Take what the journal holds through everything that reads it."""
    intaking.save()
    entries = intaking.journal.read(0, 10_000_000)
    known = intaking.journal.known()
    assert intaking.journal.account().received == intaking.counted
    view = _judge(entries, folder).live.view
    assert view is not None
    batches = [entry.content for entry in entries if isinstance(entry.content, Batch)]
    chunk = Chunk(
        first_seq=1,
        last_seq=entries[-1].seq,
        batch=readings_of(Batch.concatenate(batches)),
        points={number: entry.point for number, entry in known.items()},
    )
    lines = Encoder().encode(chunk)
    assert not lines.refused, lines.refused[:3]
    assert not any(b"\n" in line for found in lines.lines.values() for line in found)
    seal(folder, chunk)
    _show(folder, known)


def _judge(entries: Sequence[Entry], folder: Path) -> Judging:
    """Judge entries, half of them after a restart."""
    half = len(entries) // 2
    judging, again = a_judging(a_site(RACKS)), a_judging(a_site(RACKS))
    for entry in entries[:half]:
        judging.take(entry)
    snapshot.save(judging, folder / snapshot.FILE)
    assert snapshot.load(again, folder / snapshot.FILE, list(entries))
    for entry in entries[half:]:
        again.take(entry)
    assert again.advance(entries[-1].stamp_ms + SECONDS * 1_000)
    return again


def _show(folder: Path, known: Mapping[int, Known]) -> None:
    """Ask for each point, and print what is found as people see it."""
    site, points = a_site(RACKS), [entry.point for entry in known.values()]
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=False)
    history = ParquetHistory(folder)
    try:
        for point in points:
            question = query.Question(point.key, "", T0_MS, T0_MS + 3_600_000)
            found = query.answer(question, site, points, history)
            console.print(query.as_table(found, site.zone))
            json.dumps(query.as_rows(found))
            query.as_csv(found)
    finally:
        history.close()
    shown = out.getvalue()
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "rack.power.active" not in shown or "[kW]" in shown


@pytest.fixture
def intaking(tmp_path: Path) -> Iterator[Intaking]:
    """Return decoders that know three racks and a heartbeat."""
    yield from a_listener(tmp_path)


def test_any_json_in_any_field_goes_the_whole_way(intaking: Intaking, tmp_path: Path) -> None:
    """Each kind of message, each field of either format, each kind of JSON and sizes beyond all use."""
    count = 0
    for message in odd_messages():
        intaking.hear(message)
        count += 1

    assert count > 4_000
    walk(intaking, tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_messages_go_the_whole_way(intaking: Intaking, tmp_path: Path, seed: int) -> None:
    """Honest, changed and broken messages, by their seed."""
    generator = Generator(seed)

    for _ in range(EACH):
        intaking.hear(generator.message())

    walk(intaking, tmp_path)
