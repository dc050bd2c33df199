"""Lines say what was measured, bit for bit, under the names that were measured, or they are not written."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from msgspec import structs

from facility.points import Point
from facility.readings import Batch, Quality, Reason
from store.alarms import Alarm, AlarmChange
from store.base import Chunk
from store.lineprotocol import Encoder, Lines
from store.series import TenantDraw
from tests.builders import T0_MS, a_batch, a_point
from tests.fakes.influx_server import parse

ALLOWED = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
SHARED = Path(os.environ.get("MEGAWATCH_SHARED", Path(__file__).parents[2].parent / "shared"))
CORPUS = SHARED / "data" / "line-protocol-corpus"

A_DRAW = TenantDraw(
    tenant="acme",
    low_milliwatts=180_000_000_001,
    best_milliwatts=181_000_000_000,
    high_milliwatts=182_500_000_000,
    limit_milliwatts=200_000_000_000,
    coverage=0.5,
    demand_kw=180_250.0,
    forecast_kw=190_000.0,
    block_limit_kw=200_000.0,
)
AN_ALARM = Alarm(
    id="1f2e",
    rule="C2",
    title="overdraw",
    subject="acme",
    severity="high",
    unit="kW",
    since_ms=T0_MS,
    opened_ms=T0_MS,
    value=210.5,
    limit=200.0,
)


def a_chunk(
    batch: Batch | None = None,
    points: Sequence[Point] = (),
    draws: Sequence[tuple[int, Sequence[TenantDraw]]] = (),
    changes: Sequence[AlarmChange] = (),
) -> Chunk:
    """Return a chunk; points are numbered from 0."""
    batch = Batch.empty() if batch is None else batch
    known = dict(enumerate(points))
    return Chunk(first_seq=1, last_seq=2, batch=batch, points=known, draws=draws, changes=changes)


def encoded(chunk: Chunk) -> Lines:
    """Return a chunk as lines, by an encoder that knows nothing yet."""
    return Encoder().encode(chunk)


def texts(chunk: Chunk) -> list[str]:
    """Return the lines of a chunk as text."""
    return [line.decode("ascii") for line in encoded(chunk).lines]


def an_event(alarm: Alarm = AN_ALARM) -> AlarmChange:
    """Return the opening of an alarm."""
    return AlarmChange(alarm=alarm, change="opened", at_ms=T0_MS)


COOLANT = "reading,area=Secondary.Supply,asset=c1,point=CDU/Temp/c1,quantity=coolant.supply"
RACK = "reading,asset=r1,point=Rack/RackPower/r1,quantity=rack.power.active"
FED = replace(a_point(feed="A"), phase="L1")
CDU = replace(
    a_point("CDU/Temp/c1", asset="c1", quantity="coolant.supply", unit="°C"), area=("Secondary", "Supply")
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
    ],
    ids=["rack", "whole", "minus-zero", "large", "feed-and-phase", "area"],
)
def test_a_reading_is_one_line_with_sorted_tags_and_floats(
    point: Point, value: float, series: str, text: str
) -> None:
    """A reading's line has its tags in order, only those that say something, and no integer."""
    lines = texts(a_chunk(a_batch([(0, T0_MS, value)]), [point]))

    assert lines == [f"{series} value={text},quality=0,received_lag_ms=5 {T0_MS}"]


@pytest.mark.parametrize(
    ("value", "quality"),
    [(np.nan, Quality.NO_VALUE), (90.5, Quality.NO_VALUE), (np.nan, Quality.GOOD), (-np.inf, Quality.GOOD)],
)
def test_without_a_value_only_the_quality_is_written(value: float, quality: Quality) -> None:
    """What is not a number, or has no value by its quality, is not written; that there was a reading is."""
    batch = a_batch([(0, T0_MS, value)], quality=quality)

    assert texts(a_chunk(batch, [a_point()])) == [f"{RACK} quality={int(quality)} {T0_MS}"]


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
        f"forecast_mw=190.0,high_mw=182.5,limit_mw=200.0,low_mw=180.000000001 {T0_MS}"
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

    lines = texts(a_chunk(changes=[an_event(), an_event(silent)]))

    series = "alarm_event,change=opened,rule=C2,severity=high,subject"
    assert lines == [
        f'{series}=acme id="1f2e",limit=200.0,value=210.5 {T0_MS}',
        f'{series}=bus:PUB id="1f2e" {T0_MS}',
    ]


