"""The journal over any history: appends, failures, kills and trimming in any order.

A model keeps what was acknowledged. Each reader must get each entry once, in order; every reading is stored
once however often it is delivered; the account adds up.
"""

from __future__ import annotations

import math
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import store.sqlite
from facility.errors import StoreUnavailable
from facility.readings import Quality, Reason
from store.journal.entries import Entry, Mark
from store.journal.intake import Intake
from store.journal.journal import Journal
from store.sqlite import transaction
from testing.builders import T0_MS, a_batch, known_racks
from testing.store.journals import a_mark, everything, failing, image, refusal, rows_of

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
READERS = ("rules", "influx")
POINTS = 4
ROWS = st.lists(st.tuples(st.integers(0, POINTS - 1), st.integers(0, 60), st.integers(0, 1)), max_size=6)


def values_of(entries: Sequence[Entry]) -> list[tuple[int, int, float]]:
    """Return the readings of entries that are values; a conflict also leaves a doubt, which is none."""
    return [row for row in rows_of(entries) if not math.isnan(row[2])]


class JournalHistory(RuleBasedStateMachine):
    """A journal and what it must hold."""

    def __init__(self) -> None:
        super().__init__()
        # In memory where that can be: what is tested is what the files hold, not how soon the disk has them.
        self.root = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.starts = 0
        self.folder = self.root / "0"
        self.journal = Journal(self.folder)
        self.journal.append(Intake(known=list(known_racks(["a", "b", "c", "d"]))), T0_MS)
        self.now_ms = T0_MS
        self.stored: dict[tuple[int, int], float] = {}
        self.order: list[tuple[int, int, float]] = []
        self.marks: list[str] = []
        self.account: Counter[str] = Counter()
        self.cursor = dict.fromkeys(READERS, 0)
        self.read: dict[str, list[object]] = {name: [] for name in READERS}
        for name in READERS:
            self.journal.reader(name)

    def teardown(self) -> None:
        """Read to the end, compare, and leave nothing behind."""
        for name in READERS:
            self.follow(name, 1_000)
            readings = [row for row in self.read[name] if isinstance(row, tuple)]
            marks = [row for row in self.read[name] if isinstance(row, str)]
            assert readings == self.order
            assert marks == self.marks
        self.journal.close()
        shutil.rmtree(self.root)

    # What happens ---------------------------------------------------------------------

    @rule(rows=ROWS, letters=st.integers(0, 2), later_ms=st.sampled_from([0, 1, 500_000]))
    def append(self, rows: list[tuple[int, int, int]], letters: int, later_ms: int) -> None:
        """Append readings, new ones and such as were there before, and dead letters."""
        self.now_ms += later_ms
        self.take(self.intake(rows, letters))

    @precondition(lambda self: self.order)
    @rule(picked=st.lists(st.integers(0, 10_000), min_size=1, max_size=4))
    def redeliver(self, picked: list[int]) -> None:
        """A broker delivers again what it has no acknowledgement of; what is in the journal is known."""
        there = values_of(everything(self.journal))
        if there:
            self.take(Intake(batch=a_batch([there[i % len(there)] for i in picked])))

    @rule(rows=ROWS, was_taken=st.booleans(), retry=st.booleans())
    def append_on_a_bad_disk(self, rows: list[tuple[int, int, int]], *, was_taken: bool, retry: bool) -> None:
        """The disk fails at the end of an append; it is tried again, or the process ends before that."""
        intake = self.intake(rows, 1)
        patch = pytest.MonkeyPatch()
        patch.setattr(
            store.sqlite,
            "transaction",
            failing(transaction, sqlite3.SQLITE_IOERR_FSYNC, was_taken=was_taken),
        )
        with pytest.raises(StoreUnavailable):
            self.journal.append(intake, self.now_ms)
        patch.undo()
        if retry:
            self.take(intake)
        else:
            self.kill()
            if was_taken:
                self.expect(intake)

    @rule(detail=st.sampled_from(["lost", "back"]))
    def mark(self, detail: str) -> None:
        """Append a mark."""
        self.journal.append(Intake(marks=[a_mark(detail)]), self.now_ms)
        self.marks.append(detail)

    @rule()
    def kill(self) -> None:
        """Start anew on what a kill leaves."""
        self.starts += 1
        folder = image(self.folder, self.root / str(self.starts))
        self.journal.close()
        self.folder, self.journal = folder, Journal(folder)

    @rule(name=st.sampled_from(READERS), most=st.integers(1, 5))
    def follow(self, name: str, most: int) -> None:
        """Let a reader read on, in pages, and note its place after each."""
        while entries := self.journal.read(self.cursor[name], most):
            for entry in entries:
                assert entry.seq > self.cursor[name]
                self.cursor[name] = entry.seq
                if isinstance(entry.content, Mark):
                    self.read[name].append(entry.content.detail)
                else:
                    self.read[name] += values_of([entry])
            self.journal.set_reader(name, self.cursor[name])
            if len(entries) < most:
                return

    @precondition(lambda self: any(self.cursor.values()))
    @rule(before_ms=st.sampled_from([0, 400_000, 10**9]), most=st.sampled_from([0, 10**9]))
    def trim(self, before_ms: int, most: int) -> None:
        """Drop what is old, or all that can be dropped."""
        self.journal.trim(T0_MS + before_ms, most)
        self.now_ms += 1_000
        left = [entry.seq for entry in everything(self.journal) if not isinstance(entry.content, tuple)]
        assert left == sorted(left)
        slowest = min(self.cursor.values())
        missing = set(range(slowest + 1, self.journal.head_seq + 1)) - {
            entry.seq for entry in everything(self.journal)
        }
        assert not missing, "something was dropped that a reader has not read"

    # What must hold -------------------------------------------------------------------

    @invariant()
    def adds_up(self) -> None:
        """The account is that of all that was acknowledged."""
        account = self.journal.account()
        found = Counter(account.dead_lettered) + Counter(stored=account.stored, duplicates=account.duplicates)
        assert found == +self.account

    # Inside ---------------------------------------------------------------------------

    def intake(self, rows: list[tuple[int, int, int]], letters: int) -> Intake:
        """Return an intake whose readings are of the last minute."""
        drawn = [(point, self.now_ms - 60 + late, float(value)) for point, late, value in rows]
        return Intake(
            batch=a_batch(drawn, quality=Quality.GOOD), rejections=[refusal(i) for i in range(letters)]
        )

    def take(self, intake: Intake) -> None:
        """Append, and note what the journal then holds."""
        added = self.journal.append(intake, self.now_ms)
        assert added.received == len(intake.batch) + len(intake.rejections)
        self.expect(intake)

    def expect(self, intake: Intake) -> None:
        """Note what becomes of an intake."""
        self.account[Reason.BAD_JSON.value] += len(intake.rejections)
        batch = intake.batch
        for row in zip(batch.point.tolist(), batch.source_ms.tolist(), batch.value.tolist(), strict=True):
            key, value = row[:2], row[2]
            if key not in self.stored:
                self.stored[key] = value
                self.order.append(row)
                self.account["stored"] += 1
            elif self.stored[key] == value:
                self.account["duplicates"] += 1
            else:
                self.account[Reason.CONFLICTING_VALUE.value] += 1


JournalHistory.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestJournalHistory = JournalHistory.TestCase
