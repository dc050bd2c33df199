"""A gateway before a real database puts off, refuses what is long, fails after storing: all arrives once."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from testing.fakes.gateway import Habit, Write
from tests.integration.plants import KINDS, METRICS, Plant, a_plant, letters, now_ms

pytestmark = pytest.mark.servers

PAUSE_S = 2
"""What the gateway asks for; without a word of it the first pause would be half a second at most."""
MOST_BYTES = 1_500
"""A line of the pipeline's health is shorter than that, what comes of five seconds is longer."""


async def writes(plant: Plant, habit: Habit, count: int = 0) -> list[Write]:
    """Let a gateway have a habit until so many writes came, or for one overdraw; return what came meanwhile.

    Args:
        plant: The site.
        habit: The habit.
        count: How many writes; 0 to let an overdraw be paged meanwhile, as quickly as ever.
    """
    came = plant.gateway.writes
    before, plant.gateway.habit = len(came), habit
    if count:
        await plant.watch.until(lambda: len(came) >= before + count, f"{count} writes")
    else:
        await plant.suffer(f"it answered {habit.status}")
    plant.gateway.habit = Habit()
    return came[before:]


async def a_busy_day(kind: str, folder: Path) -> None:
    """Let a gateway do all that gateways do, one after the other."""
    (folder / "disk").mkdir()
    async with a_plant(kind, folder, folder / "disk", has_gateway=True) as plant:
        await plant.recover()

        put_off = await writes(plant, Habit(status=429, retry_after_s=PAUSE_S))
        assert {(write.status, write.is_stored) for write in put_off} == {(429, False)}
        assert min(later.at_s - sooner.at_s for sooner, later in pairwise(put_off)) >= PAUSE_S

        # What waited meanwhile is too long for it now.
        plant.gateway.habit = Habit(status=413, most_bytes=MOST_BYTES)
        await plant.recover()
        halved = [write for write in plant.gateway.writes if write.status == 413]
        assert halved
        assert {write.size > MOST_BYTES for write in halved} == {True}
        assert max(write.size for write in plant.gateway.writes if write.status == 204) <= MOST_BYTES * 2

        for habit in (
            Habit(status=500, stores=True),
            Habit(status=503, stores=True, retry_after_s=1),
            Habit(resets=True, stores=True),
            Habit(status=502),
        ):
            failed = await writes(plant, habit, count=1)
            assert {(write.status, write.is_stored) for write in failed} == {(habit.status, habit.stores)}
            await plant.recover()

        missing = await asyncio.to_thread(plant.missing)
        assert [row for row in missing if row[1] < now_ms() - 2_000] == []
        assert letters(plant.watch) == 0
        keys = [key for key, _ in plant.pager.pages]
        assert len(keys) == len(set(keys)) == 2


@pytest.mark.parametrize("kind", [*KINDS, METRICS])
def test_whatever_a_gateway_answers_all_is_stored_once(kind: str, tmp_path: Path) -> None:
    """429 with a pause, 413, 500 and a broken connection after storing: nothing lost, twice or late."""
    asyncio.run(a_busy_day(kind, tmp_path))
