"""From the tables of a scenario file to what runs and what happens, with names and amounts checked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from facility.names import AssetId
from facility.patterns import PatternError, choose, expand, is_open
from facility.site import Site
from facility.sitenotes import Notes
from simulators.model.events import ENDLESS, Event
from simulators.model.jobs import Course, Idle, Inference, Job, Steady, Storage, Training
from simulators.model.ratings import Rating
from simulators.model.subjects import event_faults, job_faults
from simulators.model.wiring import Wiring
from simulators.scenario.scenario import Expectation
from simulators.scenario.tables import EventTable, LoadKind, LoadTable, MustTable, RatingTable

_CLASSES = {
    LoadKind.TRAINING: Training,
    LoadKind.INFERENCE: Inference,
    LoadKind.STORAGE: Storage,
    LoadKind.IDLE: Idle,
    LoadKind.STEADY: Steady,
    LoadKind.COURSE: Course,
}
_COMMON = frozenset({"name", "kind", "racks", "from_s", "to_s"})


@dataclass(frozen=True, slots=True)
class Names:
    """Names that there are.

    Attributes:
        known: All of them.
    """

    known: tuple[str, ...]

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
                names = choose(pattern, self.known) if is_open(pattern) else expand(pattern)
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
    tables: Sequence[tuple[str, LoadTable]], names: Names, site: Site, wiring: Wiring | None, notes: Notes
) -> tuple[Job, ...]:
    """Return what runs on the racks.

    Args:
        tables: The `[[load]]` tables.
        names: What racks and tenants are called.
        site: The site.
        wiring: The plant, None where it can not be.
        notes: Takes the faults.
    """
    jobs = [_job(path, table, names, site, notes) for path, table in tables]
    if wiring is not None:
        notes.faults += job_faults(wiring, jobs)
    return tuple(jobs)


def _job(path: str, table: LoadTable, names: Names, site: Site, notes: Notes) -> Job:
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
    fields = made.__dataclass_fields__
    for key in [key for key in said if key not in fields]:
        known = sorted(set(fields) - set(Idle.__dataclass_fields__))
        notes.unknown(f"{path}.{key}", f"what a load of kind '{table.kind}' has", key, known)
        del said[key]
    return made(**common, **said)


def _racks(path: str, patterns: Sequence[str], names: Names, site: Site, notes: Notes) -> tuple[str, ...]:
    """Return racks; a tenant's id stands for all that it ever holds."""
    held = {
        str(tenant.id): [rack for holding in tenant.holdings for rack in holding.racks]
        for tenant in site.tenants
    }
    found: list[str] = []
    for name in names.expanded(path, patterns, notes):
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
    ratings = {site.racks[AssetId(rack)].rating_milliwatts for rack in racks} - {None}
    rating = min((rating for rating in ratings if rating is not None), default=0)
    points: list[tuple[float, float]] = []
    for i, row in enumerate(kw or []):
        if len(row) != 2:  # noqa: PLR2004 - a second and a power
            notes.fault(f"{path}[{i}]", "a second and a power, [60, 95.5]", str(row))
            continue
        second, power = row
        if points and second <= points[-1][0]:
            notes.fault(f"{path}[{i}]", f"a second after {points[-1][0]:g}", f"{second:g}")
        elif power < 0 or power * 1e6 > rating:
            notes.fault(f"{path}[{i}]", f"0 to the rating of its racks, {rating / 1e6:g} kW", f"{power:g}")
        else:
            points.append((float(second), power * 1e6 / rating))
    if not points:
        notes.fault(path, "at least one second and power", "none")
        return ((0.0, 0.0),)
    return tuple(points)


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
        wiring: The plant, None where it can not be.
        jobs: What runs on it.
        notes: Takes the faults.
    """
    more = [*names.known, *(job.name for job in jobs), "A", "B", "C", "D", "operator"]
    events = [_event(path, table, Names(tuple(more)), notes) for path, table in tables]
    if wiring is not None:
        notes.faults += event_faults(wiring, jobs, events)
    return tuple(events)


def _event(path: str, table: EventTable, names: Names, notes: Notes) -> Event:
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
        to=names.expanded(f"{path}.to", table.to, notes),
        **said,
    )


def ratings_of(tables: Sequence[tuple[str, RatingTable]], names: Names, notes: Notes) -> dict[str, Rating]:
    """Return what equipment is rated, by its id; whether that can be is checked where it is wired.

    Args:
        tables: The `[[rating]]` tables.
        names: What assets are called.
        notes: Takes the faults.
    """
    found: dict[str, Rating] = {}
    for path, table in tables:
        said = {key: getattr(table, key) for key in RatingTable.model_fields if key != "ids"}
        for name in names.expanded(f"{path}.ids", table.ids, notes):
            if name in found:
                notes.fault(f"{path}.ids", "one rating for each", f"'{name}' again")
            found[name] = Rating(**said)
    return found


def expectations_of(
    tables: Sequence[tuple[str, MustTable]], seconds: int, rules: Collection[str], notes: Notes
) -> tuple[Expectation, ...]:
    """Return the alarms that must be raised.

    Args:
        tables: The `[[must]]` tables.
        seconds: How long the scenario lasts [s].
        rules: The rules that there are; none are checked if empty.
        notes: Takes the faults.
    """
    found: list[Expectation] = []
    for path, table in tables:
        if table.to_s < table.from_s:
            notes.fault(f"{path}.to_s", f"a second not before {table.from_s}", str(table.to_s))
        if table.from_s > seconds:
            notes.fault(f"{path}.from_s", f"a second of the {seconds} that it lasts", str(table.from_s))
        if rules and table.rule not in rules:
            notes.unknown(f"{path}.rule", "a rule that there is; else [[waits_for]]", table.rule, rules)
        found += [
            Expectation(
                rule=table.rule,
                subject=subject,
                from_s=table.from_s,
                to_s=table.to_s,
                severity=table.severity,
                returns_by_s=table.returns_by_s,
                is_told=table.told,
            )
            for subject in _subjects(path, table.subject, notes)
        ]
    return tuple(found)


def _subjects(path: str, patterns: Sequence[str], notes: Notes) -> list[str]:
    """Return whom alarms are about; what has a colon is a stream, and stands for itself."""
    found: list[str] = []
    for pattern in patterns:
        try:
            found += [pattern] if ":" in pattern else expand(pattern)
        except PatternError as error:
            notes.fault(f"{path}.subject", error.expected, error.found)
    return found
