"""A site file that was edited while the monitor stood: state is taken over by id, and no alarm is a ghost."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facility.errors import StoreCorrupt
from facility.site import Site, Tenant
from rules.base import Verdict
from rules.engine import snapshot
from rules.engine.judging import Judging
from rules.registry import make_rules
from store.journal.entries import MarkKind
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.rules.halls import (
    AT_ONCE,
    BUS,
    EVERY_SECOND,
    KW,
    ONLY_C2,
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
from testing.rules.services import a_service

DRAWS_KW: Mapping[str, int] = {"r0": 10, "r1": 20, "r2": 40, "r3": 80}
RACKS = tuple(DRAWS_KW)
STOP_MS = T0_MS + 20_000
DATA = Path(__file__).parents[2] / "data"


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
        pytest.param([CYAN, ACME, BLUE], {"acme": 10, "blue": 20, "cyan": 40}, id="one more, in front"),
        pytest.param([ACME, CYAN, BLUE], {"acme": 10, "blue": 20, "cyan": 40}, id="one more, between"),
        pytest.param([BLUE], {"blue": 20}, id="one less"),
        pytest.param([], {}, id="nobody"),
        pytest.param([CYAN], {"cyan": 40}, id="another one in its place"),
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
    """What its racks draw is known at once; what they drew of its block, nobody had added up."""
    engine = restarted(site_of(ACME), site_of(ACME, CYAN), tmp_path)

    assert engine.live.demand.since_ms().keys() == {ACME.id}
    tape = a_tape(20)
    for entry in a_tape(2, begin=20, tape=tape).entries[-2:]:
        engine.take(entry)
    since_ms = engine.live.demand.since_ms()
    assert since_ms[ACME.id] < STOP_MS - 10_000 < since_ms[CYAN.id]


# Alarms -----------------------------------------------------------------------------------


def run(
    ledger: Ledger, folder: Path, site: Site, tape: Tape, **rules: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """Run the monitor's judging once on a journal; return what was told, oldest first."""
    service = a_service(a_judging(site, rules=rules), tape, ledger, folder, site=site)
    service.start()
    service.step(tape.entries[-1].stamp_ms)
    service.save_snapshot()
    assert service.lag.error == ""
    notices = sorted(ledger.notices(), key=lambda notice: (notice.source_ms, notice.key))
    return [(n.body["rule"], n.body["change"], n.body.get("reason", "")) for n in notices]


def breaking(name: str = "acme") -> Site:
    """Return a site whose one tenant draws 150 kW of 120."""
    return a_site(racks_of(*RACKS), a_tenant(name, RACKS, a_version(120)))


def test_an_alarm_of_a_rule_that_is_switched_off_ends_with_that_reason(tmp_path: Path) -> None:
    """Everybody who was told that it opened is told that it ended, and why; once."""
    tape = a_tape(20)
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, breaking(), tape, **ONLY_C2)
        a_tape(20, begin=20, tape=tape)
        run(ledger, tmp_path, breaking(), tape, **{**ONLY_C2, "C2": {"enabled": False}})
        a_tape(20, begin=40, tape=tape)
        told = run(ledger, tmp_path, breaking(), tape, **{**ONLY_C2, "C2": {"enabled": False}})
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


# What an edit may leave behind -------------------------------------------------------------


def test_a_limit_that_was_raised_ends_the_overdraw_and_says_so(tmp_path: Path) -> None:
    """The draw is what it was: a page that only says "returned" lets people look for what changed."""
    tape = a_tape(20)
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, breaking(), tape, **ONLY_C2)
        a_tape(80, begin=20, tape=tape)
        raised = a_site(racks_of(*RACKS), a_tenant("acme", RACKS, a_version(200)))
        told = run(ledger, tmp_path, raised, tape, **ONLY_C2)
        (_, opened), (_, ended) = ledger.changes(0)
        text = next(n.body["text"] for n in ledger.notices() if n.body["change"] == "returned")

    reason = "the site file was edited: the contract of acme"
    assert told == [("C2", "opened", ""), ("C2", "returned", reason)]
    assert (opened.reason, ended.reason) == ("", reason)
    assert f"ended: {reason}" in text


def test_an_alarm_that_ends_by_itself_after_an_edit_does_not_blame_it(tmp_path: Path) -> None:
    """The limit was broken under the edited file too, so what ended the alarm is the draw."""
    tape = a_tape(20)
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, breaking(), tape, **ONLY_C2)
        a_tape(10, begin=20, tape=tape)
        for second in range(30, 110):
            tape.second(second, 10, 10, 10, 10)
        raised = a_site(racks_of(*RACKS), a_tenant("acme", RACKS, a_version(130)))
        told = run(ledger, tmp_path, raised, tape, **ONLY_C2)

    assert told == [("C2", "opened", ""), ("C2", "returned", "")]


