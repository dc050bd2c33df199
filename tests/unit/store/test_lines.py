"""Lines say what was measured, bit for bit, and what was made of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from msgspec import structs

from facility.instants import DAY_MS, MINUTE_MS
from facility.points import Point
from facility.readings import Batch, Quality
from store.influx.lineprotocol import LATE_MS, Encoder, Kept
from store.ledger.alarms import AlarmChange
from store.means.means import QUARTER_MS, Means
from store.series import DrawMean, FeedDraw, Health, RackDraw, SiteDraw
from testing.builders import T0_MS, a_batch, a_point
from testing.fakes.influx_server import parse
from tests.unit.store.lines import (
    A_DRAW,
    AN_ALARM,
    CDU,
    COOLANT,
    FED,
    RACK,
    a_chunk,
    an_event,
    encoded,
    lines_of,
    texts,
)


@pytest.mark.parametrize(
    ("point", "value", "series", "text"),
    [
        (a_point(), 90.5, RACK, "90.5"),
        (a_point(), 4.0, RACK, "4.0"),
        (a_point(), -0.0, RACK, "-0.0"),
        (a_point(), 1e20, RACK, "1e20"),
        (FED, 1.5, RACK.replace(",point", ",feed=A,phase=L1,point"), "1.5"),
        (CDU, 31.25, COOLANT, "31.25"),
        (structs.replace(a_point(), is_setpoint=True), 31.25, f"{RACK},setpoint=yes", "31.25"),
    ],
    ids=["rack", "whole", "minus-zero", "large", "feed-and-phase", "area", "setpoint"],
)
def test_a_reading_is_one_line_with_sorted_tags_and_floats(
    point: Point, value: float, series: str, text: str
) -> None:
    """A reading's line has its tags in order, only those that say something, and no integer."""
    lines = texts(a_chunk(a_batch([(0, T0_MS, value)]), [point]))

    assert lines == [f"{series} value={text} {T0_MS}"]


@pytest.mark.parametrize(
    ("value", "quality"),
    [(np.nan, Quality.NO_VALUE), (90.5, Quality.NO_VALUE), (np.nan, Quality.GOOD), (-np.inf, Quality.GOOD)],
)
def test_without_a_value_only_the_quality_is_written(value: float, quality: Quality) -> None:
    """What is not a number, or has no value by its quality, is not written; that there was a reading is."""
    batch = a_batch([(0, T0_MS, value)], quality=quality)

    assert texts(a_chunk(batch, [a_point()])) == [f"{RACK} quality={int(quality)} {T0_MS}"]


@pytest.mark.parametrize(
    ("quality", "lag_ms", "more"),
    [
        (Quality.GOOD, LATE_MS - 1, ""),
        (Quality.GOOD, -LATE_MS, ""),
        (Quality.GOOD, LATE_MS, f",received_lag_ms={LATE_MS}"),
        (Quality.IMPLAUSIBLE, 5, ",quality=3"),
        (Quality.SOURCE_DOUBTS, 90_000, ",quality=1,received_lag_ms=90000"),
    ],
)
def test_what_is_not_as_usual_is_said(quality: Quality, lag_ms: int, more: str) -> None:
    """A quality that is not good, and a reading that came late, are fields of their own."""
    batch = a_batch([(0, T0_MS, 90.5)], quality=quality, received_after_ms=lag_ms)

    assert texts(a_chunk(batch, [a_point()])) == [f"{RACK} value=90.5{more} {T0_MS}"]


def test_readings_are_written_by_their_time() -> None:
    """Readings are in order of time, with a value or without; of one moment the last that came is last."""
    rows = [(0, T0_MS + 2, 1.0), (0, T0_MS + 1, np.nan), (0, T0_MS, 3.0), (0, T0_MS + 2, 4.0)]

    lines = [parse(line) for line in texts(a_chunk(a_batch(rows), [a_point()]))]

    assert [line.time - T0_MS for line in lines] == [0, 1, 2, 2]
    assert [line.fields.get("value") for line in lines] == [3.0, None, 1.0, 4.0]


