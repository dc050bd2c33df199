"""Messages as they come from a broker, and what a decoder makes of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from zoneinfo import ZoneInfo

from collector.decode.base import Context, Decoder, Gathered, decode_at_once
from collector.decode.dsx import DsxDecoder
from collector.decode.rackdocument import RackDocumentDecoder
from collector.mqtt.message import Message, Messages
from collector.register import Register
from collector.row_builder import Ranges
from facility.names import AssetId
from facility.readings import Batch, Quality, Reason, Rejection
from facility.site import Rack, Site
from facility.sitefile.tables import BrokerTable
from formats import dsx, rackdoc
from store.journal.entries import Known
from store.journal.file import Waiting
from testing.builders import T0_MS

Row = tuple[str, int, float | None]
"""The key of a point, the source time [ms] and the value in canonical units, None where there is none."""

RACKS = ("r1", "r2", "r3")
LAG_MS = 20
"""How long after its source time a message is received where nothing else is said [ms]."""


def a_site(racks: Iterable[str] = RACKS, *, rating_kw: float | None = 132) -> Site:
    """Return a site of such racks."""
    rating = None if rating_kw is None else round(rating_kw * 1e6)
    return Site(
        name="titan",
        zone=ZoneInfo("UTC"),
        racks={AssetId(rack): Rack(id=AssetId(rack), rating_milliwatts=rating) for rack in racks},
    )


def a_broker(name: str = "bus", form: str = "dsx", publishers: Sequence[str] | None = None) -> BrokerTable:
    """Return a broker as the site file declares it."""
    said = {"url": "mqtt://127.0.0.1:1883", "name": name, "format": form, "publishers": publishers}
    return BrokerTable.model_validate(said)


# Messages -----------------------------------------------------------------------------


def key_of(path: str, object_type: str = "Rack", point_type: str = "RackPower") -> str:
    """Return the key of a point that the building system describes."""
    return f"{object_type}/{point_type}/{path}"


def raw(topic: str, payload: bytes, *, received_ms: int = T0_MS + LAG_MS, flags: int = 0) -> Message:
    """Return a message as it is."""
    return Message(topic, payload, received_ms, flags)


def value(
    path: str = "r1",
    read: object = 90.5,
    time_ms: object = T0_MS,
    *,
    quality: object = dsx.GOOD,
    publisher: str = dsx.BUILDING_SYSTEM,
    object_type: str = "Rack",
    point_type: str = "RackPower",
    received_ms: int | None = None,
    flags: int = 0,
) -> Message:
    """Return a value; it is received soon after its source time."""
    if received_ms is None:
        received_ms = (time_ms if isinstance(time_ms, int) else T0_MS) + LAG_MS
    topic = dsx.value_topic(publisher, key_of(path, object_type, point_type))
    payload = json.dumps({"value": read, "timestamp": time_ms, "quality": quality}).encode()
    return raw(topic, payload, received_ms=received_ms, flags=flags)


def metadata(
    path: str = "r1",
    *,
    publisher: str = dsx.BUILDING_SYSTEM,
    object_type: str = "Rack",
    point_type: str = "RackPower",
    received_ms: int = T0_MS,
    **said: object,
) -> Message:
    """Return metadata: of the power of a rack in kW, except where something else is said; None leaves out."""
    fields: dict[str, object] = {
        "objectType": object_type,
        "pointType": point_type,
        "engUnit": "kW",
        "rackLocationName": f"Rack {path}",
        "rackLocationId": path,
    }
    fields = {name: found for name, found in (fields | said).items() if found is not None}
    topic = dsx.metadata_topic(key_of(path, object_type, point_type), publisher)
    return raw(topic, json.dumps(fields).encode(), received_ms=received_ms)


def heartbeat(
    path: str,
    *,
    scope: str | None = None,
    integration: str | None = None,
    object_id: str | None = None,
    rack: str | None = None,
) -> Message:
    """Return the metadata of a heartbeat: of the building system, or of an integration."""
    return metadata(
        path,
        object_type="System",
        point_type="HeartbeatTimestampBms" if integration is None else "HeartbeatTimestampIntegration",
        engUnit=None,
        rackLocationId=rack,
        rackLocationName=None,
        objectId=object_id or path,
        objectName=object_id or path,
        scope=scope,
        integration=integration,
    )


def withdrawn(described: Message) -> Message:
    """Return the empty message by which a retained one is taken away."""
    return raw(described.topic, b"", received_ms=described.received_ms)


def document(topic_rack: str = "r1", /, *, received_ms: int = T0_MS + LAG_MS, **said: object) -> Message:
    """Return a rack document on the topic of a rack; of now, where nothing else is said."""
    payload = json.dumps({"time": T0_MS} | said).encode()
    return raw(document_topic(topic_rack), payload, received_ms=received_ms)


def document_topic(rack: str = "r1") -> str:
    """Return the topic of a rack's documents."""
    return f"{rackdoc.PREFIX}titan/{rack}"


