"""Our clock is set back while alarms stand, or the past is judged again: what is told, and in which order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from facility.errors import DeliveryError, Outlook
from facility.instants import HOUR_MS
from rules.engine.snapshot import FILE
from rules.notify.outbox import Outbox
from rules.notify.routing import Route
from store.journal.entries import MarkKind
from store.ledger.alarms import Notice
from store.ledger.ledger import Ledger
from store.ledger.suppressions import Suppression, SuppressionKind
from testing.builders import T0_MS
from testing.rules.halls import ONLY_C2, Tape, a_judging, at_once, known_racks_of, one_tenant
from testing.rules.services import judge_as_it_comes
from testing.waiting import until

SITE = one_tenant(200)
SET_AT = 30


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger."""
    with closing(Ledger(tmp_path)) as ledger:
        yield ledger


def a_tape(*, seconds: int, over_at: int | None = None, set_at: int | None = SET_AT) -> Tape:
    """Return 240 kW of 200, which may end; the clock may be set back by an hour before a second."""
    tape, back_ms = Tape(), 0
    tape.put(T0_MS - 1_000, known_racks_of(SITE))
    tape.connect(T0_MS - 1_000)
    for second in range(seconds):
        now_ms = T0_MS + second * 1_000
        if second == set_at:
            back_ms = HOUR_MS
            tape.mark(now_ms - back_ms, MarkKind.STEPPED, since_ms=now_ms - 1, broker="*")
        power = 80 if over_at is None or second < over_at else 10
        tape.put(
            now_ms - back_ms + 20, at_once([power] * 3, now_ms - back_ms, received_ms=now_ms - back_ms + 10)
        )
    return tape


def judge(tape: Tape, ledger: Ledger, *routes: Route) -> None:
    """Judge a journal from where the judging before was stopped."""
    folder = ledger.path.parent
    judge_as_it_comes(a_judging(SITE, rules=ONLY_C2), tape, ledger, folder, site=SITE, routes=routes)


def told(ledger: Ledger) -> list[tuple[str, str]]:
    """Return what was told of the overdraw, and on which routes, in its order."""
    (alarm,) = (alarm for alarm in ledger.alarms() if alarm.rule == "C2")
    return [(notice.key.split(":")[1], notice.route) for notice in ledger.notices_of(alarm.id)]


def test_what_stands_is_repeated_and_escalated_by_the_time_that_passes(ledger: Ledger) -> None:
    """An hour is lost, and no page waits for the clock to come there again."""
    judge(
        a_tape(seconds=200),
        ledger,
        Route(name="first", repeat_ms=60_000),
        Route(name="second", unacknowledged_ms=60_000),
    )

    found = told(ledger)
    assert [change for change, route in found if route == "first"] == ["opened", "repeated", "repeated"]
    assert [change for change, route in found if route == "second"] == ["opened"]


def test_an_end_is_told_after_its_beginning(ledger: Ledger) -> None:
    """A receiver that was away hears both in order, though the end is dated an hour before."""
    judge(a_tape(seconds=200, over_at=40), ledger, Route(name="pager"))
    (alarm,) = (alarm for alarm in ledger.alarms() if alarm.rule == "C2")
    pager = Pager()

    asyncio.run(served(ledger, pager, now_ms=T0_MS + 200_000 - HOUR_MS))

    assert [change for rule, change in pager.heard if rule == "C2"] == ["opened", "returned"]
    (last,) = (notice for notice in ledger.standing("pager", 0) if notice.alarm_id == alarm.id)
    assert last.body["change"] == "returned"


