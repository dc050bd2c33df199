"""What the site file wants kept no longer goes, but nothing that the journal may still bring again."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from facility.instants import DAY_MS, HOUR_MS
from facility.sitefile.tables import InfluxTable, StoreTable
from megawatch.run.monitor import trim
from store.base import INFLUX, PARQUET
from store.journal.journal import Journal
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.store.journals import many
from testing.store.ledgers import progress

NOW_MS = T0_MS + 20 * DAY_MS


@pytest.mark.parametrize(
    ("journal_days", "expected"),
    [
        (1, ["a2"]),
        (30, ["a1", "a2"]),  # the journal has what opened it: where it is judged again, nobody is paged again
    ],
)
def test_alarms_are_kept_as_long_as_the_site_file_says_and_as_long_as_the_journal(
    tmp_path: Path, journal_days: int, expected: list[str]
) -> None:
    """Of two alarms one was over when the journal began, 20 days ago, and one lately."""
    brought = progress(("a1", "returned", T0_MS + HOUR_MS), ("a2", "returned", NOW_MS - HOUR_MS))
    with closing(Journal(tmp_path)) as journal, closing(Ledger(tmp_path)) as ledger:
        journal.append(many(1), T0_MS)
        journal.append(many(2), NOW_MS)
        journal.set_reader("rules", journal.head_seq)
        ledger.save(replace(brought, notices=()))
        ledger.set_cursor("history.changes", 2)

        trim(StoreTable(journal_hours=24 * journal_days, alarm_days=10), journal, ledger)

        assert [alarm.id for alarm in ledger.alarms()] == expected


@pytest.mark.parametrize("is_influx", [True, False])
def test_a_history_that_a_site_had_before_holds_nothing_up(tmp_path: Path, *, is_influx: bool) -> None:
    """The one that is named now is waited for, however long; the other stands still for ever."""
    influxdb = InfluxTable(url="http://database:8086") if is_influx else None
    used, unused = (INFLUX, PARQUET) if is_influx else (PARQUET, INFLUX)
    with closing(Journal(tmp_path)) as journal, closing(Ledger(tmp_path)) as ledger:
        for number in range(4):
            journal.append(many(number + 1), T0_MS + number * DAY_MS)
        journal.set_reader("rules", journal.head_seq)
        journal.set_reader(unused, 1)
        journal.set_reader(used, 2)

        trim(StoreTable(journal_hours=24, influxdb=influxdb), journal, ledger)

        assert journal.tail_stamp_ms() == T0_MS + 2 * DAY_MS
