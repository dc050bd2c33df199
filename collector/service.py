"""The collector of one broker: take what came, decode it, append it, and only then acknowledge it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
import structlog

from collector.continuity.continuity import ASK_MS, Continuity
from collector.continuity.keeping import Keeping
from collector.decode.base import Context, Decoder, Gathered
from collector.mqtt.message import ConnectionChange, ConnectionEvent, Item, Messages, count_of
from collector.mqtt.session import Session
from collector.row_builder import Rows
from collector.source import Source
from facility.instants import Clock
from facility.readings import Batch, Flag, Reason
from store.cputime import charged_to
from store.journal.appender import Handover
from store.journal.entries import Mark, MarkKind
from store.journal.intake import Intake, readings_of
from store.journal.journal import Journal
from store.threads import in_thread

MOST_MESSAGES: Final = 4_000
"""Messages in one append at most (our choice)."""
MANY_ROWS: Final = 500
"""More rows are checked beside the event loop: numpy lets other threads have their turn at each step over as
many, and the loop would wait for its own again and again."""
QUIET_S: Final = 1.0
"""How often it is looked what waited for too long when nothing arrives."""
HELD_MS: Final = 10_000
"""How long what becomes known of points is held back while more of it comes [ms] (our choice): a site that
starts describes all of its points at once, and says of many of them twice what they are."""
_OVER: Final = object()

_log = structlog.get_logger(__name__)


class Collector(Source):
    """The collector of one broker.

    Args:
        session: Connects to the broker, and takes its messages.
        decoder: Turns its messages into readings.
        context: What decoders share.
        journal: Where readings go.
        clock: Gives wall time [ms] and monotonic time [s].
        since_ms: Up to when the journal knows what happened before this start [ms], 0 for never.
        keeping: What the broker can keep for us, by default not known.
        patience_s: After how long without anything the broker is silent [s].

    Attributes:
        keeping: What the broker can keep for us.
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
        keeping: Keeping | None = None,
        patience_s: float = math.inf,
    ) -> None:
        super().__init__(
            session.name,
            session.health,
            journal,
            clock,
            patience_s=patience_s,
            whole_ms=since_ms or clock.now_ms(),
        )
        self._session = session
        self._decoder = decoder
        self._context = context
        self._now_ms = clock.now_ms
        self.keeping = keeping or Keeping(None)
        self._continuity = Continuity(session.name, self.keeping, now_ms=clock.now_ms(), since_ms=since_ms)
        self._opening = [self._continuity.opening()]
        self._held_since_ms: int | None = None

    def _resume(self, left: Handover) -> list[Mark]:
        now_ms = self._now_ms()
        self._continuity = Continuity(
            self.name, self.keeping, now_ms=now_ms, since_ms=0, gaps=left.counters.gaps
        )
        return self._continuity.happen(
            ConnectionEvent(ConnectionChange.LOST, left.since_ms, left.cause), now_ms
        )

    @property
    def waiting(self) -> int:
        """How many messages arrived and were not taken yet."""
        return self._session.waiting

    @property
    def rate_per_s(self) -> float | None:
        """How much is published at most [messages/s]; None where that is not known."""
        return self.keeping.rate_per_s

    @property
    def missed(self) -> int:
        """How many messages never came, by the gaps in their numbers."""
        return self._decoder.missed

    def problems(self, now_ms: int) -> dict[str, str]:
        """Return what is wrong with what is said on the bus: a cause by what it is wrong with.

        Args:
            now_ms: The time [ms].
        """
        return self._decoder.problems(now_ms)

    async def forget(self) -> None:
        """Let the broker forget us; to be called when nothing is collected any more."""
        await self._session.forget()

    async def run(self) -> None:
        """Collect until cancelled."""
        await self.announce()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._session.run(), name=f"session {self.name}")
            group.create_task(self._collect(), name=f"collector {self.name}")

    async def _collect(self) -> None:
        while True:
            self._rounds += 1
            if await self._session.arrived(ASK_MS / 1_000 if self._continuity.is_behind else QUIET_S):
                await self._take(self._session.take(MOST_MESSAGES))
            else:
                self.whole_ms = self._now_ms()
                await self._settle()
            await self._look()

    async def _settle(self) -> None:
        gathered = Gathered()
        self._decoder.settle(self._now_ms(), gathered)
        if gathered.settled or self._held_since_ms is not None:
            async with self._in_turn():
                await self._append(await self._intake(gathered))

    async def _look(self) -> None:
        """Look whether the broker has sent everything that it kept for us."""
        now_ms, answer = self._now_ms(), self._session.answered()
        if answer is not None:
            self._continuity.answer(answer, now_ms)
        if self._continuity.asks(now_ms):
            self._session.ask()
        await self._tell(self._continuity.look(now_ms, is_idle=not self._session.waiting))

    async def _take(self, items: list[Item]) -> None:
        if len(items) == 1 and isinstance(items[0], ConnectionEvent):
            await self._tell(self._continuity.happen(items[0], self._now_ms()))
            return
        taken = [item for item in items if isinstance(item, Messages)]
        if not taken:
            return
        self.whole_ms = began_ms = int(taken[0].received_ms[0])
        self.counters.messages += count_of(taken)
        reading = self.counters.reading
        reading.take_over(self._session.reading)
        async with self._in_turn():
            gathered, intake = await self._decode(taken)
            await self._append(intake)
        with reading.measure():
            for messages in taken:
                self._session.acknowledge(messages)
        self.counters.metadata += len(gathered.metadata)
        self.counters.metadata_unchanged += gathered.unchanged
        now_ms = self._now_ms()
        lag_ms = _lag_ms(intake.batch) if self._continuity.is_behind else None
        kept = sum(int(np.count_nonzero(messages.number)) for messages in taken)
        await self._tell(self._continuity.take(kept, now_ms - began_ms, lag_ms, now_ms))

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        """Decode and append while no other collector does: each may tell the journal of another's points.

        Whoever waits for a disk that refuses keeps the turn, and the others wait with it, and do not hang.
        """
        turn = self._context.turn
        while True:
            try:
                async with asyncio.timeout(QUIET_S):
                    await turn.acquire()
            except TimeoutError:
                self._rounds += 1
            else:
                break
        try:
            yield
        finally:
            turn.release()

    async def _append(self, intake: Intake) -> None:
        """Append; where that is cancelled, what became known is news for whoever comes next."""
        try:
            await self._appender.append(intake)
        except BaseException:
            self._context.register.take_back(intake.known)
            raise

    async def _decode(self, taken: list[Messages]) -> tuple[Gathered, Intake]:
        """Decode messages; where a decoder fails for a fault of its own, they are dead letters."""
        gathered, reading = Gathered(), self.counters.reading
        try:
            for messages in taken:
                await self._work_off(self._decoder.decode(messages, gathered))
            with reading.measure():
                self._decoder.settle(self._now_ms(), gathered)
            if len(gathered.rows) > MANY_ROWS:
                with charged_to(reading):
                    await in_thread(gathered.rows.seal, self._context.ranges)
            return gathered, await self._intake(gathered)
        except Exception as error:  # noqa: BLE001 - whatever it is, each message must have an end
            _log.exception("decoder failed", broker=self.name, messages=count_of(taken))
            failed = gathered.rows
            gathered.rows = Rows(rejections=failed.rejections, sealed=failed.sealed)
            for message in failed.messages():
                gathered.rows.refuse(message, Reason.DECODER_FAILED, repr(error))
        return gathered, await self._intake(gathered)

    async def _work_off(self, steps: Iterator[None]) -> None:
        """Let others have their turn after each step of decoding."""
        while True:
            with self.counters.reading.measure():
                is_over = next(steps, _OVER) is _OVER
            if is_over:
                return
            await asyncio.sleep(0)

    async def _tell(self, marks: list[Mark]) -> None:
        """Tell the journal, and people, what happened to the connection."""
        for mark in marks:
            if mark.kind in (MarkKind.GAP, MarkKind.SESSION_LOST):
                _log.warning("gap", broker=self.name, detail=mark.detail)
        self.counters.gaps = self._continuity.gaps
        if marks:
            await self._appender.append(Intake(marks=marks))

    async def _intake(self, gathered: Gathered) -> Intake:
        """Return what is appended; what became known of points only once no more messages wait."""
        now_ms, register = self._now_ms(), self._context.register
        since_ms = now_ms if self._held_since_ms is None else self._held_since_ms
        may_hold = gathered.rows.is_empty and self._session.waiting > 0 and now_ms - since_ms < HELD_MS
        if not may_hold:
            try:
                await self._work_off(self._decoder.complete())
            except Exception:  # noqa: BLE001 - a fault of its own: what is known is true, if not complete
                _log.exception("decoder failed", broker=self.name)
        with self.counters.reading.measure():
            intake = gathered.intake(self._context, now_ms, may_hold=may_hold)
        self._held_since_ms = since_ms if register.has_news else None
        return self._appender.count(intake)


def _lag_ms(batch: Batch) -> float | None:
    """Return how long after its source time a batch arrived, as a median [ms]; None where nothing tells."""
    readings = readings_of(batch)
    # What is sent at most once overtakes what a broker holds back, and what is retained is of any time.
    in_order = readings.take((readings.flags & (Flag.RETAINED | Flag.AT_MOST_ONCE)) == 0)
    return float(np.median(in_order.received_ms - in_order.source_ms)) if len(in_order) else None
