"""Demand blocks at the borders of clauses, before the first reading, and their forecast."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from facility.contracts import Contract, Method, Version
from facility.names import AssetId, TenantId
from facility.site import Holding, Site, Tenant
from rules.view import View
from store.series import DemandBlock
from testing.builders import T0_MS
from testing.rules.halls import (
    KW,
    Tape,
    a_judging,
    a_site,
    a_tenant,
    a_version,
    block,
    known_racks_of,
    one_tenant,
    play,
    racks_of,
)

HOUR_MS = T0_MS // 3_600_000 * 3_600_000
"""Blocks of every length begin here."""


def closed(
    site: Site, powers_kw: Sequence[tuple[float | None, ...]], *, begin_s: int = 0
) -> list[DemandBlock]:
    """Return the blocks that close while racks say something each second, from `begin_s` after the hour."""
    tape, begin_ms = Tape(), HOUR_MS + begin_s * 1_000
    tape.put(begin_ms - 1_000, known_racks_of(site))
    tape.connect(begin_ms - 1_000)
    for number, powers in enumerate(powers_kw):
        tape.second((begin_ms - T0_MS) // 1_000 + number, *powers)
    steps = play(a_judging(site), tape.entries, until_ms=begin_ms + len(powers_kw) * 1_000)
    return [b for step in steps for b in step.blocks if b.is_settled]


def spans(blocks: list[DemandBlock]) -> list[tuple[float, float, int, float]]:
    """Return from, to [s after the hour], verdict and mean [kW] of each block."""
    return [
        ((b.from_ms - HOUR_MS) / 1_000, (b.to_ms - HOUR_MS) / 1_000, b.verdict, round(b.demand_kw, 3))
        for b in blocks
    ]


def amended(*versions: Version, ends_ms: int | None = None) -> Site:
    """Return a site of one tenant with the versions of a contract."""
    return a_site(racks_of("r0"), a_tenant("acme", ["r0"], *versions, ends_ms=ends_ms))


def test_an_amendment_that_changes_the_length_of_blocks_leaves_no_minute_unjudged() -> None:
    """From quarter-hours to five minutes at 12:13: [12:00, 12:13) is a block, and [12:13, 12:15) the next."""
    site = amended(
        a_version(50, limit=block(900_000)),
        a_version(50, from_ms=HOUR_MS + 780_000, limit=block(300_000)),
    )

    found = spans(closed(site, [(60.0,)] * 780 + [(40.0,)] * 430))

    assert found == [(0, 780, 1, 60.0), (780, 900, 0, 40.0), (900, 1200, 0, 40.0)]


def test_an_amendment_of_the_power_alone_cuts_no_block() -> None:
    """What may be drawn over the block is the integral of both limits."""
    site = amended(
        a_version(50, limit=block(300_000)),
        a_version(70, from_ms=HOUR_MS + 150_000, limit=block(300_000)),
    )

    (whole,) = closed(site, [(60.0,)] * 310)

    assert (whole.verdict, whole.limit_kw, whole.demand_kw) == (0, 60.0, 60.0)
    assert whole.version_from_ms == HOUR_MS + 150_000


def test_a_clause_that_ends_between_two_ticks_is_judged_to_its_end() -> None:
    """12:03:31.100 is no tick: the block ends there all the same, exactly."""
    ends_ms = HOUR_MS + 211_100
    site = amended(a_version(50, limit=block(300_000)), ends_ms=ends_ms)

    last = closed(site, [(60.0,)] * 230)[-1]

    assert (last.from_ms, last.to_ms, last.verdict) == (HOUR_MS, ends_ms, 1)
    assert last.low_milliwatt_ms == last.high_milliwatt_ms == 60 * KW * 211_100


def test_the_time_before_the_first_reading_counts_as_unknown_not_as_nothing() -> None:
    """Heard from the third second on: the estimate is what was drawn then, and the bounds say the rest."""
    site = one_tenant(200, limit=block(60_000))

    (found,) = closed(site, [(None,) * 3] * 3 + [(50.0,) * 3] * 60)[:1]

    assert found.demand_kw == pytest.approx(150.0)
    assert found.mean_kw(found.low_milliwatt_ms) < 150.0 < found.mean_kw(found.high_milliwatt_ms or 0)


def test_what_was_not_seen_of_a_block_is_not_bounded_by_racks_held_later() -> None:
    """Three racks until 12:01, one from then on, heard from 12:02 on: before, it may have been anything."""
    racks = racks_of("r0", "r1", "r2", rating_kw=20)
    early = Holding(racks=tuple(AssetId(r) for r in racks), from_ms=0, to_ms=HOUR_MS + 60_000)
    late = Holding(racks=(AssetId("r0"),), from_ms=HOUR_MS + 60_000)
    contract = Contract((a_version(20, limit=block(300_000)),))
    site = a_site(racks, Tenant(id=TenantId("acme"), name="acme", holdings=(early, late), contract=contract))

    first = closed(site, [(10.0, 10.0, 10.0)] * 190, begin_s=120)[0]

    assert (first.from_ms, first.verdict) == (HOUR_MS, 2)


def last_view(powers_kw: list[float]) -> View:
    """Return what rules see after the racks said something each second, in blocks of a minute at 110 kW."""
    site = one_tenant(110, racks=1, limit=block(60_000))
    tape = Tape()
    tape.put(HOUR_MS - 1_000, known_racks_of(site))
    tape.connect(HOUR_MS - 1_000)
    for number, power in enumerate(powers_kw):
        tape.second((HOUR_MS - T0_MS) // 1_000 + number, power)
    judging = a_judging(site)
    play(judging, tape.entries, until_ms=HOUR_MS + (len(powers_kw) - 1) * 1_000)
    assert judging.live.view is not None
    return judging.live.view


@pytest.mark.parametrize("phase", range(10))
def test_a_forecast_does_not_follow_a_swing(phase: int) -> None:
    """Five seconds of 99, five of 53 kW, 76 in the mean: whenever it is looked at, the block will be kept."""
    swing = [99.0] * 5 + [53.0] * 5

    view = last_view((swing * 6)[: 35 + phase])

    assert view.demand.forecast_kw[0] == pytest.approx(76.0, abs=4)
    assert view.demand.forecast_verdict[0] == 0


def test_a_block_says_how_it_was_judged() -> None:
    """A block row says by which method and version it was judged."""
    site = one_tenant(200, limit=block(60_000))

    found = closed(site, [(50.0,) * 3] * 70)[-1]

    assert (found.method, found.version_from_ms, found.coverage) == (Method.BLOCK, 0, 1.0)
