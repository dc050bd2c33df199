"""Asking for a series: durations, moments, and means that do not hide a gap."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest

from megawatch.cli.query import means, moment_ms, quality_word, span_ms
from megawatch.cli.usage import WrongUsage
from store.base import Series

NAN = float("nan")


def a_series(*values: float) -> Series:
    """Return a series of one value a second, from the time zero."""
    count = len(values)
    time_ms = np.arange(count, dtype=np.int64) * 1_000
    return Series("acme best", "MW", time_ms, np.array(values), np.zeros(count, np.int64))


MEANS = {
    "whole steps": ((1, 2, 3, 4), 2_000, [0, 2_000], [1.5, 3.5]),
    "a step that is not over": ((1, 2, 3), 2_000, [0, 2_000], [1.5, 3.0]),
    "a gap": ((1, NAN, 3, 4), 2_000, [0, 2_000], [NAN, 3.5]),
    "one step": ((1, 2, 6), 60_000, [0], [3.0]),
    "nothing": ((), 1_000, [], []),
}


@pytest.mark.parametrize("case", MEANS)
def test_means(case: str) -> None:
    """A step's mean is that of its values; a step of which a part is unknown has none."""
    values, step_ms, starts, expected = MEANS[case]
    found = means(a_series(*values), step_ms)

    assert found.time_ms.tolist() == starts
    np.testing.assert_array_equal(found.value, expected)


def test_a_duration() -> None:
    """Seconds to days, with a fraction; nothing and no unit are refused."""
    assert [span_ms(text) for text in ("90s", "15m", "1.5h", "2d")] == [
        90_000,
        900_000,
        5_400_000,
        172_800_000,
    ]
    for text in ("", "15", "0s", "-1m", "1w", "1 m"):
        with pytest.raises(WrongUsage, match="expected a duration such as 90s"):
            span_ms(text)


def test_a_moment() -> None:
    """A date begins at the zone's midnight; a time without an offset is in the zone."""
    zone = ZoneInfo("America/Chicago")
    assert moment_ms("2026-06-01", zone) == moment_ms("2026-06-01T05:00:00Z", zone)
    assert moment_ms("2026-06-01T00:00", zone) == moment_ms("2026-06-01", zone)
    with pytest.raises(
        WrongUsage, match=r"01:30:00-05:00 or 2026-11-01T01:30:00-06:00, found .* shows twice"
    ):
        moment_ms("2026-11-01T01:30", zone)
    for text in ("yesterday", "2026-13-01", ""):
        with pytest.raises(WrongUsage, match="expected a date or an ISO 8601 time"):
            moment_ms(text, zone)


def test_quality_in_words() -> None:
    """No number of ours is taken for one of the bus, on which 1 is good."""
    assert [quality_word(code) for code in (0, 1, 3)] == ["good", "source doubts", "implausible"]
