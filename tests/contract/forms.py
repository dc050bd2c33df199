"""The forms that a history can have, each filled with the same data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from facility.sitefile.tables import InfluxTable
from store.base import Chunk, History, Sink
from store.history.reader import ParquetHistory
from store.history.sealing import ParquetSink
from store.influx.history import InfluxHistory
from store.influx.lineprotocol import Kept
from store.influx.setup import READER, WRITER, set_up
from store.influx.sink import InfluxSink
from testing.servers import influxd, influxd1
from testing.servers.process import Server
from testing.store.merging import merge
from tests.contract.stored import filled

PARQUET: Final = "Parquet"
HALF_SEALED: Final = "Parquet, half of it sealed"
MERGED: Final = "Parquet, merged"
INFLUXDB_1: Final = "InfluxDB 1"
INFLUXDB_2: Final = "InfluxDB 2"
PREPARED_1: Final = "InfluxDB 1, prepared"
PREPARED_2: Final = "InfluxDB 2, prepared"
FORMS: Final = (PARQUET, HALF_SEALED, MERGED, INFLUXDB_1, PREPARED_1, INFLUXDB_2, PREPARED_2)

Run = Callable[[Path], AbstractContextManager[Server]]
_SERVERS: Final[dict[str, tuple[str | None, Run, str]]] = {
    INFLUXDB_1: (influxd1.PROGRAM, influxd1.influxd1, f"{influxd1.ADMIN}:{influxd1.PASSWORD}"),
    INFLUXDB_2: (influxd.PROGRAM, influxd.influxd, influxd.TOKEN),
}


@contextmanager
def history(form: str, folder: Path) -> Iterator[History]:
    """Open a history of a form, with all that is stored; skip where its server is not on this machine."""
    site, chunks = filled(folder)
    try:
        if form in (PARQUET, HALF_SEALED):
            _store(ParquetSink(folder), chunks if form == PARQUET else chunks[:2])
            with closing(ParquetHistory(folder)) as found:
                yield found
        elif form == MERGED:
            _store_merged(folder, chunks)
            with closing(ParquetHistory(folder)) as found:
                yield found
        else:
            with _influxdb(form, folder, chunks) as found:
                yield found
    finally:
        site.close()


@contextmanager
def _influxdb(form: str, folder: Path, chunks: Sequence[Chunk]) -> Iterator[History]:
    generation = form.partition(",")[0]
    program, run, token = _SERVERS[generation]
    if program is None:
        pytest.skip(f"no {generation} on this machine")
    (folder / "server").mkdir()
    with run(folder / "server") as server:
        table = InfluxTable.model_validate({"url": server.url, "org": influxd.ORG, "bucket": influxd.BUCKET})
        writes = reads = token
        if form != generation:
            tokens = set_up(table, token, retentions_s=dict.fromkeys(Kept, 0)).tokens
            writes, reads = tokens[WRITER], tokens[READER]
        _store(InfluxSink(table, lambda: writes), chunks)
        with closing(InfluxHistory(table, lambda: reads)) as found:
            yield found


def _store_merged(folder: Path, chunks: Sequence[Chunk]) -> None:
    """Seal every chunk as parts of its own, and merge them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("store.history.sealing.OPEN_BYTES", 0)
        _store(ParquetSink(folder, merges=False), chunks)
    assert merge(folder) > 1


def _store(sink: Sink, chunks: Sequence[Chunk]) -> None:
    async def run() -> None:
        try:
            for chunk in chunks:
                rejected = await sink.store(chunk)
                assert not rejected, rejected
        finally:
            await sink.close()

    asyncio.run(run())
