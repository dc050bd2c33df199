"""Clock faults are told as what they are: by whose clock, how far, and as no silence of racks (Q6)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from facility.instants import HOUR_MS
from facility.names import AssetId
from facility.points import Asset
from facility.readings import Flag, Quality
from rules.alarms.states import Change
from rules.base import Severity
from rules.engine.engine import Engine, Step
from rules.library.data.q6_clock_off import ClockOff
from rules.notify.message import compose
from rules.notify.notification import Notification
from store.journal.entries import Known, MarkKind
from testing.builders import T0_MS, a_point
from testing.rules.halls import (
    Tape,
    a_site,
    a_tenant,
    a_version,
    an_engine,
    at_once,
    changes_of,
    known_rack,
    known_racks_of,
    lines_of,
    one_tenant,
    racks_of,
)

SITE = one_tenant(1_000)


def an_opened_page(steps: list[Step]) -> str:
    """Return the headline of the first page of a clock."""
    return the_page(steps).headline


def the_page(steps: list[Step]) -> Notification:
    """Return the first page of a clock."""
    for step in steps:
        for change in step.changes:
            if change.rule == "Q6" and change.is_told:
                assert step.view is not None
                rule = ClockOff.model_validate({})
                return compose(change, rule, step.view, SITE)
    raise AssertionError("nothing was told of a clock")


def started() -> tuple[Engine, Tape]:
    """Return an engine that has heard its racks for ten seconds, and the journal."""
    engine, tape = an_engine(SITE, lateness_ms=200), Tape()
    tape.put(T0_MS - 1_000, known_racks_of(SITE))
    tape.connect(T0_MS - 1_000)
    for second in range(10):
        tape.second(second, 50, 50, 50)
    return engine, tape


def played(engine: Engine, tape: Tape, *, seconds: int) -> list[Step]:
    """Return what an engine says of a journal."""
    return [s for e in tape.entries for s in engine.take(e)] + engine.advance(T0_MS + seconds * 1_000)


def test_values_that_are_refused_for_a_zone_are_no_silence() -> None:
    """A gateway that writes local time with a Z, six hours ahead: told in 10 s, no rack is called silent."""
    engine, tape = started()
    for second in range(10, 60):
        now_ms = T0_MS + second * 1_000
        refused = at_once([np.nan] * 3, now_ms + 6 * HOUR_MS, received_ms=now_ms, quality=Quality.REFUSED)
        tape.put(now_ms, refused)

    steps = played(engine, tape, seconds=60)

    assert lines_of(steps, "Q6") == ["20 Q6 bus:docs opened", "40 Q6 bus:docs worsened"]
    assert an_opened_page(steps) == (
        "[MEDIUM] gateway docs on bus: clock off, 6 h 0 min 0 s ahead, as a time zone written as another"
    )
    assert not lines_of(steps, "Q1", "Q3")


def test_what_follows_from_a_clock_is_told_by_it_alone() -> None:
    """Q5 of each rack and Q2 of the tenant are recorded; the page of the clock carries them."""
    engine, tape = started()
    for second in range(10, 60):
        now_ms = T0_MS + second * 1_000
        ahead = at_once([np.nan] * 3, now_ms + 45_000, received_ms=now_ms, quality=Quality.REFUSED)
        tape.put(now_ms, ahead)

    steps = played(engine, tape, seconds=60)

    opened = [change for change in changes_of(steps) if change.change is Change.OPENED]
    assert [c.rule for c in opened if not c.is_told] == ["Q5", "Q5", "Q5", "Q2"]
    assert [c.rule for c in opened if c.is_told] == ["Q6"]
    page = the_page(steps).document()
    assert (page["racks"], page["tenants"], page["tenant_kw"]) == (3, ["acme"], [150.0])
    (worse,) = (c for c in changes_of(steps) if c.change is Change.WORSENED)
    assert (worse.rule, worse.severity, worse.is_told) == ("Q6", Severity.HIGH, True)
    assert worse.reason == "too few readings of a tenant at acme (Q2), told by this alone"


def test_what_a_clock_hides_is_not_counted_by_a_feed_that_is_lost() -> None:
    """Of two feeds, so its racks are alight: their values are refused for the stamps of their gateway."""
    racks = "r0", "r1", "r2"
    serves = tuple(map(AssetId, racks))
    assets = tuple(Asset(id=AssetId(ups), kind="UPS", serves=serves) for ups in ("ua", "ub"))
    site = a_site(racks_of(*racks, feeds=2), a_tenant("acme", racks, a_version(1_000)), assets=assets)
    engine, tape = an_engine(site, lateness_ms=200), Tape()
    volts = [
        Known(3 + n, a_point(f"v/{ups}", asset=ups, quantity="voltage.ll", unit="V", stream="bus:switchgear"))
        for n, ups in enumerate(("ua", "ub"))
    ]
    tape.put(T0_MS - 1_000, (*(known_rack(n, rack) for n, rack in enumerate(racks)), *volts))
    tape.connect(T0_MS - 1_000)
    for second in range(10):
        tape.second(second, 50, 50, 50, 480, 480)
    for second in range(10, 120):
        now_ms = T0_MS + second * 1_000
        ahead = at_once([np.nan] * 3, now_ms + 45_000, received_ms=now_ms, quality=Quality.REFUSED)
        tape.put(now_ms, ahead)
        tape.second(second, None, None, None, 480 if second < 60 else 0, 480)

    steps = played(engine, tape, seconds=120)

    told = [(c.rule, c.subject) for c in changes_of(steps) if c.is_told and c.change is Change.OPENED]
    assert told == [("Q6", "bus:docs"), ("E4", "ua")]
    views = [step.view for step in steps if step.view is not None]
    assert views[-1].hides[("Q6", "bus:docs")] == {"Q5": 3, "Q2": 1}
    # That its tenant is not heard, the feed would explain as well.
    assert views[-1].hides[("E4", "ua")] == {"Q2": 1}


def test_a_value_that_cannot_be_right_is_told_beside_a_clock_that_is_a_little_off() -> None:
    """A clock 10 s ahead explains no value that is refused for what it says."""
    engine, tape = started()
    for second in range(10, 90):
        now_ms = T0_MS + second * 1_000
        tape.put(now_ms, at_once([None, 50, 50], now_ms + 10_000, received_ms=now_ms))
        wrong = at_once([np.nan], now_ms + 10_000, received_ms=now_ms, quality=Quality.REFUSED)
        tape.put(now_ms, wrong)

    steps = played(engine, tape, seconds=90)

    told = {(c.rule, c.subject) for c in changes_of(steps) if c.is_told}
    assert {("Q6", "bus:docs"), ("Q5", "r0")} <= told
    assert engine.draw is not None
    assert engine.draw.high[0] > engine.draw.low[0]


def test_a_zone_behind_is_no_silence_of_six_hours() -> None:
    """Six hours in the past from the start: the publisher's clock, not "rack silent, 21,600 s"."""
    engine, tape = an_engine(SITE, lateness_ms=200), Tape()
    tape.put(T0_MS - 1_000, known_racks_of(SITE))
    tape.connect(T0_MS - 1_000)
    for second in range(60):
        now_ms = T0_MS + second * 1_000
        tape.put(now_ms + 10, at_once([50] * 3, now_ms - 6 * HOUR_MS, received_ms=now_ms + 5))

    steps = played(engine, tape, seconds=60)

    assert "behind, as a time zone written as another" in an_opened_page(steps)
    assert not lines_of(steps, "Q1", "Q3")


