"""What Telegraf stores is what the journal gets: each reading once, live and over the past, late ones too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from facility.feedrule import FeedRule
from facility.readings import Batch
from store.influx.feed import OVERLAP_MS, InfluxFeed
from store.influx.query import InfluxQuery
from store.journal.entries import Known
from store.journal.intake import Intake
from store.journal.journal import Journal
from testing.builders import T0_MS
from testing.servers.databases import GENERATIONS, Influx, influx

pytestmark = pytest.mark.servers

RULES = (
    FeedRule(
        measurement="mqtt_consumer",
        field="power_w",
        tag="topic",
        asset="dc/titan/([^/]+)/meter",
        quantity="rack.power.active",
        unit="W",
    ),
    FeedRule(
        measurement="mqtt_consumer",
        field="inlet_f",
        tag="topic",
        asset="dc/titan/([^/]+)/meter",
        quantity="air.inlet",
        unit="°F",
    ),
)


@pytest.fixture(scope="module", params=GENERATIONS)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """Run an InfluxDB for the tests of this module; each has days of its own."""
    with influx(str(request.param), tmp_path_factory.mktemp("influxd")) as found:
        yield found


def telegraf(rack: str, at_ms: int, power_w: float, inlet_f: float | None = None) -> str:
    """Return a line as Telegraf's `mqtt_consumer` with `json_v2` writes it."""
    fields = f"power_w={power_w}" + ("" if inlet_f is None else f",inlet_f={inlet_f}")
    return f"mqtt_consumer,host=collector-1,topic=dc/titan/{rack}/meter {fields} {at_ms}"


def a_feed(database: Influx, known: dict[int, Known] | None = None) -> tuple[InfluxFeed, InfluxQuery]:
    """Return a feed as it is after a start."""
    query = InfluxQuery(database.table(), lambda: database.reader)
    return InfluxFeed(query, RULES, "influxdb", known or {}), query


def rows_of(intake: Intake, keys: dict[int, str]) -> list[tuple[str, int, float]]:
    """Return key, time and value of each reading."""
    keys.update((known.id, known.point.key) for known in intake.known)
    batch = intake.batch
    return [
        (keys[point], at_ms, value)
        for point, at_ms, value in zip(
            batch.point.tolist(), batch.source_ms.tolist(), batch.value.tolist(), strict=True
        )
    ]


def test_each_reading_comes_once_in_canonical_units(database: Influx) -> None:
    """Polls overlap, so that what is stored late comes too, and what came before does not come again."""
    feed, query = a_feed(database)
    keys: dict[int, str] = {}
    found = []
    with closing(query):
        for second in range(0, 60, 5):
            at_ms = T0_MS + second * 1_000
            lines = [telegraf("r1", at_ms, 90_500.0 + second, 68.0), telegraf("r2", at_ms + 1, 5_000.0)]
            if second:
                # What Telegraf held back comes a poll later.
                lines.append(telegraf("r3", at_ms - 5_000, 1_000.0))
            database.write("\n".join(lines))
            intake = feed.poll(at_ms + 1_000, 60_000)
            found += rows_of(intake, keys)
            assert intake.received_ms == at_ms + 1_000
            # A line's time is when whoever stored it had it.
            assert intake.batch.received_ms.tolist() == intake.batch.source_ms.tolist()

    power = "mqtt_consumer/power_w"
    wanted = [(f"{power}/r1", T0_MS + s * 1_000, (90_500.0 + s) / 1_000) for s in range(0, 60, 5)]
    wanted += [(f"{power}/r2", T0_MS + s * 1_000 + 1, 5.0) for s in range(0, 60, 5)]
    wanted += [(f"{power}/r3", T0_MS + s * 1_000, 1.0) for s in range(0, 55, 5)]
    wanted += [("mqtt_consumer/inlet_f/r1", T0_MS + s * 1_000, 20.0) for s in range(0, 60, 5)]
    found, wanted = sorted(found), sorted(wanted)
    assert [row[:2] for row in found] == [row[:2] for row in wanted]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in wanted])


