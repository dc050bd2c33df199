"""From the site to arrays: what feeds and cools what, and what everything is rated.

One site file feeds both the monitor and the simulator: racks, tenants and the graph are the site's. Kinds are
those of the DSX bus, which has no word for transformers, busways and taps (all are `PowerMeter`); what a node
does follows from its place, as `Role` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from facility.names import OPERATOR, AssetId, TenantId
from facility.site import Site
from simulators.model.graph import Chains, chains_of
from simulators.model.ratings import DESIGN_LPM_PER_KW, RackRating, Rating, Role, WiringError, rack_kind
from simulators.model.sizing import Sizes, node_checks, rating_checks, size
from simulators.model.state import Bools, Floats, Ints

NONE: Final = -1
"""The index of nothing."""
FEED_LETTERS: Final = "ABCD"
"""Names of a rack's feeds, in the order in which the site's assets name it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wiring:
    """The plant as arrays: R racks, F feeds, N electrical nodes, C coolant units, H chillers, A air handlers.

    Attributes:
        site: What it was made of; knows tenants, what each holds when, and contracts.
        racks: (R) ids.
        rack_place: Index of each rack, by its id.
        rack_rating_milliwatts: (R,) the most that each draws [mW].
        rack_idle_fraction: (R,) draw at idle as a share of the rating.
        rack_liquid_share: (R,) share of the heat that goes into the coolant.
        rack_design_lpm: (R,) coolant flow that each is built for, had it coolant [L/min].
        rack_tap: (R, F) index of the node that each feed comes from; -1 where the feed hangs on nothing
            that is modelled and always has voltage, or where there is no such feed.
        rack_has_feed: (R, F) whether there is such a feed.
        rack_cdu: (R,) index of the coolant unit, -1 where none is.
        rack_crah: (R,) index of the air handler, -1 where none is.
        nodes: (N) ids, in the order of the site file.
        node_place: Index of each node, by its id.
        node_kinds: (N) kinds as the site file has them.
        node_roles: (N) what each does.
        node_parents: (N) indices of the nodes that can feed it, the preferred first; empty for a root.
        node_feed: (N,) feed of the racks beneath, by its index; -1 where they are on several.
        levels: Indices of the nodes by their height above the racks: each level is fed from levels after it.
        sizes: What the nodes are rated.
        cdus: (C) ids.
        cdu_rating_milliwatts: (C,) heat that each is built for [mW].
        cdu_chillers: (C) indices of the chillers that serve it; empty where the water comes from outside.
        chillers: (H) ids.
        crahs: (A) ids.
    """

    site: Site
    racks: tuple[AssetId, ...]
    rack_place: Mapping[AssetId, int]
    rack_rating_milliwatts: Ints
    rack_idle_fraction: Floats
    rack_liquid_share: Floats
    rack_design_lpm: Floats
    rack_tap: Ints
    rack_has_feed: Bools
    rack_cdu: Ints
    rack_crah: Ints
    nodes: tuple[AssetId, ...]
    node_place: Mapping[AssetId, int]
    node_kinds: tuple[str, ...]
    node_roles: tuple[Role, ...]
    node_parents: tuple[tuple[int, ...], ...]
    node_feed: Ints
    levels: tuple[Ints, ...]
    sizes: Sizes
    cdus: tuple[AssetId, ...]
    cdu_rating_milliwatts: Ints
    cdu_chillers: tuple[tuple[int, ...], ...]
    chillers: tuple[AssetId, ...]
    crahs: tuple[AssetId, ...]

    @property
    def feeds(self) -> int:
        """How many feeds the rack with the most has."""
        return int(self.rack_tap.shape[1])

    def racks_of(self, tenant: str, instant_ms: int) -> list[int]:
        """Return the racks that a tenant holds at an instant, by index.

        Args:
            tenant: Its id; `operator` holds what no tenant does.
            instant_ms: When [ms].
        """
        held = {t.id: t.racks_at(instant_ms) for t in self.site.tenants}
        if tenant == OPERATOR:
            taken = {rack for racks in held.values() for rack in racks}
            return [place for rack, place in self.rack_place.items() if rack not in taken]
        return [self.rack_place[rack] for rack in held.get(TenantId(tenant), [])]

    def roots(self) -> list[int]:
        """Return the nodes that nothing feeds: utilities and generators."""
        return [i for i, parents in enumerate(self.node_parents) if not parents]

    def of_role(self, role: Role) -> list[int]:
        """Return the nodes of a role, by index."""
        return [i for i, own in enumerate(self.node_roles) if own is role]


