"""The site of the benchmark of ticks: racks in rows, what serves them, and what is said of each point.

Sixteen racks are a row with two busways and a coolant unit of its own, eight rows hang on a pair of UPS
systems. A rack has eight points: power, current, energy, inlet air, coolant supply, return and flow, leak. A
row has 28, a UPS two, the site's two supply meters two each. Nothing that is said breaks a limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from facility.names import AssetId
from facility.points import Asset, Cadence, Point
from facility.readings import Batch, FloatArray, IntArray
from facility.site import Site
from facility.sitefile.reader import read_site
from store.journal.entries import Known

SIZES: Final = (2_270, 10_000, 100_000)
TENANTS: Final = 8
ROW: Final = 16
"""Racks of a row."""
BLOCK: Final = 8
"""Rows on a pair of UPS systems."""
STREAM: Final = 8
"""Rows that one gateway speaks for."""
RATING_KW: Final = 132.0
PER_RACK_KW: Final = 48.5
"""What a meter above racks carries for each, by one of its two feeds."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What is measured of an asset: one point.

    Attributes:
        quantity: The quantity.
        unit: Its unit.
        usual: The value around which it moves; of a power above racks, for each rack.
        moves: By how much it moves around that, standard deviation.
        phase: Which phase it is of, "" for none.
        area: Where within the asset.
        is_setpoint: Whether it is a target.
        point_type: What the publisher calls it.
    """

    quantity: str
    unit: str
    usual: float
    moves: float = 0.0
    phase: str = ""
    area: tuple[str, ...] = ()
    is_setpoint: bool = False
    point_type: str = ""


_RACK: Final = (
    _Said("rack.power.active", "kW", 95, 3),
    _Said("current", "A", 132, 3),
    _Said("energy.active", "kWh", 5e5),
    _Said("air.inlet", "°C", 24, 0.1),
    _Said("coolant.supply", "°C", 30, 0.1),
    _Said("coolant.return", "°C", 40, 0.1),
    _Said("rack.coolant.flow", "L/min", 137, 1),
    _Said("leak", "", 0),
)
_BUSWAY: Final = (
    _Said("meter.power.active", "kW", PER_RACK_KW, 1),
    _Said("power.factor", "", 0.98, 0.001),
    *(_Said("current.phase", "A", 1_100, 10, phase=phase) for phase in ("L1", "L2", "L3")),
    *(_Said("voltage.ll", "V", 415, 1, phase=phase) for phase in ("L1", "L2", "L3")),
)
_SUPPLY: Final = ("Secondary", "Supply")
_COOLANT_UNIT: Final = (
    _Said("coolant.temperature", "°C", 30, 0.1, area=_SUPPLY),
    _Said("coolant.temperature", "°C", 30, area=_SUPPLY, is_setpoint=True),
    _Said("coolant.temperature", "°C", 40, 0.1, area=("Secondary", "Return")),
    _Said("coolant.pressure.differential", "kPa", 120, 1, area=("Secondary",)),
    _Said("pump.speed", "%", 70, 1),
    _Said("valve.position", "%", 60),
    _Said("valve.position", "%", 60, is_setpoint=True),
)
_PUMP: Final = (_Said("state", "", 1, point_type="Available"),)
_SENSOR: Final = (_Said("humidity", "%", 45, 0.5), _Said("dew.point", "°C", 11, 0.1))
_UPS: Final = (_Said("ups.load", "%", 40, 1), _Said("meter.power.active", "kW", PER_RACK_KW, 5))
_UTILITY: Final = (_Said("meter.power.active", "kW", PER_RACK_KW), _Said("frequency", "Hz", 60, 0.005))
_LIMITS: Final = (
    'method = "instantaneous"',
    'method = "block", minutes = 15',
    'method = "rolling", minutes = 30, subinterval_minutes = 5',
    'method = "instantaneous", warn_percent = 90',
)


@dataclass(frozen=True, slots=True)
class BenchSite:
    """A site, and what is said in it.

    Attributes:
        site: What its file declares.
        known: Its points, in the order of their numbers.
        usual: Around which value each point moves, shape (points,).
        moves: By how much, standard deviation, shape (points,).
        powers: The numbers of the racks' powers, shape (racks,).
    """

    site: Site
    known: tuple[Known, ...]
    usual: FloatArray
    moves: FloatArray
    powers: IntArray

    def readings(self, points: IntArray, at_ms: int, random: np.random.Generator) -> Batch:
        """Return a reading of each of some points, said and heard at a moment [ms]."""
        times, nothing = np.full(len(points), at_ms), np.zeros(len(points))
        values = random.normal(self.usual[points], self.moves[points]).round(2)
        return Batch.of([points, times, times, values, nothing, nothing])


def a_site(racks: int) -> BenchSite:
    """Return a site of so many racks, which eight tenants share evenly."""
    said = [(asset, one) for asset, points in _assets(racks) for one in points]
    served = [_racks_of(asset[0].id, racks) if one.usual == PER_RACK_KW else 1 for asset, one in said]
    known = tuple(
        Known(
            number,
            Point(
                key=f"{asset.id}/{number}",
                asset=asset.id,
                quantity=one.quantity,
                unit=one.unit,
                stream=stream,
                cadence=Cadence.ON_CHANGE,
                point_type=one.point_type,
                phase=one.phase,
                area=one.area,
                is_setpoint=one.is_setpoint,
            ),
            asset,
        )
        for number, ((asset, stream), one) in enumerate(said)
    )
    powers = [known.id for known in known if known.point.quantity == "rack.power.active"]
    return BenchSite(
        read_site(site_text(racks)).site,
        known,
        np.array([one.usual * count for (_, one), count in zip(said, served, strict=True)]),
        np.array([one.moves for _, one in said]),
        np.array(powers, np.int64),
    )


def site_text(racks: int) -> str:
    """Return the site file of racks that eight tenants share evenly, each with a contract of another kind."""
    share = racks // TENANTS
    blocks = -(-racks // (ROW * BLOCK))
    parts = [
        "[site]",
        'name = "bench"',
        'supply_meters = ["UTILITY-1", "UTILITY-2"]',
        "[grid]",
        'profile = "ercot"',
        f'[[rack]]\nids = "r{{000001..{racks:06d}}}"',
        f"rating_kw = {RATING_KW}\nrated_a = 200\nrated_lpm = 198\nlive = true",
    ]
    for feed, utility in (("A", "UTILITY-1"), ("B", "UTILITY-2")):
        served = ", ".join(f'"UPS-{block:05d}{feed}"' for block in range(blocks))
        parts.append(f'[[asset]]\nid = "{utility}"\nkind = "PowerMeter"\nserves = [{served}]')
    for block, feed in ((block, feed) for block in range(blocks) for feed in "AB"):
        rows = range(block * BLOCK, min((block + 1) * BLOCK, -(-racks // ROW)))
        served = ", ".join(f'"BUS-{row:05d}{feed}"' for row in rows)
        parts.append(f'[[asset]]\nid = "UPS-{block:05d}{feed}"\nkind = "UPS"\nserves = [{served}]')
        parts.append("rated_kw = 20000\nblock_percent = 75")
    for row, (first, last) in enumerate(_rows(racks)):
        served = f'serves = ["r{{{first:06d}..{last:06d}}}"]'
        for feed in "AB":
            parts.append(f'[[asset]]\nid = "BUS-{row:05d}{feed}"\nkind = "Busway"\n{served}')
            parts.append("rated_a = 4000\nnominal_v = 415")
        parts.append(f'[[asset]]\nid = "CDU-{row:05d}"\nkind = "CDU"\n{served}\npumps_needed = 1')
    for number in range(TENANTS):
        held = f"r{{{number * share + 1:06d}..{(number + 1) * share:06d}}}"
        parts += [
            f'[[tenant]]\nid = "t{number}"\nholds = [{{ racks = "{held}", from = 2026-01-01 }}]',
            f"[[tenant.contract]]\nfrom = 2026-01-01\ncommitted_mw = {share * 0.1:.3f}",
            f"rack_cap_kw = {RATING_KW}\nlimit = {{ {_LIMITS[number % len(_LIMITS)]} }}",
            f"ramp = [{{ from = 2026-01-01, committed_mw = {share * 0.099:.3f} }},",
            f"{{ from = 2027-01-01, committed_mw = {share * 0.1:.3f} }}]",
        ]
    return "\n".join(parts)


def _racks_of(asset: str, racks: int) -> int:
    """Return how many racks hang on a power node."""
    kind, _, name = asset.partition("-")
    size = {"BUS": ROW, "UPS": ROW * BLOCK, "UTILITY": racks}[kind]
    first = 0 if kind == "UTILITY" else int(name[:-1]) * size
    return min(size, racks - first)


def _rows(racks: int) -> list[tuple[int, int]]:
    """Return the numbers of the first and the last rack of each row."""
    return [(first, min(first + ROW - 1, racks)) for first in range(1, racks + 1, ROW)]


def _assets(racks: int) -> Iterator[tuple[tuple[Asset, str], tuple[_Said, ...]]]:
    """Yield each asset with the stream that speaks of it, and its points."""

    def one(name: str, kind: str, row: int, *serves: str) -> tuple[Asset, str]:
        asset = Asset(id=AssetId(name), kind=kind, serves=tuple(map(AssetId, serves)))
        return asset, f"bus:g{row // STREAM}"

    for row, (first, last) in enumerate(_rows(racks)):
        for number in range(first, last + 1):
            yield one(f"r{number:06d}", "Rack", row), _RACK
    for row in range(len(_rows(racks))):
        for feed in "AB":
            yield one(f"BUS-{row:05d}{feed}", "Busway", row), _BUSWAY
            yield one(f"PUMP-{row:05d}{feed}", "Pump", row, f"CDU-{row:05d}"), _PUMP
        yield one(f"CDU-{row:05d}", "CDU", row), _COOLANT_UNIT
        yield one(f"SENSOR-{row:05d}", "Sensor", row), _SENSOR
    for block, feed in ((b, feed) for b in range(-(-racks // (ROW * BLOCK))) for feed in "AB"):
        yield one(f"UPS-{block:05d}{feed}", "UPS", block * BLOCK), _UPS
    for utility in ("UTILITY-1", "UTILITY-2"):
        yield one(utility, "PowerMeter", 0), _UTILITY
