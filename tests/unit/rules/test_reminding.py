"""What stands is said again to a receiver that forgets: the last of each alarm, and an end for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from facility.errors import DeliveryError, Outlook
from rules.notify.alertmanager import LASTS_MS, OWN_LASTS_MS, alert
from rules.notify.reminding import OVER_MS, Reminder
from store.ledger.alarms import Notice
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.rules.pages import PAGE
from testing.store.ledgers import ROUTE, progress


class Forgetting:
    """Keeps what it is reminded of, or refuses it."""

    def __init__(self, *faults: DeliveryError) -> None:
        self.faults = list(faults)
        self.said: list[list[str]] = []

    async def remind(self, standing: Sequence[Notice]) -> None:
        """Take what stands."""
        if self.faults:
            raise self.faults.pop()
        self.said.append(sorted(notice.key for notice in standing))


def accepted(ledger: Ledger) -> None:
    """Let the receiver accept everything that waits."""
    for notice in ledger.due(T0_MS + 10**9, ROUTE):
        ledger.settle(replace(notice, state="delivered", delivered_ms=T0_MS))


def test_what_is_said_again_is_the_last_of_each_alarm_that_stands(tmp_path: Path) -> None:
    """What waits is not: it is told in its turn. An end is said again for five minutes."""
    end_ms = T0_MS + 60_000
    with closing(Ledger(tmp_path)) as ledger:
        ledger.save(progress(("a", "opened", T0_MS), ("b", "opened", T0_MS)))
        accepted(ledger)
        ledger.save(progress(("a", "returned", end_ms), ("c", "opened", end_ms)))
        receiver, clock = Forgetting(), [end_ms]
        reminder = Reminder("label", receiver, partial(ledger.standing, ROUTE), now_ms=lambda: clock[0])

        asyncio.run(reminder.remind())
        accepted(ledger)
        asyncio.run(reminder.remind())
        clock[0] = end_ms + OVER_MS + 1
        asyncio.run(reminder.remind())

    assert receiver.said == [
        ["a:opened", "b:opened"],
        ["a:returned", "b:opened", "c:opened"],
        ["b:opened", "c:opened"],
    ]


def test_a_receiver_that_accepts_nothing_is_reminded_the_next_time(tmp_path: Path) -> None:
    """It ends nothing else."""
    receiver = Forgetting(DeliveryError("away", Outlook.PASSES))
    with closing(Ledger(tmp_path)) as ledger:
        ledger.save(progress(("a", "opened", T0_MS)))
        accepted(ledger)
        reminder = Reminder("label", receiver, partial(ledger.standing, ROUTE), now_ms=lambda: T0_MS)

        for _ in range(2):
            asyncio.run(reminder.remind())

    assert receiver.said == [["a:opened"]]


def test_what_changes_is_no_label() -> None:
    """The same alarm with other figures is the same alert; with another severity it is another one."""
    before, after, worse = (
        alert(PAGE | facts, T0_MS)
        for facts in ({}, {"value": 215.0, "headline": "x"}, {"severity": "critical"})
    )

    assert before["labels"] == after["labels"] != worse["labels"]
    assert before["annotations"] != after["annotations"]
    assert before["labels"] == {
        "alertname": "C2",
        "site": "titan",
        "subject": "acme",
        "tenant": "acme",
        "desks": "P1,C",
        "severity": "high",
    }


def test_an_alert_outlasts_several_rounds() -> None:
    """A round that is missed ends nothing."""
    assert LASTS_MS >= 4 * 60_000
    assert OWN_LASTS_MS > LASTS_MS
