"""Means of tenants' draws: the same in whatever portions ticks are taken in."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import pytest

from facility.instants import MINUTE_MS, SECOND_MS
from store.means import draws as draw_means
from store.means.draws import DrawMeans, Row
from store.series import DrawMean, TenantDraw

T0_MS: Final = 1_780_000_000_000 // (15 * MINUTE_MS) * (15 * MINUTE_MS)
SECONDS: Final = 1_000
"""More than a quarter-hour, which is a step as well."""
TENANTS: Final = 5
LATER_S: Final = 500
"""When the last tenant comes."""


def draw_of(tenant: str, best: int | None) -> TenantDraw:
    """Return a draw that is known to a share; no limit where there is no estimate."""
    return TenantDraw(
        tenant=tenant,
        low_milliwatts=(best or 0) // 2,
        best_milliwatts=best,
        high_milliwatts=best and best * 2,
        limit_milliwatts=best and 3 * 10**9,
        coverage=0.25,
        demand_kw=None,
        forecast_kw=None,
        block_limit_kw=None,
    )


def some_draws() -> list[Row]:
    """Return the draws of tenants each second: a tenth of them is not known, and some seconds are missing."""
    source = Random(3)  # noqa: S311 - the same draws each time

    def best() -> int | None:
        return None if source.random() < 0.1 else source.randrange(1, 10**9)

    return [
        (
            second + 1,
            T0_MS + second * SECOND_MS,
            [draw_of(f"tenant-{i}", best()) for i in range(TENANTS - (second < LATER_S))],
        )
        for second in range(SECONDS)
        if source.random() < 0.95
    ]


def heard(path: Path, rows: list[Row]) -> list[DrawMean]:
    """Return the means that are told as ticks come one by one, in an order of their own."""
    means = DrawMeans(path)
    told = [mean for row in rows for mean in means.hear([row])]
    return sorted(told, key=key)


def key(mean: DrawMean) -> tuple[int, int, str, float, float]:
    """Return what a mean is of, how much of it is known and the most: no sum, so equal to the last bit."""
    return mean.start_ms, mean.step_ms, mean.tenant, mean.known, mean.most_mw


def test_a_mean_is_that_of_what_stood(tmp_path: Path) -> None:
    """Each figure in its unit; a figure that is not known has none."""
    steady: list[Row] = [
        (second + 1, T0_MS + second * SECOND_MS, [draw_of("acme", 10**9), draw_of("dark", None)])
        for second in range(62)
    ]

    told = heard(tmp_path / "means", steady)

    assert [(mean.tenant, mean.start_ms, mean.known) for mean in told] == [("acme", T0_MS, 1.0)]
    assert told[0].figures == {
        "low": 0.5,
        "best": 1.0,
        "high": 2.0,
        "limit": 3.0,
        "headroom": 1.0,
        "coverage": 0.25,
    }


def test_portions_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute of a large site is taken in some ticks at a time, and one of a small site at once."""
    rows = some_draws()
    at_once = heard(tmp_path / "once", rows)

    monkeypatch.setattr(draw_means, "MOST_FIGURES", 3 * TENANTS * len(draw_means.AVERAGED))
    in_portions = heard(tmp_path / "portions", rows)

    assert [key(mean) for mean in in_portions] == [key(mean) for mean in at_once]
    for one, other in zip(in_portions, at_once, strict=True):
        assert one.figures == pytest.approx(other.figures, rel=1e-12)
    assert {mean.tenant for mean in at_once} == {f"tenant-{i}" for i in range(TENANTS)}
    assert {mean.step_ms for mean in at_once} == {MINUTE_MS, 15 * MINUTE_MS}
