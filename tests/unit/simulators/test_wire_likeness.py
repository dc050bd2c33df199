"""The simulated bus sounds like the recorded one."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.recording import metadata, values
from tests.unit.simulators.likeness import FROM_S, TO_S, Figures, Said, compare, figures, page, pod, said_by

PAGE = Path(__file__).resolve().parents[3] / "docs" / "simulator-likeness.md"
RECORDED_S = 50


@pytest.fixture(scope="module")
def recorded() -> Figures:
    """The recording."""
    said = [Said(m.offset_ms / 1_000, m.topic, m.stamped(0)) for m in (*metadata(), *values())]
    return figures(said, FROM_S, RECORDED_S)


@pytest.fixture(scope="module")
def simulated() -> Figures:
    """The same pod, simulated."""
    return figures(said_by(pod()), FROM_S, TO_S)


def test_rates_and_relations_are_like_those_of_the_recording(recorded: Figures, simulated: Figures) -> None:
    """Every point type speaks as often, within a quarter; readings hold the same relations."""
    lines = compare(recorded, simulated)
    assert len(lines) == 38 + 7
    assert [line for line in lines if not line.is_like] == []


def test_the_make_up_is_the_same(recorded: Figures, simulated: Figures) -> None:
    """The simulated pod has the recorded one's points, kind by kind.

    The recording has no shunt trip at the one rack without coolant, and nothing else differs.
    """
    own = simulated.points | {"Shunt/Status": simulated.points["Shunt/Status"] - 1}
    assert own == recorded.points


def test_what_is_not_alike_is_seen(recorded: Figures, simulated: Figures) -> None:
    """A rate that is a third higher, and a relation that is 2 % off, are not alike."""
    rates = {kind: rate * 4 / 3 for kind, rate in simulated.rates.items()}
    relations = simulated.relations | {"tap meters over rack power": 1.02}
    lines = compare(recorded, Figures(simulated.points, rates, relations))
    wrong = {line.name for line in lines if not line.is_like}
    assert "Rack/RackLiquidFlow" in wrong
    assert "tap meters over rack power" in wrong


def test_the_page_is_up_to_date(recorded: Figures, simulated: Figures) -> None:
    """The table in the documentation is the one that is measured here."""
    assert PAGE.read_text(encoding="utf-8") == page(recorded, simulated)
