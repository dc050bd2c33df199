"""The ledger forgets what is over and old; never what is open, not yet told, not yet shipped, or billed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from store.ledger import ledger as ledgers
from store.ledger.alarms import Progress
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.store.ledgers import ROUTE, an_alarm, keys, progress

DAY_MS = 86_400_000
LATER_MS = T0_MS + 1_000 * DAY_MS
SHIPPED = 10**6


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger from which a history has taken everything."""
    with closing(Ledger(tmp_path)) as opened:
        opened.set_cursor("history.changes", SHIPPED)
        yield opened


def episode(ledger: Ledger, name: str, *, is_told: bool = True, over_ms: int = T0_MS + 9) -> None:
    """Let an alarm open and return, with a notification of each."""
    ledger.save(progress((name, "opened", T0_MS)))
    ledger.save(progress((name, "returned", over_ms), seq=8, tick_ms=over_ms))
    while is_told and (due := ledger.due(LATER_MS, ROUTE)):
        ledger.settle(replace(due[0], attempts=1, state="delivered", delivered_ms=over_ms))


def rows(ledger: Ledger) -> dict[str, int]:
    """Return how many rows each table that grows has."""
    with closing(sqlite3.connect(ledger.path)) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our names
            for table in ("alarm", "change", "outbox", "demand_block")
        }


def test_an_alarm_that_is_over_and_old_goes_with_all_that_was_told_of_it(ledger: Ledger) -> None:
    """One that ended later stays, whole."""
    episode(ledger, "a1", over_ms=T0_MS + 9)
    episode(ledger, "a2", over_ms=T0_MS + 10)

    assert ledger.trim(T0_MS + 10) == 1

    assert [alarm.id for alarm in ledger.alarms()] == ["a2"]
    assert [change.alarm.id for _, change in ledger.changes(0)] == ["a2", "a2"]
    assert sorted(keys(ledger.notices())) == ["a2:opened", "a2:returned"]


def test_an_alarm_that_is_open_stays_however_old_it_is(ledger: Ledger) -> None:
    """It stands, and so does what was told of it."""
    ledger.save(progress(("a1", "opened", T0_MS)))
    (opened,) = ledger.due(LATER_MS, ROUTE)
    ledger.settle(replace(opened, attempts=1, state="delivered", delivered_ms=T0_MS + 1))

    assert ledger.trim(LATER_MS) == 0
    assert rows(ledger) == {"alarm": 1, "change": 1, "outbox": 1, "demand_block": 0}


def test_an_alarm_that_nobody_acknowledged_yet_stays_and_goes_once_somebody_did(ledger: Ledger) -> None:
    """Its age counts from the acknowledgement then."""
    over = replace(an_alarm(returned_ms=T0_MS + 9), needs_acknowledgement=True)
    brought = progress(("a1", "returned", T0_MS + 9))
    ledger.save(replace(brought, notices=(), changes=[replace(brought.changes[0], alarm=over)]))

    assert ledger.trim(LATER_MS) == 0
    ledger.acknowledge(over, by="ann", at_ms=LATER_MS)
    assert ledger.trim(LATER_MS) == 0
    assert ledger.trim(LATER_MS + 1) == 1


def test_an_alarm_stays_while_a_page_of_it_waits_for_its_receiver(ledger: Ledger) -> None:
    """A receiver that comes back after years still hears it."""
    episode(ledger, "a1", is_told=False)

    assert ledger.trim(LATER_MS) == 0
    assert keys(ledger.due(LATER_MS, ROUTE)) == ["a1:opened"]


def test_an_alarm_stays_until_the_history_has_its_changes(ledger: Ledger) -> None:
    """The history in use counts, not the one that a site had before and that stands still."""
    episode(ledger, "a1")
    for name in ("history.changes", "influx.changes"):
        ledger.set_cursor(name, 0)

    assert ledger.trim(LATER_MS) == 0
    ledger.set_cursor("influx.changes", ledger.changes(0)[-1][0])
    assert ledger.trim(LATER_MS) == 1


def test_demand_blocks_are_never_dropped(ledger: Ledger) -> None:
    """They are what bills are made of."""
    with closing(sqlite3.connect(ledger.path)) as connection, connection:
        connection.execute("INSERT INTO demand_block VALUES (1, 'acme', 0, 1, 1, x'7b7d')")

    ledger.trim(LATER_MS)

    assert rows(ledger)["demand_block"] == 1


def test_one_round_drops_only_so_many_the_oldest_first(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules save meanwhile; what is left goes with the next rounds."""
    monkeypatch.setattr(ledgers, "MOST_TRIMMED", 2)
    for i in range(5):
        episode(ledger, f"a{i}", over_ms=T0_MS + 9 - i)

    assert ledger.trim(LATER_MS) == 2
    assert [alarm.id for alarm in ledger.alarms()] == ["a0", "a1", "a2"]
    assert [ledger.trim(LATER_MS) for _ in range(3)] == [2, 1, 0]


def test_a_trimmed_change_number_is_not_given_again(ledger: Ledger) -> None:
    """Whoever ships changes goes on by number."""
    episode(ledger, "a1")
    last = ledger.changes(0)[-1][0]
    ledger.trim(LATER_MS)

    ledger.save(Progress(seq=9, tick_ms=LATER_MS, changes=progress(("a2", "opened", LATER_MS)).changes))

    assert [number for number, _ in ledger.changes(0)] == [last + 1]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("SELECT route, count(*) FROM outbox WHERE state = 'refused' GROUP BY route", "outbox_refused"),
        ("DELETE FROM outbox WHERE alarm_id = 'a1'", "outbox_alarm"),
        ("SELECT id FROM alarm WHERE returned_ms < 1 ORDER BY returned_ms LIMIT 1", "alarm_returned"),
    ],
)
def test_what_is_asked_often_scans_no_table(ledger: Ledger, statement: str, index: str) -> None:
    """The status counts refused pages each second, and trimming looks each minute."""
    with closing(sqlite3.connect(ledger.path)) as connection:
        (plan,) = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()

    assert index in plan[-1]
