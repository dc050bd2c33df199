"""From the tables of a scenario file to what runs and what happens, with names and amounts checked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from facility.errors import Fault
from facility.names import OPERATOR, AssetId
from facility.patterns import PatternError, choose, expand, is_open
from facility.site import Site
from facility.sitefile.notes import Notes
from simulators.model.events import ENDLESS, Event
from simulators.model.jobs import (
    Course,
    Idle,
    Inference,
    Job,
    Recorded,
    Smoothing,
    Steady,
    Storage,
    Training,
)
from simulators.model.ratings import Curve, RackRating, Rating
from simulators.model.subjects import event_faults, job_faults, subjects_of
from simulators.model.traces import (
    Trace,
    TraceError,
    building_trace,
    gpu_trace,
    node_trace,
    plain_trace,
    server_trace,
)
from simulators.model.wiring import FEED_LETTERS, Wiring
from simulators.scenario.tables import EventTable, LoadKind, LoadTable, RatingTable, TraceFormat

_CLASSES = {
    LoadKind.TRAINING: Training,
    LoadKind.INFERENCE: Inference,
    LoadKind.STORAGE: Storage,
    LoadKind.IDLE: Idle,
    LoadKind.STEADY: Steady,
    LoadKind.COURSE: Course,
    LoadKind.RECORDED: Recorded,
}
_READERS = {
    TraceFormat.PLAIN: plain_trace,
    TraceFormat.BUILDING: building_trace,
    TraceFormat.GPU: gpu_trace,
    TraceFormat.NODE: node_trace,
    TraceFormat.SERVER: server_trace,
}
_OF_RACKS = ("idle_percent", "liquid_percent", "lpm_per_kw")
_NO_TRACE = Trace("none", 1.0, np.zeros((1, 1)))
_WRITTEN = {"starts_s": "from_s", "ends_s": "to_s", "points": "kw", "total_milliwatts": "total_kw"}
_COMMON = frozenset({"name", "kind", "racks", "from_s", "to_s", "format"})
Opener = Callable[[str], str]
"""Returns the text of a file beside the scenario's, by its name; raises what reading a file does."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names that there are.

    Attributes:
        known: All names.
        choosable: Those that a pattern with `*` or `?` chooses among; None for all.
    """

    known: tuple[str, ...]
    choosable: tuple[str, ...] | None = None

    def expanded(self, path: str, patterns: Sequence[str], notes: Notes) -> tuple[str, ...]:
        """Return what patterns stand for; a name that is not there is a fault.

        Args:
            path: Where in the file they stand.
            patterns: Names or patterns.
            notes: Takes the faults.
        """
        found: list[str] = []
        for pattern in patterns:
            try:
                among = self.known if self.choosable is None else self.choosable
                names = choose(pattern, among) if is_open(pattern) else expand(pattern)
            except PatternError as error:
                notes.fault(path, error.expected, error.found)
                continue
            wrong = [name for name in names if name not in self.known]
            if wrong or not names:
                notes.unknown(path, "ids that there are", wrong[0] if wrong else pattern, self.known)
            found += [name for name in names if name in self.known]
        return tuple(dict.fromkeys(found))


def names_of(known: Site | Collection[str]) -> Names:
    """Return the names of a site, or just those."""
    if not isinstance(known, Site):
        return Names(tuple(known))
    assets = [asset.id for asset in known.assets]
    return Names((*known.racks, *assets, *(tenant.id for tenant in known.tenants)))


def jobs_of(
    tables: Sequence[tuple[str, LoadTable]],
    names: Names,
    site: Site,
    wiring: Wiring | None,
    opener: Opener,
    notes: Notes,
) -> tuple[Job, ...]:
    """Return what runs on the racks.

    Args:
        tables: The `[[load]]` tables.
        names: What racks and tenants are called.
        site: What the site file declares.
        wiring: The plant, None where it cannot be.
        opener: Opens files beside the scenario's.
        notes: Takes the faults.
    """
    jobs = [_job(path, table, names, site, opener, notes) for path, table in tables]
    if wiring is not None:
        notes.faults += _as_written(job_faults(wiring, jobs))
    return tuple(jobs)


def _as_written(faults: Iterable[Fault]) -> Iterator[Fault]:
    """Yield faults of jobs and events with their places called as in the file."""
    for fault in faults:
        table, _, name = fault.path.rpartition(".")
        yield replace(fault, path=f"{table}.{_WRITTEN.get(name, name)}")


def _job(path: str, table: LoadTable, names: Names, site: Site, opener: Opener, notes: Notes) -> Job:
    made: type[Idle] = _CLASSES[table.kind]
    said = {
        key: getattr(table, key)
        for key in LoadTable.model_fields
        if key not in _COMMON and getattr(table, key) is not None
    }
    racks = _racks(f"{path}.racks", table.racks, names, site, notes)
    common: dict[str, Any] = {
        "name": table.name,
        "racks": racks,
        "starts_s": float(table.from_s),
        "ends_s": ENDLESS if table.to_s is None else float(table.to_s),
    }
    kw, total = said.pop("kw", None), said.pop("total_kw", None)
    if made is Course:
        said["points"] = _points(f"{path}.kw", kw, racks, site, notes)
    elif kw is not None:
        notes.fault(f"{path}.kw", "kw only for a course", f"kind '{table.kind}'")
    if made is Steady:
        said["total_milliwatts"] = round((total or 0.0) * 1e6)
    elif total is not None:
        notes.fault(f"{path}.total_kw", "total_kw only for a steady load", f"kind '{table.kind}'")
    if made is Recorded:
        said["trace"] = _trace(path, table, opener, notes)
    elif said.pop("trace", None) is not None:
        notes.fault(f"{path}.trace", "a file only for a recorded load", f"kind '{table.kind}'")
    if table.smoothing is not None and made is Training:
        said["smoothing"] = Smoothing(**dict(table.smoothing))
    fields = made.__dataclass_fields__
    for key in [key for key in said if key not in fields]:
        known = sorted(set(fields) - set(Idle.__dataclass_fields__))
        notes.unknown(f"{path}.{key}", f"what a load of kind '{table.kind}' has", key, known)
        del said[key]
    return made(**common, **said)


def _trace(path: str, table: LoadTable, opener: Opener, notes: Notes) -> Trace:
    """Return what was recorded."""
    if table.trace is None:
        notes.fault(f"{path}.trace", "the file of a recorded load", "nothing")
        return _NO_TRACE
    try:
        return _READERS[table.format](table.trace, opener(table.trace).splitlines())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        notes.fault(f"{path}.trace", "a file that can be read", f"'{table.trace}': {reason}")
    except TraceError as error:
        notes.fault(f"{path}.trace", f"a recording of format '{table.format}'", str(error))
    return _NO_TRACE


def _racks(path: str, patterns: Sequence[str], names: Names, site: Site, notes: Notes) -> tuple[str, ...]:
    """Return racks; a tenant's id stands for all that it ever holds."""
    held = {
        str(tenant.id): [rack for holding in tenant.holdings for rack in holding.racks]
        for tenant in site.tenants
    }
    found: list[str] = []
    choosable = (*site.racks, *held)
    for name in Names(names.known, choosable).expanded(path, patterns, notes):
        if name in held:
            found += held[name]
        elif AssetId(name) in site.racks:
            found.append(name)
        else:
            notes.fault(path, "racks, or a tenant that holds some", f"'{name}'")
    return tuple(dict.fromkeys(found))


