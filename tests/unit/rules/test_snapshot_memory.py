"""What a snapshot needs beside the state that it keeps: it is written every half minute."""

from __future__ import annotations

from pathlib import Path

from rules.engine import snapshot
from testing.operations import peak_of
from testing.rules.halls import a_judging, one_tenant

PLACES = 100_000


def test_a_snapshot_is_written_and_read_in_less_memory_than_it_has_bytes(tmp_path: Path) -> None:
    """One judgement is copied at a time, and never the file."""
    site = one_tenant()
    judging, again = a_judging(site), a_judging(site)
    for engine in judging.engines.values():
        engine.knowledge.heard.grow(PLACES)
    path = tmp_path / snapshot.FILE

    written = peak_of(lambda: snapshot.save(judging, path))
    read = peak_of(lambda: snapshot.load(again, path, []))

    size = path.stat().st_size
    assert size > 200 * PLACES
    assert written < size
    # What is read is kept, and of one judgement it is there twice for a moment.
    assert read < 2 * size