def test_a_page_that_waits_to_be_tried_again_waits_no_longer(ledger: Ledger) -> None:
    """Its receiver refused it just before the clock was set back."""
    judge(a_tape(seconds=20, set_at=None), ledger, Route(name="pager"))
    pager, now_ms = Pager(refuses=1), T0_MS + 20_000

    async def story() -> None:
        nonlocal now_ms
        outbox = Outbox(ledger, {"pager": pager}, now_ms=lambda: now_ms, random_source=random.Random(1))  # noqa: S311 - jitter
        serving = asyncio.create_task(outbox.receivers["pager"].run())
        await until(lambda: len(pager.heard) == 1, "the first attempt")
        now_ms -= HOUR_MS
        await until(lambda: not ledger.notices(state="waiting"), "the page is accepted")
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(story())

    assert pager.heard == [("C2", "opened"), ("C2", "opened")]


@pytest.mark.parametrize("what", ["the clock is set back", "the past is judged again"])
def test_what_is_shelved_stays_so(ledger: Ledger, what: str) -> None:
    """Also at a time before the shelf began, which is not the time at which it was decided."""
    is_set = what == "the clock is set back"
    from_ms = T0_MS if is_set else T0_MS + 100_000
    ledger.suppress(
        Suppression(
            id="s1",
            kind=SuppressionKind.SHELVED,
            rules=("C2",),
            from_ms=from_ms,
            to_ms=T0_MS + HOUR_MS,
            by="ann",
            why="known",
            made_ms=from_ms,
        )
    )
    tape = a_tape(seconds=200, set_at=SET_AT if is_set else None)
    if not is_set:
        for entry in [entry for entry in tape.entries if T0_MS <= entry.stamp_ms < T0_MS + 100_000]:
            tape.entries.remove(entry)
    judge(tape, ledger, Route(name="pager"))
    assert told(ledger) == []

    if not is_set:
        (ledger.path.parent / FILE).write_bytes(b"damaged")
        judge(tape, ledger, Route(name="pager"))

    assert told(ledger) == []


def test_what_was_acknowledged_and_is_over_is_told_to_nobody_else_when_it_is_judged_again(
    ledger: Ledger,
) -> None:
    """The state is lost, and the journal is judged from its beginning."""
    routes = (
        Route(name="first", repeat_ms=60_000, hears_acknowledgements=True),
        Route(name="second", unacknowledged_ms=60_000),
    )
    tape = a_tape(seconds=300, over_at=200, set_at=None)
    early, later = Tape(tape.entries[:40]), tape.entries[40:]
    judge(early, ledger, *routes)
    (alarm,) = (alarm for alarm in ledger.alarms() if alarm.rule == "C2")
    ledger.acknowledge(alarm, by="ann", at_ms=T0_MS + 40_000)
    early.entries += later
    judge(early, ledger, *routes)
    before = told(ledger)
    assert before == [("opened", "first"), ("acknowledged", "first"), ("returned", "first")]

    (ledger.path.parent / FILE).write_bytes(b"damaged")
    again = Tape(early.entries)
    with closing(Ledger(ledger.path.parent)) as reopened:
        judging = a_judging(SITE, rules=ONLY_C2)
        judge_as_it_comes(judging, again, reopened, ledger.path.parent, site=SITE, routes=routes)

    assert told(ledger) == before


class Pager:
    """A receiver that refuses at first, and keeps what it hears.

    Args:
        refuses: How many pages it refuses.
    """

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.heard: list[tuple[str, str]] = []

    async def deliver(self, notice: Notice) -> None:
        """Take a page."""
        self.heard.append((str(notice.body["rule"]), str(notice.body["change"])))
        if len(self.heard) <= self.refuses:
            raise DeliveryError("503 busy", Outlook.PASSES)

    async def close(self) -> None:
        """Nothing is held."""


async def served(ledger: Ledger, pager: Pager, *, now_ms: int) -> None:
    """Let a receiver take all that waits."""
    outbox = Outbox(ledger, {"pager": pager}, now_ms=lambda: now_ms, random_source=random.Random(1))  # noqa: S311 - jitter
    serving = asyncio.create_task(outbox.receivers["pager"].run())
    await until(lambda: not ledger.notices(state="waiting"), "all is told")
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
