"""Rules of measured quantities: what hides their alarms, and rows that come and go while alarms stand."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
import pytest

from facility.names import AssetId
from facility.points import Asset, Cadence
from facility.readings import Batch, FloatArray
from facility.site import Site
from rules.base import Desk, Rule, Severity, Variant, Verdict
from rules.causes import Causes, HiddenBy, Relation
from rules.comparison import Threshold
from rules.engine.engine import Engine
from rules.model.measured import Measured
from rules.model.tables import Table
from rules.registry import make_rules
from rules.subject import SubjectKind
from store.journal.entries import Known
from testing.builders import T0_MS, a_point
from testing.rules.halls import BUS, EVERY_SECOND, Tape, a_site, a_tenant, lines_of, play, racks_of

RACKS: Final = ("r0", "r1")


class UnitFlow(Threshold):
    """A coolant unit gives too little."""

    name: ClassVar[str] = "X1"
    title: ClassVar[str] = "coolant unit weak"
    kind: ClassVar[SubjectKind] = SubjectKind.COOLANT_UNIT
    quantities: ClassVar[tuple[str, ...]] = ("coolant.flow",)
    falls: ClassVar[bool] = True
    unit: ClassVar[str] = "L/min"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "Look."

    floor_lpm: float = 50
    severity: Severity = Severity.MEDIUM
    on_delay_s: float = 0
    off_delay_s: float = 0

    def value(self, table: Table) -> Measured:
        """Return the flow."""
        return table.measured(self.quantities[0])

    def limit(self, table: Table) -> FloatArray:
        """Return the least that it must give."""
        return np.full(len(table), self.floor_lpm)


class RackFlow(UnitFlow):
    """A rack gets too little: said only where its coolant unit has no alarm."""

    name: ClassVar[str] = "X2"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("rack.coolant.flow",)

    @classmethod
    def causes_of(cls, alarm_rule: str) -> Causes:
        """Return what hides it here."""
        del alarm_rule
        return (HiddenBy("X1", Relation.SERVED_BY),)


class RackFlowOfMembers(RackFlow):
    """The same, said only where not all of the rack belongs to a weak unit."""

    @classmethod
    def causes_of(cls, alarm_rule: str) -> Causes:
        """Return what hides it here."""
        del alarm_rule
        return (HiddenBy("X1", Relation.MEMBER_OF),)


class SameRackFlow(RackFlow):
    """The same, said only where X2 says nothing of the same rack."""

    name: ClassVar[str] = "X3"

    @classmethod
    def causes_of(cls, alarm_rule: str) -> Causes:
        """Return what hides it here."""
        del alarm_rule
        return (HiddenBy("X2", Relation.SAME),)


def a_flow(number: int, asset: str, kind: str = "Rack") -> Known:
    """Return the flow of a rack, or of a coolant unit."""
    quantity = "rack.coolant.flow" if kind == "Rack" else "coolant.flow"
    point = a_point(
        f"flow/{asset}",
        asset=asset,
        quantity=quantity,
        unit="L/min",
        stream=f"{BUS}:g",
        cadence=Cadence.PERIODIC,
    )
    return Known(number, point, Asset(id=AssetId(asset), kind=kind))


def a_hall(*assets: Asset) -> Site:
    """Return a site of two racks; `c0` cools the first through a valve."""
    chain = (
        Asset(id=AssetId("c0"), kind="CDU", serves=(AssetId("v0"),)),
        Asset(id=AssetId("v0"), kind="Valve", serves=(AssetId("r0"),)),
    )
    return a_site(racks_of(*RACKS), assets=(*chain, *assets))


def an_engine_of(*rules: type[Rule], site: Site | None = None) -> Engine:
    """Return an engine of some rules."""
    made = [rule.model_validate({}) for rule in rules]
    return Engine(site or a_hall(), {BUS: EVERY_SECOND}, made, tick_ms=1_000, lateness_ms=0)


def a_tape(*known: Known) -> Tape:
    """Return the beginning of a recording."""
    tape = Tape()
    tape.put(T0_MS - 1_000, known)
    tape.connect(T0_MS - 1_000)
    return tape


def told_of(engine: Engine, tape: Tape) -> list[str]:
    """Return what was told: rule, subject and change."""
    changes = [change for step in play(engine, tape.entries) for change in step.changes]
    return [f"{c.rule} {c.subject} {c.change}" for c in changes if c.is_told]


@pytest.mark.parametrize("rack_rule", [RackFlow, RackFlowOfMembers])
def test_a_rack_says_nothing_beside_the_unit_that_serves_it(rack_rule: type[Rule]) -> None:
    """The other rack hangs on no weak unit, and is told."""
    tape = a_tape(a_flow(0, "r0"), a_flow(1, "r1"), a_flow(2, "c0", "CDU"))
    for second in range(6):
        tape.second(second, 10, 10, 10)

    told = told_of(an_engine_of(UnitFlow, rack_rule), tape)

    assert sorted(told) == ["X1 c0 opened", "X2 r1 opened"]


def test_a_rack_is_told_once_its_unit_is_well() -> None:
    """What stands when nothing hides it any more is news."""
    tape = a_tape(a_flow(0, "r0"), a_flow(1, "r1"), a_flow(2, "c0", "CDU"))
    for second in range(10):
        tape.second(second, 10, 90, 10 if second < 5 else 90)

    assert told_of(an_engine_of(UnitFlow, RackFlow), tape) == [
        "X1 c0 opened",
        "X1 c0 returned",
        "X2 r0 opened",
    ]


def test_the_same_subject_is_told_once() -> None:
    """Two rules of one rack, of which one hides the other."""
    tape = a_tape(a_flow(0, "r0"), a_flow(1, "r1"))
    for second in range(4):
        tape.second(second, 10, 90)

    assert told_of(an_engine_of(RackFlow, SameRackFlow), tape) == ["X2 r0 opened"]


def test_rows_that_come_while_an_alarm_stands_leave_it_as_it_is() -> None:
    """A unit before it in the table becomes known; the alarm goes on and ends under its own id."""
    tape = a_tape(a_flow(0, "c0", "CDU"))
    tape.second(0, 10)
    tape.second(1, 10)
    tape.put(T0_MS + 1_500, (a_flow(1, "a0", "CDU"),))
    for second in range(2, 6):
        tape.second(second, 10 if second < 4 else 90, 10)

    lines = lines_of(play(an_engine_of(UnitFlow), tape.entries))

    assert lines == ["0 X1 c0 opened", "2 X1 a0 opened", "4 X1 c0 returned"]


def test_an_asset_of_another_kind_after_a_restart_is_no_row_any_more() -> None:
    """The site file calls it a chiller now: its alarm does not stand on under a kind that it is not."""
    tape = a_tape(a_flow(0, "c0", "CDU"))
    tape.second(0, 10)
    tape.second(1, 10)
    engine = an_engine_of(UnitFlow)
    play(engine, tape.entries)
    arrays, values = engine.save()
    edited = a_site(racks_of(*RACKS), assets=(Asset(id=AssetId("c0"), kind="Chiller"),))

    again = an_engine_of(UnitFlow, site=edited)
    again.load(arrays, values, tape.entries, "a snapshot")
    taken = len(tape.entries)
    tape.second(2, 10)
    tape.second(3, 10)
    play(again, tape.entries[taken:])

    assert again.view is not None
    assert again.view.table(SubjectKind.COOLANT_UNIT).ids == ()
    assert not again.judges[0].error


@pytest.mark.parametrize("kind", [rule.name for rule in make_rules({}, [])])
def test_a_site_without_racks_is_judged_by_every_rule(kind: str) -> None:
    """Nothing raises where there is nothing to judge."""
    engine = Engine(a_site({}), {BUS: EVERY_SECOND}, make_rules({}, []), tick_ms=1_000, lateness_ms=0)
    tape = a_tape(a_flow(0, "c9", "CDU"))
    tape.second(0, 10)
    tape.second(2, 10)

    play(engine, tape.entries)

    (judge,) = (judge for judge in engine.judges if judge.rule.name == kind)
    assert not judge.error


@pytest.mark.parametrize(
    ("variants", "limits"),
    [
        ([{"assets": ("c0",)}], [7, 50, 50]),
        ([{"assets": ("c{0..1}",)}], [7, 7, 50]),
        ([{"assets": ("c*",)}, {"assets": ("c2",)}], [7, 7, 8]),
        ([{"assets": ("c2",)}, {"assets": ("c*",)}], [8, 8, 8]),
        ([{"kinds": ("CDU",)}], [7, 7, 7]),
        ([{"kinds": ("Chiller",)}], [50, 50, 50]),
        ([{"tenants": ("acme",)}], [7, 50, 50]),
        ([{"tenants": ("acme", "globex")}], [7, 7, 50]),
        ([{"tenants": ("operator",)}], [50, 50, 50]),
        ([{"tenants": ("acme",), "assets": ("c1",)}], [50, 50, 50]),
    ],
    ids=str,
)
def test_parameters_are_for_those_that_every_choice_names(
    variants: list[dict[str, tuple[str, ...]]], limits: list[float]
) -> None:
    """Of several tables the last holds; `c0` cools acme's rack, `c1` both tenants' racks, `c2` none."""
    units = [
        Asset(id=AssetId(name), kind="CDU", serves=tuple(map(AssetId, racks)))
        for name, racks in (("c0", ["r0"]), ("c1", ["r0", "r1"]), ("c2", []))
    ]
    tenants = [a_tenant("acme", ["r0"]), a_tenant("globex", ["r1"])]
    others = [
        Variant(UnitFlow.model_validate({"floor_lpm": 7 + place}), **chosen)
        for place, chosen in enumerate(variants)
    ]
    rule = UnitFlow.model_validate({}).with_variants(tuple(others))
    site = a_site(racks_of(*RACKS), *tenants, assets=units)
    engine = Engine(site, {BUS: EVERY_SECOND}, [rule], tick_ms=1_000, lateness_ms=0)
    tape = a_tape(a_flow(0, "c0", "CDU"))
    tape.second(0, 10)
    play(engine, tape.entries, until_ms=T0_MS)

    (judge,) = engine.judges
    assert engine.view is not None
    _, found = judge.find(engine.view)
    assert not judge.error
    assert found.limit.tolist() == limits


def test_a_limit_below_zero_has_its_deadband_on_the_good_side() -> None:
    """At -10 °C and 2 %, a value of -9.9 is above the limit and has not returned."""

    class Cold(UnitFlow):
        name: ClassVar[str] = "X4"
        falls: ClassVar[bool] = False

        def limit(self, table: Table) -> FloatArray:
            return np.full(len(table), -4.0)

    tape = a_tape(a_flow(0, "c0", "CDU"))
    tape.put(T0_MS, Batch.of([[0], [T0_MS], [T0_MS], [-3.99], [0], [0]]))
    tape.second(1)
    engine = an_engine_of(Cold)
    play(engine, tape.entries, until_ms=T0_MS)

    assert engine.judges[0].verdict is not None
    assert engine.judges[0].verdict.tolist() == [Verdict.BREACH]
    assert not engine.judges[0].error
