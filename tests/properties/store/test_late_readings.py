"""However late and however often readings come, across starts of any kind: each is stored, and none twice."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import store.journal.deduplication
import store.journal.index
from store.journal.file import FILE
from store.journal.index import index_anew
from store.journal.journal import Journal
from testing.builders import T0_MS
from testing.store.journals import Reading, everything, readings, rows_of

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
POINTS = 3
HOUR_S = 3_600

STEP_S = 20

lags_s = st.sampled_from([0, 1, STEP_S, 3 * STEP_S, 10 * STEP_S, HOUR_S])
rows = st.tuples(st.integers(0, POINTS - 1), lags_s, st.integers(0, 1), st.sampled_from([0, 999]))
steps = st.one_of(
    st.lists(rows, min_size=1, max_size=6),
    st.integers(0, 100),
    st.sampled_from(["restart", "restart without the newest", "restart without the index", "trim"]),
)


def restarted(folder: Path, journal: Journal, how: str) -> Journal:
    """Return a journal after a start, on a file that lacks something."""
    journal.close()
    with closing(sqlite3.connect(folder / FILE)) as connection, connection:
        if how != "restart":
            connection.execute("DELETE FROM newest")
        if how == "restart without the index":
            index_anew(connection)
    return Journal(folder)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=30))
def test_each_reading_is_stored_once(drawn: list[list[tuple[int, int, int, int]] | int | str]) -> None:
    """A model knows what was stored ever, and what the journal holds; a number delivers some of it again."""
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(store.journal.index, "CACHED_READINGS", 8)
        patch.setattr(store.journal.index, "MOST_SWEPT", 5)
        patch.setattr(store.journal.deduplication, "DEPTH", 1)
        folder = Path(name)
        journal, now_ms = Journal(folder), T0_MS
        journal.append(readings(known=[f"r{point}" for point in range(POINTS)]), now_ms)
        ever: set[Reading] = set()
        for step in drawn:
            now_ms += STEP_S * 1_000
            if step == "trim":
                journal.set_reader("rules", journal.head_seq)
                journal.trim(now_ms - 100_000, 10**12)
            elif isinstance(step, str):
                journal = restarted(folder, journal, step)
            else:
                before = set(rows_of(everything(journal)))
                came = (
                    sorted(before)[step : step + 5]
                    if isinstance(step, int)
                    else [
                        (point, now_ms - (lag_s + back_s) * 1_000 + ms, 1.0)
                        for point, lag_s, back_s, ms in step
                    ]
                )
                added = journal.append(readings(*came), now_ms)
                held = rows_of(everything(journal))
                assert len(held) == len(set(held)), "none twice"
                assert set(came) - ever <= set(held), "none is lost"
                assert set(held) >= before, "nothing goes"
                assert added.stored + added.duplicates == len(came)
                assert len(held) == len(before) + added.stored
                ever.update(came)
        journal.close()