def test_the_past_is_what_was_stored_then(database: Influx, tmp_path: Path) -> None:
    """Spans of the past go into a journal like what a broker brought; a restart numbers points the same."""
    start = T0_MS + 86_400_000
    lines = [telegraf("r1", start + n * 1_000, 1_000.0 * n, 50.0 + n) for n in range(100)]
    database.write("\n".join(lines))
    journal = Journal(tmp_path)
    for begin in range(0, 100, 25):
        feed, query = a_feed(database, journal.known())
        with closing(query):
            intake = feed.past(start + begin * 1_000, start + (begin + 25) * 1_000)
        journal.append(intake, intake.received_ms)

    batches = [entry.content for entry in journal.read(0) if isinstance(entry.content, Batch)]
    batch = Batch.concatenate(batches)
    known = journal.known()
    journal.close()

    assert sorted(one.point.key for one in known.values()) == [
        "mqtt_consumer/inlet_f/r1",
        "mqtt_consumer/power_w/r1",
    ]
    power = next(number for number, one in known.items() if one.point.quantity == "rack.power.active")
    mine = batch.take(batch.point == power)
    assert mine.source_ms.tolist() == mine.received_ms.tolist() == [start + n * 1_000 for n in range(100)]
    assert mine.value.tolist() == [float(n) for n in range(100)]
    assert len(batch) == 200


def test_a_tag_that_names_no_asset_is_told_once(database: Influx) -> None:
    """What is no rack of ours is a dead letter, not an endless stream of them; any text is an id."""
    start = T0_MS + 2 * 86_400_000
    database.write(telegraf("a,b".replace(",", "\\,"), start, 1.0) + "\n" + telegraf("r1", start, 2.0))
    database.write(f"mqtt_consumer,host=x power_w=3 {start}")
    feed, query = a_feed(database)
    with closing(query):
        first, second = feed.poll(start, 1_000), feed.poll(start + 1_000, 1_000)

    power = [letter for letter in first.rejections if letter.topic == "mqtt_consumer/power_w"]
    assert [letter.payload for letter in power] == [b""]
    assert {letter.reason.value for letter in power} == {"bad-name"}
    assert second.rejections == []
    assert {known.point.asset for known in first.known} >= {"a~2Cb", "r1"}
    assert sorted(first.batch.value.tolist()) == [0.001, 0.002]
    assert len(second.batch) == 0


def test_a_reading_from_the_future_hides_none(database: Influx) -> None:
    """A clock that runs ahead does not make later polls begin after what is still to come."""
    start = T0_MS + 3 * 86_400_000
    ahead_ms = OVERLAP_MS - 1_000
    feed, query = a_feed(database)
    keys: dict[int, str] = {}
    with closing(query):
        database.write(telegraf("r1", start + ahead_ms, 1.0))
        found = rows_of(feed.poll(start, 1_000), keys)
        for second in range(0, 90, 10):
            database.write(telegraf("r1", start + second * 1_000 + 5, float(second)))
            found += rows_of(feed.poll(start + second * 1_000 + 6, 1_000), keys)

    assert len(found) == 10


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (replace(RULES[0], measurement='x"; DROP DATABASE readings; --'), "measurement: expected letters"),
        (replace(RULES[0], field="a'b"), "field: expected letters"),
        (replace(RULES[0], tag=""), "tag: expected letters"),
        (replace(RULES[0], asset="no-group"), "asset: expected a group in brackets"),
        (replace(RULES[0], asset="("), "asset: expected a regular expression"),
        (replace(RULES[0], quantity="power"), "quantity: expected one that is known"),
        (replace(RULES[0], unit="°C"), "unit: expected one of rack.power.active, such as kW"),
    ],
)
def test_a_rule_that_is_none_is_refused(rule: FeedRule, words: str, database: Influx) -> None:
    """Names stand in questions as they are, so they are checked before anything is asked."""
    rules: Sequence[FeedRule] = [RULES[0], rule]
    query = InfluxQuery(database.table(), lambda: database.reader)
    with closing(query), pytest.raises(ValueError, match=words):
        InfluxFeed(query, rules, "influxdb", {})
