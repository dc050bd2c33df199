"""A value that is not to be trusted takes certainty away, and nobody's last good value."""

from __future__ import annotations

import pytest

from facility.readings import Quality
from testing.builders import T0_MS
from testing.rules.halls import (
    KW,
    Tape,
    an_engine,
    at_once,
    known_racks_of,
    one_tenant,
    play,
)
from tests.unit.rules.knowing import LATENESS_MS, is_certain, is_fresh, on_change, periodic, says


def test_a_refused_value_counts_at_every_tick_that_could_have_used_it() -> None:
    """Nobody knows what it was of: at the tick that waited for it, the last value is not the power."""
    site = one_tenant(1_000, racks=1)
    engine, tape = an_engine(site, lateness_ms=LATENESS_MS), Tape()
    tape.put(T0_MS - 1_000, known_racks_of(site))
    tape.connect(T0_MS - 1_000)
    tape.second(0, 50)
    came_ms = T0_MS + 1_000 + LATENESS_MS - 10
    refused = at_once([float("nan")], came_ms, quality=Quality.REFUSED)
    tape.put(came_ms, refused)

    play(engine, tape.entries, until_ms=T0_MS + 1_000 + LATENESS_MS)

    assert engine.tick_ms == T0_MS + 1_000
    assert engine.draw is not None
    assert (engine.draw.low[0], engine.draw.high[0]) == (0, 100 * KW)


def test_a_value_that_came_before_a_refused_one_takes_no_doubt_away() -> None:
    """What was refused was newer, whatever the source time of the good value."""
    knowledge = periodic()
    says(knowledge, range(5), 50)
    refused = at_once([float("nan")], T0_MS + 5_100, quality=Quality.REFUSED)
    earlier = at_once([51], T0_MS + 5_000, received_ms=T0_MS + 5_050)
    later = at_once([52], T0_MS + 5_050, received_ms=T0_MS + 5_150)

    knowledge.heard.hear(refused)
    knowledge.heard.hear(earlier)
    assert not is_certain(knowledge, 5.2)
    knowledge.heard.hear(later)
    assert is_certain(knowledge, 5.2)


@pytest.mark.parametrize(
    ("quality", "said_kw", "best_kw"),
    [
        pytest.param(Quality.SOURCE_DOUBTS, 95, 50, id="doubted by its source"),
        pytest.param(Quality.IMPLAUSIBLE, 300, 50, id="more than is credible"),
        pytest.param(Quality.NO_VALUE, float("nan"), 50, id="no value"),
        pytest.param(Quality.GOOD, 95, 95, id="good"),
    ],
)
def test_the_best_estimate_is_the_last_value_to_be_trusted(
    quality: Quality, said_kw: float, best_kw: float
) -> None:
    """A value that is not to be trusted takes the last one's certainty away, and not its place."""
    knowledge = periodic()
    says(knowledge, [0], 50)
    says(knowledge, [1], said_kw, quality=quality)

    known = knowledge.at(T0_MS + 1_500)

    assert known.power[0] == best_kw * KW
    assert bool(known.is_certain[0]) is (quality is Quality.GOOD)
    assert bool(known.beyond_rating[0]) is (quality is Quality.IMPLAUSIBLE)


def test_a_rating_that_was_disproved_is_doubted_until_a_value_fits_it() -> None:
    """No value, or a doubtful one, after one beyond the rating gives the rating no credit back."""
    knowledge = periodic()
    says(knowledge, [0], 300, quality=Quality.IMPLAUSIBLE)
    says(knowledge, [1], float("nan"), quality=Quality.NO_VALUE)

    assert knowledge.at(T0_MS + 1_500).beyond_rating[0]
    says(knowledge, [2], 90)
    assert not knowledge.at(T0_MS + 2_500).beyond_rating[0]


def test_a_refused_value_that_was_kept_for_us_says_that_its_publisher_lived_then() -> None:
    """Not that it lived when the value arrived: it may have been silent since."""
    knowledge = on_change(2)
    says(knowledge, range(100), 50, 60, 1)
    nan, at_ms = float("nan"), T0_MS + 100_000
    refused = at_once([nan, None, nan], at_ms, received_ms=at_ms + 200_000, quality=Quality.REFUSED)

    knowledge.heard.hear(refused, is_backlog=True)

    assert is_fresh(knowledge, 105, point=1)
    assert not is_fresh(knowledge, 160, point=1)
