"""What all racks draw together: an interval that holds while some of them are silent."""

from __future__ import annotations

import pytest

from facility.graph import Graph
from facility.readings import Quality
from facility.sitefile.reader import read_site
from rules.model.rows import Topology
from rules.model.tables import Tables
from rules.model.windows import Windows
from rules.subject import SubjectKind
from rules.telemetry.state import Knowledge
from testing.builders import T0_MS, a_point
from testing.rules.halls import BUS, EVERY_SECOND, at_once

RATED = '[site]\nname = "hall"\n[[rack]]\nids = ["r0", "r1"]\nrating_kw = 100\n'
UNRATED = '[site]\nname = "hall"\n[[rack]]\nids = ["r0", "r1"]\n'


@pytest.mark.parametrize(
    ("text", "said", "quality", "bounds"),
    [
        (RATED, (60.0, 40.0), Quality.GOOD, (100, 100)),
        (RATED, (60.0, None), Quality.GOOD, (60, 160)),
        (RATED, (130.0, 40.0), Quality.GOOD, (170, 170)),
        (UNRATED, (60.0, None), Quality.GOOD, (60, float("inf"))),
        (RATED, (60.0, 40.0), Quality.SOURCE_DOUBTS, (0, 200)),
    ],
    ids=[
        "all are heard",
        "one is silent",
        "one is above its rating",
        "one is silent and not rated",
        "both are doubted",
    ],
)
def test_a_rack_that_is_not_known_draws_between_nothing_and_its_rating(
    text: str, said: tuple[float | None, ...], quality: Quality, bounds: tuple[float, float]
) -> None:
    """Without a rating there is no upper bound."""
    site = read_site(text).site
    points = {number: a_point(f"p{number}", asset=rack) for number, rack in enumerate(site.racks)}
    knowledge = Knowledge({BUS: EVERY_SECOND})
    knowledge.heard.connect(BUS, is_connected=True)
    knowledge.add_all(points, set(points))
    knowledge.heard.hear(at_once(said, T0_MS, quality=quality))
    knowledge.at(T0_MS)
    powers = {rack: (number,) for number, rack in enumerate(site.racks)}
    topology = Topology(site, Graph(), points, frozenset({"rack.power.active"}), powers)

    found = Tables(T0_MS, topology, knowledge, Windows()).table(SubjectKind.RACK).all_draw()

    assert (found.low[0], found.high[0]) == bounds
