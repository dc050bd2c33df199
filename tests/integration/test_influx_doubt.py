"""What an InfluxDB holds and cannot be believed: several series of a point, and what is no number."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from facility.feedrule import FeedRule
from facility.readings import Quality, Reason
from store.influx.feed import REMEMBER_MS, InfluxFeed
from store.influx.query import InfluxQuery
from store.influx.server import inspect
from store.journal.intake import Intake
from testing.builders import T0_MS
from testing.megawatch.asking import asking
from testing.megawatch.monitoring import watching
from testing.servers.databases import GENERATIONS, Influx, influx

pytestmark = pytest.mark.servers

RULE = FeedRule(measurement="pdu", field="power", tag="rack", quantity="rack.power.active", unit="W")
PHASES = {"L1": 30_000, "L2": 32_000, "L3": 33_000}


@pytest.fixture(scope="module", params=GENERATIONS)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """Run an InfluxDB for the tests of this module; each has a measurement of its own."""
    with influx(str(request.param), tmp_path_factory.mktemp("influxd")) as found:
        yield found


@pytest.fixture(scope="module")
def query(database: Influx) -> Iterator[InfluxQuery]:
    """Open the way to it, and close it in the end."""
    with closing(InfluxQuery(database.table(), lambda: database.reader)) as found:
        yield found


def a_feed(query: InfluxQuery, *rules: FeedRule) -> InfluxFeed:
    """Return a feed as it is after a start."""
    return InfluxFeed(query, rules, "influxdb", {})


def phases(measurement: str, at_ms: int, *which: str) -> str:
    """Return a line of each phase of a rack."""
    return "\n".join(
        f"{measurement},rack=a1,phase={phase} power={PHASES[phase]} {at_ms}" for phase in which or PHASES
    )


def told(intake: Intake) -> list[tuple[float | None, Quality]]:
    """Return value and quality of each row."""
    return [
        (None if value != value else value, Quality(quality))  # noqa: PLR0124 - NaN
        for value, quality in zip(intake.batch.value.tolist(), intake.batch.quality.tolist(), strict=True)
    ]


DOUBT = (None, Quality.REFUSED)


def test_phases_of_a_rack_are_a_doubt_and_no_reading(database: Influx, query: InfluxQuery) -> None:
    """Each is a dead letter that says which series there are; the point is in doubt, and stays so."""
    rule = replace(RULE, measurement="phases")
    database.write(phases("phases", T0_MS))
    feed = a_feed(query, rule)
    first = feed.poll(T0_MS + 1_000, 60_000)
    database.write(phases("phases", T0_MS + 60_000, "L1"))
    alone = feed.poll(T0_MS + 61_000, 60_000)
    restarted = a_feed(query, rule).poll(T0_MS + 61_000, 30_000)

    assert told(first) == [DOUBT] * 3
    assert {letter.reason for letter in first.rejections} == {Reason.IDENTITY_CONFLICT}
    assert sorted(letter.payload for letter in first.rejections) == [b"30.0", b"32.0", b"33.0"]
    detail = first.rejections[0].detail
    assert "one series of rack.power.active of a1, found 3 of phases.power (phase=L1; " in detail
    assert "where = { tag = 'value' }" in detail
    assert told(alone) == told(restarted) == [DOUBT]


def test_a_series_that_has_gone_is_remembered_for_a_day(database: Influx, query: InfluxQuery) -> None:
    """Then the one that is left is the point; so is the one that the site file names, at once."""
    rule = replace(RULE, measurement="gone")
    database.write(phases("gone", T0_MS, "L1", "L2"))
    late_ms = T0_MS + REMEMBER_MS + 60_000
    database.write(phases("gone", late_ms, "L1"))
    named = a_feed(query, replace(rule, where={"phase": "L2"})).poll(T0_MS + 1_000, 60_000)
    left = a_feed(query, rule).poll(late_ms + 1_000, 60_000)

    assert told(named) == [(32.0, Quality.GOOD)]
    assert told(left) == [(30.0, Quality.GOOD)]


def test_two_measurements_of_one_quantity_are_a_doubt(database: Influx, query: InfluxQuery) -> None:
    """Whichever rule found them: two sources of one point exclude each other; two power feeds do not."""
    rules = [replace(RULE, measurement=name) for name in ("one", "other")]
    database.write(f"one,rack=a1 power=50000 {T0_MS}\nother,rack=a1 power=90000 {T0_MS}")
    both = a_feed(query, *rules).poll(T0_MS + 1_000, 60_000)
    feeds = [
        replace(RULE, measurement="sides", where={"side": side}, power_feed=side, quantity="current")
        for side in ("A", "B")
    ]
    feeds = [replace(rule, unit="A") for rule in feeds]
    database.write(f"sides,rack=a1,side=A power=5 {T0_MS}\nsides,rack=a1,side=B power=9 {T0_MS}")
    apart = a_feed(query, *feeds).poll(T0_MS + 1_000, 60_000)

    assert told(both) == [DOUBT] * 2
    assert "found 2 of one.power, other.power" in both.rejections[0].detail
    assert sorted(told(apart)) == [(5.0, Quality.GOOD), (9.0, Quality.GOOD)]
    assert [known.point.key for known in apart.known] == [f"sides/power/a1/current/{side}" for side in "AB"]


@pytest.mark.parametrize(
    ("cell", "payload", "words"),
    [
        ('"unavailable"', b'"unavailable"', 'found the text "unavailable"'),
        ("true", b"true", "found the truth value true"),
    ],
    ids=["text", "boolean"],
)
def test_what_is_no_number_is_a_dead_letter_and_a_doubt(
    database: Influx, query: InfluxQuery, cell: str, payload: bytes, words: str
) -> None:
    """It neither ends the monitor nor counts as 1 kW, and it is told once."""
    name = f"cell_{len(cell)}"
    feed = a_feed(query, replace(RULE, measurement=name))
    database.write(f"{name},rack=a1 power={cell} {T0_MS}")
    intake, again = feed.poll(T0_MS + 1_000, 60_000), feed.poll(T0_MS + 2_000, 60_000)

    assert told(intake) == [DOUBT]
    (letter,) = intake.rejections
    assert (letter.reason, letter.payload, letter.topic) == (Reason.WRONG_TYPE, payload, f"{name}/power")
    assert words in letter.detail
    assert (told(again), again.rejections) == ([], [])


SITE = """
[site]
name = "fed"
rack_rating_kw = 100
[rules]
source = "influxdb"
[influxdb]
url = "{url}"
org = "titan"
bucket = "readings"
token_file = "token"
[[influxdb.series]]
measurement = "{measurement}"
field = "power"
tag = "rack"
quantity = "rack.power.active"
unit = "W"
"""


def test_check_live_reads_what_is_stored(
    database: Influx, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several series, texts, nothing and nothing new are refused with words; what is right is counted."""
    (tmp_path / "token").write_text(database.reader)
    now_ms = time.time_ns() // 1_000_000  # noqa: TID251 - who fills a database has a clock of its own
    database.write(phases("checked", now_ms))
    database.write(f'texts,rack=a1 power="off" {now_ms}')
    database.write(f"fine,rack=a1 power=1 {now_ms}\nfine,rack=a2 power=1 {now_ms}")
    database.write(f"old,rack=a1 power=1 {now_ms - 3_600_000}")
    found = {}
    with asking(capsys) as ask:
        for name in ("checked", "texts", "nothing", "old", "fine"):
            text = SITE.format(url=database.server.url, measurement=name)
            (tmp_path / "site.toml").write_text(text)
            answer = ask("check", tmp_path, "--live", "--json")
            (found[name],) = (item["detail"] for item in answer.document["live"])
            assert answer.status == (0 if name == "fine" else 1), answer.out

    assert "expected one series of rack.power.active of a1, found 3 of checked.power" in found["checked"]
    assert 'found the text "off"' in found["texts"]
    assert "nothing that [[influxdb.series]] names was stored in the last 24 h" in found["nothing"]
    assert found["old"].endswith(" s old: nothing arrives")
    assert found["fine"].startswith("answers; 2 series of 2 assets, the newest ")