def test_values_of_one_stamp_are_told_when_they_last() -> None:
    """A conflict each second for more than a minute is told; of one alone nobody hears."""
    engine, tape = started()
    for second in range(10, 100):
        tape.second(second, 50, 50, 50)
        now_ms = T0_MS + second * 1_000 + 500
        doubt = at_once(
            [np.nan], now_ms - 500, received_ms=now_ms, quality=Quality.REFUSED, flags=Flag.CONFLICT
        )
        tape.put(now_ms, doubt)

    steps = played(engine, tape, seconds=100)

    assert [line.split()[1:] for line in lines_of(steps, "Q6")] == [["Q6", "bus:docs", "opened"]]
    assert an_opened_page(steps) == "[LOW] gateway docs on bus: clock off, several values with one stamp"


@pytest.mark.parametrize(
    ("off_ms", "said"),
    [
        (lambda _: 5_000, "5.0 s ahead, a constant offset"),
        (lambda _: -5_000, "5.0 s behind, a constant offset"),
        (lambda second: 5_000 if second >= 150 else 0, "5.0 s ahead, after a jump ahead by 5.0 s"),
        (lambda second: -5_000 if second >= 150 else 0, "5.0 s behind, after a jump back by 5.0 s"),
        (lambda second: second * 8, "2.5 s ahead, drifting ahead by 691.2 s a day"),
        (lambda second: -second * 8, "2.9 s behind, drifting behind by 691.2 s a day"),
    ],
)
def test_how_a_clock_is_off_is_told_by_name(off_ms: Callable[[int], int], said: str) -> None:
    """A constant offset, a jump and a drift of 8 ms a second are three things on the page."""
    engine, tape = an_engine(SITE, lateness_ms=200), Tape()
    tape.put(T0_MS - 1_000, known_racks_of(SITE))
    tape.connect(T0_MS - 1_000)
    for second in range(500):
        now_ms = T0_MS + second * 1_000
        tape.put(now_ms + 10, at_once([50] * 3, now_ms + off_ms(second), received_ms=now_ms))

    page = an_opened_page(played(engine, tape, seconds=500))

    assert page == f"[LOW] gateway docs on bus: clock off, {said}"


@pytest.mark.parametrize(
    ("by_ms", "said"), [(90_000, "forward by 90.0 s"), (-HOUR_MS, "back by 1 h 0 min 0 s")]
)
def test_a_step_of_our_own_clock_is_told_as_one(by_ms: int, said: str) -> None:
    """The page is about the monitor's machine, and about no rack."""
    engine, tape = started()
    set_ms = T0_MS + 10_000 + by_ms
    tape.mark(set_ms, MarkKind.STEPPED, since_ms=T0_MS + 10_000, broker="*")
    for second in range(80):
        now_ms = set_ms + second * 1_000
        tape.put(now_ms + 10, at_once([50] * 3, now_ms, received_ms=now_ms + 5))

    steps = [step for entry in tape.entries for step in engine.take(entry)]

    assert an_opened_page(steps) == f"[MEDIUM] the monitor's own machine: clock off, set {said}"
    assert {change.rule for change in changes_of(steps)} == {"Q6"}
