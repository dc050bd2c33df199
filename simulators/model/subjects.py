"""Checking what jobs and events name and ask: all faults at once, with the nearest known name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from facility.errors import Fault
from facility.names import OPERATOR, nearest
from simulators.model.events import Event, EventKind
from simulators.model.jobs import Course, Inference, Job, Recorded, Steady, Storage, Training
from simulators.model.ratings import Role, WiringError
from simulators.model.sources import POWER_KINDS
from simulators.model.wiring import FEED_LETTERS, Wiring

_K = EventKind
_NEEDS_SUBJECT: Final = frozenset(_K) - {_K.SAG, _K.CHILLER_LOSS, _K.CRAH_LOSS, _K.DEW_POINT, _K.FREQUENCY}
_SHARE: Final = (0.0, 1.0, "a share from 0 to 1")
_STRENGTHS: Final = MappingProxyType(
    {
        **dict.fromkeys((_K.SAG, _K.FLOW_LOSS, _K.LOAD_STEP, _K.RAMP, _K.CURTAIL), _SHARE),
        _K.DEW_POINT: (-20.0, 40.0, "a dew point from -20 to 40 °C"),
        _K.BYPASS: (0.0, 4.0, "a share from 0 to 4"),
        _K.UNBALANCE: _SHARE,
        _K.FREQUENCY: (0.0, 2.0, "a frequency from 0 to 2 per unit"),
        _K.LEAK: (0.0, 10_000.0, "a loss of pressure from 0 to 10,000 kPa/min"),
    }
)
_TOTALS: Final = frozenset({_K.LOAD_STEP, _K.RAMP, _K.CURTAIL})
LONGEST_S: Final = 10 * 366 * 86_400.0
"""The latest moment of a run: ten years [s]."""


def subjects_of(kind: EventKind, wiring: Wiring, jobs: Sequence[Job]) -> list[str]:
    """Return every id that may be the subject of a kind of event.

    Args:
        kind: What happens.
        wiring: The plant's graph and ratings, in arrays.
        jobs: What runs on it.
    """
    of_role = {Role.UPS: wiring.of_role(Role.UPS), Role.GENERATOR: wiring.of_role(Role.GENERATOR)}
    names: dict[EventKind, Sequence[str]] = {
        _K.SAG: [wiring.nodes[i] for i in wiring.roots() if wiring.node_roles[i] is not Role.GENERATOR],
        _K.UPS_FAULT: [wiring.nodes[i] for i in of_role[Role.UPS]],
        _K.GENERATOR_FAILURE: [wiring.nodes[i] for i in of_role[Role.GENERATOR]],
        _K.PUMP_FAILURE: wiring.cdus,
        _K.FLOW_LOSS: [*wiring.cdus, *wiring.racks],
        _K.CHILLER_LOSS: wiring.chillers,
        _K.CRAH_LOSS: wiring.crahs,
        _K.LEAK: wiring.racks,
        _K.BYPASS: wiring.racks,
        _K.LEAK_DETECTOR_FAULT: wiring.racks,
        _K.UNBALANCE: wiring.racks,
        _K.FREQUENCY: (),
        _K.DEW_POINT: (),
        _K.JOB_MOVE: [job.name for job in jobs],
    }
    if kind in names:
        return list(names[kind])
    if kind in POWER_KINDS:
        return [*wiring.nodes, *FEED_LETTERS[: wiring.feeds]]
    tenants = [tenant.id for tenant in wiring.site.tenants]
    return [*(job.name for job in jobs), *tenants, OPERATOR, *wiring.racks]


def event_faults(
    wiring: Wiring, jobs: Sequence[Job], events: Iterable[Event], path: str = "event"
) -> list[Fault]:
    """Return what is wrong with events.

    Args:
        wiring: The plant's graph and ratings, in arrays.
        jobs: What runs on it.
        events: Events, in any order.
        path: What their list is called in faults: `event[3].at_s`.
    """
    faults: list[Fault] = []
    for i, event in enumerate(events):
        faults += _event_faults(wiring, jobs, event, f"{path}[{i}]")
    return faults


def _event_faults(wiring: Wiring, jobs: Sequence[Job], event: Event, path: str) -> Iterable[Fault]:
    known = set(subjects_of(event.kind, wiring, jobs)) if event.subjects else set[str]()
    for subject in event.subjects:
        if subject not in known:
            expected = f"what '{event.kind}' can befall"
            hint = nearest(subject, known)
            yield Fault(path=f"{path}.subjects", expected=expected, found=f"'{subject}'", hint=hint)
    if not event.subjects and event.kind in _NEEDS_SUBJECT:
        yield Fault(path=f"{path}.subjects", expected="at least one id", found="none")
    yield from _time_faults(event, path)
    yield from _strength_faults(event, path)
    if event.total_milliwatts is not None:
        yield from _total_faults(wiring, jobs, event, path)
    yield from _rack_faults(wiring, event.to, f"{path}.to")
    if event.kind is _K.JOB_MOVE and not event.to:
        yield Fault(path=f"{path}.to", expected="the racks that the job goes to", found="none")


def _time_faults(event: Event, path: str) -> Iterable[Fault]:
    if not 0 <= event.at_s <= LONGEST_S:
        yield Fault(path=f"{path}.at_s", expected="a second of the run, from 0", found=f"{event.at_s:g}")
    if event.until_s is not None and not event.until_s > event.at_s:
        found = f"{event.until_s:g}"
        yield Fault(path=f"{path}.until_s", expected=f"a moment after {event.at_s:g}", found=found)
    if event.kind is _K.RAMP and event.until_s is None:
        yield Fault(path=f"{path}.until_s", expected="when the ramp is over", found="nothing")
    for name, seconds in (("failover_s", event.failover_s), ("recovery_s", event.recovery_s)):
        if seconds is not None and not 0 <= seconds <= LONGEST_S:
            yield Fault(path=f"{path}.{name}", expected="a time from 0 s", found=f"{seconds:g}")


def _strength_faults(event: Event, path: str) -> Iterable[Fault]:
    low, high, what = _STRENGTHS.get(event.kind, (None, None, ""))
    if low is not None and high is not None and not low <= event.strength <= high:
        yield Fault(path=f"{path}.strength", expected=what, found=f"{event.strength:g}")


def _total_faults(wiring: Wiring, jobs: Sequence[Job], event: Event, path: str) -> Iterable[Fault]:
    total = event.total_milliwatts or 0
    if event.kind not in _TOTALS:
        expected = f"no total with '{event.kind}'"
        yield Fault(path=f"{path}.total_milliwatts", expected=expected, found=f"{total}")
        return
    if total < 0:
        yield Fault(path=f"{path}.total_milliwatts", expected="a power from 0", found=f"{total}")
    racks = [_racks_ever(wiring, jobs, subject) for subject in event.subjects]
    if racks and all(racks):
        yield from _most(
            wiring, {rack for found in racks for rack in found}, total, f"{path}.total_milliwatts"
        )


def _racks_ever(wiring: Wiring, jobs: Sequence[Job], subject: str) -> set[str]:
    """Return all racks that a rack's id, a job's name or a tenant's id ever stands for; none if unknown."""
    if subject in wiring.rack_place:
        return {subject}
    if subject == OPERATOR:
        return {str(rack) for rack in wiring.racks}
    found = {rack for job in jobs if job.name == subject for rack in job.racks}
    found |= {rack for job in jobs if job.name == subject for move in job.moves for rack in move.racks}
    for tenant in wiring.site.tenants:
        if tenant.id == subject:
            found |= {str(rack) for holding in tenant.holdings for rack in holding.racks}
    return found


