"""How like the recorded bus the simulated one is: the recorded pod, rebuilt and compared.

NVIDIA's recording (NVIDIA/dsx-exchange, `dsx_exemplar.csv`) is of a row of six racks with two bus meters, tap
meters at one rack, one coolant unit and the sensors of the row, under an even load. `pod` is the same make-up
simulated; `compare` holds the rates of messages and the relations between readings against each other.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, Final

from facility.sitefile.reader import read_site
from formats.dsx import parse_topic
from simulators.meters.instruments import RECORDED as INSTRUMENTS
from simulators.model.jobs import Steady
from simulators.model.ratings import RackRating
from simulators.model.wiring import wire
from simulators.run import Simulation
from simulators.scenario.scenario import Scenario
from simulators.wire.points import Equipment

EQUIPMENT: Final = Equipment(
    tap_points=(
        "power", "apparent", "current", "highest", "limit", "frequency",
        "phase-1", "phase-2", "phase-3", "factor", "voltage",
    ),
    bus_points=(
        "power", "apparent", "current", "highest", "limit", "frequency",
        "phase-1", "phase-2", "phase-3", "voltage",
    ),
    has_heartbeats=False,
)  # fmt: skip
"""What the recording has of each thing that it has."""
FROM_S: Final = 3
"""Both begin with a snapshot of everything; counting begins after it [s]."""
TO_S: Final = 303
"""How long the simulated pod is run: long enough that chance does not matter [s]."""
MOST_OFF: Final = 0.25
"""How far a rate may be off."""
REPEATED: Final = 0.015
"""Messages a second that a still point may say: the recording is shorter than a repetition of 100 s."""
HEAT_PER_LPM_K: Final = 0.0659
"""Heat that one L/min of PG25 at 40 °C carries at one kelvin: 1.014 kg/L times 3.90 kJ/kgK over 60 s [kW]."""

RACK_KW: Final = (0.096, 35.205, 46.911, 47.829, 47.828, 36.2)
"""What each rack draws; the recording's six, rounded [kW]."""
RATING_KW: Final = (6.0, 35.3, 47.0, 47.9, 47.9, 36.3)
"""Ratings: the first rack is all but empty, the others draw nearly all that they may [kW]."""
LPM_PER_KW: Final = 1.2
"""Flow for which the recorded racks are set, per kW of rating [L/min]."""
METERED: Final = "C-E05"
"""The rack whose taps are metered."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a bus: when it came, its topic and its payload.

    Attributes:
        at_s: When, from the start [s].
        topic: Its topic.
        payload: Its payload.
    """

    at_s: float
    topic: str
    payload: bytes