def test_what_is_refused_is_not_said_to_be_kept_once(database: Influx) -> None:
    """A database that takes no write proves nothing about what it would do with two."""
    refused, taken = (inspect(database.table(), token) for token in (database.reader, database.writer))

    assert (refused.takes_writes, refused.overwrites) == (False, None)
    assert (taken.takes_writes, taken.overwrites) == (True, True)


TENANT = """
[[tenant]]
id = "acme"
holds = [{ racks = ["a1", "a2"], from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.1
"""


PHASED = "{0},rack=a1,phase=L1 power=30000 {1}\n{0},rack=a1,phase=L2 power=90000 {1}\n"
TEXT = '{0},rack=a1 power="unavailable" {1}'


@pytest.mark.parametrize(
    ("measurement", "lines", "reason"),
    [
        ("lived_phases", PHASED + "{0},rack=a2 power=20000 {1}", "identity-conflict"),
        ("lived_texts", TEXT, "wrong-type"),
    ],
    ids=["phases", "texts"],
)
def test_a_tenant_is_never_clear_by_what_can_not_be_believed(
    database: Influx, tmp_path: Path, measurement: str, lines: str, reason: str
) -> None:
    """A rack is two phases, or says a text: the monitor goes on, refuses each reading, and cannot tell."""
    (tmp_path / "token").write_text(database.reader)
    text = SITE.format(url=database.server.url, measurement=measurement)
    text = text.replace('token_file = "token"', 'token_file = "token"\ndelay_s = 1\npoll_s = 0.5') + TENANT
    verdicts: list[str] = []

    async def story() -> None:
        async with watching(tmp_path, text) as watch:

            def goes_on() -> bool:
                now_ms = time.time_ns() // 1_000_000  # noqa: TID251 - who fills a database has a clock of its own
                database.write(lines.format(measurement, now_ms))
                verdicts.append(watch.tenant("acme")["verdict"])
                return watch.accounting()["dead_lettered"] >= 8 and verdicts.count("unknown") >= 8

            await watch.until(goes_on, "eight refused, and eight times not known")
            assert set(watch.accounting()["dead_lettered_by_reason"]) == {reason}

    asyncio.run(story())
    assert set(verdicts) <= {None, "unknown"}
