"""Both generations of InfluxDB in one way, for tests that hold of either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from facility.sitefile.tables import InfluxTable
from testing.servers import influxd, influxd1
from testing.servers.process import Server

GENERATIONS = ("InfluxDB 1", "InfluxDB 2")


@dataclass(frozen=True, slots=True)
class Influx:
    """An InfluxDB that runs.

    Attributes:
        generation: 1 or 2.
        server: Where it is.
        token: What may do everything in it.
        writer: What may write and read the bucket.
        reader: What may read the bucket, and nothing else.
    """

    generation: int
    server: Server
    token: str
    writer: str
    reader: str

    def table(self, **changed: str) -> InfluxTable:
        """Return what a site file says of it, changed as a test wants."""
        said = {"url": self.server.url, "org": influxd.ORG, "bucket": influxd.BUCKET} | changed
        return InfluxTable.model_validate(said)

    def select(self, query: str) -> list[dict[str, Any]]:
        """Return the rows that an InfluxQL query finds, each by column."""
        return (influxd1.query if self.generation == 1 else influxd.select)(self.server, query)

    def write(self, lines: str) -> None:
        """Write lines as somebody else would."""
        (influxd1.write if self.generation == 1 else influxd.write)(self.server, lines)


@contextmanager
def influx(name: str, folder: Path) -> Iterator[Influx]:
    """Run an InfluxDB of a generation; skip the test, with the reason, where it is not on this machine."""
    if name == GENERATIONS[0]:
        if influxd1.PROGRAM is None:
            pytest.skip("no influxd of InfluxDB 1 on the PATH, nor its path in MEGAWATCH_INFLUXD1")
        with influxd1.influxd1(folder) as server:
            users = [
                f"{user}:{influxd1.PASSWORD}" for user in (influxd1.ADMIN, influxd1.USER, influxd1.READER)
            ]
            yield Influx(1, server, *users)
    else:
        if influxd.PROGRAM is None:
            pytest.skip("no influxd of InfluxDB 2 on the PATH, nor its path in MEGAWATCH_INFLUXD")
        with influxd.influxd(folder) as server:
            yield Influx(2, server, influxd.TOKEN, influxd.TOKEN, influxd.make_token(server))
