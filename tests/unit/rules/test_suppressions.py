"""Shelving, suppression by design and maintenance: they hide openings and worsenings, never what is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from facility.instants import HOUR_MS
from facility.site import Site
from rules.alarms.openings import ToldAs
from rules.alarms.states import Change
from rules.engine.engine import Step
from rules.engine.judging import Judging
from rules.notify.routing import Route
from rules.notify.telling import Teller, Telling
from rules.registry import make_rules
from store.journal.entries import Entry
from store.ledger.alarms import Progress
from store.ledger.ledger import Ledger
from store.ledger.suppressions import Suppression, SuppressionKind
from testing.builders import T0_MS
from testing.fakes.memory_ledger import MemoryLedger
from testing.rules.halls import ONLY_C2, Tape, a_judging, a_row_of, known_racks_of, one_tenant
from testing.rules.services import judge_as_it_comes
from testing.scenarios.reading import FOLDER, read
from testing.scenarios.runner import run

SITE = one_tenant(200)


def a_suppression(**facts: Any) -> Suppression:  # noqa: ANN401 - any field of it
    """Return a suppression of everything, from the beginning on."""
    given = {
        "id": "0001",
        "kind": SuppressionKind.SHELVED,
        "from_ms": T0_MS - 10_000,
        "to_ms": None,
        "by": "ann",
        "why": "the meter is exchanged",
        "made_ms": T0_MS - 10_000,
    }
    return Suppression(**{**given, **facts})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger."""
    with closing(Ledger(tmp_path)) as opened:
        yield opened


def a_tape(site: Site = SITE) -> Tape:
    """Return a journal that begins."""
    tape = Tape()
    tape.put(T0_MS - 1_000, known_racks_of(site))
    tape.connect(T0_MS - 1_000)
    return tape


def play(tape: Tape, seconds: range, each_kw: float) -> None:
    """Let three racks draw alike for some seconds."""
    for second in seconds:
        tape.second(second, each_kw, each_kw, each_kw)


def judge(
    ledger: Ledger,
    folder: Path,
    tape: Tape,
    *,
    site: Site = SITE,
    rules: Mapping[str, Mapping[str, Any]] = ONLY_C2,
) -> Counter[tuple[str, ToldAs]]:
    """Judge a journal entry by entry, as it comes, from where the judging before was stopped.

    Returns:
        How many alarms opened in it, by rule and by what became of telling them.
    """
    return judge_as_it_comes(a_judging(site, rules=rules), tape, ledger, folder, site=site).openings


def told(ledger: Ledger) -> list[str]:
    """Return what was told of C2, in order."""
    notices = sorted(ledger.notices(), key=lambda notice: notice.source_ms)
    return [str(notice.body["change"]) for notice in notices if notice.body["rule"] == "C2"]


def state(ledger: Ledger) -> str:
    """Return the state of the one alarm of C2."""
    (alarm,) = (alarm for alarm in ledger.alarms() if alarm.rule == "C2")
    return alarm.state


def test_what_is_shelved_is_not_told_and_its_end_neither(ledger: Ledger, tmp_path: Path) -> None:
    """Nobody is told that something ended of which nobody was told; it stands in the list with its reason."""
    ledger.suppress(a_suppression())
    tape = a_tape()
    play(tape, range(20), 80)

    assert judge(ledger, tmp_path, tape) == {("C2", "suppressed"): 1}

    assert (told(ledger), state(ledger)) == ([], "active, shelved")
    (alarm,) = (alarm for alarm in ledger.alarms() if alarm.rule == "C2")
    (opened,) = ledger.changes_of(alarm.id)
    assert opened.reason == "shelved by ann (0001): the meter is exchanged"

    play(tape, range(20, 100), 10)
    judge(ledger, tmp_path, tape)

    assert told(ledger) == []


def test_openings_are_counted_by_what_became_of_telling_them(ledger: Ledger, tmp_path: Path) -> None:
    """What opens for the fourth time in a minute is damped, and is no less an opening."""
    tape = a_tape()
    for episode in range(5):
        play(tape, range(10 * episode, 10 * episode + 5), 80)
        play(tape, range(10 * episode + 5, 10 * episode + 10), 10)
    rules = {**ONLY_C2, "C2": {"on_delay_s": 1, "off_delay_s": 1, "above_s": 0}, "Q10": {}}

    found = judge(ledger, tmp_path, tape, rules=rules)

    assert (found["C2", "told"], found["C2", "damped"]) == (3, 2)


