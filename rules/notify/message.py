"""What a notification says: what, where, value and limit with units, since when, how sure, what to look at.

Made of typed fields only. No template is ever filled with text from the wire, and what people named things is
kept to one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from facility.quantities import known_or_none
from facility.shown import in_line
from facility.site import Site
from rules.alarms.states import Change, Transition
from rules.base import About, Block, Rule
from rules.draw.summation_plan import Index
from rules.notify.wording import NAMED, headline, text
from rules.view import (
    KILOWATT,
    MONITOR,
    NO_LIMIT,
    UNBOUNDED,
    DemandView,
    MeterView,
    PublisherView,
    TenantView,
    View,
)

QUARTER_S: Final = 900
"""Time zones differ by whole quarters of an hour."""
ZONE_S: Final = 5
"""How far from one a clock may be that is off by a zone (our choice)."""
_LASTING: Final = (
    "alarm",
    "site",
    "rule",
    "title",
    "severity",
    "desks",
    "subject",
    "subject_name",
    "tenant",
    "since_ms",
    "opened_ms",
    "limit",
    "peak",
    "unit",
    "look_at",
)
"""Of what was told when an alarm opened, what holds whenever it ends."""


def message_key(change: Transition) -> str:
    """Return what makes a notification the same message whenever it is sent."""
    if change.change is Change.WORSENED:
        return f"{change.alarm_id}:{change.change}:{change.severity.word}"
    return f"{change.alarm_id}:{change.change}"


def compose(change: Transition, rule: Rule, view: View, site: Site) -> dict[str, Any]:
    """Return what is told of a change.

    Args:
        change: What happened.
        rule: The rule that found it.
        view: The site at that moment.
        site: The site.

    Returns:
        A document of plain values; `headline` and `text` are for people, the rest for programs.
    """
    facts: dict[str, Any] = {
        "key": message_key(change),
        "alarm": change.alarm_id,
        "site": site.name,
        "rule": change.rule,
        "title": rule.title_of(change.rule),
        "change": change.change.value,
        "severity": change.severity.word,
        "desks": [desk.value for desk in rule.desks],
        "subject": change.subject,
        "subject_name": _subject_name(change.subject, rule.about, site),
        "tenant": change.subject if rule.about is About.TENANT else None,
        "at_ms": change.at_ms,
        "since_ms": change.since_ms,
        "opened_ms": change.opened_ms,
        "value": known_or_none(change.value),
        "limit": known_or_none(change.limit),
        "peak": known_or_none(change.peak),
        "unit": rule.unit,
        "look_at": rule.look_at_of(change.rule),
    }
    if change.reason:
        facts["reason"] = change.reason
    if change.is_past:
        facts |= {"known_ms": change.at_ms, "over_ms": change.over_ms}
    if rule.value_is_bound:
        facts["value_is_bound"] = True
    try:
        facts |= _details(change.subject, rule, view, site)
    except Exception as error:  # noqa: BLE001 - no fault in a detail may keep a page from being told
        facts["incomplete"] = f"{type(error).__name__}: {error}"
    facts["headline"] = headline(facts, site)
    facts["text"] = text(facts, site)
    return facts


def ended(opening: Mapping[str, Any], reason: str, at_ms: int, site: Site) -> dict[str, Any]:
    """Return what is told of an alarm that nothing ended which was judged.

    Args:
        opening: What was told when it opened.
        reason: Why it ended.
        at_ms: When [ms].
        site: The site.

    Returns:
        A document as of `compose`, without what held at any other moment.
    """
    facts = {name: value for name, value in opening.items() if name in _LASTING}
    facts |= {
        "key": f"{opening['alarm']}:{Change.RETURNED}",
        "change": Change.RETURNED.value,
        "at_ms": at_ms,
        "value": None,
        "reason": reason,
    }
    facts["headline"] = headline(facts, site)
    facts["text"] = text(facts, site)
    return facts


def _details(subject: str, rule: Rule, view: View, site: Site) -> dict[str, Any]:
    """Return what is known of a subject at the moment, by what the rule is about."""
    facts: dict[str, Any] = {}
    if rule.about is About.METER:
        facts |= _meter_facts(view.meters, subject)
    if rule.about is About.PUBLISHER and subject in view.publishers.ids:
        facts["clock"] = _clock(view.publishers, subject)
    if rule.about is About.TENANT and subject in view.tenants.ids:
        place = view.tenants.ids.index(subject)
        facts |= _contract_facts(view, place, site)
        if rule.block is Block.CLOSED:
            return facts | _closed_facts(view.demand, place)
        facts |= _tenant_facts(view, place, site)
        if rule.block is Block.OPEN:
            facts |= _open_facts(view, place)
    racks = rule.racks_of(view, subject)
    return facts if racks is None else facts | _rack_facts(view, racks, site)


def _contract_facts(view: View, place: int, site: Site) -> dict[str, Any]:
    """Return what the contract allows now, and what of."""
    limit = int(view.tenants.limit[place])
    contract = site.tenants[place].contract if place < len(site.tenants) else None
    version = contract.version_at(view.at_ms) if contract else None
    if limit == NO_LIMIT or version is None:
        return {"contract_limit_kw": None}
    return {
        "contract_limit_kw": limit / KILOWATT,
        "contract_committed_kw": version.committed_at(view.at_ms) / KILOWATT,
        "contract_burst_kw": version.burst_milliwatts / KILOWATT,
        "contract_tolerance_percent": version.limit.tolerance_percent,
        "warn_kw": int(view.tenants.warn[place]) / KILOWATT,
    }


def _closed_facts(demand: DemandView, place: int) -> dict[str, Any]:
    """Return how the last closed block ended."""
    block = demand.closed[place]
    if block is None:
        return {}
    high = block.high_milliwatt_ms
    return {
        "block_from_ms": block.from_ms,
        "block_to_ms": block.to_ms,
        "block_low_kw": block.mean_kw(block.low_milliwatt_ms),
        "block_best_kw": block.demand_kw,
        "block_high_kw": None if high is None else block.mean_kw(high),
        "block_limit_kw": block.limit_kw,
        "block_coverage_percent": round(block.coverage * 100, 2),
    }


def _open_facts(view: View, place: int) -> dict[str, Any]:
    """Return when the open block ends, and the mean that keeps it until then."""
    demand = view.demand
    left_ms, share = int(demand.left_ms[place]), float(demand.elapsed_share[place])
    if left_ms <= 0 or not 0 <= share < 1:
        return {}
    so_far_kw, limit_kw = float(demand.demand_kw[place]), float(demand.limit_kw[place])
    used_kw = 0.0 if np.isnan(so_far_kw) else so_far_kw * share
    return {
        "block_from_ms": view.at_ms + left_ms - round(left_ms / (1 - share)),
        "block_to_ms": view.at_ms + left_ms,
        "block_so_far_kw": known_or_none(so_far_kw),
        "block_limit_kw": limit_kw,
        "left_s": left_ms / 1_000,
        "hold_below_kw": max(0.0, (limit_kw - used_kw) / (1 - share)),
    }


def _tenant_facts(view: View, place: int, site: Site) -> dict[str, Any]:
    tenants: TenantView = view.tenants
    racks = set(site.tenants[place].racks_at(view.at_ms)) if place < len(site.tenants) else set()
    held = [i for i, rack in enumerate(view.racks.ids) if rack in racks]
    silent = [view.racks.ids[i] for i in held if view.racks.is_silent[i]]
    heard = [i for i in held if not view.racks.is_silent[i]]
    largest = sorted(heard, key=lambda i: -int(view.racks.draw[i]))[:NAMED]
    low, high = int(tenants.low[place]), int(tenants.high[place])
    # What was heard lately counts as covered; where the draw is not certain it may have changed since.
    share = tenants.coverage[place] if low == high else min(tenants.coverage[place], tenants.certain[place])
    return {
        "draw_low_kw": low / KILOWATT,
        "draw_best_kw": int(tenants.best[place]) / KILOWATT,
        "draw_high_kw": None if high == UNBOUNDED else high / KILOWATT,
        "coverage_percent": round(float(share) * 100, 2),
        "silent_racks": len(silent),
        "silent_examples": silent[:NAMED],
        "largest_racks": [view.racks.ids[i] for i in largest],
        "largest_racks_kw": [int(view.racks.draw[i]) / KILOWATT for i in largest],
        "meters_agree": bool(tenants.is_consistent[place]),
    }


def _meter_facts(meters: MeterView, subject: str) -> dict[str, Any]:
    """Return what each of some meters says, and what is said beneath them."""
    if subject not in meters.ids:
        return {}
    place = meters.ids.index(subject)
    names, begin = meters.names[place], int(meters.starts[place])
    readings = meters.readings[begin : begin + len(names)].tolist()
    facts: dict[str, Any] = {
        "meters": len(names),
        "readings": [
            {"meter": name, "kw": reading / KILOWATT}
            for name, reading in list(zip(names, readings, strict=True))[:NAMED]
        ],
        "readings_sum_kw": sum(readings) / KILOWATT,
    }
    if place < len(meters.ids) - meters.twins:
        high = int(meters.high[place])
        facts["other_low_kw"] = int(meters.low[place]) / KILOWATT
        facts["other_high_kw"] = None if high == UNBOUNDED else high / KILOWATT
    return facts


def _rack_facts(view: View, places: Index, site: Site) -> dict[str, Any]:
    racks = view.racks
    silent = [racks.ids[i] for i in places.tolist() if racks.is_silent[i]]
    among = {racks.ids[i] for i in places.tolist()}
    holders = [tenant for tenant in site.tenants if not among.isdisjoint(tenant.racks_at(view.at_ms))]
    return {
        "racks": len(places),
        "silent_racks": len(silent),
        "silent_examples": silent[:NAMED],
        "tenants": [tenant.id for tenant in holders],
        "tenant_names": [in_line(tenant.name) for tenant in holders],
    }


def _clock(publishers: PublisherView, subject: str) -> str:
    """Return how the clock of a publisher is off, or how our own machine's was set."""
    place = publishers.ids.index(subject)
    offset_ms = int(publishers.offset_ms[place])
    if not offset_ms:
        return "several values with one stamp" if publishers.says_two[place] else "right again"
    seconds = abs(offset_ms) / 1_000
    hours, minutes = int(seconds // 3_600), int(seconds % 3_600 // 60)
    amount = f"{hours} h {minutes} min {seconds % 60:.0f} s" if hours else f"{seconds:,.1f} s"
    if subject == MONITOR:
        return f"set {'forward' if offset_ms > 0 else 'back'} by {amount}"
    said = f"{amount} {'ahead' if offset_ms > 0 else 'behind'}"
    quarters = round(seconds / QUARTER_S)
    is_zone = quarters and abs(seconds - quarters * QUARTER_S) <= ZONE_S
    return f"{said}, as a time zone written as another" if is_zone else said


def _subject_name(subject: str, about: About, site: Site) -> str:
    """Return what people call a tenant, a gateway, a rack or another asset."""
    name = subject
    if about is About.TENANT:
        name = next((tenant.name for tenant in site.tenants if tenant.id == subject), subject)
    elif subject == MONITOR and about is About.PUBLISHER:
        name = "the monitor's own machine"
    elif about in (About.GROUP, About.PUBLISHER):
        broker, _, publisher = subject.partition(":")
        if publisher:
            name = f"gateway {publisher.rpartition(':')[2]} on {broker}"
    return in_line(name)
