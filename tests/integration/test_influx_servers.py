"""Real databases give back what the sink stored, and refuse what it says that they refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from facility.errors import StoreUnavailable
from facility.points import Point
from facility.readings import Batch, Quality, Rejection
from facility.sitetables import InfluxTable
from store.alarms import Alarm, AlarmChange
from store.base import Chunk
from store.influx import InfluxBusy, InfluxSink
from store.series import TenantDraw
from tests.builders import T0_MS, a_batch, a_point
from tests.servers import influxd, victoria
from tests.servers.victoria import Server

pytestmark = pytest.mark.servers

needs_influxd = pytest.mark.skipif(
    influxd.PROGRAM is None, reason="needs influxd on the PATH, or its path in MEGAWATCH_INFLUXD"
)
needs_victoria = pytest.mark.skipif(victoria.PROGRAM is None, reason="needs victoria-metrics on the PATH")

LONG_GONE_MS = -315_619_200_000
"""1960, beyond what the bucket keeps."""
POINTS = {
    0: replace(a_point("Rack/RackPower/hall-1/r_1", asset="r1", feed="A"), phase="L1"),
    1: replace(
        a_point("CDU/LiquidTemperature/c.1", asset="c1", quantity="coolant.supply", unit="°C"),
        area=("Secondary", "Supply"),
    ),
}
ODD = (0.1, 1 / 3, -0.0, 5e-324, 1.7976931348623157e308, -1e15, 90.5, 4.0, 1e-7, 2**53 + 2.0)


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run an InfluxDB 2 for the tests of this module."""
    with influxd.influxd(tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a VictoriaMetrics for the tests of this module."""
    with victoria.victoria(tmp_path_factory.mktemp("victoria")) as server:
        yield server


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
        subject="bus:PUB",
        severity="high",
        unit="kW",
        since_ms=T0_MS,
        opened_ms=T0_MS,
        value=210.5,
    )
    return AlarmChange(alarm=alarm, change="opened", at_ms=T0_MS)


def a_chunk(
    batch: Batch,
    points: dict[int, Point] | None = None,
    draws: Sequence[tuple[int, Sequence[TenantDraw]]] = (),
    changes: Sequence[AlarmChange] = (),
) -> Chunk:
    """Return a chunk of the points above."""
    known = POINTS if points is None else points
    return Chunk(first_seq=1, last_seq=2, batch=batch, points=known, draws=draws, changes=changes)


def stored(
    url: str,
    *chunks: Chunk,
    org: str = influxd.ORG,
    bucket: str = influxd.BUCKET,
    token: str = influxd.TOKEN,
) -> list[Rejection]:
    """Store chunks in a database and return what was refused; without any, only check it."""

    async def story() -> list[Rejection]:
        table = InfluxTable.model_validate({"url": url, "org": org, "bucket": bucket})
        sink = InfluxSink(table, lambda: token)
        try:
            if not chunks:
                await sink.check()
            return [rejection for chunk in chunks for rejection in await sink.store(chunk)]
        finally:
            await sink.close()

    return asyncio.run(story())


@needs_influxd
def test_influxdb_gives_every_reading_back_bit_for_bit(influx: Server) -> None:
    """Values, qualities, times and names come back as they were; twice stored is stored once."""
    values = [*ODD, np.nan]
    batch = a_batch([(number % 2, T0_MS + number, value) for number, value in enumerate(values)])
    batch = replace(batch, quality=np.array([0, 1, 3] * 3 + [0, Quality.NO_VALUE], np.uint8))

    assert stored(influx.url, a_chunk(batch), a_chunk(batch)) == []

    rows = influxd.select(influx, "SELECT * FROM reading ORDER BY time")
    assert len(rows) == len(values)
    for number, row in enumerate(rows):
        point = POINTS[number % 2]
        assert (row["point"], row["asset"], row["quantity"]) == (point.key, point.asset, point.quantity)
        assert (row["feed"], row["phase"]) == ((point.feed, point.phase) if point.feed else (None, None))
        assert row["area"] == (".".join(point.area) or None)
        assert (row["time"], row["quality"]) == (T0_MS + number, batch.quality[number])
        has_value = number < len(ODD)
        assert row["received_lag_ms"] == (5.0 if has_value else None)
        assert has_value == (row["value"] is not None)
        assert not has_value or np.float64(row["value"]).tobytes() == batch.value[number].tobytes()


@needs_influxd
def test_influxdb_gives_draws_and_alarms_back(influx: Server) -> None:
    """The engine's series come back in megawatts, and what nobody could tell is not there."""
    chunk = a_chunk(Batch.empty(), draws=[(T0_MS, [a_draw("acme")])], changes=[an_event()])

    assert stored(influx.url, chunk) == []

    (draw,) = influxd.select(influx, "SELECT * FROM tenant_draw")
    assert draw == {
        "time": T0_MS,
        "tenant": "acme",
        "low_mw": 180.000000001,
        "best_mw": 181.0,
        "limit_mw": 200.0,
        "coverage": 0.5,
        "demand_mw": 180.2505,
    }
    (event,) = influxd.select(influx, "SELECT * FROM alarm_event")
    assert event == {
        "time": T0_MS,
        "change": "opened",
        "id": "1f2e",
        "rule": "C2",
        "severity": "high",
        "subject": "bus:PUB",
        "value": 210.5,
    }


@needs_influxd
def test_influxdb_refuses_exactly_what_it_can_not_keep(influx: Server) -> None:
    """Lines beyond the retention and lines whose field is of another type are found among the good ones."""
    earlier_ms = T0_MS - 10 * 365 * 86_400_000
    influxd.write(influx, f"tenant_draw,tenant=x low_mw=5i {earlier_ms}")
    rows = [(0, LONG_GONE_MS if number in (7, 8, 150) else earlier_ms + number, 1.0) for number in range(200)]
    chunk = a_chunk(a_batch(rows), draws=[(earlier_ms, [a_draw("acme"), a_draw("other")])])

    rejected = stored(influx.url, chunk)

    assert sorted(r.topic for r in rejected) == [
        *["Rack/RackPower/hall-1/r_1"] * 3,
        "tenant_draw,tenant=acme",
        "tenant_draw,tenant=other",
    ]
    assert {"retention" in r.detail or "field type conflict" in r.detail for r in rejected} == {True}
    until_ms = earlier_ms + 1_000
    query = f"SELECT value FROM reading WHERE time >= {earlier_ms}ms AND time < {until_ms}ms"  # noqa: S608
    assert len(influxd.select(influx, query)) == 197


@needs_influxd
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"token": "wrong"}, "the token is not valid"),
        ({"bucket": "nowhere"}, "bucket 'nowhere'"),
        ({"org": "nobody"}, "organisation 'nobody'"),
        ({"org": ""}, "url, org and bucket"),
    ],
    ids=["token", "bucket", "org", "no-org"],
)
def test_influxdb_says_what_somebody_must_put_right(
    influx: Server, changed: dict[str, str], words: str
) -> None:
    """A check finds what would keep every chunk out, and says what to do."""
    with pytest.raises(StoreUnavailable) as caught:
        stored(influx.url, **changed)

    assert words in caught.value.cause
    assert not isinstance(caught.value, InfluxBusy)


