"""A rule that judges a large table block by block finds what it finds of the whole at once."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytest

from facility.names import AssetId
from facility.points import Asset, Cadence
from facility.site import Site
from rules.base import Verdict
from rules.comparison import OfRows
from rules.engine import judge
from rules.engine.engine import Engine
from rules.registry import make_rules
from store.journal.entries import Known
from testing.builders import T0_MS, a_point
from testing.rules.halls import BUS, EVERY_SECOND, Tape, a_site, a_tenant, a_version, racks_of

RACKS: Final = tuple(f"r{number}" for number in range(7))
SAID: Final = (
    ("rack.power.active", "kW", 60.0),
    ("rack.coolant.flow", "L/min", 60.0),
    ("coolant.supply", "°C", 30.0),
    ("coolant.return", "°C", 40.0),
    ("air.inlet", "°C", 24.0),
)
SECONDS: Final = 100
BLOCKS: Final = (1, 3, judge.BLOCK_ROWS)


def a_hall() -> tuple[Site, list[Known]]:
    """Return a site of racks that a tenant holds, and its points, those of one rack after another's."""
    points = [
        Known(
            number,
            a_point(
                f"{rack}/{quantity}",
                asset=rack,
                quantity=quantity,
                unit=unit,
                stream=f"{BUS}:g{place % 3}",
                cadence=Cadence.PERIODIC,
            ),
            Asset(id=AssetId(rack), kind="Rack"),
        )
        for number, (place, rack, quantity, unit) in enumerate(
            (place, rack, quantity, unit) for place, rack in enumerate(RACKS) for quantity, unit, _ in SAID
        )
    ]
    version = a_version(300, rack_cap_milliwatts=70_000_000)
    return a_site(racks_of(*RACKS), a_tenant("acme", RACKS, version)), points


def a_recording(points: list[Known]) -> Tape:
    """Return what the hall says: it wanders widely, and two racks are silent now and then."""
    tape, random = Tape(), np.random.default_rng(3)
    tape.put(T0_MS - 1_000, tuple(points))
    tape.connect(T0_MS - 1_000)
    usual = np.array([value for _ in RACKS for *_, value in SAID])
    for second in range(SECONDS):
        said = (usual * random.uniform(0.6, 1.4, len(usual))).round(1).tolist()
        is_silent = random.random(len(usual)) < np.where(np.arange(len(usual)) < 2 * len(SAID), 0.2, 0.0)
        tape.second(second, *(None if silent else one for silent, one in zip(is_silent, said, strict=True)))
    return tape


def found_of(rows: int, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], set[str]]:
    """Return what every rule found at every second where so many rows are judged at a time.

    Returns:
        Verdicts and what was told, second by second; and which rules found a breach of any rack.
    """
    monkeypatch.setattr(judge, "BLOCK_ROWS", rows)
    site, points = a_hall()
    rules = [rule for rule in make_rules({}, []) if isinstance(rule, OfRows)]
    engine = Engine(site, {BUS: EVERY_SECOND}, rules, tick_ms=1_000, lateness_ms=0)
    found, broken = list[Any](), set[str]()
    for entry in a_recording(points).entries:
        steps = engine.take(entry)
        steps += engine.advance(entry.stamp_ms)
        verdicts = {each.rule.name: each.verdict for each in engine.judges if each.verdict is not None}
        found.append(
            (
                {name: verdict.tolist() for name, verdict in verdicts.items()},
                [repr(change) for step in steps for change in step.changes],
                [each.error for each in engine.judges],
            )
        )
        broken |= {name for name, verdict in verdicts.items() if (verdict == Verdict.BREACH).any()}
    return found, broken


def test_blocks_of_any_size_are_judged_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one row, of some with a rest, of all: verdicts, alarms and what they say are the same."""
    whole, broken = found_of(BLOCKS[-1], monkeypatch)

    assert broken >= {"T8", "T10", "C12"}
    for rows in BLOCKS[:-1]:
        assert found_of(rows, monkeypatch)[0] == whole