def _points(
    path: str, kw: list[list[float]] | None, racks: Sequence[str], site: Site, notes: Notes
) -> tuple[tuple[float, float], ...]:
    """Return a course as seconds and shares of the rating."""
    ratings = {site.racks[AssetId(rack)].rating_milliwatts or 0 for rack in racks}
    rating = min(ratings, default=0)
    if len(ratings) > 1:
        said = ", ".join(f"{rating / 1e6:g} kW" for rating in sorted(ratings))
        notes.fault(path, "racks of one rating, since a course is a share of it", said)
    points: list[tuple[float, float]] = []
    for i, row in enumerate(kw or []):
        if len(row) != 2:  # noqa: PLR2004 - a second and a power
            notes.fault(f"{path}[{i}]", "a second and a power, [60, 95.5]", str(row))
            continue
        second, power = row
        if points and second <= points[-1][0]:
            notes.fault(f"{path}[{i}]", f"a second after {points[-1][0]:g}", f"{second:g}")
        elif power < 0 or power * 1e6 > rating:
            most = f"0 to the rating of its racks, {rating / 1e6:g} kW"
            notes.fault(f"{path}[{i}]", most, f"{power:g}")
        else:
            points.append((float(second), power * 1e6 / max(rating, 1)))
    if not kw:
        notes.fault(path, "at least one second and power", "none")
    return tuple(points) or ((0.0, 0.0),)


