"""A small simulated site and everything that the monitor would have written of it, in virtual time.

The plant, its meters and its bus are the simulator's; the decoder, the engine and the means are those of the
running monitor. What is left out is the broker and the journal's files.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from facility.instants import MINUTE_MS, SECOND_MS
from facility.readings import Batch, Quality
from facility.sitefile.reader import read_site
from grafana.schema import NAMES
from rules.alarms.states import Transition
from rules.engine.engine import Step
from simulators.model.jobs import Course, Training
from simulators.model.layouts import Shape, site_text
from simulators.run import Second, Simulation
from simulators.scenario.scenario import FaultKind, FaultSpec, Metering, Scenario
from simulators.wire.bus import payloads
from store.base import Chunk
from store.ledger.alarms import Alarm, AlarmChange
from store.means.accumulator import Meaner
from store.means.draws import DrawMeans
from store.means.means import Means, hold_ms
from store.series import Health, TenantDraw
from testing.rehearsal.rehearsal import Rehearsal, as_message

BEGIN_MS = 1_780_000_000_000 // (15 * MINUTE_MS) * (15 * MINUTE_MS)
"""The beginning of a quarter of an hour in May 2026 [ms]."""
SECONDS = 1_080
"""Eighteen minutes: a whole quarter of an hour, and what comes after it."""
END_MS = BEGIN_MS + SECONDS * SECOND_MS
SHAPE = Shape(racks=20, racks_per_row=5, broker="mqtt://127.0.0.1")
OVER_S = (300, 420)
"""When basil draws more than it may [s]; it does again at the end."""
AGAIN_S = 1_000
"""When it begins to again [s]."""
MUTE_S = (620, 800)
"""When nothing is heard of the first rack but that its gateway lives [s]."""
HEALTH_MS = 10 * SECOND_MS
TICK_MS = SECOND_MS
"""Judged once a second: its series have a row a second however often is judged [ms]."""
_PART_S = 60
_SETTLED = ("stored", "duplicates", "waiting")


@dataclass(slots=True, repr=False)
class World:
    """What happened.

    Attributes:
        racks: The racks, in the order of the plant.
        held: The racks of each tenant, and the operator's own.
        nodes: The nodes of the power chain, in the order of the plant.
        chunks: What a writer would have given to a database.
        draws: The engine's series, in order.
        changes: What happened to alarms.
        seconds: The plant and what it said, second by second.
    """

    racks: list[str]
    held: dict[str, list[str]]
    nodes: list[str] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    draws: list[tuple[int, tuple[TenantDraw, ...]]] = field(default_factory=list)
    changes: list[AlarmChange] = field(default_factory=list)
    seconds: list[Second] = field(default_factory=list)

    def true_mw(self, tenant: str, second: int) -> float:
        """Return what a tenant's racks truly drew in a second [MW]."""
        drawn = self.seconds[second].state.rack_milliwatts
        return float(sum(int(drawn[self.racks.index(rack)]) for rack in self.held[tenant]) / 1e9)

    def true_kw(self, rack: str, minute: int) -> float:
        """Return what a rack truly drew over a minute [kW]: each tick tells of the second before."""
        return sum(self.true_kw_at(rack, minute * 60 - 1 + second) for second in range(60)) / 60

    def true_kw_at(self, rack: str, second: int) -> float:
        """Return what a rack truly drew in a second [kW]."""
        return float(self.seconds[second].state.rack_milliwatts[self.racks.index(rack)] / 1e6)

    def true_supply_mw(self, minute: int) -> float:
        """Return what the utilities truly gave over a minute [MW]."""
        places = [i for i, node in enumerate(self.nodes) if node.startswith("UTILITY")]
        seconds = self.seconds[minute * 60 - 1 : minute * 60 + 59]
        return sum(int(second.state.node_milliwatts[places].sum()) for second in seconds) / 60e9

    def true_site_mw(self, second: int) -> float:
        """Return what all racks truly drew in a second [MW]."""
        return float(self.seconds[second].state.rack_milliwatts.sum() / 1e9)


