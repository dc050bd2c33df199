"""Faults of gateways and of the wire: what instruments show is right, and the messages are not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facility.instants import SECOND_MS
from simulators.meters.instrumentfaults import BAD
from simulators.meters.meters import Readings
from simulators.model.state import Bools
from simulators.scenario.scenario import FaultKind, FaultSpec
from simulators.wire.faults import Fault, channels_mask, end_ms
from simulators.wire.points import Catalogue
from simulators.wire.rows import Form, Rows
from simulators.wire.speech import Speaker

REORDERED_SHARE: Final = 0.3
"""Share of the messages that come late where messages are reordered (our choice)."""
ECHO_MS: Final = (1, 50)
"""How much later a duplicate comes, at least and less than [ms]."""
SAME_TIME_MS: Final = 20
"""How much later another value of the same moment comes [ms]."""
_POWER: Final = re.compile(rb'("power_kw":)(-?[0-9.e+-]+)')
RENAMED: Final = "-renamed"
"""What is added to a topic that is renamed."""


class OfWire(Fault):
    """A fault that changes messages of its scope.

    Attributes:
        says: Whether heartbeats of gateways in the scope are touched.
        describes: Whether metadata are.
        values: Whether values are.
        needs_metadata: Whether there must be any, as rack documents have none.

    Raises:
        ValueError: Where there are none and it needs some.
    """

    values = True
    says = True
    describes = False
    needs_metadata = False

    def __init__(
        self, place: int, spec: FaultSpec, catalogue: Catalogue, speaker: Speaker, seed: int
    ) -> None:
        super().__init__(place, spec, catalogue, speaker, seed)
        if self.needs_metadata and not len(speaker.metadata_channels(self.points)):
            raise ValueError(f"{spec.kind}: expected a DSX bus, found rack documents")

    def touched(self, rows: Rows) -> Bools:
        """Return which messages are in its scope."""
        speaker = self.speaker
        none = self.points[:0]
        mask = channels_mask(
            len(speaker.topics),
            speaker.value_channels(self.points) if self.values else none,
            speaker.heartbeat_channels(self.gateways) if self.says else none,
            speaker.metadata_channels(self.points) if self.describes else none,
            self._heartbeat_metadata() if self.describes and self.says else none,
        )
        found: Bools = mask[rows.channel]
        return found

    def _heartbeat_metadata(self) -> NDArray[np.int64]:
        return self.speaker.metadata_channels(self.speaker.heartbeat_channels(self.gateways))

    def on_rows(self, rows: Rows, readings: Readings) -> tuple[Rows, Rows]:
        """Change messages."""
        if not self.is_on(readings.second):
            return rows, Rows.none()
        which = self.touched(rows)
        if which.any():
            self.account.note(readings.time_ms)
        return self.change(rows, which, readings)

    def change(self, rows: Rows, which: Bools, readings: Readings) -> tuple[Rows, Rows]:
        """Change messages.

        Returns:
            What is sent, and what is not.
        """
        raise NotImplementedError

    def added(self, rows: Rows, more: Rows) -> Rows:
        """Return messages with more of them, which bear its mark."""
        self.account.added += len(more)
        return Rows.joined([rows, more]).in_order()

    def place(self) -> int:
        """Return its bit."""
        return self.account.place


class Silent(OfWire):
    """Nothing of the scope is published: values, heartbeats, metadata."""

    describes = True

    def change(self, rows: Rows, which: Bools, readings: Readings) -> tuple[Rows, Rows]:  # noqa: ARG002
        """Change messages."""
        return rows.take(~which), rows.take(which).marked(self.place())


class Mute(Silent):
    """Values are not published; heartbeats and metadata are."""

    describes = says = False


class Unborn(Silent):
    """Metadata are not published; values are."""

    describes = needs_metadata = True
    values = says = False


class Drop(OfWire):
    """A share of the messages is lost."""

    def change(self, rows: Rows, which: Bools, readings: Readings) -> tuple[Rows, Rows]:
        """Change messages."""
        lost = which & (self.random(readings.second).random(len(rows)) < self.spec.strength)
        return rows.take(~lost), rows.take(lost).marked(self.place())


class Duplicate(OfWire):
    """A share of the messages comes twice, byte for byte."""

    def change(self, rows: Rows, which: Bools, readings: Readings) -> tuple[Rows, Rows]:
        """Change messages."""
        random = self.random(readings.second)
        twice = which & (random.random(len(rows)) < self.spec.strength)
        echo = rows.take(twice).marked(self.place())
        late = random.integers(*ECHO_MS, len(echo))
        return self.added(rows, echo.changed(sent_ms=echo.sent_ms + late)), Rows.none()


class Reorder(OfWire):
    """A share of the messages comes late, each by its own time, so that later ones overtake them."""

    def change(self, rows: Rows, which: Bools, readings: Readings) -> tuple[Rows, Rows]:
        """Change messages."""
        random = self.random(readings.second)
        late = which & (random.random(len(rows)) < REORDERED_SHARE)
        delay = np.ceil(random.random(len(rows)) * self.spec.strength * SECOND_MS).astype(np.int64)
        faults = np.where(late, rows.faults | self.bit, rows.faults)
        return rows.changed(sent_ms=rows.sent_ms + late * delay, faults=faults).in_order(), Rows.none()


class LateBatch(OfWire):
    """Everything is held back, and comes at once when the window ends, in its order."""

    def change(self, rows: Rows, which: Bools, readings: Readings) -> tuple[Rows, Rows]:
        """Change messages."""
        sent = np.where(which, end_ms(readings, self.spec), rows.sent_ms)
        faults = np.where(which, rows.faults | self.bit, rows.faults)
        return rows.changed(sent_ms=sent, faults=faults).in_order(), Rows.none()


class Late(OfWire):
    """Everything comes late, by as much each time; what it says of its time is right."""

    def change(self, rows: Rows, which: Bools, readings: Readings) -> tuple[Rows, Rows]:  # noqa: ARG002
        """Change messages."""
        late = np.int64(round(self.spec.strength * SECOND_MS))
        faults = np.where(which, rows.faults | self.bit, rows.faults)
        return rows.changed(sent_ms=rows.sent_ms + which * late, faults=faults).in_order(), Rows.none()


class SameTime(OfWire):
    """Every value comes again within its second, multiplied, and with the same time stamp."""

    says = False

    def change(self, rows: Rows, which: Bools, readings: Readings) -> tuple[Rows, Rows]:  # noqa: ARG002
        """Change messages."""
        echo = rows.take(which).marked(self.place())
        payload = echo.payload.copy()
        for place in np.flatnonzero(payload != None).tolist():  # noqa: E711 - of each element
            payload[place] = _POWER.sub(self._other, payload[place])
        echo = echo.changed(
            sent_ms=echo.sent_ms + SAME_TIME_MS, value=echo.value * self.spec.strength, payload=payload
        )
        return self.added(rows, echo), Rows.none()

    def _other(self, found: re.Match[bytes]) -> bytes:
        return found[1] + repr(float(found[2]) * self.spec.strength).encode()


class TopicRename(OfWire):
    """Values come on topics that no metadata describe."""

    says = False
    suffix = RENAMED

    def __init__(
        self, place: int, spec: FaultSpec, catalogue: Catalogue, speaker: Speaker, seed: int
    ) -> None:
        super().__init__(place, spec, catalogue, speaker, seed)
        channels = speaker.value_channels(self.points)
        self.new = np.arange(len(speaker.topics))
        self.new[channels] = len(speaker.topics) + np.arange(len(channels))
        speaker.topics += [speaker.topics[channel] + self.suffix for channel in channels.tolist()]

    def change(self, rows: Rows, which: Bools, readings: Readings) -> tuple[Rows, Rows]:  # noqa: ARG002
        """Change messages."""
        channel = rows.channel.copy()
        channel[which] = self.new[rows.channel[which]]
        faults = np.where(which, rows.faults | self.bit, rows.faults)
        return rows.changed(channel=channel, faults=faults), Rows.none()


class LifeWithoutData(Silent):
    """A publisher is born, and its last will comes, and between the two it says nothing.

    Metadata and one heartbeat at the start; at the end a heartbeat without a value and of bad quality, which
    is what a broker would publish as the last will of a client whose heartbeat it is (our choice: the
    contract of the bus knows no last will).
    """

    describes = False
    needs_metadata = True

    def on_rows(self, rows: Rows, readings: Readings) -> tuple[Rows, Rows]:
        """Change messages."""
        spec, second = self.spec, readings.second
        beats = self.speaker.heartbeat_channels(self.gateways)
        if second == spec.to_s:
            will = self._beats(beats, readings).changed(
                form=np.full(len(beats), Form.NULL, np.uint8), quality=np.full(len(beats), BAD, np.int16)
            )
            return self.added(rows, will), Rows.none()
        sent, lost = super().on_rows(rows, readings)
        if second == spec.from_s:
            described = self.speaker.metadata_channels(self.points)
            births = self.speaker.births(described, readings.time_ms).marked(self.place())
            sent = self.added(sent, Rows.joined([births, self._beats(beats, readings)]))
        return sent, lost

    def _beats(self, channels: NDArray[np.int64], readings: Readings) -> Rows:
        at_ms = np.full(len(channels), readings.time_ms, np.int64)
        form = np.full(len(channels), Form.WHOLE, np.uint8)
        return Rows.of_values(
            channels.astype(np.int32), at_ms, at_ms, at_ms.astype(np.float64), form=form
        ).marked(self.place())


class RetainedStale(OfWire):
    """Old values come again when the window begins, with the retained flag and their old time stamps."""

    says = False
    needs_metadata = True

    def on_rows(self, rows: Rows, readings: Readings) -> tuple[Rows, Rows]:
        """Change messages."""
        if readings.second != self.spec.from_s:
            return rows, Rows.none()
        channels = self.speaker.value_channels(self.points)
        count = len(channels)
        sent = np.full(count, readings.time_ms, np.int64)
        old = Rows.of_values(
            channels.astype(np.int32),
            sent,
            sent - round(self.spec.strength * SECOND_MS),
            readings.value[self.points],
            form=readings.form[self.points],
        )
        old = old.changed(is_retained=np.ones(count, np.bool_)).marked(self.place())
        self.account.note(readings.time_ms)
        return self.added(rows, old), Rows.none()


class Burst(OfWire):
    """Every value comes many times within its second, each time with a time stamp of its own."""

    says = False

    def change(self, rows: Rows, which: Bools, readings: Readings) -> tuple[Rows, Rows]:  # noqa: ARG002
        """Change messages."""
        times = round(self.spec.strength)
        chosen = rows.take(which)
        parts = [rows]
        for turn in range(1, times):
            later = turn * (SECOND_MS // times)
            copy = chosen.changed(sent_ms=chosen.sent_ms + later, time_ms=chosen.time_ms + later)
            parts.append(copy.marked(self.place()))
            self.account.added += len(copy)
        return Rows.joined(parts).in_order(), Rows.none()


WIRE_FAULTS: Final[Mapping[FaultKind, type[Fault]]] = MappingProxyType(
    {
        FaultKind.SILENT: Silent,
        FaultKind.MUTE: Mute,
        FaultKind.DROP: Drop,
        FaultKind.DUPLICATE: Duplicate,
        FaultKind.REORDER: Reorder,
        FaultKind.LATE_BATCH: LateBatch,
        FaultKind.TOPIC_RENAME: TopicRename,
        FaultKind.LIFE_WITHOUT_DATA: LifeWithoutData,
        FaultKind.RETAINED_STALE: RetainedStale,
        FaultKind.UNBORN: Unborn,
        FaultKind.BURST: Burst,
        FaultKind.LATE: Late,
        FaultKind.SAME_TIME: SameTime,
    }
)
"""The kinds that strike messages."""
