"""What the journal lets go: by age and by size, and never what somebody still has to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

import store.journal.rows
from facility.errors import StoreUnavailable
from facility.names import AssetId
from facility.points import Asset
from store.journal.entries import Known
from store.journal.file import JournalReader
from store.journal.follower import JournalFollower
from store.journal.intake import Intake
from store.journal.journal import Journal
from testing.builders import T0_MS, known_racks
from testing.store.journals import a_mark, everything, noisy, refusal, rows_of

HUGE = 10**12


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return a journal of a hundred entries, one a second, after one that makes points known."""
    opened = Journal(tmp_path)
    opened.append(Intake(known=list(known_racks(["r1", "r2"]))), T0_MS)
    for number in range(100):
        opened.append(noisy(number), T0_MS + number * 1_000)
    yield opened
    opened.close()


def numbers(journal: Journal) -> list[int]:
    """Return the numbers of the intakes that are left."""
    return sorted({int(value) for _, _, value in rows_of(everything(journal))})


def test_what_is_old_and_read_goes(journal: Journal) -> None:
    """Entries stamped before the moment; what describes points stays."""
    journal.set_reader("rules", journal.head_seq)

    gone = journal.trim(T0_MS + 40_000, HUGE)

    assert gone == 40
    assert numbers(journal) == list(range(40, 100))
    assert set(journal.known()) == {0, 1}


@pytest.mark.parametrize("how", ["by age", "by size"])
def test_what_a_reader_has_not_read_stays(journal: Journal, how: str) -> None:
    """The slowest of all readers counts, however old or large the journal is."""
    journal.set_reader("rules", journal.head_seq)
    journal.set_reader("influx", 31)
    before_ms, most = (T0_MS + HUGE, HUGE) if how == "by age" else (0, 0)

    journal.trim(before_ms, most)

    assert numbers(journal) == list(range(30, 100))
    assert [entry.seq for entry in journal.read(31)] == list(range(32, 102))


def test_a_reader_that_has_read_nothing_yet_holds_everything(journal: Journal, tmp_path: Path) -> None:
    """From when it first asks where it is, in any process: a sink that never worked is waited for."""
    journal.set_reader("rules", journal.head_seq)
    follower = JournalFollower(tmp_path)

    assert (journal.reader("influx"), follower.reader("parquet")) == (0, 0)
    assert journal.trim(T0_MS + HUGE, 0) == 0
    follower.set_reader("parquet", 50)
    journal.set_reader("influx", 20)
    assert (journal.reader("influx"), follower.reader("parquet")) == (20, 50)
    journal.trim(T0_MS + HUGE, 0)

    assert numbers(journal)[0] == 19
    follower.close()


def test_without_readers_nothing_goes(journal: Journal) -> None:
    """A journal that nobody has read is not thrown away."""
    assert journal.trim(T0_MS + HUGE, 0) == 0


def test_beyond_a_size_the_oldest_go_first(journal: Journal) -> None:
    """In a few rounds it is under the size, the newest are there, and it stays so as more comes."""
    journal.set_reader("rules", journal.head_seq)
    assert journal._connection is not None
    most = journal._used_bytes(journal._connection) // 2

    for _ in range(6):
        journal.trim(0, most)
    left = numbers(journal)

    assert journal._used_bytes(journal._connection) <= most * 1.05
    assert left == list(range(left[0], 100))
    assert 20 < left[0] < 80


def test_it_grows_beyond_its_size_while_the_history_is_away(journal: Journal) -> None:
    """Nothing that the history lacks is given up; once it has read on, the size is kept again."""
    journal.set_reader("rules", journal.head_seq)
    journal.set_reader("influx", 0)
    assert journal._connection is not None
    most = journal._used_bytes(journal._connection) // 2

    journal.trim(T0_MS + HUGE, most)
    away = numbers(journal)
    journal.set_reader("influx", journal.head_seq)
    for _ in range(6):
        journal.trim(0, most)

    assert away == list(range(100))
    assert journal._used_bytes(journal._connection) <= most * 1.05


def test_the_size_is_kept_long_after_the_first_description(tmp_path: Path) -> None:
    """The points' descriptions at the beginning stay; the size is shared out among what can go."""
    journal = Journal(tmp_path)
    journal.append(Intake(known=list(known_racks(["r1"]))), T0_MS)
    for number in range(300):
        journal.append(noisy(number), T0_MS + number)
    journal.set_reader("rules", journal.head_seq)
    journal.trim(T0_MS + 250, HUGE)
    assert journal._connection is not None
    most = int(journal._used_bytes(journal._connection) * 0.7)

    for _ in range(4):
        journal.trim(0, most)

    assert journal._used_bytes(journal._connection) <= most * 1.05
    journal.close()


def test_the_last_entry_stays_and_numbers_go_on(journal: Journal, tmp_path: Path) -> None:
    """After everything is read and old, stamps do not fall and no number is given twice."""
    last = journal.head_seq
    journal.set_reader("rules", last)

    journal.trim(T0_MS + HUGE, 0)
    journal.close()
    after = Journal(tmp_path)
    after.append(Intake(marks=[a_mark()]), 0)

    assert after.head_seq == last + 1
    assert after.head_stamp_ms == T0_MS + 99_000
    assert [entry.seq for entry in after.read(last)] == [last + 1]
    after.close()


