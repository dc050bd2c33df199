"""A VictoriaMetrics gives back what the sink stored, and what it dropped without a word is found out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from facility.errors import StoreUnavailable
from facility.instants import DAY_MS
from facility.readings import Rejection
from facility.sitefile.tables import InfluxTable
from store.base import Chunk
from store.influx.history import InfluxHistory
from store.influx.server import Kind, inspect
from store.influx.setup import set_up
from store.influx.sink import InfluxSink
from testing.builders import T0_MS, a_batch, a_point
from testing.collector.decoded import recorded, simulated
from testing.servers import victoria
from testing.servers.process import Server

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(victoria.PROGRAM is None, reason="needs victoria-metrics on the PATH"),
]

POINTS = {
    0: replace(a_point("Rack/RackPower/hall-1/r_1", asset="r1", feed="A"), phase="L1"),
    1: replace(
        a_point("CDU/LiquidTemperature/c.1", asset="c1", quantity="coolant.supply", unit="°C"),
        area=("Secondary", "Supply"),
    ),
}


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a VictoriaMetrics for the tests of this module."""
    with victoria.victoria(tmp_path_factory.mktemp("victoria")) as server:
        yield server


def a_table(url: str) -> InfluxTable:
    """Return what a site file says of it."""
    return InfluxTable.model_validate({"url": url, "org": "titan", "bucket": "readings"})


def a_chunk(rows: list[tuple[int, int, float]]) -> Chunk:
    """Return a chunk of the points above."""
    return Chunk(first_seq=1, last_seq=2, batch=a_batch(rows), points=POINTS)


def stored(url: str, *chunks: Chunk) -> list[Rejection]:
    """Store chunks and return what was refused."""

    async def story() -> list[Rejection]:
        sink = InfluxSink(a_table(url), lambda: "")
        try:
            found = [rejection for chunk in chunks for rejection in await sink.store(chunk)]
            assert sink.doubt == ""
            return found
        finally:
            await sink.close()

    return asyncio.run(story())


def samples(server: Server, name: str) -> dict[tuple[str, int], list[float]]:
    """Return the values of a series by its labels and time, each as often as it is there."""
    found: dict[tuple[str, int], list[float]] = {}
    for series in victoria.export(server, f'{{__name__="{name}"}}'):
        for at_ms, value in zip(series["timestamps"], series["values"], strict=True):
            found.setdefault((_place(series["metric"]), at_ms), []).append(value)
    return found


def read_back(server: Server, from_ms: int, to_ms: int) -> list[tuple[tuple[str, int], float]]:
    """Return every reading of a span [ms]: its point's key and time, and its value."""
    return [
        ((series["metric"]["point"], at_ms), float(value))
        for series in victoria.export(server, '{__name__="reading_value"}', (from_ms, to_ms))
        for at_ms, value in zip(series["timestamps"], series["values"], strict=True)
    ]


def _place(metric: dict[str, Any]) -> str:
    return ",".join(f"{name}={metric[name]}" for name in sorted(metric) if name != "__name__")