def _most(wiring: Wiring, racks: Iterable[str], total: int, path: str) -> Iterable[Fault]:
    known = [wiring.rack_place[rack] for rack in racks if rack in wiring.rack_place]  # type: ignore[index]  # ids are strings
    most = int(wiring.rack_rating_milliwatts[known].sum())
    if total > most:
        expected = f"at most {most / 1e6:g} kW, what the racks are rated"
        yield Fault(path=path, expected=expected, found=f"{total / 1e6:g} kW")


def _rack_faults(wiring: Wiring, racks: Sequence[str], path: str) -> Iterable[Fault]:
    for rack in racks:
        if rack not in wiring.rack_place:
            hint = nearest(rack, wiring.racks)
            yield Fault(path=path, expected="racks of the site", found=f"'{rack}'", hint=hint)


def job_faults(wiring: Wiring, jobs: Sequence[Job], path: str = "load") -> list[Fault]:
    """Return what is wrong with jobs.

    Args:
        wiring: The plant's graph and ratings, in arrays.
        jobs: Jobs, in any order.
        path: What their list is called in faults: `load[0].racks`.
    """
    faults: list[Fault] = []
    names: set[str] = set()
    for i, job in enumerate(jobs):
        where = f"{path}[{i}]"
        if job.name in names:
            faults.append(Fault(path=f"{where}.name", expected="a name of its own", found=f"'{job.name}'"))
        names.add(job.name)
        faults += _rack_faults(wiring, job.racks, f"{where}.racks")
        for move in job.moves:
            faults += _rack_faults(wiring, move.racks, f"{where}.moves")
        if not job.racks:
            faults.append(Fault(path=f"{where}.racks", expected="at least one rack", found="none"))
        if not job.ends_s > job.starts_s:
            expected, found = f"a moment after {job.starts_s:g}", f"{job.ends_s:g}"
            faults.append(Fault(path=f"{where}.ends_s", expected=expected, found=found))
        if isinstance(job, Course) and not _rises([time for time, _ in job.points]):
            expected, found = "points in order of time, at least one", repr(job.points)[:60]
            faults.append(Fault(path=f"{where}.points", expected=expected, found=found))
        if isinstance(job, Steady):
            faults += _most(wiring, job.racks, job.total_milliwatts, f"{where}.total_milliwatts")
        faults += [
            Fault(path=f"{where}.{name}", expected=f"{low:g} to {high:g}", found=f"{value:g}")
            for name, value, low, high in _measures(job)
            if not low <= value <= high
        ]
    return faults


