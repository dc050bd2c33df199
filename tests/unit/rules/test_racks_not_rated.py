"""Racks that count from a share of their rating on: without one it is not known whether they do."""

from __future__ import annotations

import pytest

from facility.graph import Graph
from facility.sitefile.reader import read_site
from rules.base import Verdict
from rules.library.cooling.t7_flow_lost import FlowLost
from rules.model.rows import Topology
from rules.model.tables import Tables
from rules.model.windows import Windows
from rules.subject import SubjectKind
from rules.telemetry.state import Knowledge
from testing.builders import T0_MS, a_point
from testing.rules.halls import BUS, EVERY_SECOND, at_once

FLOW = "rack.coolant.flow"


@pytest.mark.parametrize(
    ("rated", "draw_kw", "flow_lpm", "verdict"),
    [
        ("rating_kw = 100", 100.0, 2.0, Verdict.BREACH),
        ("rating_kw = 100", 20.0, 2.0, Verdict.CLEAR),
        ("", 100.0, 2.0, Verdict.UNKNOWN),
        ("", 100.0, 140.0, Verdict.CLEAR),
    ],
)
def test_a_rack_that_is_not_rated_is_not_told_to_be_well(
    rated: str, draw_kw: float, flow_lpm: float, verdict: Verdict
) -> None:
    """Two litres of 150 are too few where it is loaded; with enough of them, that makes no difference."""
    site = read_site(f'[site]\nname = "hall"\n[[rack]]\nids = ["r0"]\nrated_lpm = 150\n{rated}\n').site
    points = {
        0: a_point("power", asset="r0"),
        1: a_point("flow", asset="r0", quantity=FLOW, unit="L/min"),
    }
    knowledge = Knowledge({BUS: EVERY_SECOND})
    knowledge.heard.connect(BUS, is_connected=True)
    knowledge.add_all(points, set(points))
    knowledge.heard.hear(at_once((draw_kw, flow_lpm), T0_MS))
    knowledge.at(T0_MS)
    powers = dict.fromkeys(site.racks, (0,))
    topology = Topology(site, Graph(), points, frozenset({"rack.power.active", FLOW}), powers)
    table = Tables(T0_MS, topology, knowledge, Windows()).table(SubjectKind.RACK)

    found = FlowLost().judge_rows(table)

    assert found.verdict.tolist() == [verdict]
