"""Composes notifications: what, where, value and limit with units, since when, how sure, what to look at.

Made of typed fields only. No template is ever filled with text from the wire, and what people named things is
kept to one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np

from facility.instants import DAY_MS, MINUTE_MS
from facility.quantities import known_or_none
from facility.shown import in_line
from facility.site import Site
from rules.alarms.openings import alarm_name
from rules.alarms.states import Change, Transition
from rules.base import Block, Desk, Rule, Severity
from rules.draw.summation_plan import Index
from rules.model.dates import date_name
from rules.notify.dashboards import dashboard_url
from rules.notify.notification import (
    Clock,
    ClosedBlock,
    ContractLimit,
    Damped,
    Details,
    Doubt,
    Doubts,
    Draw,
    HeldBack,
    Hides,
    NoLimit,
    Notification,
    OpenBlock,
    OtherReadings,
    Past,
    Racks,
    Reading,
    Readings,
    TooMany,
    message_key,
)
from rules.notify.wording import NAMED, worded
from rules.subject import Subject, SubjectKind
from rules.telemetry.cause import WORDS, Cause
from rules.view import (
    KILOWATT,
    MONITOR,
    NO_LIMIT,
    UNBOUNDED,
    AlarmView,
    DemandView,
    MeterView,
    PublisherView,
    TenantView,
    View,
)
from store.ledger.alarms import Alarm, Notice

QUARTER_S: Final = 900
"""Time zones differ by whole quarters of an hour."""
ZONE_S: Final = 5
"""How far from one a clock may be that is off by a zone (our choice)."""


# What is told -----------------------------------------------------------------------------


def compose(
    change: Transition, rule: Rule, view: View, site: Site, *, acknowledge_url: str = ""
) -> Notification:
    """Return what is told of a change.

    Args:
        change: What happened.
        rule: The rule that found it.
        view: The site at that moment.
        site: What the site file declares.
        acknowledge_url: Where it can be acknowledged; "" for nowhere.
    """
    subject = Subject(rule.kind, change.subject)
    details, incomplete, assets, asset = Details(), "", None, change.subject
    try:
        asset = view.tables.topology.asset_of(rule.kind, change.subject)
        assets = view.tables.topology.about(rule.kind, change.subject)
        details = _details(subject, rule, view, site)
        details = replace(details, hides=_hides(change, view))
        chatters = alarm_name(change.rule, change.subject)
        if chatters in view.alarms.ids and change.severity < Severity.CRITICAL:
            details = replace(details, damped=_damped(view.alarms, view.alarms.ids.index(chatters)))
    except Exception as error:  # noqa: BLE001 - no fault in a detail may keep a page from being told
        incomplete = f"{type(error).__name__}: {error}"
    over_ms = change.at_ms if change.change is Change.RETURNED else None
    told = Notification(
        key=message_key(change.alarm_id, change.change, change.severity),
        alarm=change.alarm_id,
        site=site.name,
        rule=change.rule,
        title=rule.title_of(change.rule),
        change=change.change,
        severity=change.severity,
        desks=rule.desks_of(change.severity),
        subject=subject,
        subject_name=_subject_name(subject, site),
        at_ms=change.at_ms,
        since_ms=change.since_ms,
        opened_ms=change.opened_ms,
        value=known_or_none(change.value),
        limit=known_or_none(change.limit),
        peak=known_or_none(change.peak),
        unit=rule.unit,
        look_at=rule.look_at_of(change.rule),
        runbook=site.runbook(rule.runbook()),
        reason=change.reason,
        past=Past(known_ms=change.at_ms, over_ms=change.over_ms) if change.is_past else None,
        value_is_bound=rule.value_is_bound,
        assets=assets,
        acknowledge_url=acknowledge_url,
        dashboard=dashboard_url(site.grafana, subject, asset, change.since_ms, over_ms),
        details=details,
        incomplete=incomplete,
    )
    return worded(told, site.zone)


class _Opening(msgspec.Struct):
    """What holds whenever an alarm ends, of the document that told its opening; of the ledger what lacks."""

    alarm: str
    site: str
    rule: str
    title: str
    severity: str
    desks: tuple[Desk, ...]
    subject: str
    subject_name: str
    tenant: str | None
    since_ms: int
    opened_ms: int
    limit: float | None
    peak: float | None
    unit: str
    look_at: str
    runbook: str = ""


def _subject_told(said: _Opening) -> Subject:
    """Return what a document is about."""
    if said.tenant is None:
        return Subject(SubjectKind.OTHER, said.subject)
    is_date = said.subject != said.tenant
    return Subject(SubjectKind.DATE if is_date else SubjectKind.TENANT, said.subject)


def ended(alarm: Alarm, opening: Mapping[str, Any], reason: str, at_ms: int, site: Site) -> Notification:
    """Return what is told of an alarm that nothing ended which was judged, without what held before.

    Args:
        alarm: The alarm, as the ledger has it.
        opening: The document that told its opening; one that was damaged may lack any key.
        reason: Why it ended.
        at_ms: When [ms].
        site: What the site file declares.
    """
    known = {name: getattr(alarm, name) for name in Alarm.__slots__ if name in _Opening.__struct_fields__}
    known |= {"alarm": alarm.id, "site": site.name, "subject_name": alarm.subject, "tenant": None}
    said = msgspec.convert({**known, "desks": (), "look_at": "", **opening}, _Opening)
    told = Notification(
        key=message_key(said.alarm, Change.RETURNED, Severity.INFO),
        alarm=said.alarm,
        site=said.site,
        rule=said.rule,
        title=said.title,
        change=Change.RETURNED,
        severity=Severity.of(said.severity),
        desks=said.desks,
        subject=_subject_told(said),
        subject_name=said.subject_name,
        at_ms=at_ms,
        since_ms=said.since_ms,
        opened_ms=said.opened_ms,
        limit=said.limit,
        peak=said.peak,
        unit=said.unit,
        look_at=said.look_at,
        runbook=said.runbook,
        reason=reason,
    )
    return worded(told, site.zone)


def notices_of(told: Notification, routes: Iterable[str], now_ms: int) -> list[Notice]:
    """Return a notification as it waits for its delivery, once for each route.

    Args:
        told: What is told.
        routes: The names of the routes that take it.
        now_ms: The time [ms].
    """
    body = told.document()
    return [
        Notice(
            key=told.key,
            route=route,
            alarm_id=told.alarm,
            body=body,
            source_ms=told.at_ms,
            created_ms=now_ms,
            due_ms=now_ms,
        )
        for route in routes
    ]


# What is known at the moment --------------------------------------------------------------


def _details(subject: Subject, rule: Rule, view: View, site: Site) -> Details:
    """Return what is known of a subject at the moment, by what it is."""
    places = _places_of(subject, rule, view)
    details = Details(
        racks=None if places is None else _rack_facts(view, places, site),
        doubts=None if places is None else _doubts(view, places),
    )
    match subject.kind:
        case SubjectKind.COMPARISON:
            readings, others = _meter_facts(view.meters, subject.id)
            return replace(details, readings=readings, others=others)
        case SubjectKind.PUBLISHER if subject.id in view.publishers.ids:
            is_of_racks = places is not None and len(places) > 0
            clock = Clock(clock=_clock(view.publishers, subject.id))
            return replace(details, clock=clock, racks=details.racks if is_of_racks else None)
        case SubjectKind.ALARM if subject.id in view.alarms.ids:
            alarms, place = view.alarms, view.alarms.ids.index(subject.id)
            too_many, damped = _too_many(alarms, place), _damped(alarms, place)
            tenants = alarms.tenants[place] if alarms.is_on[place] else ()
            held_back = HeldBack(damped_tenants=sorted(tenants)) if tenants else None
            return replace(details, too_many=too_many, damped=damped, held_back=held_back)
        case SubjectKind.TENANT if subject.id in view.tenants.ids:
            return _tenant_details(details, rule, view, view.tenants.ids.index(subject.id), site)
    return details


def _hides(change: Transition, view: View) -> Hides | None:
    """Return what an alarm that stands hides; None where that is nothing."""
    found = view.hides.get((change.rule, change.subject), {})
    if not found or change.change is Change.RETURNED:
        return None
    by_rule = dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))
    return Hides(hides=sum(by_rule.values()), hides_by_rule=by_rule)


def _places_of(subject: Subject, rule: Rule, view: View) -> Index | None:
    """Return the places of the racks that a subject stands for; None where it is no racks."""
    links, subjects = rule.racks(view), rule.subjects(view)
    if links is None or subject.id not in subjects:
        return None
    return links[subjects.index(subject.id)]


def doubts_of(view: View, places: Index) -> list[tuple[Cause, Index]]:
    """Return why the power of racks is not known for certain: each cause with its racks, most racks first.

    Args:
        view: The site at the moment.
        places: The places of the racks.
    """
    causes = view.racks.cause[places]
    found = [
        (Cause(code), places[causes == code]) for code in np.unique(causes[causes != Cause.NONE]).tolist()
    ]
    return sorted(found, key=lambda doubt: (-len(doubt[1]), doubt[0]))


def _doubts(view: View, places: Index) -> Doubts | None:
    doubts = [
        Doubt(
            cause=WORDS[cause],
            racks=len(racks),
            examples=[view.racks.ids[place] for place in racks[:NAMED].tolist()],
        )
        for cause, racks in doubts_of(view, places)
    ]
    return Doubts(doubts=doubts) if doubts else None


def _tenant_details(details: Details, rule: Rule, view: View, place: int, site: Site) -> Details:
    """Return what is known of a tenant: of its draw, or of the block that a rule judges."""
    contract = _contract_facts(view, place, site)
    no_limit = NoLimit() if contract is None else None
    details = replace(details, contract=contract, no_limit=no_limit)
    if rule.block is Block.CLOSED:
        return replace(details, closed=_closed_facts(view.demand, place))
    is_open = rule.block is Block.OPEN
    return replace(
        details,
        draw=_draw_facts(view, place, site),
        doubts=_doubts(view, held_by(view, place)),
        open=_open_facts(view, place) if is_open else None,
    )


def _contract_facts(view: View, place: int, site: Site) -> ContractLimit | None:
    """Return what the contract allows now, and what of; None where it has no limit."""
    limit = int(view.tenants.limit[place])
    contract = site.tenants[place].contract if place < len(site.tenants) else None
    version = contract.version_at(view.at_ms) if contract else None
    if limit == NO_LIMIT or version is None:
        return None
    return ContractLimit(
        contract_limit_kw=limit / KILOWATT,
        contract_committed_kw=version.committed_at(view.at_ms) / KILOWATT,
        contract_burst_kw=version.burst_milliwatts / KILOWATT,
        contract_tolerance_percent=version.limit.tolerance_percent,
        warn_kw=int(view.tenants.warn[place]) / KILOWATT,
    )


def _closed_facts(demand: DemandView, place: int) -> ClosedBlock | None:
    """Return how the last closed block ended."""
    block = demand.closed[place]
    if block is None:
        return None
    high = block.high_milliwatt_ms
    return ClosedBlock(
        block_from_ms=block.from_ms,
        block_to_ms=block.to_ms,
        block_low_kw=block.mean_kw(block.low_milliwatt_ms),
        block_best_kw=block.demand_kw,
        block_high_kw=None if high is None else block.mean_kw(high),
        block_limit_kw=block.limit_kw,
        block_coverage_percent=round(block.coverage * 100, 2),
    )


def _open_facts(view: View, place: int) -> OpenBlock | None:
    """Return when the open block ends, and the mean that keeps it until then."""
    demand = view.demand
    left_ms, share = int(demand.left_ms[place]), float(demand.elapsed_share[place])
    if left_ms <= 0 or not 0 <= share < 1:
        return None
    so_far_kw, limit_kw = float(demand.demand_kw[place]), float(demand.limit_kw[place])
    used_kw = 0.0 if np.isnan(so_far_kw) else so_far_kw * share
    return OpenBlock(
        block_from_ms=view.at_ms + left_ms - round(left_ms / (1 - share)),
        block_to_ms=view.at_ms + left_ms,
        block_so_far_kw=known_or_none(so_far_kw),
        block_limit_kw=limit_kw,
        left_s=left_ms / 1_000,
        hold_below_kw=max(0.0, (limit_kw - used_kw) / (1 - share)),
    )


def held_by(view: View, place: int) -> Index:
    """Return the places of the racks that a tenant holds.

    Args:
        view: The site at the moment.
        place: Row of the tenant.
    """
    return np.flatnonzero(view.racks.holders == place)


def _draw_facts(view: View, place: int, site: Site) -> Draw:
    tenants: TenantView = view.tenants
    held = held_by(view, place).tolist() if place < len(site.tenants) else []
    silent = [view.racks.ids[i] for i in held if view.racks.is_silent[i]]
    heard = [i for i in held if not view.racks.is_silent[i]]
    largest = sorted(heard, key=lambda i: -int(view.racks.draw[i]))[:NAMED]
    low, high = int(tenants.low[place]), int(tenants.high[place])
    # What was heard lately counts as covered; where the draw is not certain it may have changed since.
    share = tenants.coverage[place] if low == high else min(tenants.coverage[place], tenants.certain[place])
    return Draw(
        draw_low_kw=low / KILOWATT,
        draw_best_kw=int(tenants.best[place]) / KILOWATT,
        draw_high_kw=None if high == UNBOUNDED else high / KILOWATT,
        coverage_percent=round(float(share) * 100, 2),
        silent_racks=len(silent),
        silent_examples=silent[:NAMED],
        largest_racks=[view.racks.ids[i] for i in largest],
        largest_racks_kw=[int(view.racks.draw[i]) / KILOWATT for i in largest],
        meters_agree=bool(tenants.is_consistent[place]),
    )


def _meter_facts(meters: MeterView, subject: str) -> tuple[Readings | None, OtherReadings | None]:
    """Return what each of some meters says, and what the others say of the same power."""
    if subject not in meters.ids:
        return None, None
    place = meters.ids.index(subject)
    names, begin = meters.names[place], int(meters.starts[place])
    readings = meters.readings[begin : begin + len(names)].tolist()
    said = Readings(
        meters=len(names),
        readings=[
            Reading(meter=name, kw=reading / KILOWATT)
            for name, reading in list(zip(names, readings, strict=True))[:NAMED]
        ],
        readings_sum_kw=sum(readings) / KILOWATT,
    )
    if place >= len(meters.ids) - meters.twins:
        return said, None
    high = int(meters.high[place])
    return said, OtherReadings(
        other_low_kw=int(meters.low[place]) / KILOWATT,
        other_high_kw=None if high == UNBOUNDED else high / KILOWATT,
    )


def _rack_facts(view: View, places: Index, site: Site) -> Racks:
    racks = view.racks
    silent = [racks.ids[i] for i in places.tolist() if racks.is_silent[i]]
    among = {racks.ids[i] for i in places.tolist()}
    holders = [tenant for tenant in site.tenants if not among.isdisjoint(tenant.racks_at(view.at_ms))]
    # What was known last: of a rack that went silent, what it drew before.
    drawn = np.bincount(racks.holders[places], racks.draw[places], len(view.tenants.ids)) / KILOWATT
    drawn_kw = dict(zip(view.tenants.ids, drawn.tolist(), strict=True))
    return Racks(
        racks=len(places),
        racks_kw=float(drawn.sum()),
        silent_racks=len(silent),
        silent_examples=silent[:NAMED],
        tenants=[tenant.id for tenant in holders],
        tenant_names=[in_line(tenant.name) for tenant in holders],
        tenant_kw=[drawn_kw.get(tenant.id, 0.0) for tenant in holders],
    )


def _clock(publishers: PublisherView, subject: str) -> str:
    """Return how the clock of a publisher is off, or how our own machine's was set."""
    place = publishers.ids.index(subject)
    offset_ms = int(publishers.offset_ms[place])
    if not offset_ms:
        return "several values with one stamp" if publishers.says_two[place] else "right again"
    if subject == MONITOR:
        return f"set {_by(offset_ms, 'forward', 'back')}"
    said = f"{_amount(offset_ms)} {'ahead' if offset_ms > 0 else 'behind'}"
    seconds = abs(offset_ms) / 1_000
    quarters = round(seconds / QUARTER_S)
    jumped_ms, drift_ppm = int(publishers.jumped_ms[place]), int(publishers.drift_ppm[place])
    if quarters and abs(seconds - quarters * QUARTER_S) <= ZONE_S:
        return f"{said}, as a time zone written as another"
    if drift_ppm:
        a_day_ms = abs(drift_ppm) * DAY_MS / 1_000_000
        return f"{said}, drifting {'ahead' if drift_ppm > 0 else 'behind'} by {a_day_ms / 1_000:,.1f} s a day"
    if jumped_ms:
        return f"{said}, after a jump {_by(jumped_ms, 'ahead', 'back')}"
    return f"{said}, a constant offset" if publishers.is_watched[place] else said


