"""Where we have no connection to a broker, that is told, and no asset is blamed for it."""

from __future__ import annotations

from typing import Final

import pytest

from facility.names import AssetId
from facility.points import Asset, Cadence
from facility.site import Site
from rules.engine.engine import Step
from rules.notify.message import compose
from rules.registry import make_rules
from store.journal.entries import MarkKind
from testing.builders import T0_MS
from testing.rules.halls import (
    BUS,
    Tape,
    a_site,
    a_tenant,
    a_version,
    an_engine,
    changes_of,
    known_heartbeat,
    known_meter,
    known_rack,
    play,
    racks_of,
)

RACKS: Final = ("r0", "r1", "r2", "r3")
UPS: Final = Asset(id=AssetId("ups"), kind="UPS", serves=tuple(AssetId(rack) for rack in RACKS))
SITE: Final = a_site(racks_of(*RACKS), a_tenant("acme", RACKS, a_version(1_000)), assets=(UPS,))
SMALL: Final = {
    count: a_site(racks_of(*RACKS[:count]), a_tenant("acme", RACKS[:count], a_version(1_000)))
    for count in (1, 2)
}
"""Sites of so few racks."""
LOST_MS: Final = T0_MS + 10_000


def heard(streams: tuple[str, ...], *, is_lost: bool, back_s: int = 90, site: Site = SITE) -> list[Step]:
    """Return what is made of racks that say nothing for a while.

    Args:
        streams: The stream that the power of each rack comes by.
        is_lost: Whether we have no connection to their broker meanwhile.
        back_s: When they are heard again [s].
        site: Their site; where nothing is said, they have a UPS in common.
    """
    engine, tape, powers = an_engine(site, lateness_ms=200), Tape(), [50] * len(site.racks)
    known = (known_rack(n, rack, stream=streams[n]) for n, rack in enumerate(site.racks))
    tape.put(T0_MS - 1_000, tuple(known))
    tape.connect(T0_MS - 1_000)
    for second in range(10):
        tape.second(second, *powers)
    if is_lost:
        tape.mark(LOST_MS, MarkKind.LOST)
        tape.mark(T0_MS + back_s * 1_000, MarkKind.CONNECTED)
        tape.mark(T0_MS + back_s * 1_000, MarkKind.CAUGHT_UP)
    for second in range(back_s, back_s + 90):
        tape.second(second, *powers)
    return play(engine, tape.entries, until_ms=T0_MS + (back_s + 90) * 1_000)


FEEDS: Final = ("a", "b")


def heard_by_feed(
    count: int, silent: str, *, brokers: tuple[str, str] = (BUS, BUS), beats: bool = False, lost: str = ""
) -> list[Step]:
    """Return what is made of racks whose feed a is told by gateway ga and feed b by gb, one silent from 40 s.

    Args:
        count: How many racks there are.
        silent: The feed whose gateway falls silent.
        brokers: Over which broker each of the two speaks.
        beats: Whether they have heartbeats.
        lost: The broker that we have no connection to from then on, if any.
    """
    racks = RACKS[:count]
    site = a_site(racks_of(*racks, feeds=2), a_tenant("acme", racks, a_version(1_000)))
    engine, tape = an_engine(site, lateness_ms=200), Tape()
    streams = [f"{broker}:g{feed}" for broker, feed in zip(brokers, FEEDS, strict=True)]
    points = [(rack, feed) for feed in (0, 1) for rack in racks]
    known = [known_rack(n, r, stream=streams[f], feed=FEEDS[f]) for n, (r, f) in enumerate(points)]
    known += [known_heartbeat(len(known) + n, stream) for n, stream in enumerate(streams * beats)]
    tape.put(T0_MS - 1_000, tuple(known))
    for broker in dict.fromkeys(brokers):
        for kind in (MarkKind.STARTED, MarkKind.CONNECTED, MarkKind.CAUGHT_UP):
            tape.mark(T0_MS - 1_000, kind, broker=broker)
    for second in range(120):
        if lost and second == 40:
            tape.mark(T0_MS + 40_000, MarkKind.LOST, broker=lost)
        speaks = [second < 40 or feed != silent for feed in FEEDS]
        powers = [25 if speaks[feed] else None for _, feed in points]
        beat = [1 if is_so and second % 10 == 0 else None for is_so in speaks * beats]
        tape.second(second, *powers, *beat)
    return play(engine, tape.entries, until_ms=T0_MS + 120_000)


def told_of(steps: list[Step]) -> list[tuple[str, str, str]]:
    """Return what is told, but that the contract cannot be verified meanwhile."""
    told = (change for change in changes_of(steps) if change.is_told)
    return [(c.rule, c.subject, c.change.value) for c in told if c.rule != "C2-cannot-verify"]