def test_no_tag_is_called_like_a_field() -> None:
    """A name that is both makes queries ambiguous, and some servers refuse it."""
    chunk = a_chunk(
        a_batch([(0, T0_MS, 1.0)]), [replace(CDU, feed="A", phase="L1")], [(T0_MS, [A_DRAW])], [an_event()]
    )

    for line in map(parse, texts(chunk)):
        names = [name for name, _ in line.tags]
        assert names == sorted(names)
        assert not set(names) & set(line.fields)


@pytest.mark.parametrize(
    "name", ["", "r 1", "r,1", "r=1", "r\\", "r\n1", 'r"1', "r\u00e91", "r//1", "/r1", "\ud800"]
)
@pytest.mark.parametrize("part", ["key", "asset", "quantity", "feed", "phase"])
def test_a_name_that_is_not_allowed_is_refused(part: str, name: str) -> None:
    """A point with such a name has no lines; each of its readings is refused, and says which name it is."""
    named: dict[str, Any] = {part: name}
    bad = replace(a_point(), **named)
    chunk = a_chunk(a_batch([(0, T0_MS, 1.0), (1, T0_MS, 2.0), (0, T0_MS + 1, 3.0)]), [bad, CDU])

    found = encoded(chunk)

    if name == "" and part in ("feed", "phase"):
        assert (len(found.lines), found.refused) == (3, [])
        return
    assert [dict(parse(line.decode()).tags)["asset"] for line in found.lines] == ["c1"]
    assert [rejection.received_ms for rejection in found.refused] == [T0_MS + 5, T0_MS + 6]
    assert {rejection.reason for rejection in found.refused} == {Reason.REFUSED_BY_DATABASE}
    assert all(f"as {'point' if part == 'key' else part}, found" in r.detail for r in found.refused)
    json.dumps([rejection.topic for rejection in found.refused]).encode()


@pytest.mark.parametrize("name", ["", "a b", "a,b", "acme\n", "a:b"])
def test_a_tenant_that_is_not_allowed_is_refused(name: str) -> None:
    """So it is with a tenant, at each moment."""
    draw = structs.replace(A_DRAW, tenant=name)

    found = encoded(a_chunk(draws=[(T0_MS, [draw, A_DRAW]), (T0_MS + 1, [draw])]))

    assert len(found.lines) == 1
    assert [(r.topic, r.received_ms - T0_MS) for r in found.refused] == [
        ("tenant_draw", 0),
        ("tenant_draw", 1),
    ]


@pytest.mark.parametrize("part", ["id", "rule", "subject", "severity"])
def test_an_alarm_whose_names_are_not_allowed_is_refused(part: str) -> None:
    """So it is with an alarm, whose identity stands between quotation marks."""
    named: dict[str, Any] = {part: 'x"y'}

    found = encoded(a_chunk(changes=[an_event(replace(AN_ALARM, **named))]))

    assert found.lines == []
    assert [r.topic for r in found.refused] == ["alarm_event"]


def test_a_point_that_is_known_better_is_written_so() -> None:
    """An encoder does not go on with what it knew of a point before its metadata changed."""
    encoder, batch = Encoder(), a_batch([(0, T0_MS, 1.0)])
    bad, good = replace(a_point(), feed="A B"), replace(a_point(), feed="A")

    counts = [len(encoder.encode(a_chunk(batch, [point])).lines) for point in (a_point(), bad, bad, good)]
    (line,) = encoder.encode(a_chunk(batch, [good])).lines

    assert counts == [1, 0, 0, 1]
    assert dict(parse(line.decode()).tags)["feed"] == "A"


def test_a_line_that_the_database_refuses_says_where_it_came_from() -> None:
    """A refused line is dead-lettered as the reading it was, or as the series it was of."""
    bad = replace(a_point("x y"), asset=a_point().asset)
    chunk = a_chunk(a_batch([(0, T0_MS, 1.0), (1, T0_MS, 2.0)]), [bad, CDU], [(T0_MS + 9, [A_DRAW])])
    found = encoded(chunk)

    reading, draw = (found.rejection(place, "no") for place in (0, 1))

    assert (reading.topic, reading.received_ms, reading.detail) == ("CDU/Temp/c1", T0_MS + 5, "no")
    assert (reading.payload, reading.length) == (found.lines[0], len(found.lines[0]))
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
        assert line.fields["quality"] == batch.quality[row]
        has_value = np.isfinite(batch.value[row]) and batch.quality[row] not in (2, 4)
        assert ("value" in line.fields) == has_value
        if has_value:
            assert np.float64(line.fields["value"]).tobytes() == batch.value[row].tobytes()
            assert line.fields["received_lag_ms"] == batch.received_ms[row] - batch.source_ms[row]


