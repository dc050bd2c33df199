"""The plant, second by second: loads ask, power flows, heat goes away, and each acts on the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from facility.instants import SECOND_MS
from simulators.model.cooling import THERMAL_KINDS, THROTTLE_K, TRIP_K, Cooling
from simulators.model.events import Event
from simulators.model.jobs import Job
from simulators.model.load import LOAD_KINDS, Loads
from simulators.model.power import Power
from simulators.model.state import Bools, Flow, Heat, Ints, State
from simulators.model.subjects import check_events, check_jobs
from simulators.model.wiring import Wiring

BOOT_S: Final = 120
"""How long a rack that was dark idles before its job goes on (our choice) [s]."""
THROTTLED: Final = 0.5
"""What a hot rack draws at most, as a share of its rating (our choice)."""
RELEASE_K: Final = 5.0
"""A throttled rack is released, and one that shut off starts again, this far below the throttling point."""


class Plant:
    """A site in operation.

    The same wiring, jobs, events and seed give the same states, however many seconds are asked for at once
    and whatever else is asked in between.

    Args:
        wiring: The plant's graph and ratings, in arrays.
        jobs: What runs on its racks; racks without a job idle.
        seed: What all chance follows from.
        events: What befalls it; more can come with a step.
        start_ms: When the run's second 0 begins [ms since 1970]; a whole second.

    Raises:
        WiringError: Where jobs or events name what is not there or ask what is impossible; with all faults.
    """

    def __init__(
        self,
        wiring: Wiring,
        jobs: Sequence[Job],
        seed: int,
        *,
        events: Sequence[Event] = (),
        start_ms: int = 1_767_225_600_000,
    ) -> None:
        check_jobs(wiring, jobs)
        check_events(wiring, jobs, events)
        self.wiring = wiring
        self.jobs = tuple(jobs)
        self.start_ms = start_ms
        self._loads = Loads(wiring, jobs, seed, start_ms)
        self._power = Power(wiring, seed)
        self._seed = seed
        self._cooling: Cooling | None = None
        self._known = set(events)
        self._waiting = sorted(events, key=lambda event: event.at_s)
        self._next = 0
        count = len(wiring.racks)
        self._idle = np.rint(wiring.rack_rating_milliwatts * wiring.rack_idle_fraction).astype(np.int64)
        self._boots_until = np.zeros(count, np.int64)
        self._throttled: Bools = np.zeros(count, np.bool_)
        self._shut: Bools = np.zeros(count, np.bool_)

    def step(self, second: int, events: Sequence[Event] = (), *, seconds: int = 1) -> State:
        """Let a second pass, or several in which nothing happens.

        Over several, what warms, cools and wears off does so for all of them, with the draw of the last one.
        Chance goes on by one step, and so do breakers, switches and batteries: they must be at rest.

        Args:
            second: Which second of the run: 0 at first, then each after the other; of several the last.
            events: Further events, from now on; those that are known already are not taken twice.
            seconds: How many pass, the last one included [s].

        Returns:
            What is true in that second.

        Raises:
            ValueError: Where the second does not follow the one before.
            WiringError: Where a new event names what is not there.
        """
        next_one = self._next + seconds - 1
        if second != next_one:
            raise ValueError(f"expected second {next_one}, which is next, found {second}")
        self._next = second + 1
        self._take(events)
        wanted, instant = self._begin(second)
        asked = self._allowed(wanted, second)
        flow = self._power.step(second, asked)
        if self._cooling is None:
            self._cooling = Cooling(self.wiring, self._seed, flow.rack_milliwatts)
            for event in self._thermal:
                self._cooling.begin(event, second)
        heat = self._cooling.step(second, flow.rack_milliwatts, seconds)
        throttled = self._throttled | self._shut
        self._react(second, flow, self._cooling)
        sampled = np.where(asked == wanted, instant, asked)
        return self._state(second, wanted, np.where(flow.rack_is_live, sampled, 0), throttled, flow, heat)

    def _take(self, events: Sequence[Event]) -> None:
        new = [event for event in events if event not in self._known]
        if new:
            check_events(self.wiring, self.jobs, new)
            self._known.update(new)
            self._waiting = sorted([*self._waiting, *new], key=lambda event: event.at_s)

    def _begin(self, second: int) -> tuple[Ints, Ints]:
        """Hand out the events that begin, and ask the loads."""
        begun = []
        while self._waiting and self._waiting[0].at_s < second + 1:
            begun.append(self._waiting.pop(0))
        begun = [event for event in begun if second < event.ends_s]
        self._thermal = [event for event in begun if event.kind in THERMAL_KINDS]
        for event in begun:
            if event.kind in THERMAL_KINDS:
                if self._cooling is not None:
                    self._cooling.begin(event, second)
            elif event.kind not in LOAD_KINDS:
                self._power.begin(event, second)
        return self._loads.step(second, [event for event in begun if event.kind in LOAD_KINDS])

    def _allowed(self, wanted: Ints, second: int) -> Ints:
        """Return what racks draw of what they want: less while they start, throttle or are shut off [mW]."""
        asked = np.where(second < self._boots_until, np.minimum(wanted, self._idle), wanted)
        if self._throttled.any() or self._shut.any():
            half = np.rint(self.wiring.rack_rating_milliwatts * THROTTLED).astype(np.int64)
            asked = np.where(self._throttled, np.minimum(asked, half), asked)
            asked = np.where(self._shut, 0, asked)
        return asked

    def _react(self, second: int, flow: Flow, cooling: Cooling) -> None:
        """Let racks throttle, shut off and start again."""
        rise = cooling.rise_above_full_k
        cooled = rise < THROTTLE_K - RELEASE_K
        restarts = self._shut & cooled
        self._shut = (self._shut | (rise >= TRIP_K)) & ~cooled
        self._throttled = (self._throttled | (rise >= THROTTLE_K)) & ~cooled
        starts = restarts | ~flow.rack_is_live
        self._boots_until = np.where(starts, second + 1 + BOOT_S, self._boots_until)

    def _state(
        self, second: int, wanted: Ints, instant: Ints, throttled: Bools, flow: Flow, heat: Heat
    ) -> State:
        return State(
            time_ms=self.start_ms + second * SECOND_MS,
            wanted_milliwatts=wanted,
            rack_instant_milliwatts=instant,
            rack_is_throttled=throttled,
            **vars(flow),
            **vars(heat),
        )
