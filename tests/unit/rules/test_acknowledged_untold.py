"""An alarm that somebody takes in hand while another hides it: told at most once, and never again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from facility.hours import Hours
from rules.notify.routing import Route
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.rules.halls import ONLY_C2, Tape, a_judging, known_racks_of, one_tenant
from testing.rules.services import judge_as_it_comes

SITE: Final = one_tenant(200)
RULES: Final[dict[str, Any]] = {**ONLY_C2, "C1": {"on_delay_s": 20, "off_delay_s": 10}}
ROUTES: Final = (
    Route(name="first", repeat_ms=30_000, hears_acknowledgements=True),
    Route(name="second", unacknowledged_ms=20_000),
)
BY_DAY: Final = (
    Route(name="day", hours=(Hours.read("18:00-20:27"), Hours.read("20:29-23:00")), repeat_ms=30_000),
)
"""Closed from 20 s after the beginning on, for two minutes: C1 still stands when they are over."""
OVER_KW, NEAR_KW, WELL_KW = 70.0, 65.5, 30.0


@pytest.mark.parametrize(
    ("routes", "then_kw", "told"),
    [
        (ROUTES, WELL_KW, []),
        (ROUTES, NEAR_KW, [("opened", "first"), ("acknowledged", "first"), ("returned", "first")]),
        (BY_DAY, NEAR_KW, []),
    ],
    ids=["hidden to its end", "told late", "while no route is open"],
)
def test_a_hidden_one_is_taken_in_hand(
    routes: Sequence[Route], then_kw: float, told: list[tuple[str, str]], tmp_path: Path
) -> None:
    """C1 under C2: over with it, or told once it is over, and then neither repeated nor escalated."""
    tape = Tape()
    tape.put(T0_MS - 1_000, known_racks_of(SITE))
    tape.connect(T0_MS - 1_000)
    with closing(Ledger(tmp_path)) as ledger:

        def play(seconds: range, each_kw: float) -> None:
            for second in seconds:
                tape.second(second, each_kw, each_kw, each_kw)
            service = judge_as_it_comes(
                a_judging(SITE, rules=RULES), tape, ledger, tmp_path, site=SITE, routes=routes
            )
            assert (service.lag.error, service.lag.store_error) == ("", "")

        play(range(40), OVER_KW)
        (hidden,) = (alarm for alarm in ledger.alarms() if alarm.rule == "C1")
        assert hidden.state == "active, suppressed"
        taken = ledger.acknowledge(hidden, by="ann", at_ms=T0_MS)
        assert (taken.state, taken.is_told) == ("active, acknowledged", False)
        play(range(40, 180), then_kw)
        play(range(180, 220), WELL_KW)

        (after,) = (alarm for alarm in ledger.alarms() if alarm.rule == "C1")
        notices = sorted(ledger.notices(), key=lambda notice: notice.source_ms)

    assert (after.state, after.acknowledged_by) == ("normal", "ann")
    assert [(str(n.body["change"]), n.route) for n in notices if n.body["rule"] == "C1"] == told