@needs_influxd
def test_a_token_that_may_only_read_is_found_before_anything_is_written(influx: Server) -> None:
    """A check proves that the token may write, by a write of nothing."""
    with pytest.raises(StoreUnavailable, match="may not write to bucket 'readings'"):
        stored(influx.url, token=influxd.make_token(influx))


def samples(server: Server, name: str) -> dict[tuple[str, int], list[float]]:
    """Return the values of a series in a VictoriaMetrics by point and time, each as often as it is there."""
    found: dict[tuple[str, int], list[float]] = {}
    for series in victoria.export(server, f'{{__name__="{name}"}}'):
        for at_ms, value in zip(series["timestamps"], series["values"], strict=True):
            found.setdefault((_place(series["metric"]), at_ms), []).append(value)
    return found


def _place(metric: dict[str, Any]) -> str:
    return ",".join(f"{name}={metric[name]}" for name in sorted(metric) if name != "__name__")


@needs_victoria
def test_victoriametrics_gives_every_reading_back(metrics: Server) -> None:
    """Names and times come back as they were, values to twelve digits; twice stored is stored once."""
    rows = [(number % 2, T0_MS + number, number * 1.25) for number in range(6_000)]
    chunk = a_chunk(a_batch(rows))

    assert stored(metrics.url, chunk, a_chunk(a_batch(rows))) == []

    rack = "asset=r1,feed=A,phase=L1,point=Rack/RackPower/hall-1/r_1,quantity=rack.power.active"
    coolant = "area=Secondary.Supply,asset=c1,point=CDU/LiquidTemperature/c.1,quantity=coolant.supply"
    expected = {((rack, coolant)[number], at_ms): [value] for number, at_ms, value in rows}
    assert samples(metrics, "reading_value") == expected
    assert samples(metrics, "reading_received_lag_ms") == {place: [5] for place in expected}


@needs_victoria
def test_victoriametrics_with_a_wrong_path_refuses_no_line(metrics: Server) -> None:
    """It answers 400 to a path that it does not know: that is no fault of any line."""
    with pytest.raises(StoreUnavailable, match="see whether url, org and bucket are right"):
        stored(f"{metrics.url}/else", a_chunk(a_batch([(0, T0_MS, 1.0)])))
