"""One append to the journal: all of it or nothing, in order, each reading once, and all of it accounted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import store.journal.intake
import store.journal.journal
from facility.errors import StoreCorrupt, StoreUnavailable
from facility.readings import DEAD_LETTER_BYTES, Batch, Flag, Quality, Reason
from store.journal.entries import Mark
from store.journal.file import Account, JournalReader
from store.journal.follower import JournalFollower
from store.journal.intake import Intake, readings_of
from store.journal.journal import WARM_MS, Journal
from testing.builders import T0_MS, a_batch, known_racks
from testing.store.journals import ENTRY_READINGS, a_mark, everything, many, readings, refusal, rows_of, waits


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return an empty journal."""
    opened = Journal(tmp_path)
    yield opened
    opened.close()


def test_one_append_is_one_transaction_of_all_kinds(journal: Journal) -> None:
    """Marks come first, then points, then readings; what is no entry is there with them."""
    intake = readings((0, T0_MS, 90.0), known=["r1"])
    intake.marks = [a_mark("before")]
    intake.rejections = [refusal()]
    intake.metadata = {"topic": b"{}"}
    intake.waiting = [waits(7)]

    added = journal.append(intake, T0_MS)

    kinds = [type(entry.content).__name__ for entry in everything(journal)]
    assert kinds == ["Mark", "tuple", "Batch"]
    assert added == Account(stored=1, dead_lettered={"bad-json": 1}, waiting=1)
    assert added == journal.account()
    assert journal.metadata() == {"topic": b"{}"}
    assert journal.waiting() == [waits(7)]


def test_an_append_is_one_sync(journal: Journal, tmp_path: Path) -> None:
    """However much is waiting, it is one transaction: the log grows by one commit."""
    commits: list[str] = []
    journal.append(many(0), T0_MS)
    assert journal._connection is not None
    journal._connection.set_trace_callback(commits.append)

    journal.append(many(1, 4_000), T0_MS)

    assert [statement for statement in commits if statement in ("BEGIN IMMEDIATE", "COMMIT")] == [
        "BEGIN IMMEDIATE",
        "COMMIT",
    ]
    reader = JournalReader(tmp_path)
    assert reader.account().stored == 4_020
    reader.close()


def test_nothing_to_append_writes_nothing(journal: Journal) -> None:
    """Metadata that says nothing new is repeated all the time; it costs no sync."""
    before = journal.path.with_name(journal.path.name + "-wal").stat().st_size

    assert journal.append(Intake(), T0_MS) == Account()

    assert journal.path.with_name(journal.path.name + "-wal").stat().st_size == before


def test_stamps_never_fall_and_keep_every_promise(journal: Journal, tmp_path: Path) -> None:
    """A clock that is set back, and a promise of an engine here or elsewhere, hold for what comes after."""
    follower = JournalFollower(tmp_path)
    stamps = []
    for number, (now_ms, promised_ms) in enumerate([(T0_MS, 0), (T0_MS - 5_000, 0), (T0_MS, T0_MS + 10)]):
        journal.promise(promised_ms)
        journal.append(many(number), now_ms)
        stamps.append(journal.head_stamp_ms)
    follower.promise(T0_MS + 100)
    journal.append(many(9), T0_MS)
    follower.close()

    assert [*stamps, journal.head_stamp_ms] == [T0_MS, T0_MS, T0_MS + 11, T0_MS + 101]


# Each reading once --------------------------------------------------------------------


@pytest.mark.parametrize("restart", [False, True], ids=["at once", "after a restart"])
@pytest.mark.parametrize("later_ms", [0, 10 * WARM_MS], ids=["soon", "much later"])
def test_a_reading_that_is_delivered_again_is_stored_once(
    tmp_path: Path, later_ms: int, *, restart: bool
) -> None:
    """Known from memory, or found on disk: a repetition is counted and stored nowhere."""
    journal = Journal(tmp_path)
    first = [(point, T0_MS, float(point)) for point in range(3)]
    journal.append(readings(*first, known=["r1", "r2", "r3"]), T0_MS)
    for i in range(20):
        journal.append(readings((0, T0_MS + 1 + i, 1.0)), T0_MS + 1 + i)
    journal.append(readings((1, T0_MS + later_ms + 50, 5.0)), T0_MS + later_ms + 50)
    if restart:
        journal.close()
        journal = Journal(tmp_path)

    again = journal.append(
        readings(*first, (2, T0_MS + 60, 9.0), flags=Flag.REDELIVERED), T0_MS + later_ms + 60
    )

    assert again == Account(stored=1, duplicates=3)
    rows = rows_of(everything(journal))
    assert len(rows) == len(set(rows)) == 3 + 20 + 1 + 1
    journal.close()