def test_what_still_stands_when_the_shelf_is_over_is_told_then(ledger: Ledger, tmp_path: Path) -> None:
    """Under the key that it would have had, with the draw of then, and its end as well; a restart between."""
    ledger.suppress(a_suppression(to_ms=T0_MS + 30_000))
    tape = a_tape()
    play(tape, range(25), 80)
    judge(ledger, tmp_path, tape)
    assert told(ledger) == []

    play(tape, range(25, 60), 80)
    judge(ledger, tmp_path, tape)
    assert (told(ledger), state(ledger)) == (["opened"], "active, unacknowledged")
    (notice,) = (one for one in ledger.notices() if one.body["rule"] == "C2")
    assert notice.key == f"{notice.alarm_id}:opened"
    assert notice.source_ms == T0_MS + 30_000

    play(tape, range(60, 140), 10)
    judge(ledger, tmp_path, tape)
    assert told(ledger) == ["opened", "returned"]


def test_shelving_what_was_told_never_hides_its_end(ledger: Ledger, tmp_path: Path) -> None:
    """It leaves the list of what needs somebody, and the receivers hear when it is over."""
    tape = a_tape()
    play(tape, range(20), 80)
    judge(ledger, tmp_path, tape)
    assert told(ledger) == ["opened"]

    ledger.suppress(a_suppression(from_ms=T0_MS + 25_000))
    play(tape, range(20, 40), 80)
    judge(ledger, tmp_path, tape)
    assert (told(ledger), state(ledger)) == (["opened"], "active, shelved")

    play(tape, range(40, 120), 10)
    judge(ledger, tmp_path, tape)
    assert told(ledger) == ["opened", "returned"]


def test_unshelving_tells_nothing_twice(ledger: Ledger, tmp_path: Path) -> None:
    """What was told before it was shelved, and is no worse, is only on the list again."""
    tape = a_tape()
    play(tape, range(20), 80)
    judge(ledger, tmp_path, tape)
    ledger.suppress(a_suppression(from_ms=T0_MS + 20_000))
    play(tape, range(20, 30), 80)
    judge(ledger, tmp_path, tape)
    ledger.end_suppression("0001", by="bob", at_ms=T0_MS + 30_000)
    play(tape, range(30, 40), 80)
    judge(ledger, tmp_path, tape)

    assert (told(ledger), state(ledger)) == (["opened"], "active, unacknowledged")
    (alarm,) = (alarm for alarm in ledger.alarms() if alarm.rule == "C2")
    assert [change.change for change in ledger.changes_of(alarm.id)] == [
        "opened",
        "suppressed",
        "unsuppressed",
    ]


@pytest.mark.parametrize(
    ("facts", "is_hidden"),
    [
        pytest.param({"rules": ("C2",)}, True, id="its rule"),
        pytest.param({"rules": ("C1",)}, False, id="another rule"),
        pytest.param({"subjects": ("ac*",)}, True, id="its subject"),
        pytest.param({"subjects": ("blue",)}, False, id="another subject"),
        pytest.param({"rules": ("C2",), "subjects": ("blue",)}, False, id="its rule of another subject"),
        pytest.param({"assets": ("*",)}, False, id="a tenant is no asset"),
        pytest.param({"kind": SuppressionKind.OUT_OF_SERVICE}, False, id="maintenance of nothing"),
        pytest.param({"from_ms": T0_MS + 10**9}, False, id="planned for later"),
        pytest.param({"to_ms": T0_MS}, False, id="over"),
        pytest.param({"ended_ms": T0_MS, "ended_by": "bob"}, False, id="ended"),
        pytest.param({"kind": SuppressionKind.BY_DESIGN}, True, id="by design"),
    ],
)
def test_it_hides_what_it_is_about_while_it_holds(
    facts: Mapping[str, Any], *, is_hidden: bool, ledger: Ledger, tmp_path: Path
) -> None:
    """Every part of what it is about has to fit, and the moment."""
    ledger.suppress(a_suppression(**facts))
    tape = a_tape()
    play(tape, range(20), 80)
    judge(ledger, tmp_path, tape)

    assert told(ledger) == ([] if is_hidden else ["opened"])


