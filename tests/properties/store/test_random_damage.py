"""Random damage of each file that we keep: whoever opens, reads and writes it goes on, or says why not."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
import structlog

from facility.errors import MegawatchError, StoreForeign
from store.history.reader import ParquetHistory
from store.history.sealing import ParquetSink
from store.journal import file as journalfile
from store.journal.file import JournalReader
from store.journal.intake import Intake
from store.journal.journal import Journal
from store.ledger import ledger
from store.ledger.ledger import Ledger
from store.means.accumulator import Meaner
from store.means.columnfile import load_columns, save_columns
from testing.builders import T0_MS
from testing.megawatch.saying import read_status
from testing.store.histories import ALL, KEY, a_draw, open_site, ramp, seal
from testing.store.journals import a_mark, noisy, refusal, waits
from testing.store.ledgers import ROUTE, a_notice, an_alarm, progress

FEW, MANY = 20, 2_000
"""How often each file is damaged in the suite, and in the soak."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data folder with every file that is kept."""
    folder = tmp_path_factory.mktemp("original")
    site = open_site(folder)
    site.append(ramp(0, 30), ramp(30, 60, point=1))
    site.draw([(T0_MS, [a_draw("acme", 1)])])
    seal(folder, site.chunk(0))
    site.append(ramp(60, 90))
    rest = Intake(marks=[a_mark()], rejections=[refusal()], waiting=[waits(1)])
    rest.metadata = {"topic": b'{"unit":"kW"}'}
    site.journal.append(rest, T0_MS + 10)
    site.ledger.save(progress(*((f"a{number}", "opened", T0_MS + number) for number in range(20))))
    meaner = Meaner()
    meaner.learn(0, 1_000)
    save_columns(folder / "means-history.npz", meaner.state())
    (folder / "status").mkdir()
    (folder / "status" / "all.json").write_text('{"site":"hall","at_ms":1,"is_running":true,"checksum":9}')
    shutil.copytree(folder, folder.with_name("kept"))  # as a kill leaves it, with the logs
    site.close()
    shutil.copytree(folder, folder.with_name("closed"))
    return folder.parent


def damage(source: random.Random, path: Path) -> None:
    """Flip bits of a file, cut it, lengthen it, or overwrite a stretch of it."""
    data = bytearray(path.read_bytes())
    kind = source.choice(("bit", "bits", "cut", "longer", "zeros", "noise", "empty"))
    place = source.randrange(len(data)) if data else 0
    length = source.choice((1, 16, 512, 4_096))
    if kind == "empty" or not data:
        data = bytearray()
    elif kind == "cut":
        del data[place:]
    elif kind == "longer":
        data += source.randbytes(length)
    elif kind in ("bit", "bits"):
        for _ in range(1 if kind == "bit" else 20):
            data[source.randrange(len(data))] ^= 1 << source.randrange(8)
    else:
        end = min(len(data), place + length)
        data[place:end] = bytes(end - place) if kind == "zeros" else source.randbytes(end - place)
    path.write_bytes(data)


def use_journal(folder: Path) -> None:
    """Do what a monitor does with a journal."""
    with suppress(MegawatchError), closing(JournalReader(folder)) as reader:
        reader.read(0)
        reader.known()
        reader.account()
        reader.dead_letters()
    try:
        journal = Journal(folder)
    except StoreForeign:
        return  # named with its remedy; the monitor tells that
    with closing(journal):
        journal.known()
        journal.metadata()
        journal.waiting()
        journal.account()
        seq = 0
        while entries := journal.read(seq):
            seq = entries[-1].seq
        before = journal.head_seq
        journal.append(noisy(9_000_000, 5), T0_MS + 99)
        assert journal.head_seq == journal.read(before)[-1].seq > before
        journal.set_reader("rules", 1)
        journal.trim(T0_MS, 10**9)


def use_ledger(folder: Path) -> None:
    """Do what a monitor does with a ledger."""
    try:
        book = Ledger(folder)
    except StoreForeign:
        return
    with closing(book):
        book.alarms()
        book.alarm("a")
        book.changes(0)
        book.series(0)
        book.cursor()
        for notice in book.due(T0_MS + 10**6, ROUTE):
            book.settle(notice)
        book.save(progress(("b1", "opened", T0_MS + 500)))
        book.acknowledge(an_alarm("b1"), by="me", at_ms=T0_MS)
        assert "b1" in {alarm.id for alarm in book.alarms()}
        assert a_notice("b1").key in {notice.key for notice in book.notices()}


def use_history(folder: Path) -> None:
    """Read and write a history; its journal still holds all readings."""
    with closing(ParquetHistory(folder)) as history:
        found = history.readings(KEY, *ALL)
        assert found.value.tolist() == [float(number) for number in (*range(30), *range(60, 90))]
        history.means(KEY, T0_MS // 60_000 * 60_000, T0_MS + 120_000, 60_000)
        history.draw("acme", "best", *ALL)
    sink = ParquetSink(folder, merges=False)
    while sink._merger.check():
        pass
    asyncio.run(sink.close())
    with closing(ParquetHistory(folder)) as history:
        assert history.readings(KEY, *ALL).value.tolist() == found.value.tolist()


def use_means(folder: Path) -> None:
    """Read a cache of means."""
    columns = load_columns(folder / "means-history.npz")
    if columns:
        Meaner().restore(columns)


FILES: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "journal": ("closed", journalfile.FILE, use_journal),
    "journal with its log": ("kept", journalfile.FILE, use_journal),
    "the journal's log": ("kept", f"{journalfile.FILE}-wal", use_journal),
    "ledger": ("closed", ledger.FILE, use_ledger),
    "the ledger's log": ("kept", f"{ledger.FILE}-wal", use_ledger),
    "sealed.json": ("closed", "history/sealed.json", use_history),
    "readings": ("closed", "history/reading/**/part-*.parquet", use_history),
    "checksum": ("closed", "history/reading/**/.part-*.crc32", use_history),
    "means": ("closed", "history/minute/**/part-*.parquet", use_history),
    "draws": ("closed", "history/tenant_draw/**/part-*.parquet", use_history),
    "means cache": ("closed", "means-history.npz", use_means),
    "status": ("closed", "status/all.json", read_status),
}


@pytest.mark.parametrize(
    "times", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.soak)]
)
@pytest.mark.parametrize("name", FILES)
def test_random_damage_ends_nothing(original: Path, tmp_path: Path, name: str, times: int) -> None:
    """The seed of a failure is in its message."""
    image, pattern, use = FILES[name]
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    try:
        for seed in range(times):
            folder = tmp_path / "data"
            shutil.copytree(original / image, folder)
            path = next(folder.glob(pattern))
            damage(random.Random(f"{name} {seed}"), path)  # noqa: S311 - no secret
            try:
                use(folder)
            except Exception as error:
                raise AssertionError(f"{name}, seed {seed}: {error!r}") from error
            shutil.rmtree(folder)
    finally:
        structlog.reset_defaults()
