"""Every file that a monitor keeps stands in the table of docs/operating.md."""

from __future__ import annotations

import asyncio
import re
import time
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from rules.engine import snapshot
from store.history import parquet
from store.journal import file as journalfile
from store.ledger import ledger
from store.means import columnfile
from testing.collector.publishing import Publisher
from testing.megawatch.monitoring import watching
from testing.servers.brokers import Mosquitto

DOCUMENT = Path(__file__).parents[2] / "docs" / "operating.md"
HEADING = "## What is kept, and in which version"
SITE = """
[site]
name = "kept"
rack_rating_kw = 100
[[broker]]
url = "{url}"
format = "rack-documents"
[store]
seal_s = 1
[engine]
snapshot_s = 1
[[tenant]]
id = "acme"
holds = [{{ racks = "r1", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.01
[[route]]
to = {{ console = true }}
[rules.C2]
on_delay_s = 0
"""
PARTS = ("engine.snapshot", "client-id", "means-history.npz", "history/sealed.json", "status/*.json")
"""What has to be there before a run is one that can be listed."""


def table() -> dict[str, list[str]]:
    """Return the rows of the table, by the pattern of a file's path in the data folder."""
    section = DOCUMENT.read_text().partition(HEADING)[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if "|" in line]
    return {pattern: row for row in rows[2:] for pattern in re.findall(r"`([^`]+)`", row[0])}


def files(data: Path) -> list[str]:
    """Return every file of a data folder, by its path in it."""
    return sorted(path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file())


def is_there(data: Path) -> bool:
    """Tell whether a run has kept a file of each kind."""
    found = files(data)
    return all(any(fnmatchcase(name, part) for name in found) for part in PARTS)


@pytest.mark.servers
def test_every_file_of_a_run_stands_in_the_table(tmp_path: Path) -> None:
    """Readings, an alarm, a snapshot, sealed parts: whatever is left in the data folder is described."""
    seen: set[str] = set()

    async def story() -> None:
        with Mosquitto(tmp_path / "broker") as server, Publisher(server.port) as publisher:
            async with watching(tmp_path / "site", SITE.format(url=server.url)) as watch:
                await watch.until_connected()

                def is_whole() -> bool:
                    now_ms = time.time_ns() // 1_000_000  # noqa: TID251 - a publisher has a clock of its own
                    publisher.publish("megawatch/v1/kept/r1", b'{"time":%d,"power_kw":90}' % now_ms)
                    seen.update(files(watch.data))
                    return is_there(watch.data)

                await watch.until(is_whole, "a file of each kind")
            seen.update(files(watch.data))

    asyncio.run(story())

    patterns = table()
    assert "journal.sqlite" in seen
    assert [name for name in sorted(seen) if not any(fnmatchcase(name, p) for p in patterns)] == []


def test_the_table_says_of_each_file_what_happens_to_it() -> None:
    """No cell is empty, and the versions are those of the code."""
    rows = table()

    assert all(len(row) == 7 and all(row) for row in rows.values()), rows
    versions = {
        "journal.sqlite": len(journalfile.MIGRATIONS),
        "ledger.sqlite": len(ledger.MIGRATIONS),
        "engine.snapshot": snapshot.VERSION,
        "means-*.npz": columnfile.VERSION,
        "history/sealed.json": parquet.VERSION,
    }
    assert {name: int(rows[name][2]) for name in versions} == versions
