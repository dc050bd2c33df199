"""The composition root: what a monitor is made of, live, replayed, rehearsed and in the demo alike.

Registries say which decoder, receiver and history a site file means (`collector.decode.registry`,
`rules.notify.registry`, `store.histories`); the functions here put together what stands between them. What
differs from one use to another is given: the journal, the ledger, the clock, and where pages go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path

from collector.decode.base import Context
from collector.register import Register
from collector.row_builder import Ranges
from facility.instants import Clock
from facility.sitefile.reader import SiteFile
from megawatch.site.timings import timing
from rules.base import Rule
from rules.engine.judging import Judging
from rules.engine.service import Book, RulesService, Source
from rules.engine.settled import Patience
from rules.notify.routing import Route
from store.journal.entries import Known
from store.journal.file import Waiting


def make_context(
    file: SiteFile, known: Mapping[int, Known] | None = None, waiting: Iterable[Waiting] = ()
) -> Context:
    """Return what the decoders of a site share.

    Args:
        file: The site file.
        known: The points that an earlier run knew, by their numbers.
        waiting: The messages that wait for their metadata since then.
    """
    return Context(
        site=file.site,
        register=Register(known or {}, [broker.name for broker in file.brokers]),
        ranges=Ranges(),
        waiting_numbers=count(max((item.id for item in waiting), default=0) + 1),
    )


def make_judging(file: SiteFile, rules: Sequence[Rule]) -> Judging:
    """Return engines that have taken nothing.

    Args:
        file: The site file.
        rules: The rules, with the parameters that it sets.
    """
    rhythm = file.engine
    return Judging(
        file.site,
        {source.name: timing(source) for source in file.sources},
        rules,
        tick_ms=rhythm.tick_ms,
        lateness_ms=rhythm.lateness_ms,
        patience=Patience(
            grace_ms=round(rhythm.settle_after_s * 1_000),
            silent_ms=round(rhythm.wait_for_silent_s * 1_000),
            away_ms=round(rhythm.wait_for_broker_s * 1_000),
        ),
    )


def make_rules_service(
    file: SiteFile,
    judging: Judging,
    source: Source,
    ledger: Book,
    *,
    routes: Sequence[Route],
    clock: Clock,
    folder: Path | None = None,
    told: Callable[[], None] = lambda: None,
) -> RulesService:
    """Return judging on a journal.

    Args:
        file: The site file.
        judging: Engines that have taken nothing.
        source: The journal.
        ledger: Where what it brings is saved.
        routes: Which notifications go where.
        clock: The clock.
        folder: The data folder, where the snapshot is; None where none is kept.
        told: Is called when something is to be told.
    """
    return RulesService(
        judging,
        source,
        ledger,
        site=file.site,
        routes=routes,
        folder=folder,
        clock=clock,
        rhythm=file.engine,
        told=told,
    )
