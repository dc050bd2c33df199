"""How power flows: from what racks want to what every node carries, loses and shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.model.breakers import Breakers
from simulators.model.events import Event, EventKind
from simulators.model.noise import Wander, generator
from simulators.model.ratings import Role
from simulators.model.sizing import SQRT3
from simulators.model.sources import Sources, Supply
from simulators.model.state import Bools, Floats, Flow, Ints
from simulators.model.wiring import NONE, Wiring

SPLIT_SIGMA: Final = 0.015
"""How unevenly two feeds share a rack's power: half of +-3 % (our choice)."""
SPLIT_MOST: Final = 0.03
PHASE_SIGMA: Final = 0.01
"""How unevenly three phases share a feed's power (our choice; utilities ask for 10 % at most)."""
POWER_FACTOR: Final = ((0.0, 0.1, 0.2, 0.5, 1.0), (0.80, 0.90, 0.95, 0.98, 0.99))
"""Power factor of a rack over its load; power shelves reach 0.98 and more under load."""
UPS_REACTIVE: Final = (1 / 0.99**2 - 1) ** 0.5
"""Reactive power of a UPS towards the grid, for each unit of real power: a power factor of 0.99."""
VOLTAGE_DROP: Final = 0.01
"""Voltage lost over a node at its rating, per unit (our choice; 3 % in all is what NEC recommends)."""
VOLTAGE_SIGMA: Final = 0.007
"""Slow wander of the grid's voltage, per unit: within 2 %."""
UPS_VOLTAGE_SIGMA: Final = 0.001
GRID_HZ: Final = 60.0
HZ_SIGMA: Final = 0.01
HZ_TAU_S: Final = 80.0
"""Wander of the grid's frequency: by some 5 mHz in 50 s in NVIDIA's recording [Hz, s]."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """What adds up at the nodes.

    Attributes:
        taken: (N, 3) power in, by phase [mW].
        through_phase: (3, N) power through the node, its own loss included [mW].
        through: (N,) the same over all phases [mW].
        storage: (N,) power from its battery [mW].
        loss: (N,) its loss [mW].
        factor: (N,) power factor.
    """

    taken: Ints
    through_phase: Ints
    through: Ints
    storage: Ints
    loss: Ints
    factor: Floats


class Power:
    """The electrical side of the plant.

    Args:
        wiring: The plant's graph and ratings, in arrays.
        seed: What all chance follows from.
    """

    def __init__(self, wiring: Wiring, seed: int) -> None:
        self._wiring = wiring
        self._sources = Sources(wiring)
        self._breakers = Breakers(wiring.sizes)
        count, (racks, feeds) = len(wiring.nodes), wiring.rack_tap.shape
        self._throughput: Ints = np.zeros(count, np.int64)
        self._loss: Floats = np.ascontiguousarray(wiring.sizes.loss.T)
        has = [np.flatnonzero(wiring.rack_tap[:, feed] != NONE) for feed in range(feeds)]
        self._taps = [(racks_on, wiring.rack_tap[racks_on, feed]) for feed, racks_on in enumerate(has)]
        random = generator(seed, "split over feeds")
        uneven = np.clip(random.normal(0, SPLIT_SIGMA, (racks, feeds)), -SPLIT_MOST, SPLIT_MOST)
        self._feed_share = np.where(wiring.rack_has_feed, (1 + 2 * uneven) / feeds, 0.0)
        if feeds == 2:  # noqa: PLR2004 - what one feed has more, the other has less
            both = wiring.rack_has_feed.all(axis=1)
            self._feed_share[both, 1] = 1 - self._feed_share[both, 0]
        shares = 1 + generator(seed, "split over phases").normal(0, PHASE_SIGMA, (racks, feeds, 3))
        self._phase_share: Floats = shares / shares.sum(axis=2, keepdims=True)
        self._regulators = np.flatnonzero(
            [not p or r is Role.UPS for p, r in zip(wiring.node_parents, wiring.node_roles, strict=True)]
        )
        self._regulates = np.zeros(count, np.bool_)
        self._regulates[self._regulators] = True
        sigma = [
            UPS_VOLTAGE_SIGMA if wiring.node_roles[n] is Role.UPS else VOLTAGE_SIGMA for n in self._regulators
        ]
        self._voltage_sigma = np.array(sigma, np.float64)
        self._voltage = Wander(seed, "voltage", len(self._regulators), sigma=1.0, tau_s=600)
        self._frequency = Wander(seed, "frequency", 1, sigma=HZ_SIGMA, tau_s=HZ_TAU_S)
        self._unbalanced: list[Event] = []
        self._off: list[Event] = []
        self._level_has_battery = [
            any(wiring.node_roles[node] is Role.UPS for node in level) for level in wiring.levels
        ]
        self._is_ups = np.array([role is Role.UPS for role in wiring.node_roles], np.bool_)

    @property
    def sources(self) -> Sources:
        """What is switched how."""
        return self._sources

    def begin(self, event: Event, second: int) -> None:
        """Take note of an event on the power that begins."""
        match event.kind:
            case EventKind.UNBALANCE:
                self._unbalanced.append(event)
            case EventKind.FREQUENCY:
                self._off.append(event)
            case _:
                self._breakers.reset(self._sources.begin(event, second))

    def step(self, second: int, asked: Ints) -> Flow:
        """Let a second pass.

        Args:
            second: The second of the run, which follows the one before.
            asked: (R,) what the racks draw if they have voltage [mW].
        """
        wiring, sources = self._wiring, self._sources
        is_open = sources.is_open(second)
        supply = sources.step(second, self._throughput)
        on = self._on(supply.live & ~supply.sags.drops)
        feed = self._split(asked, on)
        rack = across(feed)
        phase = self._phases(feed, second)
        power_factor = np.interp(rack / wiring.rack_rating_milliwatts, *POWER_FACTOR)
        tangent: Floats = np.sqrt(1 / power_factor**2 - 1)
        reactive: Floats = rack.astype(np.float64) * tangent
        sums = self._up(supply, feed, phase, reactive)
        sources.discharge(sums.storage)
        self._throughput = sums.through
        volts, low = self._voltages(second, supply)
        per_volt = SQRT3 / 1e3 / sums.factor / np.where(volts > 0, volts, np.inf)
        amps = (sums.through_phase * per_volt).T
        trips = self._breakers.step(amps)
        tripped = sources.tripped.copy()
        sources.tripped = tripped | trips
        return Flow(
            rack_milliwatts=rack,
            feed_milliwatts=feed,
            phase_milliwatts=phase,
            rack_is_live=np.asarray(on.any(axis=1)),
            rack_power_factor=power_factor,
            node_milliwatts=across(sums.taken),
            node_phase_milliwatts=sums.taken,
            node_storage_milliwatts=sums.storage,
            node_loss_milliwatts=sums.loss,
            node_source=supply.source,
            node_volts=volts,
            node_volts_low=low,
            node_amps=amps,
            node_power_factor=sums.factor,
            node_is_live=supply.live,
            node_is_open=is_open,
            node_has_tripped=tripped,
            node_on_battery=supply.from_battery > 0,
            battery_charge=sources.charge_share(),
            breaker_used=np.minimum(self._breakers.used, 1.0),
            frequency_hz=self._grid_hz(second) + float(self._frequency.step(second)[0]),
        )

    # Down to the racks ----------------------------------------------------------------

    def _on(self, usable: Bools) -> Bools:
        """Return which feeds of the racks have voltage that they can use: (R, F)."""
        wiring = self._wiring
        on: Bools = wiring.rack_has_feed & np.append(usable, np.True_)[wiring.rack_tap]
        return on

    def _split(self, asked: Ints, on: Bools) -> Ints:
        """Split what racks draw over their live feeds: (R, F) [mW], summing to it exactly, or 0."""
        weight = self._feed_share * on
        whole = across(weight)
        power = np.where(whole > 0, asked, 0)
        share = weight / np.where(whole > 0, whole, 1.0)[:, None]
        feed = np.floor(power[:, None] * share).astype(np.int64)
        rest = power - across(feed)
        feed[np.arange(len(feed)), np.argmax(on, axis=1)] += rest
        return feed

    def _grid_hz(self, second: int) -> float:
        """Return around what the grid's frequency wanders [Hz]."""
        self._off = [event for event in self._off if second < event.ends_s]
        return GRID_HZ * self._off[-1].strength if self._off else GRID_HZ

    def _phases(self, feed: Ints, second: int) -> Ints:
        """Split feeds over phases: (R, F, 3) [mW], summing to them exactly."""
        phase = np.empty((*feed.shape, 3), np.int64)
        self._unbalanced = [event for event in self._unbalanced if second < event.ends_s]
        for line in range(2):
            phase[..., line] = feed * self._phase_share[..., line]
        for event in self._unbalanced:
            racks = [self._wiring.rack_place[rack] for rack in event.subjects]  # type: ignore[index]  # ids are strings
            moved = (phase[racks, :, 0] * event.strength).astype(np.int64)
            phase[racks, :, 0] -= moved
            phase[racks, :, 1] += moved
        phase[..., 2] = feed - phase[..., 0] - phase[..., 1]
        return phase

    # Up to the roots ------------------------------------------------------------------

    def _up(self, supply: Supply, feed: Ints, phase: Ints, reactive: Floats) -> _Sums:
        """Add up from racks to roots."""
        wiring, count = self._wiring, len(self._wiring.nodes)
        # Sums of integers below 2**53 are exact in a float as well, and much faster.
        out = np.zeros((3, count))
        vars_out = np.zeros(count)
        share = feed / np.maximum(across(feed), 1)[:, None]
        for column, (has, tap) in enumerate(self._taps):
            for line in range(3):
                self._add(out[line], tap, phase[has, column, line])
            self._add(vars_out, tap, (reactive * share[:, column])[has])
        loss, storage = np.zeros(count, np.int64), np.zeros(count, np.int64)
        through, taken = np.zeros((3, count), np.int64), np.zeros((3, count), np.int64)
        charge = self._sources.charge(supply)
        for level, has_battery in zip(wiring.levels, self._level_has_battery, strict=True):
            out_here = out[:, level]
            given = out_here[0] + out_here[1] + out_here[2]
            a, b, c = self._loss[:, level]
            lost = np.rint(supply.live[level] * (a + given * (b + given * c))).astype(np.int64)
            need = comes = out_here.astype(np.int64) + thirds(lost)
            if has_battery:
                stored = np.rint(need * supply.from_battery[level]).astype(np.int64) - thirds(charge[level])
                comes = need - stored
                storage[level] = stored[0] + stored[1] + stored[2]
            loss[level], through[:, level], taken[:, level] = lost, need, comes
            source = supply.source[level]
            fed = np.flatnonzero(source != NONE)
            parent = source[fed]
            for line in range(3):
                self._add(out[line], parent, comes[line, fed])
            total = comes[0] + comes[1] + comes[2]
            upward = np.where(self._is_ups[level], total * UPS_REACTIVE, vars_out[level])
            self._add(vars_out, parent, upward[fed])
        real = through[0] + through[1] + through[2]
        apparent = np.hypot(real, vars_out)
        factor = np.where(apparent > 0, real / np.where(apparent > 0, apparent, 1.0), 1.0)
        return _Sums(taken.T, through, real, storage, loss, factor)

    @staticmethod
    def _add(totals: Floats, places: Ints, powers: Ints | Floats) -> None:
        """Add powers to the totals at places, which may come more than once."""
        if len(places):
            totals += np.bincount(places, powers, len(totals))

    def _voltages(self, second: int, supply: Supply) -> tuple[Floats, Floats]:
        """Return volts line to line, mean and lowest within the second: (N,) each."""
        wiring, count = self._wiring, len(self._wiring.nodes)
        per_unit = np.ones(count)
        wander = np.clip(self._voltage.step(second), -2.8, 2.8) * self._voltage_sigma
        per_unit[self._regulators] += wander
        drop = 1 - VOLTAGE_DROP * self._throughput / np.maximum(wiring.sizes.milliwatts, 1)
        for level in reversed(wiring.levels):
            source = supply.source[level]
            own = self._regulates[level]
            per_unit[level] = np.where(own, per_unit[level], per_unit[source]) * drop[level]
        volts = wiring.sizes.volts * per_unit * supply.live
        return volts * supply.sags.mean, volts * supply.sags.low


def thirds(milliwatts: Ints) -> Ints:
    """Split powers over three phases: (n,) to (3, n) [mW], summing to them exactly."""
    each = milliwatts // 3
    return np.concatenate((milliwatts - 2 * each, each, each)).reshape(3, -1)


def across(parts: Ints) -> Ints:
    """Add up a short last axis: many times faster than `sum` over it."""
    total = parts[..., 0]
    for place in range(1, parts.shape[-1]):
        total = total + parts[..., place]
    return total
