"""Lines have the names that things have, or they are not written."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from facility.readings import Reason
from testing.builders import T0_MS, a_batch, a_point
from testing.fakes.influx_server import parse
from tests.unit.store.lines import A_DRAW, AN_ALARM, CDU, a_chunk, an_event, encoded, lines_of

ALLOWED = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
WRITTEN = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")
"""What may be written: what is allowed, and the names that other texts get, as `Rack~207`."""
SHARED = Path(os.environ.get("MEGAWATCH_SHARED", Path(__file__).parents[3].parent / "shared"))
CORPUS = SHARED / "data" / "line-protocol-corpus"


@pytest.mark.parametrize(
    "name", ["", "r 1", "r,1", "r=1", "r\\", "r\n1", 'r"1', "r\u00e91", "r//1", "/r1", "\ud800"]
)
@pytest.mark.parametrize("part", ["key", "asset", "quantity", "feed", "phase"])
def test_a_name_that_is_not_allowed_is_refused(part: str, name: str) -> None:
    """A point with such a name has no lines; each of its readings is refused, and says which name it is."""
    named: dict[str, Any] = {part: name}
    bad = structs.replace(a_point(), **named)
    chunk = a_chunk(a_batch([(0, T0_MS, 1.0), (1, T0_MS, 2.0), (0, T0_MS + 1, 3.0)]), [bad, CDU])

    found = encoded(chunk)

    if name == "" and part in ("feed", "phase"):
        assert (len(lines_of(found)), found.refused) == (3, [])
        return
    assert [dict(parse(line.decode()).tags)["asset"] for line in lines_of(found)] == ["c1"]
    assert [rejection.received_ms for rejection in found.refused] == [T0_MS + 5, T0_MS + 6]
    assert {rejection.reason for rejection in found.refused} == {Reason.REFUSED_BY_DATABASE}
    assert all(f"as {'point' if part == 'key' else part}, found" in r.detail for r in found.refused)
    json.dumps([rejection.topic for rejection in found.refused]).encode()


@pytest.mark.parametrize("name", ["", "a b", "a,b", "acme\n", "a:b"])
def test_a_tenant_that_is_not_allowed_is_refused(name: str) -> None:
    """So it is with a tenant, at each moment."""
    draw = structs.replace(A_DRAW, tenant=name)

    found = encoded(a_chunk(draws=[(T0_MS, [draw, A_DRAW]), (T0_MS + 1, [draw])]))

    assert len(lines_of(found)) == 1
    assert [(r.topic, r.received_ms - T0_MS) for r in found.refused] == [
        ("tenant_draw", 0),
        ("tenant_draw", 1),
    ]


@pytest.mark.parametrize("part", ["id", "rule", "subject", "severity"])
def test_an_alarm_whose_names_are_not_allowed_is_refused(part: str) -> None:
    """So it is with an alarm, whose identity stands between quotation marks."""
    named: dict[str, Any] = {part: 'x"y'}

    found = encoded(a_chunk(changes=[an_event(replace(AN_ALARM, **named))]))

    assert lines_of(found) == []
    assert [r.topic for r in found.refused] == ["alarm_event"]


def test_an_area_that_is_no_name_is_left_out() -> None:
    """A point in the "Hot Aisle" is stored without its area: its key tells it apart."""
    point = structs.replace(a_point(), area=("Hot Aisle",))

    found = encoded(a_chunk(a_batch([(0, T0_MS, 1.0)]), [point]))

    assert found.refused == []
    assert "area" not in dict(parse(lines_of(found)[0].decode()).tags)


names = (
    st.text(max_size=12) | st.text('ab/.:_-, =\\"\n', max_size=12) | st.from_regex(ALLOWED, fullmatch=True)
)


@given(names, names, names, st.lists(names, max_size=3), names)
@example("", "", "", [], "~00")
def test_nothing_but_allowed_names_is_ever_written(
    asset: str, feed: str, phase: str, area: list[str], other: str
) -> None:
    """Whatever things are called, a line has the names that were given, or there is no line."""
    point = structs.replace(a_point(other, asset=asset, feed=feed), phase=phase, area=tuple(area))
    draw = structs.replace(A_DRAW, tenant=other)
    event = an_event(replace(AN_ALARM, subject=other, id=asset))

    found = encoded(a_chunk(a_batch([(0, T0_MS, 1.0)]), [point], [(T0_MS, [draw])], [event]))

    given_names = {"asset": asset, "feed": feed, "phase": phase, "area": ".".join(area), "point": other}
    given_names |= {"tenant": other, "subject": other, "id": asset, "quantity": point.quantity}
    given_names |= {"change": "opened", "rule": "C2", "severity": "high", "unit": "kW"}
    assert len(lines_of(found)) + len(found.refused) == 3
    for line in (parse(line.decode("ascii")) for line in lines_of(found)):
        texts_of = dict(line.tags) | {n: v for n, v in line.fields.items() if isinstance(v, str)}
        for name, text in texts_of.items():
            assert text == given_names[name]
            assert WRITTEN.fullmatch(re.sub("[: ]", "/", text) if name == "subject" else text)


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

    assert len(lines_of(lines)) + len(lines.refused) == 3 * len(found)
    allowed = {name for name in found if ALLOWED.fullmatch(name) and len(name) <= 512}
    seen: dict[str, list[str]] = {"asset": [], "feed": [], "tenant": []}
    for line in (parse(line.decode("ascii")) for line in lines_of(lines)):
        tags = dict(line.tags)
        kind, _, number = tags.get("point", "tenant/").partition("/")
        if kind != "tenant":
            assert tags.get(kind, "") == found[int(number)]
        seen[kind].append(tags.get(kind, ""))
    assert set(seen["asset"]) == set(seen["tenant"]) == set(seen["feed"]) - {""} == allowed