def test_a_broker_that_is_gone_holds_nothing_up(tmp_path: Path) -> None:
    """It was never heard to have caught up, and under its old name it never will be."""
    tape = a_tape(20)
    tape.mark(STOP_MS, MarkKind.STARTED, broker="annex")
    names = {BUS: EVERY_SECOND, "annex": EVERY_SECOND}
    site, rules = site_of(ACME), make_rules(ONLY_C2, [])
    before = Judging(site, names, rules, tick_ms=1_000, lateness_ms=0, patience=AT_ONCE)
    play(before, tape.entries)
    assert before.live.recovering
    snapshot.save(before, tmp_path / snapshot.FILE)
    after = a_judging(site, rules=ONLY_C2)
    assert snapshot.load(after, tmp_path / snapshot.FILE, tape.entries)

    replayed = a_judging(site, rules=ONLY_C2)
    for engine in (after, replayed):
        play(engine, [e for e in tape.entries if e.seq > engine.seq], until_ms=STOP_MS + 5_000)
        assert (engine.live.tick_ms, engine.settled.tick_ms) == (STOP_MS + 5_000, STOP_MS + 5_000)


def test_ticks_of_another_length_fall_on_whole_seconds(tmp_path: Path) -> None:
    """The last tick before the edit was one of a quarter of a second; series are of whole seconds."""
    tape = a_tape(20)
    before = a_judging(site_of(ACME), tick_ms=250)
    play(before, tape.entries, until_ms=STOP_MS + 250)
    assert before.live.tick_ms == STOP_MS + 250
    snapshot.save(before, tmp_path / snapshot.FILE)
    after = a_judging(site_of(ACME), tick_ms=1_000)
    assert snapshot.load(after, tmp_path / snapshot.FILE, tape.entries)

    steps = [step for step in after.advance(STOP_MS + 3_000) if not step.is_settled]

    assert [step.at_ms - STOP_MS for step in steps] == [1_000, 2_000, 3_000]
    assert all(step.draws for step in steps)


# Snapshots that cannot be used --------------------------------------------------------------


def rewritten(path: Path, **changed: Any) -> None:  # noqa: ANN401 - any value of a snapshot
    """Give a snapshot other values, and the checksum of those."""
    with np.load(io.BytesIO(path.read_bytes()[4:])) as found:
        arrays = dict(found)
    values = json.loads(arrays["values"].tobytes()) | changed
    arrays["values"] = np.frombuffer(json.dumps(values).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.write_bytes(zlib.crc32(buffer.getvalue()).to_bytes(4, "little") + buffer.getvalue())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"version": 7}, "found 7: it was written by an older", id="older"),
        pytest.param({"version": 99}, "found 99: it was written by a newer", id="newer"),
        pytest.param({"version": None}, "does not fit", id="without a version"),
        pytest.param({"settled": {}}, "does not fit", id="of another form"),
    ],
)
def test_a_snapshot_that_cannot_be_used_is_left_with_words(
    tmp_path: Path, changed: Mapping[str, Any], words: str
) -> None:
    """Nothing of it is taken, and the journal makes the same alarms again."""
    tape, path = a_tape(20), tmp_path / snapshot.FILE
    with closing(Ledger(tmp_path)) as ledger:
        run(ledger, tmp_path, breaking(), tape, **ONLY_C2)
        rewritten(path, **changed)
        with pytest.raises(StoreCorrupt, match=words):
            snapshot.load(a_judging(breaking(), rules=ONLY_C2), path, tape.entries)
        told = run(ledger, tmp_path, breaking(), tape, **ONLY_C2)

    assert told == [("C2", "opened", "")]


def test_a_snapshot_of_version_8_is_taken_over(tmp_path: Path) -> None:
    """A sample that commit af9dc65 wrote: two tenants, one in overdraw, both with what they drew so far."""
    racks = ("r0", "r1", "r2", "r3")
    acme = a_tenant("acme", racks[:2], a_version(120))
    blue = a_tenant("blue", racks[2:], a_version(150, limit=block(300_000)))
    tape = Tape()
    tape.put(T0_MS - 1_000, known_racks_of(a_site(racks_of(*racks))))
    tape.connect(T0_MS - 1_000)
    for second in range(600):
        tape.second(second, 80, 90, 70, 60)
    path = tmp_path / snapshot.FILE
    path.write_bytes(gzip.decompress((DATA / "engine-8.snapshot.gz").read_bytes()))
    engines = [a_judging(a_site(racks_of(*racks), acme, blue)) for _ in range(2)]

    assert snapshot.load(engines[0], path, tape.entries)

    assert engines[0].live.tick_ms == T0_MS + 398_000
    loaded, replayed = engines
    blocks = [
        [block for step in steps for block in step.blocks if block.to_ms > T0_MS + 398_000]
        for steps in (play(engine, [e for e in tape.entries if e.seq > engine.seq]) for engine in engines)
    ]
    assert best_kw(loaded) == best_kw(replayed)
    assert replayed.active_ids() <= loaded.active_ids()
    assert replayed.active_ids()
    # Under which site file it was saved, it does not say: what was drawn of the open block is not relied on.
    for block_of_loaded, block_of_replayed in zip(*blocks, strict=True):
        assert block_of_loaded.low_milliwatt_ms <= block_of_replayed.low_milliwatt_ms
        assert block_of_loaded.high_milliwatt_ms >= block_of_replayed.high_milliwatt_ms
        assert block_of_loaded.verdict == Verdict.UNKNOWN
