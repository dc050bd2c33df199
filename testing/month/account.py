"""The alarms of the month held against its faults: what each rule said, and whether there was a cause."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from facility.instants import SECOND_MS
from rules.library.data.q1_rack_silent import NOBODYS
from rules.registry import RULES
from simulators.model.wiring import NONE
from simulators.run import wiring_of
from simulators.scenario.scenario import Scenario
from store.ledger.alarms import rule_of
from testing.month.faults import BEGIN_MS, DATES, DAY_S, Fault
from testing.month.live import Lived
from testing.rehearsal.rehearsal import Alarm

EARLY_S: Final = 15
"""How much earlier than its fault an alarm may open: ticks lie on whole tens of seconds [s]."""
LATE_S: Final = 900
"""How long after a fault has settled an alarm may open because of it [s]."""

CANNOT: Final[Mapping[str, str]] = {
    "T1": "no point of it measures the air at a rack's inlet",
    "T2": "no point of it measures the air at a rack's inlet",
    "T3": "no point of it measures the air at a rack's inlet",
    "T11": "no point of it measures a dew point",
    "T15": "no valve on it tells its command",
    "T16": "it tells of no single pump of a coolant unit",
}
"""Rules that cannot fire on the month's bus, and what that lacks."""


@dataclass(slots=True)
class Account:
    """What the month came to.

    Attributes:
        rules: Of each rule by name: how often it `opened`, of these `told`, `suppressed`, `damped`, with a
            `cause`, and `unverified` (that it cannot tell); what was `owed`, and `missed`.
        invented: Alarms without a cause, one sentence each.
        missed: What was owed and did not come, one sentence each.
    """

    rules: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    invented: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """What is not as it must be."""
        return [*self.invented, *self.missed]


def account_of(lived: Lived, faults: Sequence[Fault]) -> Account:
    """Return what each rule said in a part of the month, and what it should have.

    Args:
        lived: What the monitor made of it.
        faults: What happened in it, in seconds of the month.
    """
    account, places = Account(), Places(lived.scenario)
    for alarm in lived.alarms:
        counts = account.rules[rule_of(alarm.rule)]
        counts["opened"] += 1
        counts[telling(alarm, lived)] += 1
        counts["unverified"] += alarm.rule != rule_of(alarm.rule)
        opened_s = opened_at_s(alarm, lived)
        if alarm.rule == "C10":
            has_cause = alarm.subject in dict(DATES)
        else:
            has_cause = any(_explains(fault, alarm, opened_s, places) for fault in faults)
        counts["cause"] += has_cause
        if not has_cause:
            account.invented.append(f"invented: {_described(alarm, opened_s)}")
    _note_missed(account, lived, faults)
    return account


def _note_missed(account: Account, lived: Lived, faults: Sequence[Fault]) -> None:
    """Note what was owed, and what of it did not come."""
    found = [(alarm.rule, alarm.subject, opened_at_s(alarm, lived)) for alarm in lived.alarms]
    for what, owed, least_s, most_s in _all_owed(lived, faults):
        rule, _, subject = owed.partition(" ")
        account.rules[rule]["owed"] += 1
        if not any(
            (rule, subject) == (name, about) and least_s <= at_s <= most_s for name, about, at_s in found
        ):
            account.rules[rule]["missed"] += 1
            account.missed.append(f"missed: {owed}, of {what}")


def _all_owed(lived: Lived, faults: Sequence[Fault]) -> Iterator[tuple[str, str, float, float]]:
    """Yield what was owed for what, and in which seconds of the month it had to open."""
    for fault in faults:
        for owed in fault.owes:
            yield fault.what, owed, fault.at_s - EARLY_S, fault.ends_s + fault.settles_s
    first_s = lived.begins_s
    for subject, from_ms in DATES:
        from_s = (from_ms - BEGIN_MS) / SECOND_MS
        if from_s < first_s + lived.scenario.seconds:
            due_s = max(from_s, first_s)
            yield "a date of a contract", f"C10 {subject}", due_s, due_s + LATE_S


def _explains(fault: Fault, alarm: Alarm, opened_s: float, places: Places) -> bool:
    if not fault.at_s - EARLY_S <= opened_s <= fault.ends_s + fault.settles_s + LATE_S:
        return False
    if f"{alarm.rule} {alarm.subject}" in fault.owes:
        return True
    return alarm.rule in fault.explains and places.hang_together(alarm.subject, fault.places)