# What comes of them -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decoder made of messages.

    Attributes:
        batch: Rows as they go to the journal, doubts among them.
        keys: The keys of all points so far, by number.
        rejections: Dead letters.
        news: Points that became known, or known otherwise.
        metadata: Metadata to keep.
        unchanged: How many metadata messages said nothing new.
        waiting: Messages that wait from now on.
        settled: Numbers of messages that wait no longer.
    """

    batch: Batch
    keys: Mapping[int, str]
    rejections: Sequence[Rejection]
    news: Sequence[Known]
    metadata: Mapping[str, bytes]
    unchanged: int
    waiting: Sequence[Waiting]
    settled: Sequence[int]

    @property
    def rows(self) -> list[Row]:
        """The readings, in the order of the batch."""
        rows = zip(
            self.batch.point.tolist(),
            self.batch.source_ms.tolist(),
            self.batch.value.tolist(),
            self.batch.quality.tolist(),
            strict=True,
        )
        return [
            (self.keys[point], time_ms, None if math.isnan(read) else read)
            for point, time_ms, read, quality in rows
            if quality != Quality.REFUSED
        ]

    @property
    def qualities(self) -> list[Quality]:
        """The quality of every row, of doubts too."""
        return [Quality(code) for code in self.batch.quality.tolist()]

    @property
    def doubts(self) -> list[str]:
        """The keys of points that came into doubt."""
        refused = self.batch.quality == Quality.REFUSED
        return [self.keys[point] for point in self.batch.point[refused].tolist()]

    @property
    def reasons(self) -> list[Reason]:
        """Why each dead letter is one."""
        return [rejection.reason for rejection in self.rejections]

    @property
    def counted(self) -> int:
        """How many readings and messages came in, by where they went."""
        return len(self.rows) + len(self.rejections) + len(self.waiting) - len(self.settled)


class Hearing:
    """A decoder and what it shares, without a journal.

    Args:
        site: Where the racks of rack documents are.
        known: What the journal knows of points.
        metadata: What the journal kept of metadata.
        waiting: What waits there.
        form: The format of the broker.
        broker: The broker, where something else is said of it.
    """

    def __init__(
        self,
        site: Site | None = None,
        *,
        known: Mapping[int, Known] | None = None,
        metadata: Mapping[str, bytes] | None = None,
        waiting: Sequence[Waiting] = (),
        form: str = "dsx",
        broker: BrokerTable | None = None,
    ) -> None:
        self.known: dict[int, Known] = dict(known or {})
        first = max((item.id for item in waiting), default=0) + 1
        self.context = Context(site or a_site(), Register(self.known), Ranges(), count(first))
        self.kept: dict[str, bytes] = dict(metadata or {})
        self.decoder: Decoder
        if form == "dsx":
            self.decoder = DsxDecoder(broker or a_broker(), self.context, self.kept, waiting)
        else:
            self.decoder = RackDocumentDecoder(a_broker(form=form), self.context)

    def pass_time(self, from_ms: int, to_ms: int) -> None:
        """Let a bus speak on between two moments, of nothing that anybody knows [ms]."""
        for at_ms in range(from_ms, to_ms, 10_000):
            self.hear(value("elsewhere", 1.0, at_ms))
        self.hear(value("elsewhere", 1.0, to_ms - 1))

    def hear(self, *messages: Message, now_ms: int | None = None) -> Outcome:
        """Decode messages at once, and give up what has waited too long where a time is given."""
        gathered = Gathered()
        decode_at_once(self.decoder, Messages.of(messages), gathered)
        if now_ms is not None:
            self.decoder.settle(now_ms, gathered)
        batch = gathered.rows.batch(self.context.ranges)
        news = self.context.register.news()
        self.known.update((entry.id, entry) for entry in news)
        self.kept = {topic: said for topic, said in (self.kept | gathered.metadata).items() if said}
        return Outcome(
            batch=batch,
            keys={number: entry.point.key for number, entry in self.known.items()},
            rejections=gathered.rows.rejections,
            news=news,
            metadata=gathered.metadata,
            unchanged=gathered.unchanged,
            waiting=gathered.waiting,
            settled=gathered.settled,
        )

    def again(self) -> Hearing:
        """Return the decoder as it is after a restart, out of what was kept."""
        return Hearing(self.context.site, known=self.known, metadata=dict(sorted(self.kept.items())))


def listening(racks: Iterable[str] = RACKS) -> Hearing:
    """Return a decoder of the documents of such racks."""
    return Hearing(a_site(racks), form="rack-documents")


def row(*documents: object, topic: str = "rowA") -> Message:
    """Return rack documents as one message of a row."""
    return raw(document_topic(topic), json.dumps(documents).encode())


def describing(*described: Message) -> Hearing:
    """Return a decoder that knows such points."""
    hearing = Hearing()
    outcome = hearing.hear(*(described or (metadata("r1"),)))
    assert not outcome.rejections, outcome.rejections
    return hearing
