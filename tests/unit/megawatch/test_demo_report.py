"""The document of a demo: its figures are those of the site that was played, not of its beginning."""

from __future__ import annotations

import numpy as np

from megawatch.demo.report import summary_of

T0_MS = 1_780_315_200_000


def test_the_widest_bounds_are_those_of_a_silence_not_of_the_start() -> None:
    """Before everything was said once nothing is known, which is nobody's silence."""
    figures = {
        "low": np.array([0.0, 0.0, 1.6, 1.2, 1.6]),
        "best": np.array([0.0, 0.0, 1.6, 1.5, 1.6]),
        "high": np.array([2.4, 2.4, 1.6, 1.9, 1.6]),
        "limit": np.full(5, 1.85),
        "coverage": np.array([0.0, np.nan, 1.0, 0.7, 1.0]),
    }

    row = summary_of("orchid", T0_MS + 1_000 * np.arange(5), figures)

    assert row == {
        "id": "orchid",
        "seconds": {"clear": 2, "unknown": 1, "breach": 0},
        "widest": {
            "time": "2026-06-01T12:00:03.000Z",
            "low_kw": 1_200.0,
            "best_kw": 1_500.0,
            "high_kw": 1_900.0,
            "limit_kw": 1_850.0,
        },
    }


def test_a_tenant_that_is_never_covered_counts_from_the_first_tick() -> None:
    """A rack that never speaks hides none of what was not known."""
    figures = {
        "low": np.array([0.0, 1.0]),
        "best": np.array([0.0, 1.0]),
        "high": np.array([2.4, 2.0]),
        "limit": np.full(2, 1.85),
        "coverage": np.array([0.0, 0.9]),
    }

    row = summary_of("orchid", T0_MS + 1_000 * np.arange(2), figures)

    assert row["seconds"] == {"clear": 0, "unknown": 2, "breach": 0}
    assert row["widest"]["high_kw"] == 2_400.0


def test_a_demo_without_ticks_has_no_bounds() -> None:
    """One that was interrupted at once still makes its document."""
    none = np.array([], dtype=np.float64)
    figures = dict.fromkeys(("low", "best", "high", "limit", "coverage"), none)

    row = summary_of("orchid", np.array([], dtype=np.int64), figures)

    assert row == {"id": "orchid", "seconds": {"clear": 0, "unknown": 0, "breach": 0}}
