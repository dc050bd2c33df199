"""Several sources of one power: they are one while they agree, a doubt while they do not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from msgspec.structs import replace

from facility.points import Cadence
from facility.readings import Quality
from rules.engine.engine import Engine
from store.journal.entries import Known, MarkKind
from testing.builders import T0_MS
from testing.rules.halls import (
    KW,
    Tape,
    a_site,
    a_tenant,
    a_version,
    an_engine,
    at_once,
    known_rack,
    lines_of,
    play,
    racks_of,
)

SITE = a_site(racks_of("r0", "r1"), a_tenant("acme", ["r0", "r1"], a_version(150)))
RACKS, BUSES = ("r0", "r1"), ("bus", "spare")
PAIR = (known_rack(0, "r0", stream="bus:one"), known_rack(1, "r0", stream="bus:two"))
OTHER = known_rack(2, "r1", stream="bus:one")


def after(
    said: Sequence[tuple[float | None, ...]], *, known: Sequence[Known] = (*PAIR, OTHER)
) -> tuple[Engine, list[str]]:
    """Return an engine after seconds in which points said something, and what Q8 made of it."""
    engine, tape = an_engine(SITE), Tape()
    tape.connect(T0_MS - 1_000)
    tape.put(T0_MS - 1_000, tuple(known))
    for second, powers_kw in enumerate(said):
        tape.second(second, *powers_kw)
    steps = play(engine, tape.entries, until_ms=T0_MS + 1_000 * (len(said) - 1))
    return engine, lines_of(steps, "Q8")


def bounds_of(engine: Engine) -> tuple[float, float]:
    """Return the bounds of the tenant's draw [kW]."""
    assert engine.draw is not None
    return int(engine.draw.low[0]) / KW, int(engine.draw.high[0]) / KW


def test_what_is_said_last_of_a_point_counts() -> None:
    """Two changes of one point, and back, written down together: it is what it was."""
    engine, tape = an_engine(SITE), Tape()
    tape.connect(T0_MS - 1_000)
    own = known_rack(0, "r0")
    moved = replace(own, point=replace(own.point, asset=OTHER.point.asset))
    tape.put(T0_MS - 1_000, (own,))
    tape.put(T0_MS - 900, (moved, own))

    play(engine, tape.entries)

    assert engine.points[0] == own.point


def test_sources_that_agree_are_one() -> None:
    """Two sources of one rack's power do not count twice."""
    engine, told = after([(60.0, 60.2, 50.0)] * 5)

    assert bounds_of(engine) == (110, 110)
    assert told == []


@pytest.mark.parametrize("lost", [0, 1])
def test_the_loss_of_one_of_two_sources_that_agree_is_no_doubt(lost: int) -> None:
    """A second broker with the same documents makes the first one dispensable."""
    alone = tuple(None if number == lost else 60.0 for number in range(2))

    engine, told = after([(60.0, 60.0, 50.0)] * 5 + [(*alone, 50.0)] * 30)

    assert bounds_of(engine) == (110, 110)
    assert engine.view is not None
    assert not engine.view.racks.is_silent.any()
    assert told == []


def test_the_loss_of_one_of_two_brokers_is_no_doubt() -> None:
    """Two brokers carry the same documents: with one of them gone, all is known as before."""
    engine, tape = an_engine(SITE), Tape()
    known = [known_rack(n, rack, stream=f"{bus}:docs") for n, (bus, rack) in enumerate(product(BUSES, RACKS))]
    for bus in BUSES:
        for kind in (MarkKind.STARTED, MarkKind.CONNECTED, MarkKind.CAUGHT_UP):
            tape.mark(T0_MS - 1_000, kind, broker=bus)
    tape.put(T0_MS - 1_000, tuple(known))
    for second in range(5):
        tape.second(second, 60.0, 50.0, 60.0, 50.0)
    tape.mark(T0_MS + 4_500, MarkKind.LOST, broker=BUSES[0])
    for second in range(5, 60):
        tape.second(second, None, None, 60.0 + second, 50.0)

    play(engine, tape.entries, until_ms=T0_MS + 59_000)

    assert bounds_of(engine) == (169, 169)


def test_sources_that_contradict_each_other_are_a_doubt_and_told() -> None:
    """One says 60 and the other 95: the rack draws anything between, and Q8 names it."""
    engine, told = after([(60.0, 95.0, 50.0)] * 70)

    assert bounds_of(engine) == (110, 145)
    assert told == ["62 Q8 r0 opened"]


def test_silence_of_one_source_does_not_make_the_other_right() -> None:
    """After a contradiction, what is left proves no more than before."""
    engine, _ = after([(60.0, 95.0, 50.0)] * 10 + [(60.0, None, 50.0)] * 60)

    assert bounds_of(engine) == (50, 150)


