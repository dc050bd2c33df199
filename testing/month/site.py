"""The site of the reference month: ten liquid-cooled racks on a DSX bus, two tenants, rules as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from facility.instants import SECOND_MS, from_iso
from facility.sitefile.reader import read_site
from simulators.model.events import Event
from simulators.model.jobs import Inference, Job, Storage
from simulators.model.layouts import Lease, Shape, site_text
from simulators.model.ratings import Rating
from simulators.scenario.file import BROKER
from simulators.scenario.scenario import FaultSpec, InstrumentSpec, Metering, Scenario
from simulators.wire.points import Equipment
from testing.simulators.settings import with_settings

SEED: Final = 13
DAYS: Final = 30
BEGIN: Final = "2026-06-01T00:00:00Z"

RAMP_DAY: Final = "2026-06-21"
LAST_DAY: Final = "2026-06-29"
END_DAY: Final = "2026-06-30"
ACME: Final = Lease(
    id="acme",
    racks=4,
    committed_share=0.8,
    extra="ramp = [{ from = 2026-01-01, committed_mw = 0.396 }, "
    f"{{ from = {RAMP_DAY}, committed_mw = 0.4224 }}]",
)
"""Judged over blocks; 396 kW at first, 422.4 kW from the ramp's step on."""
BASIL: Final = Lease(
    id="basil",
    racks=5,
    committed_share=0.72,
    limit='{ method = "instantaneous" }',
    extra=f"rack_cap_kw = 120\nends = {LAST_DAY}",
)
"""Judged at every moment by 475.2 kW; the contract ends within the month."""
SHAPE: Final = Shape(racks=10, racks_per_row=5, name="hall", leases=(BASIL, ACME))
RACKS: Final = SHAPE.rack_ids
BASILS: Final = RACKS[:5]
ACMES: Final = RACKS[5:9]
OWN: Final = RACKS[9]
"""The operator's."""
OWN_TAPS: Final = tuple(f"{OWN}-TAP-{feed}" for feed in "AB")

GRID: Final = """
[grid]
ramp_up_mw_per_min = 0.3
ramp_down_mw_per_min = 0.3
variation_mw = 0.25

[rules.E11]
deadband_mw_per_min = 0.02
"""
"""What a grid's operator would allow a site a hundred times as large, and a deadband to match."""

EQUIPMENT: Final = Equipment(bus_points=(*Equipment().bus_points, "factor"))
METERING: Final = Metering(
    gain_sigma=0.002,
    noise=0.0003,
    clock_sigma_ms=100,
    instruments={
        f"RackLiquid{place}Temperature": InstrumentSpec(offset_sigma=0.05) for place in ("Supply", "Return")
    },
)
"""Electric meters of class 0.5, clocks that a time service keeps, sensors of coolant that were calibrated
together; other instruments are as recorded."""
RATINGS: Final = {
    **{tap: Rating(amps=120) for tap in OWN_TAPS},
    **{f"P01A-BUS-{feed}": Rating(amps=1_000) for feed in "AB"},
    **{f"XFMR-01{feed}": Rating(amps=1_800) for feed in "AB"},
}
"""Circuits that carry the operator's rack alone at seven tenths of its rating, and no more."""

JOBS: Final[tuple[Job, ...]] = (
    Inference(name="serving", racks=BASILS, level=0.60, sigma=0.01, daily=0.04),
    Inference(name="answering", racks=ACMES, level=0.60, sigma=0.01, daily=0.04),
    Storage(name="keeping", racks=(OWN,), level=0.45),
)


def scenario_of(
    begins_s: int, seconds: int, events: tuple[Event, ...], faults: tuple[FaultSpec, ...]
) -> Scenario:
    """Return the month, or as much of it as is wanted.

    Args:
        begins_s: From which second of it on [s].
        seconds: How long it lasts [s].
        events: What happens to the plant.
        faults: What goes wrong between meters and the monitor.
    """
    text = "".join((_rated(site_text(SHAPE)), BROKER.format(wire="dsx"), GRID))
    return Scenario(
        name="the reference month",
        proves="",
        site_text=text,
        site=read_site(text),
        begin_ms=from_iso(BEGIN) + begins_s * SECOND_MS,
        seconds=seconds,
        seed=SEED,
        metering=METERING,
        ratings=RATINGS,
        jobs=JOBS,
        events=events,
        faults=faults,
    )


def _rated(text: str) -> str:
    """Return the site file with what its rules need to know of assets."""
    volts = {f"UTILITY-{number}": 34_500 for number in (1, 2)}
    nominal: Mapping[str, Mapping[str, object]] = {
        name: {"nominal_v": volts.get(name, 415)}
        for name in (*volts, *(f"XFMR-01{feed}" for feed in "AB"), *_circuits())
    }
    rated: dict[str, dict[str, float]] = {
        **{f"XFMR-01{feed}": {"rated_kw": 1_000, "block_percent": 75} for feed in "AB"},
        **{tap: {"rated_kva": 86.25} for tap in OWN_TAPS},
    }
    settings = {name: {**said, **rated.get(name, {})} for name, said in nominal.items()}
    return with_settings(text, settings).replace("[[rack]]\n", "[[rack]]\nlive = true\n")


def _circuits() -> tuple[str, ...]:
    buses = tuple(f"{row}-BUS-{feed}" for row, _ in SHAPE.rows for feed in "AB")
    return buses + tuple(f"{rack}-TAP-{feed}" for rack in RACKS for feed in "AB")
