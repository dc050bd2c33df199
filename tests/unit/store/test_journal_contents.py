"""Whatever comes in is kept or refused by itself, and what is damaged on disk costs only itself."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from collector.register import Register
from facility.errors import StoreCorrupt
from facility.names import AssetId
from facility.points import Asset
from facility.readings import Batch, Reason
from store.journal.columns import decode, encode
from store.journal.entries import (
    EVERY_BROKER,
    EntryKind,
    Known,
    Mark,
    MarkKind,
    kind_of,
    pack,
    seal,
    unpack,
    unseal,
)
from store.journal.file import FILE, JournalReader, Waiting, read_account
from store.journal.intake import Intake
from store.journal.journal import Journal
from testing.builders import T0_MS, a_batch, a_point, known_racks
from testing.store.journals import a_mark, everything, many, readings, refusal, rows_of, waits

ANY_TEXT = st.text(st.characters(), max_size=60) | st.just("x" * 300_000)
ANY_TEXT_AT_ALL = ANY_TEXT | st.text(st.characters(categories=["Cs", "Cc", "L"]), max_size=20)
ANY_NUMBER = st.integers() | st.sampled_from([2**63, 2**64, -(2**64), 10**300])


# Anything goes there and back --------------------------------------------------------------


@given(key=ANY_TEXT_AT_ALL, name=ANY_TEXT_AT_ALL, states=st.lists(st.tuples(ANY_NUMBER, ANY_TEXT_AT_ALL)))
def test_a_point_of_any_texts_and_numbers_is_read_back(
    key: str, name: str, states: list[tuple[int, str]]
) -> None:
    """Integers beyond 64 bits, half characters, ends of strings: nothing of it is changed."""
    point = structs.replace(a_point(key), states=tuple(states))
    content = (Known(3, point, Asset(id=AssetId(name), kind=key, name=name), unconfirmed_ms=T0_MS),)

    assert unpack(EntryKind.POINTS, pack(content), "here") == content


@given(detail=ANY_TEXT_AT_ALL, since_ms=ANY_NUMBER)
def test_a_mark_of_any_text_is_read_back(detail: str, since_ms: int) -> None:
    """What a broker says when it hangs up is anybody's guess."""
    mark = Mark(MarkKind.LOST, "bus", since_ms, detail)

    assert unpack(EntryKind.MARK, pack(mark), "here") == mark


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5))
def test_readings_of_any_times_are_read_back(times: list[int]) -> None:
    """The ends of 64 bits are farther apart than 64 bits count."""
    columns = [range(len(times)), times, times[::-1], [1.5] * len(times), [0] * len(times), [0] * len(times)]
    batch = Batch.of(columns)

    found = decode(encode(batch), "here")

    assert found.source_ms.tolist() == times
    assert found.received_ms.tolist() == times[::-1]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return an empty journal."""
    opened = Journal(tmp_path)
    yield opened
    opened.close()


def test_texts_that_the_file_can_not_hold_are_kept_written_out(journal: Journal) -> None:
    """A dead letter quotes what was found; that must not keep it from being one."""
    letter = replace(refusal(), topic="a\ud800b", detail="found 'a\udfff\x00'")

    journal.append(Intake(rejections=[letter]), T0_MS)

    with closing(JournalReader(journal.path.parent)) as reader:
        (kept,) = reader.dead_letters()
    assert (kept.topic, kept.detail) == ("a\\ud800b", "found 'a\\udfff\x00'")


# What cannot be kept ----------------------------------------------------------------------


@pytest.mark.shows(Reason.CANNOT_BE_KEPT)
def test_what_can_not_be_kept_is_a_dead_letter_and_everything_else_is_kept(journal: Journal) -> None:
    """One point of a hundred, one of the messages that wait, one topic: each by itself."""
    intake = readings(*((number, T0_MS + 5, 1.0) for number in range(99)))
    known = list(known_racks([f"r{i}" for i in range(99)]))
    unkept = Known(2**70, a_point("Rack/RackPower/odd"))
    intake.known = [*known[:40], unkept, *known[40:]]
    intake.waiting = [
        waits(1),
        replace(waits(2), topic="half \ud800"),
        Waiting("bus", "t", b"", T0_MS, 0, 2**64),
    ]
    intake.metadata = {"good": b"{}", "half \ud800": b"{}"}
    intake.marks = [a_mark()]

    added = journal.append(intake, T0_MS)

    assert added.dead_lettered == {Reason.CANNOT_BE_KEPT: 4}
    assert (added.stored, added.waiting) == (99, 1)
    assert journal.account() == added
    assert list(journal.known().values()) == known
    assert journal.waiting() == [waits(1)]
    assert journal.metadata() == {"good": b"{}"}
    assert len(rows_of(everything(journal))) == 99
    with closing(JournalReader(journal.path.parent)) as reader:
        topics = {letter.topic for letter in reader.dead_letters()}
    assert topics == {"point Rack/RackPower/odd", "half \\ud800", "t"}
    assert journal.append(many(7), T0_MS).stored == len(many(7).batch), "it goes on"


def test_readings_of_a_point_that_can_not_be_kept_are_dead_letters_too(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody who reads the journal would know what they are of, now or in later appends."""
    whole = pack

    def pack_all_but_r1(content: object) -> bytes:
        if isinstance(content, tuple) and any(known.point.asset == "r1" for known in content):
            raise RecursionError("too deep")
        return whole(content)  # type: ignore[arg-type]

    monkeypatch.setattr("store.journal.rows.pack", pack_all_but_r1)
    first = readings((0, T0_MS, 1.0), (1, T0_MS, 1.0), (2, T0_MS, 1.0), known=["r0", "r1", "r2"])

    added = journal.append(first, T0_MS)
    later = journal.append(readings((1, T0_MS + 1, 2.0), (2, T0_MS + 1, 2.0)), T0_MS + 1)

    assert (added.stored, added.dead_lettered) == (2, {"cannot-be-kept": 2})
    assert (later.stored, later.dead_lettered) == (1, {"cannot-be-kept": 1})
    assert {point for point, _, _ in rows_of(everything(journal))} == {0, 2}


