"""Shipping: from the journal and the ledger to a sink, in order, for as long as it takes.

A chunk is tried until the sink has it; only then do the cursors move. While the sink is away they wait, and
the journal keeps what is needed. After an outage chunks follow each other until the sink is up to date, each
point's readings in order, no faster than the sink says, so that it still answers others.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import structlog

from facility.backoff import Backoff
from facility.errors import StoreUnavailable
from facility.instants import Clock
from facility.invariants import require
from facility.points import Point
from facility.readings import Batch, Quality, Rejection
from store.base import Chunk, Sink
from store.cputime import CpuTime, charged_to
from store.journal.entries import Entry
from store.journal.journal import Journal
from store.ledger.ledger import Ledger
from store.meaning import Meaning
from store.means.checkpoint import MeanFile
from store.means.draws import DrawMeans
from store.means.means import hold_ms
from store.retry import StoreBusy
from store.series import Health, rollups_of, tenants_of
from store.threads import in_thread

MOST_ENTRIES = 2_000
BACKOFF: Final = Backoff(first_s=0.5, longest_s=30.0)
"""Pauses before a sink that refused is tried again."""
DISK_PAUSE_S: Final = 1.0
"""How long to wait before our own disk is tried again [s]: our choice."""
HEALTH_S = 10.0
"""How often the pipeline's own health is written [s]: our choice."""

_log = structlog.get_logger(__name__)


