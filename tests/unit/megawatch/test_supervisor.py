"""A part that fails begins again; nothing else notices, and it is shown."""

from __future__ import annotations

import asyncio

import pytest

from megawatch.run import supervisor
from megawatch.run.supervisor import REMEMBERED_S, Supervisor


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def now_ms(self) -> int:
        """Return the time [ms]."""
        return round(self.at_s * 1_000)

    def monotonic_s(self) -> float:
        """Return the time [s]."""
        return self.at_s


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "PAUSE_S", 0.0)


def test_a_part_that_fails_begins_again_and_the_others_go_on() -> None:
    """As often as it needs, whatever it raises."""
    guard, began = Supervisor(Hand()), []
    faults: list[Exception] = [ValueError("one"), ExceptionGroup("two", [OSError("two")]), KeyError("three")]

    async def weak() -> None:
        began.append("weak")
        if faults:
            raise faults.pop(0)

    async def strong() -> None:
        began.append("strong")
        while began.count("weak") < 4:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(guard.run("weak", weak))
            group.create_task(guard.run("strong", strong))

    asyncio.run(story())

    assert (began.count("weak"), began.count("strong")) == (4, 1)


def test_a_fault_is_shown_until_the_part_has_run_for_a_while() -> None:
    """A part that fails each second is one that fails, also in the moment in which it runs."""
    hand = Hand()
    guard, faults = Supervisor(hand), [ValueError("a bug")]

    async def weak() -> None:
        if faults:
            raise faults.pop(0)

    asyncio.run(guard.run("writer", weak))

    assert guard.failing == {"writer": "ValueError: a bug"}
    hand.at_s += REMEMBERED_S
    assert guard.failing == {}


def test_what_is_cancelled_ends() -> None:
    """A stop is no fault."""
    guard = Supervisor(Hand())

    async def endless() -> None:
        await asyncio.sleep(3_600)

    async def story() -> bool:
        task = asyncio.create_task(guard.run("part", endless))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    assert asyncio.run(story())
    assert guard.failing == {}