def test_a_broker_that_is_away_is_one_page_that_names_it() -> None:
    """Neither the gateway nor the UPS of the racks; the page carries them and their tenant."""
    steps = heard(("bus:docs",) * 4, is_lost=True)

    assert told_of(steps) == [("Q3", "broker bus", "opened"), ("Q3", "broker bus", "returned")]
    change, view = next((c, s.view) for s in steps for c in s.changes if c.rule == "Q3" and c.is_told)
    assert view is not None
    (rule,) = (made for made in make_rules({}, []) if made.name == "Q3")
    page = compose(change, rule, view, SITE).document()
    assert page["headline"].startswith("[HIGH] broker bus: racks silent for a common cause")
    assert (page["silent_racks"], page["tenants"], page["tenant_kw"]) == (4, ["acme"], [200.0])


@pytest.mark.parametrize("count", SMALL)
@pytest.mark.parametrize("streams", [("bus:docs",) * 2, ("bus:g1", "bus:g2")], ids=["one", "each"])
def test_a_site_of_a_rack_or_two_has_one_page_of_its_broker(count: int, streams: tuple[str, ...]) -> None:
    """That we have no connection is known, and needs no three racks to be inferred from."""
    steps = heard(streams[:count], is_lost=True, site=SMALL[count])

    assert told_of(steps) == [("Q3", "broker bus", "opened"), ("Q3", "broker bus", "returned")]


def test_several_gateways_behind_a_broker_that_is_away_are_not_blamed() -> None:
    """Two racks each."""
    steps = heard(("bus:g1", "bus:g1", "bus:g2", "bus:g2"), is_lost=True)

    assert told_of(steps) == [("Q3", "broker bus", "opened"), ("Q3", "broker bus", "returned")]


def test_racks_that_are_silent_on_a_broker_that_is_there_have_something_else_in_common() -> None:
    """The connection stands."""
    steps = heard(("bus:docs",) * 4, is_lost=False)

    assert {subject for _, subject, _ in told_of(steps)} == {"bus:docs"}


@pytest.mark.parametrize("beats", [False, True])
@pytest.mark.parametrize("silent", FEEDS)
def test_of_two_gateways_of_each_rack_the_silent_one_is_named(*, silent: str, beats: bool) -> None:
    """All racks are silent, for of each one feed is; the broker is there, and the other gateway speaks."""
    steps = heard_by_feed(4, silent, beats=beats)

    assert {(rule, subject) for rule, subject, _ in told_of(steps)} == {("Q3", f"bus:g{silent}")}


@pytest.mark.parametrize("silent", FEEDS)
def test_of_two_racks_the_gateway_whose_heartbeats_stay_away_is_named(silent: str) -> None:
    """Both gateways tell both racks, and the heartbeats of one come."""
    told = told_of(heard_by_feed(2, silent, beats=True))

    assert {subject for rule, subject, _ in told if rule == "Q3"} == {f"bus:g{silent}"}


def test_a_single_rack_with_one_silent_feed_is_no_broker_that_is_gone() -> None:
    """The gateway of the other feed speaks over it."""
    told = told_of(heard_by_feed(1, "a"))

    assert {rule for rule, _, _ in told} == {"Q1", "Q2"}


@pytest.mark.parametrize("silent", FEEDS)
def test_of_two_brokers_of_each_rack_the_one_that_is_away_is_named(silent: str) -> None:
    """Each feed comes over a broker of its own."""
    brokers = ("bus-a", "bus-b")
    steps = heard_by_feed(4, silent, brokers=brokers, lost=f"bus-{silent}")

    assert {subject for _, subject, _ in told_of(steps)} == {f"broker bus-{silent}"}


@pytest.mark.parametrize(("pause_s", "is_there"), [(1, True), (12, True), (1_000, False)])
def test_a_broker_is_there_while_anyone_is_heard_over_it(*, pause_s: int, is_there: bool) -> None:
    """Two gateways of racks fall silent; a publisher that tells of no rack goes on, or falls silent too."""
    engine, tape = an_engine(SITE, lateness_ms=200), Tape()
    known = [known_rack(n, rack, stream=f"bus:g{1 + n // 2}") for n, rack in enumerate(RACKS)]
    known += [known_meter(4, "main", stream="bus:meters", cadence=Cadence.ON_CHANGE)]
    tape.put(T0_MS - 1_000, tuple(known))
    tape.connect(T0_MS - 1_000)
    for second in range(120):
        power = 50 if second < 40 else None
        tape.second(second, *[power] * 4, 300 if second % pause_s == 0 or second == 39 else None)
    subjects = {subject for _, subject, _ in told_of(play(engine, tape.entries, until_ms=T0_MS + 120_000))}

    assert ("broker bus" in subjects) is not is_there
