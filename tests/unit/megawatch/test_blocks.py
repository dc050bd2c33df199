"""Demand blocks can be looked at: as known when they closed, and as they were."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from facility.instants import to_iso
from store.ledger.alarms import Progress
from store.ledger.ledger import Ledger
from store.series import DemandBlock
from testing.builders import T0_MS
from testing.megawatch.asking import asking

QUARTER_MS = 900_000
SITE = """
[site]
name = "hall"
[[tenant]]
id = "acme"
holds = [{ racks = "r[1-2]", from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.100
limit = { method = "block", minutes = 15 }
"""


def a_block(number: int, *, low_kw: int, high_kw: int | None, verdict: int, is_settled: bool) -> DemandBlock:
    """Return a quarter-hour of a tenant of 100 kW."""
    energy = 1_000_000 * QUARTER_MS
    return DemandBlock(
        tenant="acme",
        from_ms=T0_MS + number * QUARTER_MS,
        to_ms=T0_MS + (number + 1) * QUARTER_MS,
        method="block",
        version_from_ms=T0_MS,
        low_milliwatt_ms=low_kw * energy,
        best_milliwatt_ms=low_kw * energy,
        high_milliwatt_ms=None if high_kw is None else high_kw * energy,
        allowed_milliwatt_ms=100 * energy,
        coverage=0.5,
        verdict=verdict,
        is_settled=is_settled,
    )


BLOCKS = (
    a_block(0, low_kw=60, high_kw=None, verdict=2, is_settled=False),
    a_block(0, low_kw=104, high_kw=104, verdict=1, is_settled=True),
    a_block(1, low_kw=80, high_kw=80, verdict=0, is_settled=False),
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a site whose ledger has three rows of two blocks."""
    (tmp_path / "site.toml").write_text(SITE)
    with closing(Ledger(tmp_path / "data")) as ledger:
        ledger.save(Progress(seq=1, tick_ms=T0_MS, blocks=BLOCKS))
        ledger.save(Progress(seq=1, tick_ms=T0_MS, blocks=BLOCKS))
    return tmp_path


def test_blocks_are_shown_as_known_and_as_they_were(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Energy and mean, bounds, allowance, verdict; what was saved twice is there once."""
    start = to_iso(T0_MS)
    with asking(capsys) as ask:
        found = ask("blocks", site, "acme", "--from", start, "--json").document
        shown = ask("blocks", site, "acme", "--from", start).out

    assert [(b["judged"], b["verdict"], b["low_kw"], b["high_kw"]) for b in found] == [
        ("live", "cannot be verified", 60.0, None),
        ("settled", "exceeded", 104.0, 104.0),
        ("live", "kept", 80.0, 80.0),
    ]
    assert (found[1]["low_kwh"], found[1]["allowed_kwh"]) == (26.0, 25.0)
    assert "exceeded" in shown
    assert "no bound" in shown


def test_only_blocks_that_end_in_the_span_are_shown(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second quarter-hour alone; and none is said."""
    begin, end = to_iso(T0_MS + QUARTER_MS), to_iso(T0_MS + 2 * QUARTER_MS)
    with asking(capsys) as ask:
        second = ask("blocks", site, "acme", "--from", begin, "--to", end, "--json").document
        none = ask("blocks", site, "acme", "--from", end, "--to", to_iso(T0_MS + 3 * QUARTER_MS))

    assert [b["from"] for b in second] == [begin]
    assert (none.status, none.out) == (0, "no demand block of acme ended in that time\n")


def test_a_tenant_that_is_none_is_said(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the nearest name."""
    with asking(capsys) as ask:
        answer = ask("blocks", site, "acmee")

    assert answer.status == 1
    assert "acmee" in answer.err
    assert "acme" in answer.err
