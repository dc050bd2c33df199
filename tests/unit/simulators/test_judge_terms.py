"""What a contract says: read from a site file by the judge's own reader, and as the monitor's reads it."""

from __future__ import annotations

from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from facility.instants import block_end_ms, block_start_ms
from facility.names import TenantId
from facility.sitefile.reader import read_site
from simulators.truth.terms import Phase, block_borders, month_of, read_agreements
from testing.randomdays.day import TENANTS, random_day

SITE = """
[site]
name = "hall"
timezone = "America/Chicago"
rack_rating_kw = 132

[[tenant]]
id = "acme"
holds = [{ racks = "a{1..4}", from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.4
ramp = [
  { from = 2026-01-01, committed_mw = 0.1 },
  { from = 2026-07-01, committed_mw = 0.4, shape = "linear" },
]
limit = { method = "rolling", minutes = 15, subinterval_minutes = 5, tolerance_percent = 0.5 }
burst_mw = 0.05
burst_minutes_per_month = 90
loss_factor = 1.02
[[tenant.contract]]
from = 2026-08-01T12:00:00+02:00
committed_mw = 0.3
limit = { sustain_s = 2.5 }
ends = 2026-12-31

[[tenant]]
id = "basil"
holds = [{ racks = "b{1..4}", from = 2026-01-01 }]
"""


def test_a_contract_is_read_word_by_word() -> None:
    """Dates begin at midnight in the site's zone, a last day ends when the next begins, powers are exact."""
    zone, agreements = read_agreements(SITE)

    (acme,) = agreements.values()
    first, second = acme.versions
    assert zone == ZoneInfo("America/Chicago")
    assert first.from_ms == 1_767_247_200_000  # 2026-01-01T00:00:00-06:00
    assert (first.committed, first.burst, first.burst_minutes) == (400_000_000, 50_000_000, 90)
    assert (first.method, first.block_ms, first.slide_ms) == ("rolling", 900_000, 300_000)
    assert first.phases[1] == Phase(1_782_882_000_000, 400_000_000, is_linear=True)
    assert (first.tolerance, first.delivery) == (Fraction(5, 1_000), Fraction(102, 100))
    assert (second.from_ms, second.method, second.sustain_ms) == (1_785_578_400_000, "instantaneous", 2_500)
    assert acme.ends_ms == 1_798_783_200_000  # 2027-01-01T00:00:00-06:00


def test_the_limit_of_a_moment_is_exact() -> None:
    """Half way up a straight line it is half, with the burst and the tolerance on top."""
    _, agreements = read_agreements(SITE)
    first = agreements["acme"].versions[0]
    middle = (first.from_ms + 1_782_882_000_000) // 2

    assert first.scheduled(middle) == 250_000_000
    assert first.allowed(middle) == 300_000_000 * Fraction(1_005, 1_000)


def test_a_contract_that_changes_within_a_second_is_refused() -> None:
    """The judge goes second by second, and says so where that is not enough."""
    text = SITE.replace("2026-08-01T12:00:00+02:00", "2026-08-01T12:00:00.250+02:00")

    with pytest.raises(ValueError, match="expected a contract to change on a whole second"):
        read_agreements(text)


@pytest.mark.parametrize("seed", range(20))
def test_both_readings_of_a_contract_give_one_limit(seed: int) -> None:
    """The monitor's limit is the judge's, rounded down to whole milliwatts at most twice."""
    day = random_day(seed)
    site = read_site(day.site_text).site
    _, agreements = read_agreements(day.site_text)

    for tenant in TENANTS:
        contract = next(t.contract for t in site.tenants if t.id == TenantId(tenant))
        assert contract is not None
        for second in range(0, day.seconds, 7):
            at_ms = day.begin_ms + second * 1_000
            terms, version = agreements[tenant].at(at_ms), contract.version_at(at_ms)
            assert (terms is None) == (version is None)
            if terms is not None and version is not None:
                assert 0 <= terms.allowed(at_ms) - version.limit_at(at_ms) < 3


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"])
@pytest.mark.parametrize("minutes", [5, 15, 60, 120])
def test_both_calendars_give_one_set_of_blocks(zone: str, minutes: int) -> None:
    """Borders that are found second by second are those that are reckoned, through a night of change."""
    own, length_ms = ZoneInfo(zone), minutes * 60_000
    random = np.random.default_rng(minutes)
    nights = (1_775_314_800_000, 1_792_890_000_000, 1_774_746_000_000)

    for night_ms in nights:
        begin_ms = night_ms - 4 * 3_600_000
        borders = block_borders(begin_ms, begin_ms + 8 * 3_600_000, length_ms, own)
        for at_ms in (begin_ms + random.integers(3_600, 25_000, 20) * 1_000).tolist():
            start_ms, end_ms = block_start_ms(at_ms, length_ms, own), block_end_ms(at_ms, length_ms, own)
            inside = [border for border in borders if start_ms < border < end_ms]
            assert inside == []
            assert {border for border in (start_ms, end_ms) if begin_ms <= border <= borders[-1]} <= {
                *borders
            }


def test_a_month_ends_by_the_wall_clock() -> None:
    """At half past four in the morning in London it is still the month before in Chicago."""
    assert month_of(1_780_288_200_000, ZoneInfo("Europe/London")) == (2026, 6)
    assert month_of(1_780_288_200_000, ZoneInfo("America/Chicago")) == (2026, 5)
