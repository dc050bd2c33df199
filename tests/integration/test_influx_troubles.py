"""What befalls a database over the years befalls a real one here, one after the other, under the monitor."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from megawatch.run.process import end
from testing.store.disks import small_disk
from tests.integration.plants import DAY_S, KINDS, METRICS, Plant, a_plant, letters, now_ms

pytestmark = pytest.mark.servers

DISK = "256m"


async def an_outage(plant: Plant, away_s: float) -> None:
    """Kill the database and start it again after a while."""
    await asyncio.to_thread(plant.mortal.kill)
    await plant.suffer("")
    await asyncio.sleep(away_s)
    assert plant.error
    await asyncio.to_thread(plant.mortal.start)
    await plant.recover()
    await asyncio.sleep(2)
    await plant.recover()


async def a_hard_life(kind: str, folder: Path, away_s: float) -> None:
    """Let everything befall a database that befalls one, but for a full disk."""
    (folder / "disk").mkdir()
    async with a_plant(kind, folder, folder / "disk") as plant:
        await plant.recover()
        # A field that somebody else wrote first, as another type: the monitor's draws cannot be stored.
        await asyncio.to_thread(plant.write, f"tenant_draw,tenant=x demand_mw=5i {now_ms()}")
        # A reading that waited on its gateway for longer than the database keeps anything.
        old_ms = now_ms() - 3 * DAY_S * 1_000
        plant.say("r1", old_ms, 41.0)
        await plant.watch.until(lambda: letters(plant.watch) > 0, "a dead letter")

        new = await asyncio.to_thread(plant.renew)
        await plant.suffer("the token is not valid")
        await asyncio.to_thread(plant.token.write_text, new)
        await plant.recover()

        await an_outage(plant, away_s)
        missing = await asyncio.to_thread(plant.missing)
        assert [row[1] for row in missing if row[1] < now_ms() - 2_000] == [old_ms]
        assert letters(plant.watch) >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_no_trouble_loses_or_doubles_a_reading(kind: str, tmp_path: Path) -> None:
    """Another's field type, a line beyond the retention, a new token, a kill: alarms on time throughout."""
    asyncio.run(a_hard_life(kind, tmp_path, away_s=3))


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_five_minutes_away_lose_or_double_no_reading(kind: str, tmp_path: Path) -> None:
    """The same, with the database away for as long as somebody needs to see to it."""
    asyncio.run(a_hard_life(kind, tmp_path, away_s=300))


async def a_long_outage(folder: Path) -> None:
    """Let a VictoriaMetrics, which has neither tokens nor types, be away for five minutes."""
    (folder / "disk").mkdir()
    async with a_plant(METRICS, folder, folder / "disk") as plant:
        await plant.recover()
        await an_outage(plant, away_s=300)
        missing = await asyncio.to_thread(plant.missing)
        assert [row for row in missing if row[1] < now_ms() - 2_000] == []
        assert letters(plant.watch) == 0


@pytest.mark.soak
def test_five_minutes_without_victoria_metrics(tmp_path: Path) -> None:
    """The same of a VictoriaMetrics."""
    asyncio.run(a_long_outage(tmp_path))


async def keep_full(disk: Path) -> None:
    """Fill a disk to its last byte until cancelled, whatever the database frees; then make room again."""
    ballast = disk / "ballast"
    try:
        while True:
            await asyncio.to_thread(fill, ballast)
            await asyncio.sleep(0.05)
    finally:
        ballast.unlink()


def fill(ballast: Path) -> None:
    """Let a file grow until its disk is full."""
    with ballast.open("ab", buffering=0) as file:
        for size in (1_000_000, 4_096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


async def a_full_disk(kind: str, folder: Path, disk: Path) -> None:
    """Let the disk of a database be full for a while."""
    async with a_plant(kind, folder, disk) as plant:
        await plant.recover()
        filling = asyncio.create_task(keep_full(disk))
        # VictoriaMetrics is read-only first, and ends where it cannot even put away what it has.
        words = "cannot store now" if kind == METRICS else "no space left on device"
        await plant.suffer(words, is_steady=False)
        await end(filling)
        # InfluxDB does not open a shard again that it could not make: whoever made room starts it again.
        await asyncio.to_thread(plant.mortal.kill)
        await asyncio.to_thread(plant.mortal.start)
        await plant.recover()
        missing = await asyncio.to_thread(plant.missing)
        assert [row for row in missing if row[1] < now_ms() - 2_000] == []
        assert letters(plant.watch) == 0


@pytest.mark.parametrize("kind", [*KINDS, METRICS])
def test_a_full_disk_is_waited_for(kind: str, tmp_path: Path) -> None:
    """A database whose disk is full takes nothing; once there is room it has everything."""
    with small_disk(tmp_path / "disk", DISK) as disk:
        asyncio.run(a_full_disk(kind, tmp_path, disk))
