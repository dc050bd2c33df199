"""What is wrong with the parts of a monitor, as it is told of itself (rule Q9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from megawatch.run.parts import Parts
from megawatch.run.self_monitoring import Problem
from rules.base import Severity
from rules.notify.base import labels_of
from rules.notify.outbox import Outbox
from rules.registry import RULES
from rules.subject import OF_A_TENANT

ABOUT_TENANTS: Final = frozenset(rule.name for rule in RULES if rule.kind in OF_A_TENANT)
"""Rules whose alarms are about tenants, or about their contracts."""
HISTORY_TITLE: Final = "the database refuses what is written"
LOOK_AT_HISTORY: Final = (
    "Check the database's token, its bucket and its disk. Nothing is lost: the journal holds the readings"
    " until the database takes them, and alarms do not wait for it."
)
SNAPSHOT_TITLE: Final = "the state of judging is not saved"
LOOK_AT_SNAPSHOT: Final = (
    "Free space or inodes on the monitor's disk. Judging goes on, and nothing is lost; but the journal keeps"
    " all that was judged since, and the next start judges it once more."
)
RULE_TITLE: Final = "a rule fails, and judges nothing"
LOOK_AT_RULE: Final = (
    "Report the error to the rule's maintainers; `enabled = false` in the site file switches it off. Its"
    " alarms stay as they are, and what it watches is not known. Every other rule goes on."
)
BUS_TITLE: Final = "what is said on the bus is in doubt"
LOOK_AT_BUS: Final = (
    "Ask who publishes that, and whether the building system was changed. Name a publisher that is right"
    " under `publishers` in the site file. What is in doubt counts as unknown, never as compliance."
)
BROKER_TITLE: Final = "a broker does not let us in, or throws us out"
LOOK_AT_BROKER: Final = (
    "Check address, password, certificate and client id of the broker in the site file, and the broker's log."
    " The monitor goes on trying; what it does not hear is unknown, never compliance."
)
JUDGING_TITLE: Final = "nothing is judged"
LOOK_AT_JUDGING: Final = (
    "Report the error with the monitor's log. Readings are stored and judged once it is mended; until then no"
    " tenant is known to comply."
)
ROUTE_TITLE: Final = "a receiver does not accept pages"
LOOK_AT_ROUTE: Final = (
    "Check the route's address, its password and its proxy in the site file, and the receiver itself. Pages"
    " wait for it and are tried again; `megawatch status` says how many."
)
GONE_TITLE: Final = "a receiver is not told that alarms end"
LOOK_AT_GONE: Final = (
    "Tell whoever reads there, or name the route in the site file again until these alarms are over. Their"
    " end is told on the routes that take it now, and so are pages that waited."
)
AWAY_MS: Final = 60_000
"""How long a receiver may be away before that is told elsewhere (our choice)."""
CANARY_TITLE: Final = "the canary's page does not come through"
LOOK_AT_CANARY: Final = (
    "Something between the broker and the canary's receiver does not do its work: readings, judging or pages"
    " may not come through for tenants either. `megawatch status` and `megawatch why` say how far they came;"
    " check the broker, the canary's rights to publish there, and its receiver."
)
PART_TITLE: Final = "a part of the monitor fails or hangs"
LOOK_AT_PART: Final = (
    "Report the error with the monitor's log. It is begun again by itself, every other part goes on, and what"
    " this one has not done yet is done once it runs. Where one hangs in the disk, see to the disk; else"
    " restart the monitor. Until a collector runs, what its broker says is unknown."
)
DAMAGED_TITLE: Final = "files were damaged and put aside"
LOOK_AT_DAMAGED: Final = (
    "Check the disk. What could be read was kept, and everything goes on; what is missing is in doubt until"
    " it is heard again. Copy the files if they matter, then remove them: that ends this."
)


def problems_of(parts: Parts) -> list[Problem]:
    """Return what is wrong with the parts of a monitor now."""
    found = [
        Problem("journal", source.counters.store_error, silences_all=True)
        for source in parts.sources
        if source.counters.store_error
    ][:1]
    if parts.rules is not None:
        lag = parts.rules.lag
        if lag.store_error:
            found.append(Problem("ledger", lag.store_error, silences_all=True))
        if lag.snapshot_error:
            found.append(
                Problem(
                    "snapshot",
                    lag.snapshot_error,
                    SNAPSHOT_TITLE,
                    LOOK_AT_SNAPSHOT,
                    severity=Severity.HIGH,
                )
            )
        if lag.error:
            found.append(Problem("rules", lag.error, JUDGING_TITLE, LOOK_AT_JUDGING, silences_all=True))
        found += [
            Problem(f"rule {name}", error, RULE_TITLE, LOOK_AT_RULE, silences_all=name in ABOUT_TENANTS)
            for name, error in lag.failing.items()
        ]
    found += [
        Problem(part, trouble, PART_TITLE, LOOK_AT_PART) for part, trouble in parts.supervisor.failing.items()
    ]
    found += _damaged(parts)
    if parts.outbox is not None:
        found += _unheard(parts.outbox, parts.clock.now_ms())
        labels = labels_of(parts.told_elsewhere)
        found += [
            Problem(
                f"route {labels[route]}",
                f"{count} alarms were told there, and the site file names it no longer",
                GONE_TITLE,
                LOOK_AT_GONE,
                severity=Severity.MEDIUM,
            )
            for route, count in parts.told_elsewhere.items()
        ]
    if parts.canary is not None and parts.canary.trouble:
        found.append(Problem("canary", parts.canary.trouble, CANARY_TITLE, LOOK_AT_CANARY))
    for source in parts.sources:
        trouble = source.health.trouble
        if trouble:
            subject = f"broker {source.name}"
            found.append(Problem(subject, trouble, BROKER_TITLE, LOOK_AT_BROKER, severity=Severity.HIGH))
        found += problems_of_bus(source.name, source.problems(parts.clock.now_ms()))
    shipping = None if parts.shipper is None else parts.shipper.trouble
    if shipping is not None and shipping.needs_somebody:
        found.append(Problem("history", shipping.text, HISTORY_TITLE, LOOK_AT_HISTORY))
    return found


def trouble_of(parts: Parts) -> str:
    """Return what keeps a monitor from judging or telling now, "" for nothing."""
    if parts.outbox is not None:
        for route, failing in parts.outbox.failing.items():
            return f"{parts.outbox.receivers[route].label} accepts nothing: {failing.cause}"
    grave = (problem for problem in problems_of(parts) if problem.severity is Severity.CRITICAL)
    return next((f"{problem.subject}: {problem.cause}" for problem in grave), "")


def _damaged(parts: Parts) -> Iterable[Problem]:
    """Yield what was found damaged on our own disk."""
    aside = parts.damaged_files
    if aside:
        cause = f"{len(aside)} in {aside[0].parent}: {', '.join(path.name for path in aside[:3])}"
        yield Problem("damaged files", cause, DAMAGED_TITLE, LOOK_AT_DAMAGED, severity=Severity.HIGH)
    damaged = {} if parts.journal is None else parts.journal.damaged
    if damaged:
        cause = f"{len(damaged)} entries of the journal, such as {next(iter(damaged.items()))}"
        yield Problem("damaged entries", cause, DAMAGED_TITLE, LOOK_AT_DAMAGED, severity=Severity.HIGH)


def _unheard(outbox: Outbox, now_ms: int) -> Iterable[Problem]:
    """Yield the receivers that accept nothing, where that does not pass by itself or has lasted."""
    for route, failing in outbox.failing.items():
        if failing.needs_somebody or now_ms - failing.since_ms >= AWAY_MS:
            cause = f"{failing.cause}; waits there: {failing.headline}"
            subject = f"pages to {outbox.receivers[route].label}"
            yield Problem(subject, cause, ROUTE_TITLE, LOOK_AT_ROUTE, avoids=route)


def problems_of_bus(name: str, causes: Mapping[str, str]) -> list[Problem]:
    """Return what is wrong with what is said on a bus.

    Args:
        name: What the bus is called.
        causes: What is wrong: a cause by what it is wrong with.
    """
    return [
        Problem(f"{what} of {name}", cause, BUS_TITLE, LOOK_AT_BUS, severity=Severity.HIGH)
        for what, cause in causes.items()
    ]
