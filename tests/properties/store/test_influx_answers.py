"""Whatever a database answers, it is read, refused, or unavailable: nothing else comes out of a poll."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.errors import StoreUnavailable
from facility.feedrule import FeedRule
from facility.sitefile.tables import InfluxTable
from store.influx.feed import InfluxFeed
from store.influx.query import InfluxQuery
from store.influx.requests import Http, Reply
from testing.builders import T0_MS

RULE = FeedRule(measurement="pdu", field="power", tag="rack", quantity="rack.power.active", unit="W")
TABLE = InfluxTable(url="http://db:8086", bucket="plant")

CELLS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
JSON = st.recursive(
    CELLS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NEARLY_SERIES = st.fixed_dictionaries(
    {},
    optional={
        "columns": st.just(["time", "power"]) | JSON,
        "tags": st.just({"rack": "a1"}) | st.dictionaries(st.text(max_size=3), st.text(max_size=3)) | JSON,
        "values": st.lists(st.tuples(st.just(T0_MS) | CELLS, CELLS), max_size=3) | JSON,
        "partial": st.booleans(),
    },
)
NEARLY_ANSWERS = st.fixed_dictionaries(
    {
        "results": st.lists(
            st.fixed_dictionaries({"series": st.lists(NEARLY_SERIES, max_size=2) | JSON}), max_size=2
        )
    }
)


class Scripted(Http):
    """A way to a database that answers everything with one body."""

    def __init__(self, body: bytes, *, policies: bytes | None) -> None:
        super().__init__("http://db:8086")
        self._body = body
        self._policies = policies

    def request(self, method: str, path: str, **more: Any) -> Reply:  # noqa: ANN401 - what a request takes
        """Answer: as an InfluxDB 1 says of itself; its policies; or the body."""
        if path == "/ping":
            return Reply(204, {"x-influxdb-version": "1.8.10"}, b"")
        if method == "POST" and "SHOW" in more["query"]["q"] and self._policies is not None:
            return Reply(200, {}, self._policies)
        return Reply(200, {}, self._body)


POLICIES = json.dumps({"results": [{"series": [{"columns": ["name"], "values": [["autogen"]]}]}]}).encode()


def polled(body: bytes, policies: bytes | None) -> None:
    """Poll twice a database that answers so."""
    query = InfluxQuery(TABLE, lambda: "")
    query._http = Scripted(body, policies=policies)
    feed = InfluxFeed(query, [RULE], "influxdb", {})
    for second in range(2):
        try:
            intake = feed.poll(T0_MS + second * 1_000, 60_000)
        except StoreUnavailable:
            continue
        assert len(intake.batch.value) == len(intake.batch)


@given(answer=NEARLY_ANSWERS | JSON, knows_policies=st.booleans())
def test_any_answer_is_read_or_is_no_answer(answer: object, *, knows_policies: bool) -> None:
    """JSON of any kind and nearly right answers end no monitor."""
    polled(json.dumps(answer).encode(), POLICIES if knows_policies else None)


@given(body=st.binary(max_size=60))
def test_any_bytes_are_read_or_are_no_answer(body: bytes) -> None:
    """So do bytes that are no JSON."""
    polled(body, POLICIES)


@pytest.mark.parametrize("depth", [100_000])
def test_an_answer_that_nests_too_deeply_is_no_answer(depth: int) -> None:
    """A parser has no room for it."""
    polled(b"[" * depth, POLICIES)
