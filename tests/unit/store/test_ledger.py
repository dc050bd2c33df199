"""The ledger: alarms, notifications and the engine's place, all of them together or none."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from facility.errors import StoreUnavailable
from store.ledger.alarms import AlarmChange, Progress
from store.ledger.ledger import FILE, Ledger, LedgerReader
from testing.builders import T0_MS
from testing.store.ledgers import ROUTE, a_draw, a_notice, an_alarm, keys, progress, state


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger."""
    opened = Ledger(tmp_path / "live")
    yield opened
    opened.close()


NOTHING = (0, 0, 0, 0, (0, 0))
ALL = (2, 2, 2, 1, (7, T0_MS))
TWO = (("a1", "opened", T0_MS), ("a2", "opened", T0_MS))


# All or nothing -----------------------------------------------------------------------


def test_a_kill_before_every_statement_leaves_all_or_nothing(ledger: Ledger, tmp_path: Path) -> None:
    """Alarms, outbox, series and cursor come together, wherever the process ends."""
    images: list[Path] = []

    def keep(_: str) -> None:
        folder = tmp_path / f"image-{len(images)}"
        folder.mkdir()
        for path in (tmp_path / "live").glob(f"{FILE}*"):
            if not path.name.endswith("-shm"):
                shutil.copyfile(path, folder / path.name)
        images.append(folder)

    ledger._writer.set_trace_callback(keep)
    ledger.save(progress(*TWO))
    ledger._writer.set_trace_callback(None)
    keep("after the commit")

    found = []
    for folder in images:
        image = Ledger(folder)
        found.append(state(image))
        image.close()
    assert len(found) > 8
    assert found == [NOTHING] * (len(found) - 1) + [ALL]


def test_a_full_disk_takes_nothing_and_the_same_can_be_saved_again(ledger: Ledger) -> None:
    """What a tick brought is not half there: the engine tries the same again when there is room."""
    large = replace(progress(*TWO), notices=[replace(a_notice(), body={"text": "x" * 200_000})])
    (pages,) = ledger._writer.execute("PRAGMA page_count").fetchone()
    ledger._writer.execute(f"PRAGMA max_page_count = {pages + 3}")

    with pytest.raises(StoreUnavailable, match="full"):
        ledger.save(large)
    before = state(ledger)
    ledger._writer.execute(f"PRAGMA max_page_count = {2**30}")
    ledger.save(large)

    assert before == NOTHING
    assert state(ledger) == (2, 2, 1, 1, (7, T0_MS))


_WRITES: dict[str, Callable[[Ledger], object]] = {
    "save": lambda ledger: ledger.save(progress()),
    "acknowledge": lambda ledger: ledger.acknowledge(an_alarm(), by="me", at_ms=T0_MS),
    "settle": lambda ledger: ledger.settle(a_notice()),
    "trim": lambda ledger: ledger.trim(T0_MS),
    "set_cursor": lambda ledger: ledger.set_cursor("influx.series", 1),
    "set_cursors": lambda ledger: ledger.set_cursors({}, trimmed_seq=1),
}


@pytest.mark.parametrize("write", _WRITES.values(), ids=_WRITES)
def test_whatever_writes_says_that_the_disk_refuses(
    ledger: Ledger, write: Callable[[Ledger], object]
) -> None:
    """An error of SQLite itself would end the monitor; this one is waited out."""
    ledger.save(progress(*TWO))
    ledger._writer.execute("PRAGMA query_only = ON")

    with pytest.raises(StoreUnavailable, match="readonly"):
        write(ledger)


def test_what_is_being_saved_is_not_seen_yet(ledger: Ledger) -> None:
    """Whoever ships series and changes ships none that a failing disk takes back."""
    seen = []
    ledger._writer.set_trace_callback(lambda _: seen.append(state(ledger)))

    ledger.save(progress(*TWO))
    ledger._writer.set_trace_callback(None)

    assert set(seen) == {NOTHING}
    assert state(ledger) == ALL


def test_readers_in_other_processes_see_what_was_saved(ledger: Ledger) -> None:
    """Commands work beside a running monitor."""
    reader = LedgerReader(ledger.path.parent)

    ledger.save(progress(*TWO))

    assert state(reader) == ALL
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM alarm")
    reader.close()


# Saving again -------------------------------------------------------------------------


def test_the_same_tick_again_changes_nothing(ledger: Ledger) -> None:
    """An engine that went back to its snapshot walks the same way without a second page."""
    ledger.save(progress(*TWO))
    notice = ledger.due(T0_MS + 1_000, ROUTE)[0]
    ledger.settle(replace(notice, attempts=1, state="delivered", delivered_ms=T0_MS + 900))
    ledger.acknowledge(an_alarm("a2"), by="me", at_ms=T0_MS + 500)
    before = (ledger.alarms(), ledger.changes(0), ledger.notices())

    ledger.save(progress(*TWO))

    assert (ledger.alarms(), ledger.changes(0), ledger.notices()) == before
    assert keys(ledger.due(T0_MS + 10**6, ROUTE)) == ["a2:opened"]