class Source(Protocol):
    """The journal, as a sink follows it."""

    def read(self, after_seq: int, most: int = 1_000) -> list[Entry]:
        """Return the entries after `after_seq`, in order."""
        ...

    def set_reader(self, name: str, seq: int) -> None:
        """Note that a reader needs nothing up to `seq` any more."""
        ...

    def reader(self, name: str) -> int:
        """Return up to which entry a reader has read for good, 0 where it never did."""
        ...

    def point_entries(self) -> list[Entry]:
        """Return every entry that makes points known."""
        ...


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a sink takes nothing now.

    Attributes:
        text: What it said.
        since_ms: Since when [ms].
        needs_somebody: Whether it will not pass by itself, so that somebody must be told.
    """

    text: str
    since_ms: int
    needs_somebody: bool


@dataclass(frozen=True, slots=True)
class _Next:
    """What is to be shipped next.

    Attributes:
        chunk: The chunk; None where there is nothing to ship.
        series_seq: Number of its last row of the engine's series.
        change_seq: Number of its last alarm change.
        block_seq: Number of its last demand block.
        is_more: Whether more is waiting already.
    """

    chunk: Chunk | None
    series_seq: int = 0
    change_seq: int = 0
    block_seq: int = 0
    is_more: bool = False


class Shipper:
    """Ships to one sink.

    Args:
        sink: Where chunks go.
        source: The journal, as it is read.
        ledger: The ledger, for the engine's series and the alarms.
        journal: The journal as its writer, for what the sink refuses; None in another process.
        clock: Gives wall time [ms] and monotonic time [s].
        random_source: Where the jitter of pauses comes from.
        seal_s: How often a chunk is made while the sink keeps up, where it does not say itself [s].
        hold: Tells how long a value stands for its point [ms].
        health: Gives the pipeline's own health; None for none.

    Attributes:
        seq: Number of the last journal entry that the sink has.
        error: What the sink said, "" while it takes everything.
        trouble: The same, with since when and whether people must be told; None while there is none.
        refused: How many readings it will never take.
        late: How many readings came too late to be in a mean.
        rounds: How often it tried something: grows while this part goes on.
        shipping_cpu: CPU time of what it ships, while it runs; that of sending alone is not in it.
    """

    def __init__(
        self,
        sink: Sink,
        source: Source,
        ledger: Ledger,
        *,
        journal: Journal | None,
        clock: Clock,
        random_source: random.Random,
        seal_s: float,
        hold: Callable[[Point], int] = hold_ms,
        health: Callable[[], Health] | None = None,
    ) -> None:
        self._sink = sink
        self._source = source
        self._ledger = ledger
        self._journal = journal
        self._clock = clock
        self._random = random_source
        self._hold = hold
        self._health = health
        self._health_s = float("-inf")
        self._period_s = seal_s if sink.period_s is None else sink.period_s
        self._meaning = Meaning()
        self._means: MeanFile | None = None
        self._draw_means = DrawMeans(ledger.path.parent / f"means-{sink.name}-draws.npz")
        self.seq = source.reader(sink.name)
        self._series_seq, _ = ledger.cursor(f"{sink.name}.series")
        self._change_seq, _ = ledger.cursor(f"{sink.name}.changes")
        self._block_seq, _ = ledger.cursor(f"{sink.name}.blocks")
        self._hear_draws_again()
        self.name = sink.name
        self.trouble: Trouble | None = None
        self.refused = 0
        self._shipped = 0
        self.rounds = 0
        self.shipping_cpu = CpuTime()

    @property
    def error(self) -> str:
        """What the sink said, "" while it takes everything."""
        return "" if self.trouble is None else self.trouble.text

    @property
    def late(self) -> int:
        """How many readings came too late to be in a mean."""
        return 0 if self._means is None else self._means.late

    async def run(self) -> None:
        """Ship until cancelled; what is left then is shipped after the next start."""
        with charged_to(self.shipping_cpu):
            while True:
                self.rounds += 1
                begin_s = self._clock.monotonic_s()
                if not await self.ship():
                    await asyncio.sleep(self._period_s)
                elif self._sink.most_per_s is not None:
                    due_s = self._shipped / self._sink.most_per_s
                    await asyncio.sleep(max(0.0, begin_s + due_s - self._clock.monotonic_s()))

    async def ship(self) -> bool:
        """Ship one chunk, however long that takes.

        Returns:
            Whether more is waiting already.
        """
        following = await in_thread(self._next)
        chunk = following.chunk
        if chunk is None:
            return False
        refused = await self._store(chunk)
        if refused:
            self.refused += len(refused)
            if self._journal is not None:
                await self._until_kept(partial(self._journal.refuse, refused))
        self.seq, self._series_seq = chunk.last_seq, following.series_seq
        self._change_seq, self._block_seq = following.change_seq, following.block_seq
        await self._until_kept(self._settle)
        self._shipped = len(chunk.batch)
        return following.is_more

    async def _store(self, chunk: Chunk) -> Sequence[Rejection]:
        failures = 0
        while True:
            self.rounds += 1
            try:
                refused = await self._sink.store(chunk)
            except StoreUnavailable as error:
                busy = error if isinstance(error, StoreBusy) else None
                self._note(str(error), needs_somebody=busy is None)
                asked = None if busy is None else busy.retry_after_s
                failures += 1
                await asyncio.sleep(BACKOFF.pause_s(failures, self._random, asked_s=asked))
            else:
                if self.trouble is not None:
                    _log.info("history goes on", sink=self.name)
                self.trouble = None
                return refused

    async def _until_kept(self, keep: Callable[[], None]) -> None:
        """Write to our own disk what the sink has answered, for as long as it takes."""
        while True:
            self.rounds += 1
            try:
                await in_thread(keep)
            except StoreUnavailable as error:
                self._note(str(error), needs_somebody=True)
                await asyncio.sleep(DISK_PAUSE_S)
            else:
                return

    def _note(self, text: str, *, needs_somebody: bool) -> None:
        before = self.trouble
        since_ms = self._clock.now_ms() if before is None else before.since_ms
        if before is None or before.needs_somebody != needs_somebody:
            _log.warning("history waits", sink=self.name, error=text, needs_somebody=needs_somebody)
        self.trouble = Trouble(text, since_ms, needs_somebody)

    def _next(self) -> _Next:
        """Gather what comes after the last chunk."""
        means = self._kept()
        batches, last_seq, is_more = self._gather(self.seq)
        series = self._ledger.series(self._series_seq)
        draws = [(seq, at_ms, tenants_of(rows)) for seq, at_ms, rows in series]
        changes = self._ledger.changes(self._change_seq)
        blocks = self._ledger.blocks_after(self._block_seq)
        health = self._measured()
        if last_seq == self.seq and not (series or changes or blocks or health):
            return _Next(None)
        batch = Batch.concatenate(batches)
        chunk = Chunk(
            first_seq=self.seq + 1,
            last_seq=last_seq,
            batch=batch,
            points=self._meaning.points(),
            draws=[(at_ms, rows) for _, at_ms, rows in draws],
            changes=[change for _, change in changes],
            means=means.take(last_seq, batch),
            draw_means=self._draw_means.hear(draws),
            rollups=[row for _, _, rows in series for row in rollups_of(rows)],
            blocks=[block for _, block in blocks],
            health=health,
        )
        return _Next(
            chunk,
            series_seq=series[-1][0] if series else self._series_seq,
            change_seq=changes[-1][0] if changes else self._change_seq,
            block_seq=blocks[-1][0] if blocks else self._block_seq,
            is_more=is_more,
        )

    def _gather(self, after_seq: int, upto_seq: int | None = None) -> tuple[list[Batch], int, bool]:
        """Return the batches after an entry, the last entry, and whether there are more.

        They end before an entry that describes a point otherwise: what came before meant something else.
        """
        batches: list[Batch] = []
        count, last_seq = 0, after_seq
        while True:
            entries = self._source.read(last_seq, MOST_ENTRIES)
            for entry in entries:
                require(entry.seq > last_seq, f"an entry after {last_seq}", entry.seq)
                if upto_seq is not None and entry.seq > upto_seq:
                    return batches, last_seq, False
                if batches and self._meaning.changes(entry):
                    return batches, last_seq, True
                self._learn(entry)
                if isinstance(entry.content, Batch):
                    readings = entry.content.take(entry.content.quality != Quality.REFUSED)
                    batches.append(readings)
                    count += len(readings)
                last_seq = entry.seq
                if count >= self._sink.most_readings:
                    return batches, last_seq, True
            if not entries:
                return batches, last_seq, False

    def _hear_draws_again(self) -> None:
        """Hear the draws that the sink has, and that what is kept of their means lacks."""
        means = self._draw_means
        # One that was kept and not noted in the ledger any more is as one that the sink lacks.
        means.seq = min(means.seq, self._series_seq)
        rows = self._ledger.series(means.seq, self._series_seq - means.seq)
        means.hear([(seq, at_ms, tenants_of(row)) for seq, at_ms, row in rows if seq <= self._series_seq])

    def _kept(self) -> MeanFile:
        """Return the means as they stand at the last entry that the sink has."""
        if self._means is None:
            self._means = MeanFile(self._ledger.path.parent / f"means-{self.name}.npz", self._hold)
            try:
                self._go_on(self._means)
            except BaseException:
                self._means = None  # it stands somewhere in between
                raise
        return self._means

    def _go_on(self, means: MeanFile) -> None:
        """Let means that were kept hear what the sink has, each reading as what it meant then."""
        if means.seq > self.seq:
            means.forget()
        told = self._source.point_entries()
        self._meaning = Meaning.at(means.seq or self.seq, told)
        for number, point in self._meaning.points().items():
            means.learn(number, point)
        # Steps that are closed on the way were given to the sink before.
        more = bool(means.seq)
        while more and means.seq < self.seq:
            batches, last_seq, more = self._gather(means.seq, self.seq)
            means.take(last_seq, Batch.concatenate(batches))
        self._meaning = Meaning.at(self.seq, told)

    def _measured(self) -> Sequence[Health]:
        now_s = self._clock.monotonic_s()
        if self._health is None or now_s - self._health_s < HEALTH_S:
            return ()
        self._health_s = now_s
        return (self._health(),)

    def _settle(self) -> None:
        # What is known of draws is kept first: what it is made of leaves the ledger then.
        self._draw_means.save()
        self._source.set_reader(self.name, self.seq)
        cursors = {"series": self._series_seq, "changes": self._change_seq, "blocks": self._block_seq}
        self._ledger.set_cursors(
            {f"{self.name}.{what}": seq for what, seq in cursors.items()}, trimmed_seq=self._draw_means.seq
        )
        self._kept().save()

    def _learn(self, entry: Entry) -> None:
        for known in self._meaning.take(entry):
            if self._means is not None:
                self._means.learn(known.id, known.point)
