"""Starting up is a state of its own: shown, not paged, and over once everything must have spoken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import pytest
from msgspec.structs import replace

from facility.contracts import Boundary
from facility.names import AssetId
from facility.points import Cadence
from facility.readings import Quality
from facility.site import Site
from rules.engine.engine import Step
from rules.library.data.q1_rack_silent import NOBODYS
from rules.library.data.q3_common_silence import NEVER_HEARD
from rules.notify.message import compose
from store.journal.entries import Known, MarkKind
from testing.builders import T0_MS
from testing.rules.halls import (
    BUS,
    KW,
    Tape,
    a_judging,
    a_meter,
    a_site,
    a_tenant,
    a_version,
    an_engine,
    at_once,
    block,
    known_heartbeat,
    known_meter,
    known_rack,
    play,
    racks_of,
)

AWAITED_S: Final = 110
"""How long a source that publishes on change has to speak [s]."""


def hall(count: int, *, held: int | None = None) -> Site:
    """Return a site of racks of 100 kW, of which two tenants hold the first ones, half each."""
    names = [f"r{i}" for i in range(count)]
    held = count if held is None else held
    return a_site(
        racks_of(*names),
        a_tenant("acme", names[: held // 2], a_version(held * 40)),
        a_tenant("blue", names[held // 2 : held], a_version(held * 40)),
    )


def racks(count: int, *, cadence: Cadence = Cadence.PERIODIC) -> tuple[Known, ...]:
    """Return the power points of the first racks."""
    return tuple(known_rack(i, f"r{i}", cadence=cadence) for i in range(count))


def connected() -> Tape:
    """Return the journal of a monitor that has just started for the first time."""
    tape = Tape()
    tape.connect(T0_MS)
    return tape


def told(steps: Iterable[Step]) -> list[str]:
    """Return what people hear, as `second rule subject change`."""
    return [
        f"{(change.at_ms - T0_MS) // 1_000} {change.rule} {change.subject} {change.change}"
        for step in steps
        for change in step.changes
        if change.is_told
    ]


def test_a_bus_that_does_not_speak_is_one_cause() -> None:
    """First start of 600 racks before the bus speaks: nothing while they may still, then one page for all."""
    steps = play(an_engine(hall(600)), connected().entries, until_ms=T0_MS + 600_000)

    pages = told(steps)
    assert not [page for page in pages if int(page.split()[0]) <= AWAITED_S]
    assert pages[0] == f"{AWAITED_S + 11} Q3 {NEVER_HEARD} opened"
    assert Counter(page.split()[1] for page in pages) == {"Q3": 1, "C2-cannot-verify": 2}


@pytest.mark.parametrize("seconds", [1, 50, 99])
def test_a_bus_that_conforms_is_not_told(seconds: int) -> None:
    """Each value comes once within 100 s, unchanged: nobody hears anything in the first ten minutes."""
    site, tape = hall(20), connected()
    tape.put(T0_MS + 100, racks(20, cadence=Cadence.ON_CHANGE))
    tape.put(T0_MS + 100, (known_heartbeat(20, f"{BUS}:docs"),))
    for second in range(600):
        powers = [50.0 if second % 100 == i * seconds // 20 else None for i in range(20)]
        tape.second(second, *powers, 1.0 if second % 10 == 0 else None)

    steps = play(an_engine(site), tape.entries)

    assert told(steps) == []


def test_a_rack_that_is_described_later_has_its_time_too() -> None:
    """A rack that is built years after the first start is not silent since then."""
    site, tape = hall(4), connected()
    tape.put(T0_MS + 100, racks(4))
    for second in range(400):
        tape.second(second, 50, 50, 50, 50)
        if second == 200:
            tape.put(T0_MS + 200_500, (known_rack(9, "r9", cadence=Cadence.ON_CHANGE),))
    engine = an_engine(site)

    play(engine, tape.entries)

    view = engine.view
    assert view is not None
    place = view.racks.ids.index("r9")
    assert view.racks.is_silent[place]
    assert view.racks.silent_ms[place] == view.at_ms - T0_MS - 200_500


def test_a_source_with_a_period_has_three_of_them() -> None:
    """Nobody waits 110 s for what speaks each second."""
    tape = connected()
    tape.put(T0_MS, racks(20))
    for second in range(60):
        tape.second(second, *[50.0] * 19, None)

    pages = told(play(an_engine(hall(20)), tape.entries))

    assert pages == ["16 Q1 r19 opened", "36 Q2 blue opened"]


def starting_of(seconds: int) -> Sequence[tuple[bool, bool]]:
    """Return whether the first racks and each tenant are starting, after some seconds of silence."""
    engine = an_engine(hall(4))
    play(engine, connected().entries, until_ms=T0_MS + 1_000 * seconds)
    assert engine.view is not None
    return list(zip(engine.view.racks.is_starting[:3], engine.view.tenants.is_starting, strict=True))


def test_starting_is_seen_and_ends() -> None:
    """A view says who is starting: the racks, and the tenants that hold them."""
    assert starting_of(AWAITED_S) == [(True, True), (True, True), (True, False)]
    assert starting_of(AWAITED_S + 1) == [(False, False)] * 3


def estimates(*heard_kw: float) -> list[int | None]:
    """Return the best estimate of each tenant [mW] after the first racks spoke once."""
    engine, tape = an_engine(hall(4)), connected()
    tape.put(T0_MS, racks(4))
    tape.second(0, *heard_kw)
    play(engine, tape.entries, until_ms=T0_MS + 2_000)
    assert engine.view is not None
    return [engine.view.tenants.estimate(place) for place in range(len(engine.view.tenants.ids))]


def test_of_a_tenant_of_which_nothing_was_heard_there_is_no_estimate() -> None:
    """It is no zero in a picture: one that draws nothing says so itself."""
    assert estimates()[0] is None
    assert estimates(0.0, 0.0, 0.0, 0.0)[0] == 0
    assert estimates(90.0)[0] == 90 * KW


def test_an_overdraw_is_told_while_others_start() -> None:
    """What is certain is told, whatever is not heard yet."""
    site, tape = hall(4), connected()
    tape.put(T0_MS, racks(2))
    for second in range(60):
        tape.second(second, 90, 90)

    pages = told(play(an_engine(site), tape.entries))

    assert pages[0] == "6 C2 acme opened"


def test_a_rack_that_lost_its_point_is_not_starting() -> None:
    """Its point is described as another rack's half a minute after the start: who cannot tell says so."""
    site, tape = hall(4), connected()
    tape.put(T0_MS, racks(4))
    for second in range(80):
        tape.second(second, 70, 70, 70, 70)
        if second == 30:
            moved = replace(known_rack(0, "r0").point, asset=AssetId("r1"))
            tape.put(T0_MS + 30_500, (Known(0, moved),))

    pages = told(play(an_engine(site), tape.entries))

    assert "61 C2-cannot-verify acme opened" in pages


