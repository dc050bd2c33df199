"""Names that the contract of the bus leaves to the publisher, from the bus to whoever asks for them."""

from __future__ import annotations

import asyncio
import json
import time
import tomllib
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from facility import dsx
from facility.names import name_of
from megawatch.discover import Bus, Login, discover_site
from store.influxsetup import WRITER, set_up
from tests.asking import Asker, asking
from tests.integration.test_influx_kills import a_mortal
from tests.monitoring import Watch, watching
from tests.plants import KEPT, KINDS, METRICS, a_table, admin_of
from tests.publishing import Publisher
from tests.servers.brokers import Mosquitto

RACKS = ("Rack 7", "Rack 8, Süd = 1%", "a/b;c:d(e)", "{{x}} ~'q\\'", "[1-2]*", "~207", "机架")
KW = 40.5
TENANT = """
[[tenant]]
id = "acme"
holds = [{ racks = ["Rack *", "a/b;c:d(e)"], from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 1.0
"""


def key_of(rack: str) -> str:
    """Return the key of the power of a rack: a tag path as a building system may write it."""
    return f"Rack/RackPower/Halle 1//{rack}/Power (kW)"


def describe(publisher: Publisher) -> None:
    """Publish what racks are."""
    for rack in RACKS:
        said = {"engUnit": "W", "rackLocationId": rack, "rackLocationName": rack}
        publisher.publish(dsx.metadata_topic(key_of(rack)), json.dumps(said).encode(), retain=True)


def speak(publisher: Publisher) -> None:
    """Publish what racks draw."""
    now_ms = time.time_ns() // 1_000_000  # noqa: TID251 - a publisher has a clock of its own
    for rack in RACKS:
        said = {"value": KW * 1_000, "timestamp": now_ms, "quality": "1"}
        publisher.publish(dsx.value_topic("PUB", key_of(rack)), json.dumps(said).encode())


async def prepared(stack: AsyncExitStack, kind: str, folder: Path) -> tuple[str, Callable[[Watch], bool]]:
    """Start a database; return how a site file names it, and what tells that it has all."""
    if kind == "Parquet":
        return "\n[store]\nseal_s = 1\n", lambda _: any((folder / "site").rglob("reading/**/*.parquet"))
    (folder / "db").mkdir()
    mortal = a_mortal(kind, folder / "db")
    await asyncio.to_thread(mortal.start)
    stack.callback(lambda: mortal.stack.close())  # noqa: PLW0108 - another stack after each start
    setup = await asyncio.to_thread(
        set_up, a_table(mortal), admin_of(kind), retentions_s=KEPT, renews_tokens=True
    )
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "token").write_text(setup.tokens.get(WRITER, ""))
    table = a_table(mortal)
    where = f'url = "{table.url}", org = "{table.org}", bucket = "{table.bucket}"'
    text = f'\n[store]\ninfluxdb = {{ {where}, token_file = "token" }}\n'

    def has_all(watch: Watch) -> bool:
        shipper, journal = watch.monitor.built.shipper, watch.monitor.built.journal
        assert shipper is not None
        assert journal is not None
        assert not shipper.refused
        return shipper.seq >= journal.head_seq

    return text, has_all


@pytest.mark.servers
@pytest.mark.parametrize("kind", ["Parquet", KINDS[0], METRICS])
def test_any_legal_topic_and_id_works_from_the_bus_to_query(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Discovered, held by a pattern, journalled, judged, stored, and asked for as the bus writes it."""

    async def story(ask: Asker) -> None:
        async with AsyncExitStack() as stack:
            server = stack.enter_context(Mosquitto(tmp_path / "broker"))
            publisher = stack.enter_context(Publisher(server.port))
            describe(publisher)
            await asyncio.to_thread(publisher.flush)
            text, figures = await discover_site(Bus.at(server.url, "hall", Login(), None), 1.5)
            assert (figures["racks"], figures["refused"], figures["publishers"]) == (len(RACKS), {}, ["PUB"])
            # What would be read as a pattern, or as a name of ours, is written by its name.
            written = {*RACKS[:3], *map(name_of, RACKS[3:6]), RACKS[6]}
            assert set(tomllib.loads(text)["rack"][0]["ids"]) == written
            store, has_all = await prepared(stack, kind, tmp_path)
            watch = await stack.enter_async_context(watching(tmp_path / "site", text + TENANT + store))
            await watch.until_connected()
            speak(publisher)
            await watch.until_stored(len(RACKS))
            await watch.until(lambda: watch.tenant("acme").get("best_kw") == 3 * KW, "judged")
            await watch.until(lambda: has_all(watch), "in the history")
            assert watch.accounting()["dead_lettered"] == 0
            if kind == METRICS:  # It answers nobody but Grafana.
                return
            for subject in (*RACKS, *map(key_of, RACKS), *map(name_of, RACKS)):
                answer = await asyncio.to_thread(ask, "query", tmp_path / "site", subject, "--json")
                [row] = answer.document["values"]
                assert (row["value"], row["quality"], answer.document["unit"]) == (KW, "good", "kW"), subject
            shown = await asyncio.to_thread(ask, "query", tmp_path / "site", RACKS[3])
            assert "[kW]" in shown.out

    with asking(capsys) as ask:
        asyncio.run(story(ask))