def test_sources_that_agree_again_are_believed_again() -> None:
    """Both are seen to say the same: the doubt is over."""
    engine, _ = after([(60.0, 95.0, 50.0)] * 10 + [(70.0, 70.0, 50.0)] * 2)

    assert bounds_of(engine) == (120, 120)


def test_of_two_sources_that_speak_in_turn_the_newest_stands() -> None:
    """A load that rises between the readings of two sources is no contradiction."""
    said = [(60.0, None, 50.0), (None, 60.0, 50.0), (90.0, None, 50.0), (None, 90.0, 50.0)]

    for seconds in range(3, 5):
        engine, _ = after(said[:seconds])
        assert bounds_of(engine) == (140, 140)


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_sources_that_publish_on_change_the_newest_stands(first: int) -> None:
    """Both are so now, and agree within their class errors: what was said last is nearer to the truth."""
    change = [replace(one, point=replace(one.point, cadence=Cadence.ON_CHANGE)) for one in PAIR]
    said = (
        [(60.0, None, 50.0), (None, 60.2, 50.0)] if first == 0 else [(None, 60.0, 50.0), (60.2, None, 50.0)]
    )

    engine, told = after(said, known=(*change, OTHER))

    assert bounds_of(engine) == (110.2, 110.2)
    assert told == []


def test_the_rack_s_own_power_comes_before_any_other_of_it() -> None:
    """What was described first, such as a design power, is not the power of the rack for that."""
    design = replace(PAIR[0], point=replace(PAIR[0].point, quantity="meter.power.active"))

    engine, told = after([(45.0, 60.0, 50.0)] * 10, known=(design, PAIR[1], OTHER))

    assert bounds_of(engine) == (110, 110)
    assert told == []


def test_a_source_that_is_doubted_is_not_given_up() -> None:
    """Its publisher goes on with both points: that one of them is refused makes the other no truer."""
    both = [replace(one, point=replace(one.point, stream="bus:one")) for one in PAIR]
    change = [replace(one, point=replace(one.point, cadence=Cadence.ON_CHANGE)) for one in both]
    engine, tape = an_engine(SITE), Tape()
    tape.connect(T0_MS - 1_000)
    tape.put(T0_MS - 1_000, (*change, OTHER))
    for second in range(40):
        tape.second(second, 95.0 if second < 10 else None, 60.0, 50.0)
        if second >= 10:
            at_ms = T0_MS + 1_000 * second
            tape.put(at_ms, at_once([np.nan], at_ms, quality=Quality.REFUSED))

    play(engine, tape.entries, until_ms=T0_MS + 39_000)

    assert bounds_of(engine) == (50, 150)


def test_a_rack_that_its_publisher_goes_on_with_under_another_path_is_known_again() -> None:
    """The old point is repeated no longer: after a doubt, the new one alone is the rack's power."""
    both = [replace(one, point=replace(one.point, stream="bus:one")) for one in PAIR]
    tagged = [
        replace(one, point=replace(one.point, cadence=Cadence.ON_CHANGE, key=f"path{one.id}")) for one in both
    ]

    engine, told = after([(60.0, None, 50.0)] * 3 + [(None, 95.0, 50.0)] * 180, known=(*tagged, OTHER))

    assert bounds_of(engine) == (145, 145)
    assert [line.split(maxsplit=1)[1] for line in told] == ["Q8 r0 opened", "Q8 r0 returned"]


@pytest.mark.parametrize("quality", [Quality.REFUSED, Quality.SOURCE_DOUBTS, Quality.NO_VALUE])
@pytest.mark.parametrize("is_one_publisher", [True, False])
def test_news_of_a_rack_that_cannot_be_read_is_a_doubt_of_what_it_said_before(
    quality: Quality, *, is_one_publisher: bool
) -> None:
    """Its publisher goes on under another path and says what is refused; another publisher's stands alone."""
    own, other = (
        PAIR
        if not is_one_publisher
        else (PAIR[0], replace(PAIR[1], point=replace(PAIR[1].point, stream="bus:one")))
    )
    known = [replace(one, point=replace(one.point, cadence=Cadence.ON_CHANGE)) for one in (own, other, OTHER)]
    engine, tape = an_engine(SITE), Tape()
    tape.connect(T0_MS - 1_000)
    tape.put(T0_MS - 1_000, tuple(known))
    found: list[tuple[float, float]] = []
    for second in range(20):
        at_ms = T0_MS + second * 1_000
        tape.second(second, 60.0 if second < 5 or second == 15 else None, None, 50.0)
        if 5 <= second < 12:
            tape.put(at_ms, at_once((None, float("nan")), at_ms, quality=quality))
        play(engine, tape.entries, until_ms=at_ms)
        tape.entries.clear()
        found.append(bounds_of(engine))

    assert found[4:5] == [(110, 110)]
    assert set(found[8:15]) == {(50, 150) if is_one_publisher else (110, 110)}
    assert set(found[15:]) == {(110, 110)}
