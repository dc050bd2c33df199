"""Disks that are full or refuse to sync: nothing is lost or there twice, and it goes on by itself."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import store.journal.journal
import store.sqlite
from facility.errors import StoreUnavailable
from store.disk_reserve import RESERVE_BYTES, SMALL_DISK, reserve_bytes
from store.journal.file import Account, JournalReader
from store.journal.intake import Intake
from store.journal.journal import Journal
from store.sqlite import transaction
from testing.builders import T0_MS
from testing.store.disks import small_disk
from testing.store.journals import (
    ENTRY_READINGS,
    a_mark,
    everything,
    failing,
    many,
    readings,
    refusal,
    rows_of,
    waits,
)

IO_ERROR = sqlite3.SQLITE_IOERR_FSYNC


def limit_pages(journal: Journal, more: int | None) -> None:
    """Let the file grow by so many pages and no more; without bounds for None."""
    assert journal._connection is not None
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    most = 2**30 if more is None else pages + more
    journal._connection.execute(f"PRAGMA max_page_count = {most}")


def fill(journal: Journal, first: int = 0) -> int:
    """Append until the disk refuses; return the number of the first intake that it did not take."""
    for number in range(first, first + 10_000):
        try:
            journal.append(many(number, 400), T0_MS + number)
        except StoreUnavailable:
            return number
    raise AssertionError("the disk refuses nothing")


# A full disk --------------------------------------------------------------------------


def test_a_full_disk_is_said_and_takes_nothing_of_an_append(tmp_path: Path) -> None:
    """What could not be stored whole is not there at all, and what was stored stays readable."""
    journal = Journal(tmp_path)
    limit_pages(journal, 20)
    refused = fill(journal)
    before = journal.account()

    with pytest.raises(StoreUnavailable, match="full"):
        journal.append(many(refused, 400), T0_MS)

    assert refused > 1
    assert journal.account() == before == Account(stored=400 * refused)
    assert len(rows_of(journal.read(0, 1_000))) == 400 * refused
    assert len(rows_of(everything(journal))) == 400 * refused
    journal.close()


def test_when_there_is_room_again_the_same_append_is_taken(tmp_path: Path) -> None:
    """Nothing has to be started anew; the reading that waited is stored once."""
    journal = Journal(tmp_path)
    limit_pages(journal, 20)
    refused = fill(journal)

    limit_pages(journal, None)
    added = journal.append(many(refused, 400), T0_MS + refused)

    assert added == Account(stored=400)
    values = [value for _, _, value in rows_of(everything(journal))]
    assert sorted(set(values)) == [float(number) for number in range(refused + 1)]
    assert len(values) == 400 * (refused + 1)
    journal.close()


def test_trimming_makes_room(tmp_path: Path) -> None:
    """What every reader has read goes, and appends go on in its place: the file need not grow."""
    journal = Journal(tmp_path)
    journal.set_reader("rules", 0)
    limit_pages(journal, 40)
    refused = fill(journal)
    limit_pages(journal, 2)
    journal.set_reader("rules", journal.head_seq)

    gone = journal.trim(before_ms=T0_MS + refused - 2, most_bytes=10**9)

    assert gone == refused - 2
    assert journal.append(many(refused, 400), T0_MS + refused).stored == 400
    journal.close()


def test_a_limit_of_the_system_on_files_is_a_full_disk(tmp_path: Path) -> None:
    """The same with a real write that the system refuses, in a process of its own."""
    program = f"""
import resource, sys
from pathlib import Path
from facility.errors import StoreUnavailable
from store.journal.journal import Journal
from testing.builders import T0_MS
from testing.store.journals import everything, many, rows_of

