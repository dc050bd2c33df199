"""Faults of who a value is from and what it is of: metadata that change, and others who speak."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from formats.dsx import metadata_topic, value_topic
from simulators.meters.meters import Readings
from simulators.model.state import Bools
from simulators.scenario.scenario import FaultKind, FaultSpec
from simulators.wire.bus import meter_tag
from simulators.wire.points import Catalogue
from simulators.wire.rows import Rows
from simulators.wire.speech import Speaker
from simulators.wire.wirefaults import OfWire, TopicRename

OTHER_UNITS: Final[Mapping[str, str]] = MappingProxyType({"kW": "W", "A": "mA", "V": "kV", "kVA": "VA"})
"""Another unit of the same dimension; kW for all that have none here, which is of another."""
RETAGGED: Final = "-retagged"
"""What is added to the path of a point that is tagged anew."""
SECOND: Final = "-second"
"""What is added to the path of a second point of the same thing."""
FOREIGNER: Final = "FOREIGNER"
"""The publisher that the site file does not name."""


class Described(OfWire):
    """Metadata of the scope say something else, or nothing, until the window ends; values go on as before."""

    needs_metadata = describes = True
    values = says = False

    def on_rows(self, rows: Rows, readings: Readings) -> tuple[Rows, Rows]:
        """Change messages."""
        channels = self.speaker.metadata_channels(self.points)
        if readings.second == self.spec.to_s:
            births = self.speaker.births(channels, readings.time_ms)
            return self.added(rows, births.marked(self.place())), Rows.none()
        sent, lost = super().on_rows(rows, readings)
        if readings.second == self.spec.from_s:
            self.account.note(readings.time_ms)
            births = self.speaker.births(channels, readings.time_ms)
            changed, _ = self.change(births, np.ones(len(births), np.bool_), readings)
            sent = self.added(sent, changed.marked(self.place()))
        return sent, lost

    def change(self, rows: Rows, which: Bools, readings: Readings) -> tuple[Rows, Rows]:  # noqa: ARG002
        """Change messages."""
        payload = rows.payload.copy()
        for place in np.flatnonzero(which).tolist():
            said = json.loads(payload[place])
            payload[place] = self.said_instead(said)
        faults = np.where(which, rows.faults | self.bit, rows.faults)
        return rows.changed(payload=payload, faults=faults), Rows.none()

    def said_instead(self, metadata: dict[str, Any]) -> bytes:
        """Return what is published in place of metadata."""
        raise NotImplementedError


class MetadataCleared(Described):
    """Metadata are cleared with an empty retained message."""

    def said_instead(self, metadata: dict[str, Any]) -> bytes:  # noqa: ARG002 - nothing is left of it
        """Return nothing."""
        return b""


class MetadataUnit(Described):
    """Metadata name another unit, and values stay as they were."""

    def said_instead(self, metadata: dict[str, Any]) -> bytes:
        """Return the metadata with another unit."""
        unit = metadata.get("engUnit")
        return _written(metadata | {"engUnit": OTHER_UNITS.get(str(unit), "kW")})


class MetadataAsset(Described):
    """Metadata name another asset: the next of the scope, as if cables had been swapped."""

    _names = (("rackLocationId", "rackLocationName"), ("objectId", "objectName"))

    def said_instead(self, metadata: dict[str, Any]) -> bytes:
        """Return the metadata with another name."""
        for identity, name in self._names:
            own = metadata.get(identity)
            if own is not None:
                others = sorted({a for a in self._catalogue.assets if _is_alike(a, str(own))})
                other = others[(others.index(own) + 1) % len(others)] if own in others else own
                return _written(metadata | {identity: other, name: other})
        return _written(metadata)


def _is_alike(name: str, own: str) -> bool:
    """Tell whether two names differ in nothing but their last number."""
    return name.rstrip("0123456789") == own.rstrip("0123456789")


class _OnOtherPaths(TopicRename):
    """A fault that has points of the scope under other paths as well, described as the first were."""

    needs_metadata = True

    def __init__(
        self, place: int, spec: FaultSpec, catalogue: Catalogue, speaker: Speaker, seed: int
    ) -> None:
        super().__init__(place, spec, catalogue, speaker, seed)
        described = speaker.metadata_channels(self.points)
        self._described = len(speaker.topics) + np.arange(len(described))
        speaker.topics += [speaker.topics[channel] + self.suffix for channel in described.tolist()]

    def on_rows(self, rows: Rows, readings: Readings) -> tuple[Rows, Rows]:
        """Change messages."""
        sent, lost = super().on_rows(rows, readings)
        if readings.second == self.spec.from_s:
            births = self.speaker.births(self.speaker.metadata_channels(self.points), readings.time_ms)
            births = births.changed(channel=self._described.astype(np.int32)).marked(self.place())
            self.account.added += len(births)
            self.account.note(readings.time_ms)
            sent = Rows.joined([births, sent]).in_order()
        return sent, lost


class Retagged(_OnOtherPaths):
    """Points come under another path, which is described as the first was, and no more under the first."""

    suffix = RETAGGED


class SecondSource(_OnOtherPaths):
    """Another point says something else of the same thing: each value comes a second time, multiplied."""

    suffix = SECOND

    def change(self, rows: Rows, which: Bools, readings: Readings) -> tuple[Rows, Rows]:  # noqa: ARG002
        """Change messages."""
        echo = rows.take(which).marked(self.place())
        channel = self.new[echo.channel].astype(np.int32)
        echo = echo.changed(channel=channel, value=echo.value * self.spec.strength)
        return self.added(rows, echo), Rows.none()


class ForeignPublisher(OfWire):
    """An unknown publisher describes a meter above the scope's racks, and says what it reads."""

    needs_metadata = True
    values = says = False

    def __init__(
        self, place: int, spec: FaultSpec, catalogue: Catalogue, speaker: Speaker, seed: int
    ) -> None:
        super().__init__(place, spec, catalogue, speaker, seed)
        wiring = catalogue.wiring
        own = {catalogue.assets[point] for point in self.points.tolist()}
        racks = [str(rack) for rack in wiring.racks if str(rack) in own]
        self._tag = meter_tag("FOREIGN", "ActivePower", f"{wiring.site.name}/foreign/power", "kW", racks)
        self._channels = len(speaker.topics) + np.arange(2)
        speaker.topics += [metadata_topic(self._tag.key, FOREIGNER), value_topic(FOREIGNER, self._tag.key)]

    def on_rows(self, rows: Rows, readings: Readings) -> tuple[Rows, Rows]:
        """Change messages."""
        if not self.is_on(readings.second):
            return rows, Rows.none()
        parts = list(self._said(readings))
        added = Rows.joined(parts).marked(self.place())
        self.account.note(readings.time_ms)
        self.account.added += len(added)
        return Rows.joined([added, rows]).in_order(), Rows.none()

    def _said(self, readings: Readings) -> Iterator[Rows]:
        described, spoken = self._channels[:1].astype(np.int32), self._channels[1:].astype(np.int32)
        at_ms = np.array([readings.time_ms], np.int64)
        if readings.second == self.spec.from_s:
            metadata = _written(self._tag.metadata | {"integration": FOREIGNER})
            yield Rows.of_payloads(described, at_ms, [metadata], is_retained=True)
        yield Rows.of_values(spoken, at_ms, at_ms, np.array([self.spec.strength]))


def _written(metadata: Mapping[str, Any]) -> bytes:
    return json.dumps(metadata, separators=(",", ":")).encode()


IDENTITY_FAULTS: Final[Mapping[FaultKind, type[OfWire]]] = MappingProxyType(
    {
        FaultKind.METADATA_CLEARED: MetadataCleared,
        FaultKind.METADATA_UNIT: MetadataUnit,
        FaultKind.METADATA_ASSET: MetadataAsset,
        FaultKind.RETAGGED: Retagged,
        FaultKind.SECOND_SOURCE: SecondSource,
        FaultKind.FOREIGN_PUBLISHER: ForeignPublisher,
    }
)
"""The kinds that strike what values are known by."""
