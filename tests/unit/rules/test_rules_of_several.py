"""Rules that hold several quantities, and rules that nothing is measured for."""

from __future__ import annotations

from typing import ClassVar, Final

import pytest

from facility.points import Point
from facility.sitefile.reader import read_site
from rules.base import Desk, Severity, Verdict
from rules.comparison import Held, Several
from rules.engine.engine import Engine
from rules.model.tables import Table
from rules.registry import RULES
from rules.subject import SubjectKind
from store.journal.entries import Known
from testing.builders import T0_MS, a_point
from testing.rules.halls import BUS, EVERY_SECOND, NO_RULES, Tape, an_engine, one_tenant, play

SITE: Final = '[site]\nname = "hall"\n[[asset]]\nid = "pdu"\nkind = "PDU"\n'


class Both(Several):
    """Neither the frequency below 50 nor the current above 100, which is told first."""

    name: ClassVar[str] = "X1"
    title: ClassVar[str] = "either"
    kind: ClassVar[SubjectKind] = SubjectKind.NODE
    quantities: ClassVar[tuple[str, ...]] = ("current", "frequency")
    unit: ClassVar[str] = ""
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "Look."

    severity: Severity = Severity.LOW
    on_delay_s: float = 0
    off_delay_s: float = 0

    def held(self, table: Table) -> tuple[Held, ...]:
        """Return both."""
        return (
            Held.over(table.measured("current"), 100, 5),
            Held.under(table.measured("frequency"), 50, 1),
        )


def judged(current: float | None, frequency: float | None, *, quantities: str = "cf") -> Engine:
    """Return an engine that has judged a PDU once; None for a point that is silent."""
    points: list[Point] = [
        a_point("c", asset="pdu", quantity="current", unit="A"),
        a_point("f", asset="pdu", quantity="frequency", unit="Hz"),
    ]
    pairs = zip("cf", points, (current, frequency), strict=True)
    told = [(point, value) for name, point, value in pairs if name in quantities]
    engine = Engine(read_site(SITE).site, {BUS: EVERY_SECOND}, (Both(),), tick_ms=1_000, lateness_ms=0)
    tape = Tape()
    tape.put(T0_MS - 1_000, tuple(Known(number, point) for number, (point, _) in enumerate(told)))
    tape.connect(T0_MS - 1_000)
    tape.second(0, *(value for _, value in told))
    play(engine, tape.entries, until_ms=T0_MS)
    return engine


@pytest.mark.parametrize(
    ("current", "frequency", "verdict"),
    [
        (100.0, 50.0, Verdict.CLEAR),
        (101.0, 50.0, Verdict.BREACH),
        (100.0, 49.0, Verdict.BREACH),
        (101.0, None, Verdict.BREACH),
        (None, 49.0, Verdict.BREACH),
        (100.0, None, Verdict.UNKNOWN),
        (None, 50.0, Verdict.UNKNOWN),
    ],
)
def test_one_that_is_broken_is_a_breach(
    current: float | None, frequency: float | None, verdict: Verdict
) -> None:
    """Whatever is not known of the other; clear is only what all of them show."""
    (judge,) = judged(current, frequency).judges

    assert judge.verdict is not None
    assert judge.verdict.tolist() == [verdict]


@pytest.mark.parametrize(("quantities", "verdict"), [("c", Verdict.CLEAR), ("f", Verdict.CLEAR)])
def test_what_nothing_measures_is_left_out(quantities: str, verdict: Verdict) -> None:
    """A node without a frequency is judged by its current."""
    (judge,) = judged(90.0, 60.0, quantities=quantities).judges

    assert judge.verdict is not None
    assert judge.verdict.tolist() == [verdict]


def test_a_rule_without_points_judges_nothing() -> None:
    """A site of racks that tell their power has no subjects of the rules about anything else."""
    engine = an_engine(one_tenant(), rules=NO_RULES)
    tape = Tape()
    tape.put(T0_MS - 1_000, tuple(Known(n, a_point(f"p{n}", asset=f"r{n}")) for n in range(3)))
    tape.connect(T0_MS - 1_000)
    tape.second(0, 60.0, 60.0, 60.0)
    play(engine, tape.entries, until_ms=T0_MS)

    of_tables = {
        rule.name for rule in RULES if rule.quantities and "rack.power.active" not in rule.quantities
    }
    found = {judge.rule.name: judge.bank.subjects for judge in engine.judges if judge.rule.name in of_tables}
    assert {"E1", "E2", "E4", "E12"} <= found.keys()
    assert set(found.values()) == {()}
