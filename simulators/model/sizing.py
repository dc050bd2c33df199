"""What every node is rated, where no rating is given: enough for the worst that its redundancy asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facility.errors import Fault
from facility.names import nearest
from facility.site import Site
from simulators.model.graph import Chains
from simulators.model.ratings import (
    BATTERY_S,
    DESIGNS,
    LARGEST_RACK_MILLIWATTS,
    START_S,
    TRANSFER_S,
    WALK_IN_S,
    Curve,
    Design,
    RackRating,
    Rating,
    Role,
    rating_faults,
    standard_amps,
)
from simulators.model.state import Floats, Ints

DESIGN_POWER_FACTOR = 0.985
"""Power factor for which equipment is sized (our choice: what a loaded rack has)."""
SQRT3 = 3**0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sizes:
    """What the nodes are rated: (N,) each.

    Attributes:
        volts: Line to line [V].
        amps: Rated current of each phase [A].
        milliwatts: Power at rated current and design power factor [mW].
        loss: (N, 3) coefficients `a` [mW], `b` and `c` [1/mW] of the loss `a + b P + c P²` of a live node
            that gives the power P.
        battery_millijoules: Usable energy of its battery, 0 without one [mJ].
        transfer_s: How long a switch waits [s].
        start_s: How long a generator takes to start [s].
        walk_in_s: Over how long a UPS takes its load back [s].
        trip_scale_s: Hold time at twice the rating [s].
        trip_exponent: Steepness of the trip curve.
        trip_from: Multiple of the rating above which the breaker heats up.
        trip_cools_s: Time constant of cooling [s].
        faults: What is impossible about it.
    """

    volts: Floats
    amps: Floats
    milliwatts: Ints
    loss: Floats
    battery_millijoules: Ints
    transfer_s: Floats
    start_s: Floats
    walk_in_s: Floats
    trip_scale_s: Floats
    trip_exponent: Floats
    trip_from: Floats
    trip_cools_s: Floats
    faults: tuple[Fault, ...] = ()


def rating_checks(site: Site, rack_ratings: Mapping[str, RackRating]) -> list[Fault]:
    """Return what of the racks' ratings is missing, unknown or physically impossible."""
    unrated = [rack.id for rack in site.racks.values() if rack.rating_milliwatts is None]
    faults = []
    if unrated:
        found = f"none for {len(unrated)} racks, such as '{unrated[0]}'"
        faults.append(Fault(path="rack.rating_kw", expected="a rating, to be simulated", found=found))
    most = LARGEST_RACK_MILLIWATTS
    for rack in site.racks.values():
        power = rack.rating_milliwatts
        if power is not None and not 0 < power <= most:
            expected = f"a rating above 0 and up to {most / 1e6:g} kW"
            faults.append(Fault(path=f"rack '{rack.id}'", expected=expected, found=f"{power / 1e6:g} kW"))
    for name, said in rack_ratings.items():
        path = f"rack '{name}'"
        if name not in site.racks:
            hint = nearest(name, site.racks)
            faults.append(Fault(path=path, expected="a rack of the site", found=f"'{name}'", hint=hint))
        bounds = (
            ("idle_fraction", said.idle_fraction, 0.0, 1.0, "a share from 0 to 1"),
            ("liquid_share", said.liquid_share, 0.0, 1.0, "a share from 0 to 1"),
            ("lpm_per_kw", said.lpm_per_kw, 0.1, 10.0, "a flow from 0.1 to 10 L/min per kW"),
        )
        faults += [
            Fault(path=f"{path}.{key}", expected=expected, found=f"{value:g}")
            for key, value, low, high, expected in bounds
            if value is not None and not low <= value <= high
        ]
    return faults


def node_checks(chains: Chains, ratings: Mapping[str, Rating]) -> tuple[list[Fault], dict[str, Rating]]:
    """Return what of the nodes' ratings is unknown or physically impossible, and those that are neither."""
    faults: list[Fault] = []
    possible: dict[str, Rating] = {}
    for name, rating in ratings.items():
        path = f"plant '{name}'"
        found = rating_faults(path, rating)
        if name not in chains.nodes:
            hint = nearest(name, chains.nodes)
            expected = "an electrical asset of the site"
            found.append(Fault(path=path, expected=expected, found=f"'{name}'", hint=hint))
        if not found:
            possible[name] = rating
        faults += found
    return faults, possible