def test_an_area_that_is_no_name_is_left_out() -> None:
    """A point in the "Hot Aisle" is stored without its area: its key tells it apart."""
    point = replace(a_point(), area=("Hot Aisle",))

    found = encoded(a_chunk(a_batch([(0, T0_MS, 1.0)]), [point]))

    assert found.refused == []
    assert "area" not in dict(parse(found.lines[0].decode()).tags)


names = (
    st.text(max_size=12) | st.text('ab/.:_-, =\\"\n', max_size=12) | st.from_regex(ALLOWED, fullmatch=True)
)


@given(names, names, names, st.lists(names, max_size=3), names)
def test_nothing_but_allowed_names_is_ever_written(
    asset: str, feed: str, phase: str, area: list[str], other: str
) -> None:
    """Whatever things are called, a line has the names that were given, or there is no line."""
    point = replace(a_point(other, asset=asset, feed=feed), phase=phase, area=tuple(area))
    draw = structs.replace(A_DRAW, tenant=other)
    event = an_event(replace(AN_ALARM, subject=other, id=asset))

    found = encoded(a_chunk(a_batch([(0, T0_MS, 1.0)]), [point], [(T0_MS, [draw])], [event]))

    given_names = {"asset": asset, "feed": feed, "phase": phase, "area": ".".join(area), "point": other}
    given_names |= {"tenant": other, "subject": other, "id": asset, "quantity": point.quantity}
    given_names |= {"change": "opened", "rule": "C2", "severity": "high"}
    assert len(found.lines) + len(found.refused) == 3
    for line in (parse(line.decode("ascii")) for line in found.lines):
        texts_of = dict(line.tags) | {n: v for n, v in line.fields.items() if isinstance(v, str)}
        for name, text in texts_of.items():
            assert text == given_names[name]
            assert ALLOWED.fullmatch(text.replace(":", "/") if name == "subject" else text)


def corpus_names() -> Iterator[str]:
    """Yield every text of the public corpus: names, values, and every input whole."""
    for part in ("decode", "encode"):
        with gzip.open(CORPUS / f"{part}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                yield from map(json.loads, re.findall(r'"(?:[^"\\]|\\.)*"', line))
                for binary in re.findall(r'"binary": "([^"]*)"', line):
                    yield base64.b64decode(binary).decode("utf-8", "surrogateescape")


@pytest.mark.skipif(not CORPUS.exists(), reason=f"needs the line-protocol corpus in {CORPUS.name}")
def test_no_name_of_the_corpus_becomes_another() -> None:
    """Names that broke other encoders are stored as they are, or refused."""
    found = sorted(set(corpus_names()))
    points = [a_point(f"asset/{i}", asset=name) for i, name in enumerate(found)]
    points += [a_point(f"feed/{i}", feed=name) for i, name in enumerate(found)]
    draws = [structs.replace(A_DRAW, tenant=name) for name in found]
    rows = [(number, T0_MS, 1.0) for number in range(len(points))]

    lines = encoded(a_chunk(a_batch(rows), points, [(T0_MS, draws)]))

    assert len(lines.lines) + len(lines.refused) == 3 * len(found)
    allowed = {name for name in found if ALLOWED.fullmatch(name) and len(name) <= 512}
    seen: dict[str, list[str]] = {"asset": [], "feed": [], "tenant": []}
    for line in (parse(line.decode("ascii")) for line in lines.lines):
        tags = dict(line.tags)
        kind, _, number = tags.get("point", "tenant/").partition("/")
        if kind != "tenant":
            assert tags.get(kind, "") == found[int(number)]
        seen[kind].append(tags.get(kind, ""))
    assert set(seen["asset"]) == set(seen["tenant"]) == set(seen["feed"]) - {""} == allowed
