"""Alarms: their machines beside plain objects, a restart with many open ones, and 300 pages at once."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from bench.frame import Figure
from facility.readings import Batch
from facility.site import Site
from rules.alarms.life import Event, State, step
from rules.alarms.states import Bank
from rules.base import Findings, Severity, Verdict
from rules.engine.judging import Judging
from rules.notify.outbox import Outbox
from rules.notify.webhook import WebhookNotifier
from rules.registry import make_rules
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.fakes.webhook import receiver
from testing.rules.halls import AT_ONCE, BUS, EVERY_SECOND, Tape, a_site, known_inlet, racks_of
from testing.rules.services import a_service
from testing.rules.telling import serving
from testing.store.ledgers import put_openings
from testing.waiting import until

SUBJECTS: Final = (2_270, 10_000, 100_000)
BROKEN_SHARE: Final = 0.01
OPEN: Final = 10_000
PAGES: Final = 300
TAKES_S: Final = 0.05


def run(*, quick: bool = False) -> list[Figure]:
    """Measure the machines of a rule, a restart with 10,000 open alarms, and 300 pages at once."""
    figures = [_machines(count, 5 if quick else 20) for count in SUBJECTS]
    figures.append(_restart(1 if quick else 3))
    return figures + asyncio.run(_pages(1 if quick else 3))


# The machines of a rule -----------------------------------------------------------------


def _machines(count: int, ticks: int) -> Figure:
    """Return what a tick of so many subjects costs, of which one in a hundred is above its limit."""
    chance = np.random.default_rng(3)
    names = tuple(f"r{i:06d}" for i in range(count))
    bank = Bank("X1", Severity.HIGH, 0, 5_000)
    plain = [State() for _ in names]
    ours: list[float] = []
    theirs: list[float] = []
    for tick in range(ticks + 2):
        broken = chance.random(count) < BROKEN_SHARE
        found = _findings(broken)
        at_ms = T0_MS + 1_000 * tick
        ours.append(_took_ms(partial(_step_bank, bank, names, found, at_ms)))
        theirs.append(_took_ms(partial(_step_objects, plain, broken.tolist())))
    what = f"a tick of the alarm machines of a rule, {count:,} subjects"
    return Figure(what=what, unit="ms", samples=ours[2:], beside="an object each", theirs=theirs[2:])


def _findings(broken: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Findings:
    return Findings(
        verdict=np.where(broken, Verdict.BREACH, Verdict.CLEAR).astype(np.int8),
        value=broken.astype(np.float64),
        limit=np.zeros(len(broken)),
        returned=~broken,
    )


def _step_bank(bank: Bank, names: tuple[str, ...], found: Findings, at_ms: int) -> None:
    changes = bank.step(names, found, at_ms)
    if changes or bank.has_untold:
        bank.tell(changes, None, found, at_ms)


def _step_objects(states: list[State], broken: list[bool]) -> None:
    """Step the same without delays, one object after the other, by the table."""
    for i, is_broken in enumerate(broken):
        events = (Event.BREACH, Event.ON_DELAY_OVER) if is_broken else (Event.CLEAR,)
        for event in events:
            states[i], _ = step(states[i], event)


def _took_ms(work: Callable[[], None]) -> float:
    begin_s = time.perf_counter()
    work()
    return 1_000 * (time.perf_counter() - begin_s)


# A restart with many open alarms --------------------------------------------------------


def _restart(times: int) -> Figure:
    """Return how long a start takes until the first tick is judged, with 10,000 alarms that stand."""
    names = [f"r{i:05d}" for i in range(OPEN)]
    site, tape, samples = a_site(racks_of(*names)), Tape(), []
    tape.put(T0_MS - 1_000, tuple(known_inlet(i, name) for i, name in enumerate(names)))
    tape.connect(T0_MS - 1_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with closing(Ledger(path)) as ledger:
            before = a_service(_judging(site), tape, ledger, path, site=site)
            before.start()
            for second in range(3):
                tape.put(T0_MS + 1_000 * second, _hot(second))
                before.step(T0_MS + 1_000 * second)
            before.save_snapshot()
            assert len(ledger.alarms(only_open=True)) == OPEN
        tape.put(T0_MS + 3_000, _hot(3))
        for _ in range(times):
            begin_s = time.perf_counter()
            with closing(Ledger(path)) as ledger:
                after = a_service(_judging(site), tape, ledger, path, site=site)
                after.start()
                after.step(T0_MS + 3_000)
                samples.append(time.perf_counter() - begin_s)
                assert after.lag.tick_ms == T0_MS + 3_000
    return Figure(
        what=f"a restart with {OPEN:,} open alarms, to the first tick judged", unit="s", samples=samples
    )


def _hot(second: int) -> Batch:
    at, zeros = np.full(OPEN, T0_MS + 1_000 * second), np.zeros(OPEN)
    return Batch.of([np.arange(OPEN), at, at, np.full(OPEN, 40.0), zeros, zeros])


def _judging(site: Site) -> Judging:
    delays = {"on_delay_s": 0, "agreed_delay_s": 0}
    rules = [rule for rule in make_rules({"T1": delays}, []) if rule.name == "T1"]
    return Judging(site, {BUS: EVERY_SECOND}, rules, tick_ms=1_000, lateness_ms=0, patience=AT_ONCE)


# Many pages at once ---------------------------------------------------------------------


async def _pages(times: int) -> list[Figure]:
    """Return how long 300 pages take into a webhook that takes 50 ms for each, a fifth of them critical."""
    urgent, every = [], []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder, closing(Ledger(Path(folder))) as ledger:
            _put_pages(ledger)
            async with receiver(takes_s=TAKES_S) as pager:
                notifier = WebhookNotifier(pager.url, b"secret", now_ms=_now_ms)
                jitter = random.Random(1)  # noqa: S311 - jitter
                outbox = Outbox(ledger, {"pager": notifier}, now_ms=_now_ms, random_source=jitter)
                begin_ms = _now_ms()
                async with serving(outbox):
                    await until(partial(_is_told, ledger), "every page accepted")
                await notifier.close()
            told = [(n.delivered_ms or 0, n.body["severity"]) for n in ledger.notices()]
            every.append((max(at for at, _ in told) - begin_ms) / 1_000)
            urgent.append((max(at for at, severity in told if severity == "critical") - begin_ms) / 1_000)
    what = f"{PAGES} pages at once, {1_000 * TAKES_S:.0f} ms each: until all are accepted"
    return [
        Figure(what=what, unit="s", samples=every, aim="within 3 s"),
        Figure(what="  until the 60 critical ones are", unit="s", samples=urgent),
    ]


def _is_told(ledger: Ledger) -> bool:
    return not ledger.waiting()


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _put_pages(ledger: Ledger) -> None:
    severities = {f"a{number}": "high" if number % 5 else "critical" for number in range(PAGES)}
    put_openings(ledger, severities, _now_ms())
