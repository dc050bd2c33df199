"""How long is waited before a page is tried again."""

from __future__ import annotations

import random

import pytest

from facility.backoff import Backoff
from facility.errors import DeliveryError, Outlook
from rules.notify.base import BACKOFF, SLOW_BACKOFF, labels_of, pause_s

BUSY = DeliveryError("503", Outlook.PASSES)
GONE = DeliveryError("404", Outlook.NEEDS_SOMEBODY)


@pytest.mark.parametrize(
    ("error", "backoff"),
    [
        pytest.param(BUSY, BACKOFF, id="passes"),
        pytest.param(GONE, SLOW_BACKOFF, id="needs somebody"),
    ],
)
def test_pauses_double_and_are_drawn_from_their_upper_half(error: DeliveryError, backoff: Backoff) -> None:
    """Many monitors that lost one receiver do not come back to it all at once."""
    chance = random.Random(7)  # noqa: S311 - jitter

    for attempts in range(1, 40):
        longest = min(backoff.longest_s, backoff.first_s * 2 ** (attempts - 1))
        pauses = {pause_s(attempts, error, chance) for _ in range(50)}
        assert len(pauses) > 40
        assert all(longest / 2 <= pause <= longest for pause in pauses)


@pytest.mark.parametrize(("asked_s", "least_s"), [(30.0, 30.0), (0.0, 0.5), (None, 0.5)])
def test_what_a_receiver_asks_for_is_never_cut_short(asked_s: float | None, least_s: float) -> None:
    """Retry-After is the least pause, whatever the number of attempts says."""
    error = DeliveryError("503", Outlook.PASSES, retry_after_s=asked_s)

    assert pause_s(1, error, random.Random(3)) >= least_s  # noqa: S311 - jitter


def test_people_read_a_host_and_no_password() -> None:
    """What comes after the host of a webhook may be all that protects it; two on one host stay apart."""
    routes = [
        "console",
        "https://hooks.example/services/T0/s3cret",
        "https://hooks.example/b",
        "http://h:81/?k=1",
    ]

    assert list(labels_of(routes).values()) == ["console", "hooks.example", "hooks.example (2)", "h:81"]
