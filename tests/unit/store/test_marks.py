"""Marks in the journal: what they say survives, also in the form that they had before."""

from __future__ import annotations

import msgspec

from store.journal.entries import EntryKind, Mark, MarkKind, pack, unpack
from tests.builders import T0_MS


def test_a_gap_keeps_its_end() -> None:
    """Both ends of a gap are read back."""
    gap = Mark(MarkKind.GAP, "bus", T0_MS, "the broker may have dropped some", T0_MS + 5_000)

    assert unpack(EntryKind.MARK, pack(gap), "here") == gap


def test_a_mark_of_an_older_journal_has_no_end() -> None:
    """Marks had four parts once."""
    old = msgspec.msgpack.encode(["lost", "bus", T0_MS, "cable"])

    assert unpack(EntryKind.MARK, old, "here") == Mark(MarkKind.LOST, "bus", T0_MS, "cable")
