"""Where we have no connection to a broker, that is told, and no asset is blamed for it."""

from __future__ import annotations

from typing import Final

import pytest

from facility.names import AssetId
from facility.points import Asset
from facility.site import Site
from rules.engine.engine import Step
from rules.notify.message import compose
from rules.registry import make_rules
from store.journal.entries import MarkKind
from testing.builders import T0_MS
from testing.rules.halls import (
    Tape,
    a_site,
    a_tenant,
    a_version,
    an_engine,
    changes_of,
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
