"""Who takes readings in may be cancelled while the journal takes them: they are counted all the same."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from pathlib import Path

import pytest

from megawatch.run.clock import SteadyClock
from store.journal.appender import Appender
from store.journal.file import Account
from store.journal.intake import Intake
from store.journal.journal import Journal
from testing.builders import T0_MS
from testing.store.journals import readings
from testing.waiting import until


def test_what_was_appended_while_we_were_cancelled_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector that hung in the disk and is begun again leaves no reading out of the account."""
    begun, may_end = threading.Event(), threading.Event()

    async def story(journal: Journal) -> Appender:
        append = journal.append

        def slow(intake: Intake, now_ms: int) -> Account:
            begun.set()
            assert may_end.wait(60)
            return append(intake, now_ms)

        monkeypatch.setattr(journal, "append", slow)
        appender = Appender(journal, "bus", SteadyClock())
        intake = appender.count(readings((0, T0_MS, 90.0), known=["r1"]))
        appending = asyncio.create_task(appender.append(intake))
        await until(begun.is_set, "it is under way")
        appending.cancel()
        may_end.set()
        await asyncio.wait({appending})
        assert appending.cancelled()
        return appender

    with closing(Journal(tmp_path)) as journal:
        appender = asyncio.run(story(journal))

    assert appender.counters.in_hand == 0
    assert appender.counters.account == Account(stored=1)
