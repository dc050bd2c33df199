"""Marks in the journal: what they say survives, also in the form that they had before."""

from __future__ import annotations

import msgspec
import pytest

from store.journal.entries import EntryKind, Mark, MarkKind, pack, unpack
from testing.builders import T0_MS


def test_a_gap_keeps_its_end() -> None:
    """Both ends of a gap are read back."""
    gap = Mark(MarkKind.GAP, "bus", T0_MS, "the broker may have dropped some", T0_MS + 5_000)

    assert unpack(EntryKind.MARK, pack(gap), "here") == gap


def test_a_mark_of_an_older_journal_has_no_end() -> None:
    """Marks had four parts once."""
    old = msgspec.msgpack.encode(["lost", "bus", T0_MS, "cable"])

    assert unpack(EntryKind.MARK, old, "here") == Mark(MarkKind.LOST, "bus", T0_MS, "cable")


@pytest.mark.parametrize("stream", ["", "bus:PUB:GW-5"])
def test_a_mark_keeps_the_stream_that_it_is_of(stream: str) -> None:
    """A mark is of one stream, or of a broker with all of its streams."""
    mark = Mark(MarkKind.LOST, "bus", T0_MS, "death certificate", stream=stream)

    assert unpack(EntryKind.MARK, pack(mark), "here") == mark
    assert mark.scope == (stream or "bus")


def test_a_mark_of_before_streams_is_of_its_broker() -> None:
    """Marks had five parts once."""
    old = msgspec.msgpack.encode(["gap", "bus", T0_MS, "dropped", T0_MS + 5_000])

    mark = unpack(EntryKind.MARK, old, "here")
    assert isinstance(mark, Mark)
    assert mark.scope == "bus"
