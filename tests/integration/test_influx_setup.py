"""Preparing an InfluxDB of either generation: once, again, and for no less time than before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from facility.errors import StoreUnavailable
from facility.sitefile.tables import InfluxTable
from store.base import Chunk
from store.influx.history import InfluxHistory
from store.influx.lineprotocol import Kept
from store.influx.server import Kind, inspect
from store.influx.setup import READER, WRITER, Setup, set_up
from store.influx.sink import InfluxSink
from store.means.means import QUARTER_MS, STEPS_MS, Means
from testing.builders import T0_MS, a_batch, a_point
from testing.servers.databases import GENERATIONS, Influx, influx

pytestmark = pytest.mark.servers

DAY_S = 86_400
FOR_EVER = dict.fromkeys(Kept, 0)
KINDS = {1: Kind.INFLUXDB_1, 2: Kind.INFLUXDB_2}


@pytest.fixture(scope="module", params=GENERATIONS)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """Run an InfluxDB for the tests of this module; each uses a bucket of its own."""
    with influx(str(request.param), tmp_path_factory.mktemp("influxd")) as found:
        yield found


def done(setup: Setup, verb: str) -> list[str]:
    """Return the steps that begin so."""
    return [step for step in setup.steps if step.startswith(verb)]


def test_it_can_be_run_again(database: Influx) -> None:
    """The first run makes everything, the second one finds everything and shows no token."""
    table = database.table(bucket="again")

    first, second = set_up(table, database.token), set_up(table, database.token)

    assert first.tokens.keys() == {WRITER, READER}
    assert second.tokens == {}
    assert done(second, "made") == done(second, "replaced") == []
    found = inspect(table, first.tokens[WRITER])
    assert found.kind is KINDS[database.generation]
    assert found.works
    assert found.speaks_influxql
    assert found.retention.startswith("720h")
    assert dict(found.buckets) == {
        Kept.DAYS: "again",
        Kept.MONTHS: "again/minute",
        Kept.YEARS: "again/quarter",
    }
    assert found.notes == ()


def test_tokens_may_do_what_they_are_for_and_no_more(database: Influx) -> None:
    """The reader cannot write, and neither can prepare anything."""
    table = database.table(bucket="least")
    tokens = set_up(table, database.token, renews_tokens=True).tokens

    reader = inspect(table, tokens[READER])

    assert (reader.takes_writes, reader.answers_queries, reader.works) == (False, True, False)
    for token in tokens.values():
        with pytest.raises(StoreUnavailable, match=r"expected to be let do|may not see it"):
            set_up(database.table(bucket="other"), token)


def test_renewed_tokens_replace_the_old(database: Influx) -> None:
    """An old token opens nothing once it was replaced."""
    table = database.table(bucket="renewed")
    old = set_up(table, database.token, renews_tokens=True).tokens

    new = set_up(table, database.token, renews_tokens=True).tokens

    assert all(old[name] != new[name] for name in (WRITER, READER))
    assert inspect(table, new[WRITER]).works
    assert not inspect(table, old[WRITER]).takes_writes


def test_nothing_is_kept_for_less_than_before(database: Influx) -> None:
    """A retention that is too short becomes longer, and a longer one stays."""
    table = database.table(bucket="kept")
    days = {Kept.DAYS: 10 * DAY_S, Kept.MONTHS: 20 * DAY_S, Kept.YEARS: 0}

    set_up(table, database.token, retentions_s=days)
    longer = set_up(table, database.token, retentions_s={**days, Kept.DAYS: 30 * DAY_S, Kept.MONTHS: 0})
    shorter = set_up(table, database.token, retentions_s=dict.fromkeys(Kept, 5 * DAY_S))

    assert sum("kept 10 days; it keeps 30 days now" in step for step in longer.steps) == 1
    assert sum("kept 20 days; it keeps for ever now" in step for step in longer.steps) == 1
    assert sum("is there, and keeps" in step for step in shorter.steps) == 3
    assert inspect(table, database.token).retention.startswith("720h")


def test_means_go_where_they_are_kept_for_long(database: Influx) -> None:
    """Before it was run they are kept with the readings; afterwards apart; and both are read."""
    table = database.table(bucket="apart")
    if database.generation == 2:
        make_bucket(database, "apart")
    else:
        database.select("CREATE DATABASE apart")

    store(table, database.token, T0_MS)
    note = inspect(table, database.token).notes
    tokens = set_up(table, database.token, retentions_s=FOR_EVER, renews_tokens=True).tokens
    store(table, tokens[WRITER], T0_MS + 10 * QUARTER_MS)

    assert any("`megawatch influx init` makes them" in text for text in note)
    with closing(InfluxHistory(table, lambda: tokens[READER])) as history:
        start = T0_MS // QUARTER_MS * QUARTER_MS
        found = history.means("Rack/RackPower/r1", start, start + 20 * QUARTER_MS, QUARTER_MS)
    assert found.time_ms.tolist() == [start, start + 10 * QUARTER_MS]
    assert found.value.tolist() == [7.0, 7.0]
    for policy, measurement in (("minute", "reading_1m"), ("quarter", "reading_15m"), ("quarter", "point")):
        token = tokens[READER]
        assert count(table, token, f'"{policy}"."{measurement}"') == 1
        assert count(table, token, f'"{measurement}"') == 1


def store(table: InfluxTable, token: str, at_ms: int) -> None:
    """Store a reading and the means of its steps."""
    value, one, zero = np.array([7.0]), np.array([1]), np.array([0])
    means = [
        Means(step, zero, one * (at_ms // step * step), one * step, value, value, value, value, one)
        for step in STEPS_MS
    ]
    chunk = Chunk(
        first_seq=1, last_seq=2, batch=a_batch([(0, at_ms, 7.0)]), points={0: a_point()}, means=means
    )

    async def story() -> None:
        sink = InfluxSink(table, lambda: token)
        assert not await sink.store(chunk)
        await sink.close()

    asyncio.run(story())


def make_bucket(database: Influx, bucket: str) -> None:
    """Make a bucket by hand."""
    headers = {"Authorization": f"Token {database.token}"}
    _, body = database.server.request("GET", "/api/v2/orgs", headers=headers)
    wanted = {"orgID": json.loads(body)["orgs"][0]["id"], "name": bucket}
    status, body = database.server.request(
        "POST", "/api/v2/buckets", body=json.dumps(wanted), headers=headers
    )
    assert status == 201, body


def count(table: InfluxTable, token: str, source: str) -> int:
    """Return how many rows a measurement has."""
    history = InfluxHistory(table, lambda: token)
    try:
        question = f"SELECT * FROM {source}"  # noqa: S608 - a test's own words
        return sum(1 for _ in history._query.texts([question], {}))
    finally:
        history.close()


@pytest.mark.parametrize("bucket", ["a/b", 'x"y', "", "a b", "x;y"])
def test_a_bucket_has_a_plain_name(database: Influx, bucket: str) -> None:
    """What could be read as more than a name is refused before anything is asked."""
    with pytest.raises(StoreUnavailable, match="expected a bucket of letters, digits"):
        set_up(database.table(bucket=bucket), database.token)


def test_what_is_missing_is_said(database: Influx) -> None:
    """A wrong token, and an organisation that is not there, are errors that say so."""
    with pytest.raises(StoreUnavailable, match="expected to be let do"):
        set_up(database.table(bucket="x"), "wrong" if database.generation == 2 else "admin:wrong")
    if database.generation == 2:
        with pytest.raises(StoreUnavailable, match="organisation 'nobody' is not there"):
            set_up(database.table(org="nobody"), database.token)


def test_a_database_that_is_away_is_said(database: Influx) -> None:
    """Nothing answers: that is an error, whoever asks."""
    table = database.table(url="http://127.0.0.1:1")

    for ask in (inspect, set_up):
        with pytest.raises(StoreUnavailable, match="Connection refused"):
            ask(table, database.token)
