"""NVIDIA's recording, through real brokers, into the whole monitor: rows 1 and 2 of what must be shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from store.journal.file import JournalReader
from testing.collector.publishing import Publisher
from testing.megawatch.monitoring import Watch, alarms, draws, journalled, watching
from testing.recording import Recorded, metadata, values
from testing.servers.brokers import BROKERS, Broker
from testing.waiting import PATIENCE_S

SITE = """
[site]
name = "titan"

[[broker]]
url = "{url}"
client_id = "{client}"

[[rack]]
ids = "Pod1C-E0[1-6]"
rating_kw = 132

[[tenant]]
id = "four"
holds = [{{ racks = "Pod1C-E0[1-4]", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.3
boundary = "{boundary}"

[[tenant]]
id = "five"
holds = [{{ racks = "Pod1C-E05", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.1
boundary = "tap_meter"

[rules]
C2 = {{ unknown_delay_s = 5 }}
"""


def a_broker(name: str, folder: Path) -> Broker:
    """Return a broker that sends nothing twice, however long we take to acknowledge it."""
    return BROKERS[name](folder, repeats_s=round(PATIENCE_S))


def a_site(url: str, boundary: str = "rack_input") -> str:
    """Return the site file of the recorded pod, with one tenant's draw summed at a boundary."""
    return SITE.format(url=url, boundary=boundary, client=f"monitor-{boundary}")


def stamped(recorded: Sequence[Recorded], base_ms: int) -> list[tuple[str, bytes]]:
    """Return recorded messages with their time stamps counted from `base_ms`."""
    return [(message.topic, message.stamped(base_ms)) for message in recorded]


def now_ms() -> int:
    """Return the time [ms]."""
    return time.time_ns() // 1_000_000  # noqa: TID251 - a publisher has a clock of its own


def last_kw(data: Path, quantity: str) -> dict[str, float]:
    """Return the last value of each asset's points of a quantity, by the asset [canonical unit]."""
    with closing(JournalReader(data)) as journal:
        known = journal.known()
    batch = journalled(data)
    last: dict[str, float] = {}
    for number, value in zip(batch.point.tolist(), batch.value.tolist(), strict=True):
        if known[number].point.quantity == quantity:
            last[known[number].point.asset] = value
    return last


async def check_stored(watch: Watch) -> None:
    """Check the figures that the recording's README gives, once metadata and values are all counted."""
    await watch.until(lambda: watch.accounting()["metadata"] == 166, "166 descriptions counted")
    account = watch.accounting()
    assert (account["stored"], account["dead_lettered"], account["duplicates"]) == (2210, 0, 0)
    racks = last_kw(watch.data, "rack.power.active")
    meters = last_kw(watch.data, "meter.power.active")
    assert sum(racks.values()) == pytest.approx(214.08, abs=0.005)
    assert meters["C-E-BUS-E1"] + meters["C-E-BUS-E2"] == pytest.approx(214.05, abs=0.005)
    assert meters["C-E05-TAP-E1"] + meters["C-E05-TAP-E2"] == pytest.approx(47.82, abs=0.005)
    assert racks["Pod1C-E05"] == pytest.approx(47.829, abs=0.0005)


@pytest.mark.servers
@pytest.mark.parametrize("broker", BROKERS)
@pytest.mark.parametrize("order", ["first", "last", "in the middle"])
def test_the_recording_is_stored_whole_however_metadata_comes(
    broker: str, order: str, tmp_path: Path
) -> None:
    """Flat out, every value is stored once its metadata is known, whichever comes first."""
    base_ms = now_ms() - 60_000
    told, said = stamped(metadata(), base_ms), stamped(values(), base_ms)
    half = len(said) // 2

    async def story() -> None:
        with a_broker(broker, tmp_path / "broker") as server, Publisher(server.port) as publisher:
            async with watching(tmp_path / "site", a_site(server.url)) as watch:
                await watch.until_connected()
                early = {"first": 0, "last": len(said), "in the middle": half}[order]
                for topic, payload in said[:early]:
                    publisher.publish(topic, payload)
                await asyncio.to_thread(publisher.flush)
                for topic, payload in told:
                    publisher.publish(topic, payload, retain=True)
                for topic, payload in said[early:]:
                    publisher.publish(topic, payload)
                await watch.until_stored(len(said))
                await check_stored(watch)

    asyncio.run(story())


@pytest.mark.servers
@pytest.mark.parametrize("broker", BROKERS)
def test_placeholders_left_in_are_dead_letters_and_the_monitor_lives(broker: str, tmp_path: Path) -> None:
    """The file with its placeholders is 2,210 dead letters with the reason; what comes after is stored."""

    async def story() -> None:
        with a_broker(broker, tmp_path / "broker") as server, Publisher(server.port) as publisher:
            async with watching(tmp_path / "site", a_site(server.url)) as watch:
                await watch.until_connected()
                for message in metadata():
                    publisher.publish(message.topic, message.payload, retain=True)
                for message in values():
                    publisher.publish(message.topic, message.payload)
                await watch.until(lambda: watch.accounting()["dead_lettered"] == 2210, "all refused")
                account = watch.accounting()
                assert account["dead_lettered_by_reason"] == {"bad-json": 2210}
                assert account["stored"] == 0

                first = values()[0]
                publisher.publish(first.topic, first.stamped(now_ms()))
                await watch.until_stored(1)

    asyncio.run(story())


@pytest.mark.servers
def test_the_recording_in_its_own_rhythm(tmp_path: Path) -> None:
    """In its own rhythm, through both brokers at once, the draw at every boundary is what it must be."""

    async def play(broker: str) -> None:
        with a_broker(broker, tmp_path / broker) as server, Publisher(server.port) as publisher:
            for message in metadata():
                publisher.publish(message.topic, message.payload, retain=True)
            await asyncio.to_thread(publisher.flush)
            sites = {b: a_site(server.url, b) for b in ("rack_input", "tap_meter")}
            async with AsyncExitStack() as stack:
                watches = {
                    boundary: await stack.enter_async_context(watching(tmp_path / broker / boundary, site))
                    for boundary, site in sites.items()
                }
                for watch in watches.values():
                    await watch.until_connected()
                await _speak(publisher)
                for watch in watches.values():
                    await watch.until_stored(2210)
                    await check_stored(watch)
                # Bounds widen soon after the last word, so the last values are said on.
                speaking = asyncio.create_task(_repeat(publisher))
                stack.callback(speaking.cancel)
                metered = watches["rack_input"]
                await metered.until(lambda: is_metered(metered), "exactly what the meters say")
                assert [a for a in alarms(metered.data) if a.rule.startswith("C")] == []
                check_unmetered(watches["tap_meter"])

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            for broker in BROKERS:
                group.create_task(play(broker))

    asyncio.run(story())


async def _speak(publisher: Publisher) -> None:
    """Publish the recorded values in their own rhythm."""
    base_ms = now_ms()
    for message in values():
        await asyncio.sleep(max(0, base_ms + message.offset_ms - now_ms()) / 1_000)
        publisher.publish(message.topic, message.stamped(base_ms))


async def _repeat(publisher: Publisher) -> None:
    """Publish the last value of every point each second, until cancelled."""
    last = {message.topic: message for message in values()}
    while True:
        base_ms = now_ms()
        for message in last.values():
            publisher.publish(message.topic, message.stamped(base_ms - message.offset_ms))
        await asyncio.sleep(1)


def is_metered(watch: Watch) -> bool:
    """Tell whether racks with meters draw exactly what these said last, and are known to comply."""
    racks = last_kw(watch.data, "rack.power.active")
    meters = last_kw(watch.data, "meter.power.active")
    sums = {
        "four": sum(racks.get(f"Pod1C-E0{i}", 0) for i in (1, 2, 3, 4)),
        "five": meters.get("C-E05-TAP-E1", 0) + meters.get("C-E05-TAP-E2", 0),
    }
    return all(
        tenant["verdict"] == "clear"
        and tenant["low_kw"] == tenant["best_kw"] == tenant["high_kw"]
        and tenant["best_kw"] == pytest.approx(sums[name], abs=1e-6)
        for name, tenant in ((name, watch.tenant(name)) for name in sums)
    )


def check_unmetered(watch: Watch) -> None:
    """Check that racks whose taps have no meter give bounds, as what may still begin to speak."""
    four = watch.tenant("four")
    assert (four["low_kw"], four["high_kw"], four["coverage"]) == (0, 4 * 132, 0)
    assert {draw.high_milliwatts for _, draw in draws(watch.data, "four")[3:]} == {4 * 132_000_000}
    assert (four["verdict"], four["is_starting"]) == ("unknown", True)
    assert [a for a in alarms(watch.data) if a.is_told and a.subject == "four"] == []
