"""What a page says of its facts: a headline, and a labelled line for each thing to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from facility.instants import to_datetime
from facility.shown import in_line
from facility.site import Site
from rules.alarms.states import Change
from rules.base import CANNOT_VERIFY

Facts = Mapping[str, Any]

WARNING: Final = "C1"
"""The rule whose page says from what draw on it warns."""
NAMED: Final = 5
"""How many tenants or racks a page names; the number of all racks stands beside them."""


def headline(facts: Facts, site: Site) -> str:
    """Return what a page is about, in one line."""
    name, title = facts["subject_name"], facts["title"]
    if facts["change"] == Change.RETURNED:
        return f"[over] {name}: {title}"
    word = facts["severity"].upper()
    if "known_ms" in facts:
        return f"[{word}] {name}: {title} in the past, up to {_over_limit(facts)}, {_span(facts, site)}"
    if facts["rule"].endswith(CANNOT_VERIFY):
        return f"[{word}] {name}: {title}{_bounds(facts)}"
    if "clock" in facts:
        return f"[{word}] {name}: {title}, {facts['clock']}"
    if facts["value"] is None:
        return f"[{word}] {name}: {title}"
    value = _power(facts["value"], facts["unit"])
    if facts.get("value_is_bound"):
        value = f"up to {value}"
    if not facts["limit"]:
        return f"[{word}] {name}: {title}, {value}"
    between = " of " if facts["unit"] == "kW" else ", limit "
    return f"[{word}] {name}: {title}, {value}{between}{_power(facts['limit'], facts['unit'])}"


def _bounds(facts: Facts) -> str:
    """Return between what it lies that can not be told from the limit."""
    limit = f", limit {_power(facts['limit'] or 0, 'kW')}"
    if "block_low_kw" in facts:
        return f", mean {_interval(facts['block_low_kw'], facts['block_high_kw'])}{limit}"
    return f", draw {_between(facts)}{limit}" if "draw_low_kw" in facts else ""


def _over_limit(facts: Facts) -> str:
    """Return the worst value and its limit."""
    return f"{_power(facts['peak'], facts['unit'])} of {_power(facts['limit'] or 0, facts['unit'])}"


def _span(facts: Facts, site: Site) -> str:
    """Return from when to when the limit was broken, as far as that is known."""
    since = _time(facts["since_ms"], site)
    return f"since {since}" if facts["over_ms"] is None else f"{since} to {_time(facts['over_ms'], site)}"


def text(facts: Facts, site: Site) -> str:
    """Return a page: its headline, and one labelled line for each thing to know."""
    where = f"{in_line(facts['subject'])} at {site.name}"
    return "\n".join(
        [
            facts["headline"],
            f"where: {where}, rule {facts['rule']}, alarm {facts['alarm']}",
            *_when_lines(facts, site),
            *_over_lines(facts),
            *_block_lines(facts, site),
            *_draw_lines(facts),
            *_reading_lines(facts),
            *_silent_lines(facts),
            *([f"incomplete: {in_line(facts['incomplete'])}"] if "incomplete" in facts else []),
            *([f"look at: {facts['look_at']}"] if facts["change"] != Change.RETURNED else []),
        ]
    )


def _when_lines(facts: Facts, site: Site) -> list[str]:
    """Return since when it is so, and why it ended where nothing was judged that ended it."""
    if "known_ms" in facts:
        lines = [f"when: {_span(facts, site)}; known since readings of then arrived late"]
    else:
        lines = [f"since: {_time(facts['since_ms'], site)}, told at {_time(facts['at_ms'], site)}"]
    return [*lines, f"ended: {in_line(facts['reason'])}"] if "reason" in facts else lines


def _over_lines(facts: Facts) -> list[str]:
    """Return how bad it was, or by how much the limit is exceeded."""
    value, limit = facts["value"], facts["limit"]
    if facts["peak"] is not None and limit and facts["change"] == Change.RETURNED:
        return [f"peak: {_power(facts['peak'], facts['unit'])}"]
    if facts["unit"] != "kW" or not value or not limit or value <= limit:
        return []
    up_to = "up to " if facts.get("value_is_bound") else ""
    return [f"over: {up_to}{_over(value, limit)}"]


def _silent_lines(facts: Facts) -> list[str]:
    """Return which racks are silent, and whose they are."""
    lines = []
    if facts.get("silent_racks"):
        named = ", ".join(map(in_line, facts["silent_examples"]))
        more = " and more" if facts["silent_racks"] > len(facts["silent_examples"]) else ""
        racks = "1 rack" if facts["silent_racks"] == 1 else f"{facts['silent_racks']} racks"
        lines.append(f"silent: {racks}: {named}{more}")
    if facts.get("tenant_names"):
        lines.append(f"tenants: {_listed(facts['tenant_names'])}")
    return lines


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (" and more" if len(names) > NAMED else "")


def _block_lines(facts: Facts, site: Site) -> list[str]:
    """Return what is told of a demand block: the closed one, or the open one and how it can be kept."""
    if "block_from_ms" not in facts:
        return []
    span = f"{_time(facts['block_from_ms'], site)} to {_time(facts['block_to_ms'], site)}"
    limit = _power(facts["block_limit_kw"], "kW")
    if "left_s" in facts:
        so_far = facts["block_so_far_kw"]
        mean = "" if so_far is None else f", mean so far {_power(so_far, 'kW')} of {limit}"
        hold = _power(facts["hold_below_kw"], "kW")
        return [f"block: {span}{mean}", f"left: {_lasts(facts['left_s'])}; hold below {hold} until then"]
    mean = _interval(facts["block_low_kw"], facts["block_high_kw"])
    lines = [f"block: {span}, mean {mean}, limit {limit}"]
    missing = 100 - facts["block_coverage_percent"]
    lines.append(f"coverage: {facts['block_coverage_percent']:g} % of the block is covered by readings")
    if facts["rule"].endswith(CANNOT_VERIFY) and missing > 0:
        lines.append(f"why: readings are missing for {missing:.2f} % of the block")
    return lines


def _lasts(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _contract_line(facts: Facts) -> str:
    """Return what the contract allows, and what that is made of where it is more than the commitment."""
    parts = [f"{_power(facts['contract_committed_kw'], 'kW')} committed"]
    if facts["contract_burst_kw"]:
        parts.append(f"{_power(facts['contract_burst_kw'], 'kW')} burst")
    if facts["contract_tolerance_percent"]:
        parts.append(f"{facts['contract_tolerance_percent']:g} % tolerance")
    of = f": {', '.join(parts)}" if len(parts) > 1 else ""
    return f"contract: {_power(facts['contract_limit_kw'], 'kW')}{of}"


def _draw_lines(facts: Facts) -> list[str]:
    """Return what a tenant draws, what it may, and how much of that is known."""
    contract = [] if facts.get("contract_limit_kw") is None else [_contract_line(facts)]
    if "draw_low_kw" not in facts:
        return contract
    lines = [f"draw: {_power(facts['draw_best_kw'], 'kW')}, for certain {_between(facts)}", *contract]
    if facts["rule"] == WARNING and contract:
        lines.append(f"warned above: {_power(facts['warn_kw'], 'kW')}")
    lines.append(f"coverage: {facts['coverage_percent']:g} % of the rating has readings that hold now")
    if not facts["meters_agree"]:
        lines.append("meters: a parent meter and the readings beneath it do not agree")
    if facts["largest_racks"]:
        pairs = zip(facts["largest_racks"], facts["largest_racks_kw"], strict=True)
        named = ", ".join(f"{in_line(rack)} {_power(power, 'kW')}" for rack, power in pairs)
        lines.append(f"largest: {named}")
    return lines


def _reading_lines(facts: Facts) -> list[str]:
    if "readings" not in facts:
        return []
    said = ", ".join(f"{in_line(one['meter'])} {_power(one['kw'], 'kW')}" for one in facts["readings"])
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


def _between(facts: Facts) -> str:
    return _interval(facts["draw_low_kw"], facts["draw_high_kw"])


def _interval(low_kw: float, high_kw: float | None) -> str:
    low = _power(low_kw, "kW")
    if low_kw == high_kw:
        return f"exactly {low}"
    return f"at least {low}" if high_kw is None else f"between {low} and {_power(high_kw, 'kW')}"


def _power(value: float, unit: str) -> str:
    """Return a figure with a unit that people read at a glance."""
    if unit == "kW" and abs(value) >= 1_000:  # noqa: PLR2004 - a megawatt
        return f"{value / 1_000:,.3f} MW"
    return f"{value:,.1f} {unit}"


def _time(instant_ms: int, site: Site) -> str:
    return to_datetime(instant_ms, site.zone).strftime("%Y-%m-%d %H:%M:%S %Z")
