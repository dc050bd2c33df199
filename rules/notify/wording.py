"""What a page says of its notification: a headline, and a labelled line for each thing to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Final

from facility.instants import to_datetime, to_iso
from facility.shown import in_line
from rules.alarms.states import Change
from rules.base import CANNOT_VERIFY
from rules.notify.notification import (
    ClosedBlock,
    ContractLimit,
    Details,
    Doubt,
    Draw,
    HeldBack,
    Notification,
    OpenBlock,
    Past,
)

WARNING: Final = "C1"
"""The rule whose page says from what draw on it warns."""
NAMED: Final = 5
"""How many tenants or racks a page names; the number of all racks stands beside them."""


def worded(told: Notification, zone: tzinfo) -> Notification:
    """Return a notification with its headline and its text.

    Args:
        told: What is told.
        zone: The time zone of its text.
    """
    told = replace(told, headline=headline(told, zone))
    return replace(told, text=text(told, zone))


def worded_plainly(told: Notification, cause: str) -> Notification:
    """Return a notification of the monitor's own fault with its headline and its text.

    Args:
        told: What is told.
        cause: What was said; kept to one line.
    """
    told = replace(told, headline=headline(told, UTC))
    lines = [
        told.headline,
        _where_line(told),
        f"since: {to_iso(told.since_ms)}, told at {to_iso(told.at_ms)}",
        f"cause: {in_line(cause)}",
        *_look_at_lines(told),
    ]
    return replace(told, text="\n".join(lines))


def headline(told: Notification, zone: tzinfo) -> str:
    """Return what a page is about, in one line."""
    name, title = told.subject_name, told.title
    if told.change is Change.RETURNED:
        return f"[over] {name}: {title}"
    if told.change is Change.ACKNOWLEDGED:
        return f"[acknowledged] {name}: {title}, by {in_line(told.by)}"
    word = told.severity.word.upper()
    if told.past is not None:
        return (
            f"[{word}] {name}: {title} in the past, up to {_over_limit(told)}, {_span(told, told.past, zone)}"
        )
    if told.rule.endswith(CANNOT_VERIFY):
        return f"[{word}] {name}: {title}{_bounds(told)}"
    if told.details.too_many is not None:
        return f"[{word}] {name}: {told.details.too_many.too_many}"
    if told.details.clock is not None:
        return f"[{word}] {name}: {title}, {told.details.clock.clock}"
    if told.value is None or not told.unit:  # a state says no more than the title
        return f"[{word}] {name}: {title}"
    value = _power(told.value, told.unit)
    if told.value_is_bound:
        value = f"up to {value}"
    if not told.limit:
        return f"[{word}] {name}: {title}, {value}"
    between = " of " if told.unit == "kW" else ", limit "
    return f"[{word}] {name}: {title}, {value}{between}{_power(told.limit, told.unit)}"


def _bounds(told: Notification) -> str:
    """Return between what it lies that cannot be told from the limit."""
    limit = f", limit {_power(told.limit or 0, 'kW')}"
    closed, draw = told.details.closed, told.details.draw
    if closed is not None:
        return f", mean {_interval(closed.block_low_kw, closed.block_high_kw)}{limit}"
    return "" if draw is None else f", draw {_interval(draw.draw_low_kw, draw.draw_high_kw)}{limit}"


def _over_limit(told: Notification) -> str:
    """Return the worst value and its limit."""
    return f"{_power(told.peak or 0, told.unit)} of {_power(told.limit or 0, told.unit)}"


def _span(told: Notification, past: Past, zone: tzinfo) -> str:
    """Return from when to when the limit was broken, as far as that is known."""
    since = _time(told.since_ms, zone)
    return f"since {since}" if past.over_ms is None else f"{since} to {_time(past.over_ms, zone)}"


def _where_line(told: Notification) -> str:
    """Return where something happened, and by what name it can be looked up."""
    return f"where: {in_line(told.subject.id)} at {told.site}, rule {told.rule}, alarm {told.alarm}"


def _unacknowledged_lines(told: Notification) -> list[str]:
    if not told.unacknowledged_s:
        return []
    minutes, seconds = divmod(told.unacknowledged_s, 60)
    span = f"{minutes} min" if minutes and not seconds else f"{told.unacknowledged_s} s"
    return [f"unacknowledged: for {span} nobody has taken it in hand"]


def text(told: Notification, zone: tzinfo) -> str:
    """Return a page: its headline, and one labelled line for each thing to know."""
    details = told.details
    return "\n".join(
        [
            told.headline,
            _where_line(told),
            *_unacknowledged_lines(told),
            *_when_lines(told, zone),
            *_over_lines(told),
            *_hides_lines(told.details),
            *_open_block_lines(details.open, zone),
            *_closed_block_lines(told, details.closed, zone),
            *_draw_lines(told, details.draw),
            *_reading_lines(told),
            *_silent_lines(told),
            *_doubt_lines(told),
            *_damped_lines(details),
            *([f"incomplete: {in_line(told.incomplete)}"] if told.incomplete else []),
            *_look_at_lines(told),
            *([f"dashboard: {told.dashboard}"] if told.dashboard else []),
            *([f"acknowledge: {told.acknowledge_url}"] if told.acknowledge_url else []),
        ]
    )


def _look_at_lines(told: Notification) -> list[str]:
    if told.change is Change.RETURNED:
        return []
    return [f"look at: {told.look_at}", *([f"runbook: {told.runbook}"] if told.runbook else [])]


def _when_lines(told: Notification, zone: tzinfo) -> list[str]:
    """Return since when it is so, and why it ended or worsened where nothing was judged that did."""
    if told.past is not None:
        lines = [f"when: {_span(told, told.past, zone)}; known since readings of then arrived late"]
    else:
        lines = [f"since: {_time(told.since_ms, zone)}, told at {_time(told.at_ms, zone)}"]
    label = "graver" if told.change is Change.WORSENED else "ended"
    return [*lines, f"{label}: {in_line(told.reason)}"] if told.reason else lines


def _over_lines(told: Notification) -> list[str]:
    """Return how bad it was, or by how much the limit is exceeded."""
    value, limit = told.value, told.limit
    if told.peak is not None and limit and told.change is Change.RETURNED:
        return [f"peak: {_power(told.peak, told.unit)}"]
    if told.unit != "kW" or not value or not limit or value <= limit:
        return []
    up_to = "up to " if told.value_is_bound else ""
    return [f"over: {up_to}{_over(value, limit)}"]


def _hides_lines(details: Details) -> list[str]:
    """Return how many alarms are told by this one alone, those of most first."""
    if details.hides is None:
        return []
    count, by_rule = details.hides.hides, details.hides.hides_by_rule
    listed = ", ".join(f"{number:,} {rule}" for rule, number in by_rule.items())
    return [f"hides: {count:,} other alarm{'s' if count > 1 else ''}: {listed}"]


def _silent_lines(told: Notification) -> list[str]:
    """Return how many racks it is about, which of them are silent, and whose they are."""
    lines = []
    racks = told.details.racks
    if racks is not None and racks.racks > 1:
        lines.append(f"racks: {racks.racks:,}, {_power(racks.racks_kw, 'kW')}")
    silent = racks or told.details.draw
    if silent is not None and silent.silent_racks:
        lines.append(f"silent: {_racks(silent.silent_racks, silent.silent_examples)}")
    if racks is not None and racks.tenant_names:
        pairs = zip(racks.tenant_names, racks.tenant_kw, strict=True)
        shares = [f"{name} ({_power(kw, 'kW')})" for name, kw in pairs]
        lines.append(f"tenants: {_listed(shares)}")
    return lines


def _doubt_lines(told: Notification) -> list[str]:
    """Return why what is not known for certain is not."""
    doubts = told.details.doubts
    return [] if doubts is None else [f"why unknown: {'; '.join(map(_doubt, doubts.doubts))}"]


def _damped_lines(details: Details) -> list[str]:
    """Return how much opened, and what is not told for it."""
    found = details.too_many
    counted = [] if found is None else [f"opened: {found.openings:,}, not told {found.openings_untold:,}"]
    if details.held_back is not None:
        counted.append(f"held back: alarms {_held_back(details.held_back)}")
    return counted if details.damped is None else [*counted, f"damped: {details.damped.damped}"]


def _held_back(found: HeldBack) -> str:
    """Return whose alarms are held back, and of how many others where the reader is not to know whose."""
    own = [f"of {_listed([in_line(name) for name in found.damped_tenants])}"] if found.damped_tenants else []
    count = found.damped_others
    others = [f"of {count:,} other tenant{'s' if count > 1 else ''}"] if count else []
    return " and ".join(own + others)


def _doubt(doubt: Doubt) -> str:
    return f"{doubt.cause}: {_racks(doubt.racks, doubt.examples)}"


def _racks(count: int, examples: Sequence[str]) -> str:
    """Return how many racks there are, and the names of some of them."""
    named = ", ".join(map(in_line, examples)) + (" and more" if count > len(examples) else "")
    return f"1 rack: {named}" if count == 1 else f"{count} racks: {named}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (" and more" if len(names) > NAMED else "")


def _open_block_lines(block: OpenBlock | None, zone: tzinfo) -> list[str]:
    """Return how the open demand block can be kept."""
    if block is None:
        return []
    so_far = block.block_so_far_kw
    limit = _power(block.block_limit_kw, "kW")
    mean = "" if so_far is None else f", mean so far {_power(so_far, 'kW')} of {limit}"
    hold = _power(block.hold_below_kw, "kW")
    return [f"{_block(block, zone)}{mean}", f"left: {_lasts(block.left_s)}; hold below {hold} until then"]


def _closed_block_lines(told: Notification, block: ClosedBlock | None, zone: tzinfo) -> list[str]:
    """Return how the closed demand block ended."""
    if block is None:
        return []
    mean = _interval(block.block_low_kw, block.block_high_kw)
    lines = [
        f"{_block(block, zone)}, mean {mean}, limit {_power(block.block_limit_kw, 'kW')}",
        f"coverage: {block.block_coverage_percent:g} % of the block is covered by readings",
    ]
    missing = 100 - block.block_coverage_percent
    if told.rule.endswith(CANNOT_VERIFY) and missing > 0:
        lines.append(f"why: readings are missing for {missing:.2f} % of the block")
    return lines


def _block(block: OpenBlock | ClosedBlock, zone: tzinfo) -> str:
    return f"block: {_time(block.block_from_ms, zone)} to {_time(block.block_to_ms, zone)}"


def _lasts(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _contract_lines(contract: ContractLimit | None) -> list[str]:
    """Return what the contract allows, and what that is made of where it is more than the commitment."""
    if contract is None:
        return []
    parts = [f"{_power(contract.contract_committed_kw, 'kW')} committed"]
    if contract.contract_burst_kw:
        parts.append(f"{_power(contract.contract_burst_kw, 'kW')} burst")
    if contract.contract_tolerance_percent:
        parts.append(f"{contract.contract_tolerance_percent:g} % tolerance")
    of = f": {', '.join(parts)}" if len(parts) > 1 else ""
    return [f"contract: {_power(contract.contract_limit_kw, 'kW')}{of}"]


def _draw_lines(told: Notification, draw: Draw | None) -> list[str]:
    """Return what a tenant draws, what it may, and how much of that is known."""
    contract = told.details.contract
    if draw is None:
        return _contract_lines(contract)
    sure = _interval(draw.draw_low_kw, draw.draw_high_kw)
    lines = [
        f"draw: {_power(draw.draw_best_kw, 'kW')}, for certain {sure}",
        *_contract_lines(contract),
    ]
    if told.rule == WARNING and contract is not None:
        lines.append(f"warned above: {_power(contract.warn_kw, 'kW')}")
    lines.append(f"coverage: {draw.coverage_percent:g} % of the rating has readings that hold now")
    if not draw.meters_agree:
        lines.append("meters: a parent meter and the readings beneath it do not agree")
    if draw.largest_racks:
        pairs = zip(draw.largest_racks, draw.largest_racks_kw, strict=True)
        named = ", ".join(f"{in_line(rack)} {_power(power, 'kW')}" for rack, power in pairs)
        lines.append(f"largest: {named}")
    return lines


def _reading_lines(told: Notification) -> list[str]:
    """Return what each meter says, and what the others say of the same power."""
    found, others = told.details.readings, told.details.others
    if found is None:
        return []
    said = ", ".join(f"{in_line(one.meter)} {_power(one.kw, 'kW')}" for one in found.readings)
    if found.meters > len(found.readings):
        said += " and more"
    if others is None:
        return [f"sources: {said}"]
    against = _interval(others.other_low_kw, others.other_high_kw)
    return [
        f"meters: {said}; together {_power(found.readings_sum_kw, 'kW')}",
        f"against: {against} by the other meters of the same power",
    ]


def _over(value_kw: float, limit_kw: float) -> str:
    """Return by how much a limit is exceeded, to the watt."""
    over_kw = value_kw - limit_kw
    return f"{over_kw:,.3f} kW, {over_kw / limit_kw:.2%} of the limit".replace("%", " %")


def _interval(low_kw: float, high_kw: float | None) -> str:
    low = _power(low_kw, "kW")
    if low_kw == high_kw:
        return f"exactly {low}"
    return f"at least {low}" if high_kw is None else f"between {low} and {_power(high_kw, 'kW')}"


def _power(value: float, unit: str) -> str:
    """Return a figure with a unit that people read at a glance."""
    if unit == "kW" and abs(value) >= 1_000:  # noqa: PLR2004 - a megawatt
        return f"{value / 1_000:z,.3f} MW"
    return f"{value:z,.1f} {unit}"


def _time(instant_ms: int, zone: tzinfo) -> str:
    return to_datetime(instant_ms, zone).strftime("%Y-%m-%d %H:%M:%S %Z")