def test_a_key_that_two_points_claim_ends_nothing(journal: Journal) -> None:
    """The first number stays; it was a constraint that was tried for ever."""
    first, *_ = known_racks(["r0"])

    journal.append(Intake(known=[first, structs.replace(first, id=9)]), T0_MS)

    assert sorted(journal.known()) == [0, 9]


# Damage on the disk ------------------------------------------------------------------------


def test_every_damaged_bit_of_an_entry_is_found() -> None:
    """Any single bit of a body, its stamp or its kind; the seed is fixed."""
    source = random.Random(7)  # noqa: S311 - no secret
    for content in (many(1).batch, a_mark("was heard"), known_racks(["r1", "r2"])):
        stamp_ms, kind = T0_MS, int(kind_of(content))
        body = seal(pack(content), stamp_ms, kind)
        assert unpack(kind, unseal(body, "here", stamp_ms, kind), "here") is not None
        for place in source.sample(range(8 * len(body)), min(400, 8 * len(body))):
            damaged = bytearray(body)
            damaged[place // 8] ^= 1 << place % 8
            with pytest.raises(StoreCorrupt):
                unpack(kind, unseal(bytes(damaged), "here", stamp_ms, kind), "here")
        with pytest.raises(StoreCorrupt, match="checksum"):
            unseal(body, "here", stamp_ms ^ 1 << 20, kind)
        with pytest.raises(StoreCorrupt, match="checksum"):
            unseal(body, "here", stamp_ms, kind ^ 1)


def damage(folder: Path, seq: int, column: str = "body", value: object = b"\xc1rubbish") -> None:
    """Put another value in a column of an entry."""
    with closing(sqlite3.connect(folder / FILE)) as connection, connection:
        connection.execute(f"UPDATE entry SET {column} = ? WHERE seq = ?", (value, seq))  # noqa: S608 - ours


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("body", b"\xc1rubbish"),
        ("body", "text"),
        ("stamp_ms", 2**60),
        ("stamp_ms", "x"),
        ("kind", 2),
        ("kind", 99),
    ],
)
def test_a_damaged_entry_is_a_gap_and_all_others_are_read(tmp_path: Path, column: str, value: object) -> None:
    """Nobody knows what it held: whatever any broker had said by then is of unknown age."""
    with closing(Journal(tmp_path)) as journal:
        journal.append(Intake(known=list(known_racks(["r0", "r1"]))), T0_MS)
        for number in range(1, 4):
            journal.append(many(number, 2), T0_MS + number)
    damage(tmp_path, 3, column, value)

    with closing(Journal(tmp_path)) as journal, closing(JournalReader(tmp_path)) as reader:
        for entries in (journal.read(0), reader.read(0), reader.read(2)):
            (gap,) = [entry for entry in entries if entry.seq == 3]
            assert isinstance(gap.content, Mark)
            assert (gap.content.kind, gap.content.broker) == (MarkKind.GAP, EVERY_BROKER)
            assert gap.stamp_ms == gap.content.until_ms == T0_MS + 1
        assert rows_of(journal.read(0)) == rows_of(reader.read(0))
        assert {value for _, _, value in rows_of(reader.read(0))} == {1.0, 3.0}
        assert (journal.head_seq, journal.head_stamp_ms) == (4, T0_MS + 3)


