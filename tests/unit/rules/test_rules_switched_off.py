"""Any rule may be switched off, and the others do not miss it."""

from __future__ import annotations

import pytest

from store.journal.entries import MarkKind
from testing.builders import T0_MS
from testing.rules.halls import (
    Tape,
    a_site,
    a_tenant,
    a_version,
    an_engine,
    known_racks_of,
    play,
    racks_of,
)


@pytest.mark.parametrize("off", ["C1", "C2", "C3", "C4", "C5", "C9", "Q1", "Q2", "Q3", "Q8"])
def test_every_rule_can_be_switched_off(off: str) -> None:
    """The others judge as ever, also where they would have asked it what it has told."""
    names = ["r0", "r1", "r2", "r3"]
    site = a_site(racks_of(*names), a_tenant("acme", names, a_version(200)))
    engine, tape = an_engine(site, rules={off: {"enabled": False}}), Tape()
    tape.put(T0_MS - 1_000, known_racks_of(site))
    tape.connect(T0_MS - 1_000)
    tape.mark(T0_MS - 500, MarkKind.CAUGHT_UP)
    for second in range(5):
        tape.second(second, 60, 60, 60, 60)

    steps = play(engine, tape.entries, until_ms=T0_MS + 120_000)

    rules = {change.rule.partition("-")[0] for step in steps for change in step.changes}
    assert off not in rules
    assert rules & {"C1", "C2", "Q1"} == {"C1", "C2", "Q1"} - {off}