def test_no_value_again_is_a_repetition_too(journal: Journal) -> None:
    """Two that have no value are the same reading, though NaN is unlike itself."""
    nothing = readings((0, T0_MS, float("nan")), quality=Quality.NO_VALUE)

    journal.append(nothing, T0_MS)

    assert journal.append(nothing, T0_MS) == Account(duplicates=1)


@pytest.mark.shows(Reason.CONFLICTING_VALUE, Quality.REFUSED, Flag.CONFLICT)
@pytest.mark.parametrize("in_one_append", [True, False])
def test_another_value_for_the_same_moment_is_a_dead_letter(journal: Journal, *, in_one_append: bool) -> None:
    """The first is kept, nothing that was stored is ever changed, and the point is in doubt from then on."""
    if in_one_append:
        journal.append(readings((0, T0_MS, 90.0), (0, T0_MS, 91.0)), T0_MS)
    else:
        journal.append(readings((0, T0_MS, 90.0)), T0_MS)
        journal.append(readings((0, T0_MS, 91.0)), T0_MS)

    kept = Batch.concatenate([e.content for e in everything(journal) if isinstance(e.content, Batch)])
    assert readings_of(kept).value.tolist() == [90.0]
    assert [Quality(code) for code in kept.quality] == [Quality.GOOD, Quality.REFUSED]
    assert Flag(int(kept.flags[-1])) is Flag.CONFLICT
    assert journal.account().dead_lettered == {Reason.CONFLICTING_VALUE: 1}
    assert journal.account().received == 2


def test_a_doubt_is_an_entry_and_no_reading(journal: Journal) -> None:
    """That a point is in doubt is told to whoever reads, every time; it is counted with its dead letter."""
    doubt = Intake(batch=a_batch([(0, T0_MS, float("nan"))], quality=Quality.REFUSED), rejections=[refusal()])

    journal.append(doubt, T0_MS)
    added = journal.append(doubt, T0_MS)

    assert len(rows_of(everything(journal))) == 2
    assert (added.stored, added.duplicates, added.received) == (0, 0, 1)


# What is no entry ---------------------------------------------------------------------


def test_metadata_is_replaced_and_taken_away(journal: Journal) -> None:
    """The last that was said of a topic holds; an empty payload says that nothing does."""
    for payload in (b"1", b"2"):
        journal.append(Intake(metadata={"a": payload, "b": payload}), T0_MS)

    journal.append(Intake(metadata={"a": b"", "never": b""}), T0_MS)

    assert journal.metadata() == {"b": b"2"}


def test_what_waited_and_is_settled_is_counted_once(journal: Journal) -> None:
    """While it waits it counts as waiting; then as what became of it."""
    journal.append(Intake(waiting=[waits(1), waits(2)]), T0_MS)
    middle = journal.account()
    settled = readings((0, T0_MS, 90.0))
    settled.settled = [1]
    journal.append(settled, T0_MS)

    assert (middle.waiting, middle.received) == (2, 2)
    assert (journal.account().waiting, journal.account().stored, journal.account().received) == (1, 1, 2)
    assert journal.waiting() == [waits(2)]


