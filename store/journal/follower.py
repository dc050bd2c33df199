"""The journal, followed from another process than the collector's."""

from __future__ import annotations

from pathlib import Path

from store.journal.file import MIGRATIONS, JournalReader, put_reader, register_reader
from store.sqlite import Writer, alone, open_writer, saving


class JournalFollower(JournalReader):
    """The journal, as an engine or a writer in another process than the collector follows it.

    What it writes is its place, and how far it has judged; neither needs to survive a loss of power, for
    after one it starts from its snapshot.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._writer = self._open_writer()

    def _open_writer(self) -> Writer:
        writer = open_writer(self.path, MIGRATIONS)
        writer.execute("PRAGMA synchronous = NORMAL")
        writer.is_proven = True
        return writer

    def _look(self) -> None:
        before = self._file
        super()._look()
        if self._file != before:
            self._writer.close()
            self._writer = self._open_writer()

    @alone
    def close(self) -> None:
        """Close the file."""
        super().close()
        self._writer.close()

    @alone
    def promise(self, floor_ms: int) -> None:
        """Tell the collector that nothing may be stamped at or before `floor_ms` any more.

        Raises:
            StoreUnavailable: Where the disk did not take it.
        """
        with saving(self._writer, self.path) as writer:
            writer.execute(
                "INSERT INTO promise VALUES (1, ?)"
                " ON CONFLICT (id) DO UPDATE SET floor_ms = max(floor_ms, excluded.floor_ms)",
                (floor_ms,),
            )

    @alone
    def set_reader(self, name: str, seq: int) -> None:
        """Note that a reader needs nothing up to and including entry `seq` any more."""
        with saving(self._writer, self.path) as writer:
            put_reader(writer, name, seq)

    @alone
    def reader(self, name: str) -> int:
        """Return up to which entry a reader has read for good; from then on trimming waits for it.

        Raises:
            StoreUnavailable: Where the disk did not take that.
        """
        known = self.readers().get(name)
        if known is None:
            with saving(self._writer, self.path) as writer:
                register_reader(writer, name)
        return known or 0
