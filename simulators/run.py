"""A simulated site in operation: plant, meters, gateways and what goes wrong, second by second.

Pure: no clock, no loop, no network. The same scenario gives the same bytes, however many seconds are taken at
once and however the messages of a second are split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facility.instants import SECOND_MS
from simulators.meters.instruments import Instrument, instruments_of
from simulators.meters.meters import Meters
from simulators.model.plant import Plant
from simulators.model.state import State
from simulators.model.wiring import Wiring, wire
from simulators.scenario.scenario import Scenario
from simulators.wire.bus import Publication, publications
from simulators.wire.catalogue import catalogue
from simulators.wire.documents import DocumentSpeaker, document_catalogue
from simulators.wire.faultchain import chain_of
from simulators.wire.faults import Account
from simulators.wire.points import Equipment
from simulators.wire.rows import Rows
from simulators.wire.speech import MILLIONTH, BusSpeaker, Clocks, Speaker

DOCUMENTS = "rack-documents"
"""The wire of a scenario that speaks in rack documents."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Second:
    """One second of a run.

    Attributes:
        second: Which, from 0.
        time_ms: When it begins, by the time of the scenario [ms].
        state: The plant in one second.
        rows: What is sent in it, in order of time.
        withheld: What faults kept from being sent; bit `i` of `faults` is fault `i` of the scenario.
        topics: Topic of each channel of its rows.
    """

    second: int
    time_ms: int
    state: State
    rows: Rows
    withheld: Rows
    topics: Sequence[str]

    @property
    def messages(self) -> list[Publication]:
        """What is sent, as messages."""
        return publications(self.rows, self.topics)


def wiring_of(scenario: Scenario) -> Wiring:
    """Return the plant of a scenario.

    Raises:
        WiringError: Where it cannot be.
    """
    return wire(scenario.site.site, ratings=scenario.ratings, rack_ratings=scenario.rack_ratings)


class Simulation:
    """A scenario in operation, to be run once.

    Args:
        scenario: What happens, and the site.
        wiring: Its plant, where it was wired before.
        equipment: What of the plant is on the bus; None for what is usual.
        instruments: What instruments are like; None for what the scenario says.

    Attributes:
        scenario: What happens, and the site.
        wiring: Its plant.
        catalogue: Its points.
        topics: Topic of each channel of its messages.

    Raises:
        WiringError: Where the site cannot be simulated.
        ValueError: Where a fault cannot work on it.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        wiring: Wiring | None = None,
        equipment: Equipment | None = None,
        instruments: Mapping[str, Instrument] | None = None,
    ) -> None:
        self.scenario = scenario
        self.wiring = wiring or wiring_of(scenario)
        seed, metering = scenario.seed, scenario.metering
        self._plant = Plant(
            self.wiring, scenario.jobs, seed, events=scenario.events, start_ms=scenario.begin_ms
        )
        is_documents = scenario.wire == DOCUMENTS
        self.catalogue = (
            document_catalogue(self.wiring, samples=metering.samples)
            if is_documents
            else catalogue(self.wiring, equipment, samples=metering.samples)
        )
        instruments = instruments or instruments_of(metering)
        self._meters = Meters(self.catalogue, instruments, seed, metering.instruments)
        self._clocks = clocks = Clocks(self.catalogue, seed, metering)
        self._speaker: Speaker = (
            DocumentSpeaker(self.catalogue, clocks, period_s=metering.period_s)
            if is_documents
            else BusSpeaker(self.catalogue, clocks)
        )
        self._faults = chain_of(scenario.faults, self.catalogue, self._speaker, seed)
        self._held = Rows.none()
        self._next = 0

    def errors(self) -> Iterator[dict[str, str | float]]:
        """Yield how far each instrument and each gateway's clock is off now, those that are."""
        tags, assets, meters = self.catalogue.tags, self.catalogue.assets, self._meters
        for point in np.flatnonzero((meters.gain != 1) | (meters.offset != 0)).tolist():
            yield {
                "id": assets[point],
                "point": tags[point].key,
                "gain": float(meters.gain[point]),
                "offset": float(meters.offset[point]),
            }
        for place, gateway in enumerate(self.catalogue.gateways):
            offset_ms, drift = float(self._clocks.offset_ms[place]), float(self._clocks.drift[place])
            if offset_ms or drift:
                yield {"id": gateway.name, "offset_ms": offset_ms, "drift_ppm": drift / MILLIONTH}

    @property
    def topics(self) -> list[str]:
        """The topic of each channel."""
        return self._speaker.topics

    @property
    def accounts(self) -> list[Account]:
        """What each fault of the scenario did so far."""
        return self._faults.accounts

    @property
    def held(self) -> Rows:
        """Messages that a fault holds back beyond the last second that was run."""
        return self._held

    def seconds(self) -> Iterator[Second]:
        """Run the scenario from where it stands to its end, one second at a time."""
        while self._next < self.scenario.seconds:
            yield self.step()

    def step(self) -> Second:
        """Let the next second pass; the end of the scenario is no hindrance."""
        return self.look(self._next)

    def look(
        self, second: int, *, is_leap: bool = False, watch: Callable[[State], None] | None = None
    ) -> Second:
        """Let time pass up to a second, and look only then, as instruments do that are polled seldom.

        Gateways beat meanwhile as ever.

        Args:
            second: Which; any that is still to come.
            is_leap: Whether the plant goes there in one step; nothing may happen in between (`Plant.step`).
            watch: Is given every state that the plant passes through.
        """
        since, self._next = self._next, second + 1
        state = None
        for each in (second,) if is_leap else range(since, second + 1):
            state = self._plant.step(each, seconds=second + 1 - since if is_leap else 1)
            self._faults.on_plant(each, state, self._meters)
            if watch is not None:
                watch(state)
        if state is None:
            raise ValueError(f"expected a second from {since} on, which is next, found {second}")
        beats, lost = self._beat(since, second)
        readings = self._meters.look(state, second, second + 1 - since)
        self._faults.on_readings(readings)
        said = self._speaker.say(readings, self._meters.choose(readings))
        sent, withheld = self._faults.on_rows(said, readings)
        return Second(
            second=second,
            time_ms=state.time_ms,
            state=state,
            rows=self._release(Rows.joined([*beats, sent]), state.time_ms + SECOND_MS),
            withheld=Rows.joined([*lost, withheld]),
            topics=self.topics,
        )

    def _beat(self, since: int, second: int) -> tuple[list[Rows], list[Rows]]:
        """Let gateways beat in the seconds up to one in which instruments look.

        Returns:
            What is sent, and what faults keep from being sent.
        """
        sent, lost = list[Rows](), list[Rows]()
        for each in range(since, second):
            if self._speaker.beats_in(each):
                readings = self._meters.rest(each, self.scenario.begin_ms + each * SECOND_MS)
                self._faults.on_readings(readings)
                rows, withheld = self._faults.on_rows(self._speaker.beats(readings), readings)
                sent.append(rows)
                lost.append(withheld)
        return sent, lost

    def _release(self, sent: Rows, end_ms: int) -> Rows:
        """Return what is sent before a moment, held messages among it, and hold the rest."""
        if not len(self._held) and (not len(sent) or int(sent.sent_ms[-1]) < end_ms):
            return sent
        waiting = Rows.joined([self._held, sent]).in_order()
        place = int(np.searchsorted(waiting.sent_ms, end_ms))
        self._held = waiting.take(slice(place, None))
        return waiting.take(slice(0, place))