def test_a_damaged_last_entry_sets_no_clock(tmp_path: Path) -> None:
    """The service's clock begins at the last stamp; one that is damaged may be in the year 3000."""
    with closing(Journal(tmp_path)) as journal:
        journal.append(many(1), T0_MS)
        journal.append(many(2), T0_MS + 1)
    damage(tmp_path, 2, "stamp_ms", 2**50)

    with closing(Journal(tmp_path)) as journal:
        assert (journal.head_seq, journal.head_stamp_ms) == (2, T0_MS)


def test_a_point_whose_entry_is_damaged_never_gives_its_number_away(tmp_path: Path) -> None:
    """Its readings are left out until somebody describes it anew, under the number that it had."""
    first, second = known_racks(["r0", "r1"])
    with closing(Journal(tmp_path)) as journal:
        journal.append(Intake(known=[first]), T0_MS)
        journal.append(Intake(known=[second]), T0_MS)
        journal.append(many(1, 2), T0_MS + 1)
    damage(tmp_path, 2)

    with closing(Journal(tmp_path)) as journal:
        assert {point for point, _, _ in rows_of(journal.read(0))} == {0}
        register = Register(journal.known())
        assert register.number(a_point("Rack/RackPower/new", asset="new")) == 2
        assert register.number(second.point, second.asset) == 1
        journal.append(Intake(known=register.news()), T0_MS + 2)
    with closing(Journal(tmp_path)) as journal, closing(JournalReader(tmp_path)) as reader:
        assert {point for point, _, _ in rows_of(journal.read(0))} == {0, 1}
        (again,) = [entry for entry in reader.read(0) if entry.seq == 2]
        assert isinstance(again.content, tuple)
        assert {known.id for known in again.content} == {0, 1, 2}, "told before any reading of it"
        assert journal.known()[1] == second


def test_damaged_metadata_and_what_waits_are_not_believed(tmp_path: Path) -> None:
    """A unit with another letter is another unit: metadata that is damaged is not known."""
    with closing(Journal(tmp_path)) as journal:
        intake = Intake(
            metadata={"one": b'{"unit":"kW"}', "two": b'{"unit":"kW"}'}, waiting=[waits(1), waits(2)]
        )
        journal.append(intake, T0_MS)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE metadata SET payload = replace(payload, 'k', 'M') WHERE topic = 'one'")
        body = connection.execute("SELECT payload FROM metadata WHERE topic = 'two'").fetchone()[0]
        connection.execute(
            "UPDATE metadata SET payload = ? WHERE topic = 'one'", (body.replace(b"kW", b"MW"),)
        )
        connection.execute("UPDATE waiting SET payload = ? WHERE id = 1", (b"\xc1\x00\x00\x00\x00{}",))

    with closing(Journal(tmp_path)) as journal:
        assert journal.metadata() == {"two": b'{"unit":"kW"}'}
        assert journal.waiting() == [replace(waits(1), payload=b""), waits(2)]


def test_an_older_journal_without_checksums_is_read(tmp_path: Path) -> None:
    """Bodies and payloads were bare once."""
    batch = a_batch([(0, T0_MS, 5.0)])
    with closing(Journal(tmp_path)) as journal:
        journal.append(Intake(known=list(known_racks(["r0"]))), T0_MS)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute(
            "INSERT INTO entry VALUES (2, ?, 0, 1, ?, ?, ?)", (T0_MS, T0_MS, T0_MS, pack(batch))
        )
        connection.execute("INSERT INTO metadata VALUES ('one', ?, ?)", (b"{}", T0_MS))
        connection.execute("UPDATE entry SET body = ? WHERE seq = 1", (pack(known_racks(["r0"])),))

    with closing(Journal(tmp_path)) as journal:
        assert rows_of(journal.read(0)) == [(0, T0_MS, 5.0)]
        assert journal.metadata() == {"one": b"{}"}
        assert journal.known() == dict(enumerate(known_racks(["r0"])))
        assert np.isclose(journal.account().stored, 0)


def test_a_damaged_figure_of_the_account_costs_only_itself() -> None:
    """Seed 1125 of the random damage: a row without a name, and one whose figure is text."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE account (name, value)")
        connection.execute("INSERT INTO account VALUES (NULL, NULL), ('bad-json', 'x'), ('bad-topic', 3)")

        assert read_account(connection).dead_lettered == {"bad-topic": 3}


def test_a_damaged_dead_letter_costs_only_itself(tmp_path: Path) -> None:
    """Seed 1501 of the random damage: a reason that there is not."""
    with closing(Journal(tmp_path)) as journal:
        journal.append(Intake(rejections=[refusal(), refusal()]), T0_MS)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE dead_letter SET reason = 'bad-j3on' WHERE id = 1")

    with closing(JournalReader(tmp_path)) as reader:
        assert len(reader.dead_letters()) == 1
