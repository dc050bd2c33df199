"""A sign of life is sent while the monitor can judge and tell, and at no other time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from facility.errors import DeliveryError
from facility.instants import to_iso
from megawatch.run.heartbeat import LATE_MS, Heartbeat
from rules.notify.http import Poster
from testing.builders import T0_MS
from testing.fakes.webhook import FakeReceiver, Reply, receiver


def beat(
    *script: Reply, tick_ms: Callable[[], int] = lambda: T0_MS, trouble: str = "", times: int = 1
) -> tuple[FakeReceiver, Heartbeat]:
    """Let a heart beat; return the watchdog and the heart."""

    async def story() -> tuple[FakeReceiver, Heartbeat]:
        async with receiver(script) as fake:
            poster = Poster(fake.url, now_ms=lambda: T0_MS)
            heart = Heartbeat(poster, "titan", tick_ms=tick_ms, trouble=lambda: trouble, now_ms=lambda: T0_MS)
            try:
                for _ in range(times):
                    await heart.beat()
            finally:
                await poster.close()
        return fake, heart

    return asyncio.run(story())


def test_a_sign_says_which_site_and_which_tick() -> None:
    """A watchdog that looks into it sees how old the last judgement is."""
    fake, heart = beat(tick_ms=lambda: T0_MS - LATE_MS)

    assert [json.loads(one.body) for one in fake.deliveries] == [
        {"site": "titan", "tick": to_iso(T0_MS - LATE_MS), "sent": to_iso(T0_MS)}
    ]
    assert heart.held_back == ""


@pytest.mark.parametrize(
    ("tick_ms", "trouble", "cause"),
    [
        (T0_MS - LATE_MS - 1, "", f"no tick was judged since {to_iso(T0_MS - LATE_MS - 1)}"),
        (0, "", "no tick was judged since 1970-01-01T00:00:00.000Z"),
        (T0_MS, "pager accepts nothing: 503", "pager accepts nothing: 503"),
    ],
)
def test_it_is_held_back_where_nothing_can_be_judged_or_told(tick_ms: int, trouble: str, cause: str) -> None:
    """Its silence is what the watchdog tells."""
    fake, heart = beat(tick_ms=lambda: tick_ms, trouble=trouble, times=2)

    assert fake.deliveries == []
    assert heart.held_back == cause


def test_a_watchdog_that_does_not_accept_it_is_a_fault_of_this_part() -> None:
    """The supervisor tells it, and beats again."""
    with pytest.raises(DeliveryError, match="503"):
        beat(Reply(503))


def test_a_ledger_that_cannot_be_read_is_no_sign_of_life() -> None:
    """What raises sends nothing."""

    def fail() -> int:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        beat(tick_ms=fail)
