"""A monitor that cannot store says so without storing anything."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from facility.errors import DeliveryError, Outlook
from facility.instants import HOUR_MS
from megawatch.run.self_monitoring import OFF_DELAY_MS, ON_DELAY_MS, RULE, Distress, Problem
from rules.notify.routing import Route
from store.ledger.alarms import Notice
from testing.builders import T0_MS
from testing.rules.telling import look

FULL = "journal.sqlite cannot store now: database or disk is full"


class Receiver:
    """Takes what is told, or says what it is to say first."""

    def __init__(self, *answers: Exception) -> None:
        self.answers = list(answers)
        self.took: list[Notice] = []
        self.tried: list[str] = []

    async def deliver(self, notice: Notice) -> None:
        """Take a notification."""
        self.tried.append(notice.key)
        if self.answers:
            raise self.answers.pop(0)
        self.took.append(notice)

    async def close(self) -> None:
        """Nothing is held."""


@dataclass
class Site:
    """What is wrong, who is told, and a clock that is set."""

    receivers: dict[str, Receiver]
    problems: dict[str, str] = field(default_factory=dict)
    at_ms: int = T0_MS

    def __post_init__(self) -> None:
        """Make what is tested."""
        self.distress = Distress(
            site="titan",
            problems=self.found,
            notifiers=self.receivers,
            routes=[Route(name=name) for name in self.receivers],
            clock=self,
            random_source=random.Random(1),  # noqa: S311 - the same every time
        )

    def found(self) -> Sequence[Problem]:
        """Return what is wrong."""
        return [Problem(subject, cause) for subject, cause in self.problems.items()]

    def now_ms(self) -> int:
        """Return the time [ms]."""
        return self.at_ms

    def monotonic_s(self) -> float:
        """Return the time [s]."""
        return self.at_ms / 1_000

    def live(self, seconds: int) -> None:
        """Let seconds pass."""
        for _ in range(seconds):
            self.at_ms += 1_000
            asyncio.run(look(self.distress, self.at_ms))


def test_a_disk_that_stays_full_is_told_once_and_once_more_when_it_is_over() -> None:
    """With the cause, since when, and what to do; a flicker at its end does not end it."""
    receiver = Receiver()
    site = Site({"pager": receiver}, {"journal": FULL})
    site.live(60)
    site.problems = {}
    site.live(OFF_DELAY_MS // 2_000)
    site.problems = {"journal": FULL}
    site.live(1)
    site.problems = {}
    site.live(60)

    opened, returned = receiver.took
    assert (opened.body["change"], returned.body["change"]) == ("opened", "returned")
    assert opened.body["rule"] == RULE
    assert opened.source_ms - T0_MS == ON_DELAY_MS + 1_000
    assert opened.alarm_id == returned.alarm_id
    assert opened.key != returned.key
    assert "disk is full" in opened.body["text"]
    assert "look at" in opened.body["text"]


def test_it_begins_and_ends_by_the_time_that_passes_where_our_clock_is_set_back() -> None:
    """An hour is lost twice: neither its beginning nor its end waits for the clock to come there again."""
    receiver = Receiver()
    site = Site({"pager": receiver}, {"journal": FULL})
    site.live(2)
    site.at_ms -= HOUR_MS
    site.live(ON_DELAY_MS // 1_000 + 2)
    site.at_ms -= HOUR_MS
    site.problems = {}
    site.live(OFF_DELAY_MS // 1_000 + 2)

    assert [notice.body["change"] for notice in receiver.took] == ["opened", "returned"]


def test_a_moment_without_room_is_not_told() -> None:
    """Trimming makes room by itself."""
    receiver = Receiver()
    site = Site({"pager": receiver})
    for _ in range(5):
        site.problems = {"journal": FULL}
        site.live(ON_DELAY_MS // 1_000 - 1)
        site.problems = {}
        site.live(1)

    assert not receiver.tried


def test_it_is_tried_until_it_is_accepted_with_one_key() -> None:
    """A receiver that is away hears it later, before it hears that it is over."""
    away = [DeliveryError("503", Outlook.PASSES) for _ in range(4)]
    receiver, other = Receiver(*away), Receiver()
    site = Site({"pager": receiver, "mail": other}, {"ledger": FULL})

    site.live(12)
    site.problems = {}
    site.live(120)

    assert [notice.body["change"] for notice in receiver.took] == ["opened", "returned"]
    assert len(set(receiver.tried)) == 2
    assert receiver.tried.count(receiver.took[0].key) == 5
    assert [notice.key for notice in other.took] == [notice.key for notice in receiver.took]
    assert not site.distress.pages.waiting


def test_what_is_refused_is_tried_again_slowly() -> None:
    """It is critical, and nothing critical is ever final."""
    receiver = Receiver(*(DeliveryError("401", Outlook.NEEDS_SOMEBODY) for _ in range(3)))
    site = Site({"pager": receiver}, {"journal": FULL})

    site.live(30)
    assert 1 <= len(receiver.tried) <= 3
    site.live(120)

    assert [notice.body["change"] for notice in receiver.took] == ["opened"]


def test_a_fault_of_a_notifier_ends_nothing() -> None:
    """Whatever it raises, the others are told, and it is tried again."""
    weak, strong = Receiver(ValueError("a bug")), Receiver()
    site = Site({"weak": weak, "strong": strong}, {"journal": FULL})

    site.live(30)

    assert len(weak.took) == len(strong.took) == 1


def test_a_cause_from_outside_is_text() -> None:
    """A receiver's answer moves no cursor in the page that tells of it."""
    receiver = Receiver()
    site = Site({"pager": receiver}, {"pages to mail": "404 \x1b[2J\nall is well"})

    site.live(30)

    assert "cause: 404 \\x1b[2J all is well" in receiver.took[0].body["text"].split("\n")


@pytest.mark.parametrize("severity", ["critical", "low"])
def test_what_one_receiver_does_not_accept_is_told_on_the_others(severity: str) -> None:
    """On those that take it, else on any other: never on the one that does not accept."""
    pager, mail = Receiver(), Receiver()
    site = Site({"pager": pager, "mail": mail})
    site.distress.routes = [
        Route(name="pager", severities=frozenset({"critical"})),
        Route(name="mail", severities=frozenset({severity})),
    ]

    site.distress.problems = lambda: [Problem("pages to pager", "404", avoids="pager")]

    site.live(30)

    assert [notice.body["subject"] for notice in mail.took] == ["pages to pager"]
    assert not pager.tried


@pytest.mark.parametrize("takes", [True, False])
def test_only_routes_that_take_it_are_told(*, takes: bool) -> None:
    """It is critical, for those who are on call and those who keep the telemetry."""
    receiver = Receiver()
    site = Site({"pager": receiver}, {"journal": FULL})
    severity = "critical" if takes else "low"
    site.distress.routes = [Route(name="pager", severities=frozenset({severity}))]

    site.live(30)

    assert len(receiver.took) == takes


def test_two_stores_are_two_alarms() -> None:
    """Each is told by itself, and each ends by itself."""
    receiver = Receiver()
    site = Site({"pager": receiver}, {"journal": FULL, "ledger": FULL})
    site.live(20)
    del site.problems["journal"]
    site.live(20)

    told = [(notice.body["subject"], notice.body["change"]) for notice in receiver.took]
    assert sorted(told) == [("journal", "opened"), ("journal", "returned"), ("ledger", "opened")]
