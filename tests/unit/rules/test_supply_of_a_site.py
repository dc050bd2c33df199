"""What a site takes: the sum of its supply meters, which is known where each of them is."""

from __future__ import annotations

from typing import Final

import pytest
from msgspec.structs import replace

from facility.graph import Graph
from facility.points import Point
from facility.sitefile.reader import read_site
from rules.model.rows import SUPPLY, Topology
from rules.model.tables import Tables
from rules.model.windows import Windows
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause
from rules.telemetry.state import Knowledge
from testing.builders import T0_MS, a_point
from testing.rules.halls import BUS, EVERY_SECOND, at_once

SITE: Final = '[site]\nname = "hall"\nsupply_meters = ["m1", "m2"]\n'


def power_of(meter: str, **other: str) -> Point:
    """Return a power point of a meter."""
    point = a_point(f"{meter} {other}", asset=meter, quantity=SUPPLY)
    return replace(point, **other)


@pytest.mark.parametrize(
    ("points", "said", "total", "cause"),
    [
        ([power_of("m1"), power_of("m2")], (30.0, 12.0), 42.0, Cause.NONE),
        ([power_of("m1"), power_of("m1", phase="L1"), power_of("m2")], (30.0, 10.0, 12.0), 42.0, Cause.NONE),
        ([power_of("m1")], (30.0,), None, Cause.NO_POINT),
        (
            [power_of("m1"), power_of("m2"), power_of("m2", key="twin")],
            (30.0, 12.0, 12.0),
            None,
            Cause.NO_POINT,
        ),
        ([power_of("m1"), power_of("m2")], (30.0, None), None, Cause.NEVER_HEARD),
    ],
    ids=["both", "phases are left out", "one is missing", "one has two powers", "one is silent"],
)
def test_the_site_takes_what_its_supply_meters_carry(
    points: list[Point], said: tuple[float | None, ...], total: float | None, cause: Cause
) -> None:
    """A meter that is not known, or told twice, leaves the sum unknown: never smaller."""
    site = read_site(SITE).site
    known = dict(enumerate(points))
    knowledge = Knowledge({BUS: EVERY_SECOND})
    knowledge.heard.connect(BUS, is_connected=True)
    knowledge.add_all(known, set(known))
    knowledge.heard.hear(at_once(said, T0_MS))
    knowledge.at(T0_MS)
    topology = Topology(site, Graph(), known, frozenset({SUPPLY}), {})

    found = Tables(T0_MS, topology, knowledge, Windows()).table(SubjectKind.SITE).total(SUPPLY)

    assert found.cause.tolist() == [cause]
    if total is not None:
        assert (found.low[0], found.high[0]) == (total, total)
    else:
        assert (found.low[0], found.high[0]) == (float("-inf"), float("inf"))
