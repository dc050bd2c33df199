"""The real monitor goes through an alarm's life as the table says: engine, teller, ledger, restarts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from rules.alarms.life import Event
from tests.properties.rules.lifestage import Stage

ELSEWHERE: Final = (
    Event.GONE,
    Event.CLOCK_SET,
    Event.REPEAT,
    Event.RESTART,
    Event.REMOVE,
    Event.RESTORE,
)
"""What tests of their own are about: no tenant is out of service, for it is no asset."""
EVENTS: Final = tuple(event for event in Event if event not in ELSEWHERE)
"""What one event brings about here."""
OFTEN: Final = (Event.BREACH, Event.ON_DELAY_OVER, Event.CLEAR, Event.OFF_DELAY_OVER)
TENANTS: Final = 3


class Life(RuleBasedStateMachine):
    """Whatever happens in whatever order, told and listed is what the table says."""

    @initialize(latches=st.booleans())
    def begin(self, latches: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        """Start a monitor."""
        self._folder = tempfile.TemporaryDirectory()
        self._stage = Stage(Path(self._folder.name), tenants=TENANTS, latches=latches)

    @rule(data=st.data())
    def second(self, data: st.DataObject) -> None:
        """Let a second pass, in which an event may come of each tenant."""
        events: list[Event | None] = []
        for tenant in self._stage.tenants:
            can = [event for event in (*EVENTS, *OFTEN, *OFTEN) if tenant.can(event)]
            events.append(data.draw(st.sampled_from([None, *can]), label=tenant.name))
        self._stage.hear(events)

    @rule()
    def snapshot(self) -> None:
        """Save what the engine knows."""
        self._stage.snapshot()

    @rule()
    def restart(self) -> None:
        """Kill the monitor and start it again: it goes back to its snapshot."""
        self._stage.restart()

    def teardown(self) -> None:
        """Close what is open."""
        if hasattr(self, "_stage"):
            self._stage.close()
            self._folder.cleanup()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=20, stateful_step_count=40)
TestLife = pytest.mark.soak(TestLife)  # some minutes
