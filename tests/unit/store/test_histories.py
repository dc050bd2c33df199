"""A history is one entry of the registry: what writes to it, reads it and checks it is found there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from facility.readings import Rejection
from facility.sitefile.tables import InfluxTable, StoreTable
from megawatch.check.live import reach
from megawatch.cli.queries import Asked, series
from megawatch.run.clock import SteadyClock
from megawatch.site.folder import open_site
from store.base import INFLUX, PARQUET, Chunk, Series
from store.histories import HISTORIES, HistoryKind, Place, history_name, history_of
from store.journal.intake import Intake
from store.journal.journal import Journal
from store.ledger.ledger import Ledger
from store.shipping import Shipper
from testing.builders import T0_MS, a_batch, known_racks

SITE: Final = '[site]\nname = "hall"\n[store]\nseal_s = 1\n[[rack]]\nids = "r1"\nrating_kw = 100\n'


class Memory:
    """A sink that keeps what it is given."""

    name = "memory"
    period_s = None
    most_per_s = None
    most_readings = 200_000

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []

    async def store(self, chunk: Chunk) -> Sequence[Rejection]:
        """Keep a chunk."""
        self.chunks.append(chunk)
        return ()

    async def close(self) -> None:
        """Nothing is held."""


class Reader:
    """Gives everything that a sink keeps, whatever is asked for."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def readings(self, key: str, from_ms: int, to_ms: int) -> Series:
        """Return all readings."""
        del from_ms, to_ms
        (chunk,) = self.memory.chunks
        batch = chunk.batch
        return Series(key, "kW", batch.source_ms, batch.value, batch.quality.astype(np.int64))

    def means(self, key: str, from_ms: int, to_ms: int, step_ms: int) -> Series:
        """Return the same."""
        del step_ms
        return self.readings(key, from_ms, to_ms)

    def draw(self, tenant: str, figure: str, from_ms: int, to_ms: int) -> Series:
        """Return the same."""
        del figure
        return self.readings(tenant, from_ms, to_ms)

    def close(self) -> None:
        """Nothing is held."""


def test_one_entry_is_enough_for_a_history(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the journal holds is shipped to it, questions are answered from it, and `check` asks it."""
    memory, checked = Memory(), []

    async def check(place: Place) -> None:
        checked.append(place.data)

    entry = HistoryKind(
        is_named=lambda store: store.seal_s == 1,
        sink=lambda _: memory,
        history=lambda _: Reader(memory),
        check=check,
    )
    monkeypatch.setitem(HISTORIES, "memory", entry)
    (tmp_path / "site.toml").write_text(SITE)
    folder = open_site(tmp_path)
    clock, kind = SteadyClock(), history_of(folder.file.store)
    with closing(Journal(folder.data, clock)) as journal, closing(Ledger(folder.data)) as ledger:
        journal.append(Intake(known=list(known_racks(["r1"])), batch=a_batch([(0, T0_MS, 50.0)])), T0_MS)
        shipper = Shipper(
            kind.sink(folder.place),
            journal,
            ledger,
            journal=journal,
            clock=clock,
            random_source=random.Random(1),  # noqa: S311 - jitter
            seal_s=1,
        )
        asyncio.run(shipper.ship())

    asked = Asked(subject="r1", what="", last="1h", since=None, until=None, step=None)
    found = series(folder, asked).series
    assert found.value.tolist() == [50.0]
    assert asyncio.run(reach(folder))[-1] == {
        "what": "database",
        "ok": True,
        "detail": "answers, and takes the token",
    }
    assert checked == [folder.data]


def test_parquet_files_are_the_history_of_who_names_none() -> None:
    """A database is named under `[store]`."""
    assert history_name(StoreTable()) == PARQUET
    assert history_name(StoreTable(influxdb=InfluxTable(url="http://db"))) == INFLUX
