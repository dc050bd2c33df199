"""What is in doubt on a bus is told: a publisher that nobody named, and a meaning that changed."""

from __future__ import annotations

import asyncio
import random

import pytest

from collector.decode.dsx import CONFIRM_MS
from collector.decode.dsxpublishers import SHOWN_MS
from collector.mqtt.message import Message
from megawatch.run.problems import problems_of_bus
from megawatch.run.self_monitoring import OFF_DELAY_MS, Distress, Problem
from rules.notify.routing import Route
from testing.builders import T0_MS
from testing.collector.hearing import Hearing, a_broker, metadata, value
from testing.rules.telling import look
from tests.unit.megawatch.test_distress import Receiver


class Clock:
    """A clock that is set."""

    at_ms = T0_MS

    def now_ms(self) -> int:
        """Return the time [ms]."""
        return self.at_ms

    def monotonic_s(self) -> float:
        """Return the time [s]."""
        return self.at_ms / 1_000


@pytest.mark.parametrize(
    ("said", "subject", "words", "lasts_ms"),
    [
        (value("r1", 1.0, publisher="EVIL"), "publishers of bus", "EVIL", SHOWN_MS),
        (metadata("r1", engUnit="W"), "metadata of bus", "unit kW to W", CONFIRM_MS),
    ],
    ids=["a stranger", "another unit"],
)
def test_what_is_in_doubt_on_the_bus_is_told_and_so_is_its_end(
    said: Message, subject: str, words: str, lasts_ms: int
) -> None:
    """Once, as rule Q9 with what it is about, and once more when it is over."""
    clock, pager = Clock(), Receiver()
    hearing = Hearing(broker=a_broker(publishers=["PUB"]))
    hearing.hear(metadata("r1"))
    hearing.hear(value("r1", 90.0))
    hearing.hear(said)

    def problems() -> list[Problem]:
        return problems_of_bus("bus", hearing.decoder.problems(clock.now_ms()))

    distress = Distress(
        site="titan",
        problems=problems,
        notifiers={"pager": pager},
        routes=[Route(name="pager")],
        clock=clock,
        random_source=random.Random(1),  # noqa: S311 - the same every time
    )

    for second in range((lasts_ms + 3 * OFF_DELAY_MS) // 1_000):
        clock.at_ms = T0_MS + second * 1_000
        hearing.hear(value("r1", 90.0 + second % 2, clock.at_ms + 1))
        asyncio.run(look(distress, clock.at_ms))

    opened, returned = pager.took
    assert (opened.body["change"], returned.body["change"]) == ("opened", "returned")
    assert (opened.body["rule"], opened.body["severity"], opened.body["subject"]) == ("Q9", "high", subject)
    assert words in opened.body["text"]
