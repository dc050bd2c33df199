"""A table or a window that raises makes the rules that use it unhealthy, and no other."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from facility.names import AssetId
from facility.points import Asset, Cadence
from facility.readings import FloatArray
from rules.base import Desk, Severity
from rules.comparison import Threshold
from rules.engine.engine import Engine
from rules.model.measured import Measured
from rules.model.rows import Topology
from rules.model.tables import Table
from rules.model.windows import Statistic, Window, Windows
from rules.subject import SubjectKind
from store.journal.entries import Known
from testing.builders import T0_MS, a_point
from testing.rules.halls import BUS, EVERY_SECOND, Tape, a_site, lines_of, play, racks_of

FROM_MS = T0_MS + 10_000
"""From when on something raises."""
UNTIL_MS = T0_MS + 20_000
MEAN = Window("rack.coolant.flow", Statistic.MEAN, 2)


class Flow(Threshold):
    """A rack gets more than 50 L/min."""

    name: ClassVar[str] = "X1"
    title: ClassVar[str] = "flow high"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("rack.coolant.flow",)
    unit: ClassVar[str] = "L/min"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "Look."

    severity: Severity = Severity.MEDIUM
    on_delay_s: float = 0
    off_delay_s: float = 0

    def value(self, table: Table) -> Measured:
        """Return the flow."""
        return table.measured("rack.coolant.flow")

    def limit(self, table: Table) -> FloatArray:
        """Return the most that it may be."""
        limit: FloatArray = table.setting("rated_lpm")
        limit[:] = 50
        return limit


class MeanFlow(Flow):
    """The same of the mean."""

    name: ClassVar[str] = "X2"
    windows: ClassVar[tuple[Window, ...]] = (MEAN,)

    def value(self, table: Table) -> Measured:
        """Return the mean."""
        return table.over(MEAN)


class UnitFlow(Flow):
    """The same of a coolant unit."""

    name: ClassVar[str] = "X3"
    kind: ClassVar[SubjectKind] = SubjectKind.COOLANT_UNIT
    quantities: ClassVar[tuple[str, ...]] = ("coolant.flow",)

    def value(self, table: Table) -> Measured:
        """Return the flow."""
        return table.measured("coolant.flow")


def a_flow(number: int, asset: str, quantity: str, kind: str) -> Known:
    """Return the flow of a rack or of a coolant unit."""
    point = a_point(
        f"flow/{asset}",
        asset=asset,
        quantity=quantity,
        unit="L/min",
        stream=f"{BUS}:g",
        cadence=Cadence.PERIODIC,
    )
    return Known(number, point, Asset(id=AssetId(asset), kind=kind))


def a_tape(*flows: tuple[int, float]) -> Tape:
    """Return a rack and a coolant unit with the same flow, from given seconds on, up to second 40."""
    tape = Tape()
    known = (a_flow(0, "r0", "rack.coolant.flow", "Rack"), a_flow(1, "cdu", "coolant.flow", "CDU"))
    tape.put(T0_MS - 1_000, known)
    tape.connect(T0_MS - 1_000)
    for second in range(40):
        flow = next(found for since, found in reversed(flows) if since <= second)
        tape.second(second, flow, flow)
    return tape


def an_engine() -> Engine:
    """Return an engine of the three rules."""
    rules = (Flow(), MeanFlow(), UnitFlow())
    return Engine(a_site(racks_of("r0")), {BUS: EVERY_SECOND}, rules, tick_ms=1_000, lateness_ms=0)


def unhealthy(engine: Engine) -> dict[str, str]:
    """Return the error of each rule that fails."""
    return {judge.rule.name: judge.error for judge in engine.judges if judge.error}


def test_a_window_that_raises_takes_only_its_rules_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its alarm stays while it raises and until the window is known again; the others end theirs."""
    note = Windows.note

    def faulty(windows: Windows, key: Any, ids: Any, found: Any, at_ms: int, *more: Any) -> None:  # noqa: ANN401 - as `note`
        note(windows, key, ids, found, at_ms, *more)
        if FROM_MS <= at_ms < UNTIL_MS:
            raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr(Windows, "note", faulty)
    engine, tape = an_engine(), a_tape((0, 60), (12, 40))

    steps = play(engine, [entry for entry in tape.entries if entry.stamp_ms < UNTIL_MS - 1_000])
    assert unhealthy(engine) == {"X2": "ZeroDivisionError: float division by zero"}
    steps += play(engine, [entry for entry in tape.entries if entry.seq > engine.seq])

    assert unhealthy(engine) == {}
    lines = lines_of(steps)
    assert [line for line in lines if " X2 " not in line] == [
        "0 X1 r0 opened",
        "0 X3 cdu opened",
        "12 X1 r0 returned",
        "12 X3 cdu returned",
    ]
    assert [line.split(" ", 1)[1] for line in lines if " X2 " in line] == ["X2 r0 opened", "X2 r0 returned"]
    returned_s = int(next(line for line in lines if line.endswith("X2 r0 returned")).split()[0])
    assert returned_s >= (UNTIL_MS - T0_MS) / 1_000


def test_a_table_that_raises_takes_only_its_rules_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules of racks fail, with the window over them; that of coolant units judges on."""
    rows = Topology.rows

    def faulty(topology: Topology, kind: SubjectKind) -> Any:  # noqa: ANN401 - as `rows`
        if kind is SubjectKind.RACK:
            raise KeyError("r0")
        return rows(topology, kind)

    engine, tape = an_engine(), a_tape((0, 60), (12, 40))
    steps = play(engine, [entry for entry in tape.entries if entry.stamp_ms < FROM_MS])
    monkeypatch.setattr(Topology, "rows", faulty)
    steps += play(engine, [entry for entry in tape.entries if entry.seq > engine.seq])

    assert unhealthy(engine) == {"X1": "KeyError: 'r0'", "X2": "KeyError: 'r0'"}
    assert lines_of(steps, "X3") == ["0 X3 cdu opened", "12 X3 cdu returned"]
    assert not [line for line in lines_of(steps) if "r0 returned" in line]