journal = Journal(Path({str(tmp_path)!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
taken = refusals = 0
while taken < 1_000 and refusals < 3:
    try:
        journal.append(many(taken, 400), T0_MS + taken)
        taken, refusals = taken + 1, 0
    except StoreUnavailable:
        refusals += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append(many(taken, 400), T0_MS + taken)
stored, rows = journal.account().stored, rows_of(everything(journal))
print(taken, refusals, stored, len(rows), len(set(rows)))
"""

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )

    taken, refusals, *counts = (int(word) for word in done.stdout.split())
    assert 10 < taken < 1_000
    assert refusals == 3
    assert counts == [400 * (taken + 1)] * 3


@pytest.mark.parametrize("ballast_goes", [True, False], ids=["by a stranger", "by ourselves"])
def test_a_small_disk_fills_and_empties(tmp_path: Path, *, ballast_goes: bool) -> None:
    """On a real file system that is full: reading goes on, marks are taken, and room is found again."""
    with small_disk(tmp_path / "disk", "8m") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(2_000_000))
        journal = Journal(disk)
        journal.reader("rules")
        refused = fill(journal)

        journal.append(Intake(marks=[a_mark("what happens to a connection is told")]), T0_MS + refused)
        assert len(rows_of(everything(journal))) == 400 * refused
        if ballast_goes:
            ballast.unlink()
        else:
            journal.set_reader("rules", journal.head_seq)
            journal.trim(before_ms=T0_MS + refused, most_bytes=10**9)
            ballast.write_bytes(bytes(1_900_000))

        assert journal.append(many(refused, 400), T0_MS + refused).stored == 400
        assert journal.account().stored == 400 * (refused + 1)
        journal.close()


def test_a_disk_that_is_full_to_the_last_byte_is_read(tmp_path: Path) -> None:
    """With nothing left at all, whoever reads beside the writer still reads, and the writer comes back."""
    with small_disk(tmp_path / "disk", "8m") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(1_000_000))
        journal = Journal(disk)
        refused = fill(journal)
        with ballast.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4_096)):
                pass
        assert os.statvfs(disk).f_bavail == 0

        with pytest.raises(StoreUnavailable):
            journal.append(many(refused), T0_MS + refused)
        reader = JournalReader(disk)
        assert reader.account().stored == 400 * refused
        assert len(rows_of(everything(journal))) == 400 * refused
        reader.close()
        ballast.unlink()

        assert journal.append(many(refused), T0_MS + refused).stored == ENTRY_READINGS
        journal.close()


def test_readings_leave_room_for_alarms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the reserve nothing is taken that is received, but what happened to a connection is."""
    journal = Journal(tmp_path)
    disk = os.statvfs(tmp_path)
    scarce = os.statvfs_result((*disk[:3], 1, 1, *disk[5:]))
    monkeypatch.setattr("store.disk_reserve.os.statvfs", lambda _: scarce)

    for intake in (
        many(1),
        Intake(rejections=[refusal()]),
        Intake(waiting=[waits(1)]),
        Intake(metadata={"topic": b"{}"}),
    ):
        with pytest.raises(StoreUnavailable, match="kept for alarms"):
            journal.append(intake, T0_MS)
    journal.append(Intake(marks=[a_mark()]), T0_MS)
    monkeypatch.undo()

    assert journal.append(many(1), T0_MS).stored == ENTRY_READINGS
    assert journal.account() == Account(stored=ENTRY_READINGS)
    journal.close()


def test_a_small_disk_is_not_all_reserve() -> None:
    """What is left free is bounded both ways."""
    assert reserve_bytes(10**12) == RESERVE_BYTES
    assert reserve_bytes(16 * 2**20) == 2**20 == 16 * 2**20 // SMALL_DISK


# A disk that does not sync ------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "was_taken"),
    [(IO_ERROR, True), (IO_ERROR, False), (sqlite3.SQLITE_FULL, False)],
    ids=["not synced but there", "not synced", "full"],
)
def test_what_failed_and_is_tried_again_is_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, *, was_taken: bool
) -> None:
    """Whether the disk had taken it or not: all of it is stored and counted once."""
    journal = Journal(tmp_path)
    journal.append(many(1), T0_MS)
    intake = readings((0, T0_MS + 5, 90.0), known=["r1"])
    intake.rejections, intake.waiting, intake.marks = [refusal()], [waits(3)], [a_mark()]

    monkeypatch.setattr(store.sqlite, "transaction", failing(transaction, code, was_taken=was_taken))
    with pytest.raises(StoreUnavailable):
        journal.append(intake, T0_MS)
    monkeypatch.undo()
    added = journal.append(intake, T0_MS)

    assert added == Account(stored=1, dead_lettered={"bad-json": 1}, waiting=1)
    assert journal.account() == Account(stored=21, dead_lettered={"bad-json": 1}, waiting=1)
    assert rows_of(journal.read(0)) == rows_of(everything(journal))
    assert len(rows_of(everything(journal))) == 21
    assert [entry.seq for entry in everything(journal)] == [1, 2, 3, 4]
    assert journal.waiting() == [waits(3)]
    journal.close()


def test_what_another_broker_sends_between_does_not_hide_what_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two collectors share the journal: each learns what became of its own append."""
    journal = Journal(tmp_path)
    mine, other = Intake(rejections=[refusal(1)]), Intake(rejections=[refusal(2)])
    monkeypatch.setattr(store.sqlite, "transaction", failing(transaction, IO_ERROR, was_taken=True))
    with pytest.raises(StoreUnavailable):
        journal.append(mine, T0_MS)
    monkeypatch.undo()

    journal.append(other, T0_MS)
    journal.append(mine, T0_MS)
    journal.append(mine, T0_MS)

    assert journal.account().dead_lettered == {"bad-json": 3}, "the third was received anew"
    journal.close()


def test_what_readers_have_in_memory_is_read_while_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judging goes on over what was stored, and so says that nothing new comes."""
    journal = Journal(tmp_path)
    journal.append(many(1), T0_MS)
    monkeypatch.setattr(store.sqlite, "transaction", failing(transaction, IO_ERROR, was_taken=False))
    with pytest.raises(StoreUnavailable):
        journal.append(many(2), T0_MS)

    def refuses(*_: object) -> None:
        raise StoreUnavailable(str(journal.path), "disk I/O error")

    monkeypatch.setattr(store.journal.journal, "open_writer", refuses)

    assert len(rows_of(journal.read(0))) == ENTRY_READINGS
    assert journal.read(journal.head_seq) == []
    with pytest.raises(StoreUnavailable):
        journal.append(many(2), T0_MS)
    journal.close()


def test_a_reader_that_is_known_finds_its_place_on_a_full_disk(tmp_path: Path) -> None:
    """The monitor starts on a disk that is full, and so can say that it is."""
    journal = Journal(tmp_path)
    journal.set_reader("rules", 5)
    assert journal._connection is not None
    journal._connection.execute("PRAGMA query_only = ON")

    assert journal.reader("rules") == 5
    journal.close()


@pytest.mark.parametrize("what", ["set_reader", "refuse", "trim", "reader"])
def test_whatever_writes_says_that_the_disk_refuses(tmp_path: Path, what: str) -> None:
    """An error of SQLite itself would end the monitor; this one is waited out."""
    journal = Journal(tmp_path)
    journal.append(many(1), T0_MS)
    assert journal._connection is not None
    journal._connection.execute("PRAGMA query_only = ON")
    calls: dict[str, Callable[[], object]] = {
        "set_reader": lambda: journal.set_reader("rules", 1),
        "refuse": lambda: journal.refuse([refusal()]),
        "trim": lambda: journal.trim(T0_MS, 0),
        "reader": lambda: journal.reader("rules"),
    }

    with pytest.raises(StoreUnavailable, match="readonly"):
        calls[what]()

    journal.close()
