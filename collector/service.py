"""The collector of one broker: take what came, decode it, append it, and only then acknowledge it."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from collector.backlog import Backlog
from collector.decode.base import Context, Decoder, Gathered
from collector.gather import Rows
from collector.message import ConnectionChange, ConnectionEvent, Item, Message
from collector.session import Session
from facility.instants import Clock
from facility.readings import Reason
from store.appending import Appender
from store.entries import MarkKind
from store.intake import Intake, readings_of
from store.journal import Journal

GATHER_S: Final = 0.01
"""How long what follows a message may still come into the same append."""
MOST_MESSAGES: Final = 4_000
"""Messages in one append at most: the event loop is not held for longer than some 40 ms."""
QUIET_S: Final = 1.0
"""When nothing has arrived for so long, nothing was kept for us."""
PATIENCE_MS: Final = 20_000
"""A broker that does not answer at the start holds up judging for so long at most."""

_log = structlog.get_logger(__name__)

_MARKS: Final = {
    ConnectionChange.RESUMED: MarkKind.CONNECTED,
    ConnectionChange.RENEWED: MarkKind.SESSION_LOST,
    ConnectionChange.LOST: MarkKind.LOST,
    ConnectionChange.OVERLOADED: MarkKind.OVERLOADED,
}


class Collector:
    """The collector of one broker.

    Args:
        session: The session with the broker.
        decoder: Turns its messages into readings.
        context: What decoders share.
        journal: Where readings go.
        clock: The clock.
        since_ms: Up to when the journal knows what happened before this start [ms], 0 for never.
    """

    def __init__(
        self,
        session: Session,
        decoder: Decoder,
        context: Context,
        journal: Journal,
        *,
        clock: Clock,
        since_ms: int,
    ) -> None:
        self._session = session
        self._decoder = decoder
        self._context = context
        self._appender = Appender(journal, session.name, clock)
        self._now_ms = clock.now_ms
        self._since_ms = since_ms
        self._connected_before = False
        self._backlog: Backlog | None = Backlog(clock.now_ms())
        self._started_ms = clock.now_ms()
        self.counters = self._appender.counters
        self.announced = asyncio.Event()

    async def run(self) -> None:
        """Collect until cancelled."""
        broker = self._session.name
        await self._mark(MarkKind.STARTED, self._since_ms or self._started_ms, "collector started")
        self.announced.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._session.run(), name=f"session {broker}")
            group.create_task(self._collect(), name=f"collector {broker}")

    async def _collect(self) -> None:
        while True:
            if await self._session.arrived(QUIET_S):
                if self._session.waiting < MOST_MESSAGES // 8:
                    await asyncio.sleep(GATHER_S)
                await self._take(self._session.take(MOST_MESSAGES))
            else:
                await self._idle()

    async def _idle(self) -> None:
        gathered = Gathered()
        self._decoder.settle(self._now_ms(), gathered)
        if gathered.settled:
            await self._appender.append(self._intake(gathered))
        if self._backlog is None:
            return
        if self._connected_before:
            await self._catch_up("nothing more is kept for us")
        elif self._now_ms() - self._started_ms > PATIENCE_MS:
            detail = self._session.health.detail or "no answer"
            await self._mark(MarkKind.LOST, self._since_ms or self._started_ms, detail)
            self._backlog = None

    async def _take(self, items: list[Item]) -> None:
        if len(items) == 1 and isinstance(items[0], ConnectionEvent):
            await self._note(items[0])
            return
        messages = [item for item in items if isinstance(item, Message)]
        self.counters.messages += len(messages)
        gathered, intake = self._decode(messages)
        await self._appender.append(intake)
        self._session.acknowledge(messages)
        self.counters.metadata += len(gathered.metadata)
        self.counters.metadata_unchanged += gathered.unchanged
        readings = readings_of(intake.batch)
        if self._backlog is not None and len(readings):
            lag_ms = int(readings.received_ms[-1] - readings.source_ms[-1])
            if self._backlog.is_over(self._now_ms(), lag_ms):
                await self._catch_up("what arrives is new")

    def _decode(self, messages: list[Message]) -> tuple[Gathered, Intake]:
        """Decode messages; where a decoder fails for a fault of its own, they are dead letters."""
        gathered = Gathered()
        try:
            self._decoder.decode(messages, gathered)
            self._decoder.settle(self._now_ms(), gathered)
            return gathered, self._intake(gathered)
        except Exception as error:  # noqa: BLE001 - whatever it is, each message must have an end
            _log.exception("decoder failed", broker=self._session.name, messages=len(messages))
            failed = gathered.rows
            gathered.rows = Rows(rejections=failed.rejections, sealed=failed.sealed)
            for message in {id(message): message for message in failed.messages}.values():
                gathered.rows.refuse(message, Reason.DECODER_FAILED, repr(error))
        return gathered, self._intake(gathered)

    async def _note(self, event: ConnectionEvent) -> None:
        """Mark what happened to the connection. A first session is no loss: there was none before."""
        kind = _MARKS[event.change]
        if event.change is ConnectionChange.RENEWED and not (self._connected_before or self._since_ms):
            kind = MarkKind.CONNECTED
        if kind is MarkKind.SESSION_LOST:
            self.counters.gaps += 1
            _log.warning(
                "gap",
                broker=self._session.name,
                detail="the broker had forgotten our session; what it held for us is gone",
            )
        if event.change in (ConnectionChange.RESUMED, ConnectionChange.RENEWED):
            self._connected_before, self._backlog = True, Backlog(self._now_ms())
        await self._mark(kind, event.since_ms, event.detail)

    async def _catch_up(self, detail: str) -> None:
        self._backlog = None
        await self._mark(MarkKind.CAUGHT_UP, self._now_ms(), detail)

    async def _mark(self, kind: MarkKind, since_ms: int, detail: str) -> None:
        await self._appender.append(self._appender.mark(kind, since_ms, detail))

    def _intake(self, gathered: Gathered) -> Intake:
        rows = gathered.rows
        received_ms = rows.messages[-1].received_ms if rows.messages else self._now_ms()
        batch = rows.batch(self._context.ranges)
        intake = Intake(
            known=self._context.register.news(),
            batch=batch,
            metadata=gathered.metadata,
            rejections=rows.rejections,
            waiting=gathered.waiting,
            settled=gathered.settled,
            received_ms=received_ms,
        )
        return self._appender.count(intake)