class Places:
    """What hangs together with what: by power, by cooling, by tenant, by row.

    Args:
        scenario: The month.
    """

    def __init__(self, scenario: Scenario) -> None:
        wiring, site = wiring_of(scenario), scenario.site.site
        self._site = site.name
        self._racks = {str(rack) for rack in wiring.racks}
        self._tenants = {
            str(tenant.id): {str(rack) for rack in tenant.racks_at(scenario.begin_ms)}
            for tenant in site.tenants
        }
        self._serving: dict[str, set[str]] = defaultdict(set)
        for rack, taps, cdu in zip(wiring.racks, wiring.rack_tap, wiring.rack_cdu, strict=True):
            self._serving[str(rack)] = {str(wiring.nodes[tap]) for tap in taps if tap != NONE}
            self._serving[str(rack)] |= {str(wiring.cdus[cdu])} if cdu != NONE else set()
        for node, parents in zip(wiring.nodes, wiring.node_parents, strict=True):
            self._serving[str(node)] = {str(wiring.nodes[parent]) for parent in parents}

    def hang_together(self, subject: str, struck: Sequence[str]) -> bool:
        """Tell whether an alarm is about what a fault strikes, or what serves that or is served by it.

        Args:
            subject: What the alarm is about.
            struck: The places of the fault.
        """
        if self._site in struck:
            return True
        about = self._stand_for({subject, *re.split(r"[^A-Za-z0-9-]+", subject)})
        struck_ones = self._stand_for(struck)
        serves = set[str]().union(*map(self._with_all_above, struck_ones))
        return not about.isdisjoint(serves) or any(
            not struck_ones.isdisjoint(self._with_all_above(each)) for each in about
        )

    def _stand_for(self, names: Iterable[str]) -> set[str]:
        """Return names with the racks of those that are tenants, gateways or sensors of a row."""
        found = set(names)
        for name in names:
            found |= self._tenants.get(name, set())
            row = name.removeprefix("GW-").removeprefix("ENV-")
            found |= {rack for rack in self._racks if rack.startswith(f"{row}-")}
            if name == NOBODYS:
                found |= self._racks.difference(*self._tenants.values())
        return found

    def _with_all_above(self, name: str) -> set[str]:
        """Return something with all that serves it, directly or not."""
        found, stack = {name}, [name]
        while stack:
            above = self._serving.get(stack.pop(), set()) - found
            found |= above
            stack += above
        return found


def telling(alarm: Alarm, lived: Lived) -> str:
    """Return whether an alarm was `told`, or why not: `damped`, or `suppressed` under one that says more."""
    if alarm.told_ms is not None:
        return "told"
    return "damped" if alarm.id in lived.damped else "suppressed"


def opened_at_s(alarm: Alarm, lived: Lived) -> float:
    """Return in which second of the month an alarm opened [s]."""
    return (alarm.opened_ms - lived.scenario.begin_ms) / SECOND_MS + lived.begins_s


def _described(alarm: Alarm, opened_s: float) -> str:
    return f"{alarm.rule} {alarm.subject} on {moment(opened_s)}, {alarm.value:.3f} of {alarm.limit:.3f}"


def moment(second: float) -> str:
    """Return a second of the month as its day, from 1, and the time of that day."""
    day, rest = divmod(int(second), DAY_S)
    return f"day {day + 1} {rest // 3_600:02d}:{rest % 3_600 // 60:02d}:{rest % 60:02d}"


COUNTS: Final = ("opened", "told", "suppressed", "damped", "unverified", "cause", "owed", "missed")


def as_document(account: Account, lived: Lived, faults: Sequence[Fault]) -> dict[str, Any]:
    """Return the month as it stands in its file.

    Args:
        account: What it came to.
        lived: What the monitor made of it.
        faults: What happened in it.
    """
    scenario = lived.scenario
    return {
        "days": scenario.seconds // DAY_S,
        "seed": scenario.seed,
        "racks": len(scenario.site.site.racks),
        "tenants": len(scenario.site.site.tenants),
        "messages": lived.messages,
        "faults": [
            {"what": fault.what, "day": fault.at_s // DAY_S + 1, "lasts_s": fault.lasts_s, "owes": fault.owes}
            for fault in faults
        ],
        "invented": account.invented,
        "missed": account.missed,
        "rules": {rule.name: {name: account.rules[rule.name][name] for name in COUNTS} for rule in RULES},
        "cannot_fire": dict(CANNOT),
    }
