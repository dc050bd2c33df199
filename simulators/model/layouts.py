"""The site file of a plant of any size, as text: it feeds both the monitor and the simulator.

Racks stand in rows; a row has a coolant unit, a busway for each feed and a tap for each rack and feed. Rows
hang on UPS blocks: pairs (2N), or three or four systems that back each other (3N2, 4N3R). Every UPS has a
transfer switch between a transformer on one of two utility feeds and a generator of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from simulators.model.ratings import DESIGN_LPM_PER_KW

Scheme = Literal["2N", "3N2", "4N3R"]
_SYSTEMS = {"2N": 2, "3N2": 3, "4N3R": 4}
_FEEDS = "AB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A tenant of the site.

    Attributes:
        id: Its id.
        racks: How many racks it holds; they follow those of the tenant before.
        committed_share: Committed power as a share of its racks' ratings.
        limit: The limit table, as TOML.
        ramp: Dates and shares of the commitment, of a ramp; each is reached evenly from the one before.
        burst_share: What it may draw on top, as a share of the commitment.
        amended: Date and share of the commitment from which a second version is in force.
        redundancy: What it is sold.
        extra: Further lines of its contract, as TOML.
    """

    id: str
    racks: int
    committed_share: float = 0.9
    limit: str = '{ method = "block", minutes = 15 }'
    ramp: tuple[tuple[str, float], ...] = ()
    burst_share: float = 0.0
    amended: tuple[str, float] | None = None
    redundancy: str | None = None
    extra: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large the site is and how it is built.

    Attributes:
        racks: How many racks.
        rating_kw: What each draws at most [kW].
        racks_per_row: Racks on a pair of busways and on a coolant unit.
        rows_per_group: Rows on the same pair of UPS systems.
        scheme: How UPS systems back each other.
        name: Name of the site.
        timezone: Its zone.
        starts: From when tenants hold and contracts are in force, as TOML.
        leases: Its tenants; None for three that share nine tenths of the racks: one with a ramp, one with
            a burst, one with an amendment. What no tenant holds is the operator's.
        broker: Where its bus is, None for no broker in the file.
        path_loss_percent: The most that is lost from the utility to the racks, at idle [%].
        extra: Further tables, as TOML.
    """

    racks: int = 48
    rating_kw: float = 132.0
    racks_per_row: int = 12
    rows_per_group: int = 2
    scheme: Scheme = "2N"
    name: str = "titan"
    timezone: str = "UTC"
    starts: str = "2026-01-01"
    leases: tuple[Lease, ...] | None = None
    broker: str | None = None
    path_loss_percent: float = 15.0
    extra: str = ""
    rows: tuple[tuple[str, tuple[str, ...]], ...] = field(init=False)
    """Row names with the ids of their racks; follows from the rest."""

    def __post_init__(self) -> None:
        if self.racks < 1 or self.racks_per_row < 1 or self.rows_per_group < 1:
            found = f"{self.racks}, {self.racks_per_row}, {self.rows_per_group}"
            raise ValueError(f"expected at least one rack, rack a row and row a group, found {found}")
        held = sum(lease.racks for lease in self.leases or ())
        if held > self.racks:
            raise ValueError(f"expected leases of at most {self.racks} racks, found {held}")
        object.__setattr__(self, "rows", tuple(self._rows()))

    @property
    def rack_ids(self) -> tuple[str, ...]:
        """The ids of all racks, in order."""
        return tuple(rack for _, racks in self.rows for rack in racks)

    def _rows(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for start in range(0, self.racks, self.racks_per_row):
            row = row_name(start // self.racks_per_row)
            last = min(self.racks - start, self.racks_per_row)
            yield row, tuple(f"{row}-{place:02d}" for place in range(1, last + 1))


def row_name(number: int) -> str:
    """Return the name of a row: ten rows A to K, without I, are a pod: `P01A`."""
    return f"P{number // 10 + 1:02d}{'ABCDEFGHJK'[number % 10]}"


def site_text(shape: Shape) -> str:
    """Return the site file of a shape, as TOML that `facility.sitefile.reader` reads without a fault."""
    lines = [
        "[site]",
        f'name = "{shape.name}"',
        f'timezone = "{shape.timezone}"',
        f"firm_capacity_mw = {shape.racks * shape.rating_kw / 1e3:.6f}",
        'supply_meters = ["UTILITY-1", "UTILITY-2"]',
        f"path_loss_percent = {shape.path_loss_percent}",
        "",
    ]
    if shape.broker is not None:
        lines += ["[[broker]]", f'url = "{shape.broker}"', 'format = "dsx"', ""]
    lines += [
        "[[rack]]",
        f"ids = {_list(_patterns(shape.rack_ids))}",
        f"rating_kw = {shape.rating_kw}",
        f"rated_lpm = {shape.rating_kw * DESIGN_LPM_PER_KW:g}",
        "",
    ]
    lines += _power(shape)
    lines += _cooling(shape)
    first = 0
    for lease in _default_leases(shape) if shape.leases is None else shape.leases:
        lines += _tenant(shape, lease, shape.rack_ids[first : first + lease.racks])
        first += lease.racks
    return "\n".join(lines) + "\n" + shape.extra


def _power(shape: Shape) -> list[str]:
    systems = _SYSTEMS[shape.scheme]
    pairs = list(combinations(range(systems), 2))
    groups = [
        shape.rows[i : i + shape.rows_per_group] for i in range(0, len(shape.rows), shape.rows_per_group)
    ]
    serves: dict[str, list[str]] = {}
    lines: list[str] = []
    for number, rows in enumerate(groups):
        block, place = divmod(number, len(pairs))
        for feed, system in enumerate(pairs[place]):
            ups = f"UPS-{block + 1:02d}{'ABCD'[system]}"
            for row, racks in rows:
                bus = f"{row}-BUS-{_FEEDS[feed]}"
                serves.setdefault(ups, []).append(bus)
                taps = [f"{rack}-TAP-{_FEEDS[feed]}" for rack in racks]
                lines += _asset(bus, "PowerMeter", taps)
                for tap, rack in zip(taps, racks, strict=True):
                    lines += _asset(tap, "PowerMeter", [rack])
    utilities: dict[str, list[str]] = {"UTILITY-1": [], "UTILITY-2": []}
    above: list[str] = []
    for ups, buses in serves.items():
        code = ups.removeprefix("UPS-")
        utilities[f"UTILITY-{1 + 'ABCD'.index(code[-1]) % 2}"].append(f"XFMR-{code}")
        above += _asset(f"XFMR-{code}", "PowerMeter", [f"ATS-{code}"])
        above += _asset(f"GEN-{code}", "Generator", [f"ATS-{code}"])
        above += _asset(f"ATS-{code}", "ATS", [ups])
        above += _asset(ups, "UPS", buses)
    roots = [line for name, served in utilities.items() for line in _asset(name, "PowerMeter", served)]
    return roots + above + lines


def _cooling(shape: Shape) -> list[str]:
    lines: list[str] = []
    units = [f"{row}-CDU" for row, _ in shape.rows]
    handlers = [f"{row}-CRAH" for row, _ in shape.rows]
    # One chiller more than eight rows each need, so that the loss of one is borne.
    count = -(-len(units) // 8) + 1
    lines = [
        line
        for number in range(1, count + 1)
        for line in _asset(f"CHILLER-{number:02d}", "Chiller", units + handlers)
    ]
    for (_, racks), unit, handler in zip(shape.rows, units, handlers, strict=True):
        lines += _asset(unit, "CDU", list(racks)) + _asset(handler, "CRAH", list(racks))
    return lines


def _default_leases(shape: Shape) -> tuple[Lease, ...]:
    year = shape.starts[:4]
    half, rest = shape.racks // 2, shape.racks // 5
    leases = (
        Lease(
            id="acme", racks=half, ramp=((shape.starts, 0.5), (f"{year}-07-01", 1.0)), redundancy=shape.scheme
        ),
        Lease(
            id="basil",
            racks=rest,
            committed_share=0.8,
            limit='{ method = "instantaneous" }',
            burst_share=0.05,
        ),
        Lease(id="cedar", racks=rest, committed_share=0.8, amended=(f"{year}-06-15", 1.1)),
    )
    return tuple(lease for lease in leases if lease.racks)


def _tenant(shape: Shape, lease: Lease, racks: tuple[str, ...]) -> list[str]:
    committed = lease.racks * shape.rating_kw / 1e3 * lease.committed_share
    lines = ["[[tenant]]", f'id = "{lease.id}"', f'name = "{lease.id.title()}"']
    lines += [f"holds = [{{ racks = {_list(_patterns(racks))}, from = {shape.starts} }}]", ""]
    lines += _contract(lease, shape.starts, committed)
    if lease.ramp:
        shapes = ["step"] + ["linear"] * len(lease.ramp)
        levels = (
            f'{{ from = {day}, committed_mw = {committed * share:.6f}, shape = "{way}" }}'
            for way, (day, share) in zip(shapes, lease.ramp, strict=False)
        )
        lines.append(f"ramp = [{', '.join(levels)}]")
    if lease.amended is not None:
        day, share = lease.amended
        lines += ["", *_contract(lease, day, committed * share)]
    return [*lines, ""]


def _contract(lease: Lease, starts: str, committed: float) -> list[str]:
    lines = ["[[tenant.contract]]", f"from = {starts}", f"committed_mw = {committed:.6f}"]
    lines.append(f"limit = {lease.limit}")
    if lease.burst_share:
        lines += [f"burst_mw = {committed * lease.burst_share:.6f}", "burst_minutes_per_month = 600"]
    if lease.redundancy is not None:
        lines.append(f'redundancy = "{lease.redundancy}"')
    return lines + ([lease.extra] if lease.extra else [])


def _asset(name: str, kind: str, serves: list[str]) -> list[str]:
    return ["[[asset]]", f'id = "{name}"', f'kind = "{kind}"', f"serves = {_list(_patterns(serves))}", ""]


def _patterns(names: tuple[str, ...] | list[str]) -> list[str]:
    """Fold runs of racks of one row into patterns, so that people can read the file."""
    found: list[str] = []
    runs: list[list[str]] = []
    for name in names:
        prefix, _, number = name.rpartition("-")
        follows = False
        if runs and number.isdigit():
            before, _, last = runs[-1][-1].rpartition("-")
            follows = before == prefix and last.isdigit() and int(last) + 1 == int(number)
        if follows:
            runs[-1].append(name)
        else:
            runs.append([name])
    for run in runs:
        prefix, _, first = run[0].rpartition("-")
        last = run[-1].rpartition("-")[2]
        found.append(run[0] if len(run) == 1 else f"{prefix}-{{{first}..{last}}}")
    return found


def _list(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