def size(
    chains: Chains,
    rack_milliwatts: Ints,
    rack_idle: Floats,
    taps: Ints,
    ratings: Mapping[str, Rating],
) -> Sizes:
    """Rate every node.

    Args:
        chains: Chains of power from the roots to the racks.
        rack_milliwatts: (R,) ratings of the racks [mW].
        rack_idle: (R,) draw at idle as a share of the rating.
        taps: (R, F) node of each feed, -1 for none.
        ratings: What is said of nodes, by id.
    """
    worst, resting = _design_load(chains, rack_milliwatts, rack_idle, taps)
    said = [ratings.get(node, Rating()) for node in chains.nodes]
    designs = [DESIGNS[role] for role in chains.roles]
    volts = np.array([r.volts or d.volts for r, d in zip(said, designs, strict=True)])
    headroom = np.array([d.headroom for d in designs])
    needed = worst / 1e3 / DESIGN_POWER_FACTOR / (SQRT3 * volts) / headroom if said else worst
    amps = np.array(
        [standard_amps(a) if r.amps is None else r.amps for r, a in zip(said, needed, strict=True)]
    )
    milliwatts = np.rint(SQRT3 * volts * amps * DESIGN_POWER_FACTOR * 1e3).astype(np.int64)
    loss = _losses(designs, said, milliwatts)
    curves = [rating.curve or Curve() for rating in said]
    battery_s = np.array(
        [
            (BATTERY_S if r.battery_s is None else r.battery_s) if role is Role.UPS else 0.0
            for r, role in zip(said, chains.roles, strict=True)
        ]
    )
    return Sizes(
        volts=volts,
        amps=amps,
        milliwatts=milliwatts,
        loss=loss,
        battery_millijoules=np.rint(milliwatts * battery_s).astype(np.int64),
        transfer_s=_times(said, "transfer_s", TRANSFER_S),
        start_s=_times(said, "start_s", START_S),
        walk_in_s=_times(said, "walk_in_s", WALK_IN_S),
        trip_scale_s=np.array([curve.scale_s for curve in curves]),
        trip_exponent=np.array([curve.exponent for curve in curves]),
        trip_from=np.array([curve.from_x for curve in curves]),
        trip_cools_s=np.array([curve.cools_s for curve in curves]),
        faults=tuple(_too_small(chains, said, milliwatts, resting)),
    )


def _losses(designs: list[Design], said: list[Rating], milliwatts: Ints) -> Floats:
    """Return the coefficients of each node's loss: (N, 3)."""
    shares = np.array([design.loss for design in designs], np.float64).reshape(len(designs), 3)
    for i, rating in enumerate(said):
        if rating.loss_percent is not None:
            whole = shares[i].sum()
            shape = shares[i] / whole if whole else np.array([0.0, 0.5, 0.5])
            shares[i] = shape * rating.loss_percent / 100
    power = np.maximum(milliwatts, 1).astype(np.float64)
    found: Floats = shares * np.stack((power, np.ones_like(power), 1 / power), axis=1)
    return found


def _times(said: list[Rating], name: str, default: float) -> Floats:
    values = [getattr(rating, name) for rating in said]
    return np.array([default if value is None else value for value in values], np.float64)


def _too_small(chains: Chains, said: list[Rating], milliwatts: Ints, resting: Floats) -> list[Fault]:
    return [
        Fault(
            path=f"plant '{node}'.amps",
            expected=f"a rating that carries at least the {rest / 1e6:.1f} kW that idle beneath",
            found=f"{rating.amps:g} A, {power / 1e6:.1f} kW",
        )
        for node, rating, power, rest in zip(chains.nodes, said, milliwatts, resting, strict=True)
        if rating.amps is not None and power < rest
    ]


def _design_load(chains: Chains, rack: Ints, idle: Floats, taps: Ints) -> tuple[Floats, Floats]:
    """Return the worst lasting load of each node, and what idles on it with all feeds there [mW].

    A node carries its share of every rack beneath it and, when the node of the same role on another of a
    rack's feeds is lost, that one's share as well: so 2N gives all of the racks, 3N2 three quarters of them
    for each of a pair, and so on. Losses on the way are in the headroom.
    """
    worst, resting = np.zeros(len(chains.nodes)), np.zeros(len(chains.nodes))
    lost: dict[tuple[int, int], float] = {}
    chain_of: dict[int, list[int]] = {}
    for place in range(len(rack)):
        above = [chain_of.setdefault(tap, _chain(tap, chains)) for tap in taps[place].tolist() if tap >= 0]
        if not above:
            continue
        share = float(rack[place]) / len(above)
        for feed, chain in enumerate(above):
            for node in chain:
                worst[node] += share
                resting[node] += share * idle[place]
                partners = {
                    other
                    for i, others in enumerate(above)
                    if i != feed
                    for other in others
                    if chains.roles[other] is chains.roles[node] and other != node
                }
                for other in partners:
                    lost[node, other] = lost.get((node, other), 0.0) + share / (len(above) - 1)
    most = np.zeros(len(chains.nodes))
    for (node, _), power in lost.items():
        most[node] = max(most[node], power)
    for node, parents in enumerate(chains.parents):
        for parent in parents[1:]:
            # A standby source carries whatever its switch carries.
            worst[parent] += worst[node]
            most[parent] += most[node]
            resting[parent] += 0.0
    return worst + most, resting


def _chain(tap: int, chains: Chains) -> list[int]:
    """Return a node and everything above it along preferred sources."""
    chain = [tap]
    while chains.parents[chain[-1]]:
        chain.append(chains.parents[chain[-1]][0])
    return chain
