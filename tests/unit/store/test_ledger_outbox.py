"""What the ledger holds to be told: in the order of each alarm, under a key that never changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.store.ledgers import ROUTE, a_notice, keys, progress


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger."""
    opened = Ledger(tmp_path / "live")
    yield opened
    opened.close()


def test_what_is_told_of_one_alarm_keeps_its_order(ledger: Ledger) -> None:
    """While the opening waits for its next attempt the return waits too; other alarms do not."""
    later = T0_MS + 60_000
    ledger.save(progress(("a1", "opened", T0_MS)))
    ledger.save(progress(("a1", "returned", later), ("a2", "opened", later), tick_ms=later))
    opened = ledger.due(later + 100, ROUTE)[0]
    assert opened.key == "a1:opened"

    ledger.settle(replace(opened, attempts=1, due_ms=later + 30_000, error="503"))
    held = keys(ledger.due(later + 100, ROUTE))
    ledger.settle(replace(opened, attempts=2, state="delivered", delivered_ms=later + 200))

    assert held == ["a2:opened"]
    assert keys(ledger.due(later + 300, ROUTE)) == ["a1:returned", "a2:opened"]


def test_two_of_one_moment_keep_their_order_too(ledger: Ledger) -> None:
    """An alarm that opens and worsens in one tick is not worse before it is there."""
    ledger.save(progress(("a1", "opened", T0_MS), ("a1", "worsened", T0_MS)))
    (first,) = ledger.due(T0_MS + 100, ROUTE)

    ledger.settle(replace(first, attempts=1, due_ms=T0_MS + 30_000))

    assert first.key == "a1:opened"
    assert ledger.due(T0_MS + 200, ROUTE) == []
    assert keys(ledger.due(T0_MS + 30_000, ROUTE)) == ["a1:opened"]


def test_what_is_refused_for_good_holds_nothing_up(ledger: Ledger) -> None:
    """It is kept and shown, and what comes after it goes out."""
    ledger.save(progress(("a1", "opened", T0_MS)))
    ledger.save(progress(("a1", "returned", T0_MS + 1), tick_ms=T0_MS + 1))
    (opened,) = ledger.due(T0_MS + 100, ROUTE)

    ledger.settle(replace(opened, attempts=1, state="refused", error="400: no such tenant"))

    assert keys(ledger.due(T0_MS + 100, ROUTE)) == ["a1:returned"]
    assert [(n.key, n.error) for n in ledger.notices(state="refused")] == [
        ("a1:opened", "400: no such tenant")
    ]
    assert ledger.waiting() == {ROUTE: 1}


def test_routes_wait_for_themselves(ledger: Ledger) -> None:
    """The same key goes to each route once, and one that is away keeps no other waiting."""
    both = [a_notice(route="console"), a_notice(route="hook")]
    ledger.save(replace(progress(("a1", "opened", T0_MS)), notices=both))
    (hook,) = ledger.due(T0_MS + 100, "hook")

    ledger.settle(replace(hook, attempts=3, due_ms=T0_MS + 10**6))

    assert keys(ledger.due(T0_MS + 100, "console")) == ["a1:opened"]
    assert ledger.due(T0_MS + 100, "hook") == []
    assert ledger.waiting() == {"console": 1, "hook": 1}


@pytest.mark.parametrize("restart", [False, True])
def test_the_key_and_the_body_never_change(ledger: Ledger, *, restart: bool) -> None:
    """However often it is tried, and over a restart, a receiver sees one message."""
    ledger.save(progress(("a1", "opened", T0_MS)))
    first = ledger.due(T0_MS + 100, ROUTE)[0]
    seen = []
    current = ledger
    for attempt in range(1, 4):
        notice = current.due(T0_MS + 10**6, ROUTE)[0]
        seen.append((notice.key, notice.body, notice.source_ms, notice.created_ms))
        current.settle(replace(notice, attempts=attempt, due_ms=T0_MS + attempt, error="503"))
        other = replace(a_notice(), body={"headline": "composed anew"}, created_ms=T0_MS + 5_000)
        current.save(replace(progress(("a1", "opened", T0_MS)), notices=[other]))
        if restart and current is not ledger:
            current.close()
        current = Ledger(ledger.path.parent) if restart else ledger

    assert seen == [(first.key, first.body, first.source_ms, first.created_ms)] * 3
    assert current.due(T0_MS + 10**6, ROUTE)[0].attempts == 3
    if restart:
        current.close()


def test_a_notification_that_is_damaged_is_told_as_such_and_holds_up_no_other(ledger: Ledger) -> None:
    """That there was one is known, and whoever reads it looks at the alarm; it comes among the gravest."""
    ledger.save(progress(("a1", "opened", T0_MS), ("a2", "opened", T0_MS + 1)))
    ledger._writer.execute("UPDATE outbox SET body = '{' WHERE alarm_id = 'a2'")

    first, second = ledger.due(T0_MS + 1_000, ROUTE)

    assert (first.key, second.key) == ("a2:opened", "a1:opened")
    assert "alarm a2: what was to be told is damaged" in first.body["headline"]
    assert first.body["severity"] == "critical"


def test_damaged_rows_are_left_out_and_all_others_are_read(ledger: Ledger) -> None:
    """One that cannot be read is no reason to show nothing."""
    ledger.save(progress(("a1", "opened", T0_MS), ("a2", "opened", T0_MS + 1)))
    ledger._writer.execute("UPDATE change SET body = '[]' WHERE alarm_id = 'a1'")
    ledger._writer.execute("UPDATE alarm SET opened_ms = 'x' WHERE id = 'a2'")
    ledger._writer.execute("UPDATE series SET body = x'C1'")
    ledger._writer.execute("UPDATE cursor SET seq = 'x'")

    assert [change.alarm.id for _, change in ledger.changes(0)] == ["a2"]
    assert [alarm.id for alarm in ledger.alarms()] == ["a1"]
    assert ledger.series(0) == []
    assert ledger.cursor() == (0, 0)
