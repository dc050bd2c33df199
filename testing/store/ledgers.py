"""Ledgers in tests: alarms, what is told of them, and what ticks bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from store.ledger.alarms import Alarm, AlarmChange, Notice, Progress
from store.ledger.ledger import Ledger, LedgerReader
from store.series import TenantDraw
from testing.builders import T0_MS

ROUTE = "console"


def an_alarm(name: str = "a1", *, returned_ms: int | None = None, severity: str = "high") -> Alarm:
    """Return an alarm."""
    return Alarm(
        id=name,
        rule="C2",
        title="draw above the contract",
        subject="acme",
        severity=severity,
        unit="kW",
        since_ms=T0_MS - 10_000,
        opened_ms=T0_MS,
        returned_ms=returned_ms,
        value=181.0,
        limit=180.0,
        peak=183.5,
    )


def a_change(name: str = "a1", change: str = "opened", at_ms: int = T0_MS) -> AlarmChange:
    """Return a change of an alarm."""
    returned_ms = at_ms if change == "returned" else None
    return AlarmChange(alarm=an_alarm(name, returned_ms=returned_ms), change=change, at_ms=at_ms)


def a_notice(name: str = "a1", change: str = "opened", at_ms: int = T0_MS, *, route: str = ROUTE) -> Notice:
    """Return what is told of a change."""
    return Notice(
        key=f"{name}:{change}",
        route=route,
        alarm_id=name,
        body={"headline": f"{name} {change}", "value": 181.0, "place": None},
        source_ms=at_ms,
        created_ms=at_ms + 20,
        due_ms=at_ms + 20,
    )


def put_openings(ledger: Ledger, severities: Mapping[str, str], at_ms: int) -> None:
    """Save in one tick that alarms opened, each with what is told of it on the route `pager`.

    Args:
        ledger: Where to.
        severities: The severity of each alarm, by its id.
        at_ms: When [ms].
    """
    changes = [
        AlarmChange(alarm=an_alarm(name, severity=severity), change="opened", at_ms=at_ms)
        for name, severity in severities.items()
    ]
    notices = [
        Notice(
            key=f"{name}:opened",
            route="pager",
            alarm_id=name,
            body={"severity": severity, "headline": name},
            source_ms=at_ms,
            created_ms=at_ms,
            due_ms=at_ms,
        )
        for name, severity in severities.items()
    ]
    ledger.save(Progress(seq=1, tick_ms=at_ms, changes=changes, notices=notices))


def a_draw() -> TenantDraw:
    """Return a tenant's draw."""
    return TenantDraw(
        tenant="acme",
        low_milliwatts=1,
        best_milliwatts=2,
        high_milliwatts=None,
        limit_milliwatts=180_000_000,
        coverage=0.5,
        demand_kw=None,
        forecast_kw=None,
        block_limit_kw=None,
    )


def progress(*events: tuple[str, str, int], seq: int = 7, tick_ms: int = T0_MS) -> Progress:
    """Return what ticks brought: changes given as alarm, change and time, each of them told."""
    return Progress(
        seq=seq,
        tick_ms=tick_ms,
        changes=[a_change(*event) for event in events],
        notices=[a_notice(*event) for event in events],
        series={tick_ms: [a_draw()]},
    )


def keys(notices: Sequence[Notice]) -> list[str]:
    """Return the keys of notifications."""
    return [notice.key for notice in notices]


def state(reader: LedgerReader) -> tuple[int, int, int, int, tuple[int, int]]:
    """Return how many alarms, changes, notifications and series rows there are, and the engine's place."""
    return (
        len(reader.alarms()),
        len(reader.changes(0)),
        sum(reader.waiting().values()),
        len(reader.series(0)),
        reader.cursor(),
    )
