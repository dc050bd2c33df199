"""Who could not be heard, and for how long: what follows from the faults that keep a gateway or meter silent.

As with every condition these are bare facts: a silence that is over before anybody could notice it is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from facility.instants import SECOND_MS
from simulators.scenario.scenario import FaultKind, FaultSpec, Scenario
from simulators.truth.conditions import Condition
from simulators.wire.points import Catalogue

SILENT: Final = frozenset({FaultKind.SILENT, FaultKind.MUTE})
COVERED: Final = 0.95
"""Share of a tenant's rated power that must be heard (our choice, that of the rule catalogue)."""


def silences(scenario: Scenario, catalogue: Catalogue) -> list[Condition]:
    """Return the silent racks (Q1), the tenants that are not covered (Q2) and the silent gateways (Q3).

    Args:
        scenario: What happens, and the site.
        catalogue: Points of its plant, in columns.
    """
    specs = [spec for spec in scenario.faults if spec.kind in SILENT]
    begin_ms, end_ms = scenario.begin_ms, scenario.begin_ms + scenario.seconds * SECOND_MS
    edges = {begin_ms, *scenario.site.site.changes_ms()}
    edges |= {begin_ms + second * SECOND_MS for spec in specs for second in (spec.from_s, spec.to_s)}
    heard: list[Condition] = []
    open_now: dict[tuple[str, str], Condition] = {}
    racks = {spec: _racks(catalogue, spec) for spec in specs}
    for at_ms in sorted(edge for edge in edges if begin_ms <= edge < end_ms):
        second = (at_ms - begin_ms) / SECOND_MS
        now = [spec for spec in specs if spec.from_s <= second < spec.to_s]
        silent = frozenset[str]().union(*(racks[spec] for spec in now))
        so = {("Q1", rack): 0.0 for rack in sorted(silent)}
        so |= {
            ("Q2", tenant): share for tenant, share in _covered(scenario, silent, at_ms) if share < COVERED
        }
        so |= {("Q3", name): 0.0 for spec in now for name in _gateways(catalogue, spec)}
        for key in [key for key in open_now if key not in so]:
            open_now.pop(key).to_ms = at_ms
        for (rule, subject), share in so.items():
            found = open_now.get((rule, subject))
            if found is None:
                found = Condition(
                    rule=rule,
                    subject=subject,
                    from_ms=at_ms,
                    to_ms=None,
                    worst=share,
                    limit=COVERED if rule == "Q2" else 1.0,
                    unit="share heard",
                )
                open_now[rule, subject] = found
                heard.append(found)
            found.worst = min(found.worst, share)
    return heard


def _racks(catalogue: Catalogue, spec: FaultSpec) -> frozenset[str]:
    """Return the racks of whose own power nothing is said."""
    mute = set(catalogue.find(spec.scope, spec.point_type).tolist())
    powers = [
        i
        for group in catalogue.groups
        if group.kind == "rack.power"
        for i in range(*group.part.indices(len(catalogue)))
    ]
    return frozenset(catalogue.assets[i] for i in powers if i in mute)


def _gateways(catalogue: Catalogue, spec: FaultSpec) -> list[str]:
    """Return the gateways that give no sign of life."""
    if spec.kind is not FaultKind.SILENT or spec.point_type:
        return []
    return [catalogue.gateways[i].name for i in catalogue.find_heartbeats(spec.scope).tolist()]


def _covered(scenario: Scenario, silent: frozenset[str], at_ms: int) -> Iterator[tuple[str, float]]:
    """Yield each tenant and the share of its rated power that is heard."""
    site = scenario.site.site
    for tenant in site.tenants:
        held = [(str(rack), site.racks[rack].rating_milliwatts or 0) for rack in tenant.racks_at(at_ms)]
        rated = sum(rating for _, rating in held)
        if rated:
            yield str(tenant.id), sum(rating for rack, rating in held if rack not in silent) / rated