@pytest.mark.parametrize(
    ("asset", "is_hidden"), [("bus-a", True), ("tap-r0-a", True), ("r0", True), ("r1", False)]
)
def test_maintenance_of_an_asset_hides_what_it_serves(
    asset: str, *, is_hidden: bool, ledger: Ledger, tmp_path: Path
) -> None:
    """A rack that falls silent is not told while its busway, or it itself, is worked on."""
    site = a_row_of("r0", "r1")
    kind = SuppressionKind.OUT_OF_SERVICE
    ledger.suppress(a_suppression(kind=kind, assets=(asset,)))
    tape = a_tape(site)
    for second in range(200):
        tape.second(second, 10 if second < 30 else None, 10)
    judge(ledger, tmp_path, tape, site=site, rules={})

    silent = [notice for notice in ledger.notices() if notice.body["subject"] == "r0"]
    assert (not silent) is is_hidden
    assert any(alarm.subject == "r0" for alarm in ledger.alarms())


def test_it_says_what_it_is_about() -> None:
    """Scope and words are one line each, whatever somebody typed."""
    found = a_suppression(rules=("T1", "T2"), assets=("CDU-*",), why="pump\nexchange")

    assert found.scope == "rule T1, T2; asset CDU-*"
    assert "\n" not in found.words
    assert a_suppression(alarm_id="abc").scope == "alarm abc"


WATER: Final = ("T17", "T5", "T6")
"""Facility water is too warm; coolant units and racks are so for it."""


def told_of_warm_water(*shelves: Suppression) -> list[tuple[str, str, str]]:
    """Return what is told while facility water is too warm: the change, its severity and its rule.

    Args:
        shelves: What is shelved, its times as since T17 opened.
    """
    scenario, ledger = read(FOLDER / "t17_facility_water_warm" / "chillers_stop.toml"), MemoryLedger()
    rules = {rule.name: rule for rule in make_rules(scenario.file.rules, [])}
    teller = Teller(ledger, rules, site=scenario.file.site, routes=(Route(name="pager"),))

    def save(told: Telling, at_ms: int) -> None:
        ledger.save(Progress(seq=1, tick_ms=at_ms, changes=told.changes, notices=told.notices))

    def keep(step: Step) -> None:
        changes = [change for change in step.changes if change.rule in WATER]
        save(teller.tell(changes, step.view, step.at_ms), step.at_ms)
        teller.saved()
        if any((change.rule, change.change) == ("T17", Change.OPENED) for change in changes):
            ledger.kept += [
                replace(shelf, from_ms=step.at_ms, to_ms=step.at_ms + (shelf.to_ms or HOUR_MS))
                for shelf in shelves
            ]

    def follow(judging: Judging, _: list[Entry], __: int) -> Judging:
        if (view := judging.live.view) is not None:
            save(teller.follow(view, view.at_ms), view.at_ms)
        return judging

    run(scenario, keep, again=follow)
    return [
        (notice.body["change"], notice.body["severity"], notice.body["rule"]) for notice in ledger.notices
    ]


A_SHELF: Final = a_suppression(from_ms=0)
OPENED: Final = ("opened", "medium", "T17")
WORSENED: Final = ("worsened", "high", "T17")
RETURNED: Final = ("returned", "high", "T17")


@pytest.mark.parametrize(
    ("shelves", "is_told"),
    [
        pytest.param([{"rules": ("T17",)}], True, id="the cause alone"),
        pytest.param([{"rules": WATER}], False, id="and what it hides"),
        pytest.param([{"rules": ("T17", "T5")}], True, id="and what hides others itself"),
        pytest.param([{"rules": ("T17", "T6")}], True, id="and what others hide"),
    ],
)
def test_shelving_what_is_mild_shelves_nothing_graver_that_it_hides(
    shelves: Sequence[Mapping[str, Any]], *, is_told: bool
) -> None:
    """Facility water is too warm, and shelved; then coolant units are off their set point too, for it."""
    heard = told_of_warm_water(*(replace(A_SHELF, **facts) for facts in shelves))

    assert heard == [OPENED, *[WORSENED] * is_told, RETURNED]


def test_what_is_hidden_and_shelved_no_longer_is_told_by_its_cause_that_is_still_shelved() -> None:
    """Racks are too hot behind facility water; people shelved them for minutes, and that for an hour."""
    cause, racks = replace(A_SHELF, rules=("T17", "T5")), replace(A_SHELF, rules=("T6",))

    heard = told_of_warm_water(cause, replace(racks, to_ms=100_000))

    assert heard == [OPENED, WORSENED, RETURNED]
