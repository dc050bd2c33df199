"""A random day of a plant through the whole monitor, held against what was so."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from rules.registry import RULES as ALL
from simulators.model.state import State
from simulators.run import Second, wiring_of
from testing.plantdays.compare import differences, owed
from testing.plantdays.day import RULES, Day, plant_day
from testing.plantdays.truth import Watch, watches_of
from testing.rehearsal.perform import Performed, perform

TICK_MS = 1_000


@dataclass(slots=True)
class Lived:
    """What a day came to.

    Attributes:
        day: What happened.
        performed: What the monitor made of it.
        watches: What was so.
        wrong: Where the two disagree, one sentence each.
    """

    day: Day
    performed: Performed
    watches: list[Watch]
    wrong: list[str] = field(default_factory=list)

    def owed(self) -> Counter[str]:
        """Count by rule how often something was surely so for long enough."""
        return Counter(
            watch.rule
            for watch in self.watches
            for place in range(len(watch.subjects))
            for _ in owed(watch, place)
        )


def rules_text(others: Mapping[str, str]) -> str:
    """Return the rules of a day as TOML: those that are judged with short delays, the others off.

    Args:
        others: Parameters of some rules in place of those that they should have, as TOML.
    """
    off = [rule.name for rule in ALL if rule.name not in RULES]
    tables = [f"[rules.{name}]\n{said}\n" for name, said in {**RULES, **others}.items() if said]
    return "".join([*(f"[rules.{name}]\nenabled = false\n" for name in off), *tables])


def live_through(seed: int, others: Mapping[str, str] = MappingProxyType({})) -> Lived:
    """Let a random day happen, and hold the monitor against what was so.

    Args:
        seed: What the day follows from.
        others: Parameters of some rules in place of those that they should have, as TOML.
    """
    day = plant_day(seed, rules_text(others))
    wiring = wiring_of(day.scenario)
    limit = sum(
        tenant.contract.versions[-1].committed_milliwatts
        for tenant in day.scenario.site.site.tenants
        if tenant.contract is not None
    )
    watches = watches_of(wiring, limit)

    def watch(second: Second) -> None:
        _note(watches, second.state)

    performed = perform(day.scenario, equipment=None, tick_ms=TICK_MS, gather_ms=TICK_MS, watch=watch)
    wrong = list(differences(watches, performed.heard.alarms, day.scenario.begin_ms))
    return Lived(day, performed, watches, wrong)


def _note(watches: list[Watch], state: State) -> None:
    for watch in watches:
        watch.note(state)


def main(arguments: list[str]) -> int:
    """Run one seed alone and print what happened, what was owed, what the monitor said, and what is wrong."""
    lived = live_through(int(arguments[0]))
    begin_ms = lived.day.scenario.begin_ms
    lines = [
        f"event    {event.kind} of {', '.join(event.subjects) or 'all'} from {event.at_s:g} to "
        f"{event.until_s} s, strength {event.strength:g}, failover {event.failover_s}"
        for event in lived.day.scenario.events
    ]
    lines += [
        f"owed     {watch.rule} {subject} from {run.start} to {run.end} s, by {due_s} s"
        for watch in lived.watches
        for place, subject in enumerate(watch.subjects)
        for run, due_s in owed(watch, place)
    ]
    lines += [
        f"monitor  {alarm.rule} {alarm.subject} at {(alarm.opened_ms - begin_ms) / 1e3:g} s, over at "
        f"{None if alarm.returned_ms is None else (alarm.returned_ms - begin_ms) / 1e3} s, "
        f"{alarm.severity.word}, {'told' if alarm.told_ms is not None else 'silent'}, "
        f"{alarm.value:.3f} of {alarm.limit:.3f}"
        for alarm in sorted(lived.performed.heard.alarms, key=lambda each: each.opened_ms)
    ]
    sys.stdout.write("\n".join([*lines, *(lived.wrong or ["they agree"])]) + "\n")
    return 1 if lived.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