def test_one_round_lets_only_so_much_go(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage of days, what comes in meanwhile waits for no more than a moment."""
    monkeypatch.setattr("store.journal.journal.MOST_TRIMMED", 10)
    journal.set_reader("rules", journal.head_seq)

    rounds = [journal.trim(T0_MS + 35_000, HUGE) for _ in range(5)]

    assert sum(rounds) == 35
    assert max(rounds) <= 11


# Dead letters -------------------------------------------------------------------------


def test_dead_letters_go_by_age(journal: Journal, tmp_path: Path) -> None:
    """With the entries of their time, whoever has read what."""
    journal.append(Intake(rejections=[refusal(number) for number in range(10)]), T0_MS)

    journal.trim(T0_MS + 4, HUGE)

    reader = JournalReader(tmp_path)
    assert [letter.received_ms - T0_MS for letter in reader.dead_letters()] == [9, 8, 7, 6, 5, 4]
    reader.close()


@pytest.mark.parametrize("at_once", [True, False])
def test_a_flood_of_dead_letters_is_bounded_at_once(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, at_once: bool
) -> None:
    """The newest are kept, those that went are counted, and the account forgets none of their reasons."""
    monkeypatch.setattr(store.journal.rows, "MOST_DEAD_LETTERS", 100)
    letters = [refusal(number) for number in range(250)]
    if at_once:
        journal.append(Intake(rejections=letters), T0_MS)
    else:
        for i in range(0, 250, 10):
            journal.append(Intake(rejections=letters[i : i + 10]), T0_MS)

    reader = JournalReader(tmp_path)
    kept = reader.dead_letters(1_000)
    account = reader.account()
    reader.close()
    assert kept == letters[:-101:-1]
    assert account.dead_lettered == {"bad-json": 250}
    assert account.letters_dropped == 150
    assert account == journal.account()


def test_letters_that_could_not_be_stored_push_none_out(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is kept within the append: all or nothing."""
    monkeypatch.setattr(store.journal.rows, "MOST_DEAD_LETTERS", 5)
    journal.append(Intake(rejections=[refusal(number) for number in range(5)]), T0_MS)
    assert journal._connection is not None
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StoreUnavailable):
        journal.append(Intake(rejections=[refusal(9, b"x" * 2_048) for _ in range(500)]), T0_MS)

    reader = JournalReader(tmp_path)
    assert len(reader.dead_letters()) == 5
    assert reader.account().letters_dropped == 0
    reader.close()


def described(number: int, name: str = "", *, asset: str = "") -> Known:
    """Return the power point of a rack with a unit of its own each time, and its asset where one is named."""
    (known,) = known_racks([f"r{number}"])
    found = Asset(id=AssetId(asset), kind="Rack", name=name) if asset else None
    return Known(number, replace(known.point, point_type=name), found)


def test_descriptions_that_change_for_ever_do_not_grow_for_ever(tmp_path: Path) -> None:
    """Ten points, described anew 10,000 times: of each the first and the newest description stay."""
    journal = Journal(tmp_path)
    for turn in range(200):
        changed = [
            described(number % 10, f"{turn}.{number}", asset=f"r{number % 10}") for number in range(50)
        ]
        journal.append(Intake(known=changed), T0_MS + turn * 1_000)
        journal.set_reader("rules", journal.head_seq)
        if turn % 20 == 19:
            known, before = journal.known(), len(journal.point_entries())
            gone = journal.trim(T0_MS + HUGE, HUGE)
            assert journal.known() == known
            assert len(journal.point_entries()) == before - gone <= 3
            assert journal.trim(T0_MS + HUGE, HUGE) == 0
    assert [journal.point_entries()[place].stamp_ms for place in (0, -1)] == [T0_MS, T0_MS + 199_000]
    journal.close()


def test_a_description_that_a_reader_has_not_read_stays_with_those_it_follows(tmp_path: Path) -> None:
    """Whoever goes on from entry 3 must know what was known there."""
    journal = Journal(tmp_path)
    for turn in range(6):
        journal.append(Intake(known=[described(0, str(turn))]), T0_MS + turn * 1_000)
    journal.set_reader("rules", 3)

    assert journal.trim(T0_MS + HUGE, HUGE) == 1
    assert [entry.seq for entry in journal.point_entries()] == [1, 3, 4, 5, 6]
    journal.close()


def test_an_asset_stays_described_where_its_point_moved_away(tmp_path: Path) -> None:
    """What it serves is known from nowhere else."""
    journal = Journal(tmp_path)
    for turn, asset in enumerate(["old", "", "pdu", "new", "new", "new"]):
        journal.append(Intake(known=[described(0, str(turn), asset=asset)]), T0_MS + turn * 1_000)
    journal.set_reader("rules", journal.head_seq)

    journal.trim(T0_MS + HUGE, HUGE)

    assert [entry.seq for entry in journal.point_entries()] == [1, 3, 5, 6]
    journal.close()
