"""Judging on a journal that is there already, for the tests of the service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facility.site import Site
from facility.sitefile.tables import EngineTable
from rules.engine.judging import Judging
from rules.engine.service import RulesService
from rules.notify.links import Links
from rules.notify.routing import Route
from rules.notify.telling import Teller
from store.journal.entries import Entry
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.rules.halls import Tape


@dataclass
class Recorded:
    """A journal that is there already.

    Attributes:
        entries: What it holds.
    """

    entries: Sequence[Entry]

    def read(self, after_seq: int, most: int = 1_000) -> list[Entry]:
        """Return what comes next."""
        return [entry for entry in self.entries if entry.seq > after_seq][:most]

    def promise(self, floor_ms: int) -> None:
        """Nothing comes any more."""

    def set_reader(self, name: str, seq: int) -> None:
        """Nothing is dropped."""

    def point_entries(self) -> list[Entry]:
        """Return what makes points known."""
        return [entry for entry in self.entries if isinstance(entry.content, tuple)]


@dataclass
class Hand:
    """A clock that is moved by hand.

    Attributes:
        at_ms: What it shows [ms].
    """

    at_ms: int = T0_MS

    def now_ms(self) -> int:
        """Return the time [ms]."""
        return self.at_ms

    def monotonic_s(self) -> float:
        """Return the time [s]."""
        return self.at_ms / 1_000


def judge_as_it_comes(
    judging: Judging,
    tape: Tape,
    ledger: Ledger,
    folder: Path,
    *,
    site: Site,
    routes: Sequence[Route] = (Route(name="pager"),),
    links: Links | None = None,
) -> RulesService:
    """Judge a journal entry by entry from where the judging before was stopped, and save the state.

    Returns:
        What judged it.
    """
    judged, _ = ledger.cursor()
    heard = Tape(tape.entries[:judged])
    service = a_service(judging, heard, ledger, folder, site=site, routes=routes, links=links)
    service.start()
    for entry in tape.entries[judged:]:
        heard.entries.append(entry)
        service.step(entry.stamp_ms)
    service.save_snapshot()
    return service


def a_service(
    judging: Judging,
    tape: Tape,
    ledger: Ledger,
    folder: Path,
    *,
    site: Site,
    routes: Sequence[Route] = (Route(name="pager"),),
    links: Links | None = None,
) -> RulesService:
    """Return judging on a recorded journal; everything goes to one route where none are named."""
    return RulesService(
        judging,
        Recorded(tape.entries),
        ledger,
        teller=Teller(ledger, judging.rules, site=site, routes=routes, links=links),
        folder=folder,
        clock=Hand(),
        rhythm=EngineTable(),
        told=lambda: None,
    )
