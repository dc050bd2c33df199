"""A site file that was edited while the monitor stood: state is taken over by id, and no alarm is a ghost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from facility.site import Site, Tenant
from rules.engine import snapshot
from rules.engine.judging import Judging
from store.ledger.ledger import Ledger
from tests.builders import T0_MS
from tests.unit.rules.halls import (
    KW,
    Tape,
    a_judging,
    a_site,
    a_tenant,
    a_version,
    block,
    known_racks_of,
    play,
    racks_of,
)
from tests.unit.rules.services import a_service

DRAWS_KW: Mapping[str, int] = {"r0": 10, "r1": 20, "r2": 40, "r3": 80}
RACKS = tuple(DRAWS_KW)
STOP_MS = T0_MS + 20_000


def tenant(name: str, rack: str) -> Tenant:
    """Return a tenant of one rack that is held against blocks and breaks nothing."""
    return a_tenant(name, [rack], a_version(100, limit=block(300_000)))


def site_of(*tenants: Tenant) -> Site:
    """Return a site of four racks."""
    return a_site(racks_of(*RACKS), *tenants)


ACME, BLUE, CYAN = tenant("acme", "r0"), tenant("blue", "r1"), tenant("cyan", "r2")


def a_tape(seconds: int, *, begin: int = 0, tape: Tape | None = None) -> Tape:
    """Return what four racks say, each its own, second by second."""
    if tape is None:
        tape = Tape()
        tape.put(T0_MS - 1_000, known_racks_of(site_of()))
        tape.connect(T0_MS - 1_000)
    for second in range(begin, begin + seconds):
        tape.second(second, *DRAWS_KW.values())
    return tape


def restarted(before: Site, after: Site, folder: Path) -> Judging:
    """Return an engine of an edited site file, in the state of one that stopped at `STOP_MS`."""
    tape = a_tape(20)
    engine = a_judging(before)
    play(engine, tape.entries)
    snapshot.save(engine, folder / snapshot.FILE)
    again = a_judging(after)
    assert snapshot.load(again, folder / snapshot.FILE, tape.entries)
    return again


def best_kw(engine: Judging) -> dict[str, float]:
    """Return what is held for the draw of each tenant."""
    assert engine.live.draw is not None
    pairs = zip(engine.live.tenants, engine.live.draw.best.tolist(), strict=True)
    return {name: best / KW for name, best in pairs if name in {"acme", "blue", "cyan"}}


@pytest.mark.parametrize(
    ("after", "expected_kw"),
    [
        pytest.param([ACME, BLUE], {"acme": 10, "blue": 20}, id="the same"),
        pytest.param([BLUE, ACME], {"acme": 10, "blue": 20}, id="another order"),
        pytest.param([CYAN, ACME, BLUE], {"acme": 10, "blue": 20, "cyan": 0}, id="one more, in front"),
        pytest.param([ACME, CYAN, BLUE], {"acme": 10, "blue": 20, "cyan": 0}, id="one more, between"),
        pytest.param([BLUE], {"blue": 20}, id="one less"),
        pytest.param([], {}, id="nobody"),
        pytest.param([CYAN], {"cyan": 0}, id="another one in its place"),
    ],
)
def test_each_tenant_has_its_own_draw_after_an_edit(
    after: Iterable[Tenant], expected_kw: Mapping[str, float], tmp_path: Path
) -> None:
    """Nobody gets another one's kilowatts, and every number of tenants starts."""
    engine = restarted(site_of(ACME, BLUE), site_of(*after), tmp_path)

    assert best_kw(engine) == expected_kw
    tape = a_tape(20)
    for entry in a_tape(20, begin=20, tape=tape).entries[-20:]:
        engine.take(entry)
    drawn = {"acme": 10, "blue": 20, "cyan": 40}
    assert best_kw(engine) == {name: drawn[name] for name in expected_kw}


def test_a_new_tenant_is_not_known_to_have_kept_its_block(tmp_path: Path) -> None:
    """What it drew before it was in the file may have been anything."""
    engine = restarted(site_of(ACME), site_of(ACME, CYAN), tmp_path)

    assert engine.live.draw is not None
    place = engine.live.tenants.index(CYAN.id)
    assert engine.live.draw.low[place] == 0
    assert engine.live.draw.high[place] > 10**15
    assert engine.live.draw.coverage[place] == 0


