"""What is made of the phases of a circuit: unbalance by NEMA MG-1, voltages from line to line, magnitudes."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest
from msgspec.structs import replace

from facility.graph import Graph
from facility.points import Point
from facility.readings import Quality
from facility.sitefile.reader import read_site
from rules.model.rows import Topology
from rules.model.tables import Table, Tables
from rules.model.windows import Windows
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause
from rules.telemetry.state import Knowledge
from testing.builders import T0_MS, a_point
from testing.rules.halls import BUS, EVERY_SECOND, at_once

PDU: Final = '[site]\nname = "hall"\n[[asset]]\nid = "pdu"\nkind = "PDU"\n'
UNITS: Final = {"current.phase": "A", "voltage.ln": "V", "voltage.ll": "V", "power.factor": ""}


def a_table(
    quantity: str, *values: float | None, phases: str = "123", error_percent: float = 0, bad: bool = False
) -> Table:
    """Return the table of a PDU whose phases say something."""
    point = a_point("p", asset="pdu", quantity=quantity, unit=UNITS[quantity])
    points: dict[int, Point] = {
        number: replace(point, key=f"p{number}", phase=phase if phase != "-" else "")
        for number, phase in enumerate(phases)
    }
    text = PDU + (f"error_percent = {error_percent}\n" if error_percent else "")
    site, graph = read_site(text).site, Graph()
    for asset in site.assets:
        graph.add(asset)
    knowledge = Knowledge({BUS: EVERY_SECOND})
    knowledge.heard.connect(BUS, is_connected=True)
    knowledge.add_all(points, set(points))
    quality = Quality.SOURCE_DOUBTS if bad else Quality.GOOD
    knowledge.heard.hear(at_once(values, T0_MS, quality=quality))
    knowledge.at(T0_MS)
    topology = Topology(site, graph, points, frozenset({quantity}), {})
    return Tables(T0_MS, topology, knowledge, Windows()).table(SubjectKind.NODE)


@pytest.mark.parametrize(
    ("values", "percent"),
    [
        ((462.0, 463.0, 455.0), 1.087),  # mean 460, furthest 5
        ((460.0, 467.0, 450.0), 1.961),  # mean 459, furthest 9
        ((200.0, 200.0, 251.0), 15.668),  # mean 217, furthest 34
        ((230.0, 230.0, 230.0), 0.0),
        ((300.0, 300.0, 0.0), 100.0),  # a fuse that blew
    ],
)
def test_unbalance_is_that_of_nema(values: tuple[float, float, float], percent: float) -> None:
    """The largest deviation from the mean of the three, as a share of it."""
    found = a_table("current.phase", *values).unbalance("current.phase") * 100

    assert found.cause.tolist() == [Cause.NONE]
    assert (found.low[0], found.best[0], found.high[0]) == pytest.approx((percent,) * 3, abs=5e-4)


def test_class_errors_widen_the_unbalance() -> None:
    """Every combination of currents within their errors has an unbalance between the bounds."""
    values, error = np.array([200.0, 210.0, 251.0]), 0.01
    found = a_table("current.phase", *values.tolist(), error_percent=100 * error).unbalance("current.phase")

    for sides in np.ndindex(3, 3, 3):
        true = values / (1 + error * (np.array(sides) - 1))
        unbalance = np.abs(true - true.mean()).max() / true.mean()
        assert found.low[0] - 1e-9 <= unbalance <= found.high[0] + 1e-9
    assert found.high[0] - found.low[0] < 4 * error


@pytest.mark.parametrize(
    ("phases", "values"),
    [
        ("12", (200.0, 300.0)),
        ("1", (200.0,)),
        ("112", (1.0, 2.0, 3.0)),
        ("---", (1.0,) * 3),
        ("123123", (1.0,) * 6),
    ],
)
def test_what_are_not_three_phases_has_no_unbalance(phases: str, values: tuple[float, ...]) -> None:
    """Nothing measures it, so it is not known: two legs may be all that there is, or not."""
    found = a_table("current.phase", *values, phases=phases).unbalance("current.phase")

    assert found.cause.tolist() == [Cause.NO_POINT]
    assert (found.low[0], found.high[0]) == (-np.inf, np.inf)


@pytest.mark.parametrize(("values", "bad"), [((200.0, None, 251.0), False), ((200.0, 200.0, 251.0), True)])
def test_where_a_phase_is_not_known_neither_is_the_unbalance(
    values: tuple[float | None, ...],
    *,
    bad: bool,
) -> None:
    """A silent phase, or one that is doubted, may carry anything."""
    found = a_table("current.phase", *values, bad=bad).unbalance("current.phase")

    assert not found.is_known[0]
    assert (found.low[0], found.high[0]) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("quantity", "values", "lowest", "highest"),
    [
        ("voltage.ll", (470.0, 480.0, 485.0), 470.0, 485.0),
        ("voltage.ln", (230.0, 240.0, 239.0), 398.37, 415.69),
    ],
)
def test_voltages_are_told_from_line_to_line(
    quantity: str, values: tuple[float, ...], lowest: float, highest: float
) -> None:
    """To neutral they are √3 times smaller."""
    table = a_table(quantity, *values)

    found = [table.line_voltage(highest=side).best[0] for side in (False, True)]
    assert found == pytest.approx([lowest, highest], abs=0.01)


@pytest.mark.parametrize(("values", "magnitude"), [((-0.9, 0.97, 0.99), 0.9), ((0.95,) * 3, 0.95)])
def test_a_power_factor_counts_whatever_its_sign(values: tuple[float, ...], magnitude: float) -> None:
    """Leading or lagging, the smallest of the phases."""
    assert a_table("power.factor", *values).magnitude("power.factor").high[0] == pytest.approx(magnitude)
