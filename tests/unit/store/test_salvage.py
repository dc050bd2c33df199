"""Files that are damaged or gone: they are put aside, what can be read of them is kept, and work goes on."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from store.history.integrity import damaged_files
from store.journal import file as journalfile
from store.journal.file import JournalReader
from store.journal.intake import Intake
from store.journal.journal import Journal
from store.ledger import ledger
from store.ledger.alarms import Progress
from store.ledger.ledger import Ledger
from testing.builders import T0_MS, known_racks
from testing.store.journals import everything, noisy, readings, rows_of
from testing.store.ledgers import progress, state

GARBAGE = b"not a database at all " * 400


def filled(folder: Path, appends: int = 60) -> int:
    """Make a journal; return how many readings are in it."""
    with closing(Journal(folder)) as journal:
        journal.append(Intake(known=list(known_racks([f"r{i}" for i in range(500)]))), T0_MS)
        for number in range(appends):
            journal.append(noisy(number), T0_MS + number)
        assert journal._connection is not None
        journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return 500 * appends


def spoil(path: Path, pages: range) -> None:
    """Overwrite pages of a file."""
    with path.open("r+b") as file:
        for page in pages:
            file.seek(4_096 * page)
            file.write(random.Random(page).randbytes(4_096))  # noqa: S311 - no secret


@pytest.mark.parametrize("garbage", [GARBAGE, b"SQLite format 3\x00" + GARBAGE])
def test_a_journal_of_garbage_is_put_aside_and_a_new_one_begins(tmp_path: Path, garbage: bytes) -> None:
    """Nothing of it can be read, and nothing of it is thrown away."""
    (tmp_path / journalfile.FILE).write_bytes(garbage)

    with closing(Journal(tmp_path)) as journal:
        assert journal.is_another
        journal.append(readings((0, T0_MS, 1.0), known=["r0"]), T0_MS)
        assert rows_of(everything(journal)) == [(0, T0_MS, 1.0)]

    (aside,) = damaged_files(tmp_path)
    assert aside.read_bytes() == garbage


def test_pages_that_are_damaged_cost_what_is_in_them(tmp_path: Path) -> None:
    """It is noticed when they are read; all other entries keep their numbers, and the next one follows."""
    total = filled(tmp_path)
    size = (tmp_path / journalfile.FILE).stat().st_size // 4_096
    spoil(tmp_path / journalfile.FILE, range(size // 2, size // 2 + 4))

    with closing(Journal(tmp_path)) as journal:
        head_seq = journal.head_seq
        found = rows_of(everything(journal))
        assert total // 2 < len(found) < total
        assert len(set(found)) == len(found)
        assert len(journal.known()) == 500
        journal.append(noisy(99), T0_MS + 99)
        assert journal.head_seq > head_seq - 1
        assert rows_of(everything(journal))[-500:] == rows_of(journal.read(journal.head_seq - 1))


def test_a_journal_that_was_removed_goes_on_behind_what_others_have_read(tmp_path: Path) -> None:
    """The engine and the history count from its numbers: they would have taken nothing for days."""
    with closing(Journal(tmp_path)) as journal, closing(Ledger(tmp_path)) as book:
        journal.append(readings((0, T0_MS, 1.0), known=["r0"]), T0_MS)
        book.save(Progress(seq=4_711, tick_ms=T0_MS))
    for path in tmp_path.glob("journal.sqlite*"):
        path.unlink()

    with closing(Journal(tmp_path)) as journal:
        assert (journal.is_another, journal.head_seq) == (True, 4_711)
        journal.append(readings((0, T0_MS, 1.0)), T0_MS)
        assert [entry.seq for entry in journal.read(0)] == [4_712]
    with closing(Journal(tmp_path)) as journal:
        assert (journal.is_another, journal.head_seq) == (False, 4_712)


def test_a_ledger_of_garbage_is_put_aside_and_a_new_one_begins(tmp_path: Path) -> None:
    """Alarms are found again from the journal; pages go on."""
    (tmp_path / ledger.FILE).write_bytes(GARBAGE)

    with closing(Ledger(tmp_path)) as book:
        assert book.is_another
        book.save(progress(("a1", "opened", T0_MS)))
        assert state(book)[:3] == (1, 1, 1)

    assert [path.name for path in damaged_files(tmp_path)] == ["ledger.sqlite.damaged"]


def test_a_ledger_with_a_damaged_page_keeps_all_other_rows(tmp_path: Path) -> None:
    """What waits to be told, and who took which alarm in hand, are in no other place."""
    events = [(f"a{number}", "opened", T0_MS + number) for number in range(300)]
    with closing(Ledger(tmp_path)) as book:
        book.save(progress(*events))
        book._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with closing(sqlite3.connect(tmp_path / ledger.FILE)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'series'").fetchone()
    spoil(tmp_path / ledger.FILE, range(root - 1, root))

    with closing(Ledger(tmp_path)) as book:
        assert book.is_another
        assert state(book) == (300, 300, 300, 0, (7, T0_MS))


def test_who_reads_beside_the_writer_goes_on_in_the_new_file(tmp_path: Path) -> None:
    """Another process has the old one open when it is put aside."""
    filled(tmp_path, 3)
    with closing(JournalReader(tmp_path)) as reader:
        assert len(rows_of(reader.read(0))) == 1_500
        spoil(tmp_path / journalfile.FILE, range(1))
        with closing(Journal(tmp_path)) as journal:
            journal.append(readings((0, T0_MS + 10**6, 1.0), known=["r0"]), T0_MS)
            assert rows_of(reader.read(journal.head_seq - 1)) == [(0, T0_MS + 10**6, 1.0)]


def test_a_page_of_zeros_does_not_hold_up_who_reads(tmp_path: Path) -> None:
    """SQLite finds an entry 0 in it, again and again."""
    filled(tmp_path, 3)
    with closing(sqlite3.connect(tmp_path / journalfile.FILE)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'entry'").fetchone()
    size = (tmp_path / journalfile.FILE).stat().st_size // 4_096
    for page in range(root, size):
        folder = tmp_path / str(page)
        folder.mkdir()
        data = bytearray((tmp_path / journalfile.FILE).read_bytes())
        data[4_096 * page : 4_096 * (page + 1)] = bytes(4_096)
        (folder / journalfile.FILE).write_bytes(data)
        with closing(Journal(folder)) as journal:
            seqs = [entry.seq for entry in journal.read(0)]
            assert seqs == sorted(set(seqs))
            assert 0 not in seqs
            journal.append(noisy(99), T0_MS + 99)


def test_no_number_is_given_twice_although_its_entry_is_lost(tmp_path: Path) -> None:
    """Who has read it would never read the next one of that number."""
    filled(tmp_path, 10)
    size = (tmp_path / journalfile.FILE).stat().st_size // 4_096
    spoil(tmp_path / journalfile.FILE, range(size // 2, size))

    with closing(Journal(tmp_path)) as journal:
        journal.read(0)
        journal.append(noisy(99), T0_MS + 99)
        assert journal.head_seq == 12
        assert journal.read(11)[-1].seq == 12
