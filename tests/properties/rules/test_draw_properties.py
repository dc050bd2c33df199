"""Whatever is silent, and however a site is wired: the bounds of a draw hold the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.draw.draw import Draw, find_draw
from rules.telemetry.trust import PATIENCE_MS, Memory
from rules.view import UNBOUNDED
from testing.builders import T0_MS
from testing.rules.halls import layout_of, state_of
from tests.properties.rules.wiring import HALLS, PPM, RATING, TENANTS, Hall, HallDraft, RowDraft, Wiring


def find(hall: Hall, silent: set[int], said_last: Sequence[int]) -> Draw:
    """Return the draw of every tenant, with some points silent since they said something else."""
    count = max(1, len(hall.known))
    power = np.zeros(count, np.int64)
    power[: len(hall.known)] = hall.power
    is_certain = np.ones(count, np.bool_)
    for number in silent:
        is_certain[number] = False
        if number not in hall.beyond:
            power[number] = min(said_last[number % len(said_last)], power[number])
    is_certain[list(hall.beyond)] = False
    memory, layout = Memory(), layout_of(hall.site, hall.known)
    draws = []
    for at_ms in (T0_MS, T0_MS + PATIENCE_MS):
        state = state_of(power, is_certain, beyond=hall.beyond, as_of_ms=at_ms)
        draws.append(find_draw(layout, state, memory, at_ms)[0])
    return draws[-1]


@settings(max_examples=400)
@given(HALLS, st.sets(st.integers(0, 40)), st.lists(st.integers(0, RATING), min_size=3, max_size=3))
def test_the_bounds_hold_the_truth(draft: HallDraft, silent: set[int], said_last: list[int]) -> None:
    """With exact fresh readings and parents within their tolerance, the truth is never outside."""
    hall = Wiring(draft).hall()

    draw = find(hall, {number for number in silent if number < len(hall.known)}, said_last)

    for place, tenant in enumerate(TENANTS):
        truth = hall.truth[tenant] * hall.loss_ppm[tenant]
        low, best, high = (int(bound[place]) for bound in draw.delivered())
        assert low * PPM <= truth, f"{tenant}: low {low}, truth {truth / PPM}"
        assert high == UNBOUNDED or truth <= high * PPM, f"{tenant}: high {high}, truth {truth / PPM}"
        assert low <= best
        assert high == UNBOUNDED or best <= high
        assert draw.is_consistent[place]


@settings(max_examples=100)
@given(HALLS)
def test_the_bounds_meet_where_all_is_heard(draft: HallDraft) -> None:
    """A tenant of which every point of the boundary is heard has one draw, exactly the truth."""
    hall = Wiring(draft).hall()

    draw = find(hall, set(), [0])

    for place, tenant in enumerate(TENANTS):
        if draw.coverage[place] == 1.0 and hall.loss_ppm[tenant] == PPM:
            truth = hall.truth[tenant]
            assert (draw.low[place], draw.best[place], draw.high[place]) == (truth, truth, truth)


@settings(max_examples=100)
@given(HALLS, st.sets(st.integers(0, 40)), st.integers(0, 40))
def test_silence_never_narrows_what_the_boundary_alone_tells(
    draft: HallDraft, silent: set[int], another: int
) -> None:
    """Without parents in play, one more silent point makes the interval no smaller and coverage no larger."""
    hall = Wiring(replace(draft, main_metered=False, rows=tuple(_plain(row) for row in draft.rows))).hall()
    before = {number for number in silent if number < len(hall.known)}
    after = before | ({another} & set(range(len(hall.known))))

    wide, narrow = find(hall, after, [RATING]), find(hall, before, [RATING])

    assert (wide.low <= narrow.low).all()
    assert (wide.high >= narrow.high).all()
    assert (wide.coverage <= narrow.coverage).all()


@settings(max_examples=100)
@given(HALLS)
def test_total_silence_is_no_zero(draft: HallDraft) -> None:
    """A tenant that holds racks and is not heard at all may draw something, and nothing covers it."""
    hall = Wiring(draft).hall()

    draw = find(hall, set(range(len(hall.known))), [0])

    for place in range(len(TENANTS)):
        if any(rack.tenant == place for rack in draft.racks):
            assert draw.coverage[place] == 0
            assert draw.high[place] > draw.low[place]


def _plain(row: RowDraft) -> RowDraft:
    return replace(row, bus_metered=(False, False))