def test_going_back_does_not_reopen_what_is_over(ledger: Ledger) -> None:
    """The opening of an alarm that has returned meanwhile is no news of it."""
    ledger.save(progress(("a1", "opened", T0_MS)))
    ledger.save(progress(("a1", "returned", T0_MS + 60_000), seq=9, tick_ms=T0_MS + 60_000))

    ledger.save(progress(("a1", "opened", T0_MS)))

    (alarm,) = ledger.alarms()
    assert (alarm.returned_ms, alarm.is_open) == (T0_MS + 60_000, False)
    assert len(ledger.changes(0)) == 2
    assert ledger.cursor() == (7, T0_MS), "the engine is where it says it is"


def test_what_was_judged_when_it_opened_stays_as_evidence(ledger: Ledger) -> None:
    """A return says nothing of the value that broke the limit; the peak is that of the whole episode."""
    ledger.save(progress(("a1", "opened", T0_MS)))
    over = replace(an_alarm(returned_ms=T0_MS + 9), value=100.0, limit=90.0, peak=190.0)
    ledger.save(
        Progress(seq=8, tick_ms=T0_MS + 9, changes=[AlarmChange(alarm=over, change="returned", at_ms=9)])
    )

    (alarm,) = ledger.alarms()
    assert (alarm.value, alarm.limit, alarm.peak) == (181.0, 180.0, 190.0)


# Acknowledging ------------------------------------------------------------------------


def test_the_first_who_acknowledges_is_the_one(ledger: Ledger) -> None:
    """A second acknowledgement changes nothing, and both are told who it was."""
    ledger.save(progress(("a1", "opened", T0_MS)))

    first = ledger.acknowledge(an_alarm(), by="ann", at_ms=T0_MS + 1)
    second = ledger.acknowledge(an_alarm(), by="bob", at_ms=T0_MS + 2)

    assert (first.acknowledged_by, second.acknowledged_by) == ("ann", "ann")
    assert second.acknowledged_ms == T0_MS + 1
    assert [change.change for _, change in ledger.changes(0)] == ["opened", "acknowledged"]


def test_a_worsening_ends_an_acknowledgement_and_none_that_came_later(ledger: Ledger) -> None:
    """Also where it is judged again; who saw the alarm less grave acknowledges nothing."""
    ledger.save(progress(("a1", "opened", T0_MS)))
    before = ledger.acknowledge(an_alarm(), by="ann", at_ms=T0_MS + 1)
    worse = replace(an_alarm(), severity="critical")
    change = AlarmChange(alarm=worse, change="worsened", at_ms=T0_MS + 2)
    ledger.save(Progress(seq=8, tick_ms=T0_MS + 2, changes=[change]))
    assert (ledger.alarms()[0].acknowledged_ms, ledger.acknowledged()) == (None, {})

    assert before.severity != "critical"
    assert ledger.acknowledge(before, by="bob", at_ms=T0_MS + 3).acknowledged_by is None
    assert ledger.acknowledge(worse, by="bob", at_ms=T0_MS + 4).acknowledged_by == "bob"
    ledger.save(Progress(seq=8, tick_ms=T0_MS + 2, changes=[change]))

    assert ledger.acknowledged() == {"a1": "bob"}
    assert [change.change for _, change in ledger.changes(0)] == [
        "opened",
        "acknowledged",
        "worsened",
        "acknowledged",
    ]


def test_alarms_that_are_open_are_listed_however_old_they_are(ledger: Ledger) -> None:
    """What opened long ago and is not over belongs on the list; what is over does not."""
    ledger.save(progress(("a1", "opened", T0_MS), ("a2", "opened", T0_MS)))
    ledger.save(progress(("a2", "returned", T0_MS + 5), tick_ms=T0_MS + 5))

    assert [alarm.id for alarm in ledger.alarms(since_ms=T0_MS + 10**9)] == ["a1"]
    assert [alarm.id for alarm in ledger.alarms(only_open=True)] == ["a1"]
    assert [alarm.id for alarm in ledger.alarms()] == ["a1", "a2"]
    assert [alarm.id for alarm in ledger.alarm("a")] == ["a1", "a2"]
    assert ledger.alarm("%") == []


# Series and cursors -------------------------------------------------------------------


def test_series_are_read_from_a_place_and_dropped_behind_it(ledger: Ledger) -> None:
    """Rows come in order with their numbers; what was shipped goes, and numbers are never given twice."""
    for i in range(3):
        ledger.save(progress(tick_ms=T0_MS + i, seq=i))
    rows = ledger.series(0)

    ledger.set_cursors({}, trimmed_seq=rows[-1][0])
    ledger.save(progress(tick_ms=T0_MS + 9, seq=9))

    assert [(at_ms, draws) for _, at_ms, draws in rows] == [(T0_MS + i, [a_draw()]) for i in range(3)]
    ((number, at_ms, _),) = ledger.series(0)
    assert number > rows[-1][0]
    assert at_ms == T0_MS + 9
    assert ledger.series(number) == []


def test_each_reader_has_a_place_of_its_own(ledger: Ledger) -> None:
    """The engine's place is not the shipper's."""
    ledger.save(progress())
    ledger.set_cursor("influx.series", 4)
    ledger.set_cursor("influx.series", 5)

    assert ledger.cursor("influx.series") == (5, 0)
    assert ledger.cursor() == (7, T0_MS)
    assert ledger.cursor("nobody") == (0, 0)