def test_every_reading_comes_back(metrics: Server) -> None:
    """Names and times come back as they were, values to twelve digits; twice stored is stored once."""
    rows = [(number % 2, T0_MS + number, number * 1.25) for number in range(6_000)]

    assert stored(metrics.url, a_chunk(rows), a_chunk(rows)) == []

    rack = "asset=r1,feed=A,phase=L1,point=Rack/RackPower/hall-1/r_1,quantity=rack.power.active"
    coolant = "area=Secondary.Supply,asset=c1,point=CDU/LiquidTemperature/c.1,quantity=coolant.supply"
    expected = {((rack, coolant)[number], at_ms): [value] for number, at_ms, value in rows}
    assert samples(metrics, "reading_value") == expected
    assert samples(metrics, "reading_quality") == {}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: recorded(T0_MS + DAY_MS), id="the-recording"),
        pytest.param(
            lambda: simulated(T0_MS + 2 * DAY_MS, 3_600),
            id="an-hour-of-a-site",
            marks=pytest.mark.xdist_group("influx"),  # whose tests make the same hour
        ),
    ],
)
def test_all_of_a_bus_comes_back(metrics: Server, make: Callable[[], Chunk]) -> None:
    """Every reading of NVIDIA's recording, and of an hour of a simulated site, is there, once.

    What has twelve significant digits at most is there bit for bit. What has more, by our conversion to the
    canonical unit, are differential pressures of air only: 16 of the recording's 2,210 readings.
    """
    chunk = make()

    assert stored(metrics.url, chunk) == []

    batch = chunk.batch
    points = [chunk.points[number] for number in batch.point.tolist()]
    places = list(zip((point.key for point in points), batch.source_ms.tolist(), strict=True))
    wanted = dict(zip(places, batch.value.tolist(), strict=True))
    found = read_back(metrics, int(batch.source_ms.min()), int(batch.source_ms.max()))
    assert len(found) == len(wanted) == len(batch)
    there = dict(found)
    assert there.keys() == wanted.keys()
    longer = {place for place, value in wanted.items() if float(f"{value:.12g}") != value}
    assert {p.quantity for p, place in zip(points, places, strict=True) if place in longer} == {
        "air.pressure.differential"
    }
    assert len(longer) < 0.01 * len(batch)
    assert [there[place] for place in longer] == pytest.approx([wanted[place] for place in longer], rel=1e-12)
    # As hexadecimal digits a zero has its sign.
    changed = [place for place, value in wanted.items() if there[place].hex() != value.hex()]
    assert set(changed) <= longer


def test_a_wrong_path_refuses_no_line(metrics: Server) -> None:
    """It answers 400 to a path that it does not know: that is no fault of any line."""
    with pytest.raises(StoreUnavailable, match="see whether url, org and bucket are right"):
        stored(f"{metrics.url}/else", a_chunk([(0, T0_MS, 1.0)]))


def test_what_it_drops_without_a_word_is_refused(tmp_path: Path) -> None:
    """It answers 204 to lines beyond its retention; each of them is a dead letter, and nothing else is."""
    old_ms = T0_MS - 50 * 365 * DAY_MS
    rows = [(0, (old_ms if number < 37 else T0_MS) + number, float(number)) for number in range(500)]

    with victoria.victoria(tmp_path, retention="30y") as server:
        rejected = stored(server.url, a_chunk(rows))
        left = samples(server, "reading_value")

    assert len(rejected) == 37
    assert {rejection.detail.partition(",")[0] for rejection in rejected} == {
        "it answered that it stored this line"
    }
    assert sorted(value for values in left.values() for value in values) == list(range(37, 500))


def test_what_it_can_do_is_found_out(metrics: Server, tmp_path: Path) -> None:
    """It is known though it calls itself an InfluxDB, and so is whether it keeps what is sent twice once."""
    found = inspect(a_table(metrics.url), "")

    assert (found.kind, found.takes_writes, found.speaks_influxql) == (Kind.VICTORIA_METRICS, True, False)
    assert (found.overwrites, found.retention, found.works) == (True, "100y", True)
    with victoria.victoria(tmp_path, dedup="0s") as server:
        found = inspect(a_table(server.url), "")
    assert (found.overwrites, found.works) == (False, False)
    assert any("-dedup.minScrapeInterval=1ms" in note for note in found.notes)


def test_it_is_said_that_it_can_not_be_read(metrics: Server) -> None:
    """A history on it is an error that says why, and there is nothing to prepare in it."""
    history = InfluxHistory(a_table(metrics.url), str)

    with pytest.raises(StoreUnavailable, match="VictoriaMetrics answers no InfluxQL"):
        history.readings("Rack/RackPower/hall-1/r_1", 0, 2**60)
    history.close()
    assert set_up(a_table(metrics.url), "").tokens == {}