def _too_many(alarms: AlarmView, place: int) -> TooMany:
    """Return how often an alarm that chatters, or the alarms of a rule, opened."""
    openings, limit = int(alarms.openings[place]), int(alarms.limit[place])
    span = _span(int(alarms.span_ms[place]))
    if alarms.is_rule[place]:
        words = f"{openings:,} alarms, more than {limit:,} in {span}"
    else:
        words = f"chatters, opened {limit:,} times in {span}"
    return TooMany(too_many=words, openings=openings, openings_untold=int(alarms.untold[place]))


def _damped(alarms: AlarmView, place: int) -> Damped | None:
    """Return what is not told while an alarm chatters or a rule floods; None where it does no more."""
    if not alarms.is_on[place] or not alarms.is_damped[place]:
        return None
    if alarms.is_rule[place]:
        limit, span = int(alarms.limit[place]), _span(int(alarms.span_ms[place]))
        return Damped(
            damped=f"below high severity {limit:,} in {span} are told; `megawatch alarms` lists all"
        )
    stands, quiet = _span(alarms.stands_ms), _span(alarms.quiet_ms)
    words = (
        f"told again only where it stands for {stands} or is critical, until it has been quiet for {quiet}"
    )
    return Damped(damped=words)


def _span(span_ms: int) -> str:
    minutes, rest_ms = divmod(span_ms, MINUTE_MS)
    return f"{minutes} min" if minutes > 1 and not rest_ms else f"{span_ms / 1_000:g} s"


def _by(offset_ms: int, forward: str, back: str) -> str:
    return f"{forward if offset_ms > 0 else back} by {_amount(offset_ms)}"


def _amount(offset_ms: int) -> str:
    seconds = abs(offset_ms) / 1_000
    hours, minutes = int(seconds // 3_600), int(seconds % 3_600 // 60)
    return f"{hours} h {minutes} min {seconds % 60:.0f} s" if hours else f"{seconds:,.1f} s"


def _subject_name(subject: Subject, site: Site) -> str:
    """Return what people call a tenant, the date of a contract, a gateway, a rack or another asset."""
    name = subject.id
    if subject.kind is SubjectKind.TENANT:
        name = next((tenant.name for tenant in site.tenants if tenant.id == subject.id), subject.id)
    elif subject.kind is SubjectKind.DATE:
        name = date_name(site, subject.id)
    elif subject == Subject(SubjectKind.PUBLISHER, MONITOR):
        name = "the monitor's own machine"
    elif subject.kind in (SubjectKind.GROUP, SubjectKind.PUBLISHER):
        broker, _, publisher = subject.id.partition(":")
        if publisher:
            name = f"gateway {publisher.rpartition(':')[2]} on {broker}"
    return in_line(name)
