"""Every event in every state of the table, in the real monitor: each by a tenant of its own, all at once."""

from __future__ import annotations

from collections import deque
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from rules.alarms.life import Event, State
from tests.properties.rules.lifestage import Stage, Tenant

EVENTS: Final = (
    Event.BREACH,
    Event.CLEAR,
    Event.DEADBAND,
    Event.UNKNOWN,
    Event.ON_DELAY_OVER,
    Event.OFF_DELAY_OVER,
    Event.SEVERITY_UP,
    Event.SEVERITY_DOWN,
    Event.CARRIES,
    Event.CARRIES_UNTOLD,
    Event.HIDDEN,
    Event.CAUSE_OVER,
    Event.SHELVE,
    Event.UNSHELVE,
    Event.ACKNOWLEDGE,
)
"""Suppression by design and out of service hold back what shelving does: unit tests are about each."""


def paths(*, latches: bool) -> list[tuple[Event, ...]]:
    """Return for each state and each event that may come in it a shortest way there, with the event."""
    begin = State(latches=latches)
    ways: dict[State, tuple[Event, ...]] = {begin: ()}
    found = []
    waiting = deque([begin])
    while waiting:
        way = ways[waiting.popleft()]
        for event in EVENTS:
            tenant = after(way, latches=latches)
            if tenant.can(event):
                found.append((*way, event))
                tenant.hear(event)
                if tenant.state not in ways:
                    ways[tenant.state] = (*way, event)
                    waiting.append(tenant.state)
    return found


def after(way: tuple[Event, ...], *, latches: bool) -> Tenant:
    """Return where a tenant is after some events."""
    tenant = Tenant("t", State(latches=latches))
    for event in way:
        tenant.hear(event)
    return tenant


ONE_LIFE: Final = 0
SAVED: Final = 1
BACK_BY_ONE: Final = 2
LIVES: Final = (
    pytest.param(True, ONE_LIFE, id="one life, latching"),
    pytest.param(False, SAVED, id="a restart after each event"),
    pytest.param(
        False,
        BACK_BY_ONE,
        id="a crash after each event",
    ),
)


@pytest.mark.soak  # some minutes
@pytest.mark.parametrize(("latches", "restarts"), LIVES)
def test_every_event_in_every_state(latches: bool, restarts: int, tmp_path: Path) -> None:  # noqa: FBT001
    """What is told, how the list says it and whether it counts as told, after each event of the way."""
    ways = paths(latches=latches)
    with closing(Stage(tmp_path, tenants=len(ways), latches=latches)) as stage:
        for place in range(max(map(len, ways))):
            stage.hear([way[place] if place < len(way) else None for way in ways])
            if restarts == SAVED or (restarts == BACK_BY_ONE and place % 2):
                stage.snapshot()
            if restarts != ONE_LIFE:
                stage.restart()

    assert len({tenant.state for tenant in stage.tenants}) > 20