@dataclass(slots=True)
class Figures:
    """What is compared of a bus.

    Attributes:
        points: How many points of each object and point type there are.
        rates: Messages a second that each of them says.
        relations: Relations between readings, by name.
    """

    points: dict[str, int] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    relations: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the comparison.

    Attributes:
        name: What is compared.
        recorded: In the recording.
        simulated: In the simulation.
        is_like: Whether they are close enough.
    """

    name: str
    recorded: float
    simulated: float
    is_like: bool


def pod() -> Simulation:
    """Return the recorded pod, simulated."""
    racks = [f"C-E{number:02d}" for number in range(1, len(RACK_KW) + 1)]
    liquid = ", ".join(f'"{rack}"' for rack in racks[1:])
    assets = [("C-F00-CDU-05", "CDU", liquid)]
    for feed in (1, 2):
        taps = ", ".join(f'"{rack}-TAP-E{feed}"' for rack in racks)
        assets.append((f"C-E-BUS-E{feed}", "PowerMeter", taps))
        assets += [(f"{rack}-TAP-E{feed}", "PowerMeter", f'"{rack}"') for rack in racks]
    text = '[site]\nname = "pod"\n' + "".join(
        [
            f'[[rack]]\nids = "{rack}"\nrating_kw = {rating}\n'
            for rack, rating in zip(racks, RATING_KW, strict=True)
        ]
        + [
            f'[[asset]]\nid = "{name}"\nkind = "{kind}"\nserves = [{serves}]\n'
            for name, kind, serves in assets
        ]
    )
    site = read_site(text)
    jobs = tuple(
        Steady(name=rack, racks=(rack,), total_milliwatts=round(kilowatts * 1e6))
        for rack, kilowatts in zip(racks, RACK_KW, strict=True)
    )
    scenario = Scenario(
        name="pod",
        proves="The simulated bus sounds like the recorded one.",
        site_text=text,
        site=site,
        begin_ms=1_780_000_000_000,
        seconds=TO_S,
        seed=1,
        jobs=jobs,
    )
    # 95 % of the heat goes into the coolant in the recording: flow times rise of temperature, by power.
    wet = {rack: RackRating(liquid_share=0.95, lpm_per_kw=LPM_PER_KW) for rack in racks[1:]}
    wiring = wire(site.site, rack_ratings=wet | {racks[0]: RackRating(liquid_share=0.0)})
    equipment = replace(EQUIPMENT, metered=frozenset({METERED}))
    return Simulation(scenario, wiring=wiring, equipment=equipment, instruments=INSTRUMENTS)


def said_by(simulation: Simulation) -> Iterable[Said]:
    """Yield what a simulation says, from its start to its end."""
    begin_ms = simulation.scenario.begin_ms
    for second in simulation.seconds():
        sent = second.rows.sent_ms.tolist()
        for at_ms, message in zip(sent, second.messages, strict=True):
            yield Said((at_ms - begin_ms) / 1_000, message.topic, message.payload)


def figures(messages: Iterable[Said], from_s: float, to_s: float) -> Figures:
    """Return what is compared of a bus.

    Args:
        messages: What was said on it, metadata included.
        from_s: When counting begins [s].
        to_s: When it ends [s].
    """
    described: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = defaultdict(int)
    last: dict[str, float] = {}
    for message in messages:
        topic = parse_topic(message.topic)
        if topic is None or topic.object_type == "System":
            continue
        if topic.type == "Metadata":
            described[topic.key] = json.loads(message.payload)
            continue
        value = json.loads(message.payload)["value"]
        if value is not None:
            last[topic.key] = float(value)
        counts[topic.key] += from_s <= message.at_s < to_s
    found = Figures()
    by_kind: dict[str, list[str]] = defaultdict(list)
    for key in described:
        by_kind["/".join(key.split("/")[:2])].append(key)
    for kind, keys in sorted(by_kind.items()):
        found.points[kind] = len(keys)
        found.rates[kind] = sum(counts[key] for key in keys) / len(keys) / (to_s - from_s)
    found.relations = _relations(described, last)
    return found


def _relations(described: Mapping[str, Mapping[str, Any]], last: Mapping[str, float]) -> dict[str, float]:
    """Return the relations between the last readings of a bus."""

    def values(point_type: str, **wanted: str) -> dict[str, float]:
        return {
            str(said.get("rackLocationId") or said.get("objectId")): last[key]
            for key, said in described.items()
            if said["pointType"] == point_type
            and key in last
            and all(said.get(name) == value for name, value in wanted.items())
        }

    power = values("RackPower")
    flow, supply, back = (
        values(f"RackLiquid{what}") for what in ("Flow", "SupplyTemperature", "ReturnTemperature")
    )
    meters = values("ActivePower")
    serves = {str(said.get("objectId")): said.get("servesId", []) for said in described.values()}
    taps = {name: kilowatts for name, kilowatts in meters.items() if any(r in power for r in serves[name])}
    buses = {name: kilowatts for name, kilowatts in meters.items() if name not in taps}
    apparent = values("ApparentPower")
    heat = {rack: HEAT_PER_LPM_K * flow[rack] * (back[rack] - supply[rack]) for rack in flow}
    tapped = {rack for name in taps for rack in serves[name]}
    return {
        "bus meters over rack powers": sum(buses.values()) / sum(power.values()),
        "tap meters over rack power": sum(taps.values()) / sum(power[rack] for rack in tapped),
        "active over apparent power": fmean(meters[name] / apparent[name] for name in meters),
        "heat by flow and temperatures over rack power": fmean(heat[rack] / power[rack] for rack in heat),
        "rise of coolant temperature [K]": fmean(back[rack] - supply[rack] for rack in flow),
        "flow per kW [L/min]": fmean(flow[rack] / power[rack] for rack in flow),
        "supply [°C]": fmean(supply.values()),
    }


# How far relations may be apart: meters agree within their class, heat balances within its sensors, and what
# depends on how a site is set within a quarter.
_RELATIONS: Final = {
    "bus meters over rack powers": 0.01,
    "tap meters over rack power": 0.01,
    "active over apparent power": 0.02,
    "heat by flow and temperatures over rack power": 0.10,
    "rise of coolant temperature [K]": MOST_OFF,
    "flow per kW [L/min]": MOST_OFF,
    "supply [°C]": 0.05,
}


def compare(recorded: Figures, simulated: Figures) -> list[Line]:
    """Hold a simulated bus against a recorded one: first the rates, then the relations.

    Args:
        recorded: Figures of the recorded bus.
        simulated: Figures of the simulated one.
    """
    lines = []
    for kind, rate in recorded.rates.items():
        own = simulated.rates.get(kind, 0.0)
        is_like = abs(own - rate) <= max(MOST_OFF * rate, REPEATED)
        lines.append(Line(kind, rate, own, is_like))
    for name, value in recorded.relations.items():
        own = simulated.relations[name]
        lines.append(Line(name, value, own, abs(own - value) <= _RELATIONS[name] * abs(value)))
    return lines


def page(recorded: Figures, simulated: Figures) -> str:
    """Return the comparison as a page of the documentation."""
    lines = compare(recorded, simulated)
    rates, relations = lines[: len(recorded.rates)], lines[len(recorded.rates) :]
    return "\n".join(
        [
            "# Likeness of the simulated bus",
            "",
            "The pod of NVIDIA's recording (six racks, two bus meters, tap meters at one rack, one coolant",
            "unit, the sensors of a row; NVIDIA/dsx-exchange, `dsx_exemplar.csv`, first 50 s), and the same",
            f"pod simulated for {TO_S - FROM_S} s. Made by `tests/unit/simulators/likeness.py`.",
            "",
            f"Messages a second of each point. A rate may be {MOST_OFF:.0%} off; of points that stand still,",
            f"{REPEATED} a second, because the recording is shorter than a repetition of 100 s.",
            "",
            *_table(("point", "points", "recorded", "simulated"), rates, recorded.points),
            "",
            "Relations between readings. Meters may differ by their class (1 to 2 %), the heat balance by",
            "10 %, what depends on how a site is set by a quarter, and the supply by 5 %.",
            "",
            *_table(("relation", "recorded", "simulated"), relations, None),
            "",
        ]
    )


def _table(heads: Sequence[str], lines: Sequence[Line], points: Mapping[str, int] | None) -> list[str]:
    found = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for line in lines:
        own = [f"{points[line.name]}"] if points is not None else []
        cells = [line.name, *own, f"{line.recorded:.3f}", f"{line.simulated:.3f}"]
        found.append("| " + " | ".join(cells) + " |")
    return found
