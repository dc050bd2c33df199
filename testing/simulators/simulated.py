"""Small simulated sites for tests of the wire."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from facility.sitefile.reader import read_site
from simulators.meters.instruments import RECORDED
from simulators.model.jobs import Job, Training
from simulators.model.layouts import Shape, site_text
from simulators.model.wiring import Wiring, wire
from simulators.run import Second, Simulation
from simulators.scenario.scenario import FaultKind, FaultSpec, Metering, Scenario
from simulators.wire.bus import payloads
from simulators.wire.rows import Rows

BEGIN_MS = 1_780_000_000_000


def a_scenario(
    racks: int = 8,
    *,
    seconds: int = 30,
    racks_per_row: int = 4,
    seed: int = 5,
    faults: tuple[FaultSpec, ...] = (),
    jobs: tuple[Job, ...] | None = None,
    zone: str = "UTC",
    **more: Any,  # noqa: ANN401 - fields of a scenario
) -> Scenario:
    """Return a scenario: two rows of four racks in training where nothing else is said."""
    shape = Shape(racks=racks, racks_per_row=racks_per_row, timezone=zone)
    text = site_text(shape)
    usual = (Training(name="job", racks=shape.rack_ids),)
    return Scenario(
        name="test",
        proves="",
        site_text=text,
        site=read_site(text),
        begin_ms=BEGIN_MS,
        seconds=seconds,
        seed=seed,
        faults=faults,
        jobs=usual if jobs is None else jobs,
        **more,
    )


def wiring_of(scenario: Scenario) -> Wiring:
    """Return the plant of a scenario."""
    return wire(scenario.site.site)


def run(scenario: Scenario, *, is_recorded: bool = False) -> tuple[Simulation, list[Second]]:
    """Run a scenario to its end; with instruments as in the recording, or as the scenario says."""
    simulation = Simulation(scenario, instruments=RECORDED if is_recorded else None)
    return simulation, list(simulation.seconds())


def a_fault(
    kind: FaultKind,
    *scope: str,
    window: tuple[int, int] = (5, 20),
    strength: float = 1.0,
    point_type: str = "",
) -> FaultSpec:
    """Return a fault."""
    return FaultSpec(
        kind=kind,
        from_s=window[0],
        to_s=window[1],
        scope=scope,
        point_type=point_type,
        strength=strength,
    )


def lines(rows: Rows, topics: list[str]) -> list[tuple[str, bytes, int, bool]]:
    """Return rows as topic, payload, time of sending and retained flag."""
    return [
        (topics[channel], payload, sent, retained)
        for channel, payload, sent, retained in zip(
            rows.channel.tolist(),
            payloads(rows),
            rows.sent_ms.tolist(),
            rows.is_retained.tolist(),
            strict=True,
        )
    ]


def with_faults(scenario: Scenario, *faults: FaultSpec) -> Scenario:
    """Return the same scenario with faults."""
    return replace(scenario, faults=faults)


__all__ = ["Metering", "a_fault", "a_scenario", "lines", "run", "wiring_of", "with_faults"]