def test_a_dead_letter_is_kept_as_it_was_refused(journal: Journal, tmp_path: Path) -> None:
    """Bytes that are no text, an odd topic, and the length of what was cut."""
    letter = refusal(3, bytes(range(256)) * (DEAD_LETTER_BYTES // 256))

    journal.append(Intake(rejections=[refusal(1), letter]), T0_MS)

    reader = JournalReader(tmp_path)
    assert reader.dead_letters() == [letter, refusal(1)]
    assert reader.dead_letters(1) == [letter]
    reader.close()


def test_what_a_database_refuses_stays_stored(journal: Journal, tmp_path: Path) -> None:
    """It is a letter for people, and changes no figure: the reading is in the journal."""
    journal.append(many(1), T0_MS)
    before = journal.account()

    journal.refuse([refusal(1, reason=Reason.REFUSED_BY_DATABASE)])

    assert journal.account() == before
    reader = JournalReader(tmp_path)
    assert [letter.reason for letter in reader.dead_letters()] == [Reason.REFUSED_BY_DATABASE]
    reader.close()


# Readers ------------------------------------------------------------------------------


def test_readers_in_every_process_see_the_same(journal: Journal, tmp_path: Path) -> None:
    """From memory, from the file, and beside the writer: the same entries, in pages of any size."""
    follower = JournalFollower(tmp_path)
    for number in range(25):
        journal.append(many(number), T0_MS + number)
        if number % 7 == 0:
            journal.append(Intake(marks=[a_mark(str(number))]), T0_MS + number)

    from_memory = journal.read(0)
    paged = [entry for after in range(0, 40, 3) for entry in journal.read(after, 3)]

    def plain(entries: list[object]) -> list[tuple[int, int]]:
        return [(entry.seq, entry.stamp_ms) for entry in entries]  # type: ignore[attr-defined]

    assert plain([*from_memory]) == plain([*follower.read(0)]) == plain([*everything(journal)])
    assert plain([*paged]) == plain([*from_memory])
    assert follower.head() == (journal.head_seq, journal.head_stamp_ms)
    follower.close()


def test_points_are_known_as_they_are_known_best(journal: Journal) -> None:
    """The last description of each number holds, over any number of entries."""
    first, second = known_racks(["r1", "r2"])
    better = known_racks(["r1"], stream="bus:OTHER")[0]
    journal.append(Intake(known=[first, second]), T0_MS)
    journal.append(Intake(known=[better]), T0_MS)

    assert journal.known() == {0: better, 1: second}
    assert [entry.seq for entry in journal.point_entries()] == [1, 2]


def test_what_describes_a_whole_site_is_many_entries_of_one_append(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written or read at once, it would need many times its size in memory."""
    monkeypatch.setattr(store.journal.intake, "MOST_KNOWN", 2)
    known = known_racks(["r1", "r2", "r3", "r4", "r5"])

    journal.append(Intake(known=[*known]), T0_MS)

    kept = [entry.content for entry in everything(journal)]
    assert kept == [tuple(known[:2]), tuple(known[2:4]), tuple(known[4:])]
    assert len({entry.stamp_ms for entry in everything(journal)}) == 1
    assert journal.known() == dict(enumerate(known))


def test_descriptions_are_read_from_the_file_once(journal: Journal, tmp_path: Path) -> None:
    """Who begins at the first entry after a restart is given those that the start has read."""
    journal.append(Intake(known=[*known_racks(["r1", "r2"])]), T0_MS)
    journal.append(many(1), T0_MS)
    journal.close()
    again = Journal(tmp_path)

    read = again.read(0)

    assert read[0] is again.point_entries()[0]
    assert [entry.seq for entry in read] == [1, 2]
    again.close()


def test_only_so_many_readings_are_kept_in_memory(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is further behind reads the same from the file."""
    monkeypatch.setattr(store.journal.journal, "RECENT_READINGS", 3 * ENTRY_READINGS)
    for number in range(1, 9):
        journal.append(many(number), T0_MS + number)

    in_memory = list(journal._recent)

    assert [entry.seq for entry in in_memory] == [6, 7, 8]
    assert [entry.seq for entry in journal.read(5)] == [6, 7, 8]
    assert rows_of(journal.read(0))[:ENTRY_READINGS] == rows_of([journal.read(0)[0]])
    assert [entry.seq for entry in journal.read(0)] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_mark_comes_back_as_it_was(journal: Journal) -> None:
    """What happened to a connection is told whole."""
    mark = a_mark("MQTT 5, session resumed")

    journal.append(Intake(marks=[mark]), T0_MS)

    (entry,) = everything(journal)
    assert isinstance(entry.content, Mark)
    assert entry.content == mark


@pytest.mark.parametrize("where", ["sift", "_stamp_ms"])
def test_a_disk_that_fails_while_repetitions_are_looked_up_is_said_as_any_other(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Nothing is stored, and whoever appends is told to try again; nothing ends."""

    def fail(*_arguments: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(store.journal.journal if where == "sift" else journal, where, fail)
        with pytest.raises(StoreUnavailable, match="disk I/O error"):
            journal.append(readings((0, T0_MS, 90.0), known=["r1"]), T0_MS)

    journal.append(readings((0, T0_MS, 90.0), known=["r1"]), T0_MS)
    assert journal.account() == Account(stored=1)


def test_a_follower_writes_into_the_file_that_has_the_name_now(journal: Journal, tmp_path: Path) -> None:
    """The file before was put aside: what is noted in it would be lost, and trimming would wait for it."""
    journal.append(readings((0, T0_MS, 90.0), known=["r1"]), T0_MS)
    follower = JournalFollower(tmp_path)
    follower.reader("engine")
    journal._renew(StoreCorrupt(str(journal.path), "damaged"))

    follower.set_reader("engine", 2)
    follower.promise(T0_MS + 99)

    assert journal.reader("engine") == 2
    assert follower.readers() == {"engine": 2}
    journal.append(readings((0, T0_MS + 1, 91.0)), T0_MS)
    assert everything(journal)[-1].stamp_ms == T0_MS + 100
    follower.close()
