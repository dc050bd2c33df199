"""`[grid]`: profiles of operators as data, and what a site file sets otherwise."""

from __future__ import annotations

import pytest

from facility.errors import SiteFileError
from facility.grid import FIFTY_HZ, Grid
from facility.site import Site
from facility.sitefile.reader import read_site

HEAD = '[site]\nname = "hall"\nsupply_meters = ["m1"]\n[[asset]]\nid = "m1"\nkind = "Utility"\n'


def site_of(text: str) -> Site:
    """Return the site of a `[grid]` table."""
    return read_site(f"{HEAD}[grid]\n{text}").site


@pytest.mark.parametrize(
    ("text", "grid"),
    [
        ("", Grid()),
        ('profile = "ercot"', Grid(variation_window_s=5, variation_mw=10)),
        (
            'profile = "caiso"',
            Grid(ramp_window_s=600, ramp_up_mw_per_min=20, ramp_down_mw_per_min=20),
        ),
        (
            'profile = "ieso"',
            Grid(ramp_up_mw_per_min=20, ramp_down_mw_per_min=20, variation_window_s=15, variation_mw=5),
        ),
        ("nominal_hz = 50", Grid(nominal_hz=50, least_hz=FIFTY_HZ[0], most_hz=FIFTY_HZ[1])),
        (
            'profile = "ieso"\nramp_up_mw_per_min = 10\nleast_hz = 59',
            Grid(
                least_hz=59,
                ramp_up_mw_per_min=10,
                ramp_down_mw_per_min=20,
                variation_window_s=15,
                variation_mw=5,
            ),
        ),
    ],
)
def test_a_profile_holds_where_nothing_else_is_set(text: str, grid: Grid) -> None:
    """The limits of ERCOT, CAISO and IESO as of autumn 2026."""
    assert site_of(text).grid == grid


def test_a_site_file_without_the_table_has_no_grid() -> None:
    """Then no rule about the grid judges anything."""
    assert read_site(HEAD).site.grid is None


@pytest.mark.parametrize(
    "text",
    [
        'profile = "pjm"',
        "nominal_hz = 55",
        "ramp_window_s = 90",
        "variation_window_s = 60",
        "variation_mw = 0",
    ],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    """Unknown operators, and windows that nothing is kept of."""
    with pytest.raises(SiteFileError, match="grid"):
        site_of(text)


def test_what_cannot_be_proved_is_said_once() -> None:
    """Values of once a second show a breach, and never compliance; without supply meters nothing is shown."""
    found = read_site(f'{HEAD}[grid]\nprofile = "ercot"').warnings
    assert [text.partition(":")[0] for text in found if text.startswith("grid")] == ["grid.variation_mw"]

    found = read_site('[site]\nname = "hall"\n[grid]\nprofile = "caiso"').warnings
    assert [text.partition(",")[0] for text in found] == ["grid: no supply_meters are named under [site]"]
