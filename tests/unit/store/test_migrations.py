"""Files of every version that ever was are brought up to date; what is no version of ours is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from facility.errors import ContentRefused, StoreForeign, StoreUnavailable
from store.journal import file as journalfile
from store.journal.file import JournalReader
from store.journal.journal import Journal
from store.ledger import ledger
from store.ledger.ledger import Ledger, LedgerReader
from store.sqlite import Migration, open_writer, saving
from testing.builders import T0_MS
from testing.store.journals import everything, many, rows_of
from testing.store.ledgers import ROUTE, a_draw, keys, progress, state

LISTS = {"journal": journalfile.MIGRATIONS, "ledger": ledger.MIGRATIONS}
VERSIONS = [(name, version) for name, found in LISTS.items() for version in range(1, len(found) + 1)]


def shape(path: Path) -> list[tuple[str, str]]:
    """Return the tables and indices of a file, as they were made."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


def made(path: Path, migrations: Sequence[Migration]) -> Path:
    """Make a file as a version with these migrations did."""
    open_writer(path, migrations).close()
    return path


def version_of(path: Path) -> int:
    """Return the version that a file carries."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_a_file_of_every_older_version_becomes_what_a_new_one_is(
    tmp_path: Path, name: str, version: int
) -> None:
    """Whatever version it begins at, tables and indices come out the same."""
    migrations = LISTS[name]
    old = made(tmp_path / "old", migrations[:version])
    assert version_of(old) == version

    open_writer(old, migrations).close()

    assert version_of(old) == len(migrations)
    assert shape(old) == shape(made(tmp_path / "new", migrations))


def test_a_ledger_of_version_1_keeps_its_alarms_its_pages_and_its_series(tmp_path: Path) -> None:
    """The series of version 1 did not say of what a row is; it is read all the same."""
    path = tmp_path / ledger.FILE
    made(path, ledger.MIGRATIONS)
    with closing(Ledger(tmp_path)) as new:
        new.save(progress(("a1", "opened", T0_MS)))
        after = state(new)
    with closing(sqlite3.connect(path)) as connection, connection:
        (body,) = connection.execute("SELECT body FROM series").fetchone()
        unnamed = [row[1:] for row in msgspec.msgpack.decode(body)]
        connection.execute("UPDATE series SET body = ?", (msgspec.msgpack.encode(unnamed),))
        for index in ("outbox_order", "outbox_refused", "outbox_alarm", "alarm_returned"):
            connection.execute(f"DROP INDEX {index}")
        for trigger in ("outbox_came", "outbox_changed"):
            connection.execute(f"DROP TRIGGER {trigger}")
        for index in ("outbox_gravity", "outbox_first", "outbox_next"):
            connection.execute(f"DROP INDEX {index}")
        connection.execute("ALTER TABLE outbox DROP COLUMN gravest")
        connection.execute("DROP TABLE demand_block")
        connection.execute("DROP TABLE suppression")
        connection.execute("DROP INDEX alarm_acknowledged")
        for column in ("suppression", "suppression_id"):
            connection.execute(f"ALTER TABLE alarm DROP COLUMN {column}")
        connection.execute("PRAGMA user_version = 1")

    with closing(Ledger(tmp_path)) as found:
        assert state(found) == after
        assert [draws for _, _, draws in found.series(0)] == [[a_draw()]]
        assert keys(found.due(T0_MS + 100, ROUTE)) == ["a1:opened"]


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """All steps and the version come together, or none does."""
    path = made(tmp_path / "file", [("CREATE TABLE one (a)",)])
    before = shape(path)

    with pytest.raises(StoreForeign, match="nonsense"):
        open_writer(path, [("CREATE TABLE one (a)",), ("CREATE TABLE two (b)", "nonsense")])

    assert (shape(path), version_of(path)) == (before, 1)


def test_an_old_schema_is_never_stamped_as_new(tmp_path: Path) -> None:
    """A file that says the right version and lacks a column is refused, with both named."""
    path = tmp_path / ledger.FILE
    made(path, ledger.MIGRATIONS)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE alarm DROP COLUMN peak")

    with pytest.raises(StoreForeign, match=r"expected a table alarm .*peak.* found .*suppression_id\)"):
        Ledger(tmp_path)


@pytest.mark.parametrize("version", [-1, 99])
@pytest.mark.parametrize("opened", [Ledger, LedgerReader, Journal, JournalReader])
def test_an_unknown_version_is_refused_with_words_and_left_alone(
    tmp_path: Path, opened: type, version: int
) -> None:
    """Whoever opens it, for writing or for reading, learns what was found and what to do."""
    for file, migrations in ((ledger.FILE, ledger.MIGRATIONS), (journalfile.FILE, journalfile.MIGRATIONS)):
        with closing(sqlite3.connect(made(tmp_path / file, migrations))) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        (tmp_path / file).with_suffix(".before").write_bytes((tmp_path / file).read_bytes())

    with pytest.raises(StoreForeign, match=rf"found version {version}: run the version of Megawatch"):
        opened(tmp_path)

    for path in tmp_path.glob("*.before"):
        assert path.with_suffix(".sqlite").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("opened", [Ledger, Journal])
def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, opened: type) -> None:
    """It has tables and no version of ours."""
    for file in (ledger.FILE, journalfile.FILE):
        with closing(sqlite3.connect(tmp_path / file)) as connection, connection:
            connection.execute("CREATE TABLE sparrows (id)")

    with pytest.raises(StoreForeign, match="found one with the tables sparrows"):
        opened(tmp_path)


def test_whoever_reads_is_told_to_start_the_monitor_where_a_file_is_old(tmp_path: Path) -> None:
    """Reading brings nothing up to date; a file in which nothing is yet has no monitor."""
    made(tmp_path / ledger.FILE, ledger.MIGRATIONS[:1])
    with pytest.raises(StoreForeign, match="found version 1: start the monitor once"):
        LedgerReader(tmp_path)

    (tmp_path / ledger.FILE).write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="nothing has been written to it yet"):
        LedgerReader(tmp_path)


def test_a_path_with_signs_of_an_address_is_read(tmp_path: Path) -> None:
    """A reader names its file by an address, in which some characters mean something else."""
    folder = tmp_path / "a?b#c%20d"
    with closing(Journal(folder)) as journal:
        journal.append(many(1), T0_MS)
        expected = rows_of(everything(journal))

        with closing(JournalReader(folder)) as reader:
            assert rows_of(reader.read(0)) == expected


# What an error means ------------------------------------------------------------------------

PLAIN: Sequence[Migration] = [("CREATE TABLE one (a INTEGER PRIMARY KEY, b TEXT UNIQUE) STRICT",)]


@pytest.mark.parametrize(
    ("values", "statement"),
    [
        ((1, "taken"), "INSERT INTO one VALUES (?, ?)"),
        ((2**63, "integer"), "INSERT INTO one VALUES (?, ?)"),
        ((3, "\ud800"), "INSERT INTO one VALUES (?, ?)"),
        (("text", "integer"), "INSERT INTO one VALUES (?, ?)"),
    ],
    ids=["constraint", "integer beyond 64 bits", "lone surrogate", "type"],
)
def test_what_can_not_be_kept_is_not_taken_for_a_disk_that_refuses(
    tmp_path: Path, values: tuple[object, ...], statement: str
) -> None:
    """It would be tried for ever."""
    path = tmp_path / "file"
    with closing(open_writer(path, PLAIN)) as connection:
        with saving(connection, path):
            connection.execute("INSERT INTO one VALUES (1, 'taken')")

        with pytest.raises(ContentRefused), saving(connection, path):
            connection.execute(statement, values)

        assert connection.execute("SELECT a FROM one").fetchall() == [(1,)]


def test_a_table_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    """A table that somebody dropped does not come back by waiting."""
    path = tmp_path / "file"
    with closing(open_writer(path, PLAIN)) as connection:
        connection.execute("DROP TABLE one")

        with pytest.raises(StoreForeign, match="no such table"), saving(connection, path):
            connection.execute("INSERT INTO one VALUES (1, 'a')")
