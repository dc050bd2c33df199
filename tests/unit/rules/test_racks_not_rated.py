"""Racks that count from a share of their rating on: without one it is not known whether they do."""

from __future__ import annotations

import pytest

from facility.graph import Graph
from facility.sitefile.advice import warnings_of_assets
from facility.sitefile.reader import read_site
from rules.base import Verdict
from rules.comparison import DRAW_OF_A_MINUTE, OfLoadedRacks
from rules.library.cooling.t7_flow_lost import FlowLost
from rules.library.cooling.t18_unit_without_flow import UnitWithoutFlow
from rules.model.rows import Topology
from rules.model.tables import Tables
from rules.model.windows import Windows
from rules.registry import RULES
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
    windows = Windows([(SubjectKind.RACK, DRAW_OF_A_MINUTE)])
    table = Tables(T0_MS, topology, knowledge, windows).table(SubjectKind.RACK)

    found = FlowLost().judge_rows(table)

    assert found.verdict.tolist() == [verdict]


def test_a_check_names_every_rule_that_cannot_tell_of_such_a_rack() -> None:
    """They are those that ask whether racks are loaded, each of its rack or of the racks of a unit."""
    site = read_site('[site]\nname = "hall"\n[[rack]]\nids = ["r0"]\nrated_lpm = 150\n').site
    asking = [UnitWithoutFlow.name, *(rule.name for rule in RULES if issubclass(rule, OfLoadedRacks))]

    (told,) = warnings_of_assets(site, {})

    assert all(f" {name}" in told for name in asking)
    assert len(asking) == told.count(" T")