def test_a_draw_is_in_megawatts() -> None:
    """Exact milliwatts become the nearest float of megawatts, kilowatts too."""
    (line,) = texts(a_chunk(draws=[(T0_MS, [A_DRAW])]))

    assert line == (
        "tenant_draw,tenant=acme best_mw=181.0,block_limit_mw=200.0,coverage=0.5,demand_mw=180.25,"
        f"forecast_mw=190.0,headroom_mw=17.5,high_mw=182.5,limit_mw=200.0,low_mw=180.000000001 {T0_MS}"
    )


def test_what_nobody_can_tell_is_left_out() -> None:
    """An absent figure is no field: never a zero, never a text."""
    draw = structs.replace(A_DRAW, high_milliwatts=None, limit_milliwatts=None, coverage=np.nan)
    draw = structs.replace(draw, demand_kw=None, forecast_kw=np.inf, block_limit_kw=None)

    assert texts(a_chunk(draws=[(T0_MS, [draw])])) == [
        f"tenant_draw,tenant=acme best_mw=181.0,low_mw=180.000000001 {T0_MS}"
    ]


def test_a_change_of_an_alarm_is_one_line() -> None:
    """An alarm's identity is a text field, so that episodes do not become series."""
    silent = replace(AN_ALARM, value=None, limit=np.nan, subject="bus:PUB")
    chatters = replace(silent, subject="Q6 bus:PUB")

    lines = texts(a_chunk(changes=[an_event(), an_event(silent), an_event(chatters)]))

    series = "alarm_event,change=opened,rule=C2,severity=high,subject"
    assert lines == [
        f'{series}=acme id="1f2e",limit=200.0,unit="kW",value=210.5 {T0_MS}',
        f'{series}=bus:PUB id="1f2e",unit="kW" {T0_MS}',
        f'{series}=Q6\\ bus:PUB id="1f2e",unit="kW" {T0_MS}',
    ]


@pytest.mark.parametrize(("by", "text"), [("Ann Lee", 'by="Ann Lee",'), ('a"b', ""), ("back\\slash", "")])
def test_an_acknowledgement_says_whose_it_is(by: str, text: str) -> None:
    """A name is a text for people; one that would end the text is left out, and the event is stored."""
    alarm = replace(AN_ALARM, value=None, limit=None, unit="", acknowledged_by=by, acknowledged_ms=T0_MS)
    event = AlarmChange(alarm=alarm, change="acknowledged", at_ms=T0_MS)

    (line,) = texts(a_chunk(changes=[event]))

    assert line == (
        f'alarm_event,change=acknowledged,rule=C2,severity=high,subject=acme {text}id="1f2e" {T0_MS}'
    )


def test_rollups_are_lines_of_their_own() -> None:
    """What a rack and a feed drew is in kilowatts, what the site did in megawatts; each at its minute."""
    rack = RackDraw(
        rack="r1",
        tenant="acme",
        start_ms=T0_MS,
        mean_milliwatts=90_000_001,
        most_milliwatts=95_500_000,
        coverage=0.75,
    )
    feed = FeedDraw(
        feed="bus-a",
        kind="PowerMeter",
        start_ms=T0_MS,
        racks=12,
        metered_milliwatts=None,
        racks_milliwatts=1_080_000_000,
        most_milliwatts=1_146_000_000,
        coverage=1.0,
    )
    site = SiteDraw(
        start_ms=T0_MS,
        racks_milliwatts=180_000_000_000,
        most_milliwatts=181_000_000_000,
        supply_milliwatts=220_500_000_000,
        limit_milliwatts=200_000_000_000,
        sold_milliwatts=300_000_000_000,
        firm_milliwatts=None,
        coverage=1.0,
    )

    found = encoded(a_chunk(rollups=[rack, feed, site]))

    assert [line.decode().removesuffix(f" {T0_MS}") for line in found.lines[Kept.MONTHS]] == [
        "rack_draw_1m,asset=r1,tenant=acme coverage=0.75,mean_kw=90.000001,most_kw=95.5",
        "feed_draw_1m,asset=bus-a,kind=PowerMeter count=12.0,coverage=1.0,most_kw=1146.0,racks_kw=1080.0",
        "site_draw_1m coverage=1.0,limit_mw=200.0,most_mw=181.0,racks_mw=180.0,sold_mw=300.0,supply_mw=220.5",
    ]
    assert len(lines_of(found)) == 3


