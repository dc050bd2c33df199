"""What receivers parse stays as it is, byte for byte: one stored document of each kind of notification."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from megawatch.run.self_monitoring import Distress, Problem
from rules.alarms.states import Change, Transition
from rules.base import Severity
from rules.library.contract.c2_overdraw import Overdraw
from rules.library.data.q6_clock_off import ClockOff
from rules.library.data.q10_alarm_health import AlarmHealth
from rules.notify.message import compose, ended
from rules.notify.routing import Route
from store.ledger.alarms import Alarm, Notice
from testing.builders import T0_MS
from testing.rules.halls import Tape, an_engine, at_once, known_racks_of, one_tenant, play
from testing.rules.openings import Damped
from testing.rules.telling import look
from tests.unit.rules.test_message_text import Body
from tests.unit.rules.test_webhook_document import every_page

NOT_STORED: Final = Problem("journal", "disk is\nfull")
STORED: Final = Path(__file__).parents[2] / "data" / "notifications.jsonl"
"""Made before a notification was a type: as the outbox keeps it, and as a webhook gets it."""


def of_each_kind() -> Iterator[Body]:
    """Yield the first page of each rule, change and set of keys."""
    seen = set()
    for body in (*every_page(), *of_a_clock(), *of_the_past(), *of_a_chatter()):
        kind = (body["rule"], body["change"], *body)
        if kind not in seen:
            seen.add(kind)
            yield body


def of_a_clock() -> Iterator[Body]:
    """Yield the page of a gateway whose values are an hour ahead."""
    site, tape = one_tenant(1_000), Tape()
    tape.put(T0_MS - 1_000, known_racks_of(site))
    tape.connect(T0_MS - 1_000)
    for second in range(60):
        now_ms = T0_MS + 1_000 * second
        ahead_ms = 0 if second < 10 else 3_600_000
        tape.put(now_ms, at_once([50.0] * 3, now_ms + ahead_ms, received_ms=now_ms))
    for step in play(an_engine(site, lateness_ms=200), tape.entries, until_ms=T0_MS + 60_000):
        for change in step.changes:
            if change.rule == "Q6" and step.view is not None:
                yield compose(change, ClockOff.model_validate({}), step.view, site).document()


def of_the_past() -> Iterator[Body]:
    """Yield pages of an overdraw that was found once late readings had come, while it lasts and after it."""
    site, tape = one_tenant(200), Tape()
    tape.put(T0_MS - 1_000, known_racks_of(site))
    tape.connect(T0_MS - 1_000)
    for second in range(8):
        tape.second(second, 70.0, 71.0, 69.5)
    for step in play(an_engine(site), tape.entries):
        for change in step.changes:
            if change.rule == "C2" and change.change is Change.OPENED and step.view is not None:
                rule = Overdraw.model_validate({})
                for over_ms in (None, change.at_ms - 1_000):
                    late = replace(change, is_past=True, over_ms=over_ms)
                    yield compose(late, rule, step.view, site).document()
                opening = compose(change, rule, step.view, site).document()
                over = ended(an_alarm(change), opening, "rule C2 is switched off", change.at_ms + 5_000, site)
                yield dict(sorted(over.document().items()))  # as a webhook gets it
                for kind in (Change.WORSENED, Change.RETURNED):
                    yield compose(replace(change, change=kind), rule, step.view, site).document()
                strange = replace(change, subject="nobody's")
                yield compose(strange, rule, step.view, site).document()


def of_a_chatter() -> Iterator[Body]:
    """Yield the page of an overdraw that chatters, and that of the rule that says so."""
    site, tape = one_tenant(200), Tape()
    tape.put(T0_MS - 1_000, known_racks_of(site))
    tape.connect(T0_MS - 1_000)
    for second in range(8):
        tape.second(second, 70.0, 71.0, 69.5)
    chatters = Damped(["acme"], rule="C2")
    for second in range(0, 8, 2):
        chatters.tick(second, {"acme": Severity.HIGH})
        chatters.tick(second + 1, {})
    for step in play(an_engine(site), tape.entries):
        for change in step.changes:
            if change.rule == "C2" and change.change is Change.OPENED and step.view is not None:
                view = replace(step.view, alarms=chatters.openings.view())
                yield compose(change, Overdraw.model_validate({}), view, site).document()
                found = replace(
                    change,
                    rule="Q10",
                    subject="C2 acme",
                    severity=Severity.LOW,
                    value=3.0,
                    limit=3.0,
                    peak=3.0,
                )
                yield compose(found, AlarmHealth.model_validate({}), view, site).document()


def an_alarm(change: Transition) -> Alarm:
    """Return an alarm as the ledger has it once it opened."""
    return Alarm(
        id=change.alarm_id,
        rule=change.rule,
        title="a title",
        subject=change.subject,
        severity=change.severity.word,
        unit="kW",
        since_ms=change.since_ms,
        opened_ms=change.opened_ms,
    )


def of_ourselves(
    problem: Problem = NOT_STORED, routes: Sequence[Route] = (Route(name="pager"),)
) -> list[Notice]:
    """Return what is told of a problem of the monitor, and of its end, on every route that takes it."""

    class Clock:
        def now_ms(self) -> int:
            return T0_MS

        def monotonic_s(self) -> float:
            return 0.0

    class Taker:
        async def deliver(self, notice: Notice) -> None:
            took.append(notice)

        async def close(self) -> None:
            pass

    took: list[Notice] = []
    wrong = [problem]

    distress = Distress(
        site="titan",
        problems=lambda: wrong,
        notifiers={route.name: Taker() for route in routes},
        routes=routes,
        clock=Clock(),
        random_source=random.Random(1),  # noqa: S311 - jitter
    )
    for second in range(40):
        if second == 20:
            wrong.clear()
        asyncio.run(look(distress, T0_MS + 1_000 * second))
    return took


def outbox_lines() -> list[str]:
    """Return what the outbox keeps of each."""
    return [json.dumps(body) for body in (*of_each_kind(), *(notice.body for notice in of_ourselves()))]


def test_the_document_of_a_notification_stays_as_it_is() -> None:
    """Keys, their order, and every figure."""
    assert outbox_lines() == STORED.read_text(encoding="utf-8").splitlines()


def test_an_end_is_told_although_its_opening_is_damaged() -> None:
    """What a damaged document lacks is what the ledger knows of the alarm."""
    damaged = {"key": "a:opened", "alarm": "a", "severity": "critical", "headline": "damaged", "text": ""}
    alarm = Alarm(
        id="a", rule="C2", title="draw", subject="acme", severity="high", unit="kW", since_ms=1, opened_ms=2
    )

    told = ended(alarm, damaged, "rule C2 is switched off", T0_MS, one_tenant(200))

    assert (told.key, told.headline, told.opened_ms) == ("a:returned", "[over] acme: draw", 2)
