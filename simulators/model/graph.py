"""The site's graph as the plant needs it: chains of power from the roots to the racks, and cooling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from facility.errors import Fault
from facility.kinds import ELECTRICAL, RACK
from facility.names import AssetId, nearest
from facility.points import Asset
from facility.site import Site
from simulators.model.ratings import Role
from simulators.model.state import Ints

CARRIERS: Final = frozenset({"PowerMeter", "BESS", "UPS", "ATS", "Generator", "Breaker"})
"""Kinds through which power flows; a shunt trip only belongs to one."""
CDU: Final = "CDU"
CHILLERS: Final = frozenset({"Chiller", "CoolingTower"})
AIR_HANDLERS: Final = frozenset({"CRAH", "CRAC", "AHU"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chains:
    """The graph in the order of the site file.

    Attributes:
        nodes: Ids of the electrical nodes.
        kinds: Their kinds.
        roles: What each does.
        parents: Who can feed each, the preferred first: generators last.
        levels: Nodes by height above the racks.
        taps_of: Nodes that feed each rack directly, by feed.
        cdus: Ids of the coolant units.
        cdus_of: Coolant units of each rack.
        cdu_chillers: Chillers of each coolant unit.
        chillers: Ids of the chillers.
        crahs: Ids of the air handlers.
        crahs_of: Air handlers of each rack.
        faults: What is wrong with it.
    """

    nodes: tuple[AssetId, ...]
    kinds: tuple[str, ...]
    roles: tuple[Role, ...]
    parents: tuple[tuple[int, ...], ...]
    levels: tuple[Ints, ...]
    taps_of: Mapping[AssetId, list[int]]
    cdus: tuple[AssetId, ...]
    cdus_of: Mapping[AssetId, list[int]]
    cdu_chillers: tuple[tuple[int, ...], ...]
    chillers: tuple[AssetId, ...]
    crahs: tuple[AssetId, ...]
    crahs_of: Mapping[AssetId, list[int]]
    faults: tuple[Fault, ...]


def chains_of(site: Site) -> Chains:
    """Return the chains of a site; what is wrong is in its `faults`."""
    power = [asset for asset in site.assets if asset.kind in CARRIERS]
    place = {asset.id: i for i, asset in enumerate(power)}
    above: list[list[int]] = [[] for _ in power]
    for i, asset in enumerate(power):
        for child in asset.serves:
            if child in place:
                above[place[child]].append(i)
    parents = tuple(tuple(sorted(found, key=lambda i: (power[i].kind == "Generator", i))) for found in above)
    levels, heights = _levels(parents)
    cdus = [asset for asset in site.assets if asset.kind == CDU]
    chillers = [asset for asset in site.assets if asset.kind in CHILLERS]
    crahs = [asset for asset in site.assets if asset.kind in AIR_HANDLERS]
    return Chains(
        nodes=tuple(asset.id for asset in power),
        kinds=tuple(asset.kind for asset in power),
        roles=tuple(_role(i, power, parents, site) for i in range(len(power))),
        parents=parents,
        levels=levels if heights else (),
        taps_of=_served(power, site),
        cdus=tuple(asset.id for asset in cdus),
        cdus_of=_served(cdus, site),
        cdu_chillers=tuple(
            tuple(i for i, chiller in enumerate(chillers) if cdu.id in chiller.serves) for cdu in cdus
        ),
        chillers=tuple(asset.id for asset in chillers),
        crahs=tuple(asset.id for asset in crahs),
        crahs_of=_served(crahs, site),
        faults=tuple(_faults(site, parents, power)),
    )


def _served(assets: Iterable[Asset], site: Site) -> dict[AssetId, list[int]]:
    found: dict[AssetId, list[int]] = {}
    for i, asset in enumerate(assets):
        for child in asset.serves:
            if child in site.racks:
                found.setdefault(child, []).append(i)
    return found


def _levels(parents: tuple[tuple[int, ...], ...]) -> tuple[tuple[Ints, ...], list[int]]:
    """Sort nodes so that each comes in a level before all that can feed it; the site file has no cycles."""
    waiting = [0] * len(parents)
    for found in parents:
        for parent in found:
            waiting[parent] += 1
    heights = [0] * len(parents)
    ready = [i for i, count in enumerate(waiting) if count == 0]
    while ready:
        node = ready.pop()
        for parent in parents[node]:
            heights[parent] = max(heights[parent], heights[node] + 1)
            waiting[parent] -= 1
            if waiting[parent] == 0:
                ready.append(parent)
    top = max(heights, default=-1)
    return tuple(np.flatnonzero(np.array(heights) == height) for height in range(top + 1)), heights


def _role(i: int, power: list[Asset], parents: tuple[tuple[int, ...], ...], site: Site) -> Role:
    asset = power[i]
    if asset.kind in ("Generator", "BESS"):
        return Role.GENERATOR
    if asset.kind == "UPS":
        return Role.UPS
    if asset.kind == "ATS" or len(parents[i]) > 1:
        return Role.SWITCH
    if any(child in site.racks for child in asset.serves):
        return Role.TAP
    by_id = {other.id: other for other in power}
    children = [by_id[child] for child in asset.serves if child in by_id]
    if children and all(any(c in site.racks for c in child.serves) for child in children):
        return Role.BUSWAY
    return Role.TRANSFORMER if parents[i] else Role.UTILITY


def _faults(site: Site, parents: tuple[tuple[int, ...], ...], power: list[Asset]) -> Iterable[Fault]:
    known = {asset.id for asset in site.assets} | set(site.racks)
    for i, asset in enumerate(site.assets):
        if asset.kind == RACK:
            yield Fault(
                path=f"asset[{i}].kind", expected="a rack as a [[rack]] table", found=f"Rack '{asset.id}'"
            )
        for child in asset.serves:
            if child not in known:
                hint = nearest(child, known)
                path = f"asset[{i}].serves"
                yield Fault(path=path, expected="ids of assets or racks", found=f"'{child}'", hint=hint)
        if asset.kind in ELECTRICAL and asset.id in site.racks:
            yield Fault(
                path=f"asset[{i}].id", expected="an id of its own", found=f"that of rack '{asset.id}'"
            )
    for i, asset in enumerate(power):
        if asset.kind == "Generator" and parents[i]:
            found = f"'{power[parents[i][0]].id}' serves '{asset.id}'"
            yield Fault(path="asset", expected="a generator that nothing feeds", found=found)
    if not site.racks:
        yield Fault(path="rack", expected="at least one rack", found="none")
