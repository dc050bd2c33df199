"""Both generations of InfluxDB give back what the sink stored, and refuse what it says that they refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from facility.errors import StoreUnavailable
from facility.instants import DAY_MS, MINUTE_MS
from facility.points import Point
from facility.readings import Batch, Quality, Rejection
from facility.sitefile.tables import InfluxTable
from store.base import Chunk
from store.influx.history import InfluxHistory
from store.influx.sink import InfluxSink
from store.ledger.alarms import Alarm, AlarmChange
from store.means.means import Means
from store.retry import StoreBusy
from store.series import Health, RackDraw, TenantDraw
from testing.builders import T0_MS, a_batch, a_point
from testing.collector.decoded import recorded, simulated
from testing.servers.databases import GENERATIONS, Influx, influx

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("influx")]

LONG_GONE_MS = -315_619_200_000
"""1960, beyond what the bucket keeps."""
POINTS = {
    0: structs.replace(a_point("Rack/RackPower/hall-1/r_1", asset="r1", feed="A"), phase="L1"),
    1: structs.replace(
        a_point("CDU/LiquidTemperature/c.1", asset="c1", quantity="coolant.supply", unit="°C"),
        area=("Secondary", "Supply"),
    ),
}
ODD = (0.1, 1 / 3, -0.0, 5e-324, 1.7976931348623157e308, -1e15, 90.5, 4.0, 1e-7, 2**53 + 2.0)


@pytest.fixture(scope="module", params=GENERATIONS)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """Run an InfluxDB for the tests of this module."""
    with influx(str(request.param), tmp_path_factory.mktemp("influxd")) as found:
        yield found


def a_draw(tenant: str) -> TenantDraw:
    """Return a draw with some figures and without others."""
    return TenantDraw(
        tenant=tenant,
        low_milliwatts=180_000_000_001,
        best_milliwatts=181_000_000_000,
        high_milliwatts=None,
        limit_milliwatts=200_000_000_000,
        coverage=0.5,
        demand_kw=180_250.5,
        forecast_kw=None,
        block_limit_kw=None,
    )


def an_event() -> AlarmChange:
    """Return the opening of an alarm."""
    alarm = Alarm(
        id="1f2e",
        rule="C2",
        title="overdraw",
        subject="Q6 bus:PUB",
        severity="high",
        unit="kW",
        since_ms=T0_MS,
        opened_ms=T0_MS,
        value=210.5,
    )
    return AlarmChange(alarm=alarm, change="opened", at_ms=T0_MS)


def a_chunk(
    batch: Batch | None = None,
    points: dict[int, Point] | None = None,
    draws: Sequence[tuple[int, Sequence[TenantDraw]]] = (),
    changes: Sequence[AlarmChange] = (),
) -> Chunk:
    """Return a chunk of the points above."""
    batch = Batch.empty() if batch is None else batch
    known = POINTS if points is None else points
    return Chunk(first_seq=1, last_seq=2, batch=batch, points=known, draws=draws, changes=changes)


def stored(
    table: InfluxTable, token: str, *chunks: Chunk, is_squeezed: bool | None = None
) -> list[Rejection]:
    """Store chunks in a database and return what was refused; without any, only check it."""

    async def story() -> list[Rejection]:
        sink = InfluxSink(table, lambda: token, is_squeezed=is_squeezed)
        try:
            if not chunks:
                await sink.check()
            found = [rejection for chunk in chunks for rejection in await sink.store(chunk)]
            assert sink.doubt == ""
            return found
        finally:
            await sink.close()

    return asyncio.run(story())


@pytest.mark.parametrize("is_squeezed", [False, True])
def test_every_reading_comes_back_bit_for_bit(database: Influx, *, is_squeezed: bool) -> None:
    """Values, qualities, times and names come back as they were; twice stored is stored once."""
    values = [*ODD, np.nan]
    batch = a_batch([(number % 2, T0_MS + number, value) for number, value in enumerate(values)])
    batch = replace(batch, quality=np.array([0, 1, 3] * 3 + [0, Quality.NO_VALUE], np.uint8))
    chunks = (a_chunk(batch), a_chunk(batch))

    assert stored(database.table(), database.writer, *chunks, is_squeezed=is_squeezed) == []

    until = f"time >= {T0_MS}ms AND time < {T0_MS + 100}ms"
    rows = database.select(f"SELECT * FROM reading WHERE {until} ORDER BY time")  # noqa: S608 - our own words
    assert len(rows) == len(values)
    for number, row in enumerate(rows):
        point = POINTS[number % 2]
        assert (row["point"], row["asset"], row["quantity"]) == (point.key, point.asset, point.quantity)
        assert (row["feed"], row["phase"]) == ((point.feed, point.phase) if point.feed else (None, None))
        assert row["area"] == (".".join(point.area) or None)
        assert (row["time"], row["quality"] or 0) == (T0_MS + number, batch.quality[number])
        has_value = number < len(ODD)
        assert has_value == (row["value"] is not None)
        assert not has_value or np.float64(row["value"]).tobytes() == batch.value[number].tobytes()


def test_what_is_made_of_readings_comes_back(database: Influx) -> None:
    """Draws in megawatts, alarms, means, health: what nobody could tell is not there."""
    start = np.array([T0_MS // MINUTE_MS * MINUTE_MS])
    half, value = np.array([30_000]), np.array([2.5])
    means = Means(MINUTE_MS, np.array([0]), start, half, value / 2, value, value, value, np.array([1]))
    health = Health(at_ms=T0_MS, figures={"received": 5.0}, dead_lettered={"bad-json": 2})
    rack = RackDraw(
        rack="r1",
        tenant="acme",
        start_ms=T0_MS,
        mean_milliwatts=90_500_000,
        most_milliwatts=95_000_000,
        coverage=0.75,
    )
    chunk = a_chunk(draws=[(T0_MS, [a_draw("acme")])], changes=[an_event()])
    chunk = replace(chunk, means=[means], health=[health], rollups=[rack])

    assert stored(database.table(), database.writer, chunk) == []

    assert database.select("SELECT * FROM tenant_draw WHERE tenant = 'acme'") == [
        {
            "time": T0_MS,
            "tenant": "acme",
            "low_mw": 180.000000001,
            "best_mw": 181.0,
            "limit_mw": 200.0,
            "coverage": 0.5,
            "demand_mw": 180.2505,
        }
    ]
    assert database.select("SELECT * FROM alarm_event") == [
        {
            "time": T0_MS,
            "change": "opened",
            "id": "1f2e",
            "rule": "C2",
            "severity": "high",
            "subject": "Q6 bus:PUB",
            "unit": "kW",
            "value": 210.5,
        }
    ]
    (mean,) = database.select("SELECT mean, min, max, last, coverage FROM reading_1m")
    assert mean == {"time": start[0], "mean": 2.5, "min": 2.5, "max": 2.5, "last": 2.5, "coverage": 0.5}
    assert database.select("SELECT * FROM rack_draw_1m") == [
        {"time": T0_MS, "asset": "r1", "tenant": "acme", "mean_kw": 90.5, "most_kw": 95.0, "coverage": 0.75}
    ]
    assert database.select("SELECT * FROM pipeline") == [{"time": T0_MS, "received": 5.0}]
    assert database.select("SELECT * FROM dead_letters") == [
        {"time": T0_MS, "count": 2.0, "reason": "bad-json"}
    ]


def test_exactly_what_can_not_be_kept_is_refused(database: Influx) -> None:
    """Lines beyond the retention and lines whose field is of another type are found among the good ones."""
    earlier_ms = T0_MS - 10 * 365 * DAY_MS
    database.write(f"tenant_draw,tenant=x low_mw=5i {earlier_ms}")
    rows = [(0, LONG_GONE_MS if number in (7, 8, 150) else earlier_ms + number, 1.0) for number in range(200)]
    chunk = a_chunk(a_batch(rows), draws=[(earlier_ms, [a_draw("acme"), a_draw("other")])])

    rejected = stored(database.table(), database.writer, chunk)

    assert sorted(r.topic for r in rejected) == [
        *["Rack/RackPower/hall-1/r_1"] * 3,
        "tenant_draw,tenant=acme",
        "tenant_draw,tenant=other",
    ]
    assert {"retention" in r.detail or "field type conflict" in r.detail for r in rejected} == {True}
    until = f"time >= {earlier_ms}ms AND time < {earlier_ms + 1_000}ms"
    assert len(database.select(f"SELECT value FROM reading WHERE {until}")) == 197  # noqa: S608 - our own words


@pytest.mark.parametrize(
    ("changed", "token", "words"),
    [
        ({}, "wrong", "the token is not valid"),
        ({}, "wrong:password", "the token is not valid"),
        ({"bucket": "nowhere"}, "", "bucket 'nowhere'"),
        ({"bucket": "readings/nowhere"}, "", "bucket 'readings/nowhere'"),
        ({"org": "nobody"}, "", "organisation 'nobody'"),
        ({"org": ""}, "", "url, org and bucket"),
    ],
    ids=["token", "password", "bucket", "policy", "org", "no-org"],
)
def test_what_somebody_must_put_right_is_said(
    database: Influx, changed: dict[str, str], token: str, words: str
) -> None:
    """A check finds what would keep every chunk out, and says what to do."""
    if database.generation == 1 and "org" in changed:
        pytest.skip("InfluxDB 1 has no organisations")

    with pytest.raises(StoreUnavailable) as caught:
        stored(database.table(**changed), token or database.writer)

    assert words in caught.value.cause
    assert not isinstance(caught.value, StoreBusy)


def test_a_token_that_may_only_read_is_found_before_anything_is_written(database: Influx) -> None:
    """A check proves that the token may write, by a write of nothing."""
    with pytest.raises(StoreUnavailable, match="may not write to bucket 'readings'"):
        stored(database.table(), database.reader)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: recorded(T0_MS + DAY_MS, repeats=3), id="the-recording"),
        pytest.param(lambda: simulated(T0_MS + 2 * DAY_MS, 3_600), id="an-hour-of-a-site"),
    ],
)
def test_all_of_a_bus_is_read_back_equal(database: Influx, make: Callable[[], Chunk]) -> None:
    """Every reading of NVIDIA's recording, and of an hour of a simulated site, is there, bit for bit."""
    chunk = make()

    assert stored(database.table(), database.writer, chunk) == []

    span = (int(chunk.batch.source_ms.min()), int(chunk.batch.source_ms.max()) + 1)
    with closing(InfluxHistory(database.table(), lambda: database.reader)) as history:
        for number, point in chunk.points.items():
            wanted = chunk.batch.take(chunk.batch.point == number)
            wanted = wanted.take(np.argsort(wanted.source_ms, kind="stable"))
            if len(wanted):
                found = history.readings(point.key, *span)
                assert found.time_ms.tolist() == wanted.source_ms.tolist()
                assert found.value.tobytes() == wanted.value.tobytes()
                assert found.quality.tolist() == wanted.quality.tolist()
                assert found.unit == point.shown_unit
