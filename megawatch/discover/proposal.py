"""A site file proposed from what a bus told: racks, graph and ratings, with every guess marked as one."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from facility.kinds import METER, RACK
from facility.names import for_people, written
from facility.sitefile.tables import BrokerTable
from formats.dsx import FOREIGN_FORMS, HEARTBEAT_S
from megawatch.discover.listener import Heard

FACTOR: Final = 1.5
"""A rack is guessed to be able to draw half as much again as any rack was heard to draw: our choice."""
STEP_KW: Final = 10
"""Guesses are rounded up to this."""
LIQUID_KW: Final = 140
"""The least that a liquid-cooled rack is guessed to be able to draw: what one of 72 GB300 is planned with."""
_MEANT_AS_PATTERN: Final = frozenset("[]{}*?")
MOST_SHOWN: Final = 20
"""So many topics that were left out are named (our choice)."""
WIDTH: Final = 108
"""Lists are broken into lines no longer than this."""


def propose(heard: Heard, broker: BrokerTable, name: str, seconds: float) -> str:
    """Return a site file of what was heard; guesses are marked as such.

    Args:
        heard: What was heard.
        broker: Its `[[broker]]` table.
        name: What to call the site.
        seconds: For how long it was listened to [s].
    """
    unheard = len(heard.points) - len(heard.largest)
    lines = [
        f"# Proposed by `megawatch discover`: {heard.messages} messages in {seconds:g} s on {broker.url}.",
        "# What the bus said is stated plainly; what was guessed says so. Go through it before use.",
    ]
    if unheard:
        lines.append(
            f"# {unheard} of {len(heard.points)} points had no value in this time; within 100 s all have one."
        )
    lines += [f"# Heard as well: {FOREIGN_FORMS[form]}." for form in sorted(heard.forms)]
    lines += [f"# {line}." for line in left_out_lines(heard)]
    lines += ["", "[site]", f'name = "{name}"']
    lines += ['timezone = "UTC"  # guess: the bus does not say; set the zone of the contracts', ""]
    lines += _broker_lines(broker, heard)
    lines += _rack_lines(heard)
    lines += _asset_lines(heard)
    lines += _tenant_lines(heard)
    return "\n".join(lines) + "\n"


def left_out_lines(heard: Heard) -> list[str]:
    """Return what was heard and is not proposed, and why, a sentence each.

    Args:
        heard: What was heard.
    """
    lines = [
        f"Left out {for_people(topic, 200)}: {refused.reason.value}, {for_people(refused.detail, 200)}"
        for topic, refused in list(heard.left_out.items())[:MOST_SHOWN]
    ]
    if len(heard.left_out) > MOST_SHOWN:
        lines.append(f"Left out {len(heard.left_out) - MOST_SHOWN} more topics")
    bare = heard.without_power
    if bare:
        racks = f"rack {bare[0]}" if len(bare) == 1 else f"{len(bare)} racks, such as {bare[0]}"
        lines.append(f"No point says the power of {racks}: only a meter above can")
    return lines


def _broker_lines(broker: BrokerTable, heard: Heard) -> list[str]:
    lines = ["[[broker]]", f"url = {json.dumps(broker.url)}", 'format = "dsx"']
    if broker.username is not None:
        file = broker.password_file or "secrets/bms"
        lines += [f"username = {json.dumps(broker.username)}", f"password_file = {json.dumps(file)}"]
    if broker.ca_file is not None:
        lines.append(f"ca_file = {json.dumps(broker.ca_file)}")
    if heard.publishers:
        lines.append(
            "# All publishers that were heard. Leave out those that you do not know: no other is believed."
        )
        lines += _list("publishers", heard.publishers)
    if heard.beat_s is not None and abs(heard.beat_s - HEARTBEAT_S) > 1:
        lines.append(f"heartbeat_s = {heard.beat_s}  # as heard; by the contract it is {HEARTBEAT_S}")
    return [*lines, ""]


# Racks ------------------------------------------------------------------------------------


def _rack_lines(heard: Heard) -> list[str]:
    if not heard.racks:
        return []
    feeds = _feeds(heard)
    by_feeds: dict[int | None, list[str]] = defaultdict(list)
    for rack in heard.racks:
        by_feeds[feeds.get(rack)].append(rack)
    rating_kw, why = _rating(heard)
    lines = [
        "# Racks: ids as the bus gives them (rackLocationId).",
        "# The rating is what a silent rack may be drawing, so better too high than too low.",
    ]
    for count, racks in sorted(by_feeds.items(), key=lambda item: item[0] or 0):
        told = (
            "guess: the bus tells of no meter for each feed" if count is None else "as many meters serve each"
        )
        lines += ["[[rack]]", *_list("ids", map(_pattern, racks))]
        lines += [f"rating_kw = {rating_kw}  # guess: {why}", f"feeds = {count or 2}  # {told}", ""]
    return lines


def _rating(heard: Heard) -> tuple[int, str]:
    """Guess what every rack may draw: by what was heard of any of them, and never less than is usual."""
    powers = heard.values("rack.power.active")
    most_kw, whose = max(((power, rack) for rack, power in powers.items()), default=(0.0, ""))
    guess_kw = math.ceil(most_kw * FACTOR / STEP_KW) * STEP_KW
    is_liquid = any(point.quantity.startswith("rack.coolant.") for point in heard.points.values())
    if guess_kw >= LIQUID_KW or (guess_kw and not is_liquid):
        return guess_kw, f"half as much again as {whose} was heard to draw, the most of all racks"
    if is_liquid:
        return LIQUID_KW, "what a liquid-cooled rack of 72 GB300 is planned with"
    return LIQUID_KW, "nothing was heard of their power; what a rack of 72 GB300 is planned with"


def _feeds(heard: Heard) -> Mapping[str, int]:
    """Return by how many meters each rack is served directly, where it is by two and more."""
    found: dict[str, int] = defaultdict(int)
    for asset in heard.assets.values():
        if asset.kind == METER:
            for child in asset.serves:
                if child in heard.assets and heard.assets[child].kind == RACK:
                    found[child] += 1
    return {rack: min(number, 4) for rack, number in found.items() if number > 1}


# Graph and tenants ------------------------------------------------------------------------


def _asset_lines(heard: Heard) -> list[str]:
    serving = [a for a in heard.assets.values() if a.kind != RACK and a.serves]
    lines = ["# The power and cooling graph, as servesId gave it."] if serving else []
    for asset in sorted(serving, key=lambda asset: asset.id):
        lines += [
            "[[asset]]",
            f"id = {json.dumps(written(asset.id), ensure_ascii=False)}",
            f"kind = {json.dumps(asset.kind)}",
        ]
        lines += [*_list("serves", map(_pattern, sorted(asset.serves))), ""]
    return lines


def _tenant_lines(heard: Heard) -> list[str]:
    if not heard.racks:
        return []
    powers = heard.values("rack.power.active")
    total = (
        f"the {len(powers)} whose power was heard drew {sum(powers.values()):.1f} kW at most"
        if powers
        else "nothing was heard of their power"
    )
    held = json.dumps([_pattern(rack) for rack in heard.racks[:4]], ensure_ascii=False)
    holder = f"# holds = [{{ racks = {held}, from = 2026-01-01 }}]"
    return [
        "# Who holds what is nowhere on the bus: name the tenants and their contracts.",
        f"# Until then all {len(heard.racks)} racks are the site's own load: {total}.",
        "# [[tenant]]",
        '# id = "acme"',
        holder,
        "# [[tenant.contract]]",
        "# from = 2026-01-01",
        "# committed_mw = 1.0",
    ]


def _pattern(name: str) -> str:
    """Return an id as a pattern that stands for it alone, written as the bus does where that is one."""
    return name if _MEANT_AS_PATTERN.intersection(written(name)) else written(name)


def _list(key: str, names: Iterable[str]) -> list[str]:
    """Return names as lines of a TOML array."""
    quoted = [json.dumps(name, ensure_ascii=False) for name in names]
    whole = f"{key} = [{', '.join(quoted)}]"
    if len(whole) <= WIDTH:
        return [whole]
    lines = [f"{key} = ["]
    line = " "
    for name in quoted:
        if len(line) + len(name) + 2 > WIDTH:
            lines.append(line)
            line = " "
        line += f" {name},"
    return [*lines, line, "]"]
