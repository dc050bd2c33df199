"""Hours of the week: what may stand there, and when they hold."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from facility.hours import Hours, is_within
from facility.instants import to_ms

MEMPHIS = ZoneInfo("America/Chicago")


HOLD = {
    "Mon-Fri 08:00-18:00": (
        ["2026-11-30 08:00", "2026-12-04 17:59"],
        ["2026-11-30 07:59", "2026-11-30 18:00", "2026-11-29 12:00"],
    ),
    "22:00-06:00": (
        ["2026-11-30 23:00", "2026-11-30 05:59", "2026-11-30 22:00"],
        ["2026-11-30 06:00", "2026-11-30 21:59"],
    ),
    "Fri 22:00-06:00": (
        ["2026-12-04 22:00", "2026-12-05 05:59"],
        ["2026-12-04 05:00", "2026-12-05 22:00"],
    ),
    "Sat,Sun": (["2026-11-28 00:00", "2026-11-29 23:59"], ["2026-11-30 00:00"]),
    "Fri-Mon": (["2026-12-04 12:00", "2026-11-30 12:00"], ["2026-12-01 12:00", "2026-12-03 12:00"]),
    "Sun 18:00-24:00": (["2026-11-29 23:59"], ["2026-11-30 00:00"]),
}
NONE = (
    "", "always", "Mon-", "mon", "Mon-Wed-Fri", "8:00-18:00", "08:00", "08:00-08:00", "08:61-09:00",
    "24:00-06:00", "Mon 25:00-26:00", "Mon08:00-09:00",
)  # fmt: skip


@pytest.mark.parametrize("text", HOLD)
def test_hours_hold_in_the_site_s_zone(text: str) -> None:
    """Also over midnight and over the end of the week."""
    within, outside = HOLD[text]
    hours = [Hours.read(text)]

    def holds(local: str) -> bool:
        return is_within(hours, to_ms(datetime.fromisoformat(local).replace(tzinfo=MEMPHIS)), MEMPHIS)

    assert all(map(holds, within))
    assert not any(map(holds, outside))


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_hours_is_refused(text: str) -> None:
    """The error says what may stand there, and what stands."""
    with pytest.raises(ValueError, match=r"expected .* found"):
        Hours.read(text)


def test_no_hours_are_always() -> None:
    """A route without hours is told at any time."""
    assert is_within([], 0, MEMPHIS)
