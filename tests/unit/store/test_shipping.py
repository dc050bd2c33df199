"""What is journalled arrives once and in order, across restarts and outages, with the means of all of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from facility.errors import StoreUnavailable
from facility.instants import HOUR_MS, MINUTE_MS
from facility.names import AssetId
from facility.readings import Batch, Quality, Reason, Rejection
from store.base import Chunk
from store.journal.entries import Known
from store.journal.file import JournalReader
from store.journal.intake import Intake
from store.means.checkpoint import SAVE_MS
from store.means.columnfile import load_columns
from store.means.draws import HOLD_MS
from store.retry import StoreBusy
from store.series import Health
from store.shipping import Shipper, Trouble
from testing.builders import T0_MS, a_batch, known_racks
from testing.store.histories import KEY, Site, a_draw, open_site

HOUR = T0_MS // HOUR_MS * HOUR_MS


@dataclass
class Clock:
    """A clock that a test moves."""

    at_ms: int = T0_MS
    steady_s: float = 0.0

    def now_ms(self) -> int:
        """Return the time."""
        return self.at_ms

    def monotonic_s(self) -> float:
        """Return seconds since some moment."""
        return self.steady_s


@dataclass
class ListSink:
    """A sink that keeps what it is given, once it has raised what it is told to."""

    errors: list[StoreUnavailable] = field(default_factory=list)
    refused: Sequence[Rejection] = ()
    chunks: list[Chunk] = field(default_factory=list)
    name: str = "list"
    period_s: float | None = None
    most_per_s: float | None = None
    most_readings: int = 10_000
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def store(self, chunk: Chunk) -> Sequence[Rejection]:
        """Store a chunk."""
        self.called.set()
        if self.errors:
            raise self.errors.pop(0)
        self.chunks.append(chunk)
        return self.refused

    async def close(self) -> None:
        """Do nothing."""

    async def is_called(self, times: int) -> None:
        """Wait until it was given something so often."""
        for _ in range(times):
            self.called.clear()
            await self.called.wait()

    def rows(self) -> list[tuple[int, int]]:
        """Return point and time of every reading, as they came."""
        return [
            (int(point), int(at))
            for chunk in self.chunks
            for point, at in zip(chunk.batch.point, chunk.batch.source_ms, strict=True)
        ]

    def means(self) -> dict[tuple[int, int, int], tuple[float, float]]:
        """Return mean and coverage by length of step, point and start, as they were said last."""
        return {
            (means.step_ms, int(point), int(start)): (float(mean), float(share))
            for chunk in self.chunks
            for means in chunk.means
            for point, start, mean, share in zip(
                means.point, means.start_ms, means.mean, means.coverage, strict=True
            )
        }


class Quick(random.Random):
    """Pauses of no length."""

    def uniform(self, a: float, b: float) -> float:
        """Return the shortest one."""
        return min(a, b)


def a_shipper(site: Site, sink: ListSink, clock: Clock | None = None, **more: object) -> Shipper:
    """Return a shipper of a site, as it is after a start."""
    return Shipper(
        sink,
        site.journal,
        site.ledger,
        journal=site.journal,
        clock=clock or Clock(),
        random_source=Quick(),
        seal_s=60.0,
        **more,  # type: ignore[arg-type]  # a test names what it is about
    )


async def shipped(shipper: Shipper) -> None:
    """Ship until nothing is waiting."""
    while await shipper.ship():
        pass


def minutes(start: int, end: int, point: int = 0) -> Batch:
    """Return readings each ten seconds from minute `start` to minute `end` of an hour."""
    return a_batch([(point, HOUR + n * 10_000, float(n % 13)) for n in range(start * 6, end * 6)])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site of two racks that nothing was received from."""
    return open_site(tmp_path)