def test_a_rack_whose_point_is_withdrawn_is_not_starting() -> None:
    """Its source describes it no longer, so that nothing it says can be read: who cannot tell says so."""
    site, tape = hall(4), connected()
    own, *others = racks(4)
    tape.put(T0_MS, (replace(own, point=replace(own.point, is_withdrawn=True)), *others))
    for second in range(50):
        tape.second(second, None, 70, 70, 70)

    pages = told(play(an_engine(site), tape.entries))

    assert "31 C2-cannot-verify acme opened" in pages


# Racks that nobody contracted ---------------------------------------------------------------


def test_racks_that_nobody_contracted_are_one_line() -> None:
    """396 of 400 racks are no tenant's and all fall silent: the pages are those of the four, and one."""
    site, tape = hall(400, held=4), connected()
    tape.put(T0_MS, racks(400))
    for second in range(20):
        tape.put(T0_MS + 1_000 * second, at_once([50.0] * 400, T0_MS + 1_000 * second))
    for second in range(20, 60):
        tape.put(T0_MS + 1_000 * second, at_once([50.0] * 4, T0_MS + 1_000 * second))

    engine = an_engine(site, rules={"Q3": {"enabled": False}})
    steps = play(engine, tape.entries)

    assert told(steps) == [f"35 Q1 {NOBODYS} opened"]
    (step,) = [step for step in steps if step.changes]
    assert step.view is not None
    rule = next(judge.rule for judge in engine.judges if judge.rule.name == "Q1")
    body = compose(step.changes[0], rule, step.view, site).document()
    assert (body["silent_racks"], body["tenants"]) == (396, [])
    assert "silent: 396 racks: r4, r5, r6, r7, r8 and more" in body["text"]