def events_of(
    tables: Sequence[tuple[str, EventTable]],
    names: Names,
    wiring: Wiring | None,
    jobs: Sequence[Job],
    notes: Notes,
) -> tuple[Event, ...]:
    """Return what happens.

    Args:
        tables: The `[[event]]` tables.
        names: What assets and tenants are called.
        wiring: The plant, None where it cannot be.
        jobs: What runs on it.
        notes: Takes the faults.
    """
    more = (*names.known, *(job.name for job in jobs), *FEED_LETTERS, OPERATOR)
    events = []
    for path, table in tables:
        subjects = None if wiring is None else tuple(subjects_of(table.kind, wiring, jobs))
        racks = None if wiring is None else tuple(map(str, wiring.racks))
        events.append(_event(path, table, Names(more, subjects), Names(more, racks), notes))
    if wiring is not None:
        notes.faults += _as_written(event_faults(wiring, jobs, events))
    return tuple(events)


def _event(path: str, table: EventTable, names: Names, racks: Names, notes: Notes) -> Event:
    said: dict[str, Any] = {}
    if table.strength is not None:
        said["strength"] = table.strength
    if table.total_kw is not None:
        said["total_milliwatts"] = round(table.total_kw * 1e6)
    if table.failover_s is not None or not table.fails_over:
        said["failover_s"] = table.failover_s if table.fails_over else None
    if table.recovery_s is not None:
        said["recovery_s"] = table.recovery_s
    return Event(
        kind=table.kind,
        at_s=table.at_s,
        until_s=table.until_s,
        subjects=names.expanded(f"{path}.subjects", table.subjects, notes),
        to=racks.expanded(f"{path}.to", table.to, notes),
        **said,
    )


def ratings_of(
    tables: Sequence[tuple[str, RatingTable]], names: Names, site: Site, notes: Notes
) -> tuple[dict[str, Rating], dict[str, RackRating]]:
    """Return what equipment and racks are rated, by id; whether that can be is checked where it is wired.

    Args:
        tables: The `[[rating]]` tables.
        names: What assets and racks are called.
        site: What the site file declares.
        notes: Takes the faults.
    """
    found: dict[str, Rating] = {}
    racks: dict[str, RackRating] = {}
    for path, table in tables:
        said = {key: getattr(table, key) for key in table.model_fields_set - {"ids"}}
        for name in names.expanded(f"{path}.ids", table.ids, notes):
            is_rack = AssetId(name) in site.racks
            for key in sorted(said):
                if (key in _OF_RACKS) is not is_rack:
                    what = "a rack" if is_rack else "equipment"
                    notes.fault(f"{path}.{key}", f"what {what} is rated", f"'{key}' of '{name}'")
            if name in found or name in racks:
                notes.fault(f"{path}.ids", "one rating for each", f"'{name}' again")
            if is_rack:
                racks[name] = _rack_rating(table)
            else:
                found[name] = _rating(table)
    return found, racks


def _rating(table: RatingTable) -> Rating:
    keys = RatingTable.model_fields.keys() - {"ids", "curve", *_OF_RACKS}
    curve = None if table.curve is None else Curve(**dict(table.curve))
    return Rating(**{key: getattr(table, key) for key in keys}, curve=curve)


def _rack_rating(table: RatingTable) -> RackRating:
    idle, liquid = table.idle_percent, table.liquid_percent
    return RackRating(
        idle_fraction=None if idle is None else idle / 100,
        liquid_share=None if liquid is None else liquid / 100,
        lpm_per_kw=table.lpm_per_kw,
    )