def test_a_rack_whose_name_is_not_allowed_has_no_roll_up() -> None:
    """It is refused with the reason, as its readings are."""
    rack = RackDraw(
        rack="r 1", tenant="acme", start_ms=T0_MS, mean_milliwatts=1, most_milliwatts=1, coverage=1.0
    )

    found = encoded(a_chunk(rollups=[rack]))

    assert (lines_of(found), [r.topic for r in found.refused]) == ([], ["rack_draw_1m"])


def test_no_tag_is_called_like_a_field() -> None:
    """A name that is both makes queries ambiguous, and some servers refuse it."""
    chunk = a_chunk(
        a_batch([(0, T0_MS, 1.0)]),
        [structs.replace(CDU, feed="A", phase="L1")],
        [(T0_MS, [A_DRAW])],
        [an_event()],
    )

    for line in map(parse, texts(chunk)):
        names = [name for name, _ in line.tags]
        assert names == sorted(names)
        assert not set(names) & set(line.fields)


def test_a_point_that_is_known_better_is_written_so() -> None:
    """An encoder does not go on with what it knew of a point before its metadata changed."""
    encoder, batch = Encoder(), a_batch([(0, T0_MS, 1.0)])
    bad, good = structs.replace(a_point(), feed="A B"), structs.replace(a_point(), feed="A")

    counts = [len(lines_of(encoder.encode(a_chunk(batch, [point])))) for point in (a_point(), bad, bad, good)]
    (line,) = lines_of(encoder.encode(a_chunk(batch, [good])))

    assert counts == [1, 0, 0, 1]
    assert dict(parse(line.decode()).tags)["feed"] == "A"


