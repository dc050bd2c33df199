"""The demand of a block has a value at each of its moments, also at its border."""

from __future__ import annotations

import math

from facility.names import TenantId
from rules.draw.demand import Demand
from testing.builders import T0_MS
from testing.rules.halls import block, draw_of, known_racks_of, one_tenant

MINUTE_MS = 60_000
ACME = (TenantId("acme"),)


def test_a_block_that_begins_has_the_draw_of_its_first_moment() -> None:
    """Nothing was seen of it yet: a blank there would blank the means of each quarter-hour's first minute."""
    site = one_tenant(limit=block(5 * MINUTE_MS), racks=2)
    demand, known = Demand(site), known_racks_of(site)
    begin_ms = T0_MS // (5 * MINUTE_MS) * 5 * MINUTE_MS
    draw = draw_of(site, known, (40, 50))
    demand.advance(ACME, draw, begin_ms, begin_ms + 5 * MINUTE_MS)
    later = draw_of(site, known, (40, 20))
    seen = [
        float(demand.view(ACME, later, begin_ms + after_ms).demand_kw[0])
        for after_ms in (4 * MINUTE_MS, 5 * MINUTE_MS)
    ]

    assert seen == [90.0, 60.0]
    assert math.isfinite(sum(seen))
