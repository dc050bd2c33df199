"""Where the clock was set, the journal says so before it stamps anything by it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from store.journal.entries import Entry, Mark, MarkKind
from store.journal.journal import Journal
from testing.builders import T0_MS
from testing.store.journals import everything, readings

HOUR_MS = 3_600_000


@dataclass
class SetClock:
    """A clock that a test sets.

    Attributes:
        at_ms: What it says [ms].
        step: What it said before it was set, and says since [ms].
    """

    at_ms: int = T0_MS
    step: tuple[int, int] | None = None

    def now_ms(self) -> int:
        """Return the time [ms]."""
        return self.at_ms

    def monotonic_s(self) -> float:
        """Return the time [s]."""
        return self.at_ms / 1_000

    def take_step(self) -> tuple[int, int] | None:
        """Return once how it was set."""
        step, self.step = self.step, None
        return step

    def set(self, at_ms: int) -> None:
        """Set it."""
        self.step, self.at_ms = (self.at_ms, at_ms), at_ms


def kinds(entries: list[Entry]) -> list[str]:
    """Return what entries are, with their stamps [s] after `T0_MS`."""
    return [
        f"{e.content.kind if isinstance(e.content, Mark) else 'batch'} {(e.stamp_ms - T0_MS) // 1_000}"
        for e in entries
    ]


@pytest.mark.parametrize("by_ms", [90_000, -HOUR_MS])
@pytest.mark.parametrize("first", ["append", "promise"])
def test_a_step_is_written_before_anything_is_stamped_by_it(tmp_path: Path, first: str, by_ms: int) -> None:
    """Whoever comes first, a collector or the engine: the mark has the stamp at which time goes on."""
    clock = SetClock()
    journal = Journal(tmp_path, clock)
    journal.append(readings((0, T0_MS, 90.0)), clock.now_ms())
    journal.promise(T0_MS)

    clock.set(T0_MS + by_ms)
    if first == "promise":
        journal.promise(clock.now_ms())
    # A collector that asked the clock before it was set.
    journal.append(readings((0, T0_MS + 1, 91.0)), T0_MS)
    journal.close()

    assert kinds(everything(journal)) == [
        "batch 0",
        f"{MarkKind.STEPPED} {by_ms // 1_000}",
        f"batch {by_ms // 1_000}",
    ]
    mark = everything(journal)[1].content
    assert isinstance(mark, Mark)
    assert abs(mark.since_ms - T0_MS) <= 1


@pytest.mark.shows(MarkKind.STEPPED)
def test_a_restart_cures_a_clock_that_was_fast(tmp_path: Path) -> None:
    """What a process before stamped an hour ahead does not hold the clock of the next."""
    before = Journal(tmp_path, SetClock(T0_MS + HOUR_MS))
    before.append(readings((0, T0_MS, 90.0)), T0_MS + HOUR_MS)
    before.close()

    journal = Journal(tmp_path, SetClock(T0_MS))
    journal.append(readings((0, T0_MS + 1, 91.0)), T0_MS)

    assert kinds(everything(journal)) == ["batch 3600", f"{MarkKind.STEPPED} 0", "batch 0"]
    journal.close()


def test_a_journal_of_a_clock_that_was_not_set_has_no_step(tmp_path: Path) -> None:
    """A stamp that waits for a promise is no clock that went back."""
    clock = SetClock()
    journal = Journal(tmp_path, clock)
    for second in range(5):
        clock.at_ms = T0_MS + second * 1_000
        journal.promise(clock.at_ms + 250)
        journal.append(readings((0, clock.at_ms, 90.0)), clock.at_ms - 100)

    assert {kind.split()[0] for kind in kinds(everything(journal))} == {"batch"}
    journal.close()
