"""What a rehearsal keeps in memory answers as what the monitor keeps on a disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from facility.readings import Quality
from rules.engine.service import Book
from store.journal.entries import Entry, Mark, MarkKind
from store.journal.intake import Intake
from store.journal.journal import Journal
from store.ledger.alarms import Alarm, AlarmChange, Notice, Progress
from store.ledger.ledger import Ledger
from testing.builders import T0_MS, a_batch, known_racks
from testing.fakes.memory_journal import MemoryJournal
from testing.fakes.memory_ledger import MemoryLedger


def an_alarm(name: str, opened_ms: int = T0_MS, *, returned_ms: int | None = None) -> Alarm:
    """Return an alarm that people were told of."""
    return Alarm(
        id=name,
        rule="C2",
        title="draw above the contracted limit",
        subject="acme",
        severity="high",
        unit="kW",
        since_ms=opened_ms,
        opened_ms=opened_ms,
        returned_ms=returned_ms,
    )


def a_progress(alarm: Alarm, change: str, seq: int) -> Progress:
    """Return a change of an alarm, told on two routes."""
    notices = [
        Notice(
            key=f"{alarm.id}:{change}",
            route=route,
            alarm_id=alarm.id,
            body={"key": f"{alarm.id}:{change}"},
            source_ms=T0_MS,
            created_ms=T0_MS,
            due_ms=T0_MS,
        )
        for route in ("mail", "pager")
    ]
    return Progress(
        seq=seq,
        tick_ms=T0_MS + seq,
        changes=[AlarmChange(alarm=alarm, change=change, at_ms=T0_MS)],
        notices=notices,
    )


def answers(book: Book) -> list[object]:
    """Return what a ledger says after each of some changes; one of them is saved twice."""
    later, sooner = an_alarm("a", T0_MS + 1_000), an_alarm("b")
    steps = [
        a_progress(later, "opened", 1),
        a_progress(sooner, "opened", 2),
        a_progress(sooner, "opened", 2),
        a_progress(replace(sooner, returned_ms=T0_MS + 5_000), "returned", 3),
    ]
    found: list[object] = [book.cursor()]
    for progress in steps:
        book.save(progress)
        openings = [sorted(n.route for n in book.opening(name)) for name in ("a", "b", "c")]
        found.append([book.cursor(), book.alarms(), book.alarms(only_open=True), openings])
    return found


def test_a_ledger_in_memory_answers_as_one_on_a_disk(tmp_path: Path) -> None:
    """Cursor, alarms in order, those that are open, and what told an opening."""
    with closing(Ledger(tmp_path)) as ledger:
        assert answers(MemoryLedger()) == answers(ledger)


def entries_of(append: Callable[[Intake, int], object], read: Callable[[int], list[Entry]]) -> list[object]:
    """Return the entries of some appends: what is new, what repeats, and what contradicts."""
    opening = Mark(MarkKind.STARTED, "bus", T0_MS)
    for number, intake in enumerate(
        (
            Intake(marks=[opening]),
            Intake(known=list(known_racks(["r1"])), batch=a_batch([(0, T0_MS, 50.0), (0, T0_MS + 1, 51.0)])),
            Intake(batch=a_batch([(0, T0_MS, 50.0)])),
            Intake(batch=a_batch([(0, T0_MS + 1, 99.0), (0, T0_MS + 2, 52.0)])),
        )
    ):
        append(intake, T0_MS + 1_000 * number)
    found: list[object] = []
    for entry in read(0):
        content = entry.content
        rows = content.quality.tolist() if hasattr(content, "quality") else content
        found.append((entry.seq, entry.stamp_ms, rows))
    return found


def test_a_journal_in_memory_keeps_what_one_on_a_disk_keeps(tmp_path: Path) -> None:
    """The same entries with the same stamps; a contradiction is a doubt in both."""
    memory = MemoryJournal()
    with closing(Journal(tmp_path)) as journal:
        kept = entries_of(memory.append, memory.read)
        assert kept == entries_of(journal.append, journal.read)

    assert kept[-1] == (4, T0_MS + 3_000, [Quality.REFUSED, Quality.GOOD])


def test_nothing_is_stamped_up_to_where_a_journal_in_memory_was_closed() -> None:
    """What was promised to be judged is not added to."""
    memory = MemoryJournal()
    memory.promise(T0_MS + 500)

    memory.append(Intake(marks=[Mark(MarkKind.STARTED, "bus", T0_MS)]), T0_MS)

    assert [entry.stamp_ms for entry in memory.read(0)] == [T0_MS + 501]


def test_a_journal_in_memory_that_forgets_goes_on_as_if_it_had_not() -> None:
    """Entries that come are read by their numbers, and the latest readings are known again."""
    whole, short = MemoryJournal(), MemoryJournal()
    for journal in (whole, short):
        for step in range(500):
            intake = Intake(batch=a_batch([(0, T0_MS + step, float(step))]))
            journal.append(intake, T0_MS + step)
            if journal is short and step == 450:
                journal.forget(440)

    assert [entry.seq for entry in short.read(440)] == [entry.seq for entry in whole.read(440)]
    assert len(short.batches) < len(whole.batches)
