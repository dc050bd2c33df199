"""Kills at any moment: what was acknowledged is there, what was not is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.journal.file import FILE, Account, JournalReader
from store.journal.journal import Journal
from testing.builders import T0_MS
from testing.store.journals import (
    ENTRY_READINGS,
    everything,
    image,
    many,
    readings,
    refusal,
    rows_of,
    waits,
    wal_bytes,
)


def whole(number: int) -> list[tuple[int, int, float]]:
    """Return the readings of the intake with a number."""
    return [(point, T0_MS + number, float(number)) for point in range(ENTRY_READINGS)]


def test_a_kill_before_every_statement_of_an_append_leaves_all_or_nothing(tmp_path: Path) -> None:
    """The file is copied, as a kill would leave it, before each statement and after the last."""
    journal = Journal(tmp_path / "live")
    journal.append(many(1), T0_MS)
    images: list[Path] = []

    def keep(_: str) -> None:
        images.append(image(tmp_path / "live", tmp_path / f"image-{len(images)}"))

    assert journal._connection is not None
    journal._connection.set_trace_callback(keep)
    intake = readings(*whole(2), known=["r1"])
    intake.rejections, intake.waiting, intake.metadata = [refusal()], [waits(1)], {"topic": b"{}"}
    journal.append(intake, T0_MS)
    keep("after the commit")
    journal.close()

    assert len(images) > 8
    for i, folder in enumerate(images):
        found = Journal(folder)
        if i == len(images) - 1:
            assert found.account() == Account(stored=40, dead_lettered={"bad-json": 1}, waiting=1)
            assert rows_of(everything(found)) == whole(1) + whole(2)
            assert (found.waiting(), found.metadata()) == ([waits(1)], {"topic": b"{}"})
        else:
            assert found.account() == Account(stored=20)
            assert rows_of(everything(found)) == whole(1)
            assert (found.waiting(), found.metadata(), found.known()) == ([], {}, {})
        found.close()


def test_a_torn_tail_costs_only_what_was_not_acknowledged(tmp_path: Path) -> None:
    """The last append is cut anywhere: all before it is there, and it is there whole or not at all."""
    journal = Journal(tmp_path / "live")
    journal.append(many(1), T0_MS)
    assert journal._connection is not None
    journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal.append(many(2), T0_MS)
    safe = wal_bytes(tmp_path / "live")
    journal.append(many(3), T0_MS)
    end = wal_bytes(tmp_path / "live")
    cuts = sorted({safe, safe + 1, end - 1, end, *range(safe, end, max(1, (end - safe) // 23))})

    for cut in cuts:
        folder = image(tmp_path / "live", tmp_path / f"cut-{cut}", wal_bytes=cut)
        found = Journal(folder)
        expected = whole(1) + whole(2) + (whole(3) if cut == end else [])
        assert rows_of(everything(found)) == expected, cut
        assert found.append(many(3), T0_MS).received == ENTRY_READINGS
        assert rows_of(everything(found)) == whole(1) + whole(2) + whole(3), cut
        found.close()
    journal.close()


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_tail_of_other_bytes_costs_only_what_was_not_acknowledged(tmp_path: Path, place: float) -> None:
    """Blocks of the last append that never reached the disk hold whatever was there before."""
    journal = Journal(tmp_path / "live")
    journal.append(many(1), T0_MS)
    safe = wal_bytes(tmp_path / "live")
    journal.append(many(2), T0_MS)
    folder = image(tmp_path / "live", tmp_path / "torn")
    journal.close()
    log = folder / f"{FILE}-wal"
    torn = bytearray(log.read_bytes())
    at = safe + round((len(torn) - safe) * place)
    torn[at : at + 512] = bytes(len(torn[at : at + 512]))
    log.write_bytes(torn)

    found = Journal(folder)

    assert rows_of(everything(found)) in (whole(1), whole(1) + whole(2))
    assert found.account().stored == len(rows_of(everything(found)))
    found.close()


def test_a_reader_beside_a_writer_that_was_killed_goes_on(tmp_path: Path) -> None:
    """Whoever read before goes on after the new start, from where it was."""
    journal = Journal(tmp_path)
    journal.append(many(1), T0_MS)
    reader = JournalReader(tmp_path)
    (first,) = reader.read(0)

    after = Journal(tmp_path)  # the old one is never closed: it was killed
    after.append(many(2), T0_MS)

    assert rows_of(reader.read(first.seq)) == whole(2)
    reader.close()
    after.close()
    journal.close()


def test_a_damaged_entry_stops_no_intake(tmp_path: Path) -> None:
    """Readings that cannot be read back are not known as stored: they are taken when they come again."""
    journal = Journal(tmp_path)
    journal.append(readings(*whole(1), known=[f"r{i}" for i in range(ENTRY_READINGS)]), T0_MS)
    assert journal._connection is not None
    journal._connection.execute("UPDATE entry SET body = substr(body, 1, 30) WHERE kind = 0")
    journal.close()

    again = Journal(tmp_path)

    assert again.append(many(1), T0_MS).stored == ENTRY_READINGS
    assert again.append(many(1), T0_MS).duplicates == ENTRY_READINGS
    again.close()