def test_a_line_that_the_database_refuses_says_where_it_came_from() -> None:
    """A refused line is dead-lettered as the reading it was, or as the series it was of."""
    bad = structs.replace(a_point("x y"), asset=a_point().asset)
    chunk = a_chunk(a_batch([(0, T0_MS, 1.0), (1, T0_MS, 2.0)]), [bad, CDU], [(T0_MS + 9, [A_DRAW])])
    found = encoded(chunk)

    reading, draw = (found.rejection(Kept.DAYS, place, "no") for place in (0, 1))

    assert (reading.topic, reading.received_ms, reading.detail) == ("CDU/Temp/c1", T0_MS + 5, "no")
    assert (reading.payload, reading.length) == (lines_of(found)[0], len(lines_of(found)[0]))
    assert (draw.topic, draw.received_ms) == ("tenant_draw,tenant=acme", T0_MS + 9)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Draw readings of three points, with any values and qualities."""
    count = draw(st.integers(0, 30))
    times = hnp.arrays(np.int64, count, elements=st.integers(-(2**40), 2**42))
    return Batch.of(
        [
            draw(hnp.arrays(np.int32, count, elements=st.integers(0, 2))),
            draw(times),
            draw(times),
            draw(hnp.arrays(np.float64, count, elements=st.floats())),
            draw(hnp.arrays(np.uint8, count, elements=st.integers(0, 5))),
            np.zeros(count),
        ]
    )


@given(batches())
def test_every_line_reads_back_as_the_reading(batch: Batch) -> None:
    """What a server reads out of a line is the reading, to the last bit."""
    points = [a_point(), CDU, a_point("Rack/Power/r2", asset="r2", feed="B")]

    lines = [parse(text) for text in texts(a_chunk(batch, points))]

    assert len(lines) == len(batch)
    for row, line in zip(np.argsort(batch.source_ms, kind="stable"), lines, strict=True):
        point = points[batch.point[row]]
        tags = dict(line.tags)
        assert (line.measurement, tags["point"], tags["asset"]) == ("reading", point.key, point.asset)
        assert line.time == batch.source_ms[row]
        quality, lag_ms = batch.quality[row], batch.received_ms[row] - batch.source_ms[row]
        assert line.fields.get("quality", 0) == quality
        has_value = np.isfinite(batch.value[row]) and batch.quality[row] not in (2, 4)
        assert ("value" in line.fields) == has_value
        if has_value:
            assert np.float64(line.fields["value"]).tobytes() == batch.value[row].tobytes()
        assert line.fields.get("received_lag_ms") == (lag_ms if lag_ms >= LATE_MS else None)


def some_means(step_ms: int) -> Means:
    """Return means over two steps, of which nothing stood in the first."""
    start = T0_MS // step_ms * step_ms
    whole, half = np.array([0.0, 3.0 / 2]), np.array([0, step_ms // 2])
    return Means(
        step_ms,
        np.array([0, 0]),
        np.array([start - step_ms, start]),
        half,
        whole,
        np.array([np.inf, 2.5]),
        np.array([-np.inf, 3.5]),
        np.array([np.nan, 2.5]),
        np.array([0, 4]),
    )


@pytest.mark.parametrize(
    ("step_ms", "kept", "name"),
    [(MINUTE_MS, Kept.MONTHS, "reading_1m"), (QUARTER_MS, Kept.YEARS, "reading_15m")],
)
def test_a_mean_says_how_much_of_its_step_it_is_of(step_ms: int, kept: Kept, name: str) -> None:
    """Means of each length are kept for as long as their own; a step of which nothing is left says that."""
    chunk = replace(a_chunk(points=[a_point()]), means=[some_means(step_ms)])

    lines = encoded(chunk).lines

    series = RACK.replace("reading", name, 1)
    start = T0_MS // step_ms * step_ms
    fields = "coverage=0.5,last=2.5,max=3.5,mean=3.0,min=2.5"
    assert {k: [line.decode() for line in of] for k, of in lines.items() if of} == {
        kept: [f"{series} coverage=0.0 {start - step_ms}", f"{series} {fields} {start}"]
    }


def test_means_of_a_point_with_a_bad_name_are_left_out() -> None:
    """They are made of readings that were refused, which are told."""
    chunk = replace(a_chunk(points=[structs.replace(a_point(), feed="A B")]), means=[some_means(MINUTE_MS)])

    assert not any(encoded(chunk).lines.values())


def test_what_is_known_of_a_point_is_written_once_a_day_and_when_it_changes() -> None:
    """A reader without a journal knows its unit and how long its values stand; they expire together."""
    encoder = Encoder(lambda point: 7_000 if point.feed else 110_000)
    odd = structs.replace(CDU, unit='"°C"\n')
    told: list[list[str]] = []
    for at_ms, point in ((T0_MS, CDU), (T0_MS + 1, CDU), (T0_MS + DAY_MS, CDU), (T0_MS + DAY_MS, odd)):
        lines = encoder.encode(a_chunk(a_batch([(0, at_ms, 1.0)]), [point])).lines
        told.append([line.decode() for line in lines[Kept.YEARS]])

    day_ms = T0_MS // DAY_MS * DAY_MS
    text = 'point,point=CDU/Temp/c1 asset="c1",cadence="on-change",hold_ms=110000.0,quantity="coolant.supply"'
    assert told == [
        [f'{text},stream="bus:PUB",unit="°C" {day_ms}'],
        [],
        [f'{text},stream="bus:PUB",unit="°C" {day_ms + DAY_MS}'],
        [f'{text},stream="bus:PUB" {day_ms + DAY_MS}'],
    ]


def test_the_pipeline_says_how_it_does() -> None:
    """Figures are fields; dead letters are counted by reason."""
    health = Health(at_ms=T0_MS, figures={"received": 9.0, "waiting": 0.0}, dead_lettered={"bad-json": 2})

    assert texts(replace(a_chunk(), health=[health])) == [
        f"pipeline received=9.0,waiting=0.0 {T0_MS}",
        f"dead_letters,reason=bad-json count=2.0 {T0_MS}",
    ]


def test_a_mean_of_a_draw_says_how_much_of_its_step_was_known() -> None:
    """Means of draws are kept for as long as those of readings; what nobody could tell is not there."""
    means = [
        DrawMean(tenant="acme", step_ms=step, start_ms=T0_MS, known=0.5, most_mw=9.0, figures={"best": 8.5})
        for step in (MINUTE_MS, QUARTER_MS)
    ]

    lines = encoded(replace(a_chunk(), draw_means=means)).lines

    text = f"tenant=acme best_mw=8.5,known=0.5,most_mw=9.0 {T0_MS}"
    assert [line.decode() for line in lines[Kept.MONTHS]] == [f"tenant_draw_1m,{text}"]
    assert [line.decode() for line in lines[Kept.YEARS]] == [f"tenant_draw_15m,{text}"]
