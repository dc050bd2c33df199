"""A page as it waits for a receiver."""

from __future__ import annotations

from typing import Any

from store.ledger.alarms import Notice
from testing.builders import T0_MS

PAGE: dict[str, Any] = {
    "key": "a1:opened",
    "alarm": "a1",
    "site": "titan",
    "rule": "C2",
    "title": "draws more than contracted",
    "change": "opened",
    "severity": "high",
    "desks": ["P1", "C"],
    "subject": "acme",
    "tenant": "acme",
    "opened_ms": T0_MS,
    "headline": "[HIGH] Acme: draws more than contracted, 210 kW of 200 kW",
    "text": "[HIGH] Acme: draws more than contracted, 210 kW of 200 kW\nsince: 12:00:00\nlook at: racks",
    "runbook": "https://runbooks.example/c2.md",
}


def a_page(**facts: object) -> Notice:
    """Return a notification that is due."""
    body = PAGE | facts
    return Notice(
        key=f"{body['alarm']}:{body['change']}",
        route="pager",
        alarm_id=str(body["alarm"]),
        body=body,
        source_ms=T0_MS,
        created_ms=T0_MS,
        due_ms=T0_MS,
    )