def wire(
    site: Site,
    *,
    ratings: Mapping[str, Rating] | None = None,
    rack_ratings: Mapping[str, RackRating] | None = None,
) -> Wiring:
    """Wire a site up.

    A site without assets is wired too: its racks then have as many feeds as the site says, always live.

    Args:
        site: The site, as `facility.sitefile.reader` reads it.
        ratings: What is said of nodes, by id; the rest is sized for what hangs on it.
        rack_ratings: What is said of racks, by id.

    Raises:
        WiringError: Where something is missing or physically impossible; it holds all faults.
    """
    ratings, rack_ratings = ratings or {}, rack_ratings or {}
    chains = chains_of(site)
    faults = [*chains.faults, *rating_checks(site, rack_ratings)]
    impossible, possible = node_checks(chains, ratings)
    racks = _racks(site, rack_ratings)
    taps, has_feed = _feeds(site, chains)
    sizes = size(chains, racks.rating_milliwatts, racks.idle_fraction, taps, possible)
    faults += [*impossible, *sizes.faults]
    if faults:
        raise WiringError(site.name, tuple(faults))
    return _wired(site, chains, racks, (taps, has_feed), sizes)


def _wired(site: Site, chains: Chains, racks: _Racks, feeds: tuple[Ints, Bools], sizes: Sizes) -> Wiring:
    taps, has_feed = feeds
    cdu = np.array([_first(chains.cdus_of, rack) for rack in site.racks], np.int64)
    heat = racks.rating_milliwatts * racks.liquid_share
    return Wiring(
        site=site,
        racks=tuple(site.racks),
        rack_place=MappingProxyType({rack: place for place, rack in enumerate(site.racks)}),
        rack_rating_milliwatts=racks.rating_milliwatts,
        rack_idle_fraction=racks.idle_fraction,
        rack_liquid_share=racks.liquid_share,
        rack_design_lpm=racks.design_lpm,
        rack_tap=taps,
        rack_has_feed=has_feed,
        rack_cdu=cdu,
        rack_crah=np.array([_first(chains.crahs_of, rack) for rack in site.racks], np.int64),
        nodes=chains.nodes,
        node_place=MappingProxyType({node: place for place, node in enumerate(chains.nodes)}),
        node_kinds=chains.kinds,
        node_roles=chains.roles,
        node_parents=chains.parents,
        node_feed=_node_feed(chains, taps),
        levels=chains.levels,
        sizes=sizes,
        cdus=chains.cdus,
        cdu_rating_milliwatts=_liquid_load(cdu, heat, len(chains.cdus)),
        cdu_chillers=chains.cdu_chillers,
        chillers=chains.chillers,
        crahs=chains.crahs,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Racks:
    """What the racks are rated, as `Wiring` has it: (R,) each."""

    rating_milliwatts: Ints
    idle_fraction: Floats
    liquid_share: Floats
    design_lpm: Floats


def _racks(site: Site, said: Mapping[str, RackRating]) -> _Racks:
    rating = np.array([rack.rating_milliwatts or 0 for rack in site.racks.values()], np.int64)
    idle, share, lpm = np.zeros(len(rating)), np.zeros(len(rating)), np.zeros(len(rating))
    for place, rack in enumerate(site.racks):
        usual, own = rack_kind(int(rating[place])), said.get(rack, RackRating())
        idle[place] = usual[0] if own.idle_fraction is None else own.idle_fraction
        share[place] = usual[1] if own.liquid_share is None else own.liquid_share
        lpm[place] = DESIGN_LPM_PER_KW if own.lpm_per_kw is None else own.lpm_per_kw
    return _Racks(rating, idle, share, lpm * rating / 1e6)


def _first(found: Mapping[AssetId, list[int]], rack: AssetId) -> int:
    return found.get(rack, [NONE])[0]


def _feeds(site: Site, chains: Chains) -> tuple[Ints, Bools]:
    most = max((len(chains.taps_of.get(rack, ())) or r.feeds for rack, r in site.racks.items()), default=1)
    taps = np.full((len(site.racks), most), NONE, np.int64)
    has_feed = np.zeros(taps.shape, np.bool_)
    for place, (rack, said) in enumerate(site.racks.items()):
        above = chains.taps_of.get(rack, [])
        taps[place, : len(above)] = above
        has_feed[place, : len(above) or said.feeds] = True
    return taps, has_feed


def _liquid_load(cdu: Ints, load: Floats, count: int) -> Ints:
    cooled = cdu >= 0
    return np.rint(np.bincount(cdu[cooled], load[cooled], minlength=count)).astype(np.int64)


def _node_feed(chains: Chains, taps: Ints) -> Ints:
    found: list[set[int]] = [set() for _ in chains.nodes]
    for feed in range(taps.shape[1]):
        for tap in taps[:, feed][taps[:, feed] >= 0]:
            found[tap].add(feed)
    for level in chains.levels:
        for node in level:
            for parent in chains.parents[node]:
                found[parent] |= found[node]
    return np.array([next(iter(feeds)) if len(feeds) == 1 else NONE for feeds in found], np.int64)
