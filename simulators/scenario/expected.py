"""From the tables of a scenario file to the alarms that must, must not and will one day be raised."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from facility.sitefile.notes import Notes
from simulators.scenario.build import Names
from simulators.scenario.scenario import Expectation, Prohibition, Waiting
from simulators.scenario.tables import MustNotTable, MustTable, WaitsTable

ANY = "*"
"""Any rule, or anybody."""
TOGETHER = frozenset({"racks that nobody contracted", "racks that were never heard"})
"""Subjects that stand for many racks, by the words that the rules have for them."""


def expectations_of(
    tables: Sequence[tuple[str, MustTable]],
    seconds: int,
    rules: Collection[str],
    subjects: Names | None,
    notes: Notes,
) -> tuple[Expectation, ...]:
    """Return the alarms that must be raised.

    Args:
        tables: The `[[must]]` tables.
        seconds: How long the scenario lasts [s].
        rules: The rules that there are; none are checked if empty.
        subjects: Ids of what alarms can be about; None where that is not known.
        notes: Takes the faults.
    """
    found: list[Expectation] = []
    for path, table in tables:
        if table.to_s < table.from_s:
            notes.fault(f"{path}.to_s", f"a second not before {table.from_s}", str(table.to_s))
        if table.from_s > seconds:
            notes.fault(f"{path}.from_s", f"a second of the {seconds} that it lasts", str(table.from_s))
        back_s = table.returns_by_s
        if back_s is not None and not table.from_s <= back_s <= seconds:
            expected = f"a second from {table.from_s} to the end, {seconds}"
            notes.fault(f"{path}.returns_by_s", expected, str(back_s))
        if rules and table.rule not in rules:
            notes.unknown(f"{path}.rule", "a rule that there is; else [[waits_for]]", table.rule, rules)
        found += [
            Expectation(
                rule=table.rule,
                subject=subject,
                from_s=table.from_s,
                to_s=table.to_s,
                severity=table.severity,
                returns_by_s=table.returns_by_s,
                is_told=table.told,
            )
            for subject in _about(f"{path}.subject", table.subject, subjects, notes)
        ]
    return tuple(found)


def _about(path: str, patterns: Sequence[str], subjects: Names | None, notes: Notes) -> list[str]:
    """Return ids of what alarms are about; a stream, which has a colon, stands for itself."""
    found: list[str] = []
    for pattern in patterns:
        if ":" in pattern or pattern in TOGETHER or subjects is None:
            found.append(pattern)
        else:
            found += subjects.expanded(path, [pattern], notes)
    return found


def prohibitions_of(
    tables: Sequence[tuple[str, MustNotTable]], rules: Collection[str], subjects: Names | None, notes: Notes
) -> tuple[Prohibition, ...]:
    """Return the alarms that would be the mistake.

    Args:
        tables: The `[[must_not]]` tables.
        rules: The rules that there are; none are checked if empty.
        subjects: Ids of what alarms can be about; None where that is not known.
        notes: Takes the faults.
    """
    for path, table in tables:
        if rules and table.rule not in (ANY, *rules):
            notes.unknown(f"{path}.rule", f"a rule that there is, or {ANY}", table.rule, rules)
        if table.subject != ANY:
            _about(f"{path}.subject", [table.subject], subjects, notes)
    return tuple(Prohibition(rule=t.rule, subject=t.subject, why=t.why) for _, t in tables)


def waiting_of(
    tables: Sequence[tuple[str, WaitsTable]], rules: Collection[str], subjects: Names | None, notes: Notes
) -> tuple[Waiting, ...]:
    """Return the alarms of rules that do not exist yet.

    Args:
        tables: The `[[waits_for]]` tables.
        rules: The rules that there are; none are checked if empty.
        subjects: Ids of what alarms can be about; None where that is not known.
        notes: Takes the faults.
    """
    for path, table in tables:
        if table.rule in rules:
            notes.fault(f"{path}.rule", "a rule that does not exist yet; else [[must]]", f"'{table.rule}'")
        _about(f"{path}.subject", [table.subject], subjects, notes)
    return tuple(Waiting(rule=t.rule, subject=t.subject, why=t.why) for _, t in tables)
