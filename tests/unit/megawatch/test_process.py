"""What holds for a process that runs until it is stopped."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from types import SimpleNamespace

import pytest

from megawatch.run.process import (
    ARENA_MAX,
    ARENAS,
    BLOCK_BYTES,
    MMAP_THRESHOLD,
    TRIM_THRESHOLD,
    TURN_S,
    give_back_memory,
    give_back_pages,
    run_until_stopped,
)


def test_the_loop_waits_for_other_threads_for_a_millisecond_at_a_time() -> None:
    """Python's own 5 ms, once for each thread at work, are a stop that others notice."""
    before, found = sys.getswitchinterval(), []

    async def look() -> None:
        found.append(sys.getswitchinterval())

    try:
        asyncio.run(run_until_stopped(look))
    finally:
        sys.setswitchinterval(before)

    assert found == [TURN_S]


def test_glibc_is_told_to_give_back_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few arenas, and large blocks by themselves."""
    told: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda setting, value: told.append((setting, value)))
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)

    give_back_memory()

    assert told == [(ARENA_MAX, ARENAS), (MMAP_THRESHOLD, BLOCK_BYTES), (TRIM_THRESHOLD, BLOCK_BYTES)]


def test_free_pages_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them: nothing is kept at the end of the heap."""
    told: list[int] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace(malloc_trim=told.append))

    give_back_pages()

    assert told == [0]


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """One without the setting is no fault."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace())

    give_back_memory()