def test_a_cause_that_only_touches_racks_that_nobody_contracted_is_no_page_of_its_own() -> None:
    """One gateway of such racks, or fifty: Q1 says it in its line."""
    site, tape = hall(40, held=4), connected()
    streams = [f"{BUS}:mine" if i < 4 else f"{BUS}:g{i % 6}" for i in range(40)]
    known = tuple(known_rack(i, f"r{i}", stream=stream) for i, stream in enumerate(streams))
    tape.put(T0_MS, known)
    for second in range(20):
        tape.put(T0_MS + 1_000 * second, at_once([50.0] * 40, T0_MS + 1_000 * second))
    for second in range(20, 60):
        tape.put(T0_MS + 1_000 * second, at_once([50.0] * 4, T0_MS + 1_000 * second))
    tape.mark(T0_MS + 60_000, MarkKind.CONNECTED)

    assert told(play(an_engine(site), tape.entries)) == [f"35 Q1 {NOBODYS} opened"]


def test_a_tenant_of_named_meters_starts_with_its_meters() -> None:
    """Its racks say nothing, and are not what it is measured by."""
    version = a_version(100, boundary=Boundary.NAMED_METERS, meters=("m0",))
    site = a_site(racks_of("r0"), a_tenant("acme", ["r0"], version), assets=[a_meter("m0", "r0")])
    tape = connected()
    tape.put(T0_MS, (known_meter(0, "m0", cadence=Cadence.ON_CHANGE),))
    silent, heard = an_engine(site), an_engine(site)
    play(silent, tape.entries, until_ms=T0_MS + 20_000)
    for second in range(21):
        tape.second(second, 50)
    play(heard, tape.entries)

    states = [engine.view.tenants for engine in (silent, heard) if engine.view is not None]
    assert [(bool(s.is_starting[0]), float(s.certain[0])) for s in states] == [(True, 0.0), (False, 1.0)]


def test_a_block_that_closed_while_its_tenant_was_starting_is_told_all_the_same() -> None:
    """The last block of a contract ended 20 s after the first start, a rack unheard: that is a fact."""
    begin_ms = T0_MS // 60_000 * 60_000 + 60_000
    names = ("r0", "r1")
    limit = a_version(150, limit=block(60_000))
    site = a_site(racks_of(*names), a_tenant("acme", names, limit, ends_ms=begin_ms + 20_000))
    tape = Tape()
    tape.connect(begin_ms)
    tape.put(begin_ms, racks(2, cadence=Cadence.ON_CHANGE))
    for second in range(200):
        at_ms = begin_ms + second * 1_000
        tape.put(at_ms + 20, at_once((60.0, None if second < 90 else 60.0), at_ms, received_ms=at_ms + 10))

    steps = play(a_judging(site), tape.entries)

    found = [page.split(maxsplit=1)[1] for page in told(steps)]
    assert [page for page in found if not page.startswith("C10 ")][:1] == ["C4-cannot-verify acme opened"]


@pytest.mark.parametrize("quality", [Quality.REFUSED, Quality.SOURCE_DOUBTS])
def test_a_tenant_whose_racks_have_spoken_is_not_starting(quality: Quality) -> None:
    """From the first start on one rack says what cannot be trusted: nothing is to be waited for."""
    names = ("r0", "r1")
    site = a_site(racks_of(*names), a_tenant("acme", names, a_version(150)))
    tape = connected()
    tape.put(T0_MS + 100, racks(2, cadence=Cadence.ON_CHANGE))
    for second in range(60):
        at_ms = T0_MS + second * 1_000
        tape.second(second, 60.0)
        tape.put(at_ms, at_once((None, 90.0), at_ms, quality=quality))

    pages = [page.split(maxsplit=1) for page in told(play(an_engine(site), tape.entries))]

    seconds = [int(second) for second, page in pages if page == "C2-cannot-verify acme opened"]
    assert len(seconds) == 1
    assert 30 <= seconds[0] < 35