def _rises(times: Sequence[float]) -> bool:
    return bool(times) and all(first < second for first, second in pairwise(times))


def _measures(job: Job) -> list[tuple[str, float, float, float]]:
    """Return name, value, lowest and highest possible value of a job's measures."""
    match job:
        case Training():
            found = [
                ("level", job.level, 0.0, 1.0),
                ("period_s", job.period_s, 0.1, 600.0),
                ("dip", job.dip, 0.0, 1.0),
                ("dip_share", job.dip_share, 0.0, 1.0),
                ("checkpoint_every_s", job.checkpoint_every_s, 0.0, LONGEST_S),
                ("checkpoint_s", job.checkpoint_s, 0.0, LONGEST_S),
                ("checkpoint_level", job.checkpoint_level, 0.0, 1.0),
                ("failure_hours", 1.0 if job.failure_hours is None else job.failure_hours, 0.01, 1e6),
            ]
            smooth = job.smoothing
            if smooth is not None:
                found += [
                    ("smoothing.floor", smooth.floor, 0.0, 1.0),
                    ("smoothing.up_kw_per_s", smooth.up_kw_per_s, 0.001, 1e6),
                    ("smoothing.down_kw_per_s", smooth.down_kw_per_s, 0.001, 1e6),
                ]
            return found
        case Inference():
            return [
                ("level", job.level, 0.0, 1.0),
                ("sigma", job.sigma, 0.0, 1.0),
                ("tau_s", job.tau_s, 0.1, LONGEST_S),
                ("common", job.common, 0.0, 1.0),
                ("daily", job.daily, 0.0, 1.0),
                ("peak_hour", job.peak_hour, 0.0, 24.0),
            ]
        case Storage():
            return [("level", job.level, 0.0, 1.0), ("sigma", job.sigma, 0.0, 1.0)]
        case Course():
            points = [("points", level, 0.0, 1.0) for _, level in job.points]
            return [*points, ("sigma", job.sigma, 0.0, 1.0)]
        case Recorded():
            return [("level", job.level, 0.0, 1.0), ("speed", job.speed, 1e-6, 1e6)]
        case Steady():
            return [("total_milliwatts", float(job.total_milliwatts), 0.0, 1e15)]
        case _:
            return []


def check_jobs(wiring: Wiring, jobs: Sequence[Job]) -> None:
    """Raise what is wrong with jobs.

    Raises:
        WiringError: With all faults, where there are any.
    """
    faults = job_faults(wiring, jobs)
    if faults:
        raise WiringError(wiring.site.name, tuple(faults))


def check_events(wiring: Wiring, jobs: Sequence[Job], events: Sequence[Event]) -> None:
    """Raise what is wrong with events.

    Raises:
        WiringError: With all faults, where there are any.
    """
    faults = event_faults(wiring, jobs, events)
    if faults:
        raise WiringError(wiring.site.name, tuple(faults))