def test_what_is_journalled_is_shipped_once_across_restarts(site: Site) -> None:
    """Each start goes on where the one before stopped, with readings, draws and means."""
    sink = ListSink()
    for start in range(0, 20, 5):
        site.append(minutes(start, start + 5), minutes(start, start + 5, point=1))
        site.draw([(HOUR + start, [a_draw("acme", start)])])
        asyncio.run(shipped(a_shipper(site, sink)))
        asyncio.run(shipped(a_shipper(site, sink)))

    assert [row for row in sink.rows() if row[0] == 0] == [(0, HOUR + n * 10_000) for n in range(120)]
    assert len(sink.rows()) == 240
    assert [at_ms for chunk in sink.chunks for at_ms, _ in chunk.draws] == [HOUR + n for n in range(0, 20, 5)]
    assert [chunk.first_seq for chunk in sink.chunks] == [1, 4, 6, 8]


def test_means_do_not_care_for_restarts(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A writer that is started anew all the time makes the means of one that never stops."""
    other = open_site(tmp_path_factory.mktemp("other"))
    sink, steady_sink = ListSink(), ListSink()
    steady = a_shipper(other, steady_sink)
    for start in range(0, 60, 3):
        for one in (site, other):
            one.append(minutes(start, start + 3), minutes(start, start + 3, point=1))
        asyncio.run(shipped(a_shipper(site, sink)))
        asyncio.run(shipped(steady))

    assert sink.means() == steady_sink.means()
    assert sink.means()[(MINUTE_MS, 0, HOUR)][1] == 1.0
    assert len(sink.means()) == 2 * (59 + 3)


def test_means_of_draws_do_not_care_for_restarts(site: Site) -> None:
    """Each tenant's minutes are whole though the writer is started anew, and gaps of the engine are seen."""
    sink = ListSink()
    for start in (0, 47, 95, 500):
        ticks = range(start, start + 48)
        site.draw([(HOUR + n * 1_000, [a_draw("acme", n * 10**9), a_draw("zeta", 10**9)]) for n in ticks])
        asyncio.run(shipped(a_shipper(site, sink)))

    means = [mean for chunk in sink.chunks for mean in chunk.draw_means if mean.step_ms == MINUTE_MS]
    acme = {mean.start_ms: mean for mean in means if mean.tenant == "acme"}
    first, second, last = (acme[HOUR + n * MINUTE_MS] for n in (0, 1, 2))
    assert first.figures["best"] == pytest.approx(sum(range(60)) / 60)
    assert second.figures["low"] == pytest.approx(sum(range(60, 120)) / 60 - 1e-9)
    assert (first.known, second.known, second.most_mw) == (1.0, 1.0, 119.0)
    assert last.known == pytest.approx((142 - 120 + HOLD_MS / 1_000) / 60)
    assert (first.figures["limit"], first.figures["coverage"]) == (300.0, 0.25)
    assert not {"high", "headroom"} & set(first.figures)


def test_draws_of_a_minute_that_goes_on_are_kept_by_the_ledger_alone(site: Site) -> None:
    """A file is written when a minute is over; until then a restart hears its draws again."""
    path, sink = site.folder / "means-list-draws.npz", ListSink()
    shipper = a_shipper(site, sink)
    kept = []
    for start in (0, 30, 60, 90):
        ticks = range(start, start + 30)
        site.draw([(HOUR + n * 1_000, [a_draw("acme", n * 10**9)]) for n in ticks])
        asyncio.run(shipped(shipper))
        kept.append((path.exists(), len(site.ledger.series(0))))

    assert kept == [(False, 30), (False, 60), (True, 0), (True, 30)]


def test_a_minute_of_draws_is_told_once_the_next_one_begins(site: Site) -> None:
    """Also where draws come a minute at a time."""
    sink = ListSink()
    shipper = a_shipper(site, sink)
    told = []
    for start in (0, 60, 120, 180):
        ticks = range(start, start + 60)
        site.draw([(HOUR + n * 1_000, [a_draw("acme", n * 10**9)]) for n in ticks])
        asyncio.run(shipped(shipper))
        told.append(sum(len(chunk.draw_means) for chunk in sink.chunks))

    assert told == [0, 1, 2, 3]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", b"xxxx" * 99, "a damaged entry", None])
def test_a_file_of_means_that_is_damaged_is_done_without(site: Site, damage: bytes | str | None) -> None:
    """The minutes that were open then are made of what comes, and say so by their coverage."""
    sink = ListSink()
    site.append(minutes(0, 2))
    asyncio.run(shipped(a_shipper(site, sink)))
    path = site.folder / "means-list.npz"
    if damage is None:
        path.unlink()
    elif isinstance(damage, bytes):
        path.write_bytes(damage)
    else:
        whole = bytearray(path.read_bytes()[4:])  # as older versions wrote it
        whole[whole.index(b"value.npy") + 200] ^= 0xFF
        path.write_bytes(whole)
    site.append(minutes(2, 4))

    asyncio.run(shipped(a_shipper(site, sink)))

    starts = sorted(start for step, _, start in sink.means() if step == MINUTE_MS)
    assert starts == [HOUR, HOUR + 2 * MINUTE_MS]
    assert sink.means()[(MINUTE_MS, 0, HOUR + 2 * MINUTE_MS)][1] == 1.0


def test_what_is_known_for_means_is_kept_now_and_then(site: Site) -> None:
    """The file is as old as a minute of readings at most, and says at which entry it stands."""
    sink = ListSink()
    shipper = a_shipper(site, sink)
    seqs = []
    for start in range(4):
        site.append(minutes(start, start + 1))
        asyncio.run(shipped(shipper))
        seqs.append(int(load_columns(site.folder / "means-list.npz")["seq"]))

    assert SAVE_MS == MINUTE_MS
    assert seqs == [2, 3, 4, 5]


def test_trouble_says_whether_somebody_must_be_told(site: Site) -> None:
    """A busy database is waited for; one that needs a hand is said to, since when, until it takes all."""
    busy, held = StoreBusy("db", "503"), StoreUnavailable("db", "the token is not valid")
    site.append(minutes(0, 1))
    clock, sink = Clock(), ListSink()
    seen: list[Trouble | None] = []
    shipper = a_shipper(site, sink, clock)

    async def story() -> None:
        for error in (busy, held, busy):
            sink.errors = [error] * 1_000_000
            shipping = asyncio.ensure_future(shipper.ship())
            await sink.is_called(2)
            seen.append(shipper.trouble)
            clock.at_ms += 1_000
            shipping.cancel()
            with suppress(asyncio.CancelledError):
                await shipping
        sink.errors = []
        await shipper.ship()

    asyncio.run(story())

    assert [one and (one.needs_somebody, one.since_ms) for one in seen] == [
        (False, T0_MS),
        (True, T0_MS),
        (False, T0_MS),
    ]
    assert [one and one.text for one in seen] == [str(busy), str(held), str(busy)]
    assert (shipper.trouble, shipper.error) == (None, "")
    assert len(sink.rows()) == 6


def test_what_is_refused_is_dead_lettered(site: Site) -> None:
    """The database's words are kept with the line."""
    refused = Rejection(KEY, b"line", 4, Reason.REFUSED_BY_DATABASE, "field type conflict", T0_MS)
    site.append(minutes(0, 1))
    shipper = a_shipper(site, ListSink(refused=[refused]))

    asyncio.run(shipped(shipper))

    assert shipper.refused == 1
    with closing(JournalReader(site.folder)) as journal:
        assert [letter.detail for letter in journal.dead_letters()] == ["field type conflict"]


def test_catching_up_is_no_faster_than_the_sink_says(site: Site) -> None:
    """What comes after a chunk of a backlog comes no sooner than the sink can be given it."""
    count = 20_000
    times = HOUR + np.arange(count)
    site.append(Batch.of([np.zeros(count), times, times, np.ones(count), np.zeros(count), np.zeros(count)]))
    site.append(minutes(10, 11))
    sink = ListSink(most_per_s=count / 0.5, period_s=0.0)
    clock = Clock()
    shipper = a_shipper(site, sink, clock)

    async def story() -> float:
        running = asyncio.ensure_future(shipper.run())
        await sink.is_called(1)
        begin_s = time.monotonic()
        await sink.is_called(1)
        running.cancel()
        return time.monotonic() - begin_s

    assert asyncio.run(story()) >= 0.45
    assert [len(chunk.batch) for chunk in sink.chunks] == [count, 6]


def test_the_pipeline_says_how_it_does_each_ten_seconds(site: Site) -> None:
    """Its health is shipped though nothing else is, and no more often."""
    clock, sink = Clock(), ListSink()
    health = Health(at_ms=T0_MS, figures={"received": 1.0})
    shipper = a_shipper(site, sink, clock, health=lambda: health)

    for clock.steady_s in (0.0, 5.0, 10.0, 15.0):
        asyncio.run(shipped(shipper))

    assert [list(chunk.health) for chunk in sink.chunks] == [[health], [health]]


def test_rows_of_doubt_are_not_shipped(site: Site) -> None:
    """A row that only says that a value was refused is no reading."""
    site.append(a_batch([(0, T0_MS, np.nan)], quality=Quality.REFUSED), minutes(0, 1))
    sink = ListSink()

    asyncio.run(shipped(a_shipper(site, sink)))

    assert len(sink.rows()) == 6


# What readings mean -------------------------------------------------------------------------


def power_of(rack: str) -> Known:
    """Return point 0 as that of a rack."""
    return Known(0, replace(known_racks(["r1"])[0].point, asset=AssetId(rack)))


def meant(sink: ListSink) -> list[tuple[str, list[float]]]:
    """Return of each chunk whose readings it has, and their values."""
    return [(chunk.points[0].asset, chunk.batch.value.tolist()) for chunk in sink.chunks if len(chunk.batch)]


@pytest.mark.parametrize("restarts", [True, False], ids=["after a start", "catching up"])
def test_readings_mean_what_was_described_before_them(site: Site, *, restarts: bool) -> None:
    """A point is described otherwise while readings wait: what came before keeps its meaning."""
    sink = ListSink()
    shipper = None if restarts else a_shipper(site, sink)
    for number, rack in enumerate(["A-01", "B-07", "C-02"]):
        site.journal.append(Intake(known=[power_of(rack)]), T0_MS)
        site.append(a_batch([(0, HOUR + number, float(number))]))
        site.append(a_batch([(0, HOUR + number + 500, float(number))]))

    asyncio.run(shipped(shipper or a_shipper(site, sink)))

    assert meant(sink) == [("A-01", [0.0, 0.0]), ("B-07", [1.0, 1.0]), ("C-02", [2.0, 2.0])]


def test_what_was_stored_and_not_noted_is_sent_again_as_it_was(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the cursor is kept: the same readings of the same point, which overwrite themselves."""
    sink = ListSink()
    site.journal.append(Intake(known=[power_of("A-01")]), T0_MS)
    site.append(a_batch([(0, HOUR, 100.0)]))
    with monkeypatch.context() as patch:
        patch.setattr(Shipper, "_settle", lambda _: None)
        asyncio.run(shipped(a_shipper(site, sink)))
    site.journal.append(Intake(known=[power_of("B-07")]), T0_MS)
    site.append(a_batch([(0, HOUR + 1, 23.0)]))

    asyncio.run(shipped(a_shipper(site, sink)))

    assert meant(sink) == [("A-01", [100.0]), ("A-01", [100.0]), ("B-07", [23.0])]


def test_a_point_that_is_described_the_same_ends_no_chunk(site: Site) -> None:
    """Metadata is repeated all the time; new points change the meaning of none."""
    sink = ListSink()
    for number in range(3):
        site.append(a_batch([(0, HOUR + number, 1.0)]))
        site.journal.append(Intake(known=[*site.known]), T0_MS)

    asyncio.run(shipped(a_shipper(site, sink)))

    assert len(sink.chunks) == 1