@cache
def a_world() -> World:
    """Let it happen: three tenants, one of them draws too much for two minutes, and the operator."""
    scenario = _scenario()
    simulation = Simulation(scenario)
    world = _world(simulation)
    steps: list[Step] = []
    health: list[Health] = []
    rehearsal = Rehearsal(scenario.site, begin_ms=BEGIN_MS - 3_000, told=steps.append, gather_ms=TICK_MS)
    meaner, learned, stored = Meaner(), 0, 0
    draw_means = DrawMeans(Path("never-saved"))
    while len(world.seconds) < SECONDS:
        second = simulation.step()
        world.seconds.append(second)
        rows = second.rows
        rehearsal.hear(
            [
                as_message(second.topics[channel], payload, sent_ms, qos=1, is_retained=False)
                for channel, payload, sent_ms in zip(
                    rows.channel.tolist(), payloads(rows), rows.sent_ms.tolist(), strict=True
                )
            ],
            second.time_ms + SECOND_MS - 1,
        )
        if second.time_ms % HEALTH_MS == 0:
            health.append(_health(rehearsal, second.time_ms))
        if len(world.seconds) % _PART_S:
            continue
        points = dict(rehearsal.engine.points)
        for number in range(learned, len(points)):
            meaner.learn(number, hold_ms(points[number]))
        learned = len(points)
        batch = Batch.concatenate(rehearsal.journal.batches[stored:])
        stored = len(rehearsal.journal.batches)
        batch = batch.take(batch.quality != Quality.REFUSED)
        changes = [_change(change) for step in steps for change in step.changes]
        changes += [_acknowledged(change) for change in changes if change.change == "opened"]
        draws = [(step.at_ms, step.draws) for step in steps if step.draws]
        means: list[Means] = [found for found in meaner.take(batch) if len(found)]
        world.draws += draws
        world.changes += changes
        world.chunks.append(
            Chunk(
                first_seq=len(world.chunks) + 1,
                last_seq=len(world.chunks) + 1,
                batch=batch,
                points=points,
                draws=draws,
                changes=changes,
                rollups=[row for step in steps for row in step.rollups],
                means=means,
                draw_means=draw_means.hear((0, *row) for row in draws),
                health=tuple(health),
            )
        )
        steps.clear()
        health.clear()
    return world


def _change(change: Transition) -> AlarmChange:
    alarm = Alarm(
        id=change.alarm_id,
        rule=change.rule,
        title="",
        subject=change.subject,
        severity=change.severity.word,
        unit="kW",
        since_ms=change.since_ms,
        opened_ms=change.opened_ms,
        value=change.value,
        limit=change.limit,
    )
    return AlarmChange(alarm=alarm, change=change.change.value, at_ms=change.at_ms)


def _acknowledged(opened: AlarmChange) -> AlarmChange:
    """Return that somebody acknowledged an alarm, five seconds after it opened."""
    at_ms = opened.at_ms + 5 * SECOND_MS
    alarm = replace(opened.alarm, acknowledged_by="Ann Lee", acknowledged_ms=at_ms)
    return AlarmChange(alarm=alarm, change="acknowledged", at_ms=at_ms)


def _health(rehearsal: Rehearsal, at_ms: int) -> Health:
    """Return what the monitor would say of itself; what only a process has is a plain figure."""
    account, received = rehearsal.heard.account, float(rehearsal.heard.received)
    dead = {reason: n for reason, n in account.items() if reason not in _SETTLED}
    figures = dict.fromkeys(NAMES["pipeline"][1], 1.0)
    figures |= {
        "received": received,
        "stored": float(account["stored"]),
        "duplicates": float(account["duplicates"]),
        "waiting": float(account["waiting"]),
        "dead_lettered": float(sum(dead.values())),
        "undelivered": 0.0,
        "cpu_s": at_ms / 10 / SECOND_MS,
        "memory_bytes": 150e6,
        "canary_delay_s": 6.5,
        "rules_lag_s": (rehearsal.now_ms - (rehearsal.engine.tick_ms or rehearsal.now_ms)) / SECOND_MS,
    }
    return Health(at_ms=at_ms, figures=figures, dead_lettered={**dead, "out-of-range": 0})


def _scenario() -> Scenario:
    held = SHAPE.rack_ids
    over = ((OVER_S[0], 0.7), (OVER_S[0] + 20, 0.97), (OVER_S[1], 0.97), (OVER_S[1] + 20, 0.7))
    again = ((AGAIN_S, 0.7), (AGAIN_S + 20, 0.97))
    text = f"{site_text(SHAPE)}\n[engine]\ntick_ms = {TICK_MS}\n"
    return Scenario(
        name="dashboards",
        proves="every panel has something to show",
        site_text=text,
        site=read_site(text),
        begin_ms=BEGIN_MS,
        seconds=SECONDS,
        seed=7,
        metering=Metering(step_w=10.0, period_s=1),
        jobs=(
            Training(name="training", racks=held[:10], level=0.4),
            Course(name="basil", racks=held[10:14], points=(*over, *again)),
            Course(name="cedar", racks=held[14:], points=((0, 0.6),), sigma=0.02),
        ),
        faults=(
            FaultSpec(
                kind=FaultKind.MUTE, from_s=MUTE_S[0], to_s=MUTE_S[1], scope=held[:1], point_type="RackPower"
            ),
        ),
    )


def _world(simulation: Simulation) -> World:
    site = simulation.scenario.site.site
    racks = [str(rack) for rack in simulation.wiring.racks]
    held = {str(tenant.id): [str(r) for r in tenant.racks_at(BEGIN_MS)] for tenant in site.tenants}
    taken = {rack for of in held.values() for rack in of}
    held["operator"] = [rack for rack in racks if rack not in taken]
    return World(racks, held, [str(node) for node in simulation.wiring.nodes])
