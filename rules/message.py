"""What a notification says: what, where, value and limit with units, since when, how sure, what to look at.

Made of typed fields only. No template is ever filled with text from the wire, and what people named things is
kept to one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from facility.instants import to_datetime
from facility.site import Site
from rules.alarms import Change, Transition
from rules.base import CANNOT_VERIFY, About, Rule
from rules.layout import Index
from rules.view import KILOWATT, NO_LIMIT, UNBOUNDED, MeterView, TenantView, View

NAMED: Final = 5
"""How many racks a page names; the number of all stands beside them."""


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
        "value": _number(change.value),
        "limit": _number(change.limit),
        "peak": _number(change.peak),
        "unit": rule.unit,
        "look_at": rule.look_at_of(change.rule),
    }
    if change.reason:
        facts["reason"] = change.reason
    if change.is_past:
        facts |= {"known_ms": change.at_ms, "over_ms": change.over_ms}
    if rule.about is About.METER:
        facts |= _meter_facts(view.meters, change.subject)
    if rule.about is About.TENANT and change.subject in view.tenants.ids:
        facts |= _tenant_facts(view, view.tenants.ids.index(change.subject), site)
    racks = _racks_of(rule, view, change.subject)
    if racks is not None:
        facts |= _rack_facts(view, racks, site)
    facts["headline"] = _headline(facts, site)
    facts["text"] = _text(facts, site)
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
    facts["headline"] = _headline(facts, site)
    facts["text"] = _text(facts, site)
    return facts


def _tenant_facts(view: View, place: int, site: Site) -> dict[str, Any]:
    tenants: TenantView = view.tenants
    racks = set(site.tenants[place].racks_at(view.at_ms)) if place < len(site.tenants) else set()
    silent = [
        rack
        for rack, is_silent in zip(view.racks.ids, view.racks.is_silent.tolist(), strict=True)
        if is_silent and rack in racks
    ]
    order = np.argsort(-view.racks.draw, kind="stable").tolist()
    largest = [view.racks.ids[i] for i in order if view.racks.ids[i] in racks][:NAMED]
    high, limit = int(tenants.high[place]), int(tenants.limit[place])
    return {
        "draw_low_kw": int(tenants.low[place]) / KILOWATT,
        "draw_best_kw": int(tenants.best[place]) / KILOWATT,
        "draw_high_kw": None if high == UNBOUNDED else high / KILOWATT,
        "contract_limit_kw": None if limit == NO_LIMIT else limit / KILOWATT,
        "coverage_percent": round(float(tenants.coverage[place]) * 100, 2),
        "silent_racks": len(silent),
        "silent_examples": silent[:NAMED],
        "largest_racks": largest,
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


def _racks_of(rule: Rule, view: View, subject: str) -> Index | None:
    """Return the racks that a subject stands for; None where it is none, or not there any more."""
    try:
        return rule.racks_of(view, subject)
    except (KeyError, ValueError):
        return None


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
    }


def _headline(facts: dict[str, Any], site: Site) -> str:
    name, title = facts["subject_name"], facts["title"]
    if facts["change"] == Change.RETURNED:
        return f"[over] {name}: {title}"
    word = facts["severity"].upper()
    if "known_ms" in facts:
        return f"[{word}] {name}: {title} in the past, up to {_over_limit(facts)}, {_span(facts, site)}"
    if facts["rule"].endswith(CANNOT_VERIFY) and "draw_low_kw" in facts:
        return f"[{word}] {name}: {title}, draw {_between(facts)}, limit {_power(facts['limit'] or 0, 'kW')}"
    if facts["value"] is None:
        return f"[{word}] {name}: {title}"
    value = _power(facts["value"], facts["unit"])
    if not facts["limit"]:
        return f"[{word}] {name}: {title}, {value}"
    between = " of " if facts["unit"] == "kW" else ", limit "
    return f"[{word}] {name}: {title}, {value}{between}{_power(facts['limit'], facts['unit'])}"


def _over_limit(facts: dict[str, Any]) -> str:
    """Return the worst value and its limit."""
    return f"{_power(facts['peak'], facts['unit'])} of {_power(facts['limit'] or 0, facts['unit'])}"


def _span(facts: dict[str, Any], site: Site) -> str:
    """Return from when to when the limit was broken, as far as that is known."""
    since = _time(facts["since_ms"], site)
    return f"since {since}" if facts["over_ms"] is None else f"{since} to {_time(facts['over_ms'], site)}"


def _text(facts: dict[str, Any], site: Site) -> str:
    lines = [facts["headline"]]
    lines.append(f"where: {facts['subject']} at {site.name}, rule {facts['rule']}, alarm {facts['alarm']}")
    if "known_ms" in facts:
        lines.append(f"when: {_span(facts, site)}; known since readings of then arrived late")
    else:
        lines.append(f"since: {_time(facts['since_ms'], site)}, told at {_time(facts['at_ms'], site)}")
    if "reason" in facts:
        lines.append(f"ended: {facts['reason']}")
    if facts["peak"] is not None and facts["limit"] and facts["change"] == Change.RETURNED:
        lines.append(f"peak: {_power(facts['peak'], facts['unit'])}")
    elif facts["unit"] == "kW" and facts["value"] and facts["limit"] and facts["value"] > facts["limit"]:
        lines.append(f"over: {_over(facts['value'], facts['limit'])}")
    if "draw_low_kw" in facts:
        lines += _draw_lines(facts)
    if "readings" in facts:
        lines += _reading_lines(facts)
    if facts.get("silent_racks"):
        named = ", ".join(facts["silent_examples"])
        more = " and more" if facts["silent_racks"] > len(facts["silent_examples"]) else ""
        racks = "1 rack" if facts["silent_racks"] == 1 else f"{facts['silent_racks']} racks"
        lines.append(f"silent: {racks}: {named}{more}")
    if facts["change"] != Change.RETURNED:
        lines.append(f"look at: {facts['look_at']}")
    return "\n".join(lines)


def _draw_lines(facts: dict[str, Any]) -> list[str]:
    lines = [f"draw: {_power(facts['draw_best_kw'], 'kW')}, for certain {_between(facts)}"]
    if facts["contract_limit_kw"] is not None:
        lines.append(f"contract: {_power(facts['contract_limit_kw'], 'kW')}")
    lines.append(f"coverage: {facts['coverage_percent']:g} % of the rating is covered by fresh readings")
    if not facts["meters_agree"]:
        lines.append("meters: a parent meter and the readings beneath it do not agree")
    if facts["largest_racks"]:
        lines.append(f"largest: {', '.join(facts['largest_racks'])}")
    return lines


def _reading_lines(facts: dict[str, Any]) -> list[str]:
    said = ", ".join(f"{one['meter']} {_power(one['kw'], 'kW')}" for one in facts["readings"])
    if facts["meters"] > len(facts["readings"]):
        said += " and more"
    if "other_low_kw" not in facts:
        return [f"sources: {said}"]
    low, high = facts["other_low_kw"], facts["other_high_kw"]
    return [
        f"meters: {said}; together {_power(facts['readings_sum_kw'], 'kW')}",
        f"against: {_interval(low, high)} by the other meters of the same power",
    ]


def _over(value_kw: float, limit_kw: float) -> str:
    """Return by how much a limit is exceeded, to the watt."""
    over_kw = value_kw - limit_kw
    return f"{over_kw:,.3f} kW, {over_kw / limit_kw:.2%} of the limit".replace("%", " %")


def _between(facts: dict[str, Any]) -> str:
    return _interval(facts["draw_low_kw"], facts["draw_high_kw"])


def _interval(low_kw: float, high_kw: float | None) -> str:
    low = _power(low_kw, "kW")
    if low_kw == high_kw:
        return f"exactly {low}"
    return f"at least {low}" if high_kw is None else f"between {low} and {_power(high_kw, 'kW')}"


def _subject_name(subject: str, about: About, site: Site) -> str:
    """Return what people call a tenant, a gateway, a rack or another asset."""
    name = subject
    if about is About.TENANT:
        name = next((tenant.name for tenant in site.tenants if tenant.id == subject), subject)
    elif about is About.GROUP:
        broker, _, publisher = subject.partition(":")
        if publisher:
            name = f"gateway {publisher.rpartition(':')[2]} on {broker}"
    return " ".join(name.split())


def _power(value: float, unit: str) -> str:
    """Return a figure with a unit that people read at a glance."""
    if unit == "kW" and abs(value) >= 1_000:  # noqa: PLR2004 - a megawatt
        return f"{value / 1_000:,.3f} MW"
    return f"{value:,.1f} {unit}"


def _time(instant_ms: int, site: Site) -> str:
    return to_datetime(instant_ms, site.zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