# Alarms -----------------------------------------------------------------------------------


def run(
    ledger: Ledger, folder: Path, site: Site, tape: Tape, **rules: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """Run the monitor's judging once on a journal; return what was told, oldest first."""
    service = a_service(a_judging(site, rules=rules), tape, ledger, folder, site=site)
    service.start()
    service.step(tape.entries[-1].stamp_ms)
    service.save_snapshot()
    notices = sorted(ledger.notices(), key=lambda notice: (notice.source_ms, notice.key))
    return [(n.body["rule"], n.body["change"], n.body.get("reason", "")) for n in notices]


def breaking(name: str = "acme") -> Site:
    """Return a site whose one tenant draws 150 kW of 120."""
    return a_site(racks_of(*RACKS), a_tenant(name, RACKS, a_version(120)))


ONLY_C2: dict[str, Mapping[str, Any]] = {
    name: {"enabled": False} for name in ("C1", "C3", "C4", "C5", "C9", "Q1", "Q2", "Q3")
}


def test_an_alarm_of_a_rule_that_is_switched_off_ends_with_that_reason(tmp_path: Path) -> None:
    """Everybody who was told that it opened is told that it ended, and why; once."""
    tape = a_tape(20)
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, breaking(), tape, **ONLY_C2)
        a_tape(20, begin=20, tape=tape)
        run(ledger, tmp_path, breaking(), tape, **ONLY_C2 | {"C2": {"enabled": False}})
        a_tape(20, begin=40, tape=tape)
        told = run(ledger, tmp_path, breaking(), tape, **ONLY_C2 | {"C2": {"enabled": False}})
        (alarm,) = ledger.alarms()
        (_, opened), (_, ended) = ledger.changes(0)
        text = next(n.body["text"] for n in ledger.notices() if n.body["change"] == "returned")

    assert told == [("C2", "opened", ""), ("C2", "returned", "rule C2 is switched off")]
    assert alarm.returned_ms is not None
    assert (opened.reason, ended.reason) == ("", "rule C2 is switched off")
    assert "ended: rule C2 is switched off" in text
    assert "draw:" not in text


def test_an_alarm_of_a_tenant_that_is_gone_ends_with_that_reason(tmp_path: Path) -> None:
    """The next tick after the edit ends it."""
    tape = a_tape(20)
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, breaking(), tape, **ONLY_C2)
        a_tape(20, begin=20, tape=tape)
        told = run(ledger, tmp_path, breaking("blue"), tape, **ONLY_C2)

    assert sorted(told) == [
        ("C2", "opened", ""),
        ("C2", "opened", ""),
        ("C2", "returned", "acme is not known any more"),
    ]


def test_an_alarm_that_no_snapshot_and_no_journal_know_ends(tmp_path: Path) -> None:
    """The snapshot is lost and the journal begins later: the overdraw opens anew, and the old one ends."""
    tape = a_tape(20)
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, breaking(), tape, **ONLY_C2)
        (tmp_path / snapshot.FILE).unlink()
        a_tape(20, begin=20, tape=tape)
        tape.entries = [e for e in tape.entries if isinstance(e.content, tuple) or e.stamp_ms >= STOP_MS]
        known = tape.entries[0]
        tape.entries[0] = type(known)(known.seq, STOP_MS, known.content)
        told = run(ledger, tmp_path, breaking(), tape, **ONLY_C2)
        still_open = ledger.alarms(only_open=True)

    assert [change for _, change, _ in told] == ["opened", "opened", "returned"]
    assert "lost" in told[-1][2]
    assert sum(alarm.returned_ms is None for alarm in still_open) == 1


def test_a_restart_without_an_edit_ends_nothing(tmp_path: Path) -> None:
    """Alarms that stand go on, with a snapshot and without one."""
    tape = a_tape(20)
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, breaking(), tape, **ONLY_C2)
        run(ledger, tmp_path, breaking(), tape, **ONLY_C2)
        (tmp_path / snapshot.FILE).unlink()
        told = run(ledger, tmp_path, breaking(), tape, **ONLY_C2)

    assert told == [("C2", "opened", "")]
