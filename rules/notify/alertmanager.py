"""Alertmanager: alerts by its API v2, to every replica.

    POST {url}/api/v2/alerts
    [{"labels": identity, "annotations": figures and words, "startsAt": ..., "endsAt": ...}]

Labels are what makes an alert the same: rule, site, subject, severity. What changes stands in annotations, so
a new figure notifies nobody. Replicas tell each other of silences and of what was sent, not of alerts: each
gets every alert. Alertmanager forgets: an alert that is not sent again ends by itself, so what stands is said
again each minute, and an end for five minutes more. Source: Prometheus, "Alerts API" and "High availability".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from facility.errors import DeliveryError
from facility.instants import to_iso
from rules.alarms.states import Change
from rules.notify.http import Poster
from rules.notify.shortened import shortened
from store.ledger.alarms import Notice

PATH: Final = "/api/v2/alerts"
LASTS_MS: Final = 300_000
"""An alert that is not said again ends after this: five times as long as it takes to say it again [ms]."""
OWN_LASTS_MS: Final = 86_400_000
"""The same of what the monitor tells of itself, which is said once [ms]."""
MOST_TEXT: Final = 8_000
"""Characters of a description (our choice)."""


def alert(body: Mapping[str, Any], ends_ms: int, severity: str = "") -> dict[str, Any]:
    """Return the alert of a notification.

    Args:
        body: The document of the notification.
        ends_ms: When it ends, or ended [ms].
        severity: How bad it is, where that is not what the notification says.
    """
    return {
        "labels": _labels(body, severity or str(body["severity"])),
        "annotations": _annotations(body),
        "startsAt": to_iso(int(body["opened_ms"])),
        "endsAt": to_iso(ends_ms),
    }


def _labels(body: Mapping[str, Any], severity: str) -> dict[str, str]:
    found = {
        "alertname": str(body["rule"]),
        "site": str(body["site"]),
        "subject": str(body["subject"]),
        "tenant": str(body.get("tenant") or ""),
        "desks": ",".join(map(str, body.get("desks") or ())),
        "severity": severity,
    }
    return {name: value for name, value in found.items() if value}


def _annotations(body: Mapping[str, Any]) -> dict[str, str]:
    found = {
        "summary": str(body["headline"]),
        "description": shortened(str(body["text"]), MOST_TEXT),
        "alarm": str(body["alarm"]),
        "runbook_url": str(body.get("runbook", "")),
        **{name: str(body[name]) for name in ("value", "limit", "unit") if body.get(name) is not None},
    }
    return {name: value for name, value in found.items() if value}


class AlertmanagerNotifier:
    """Sends alerts to every replica of an Alertmanager.

    Args:
        urls: Address of each replica.
        own: Rule of what the monitor tells of itself.
        proxy: The proxy on the way there; None for the straight way.
        now_ms: The clock [ms].
    """

    def __init__(
        self, urls: Sequence[str], *, own: str, now_ms: Callable[[], int], proxy: str | None = None
    ) -> None:
        self._replicas = [Poster(url.rstrip("/") + PATH, now_ms=now_ms, proxy=proxy) for url in urls]
        self._own = own
        self._now_ms = now_ms
        self._severities: dict[str, str] = {}

    async def deliver(self, notice: Notice) -> None:
        """Send a notification.

        Raises:
            DeliveryError: Where no replica accepted it; one that did not gets it with what is said again.
        """
        await self._post([notice.body])

    async def remind(self, standing: Sequence[Notice]) -> None:
        """Say again what stands, and what is over since lately.

        Args:
            standing: The last notification of each such alarm.

        Raises:
            DeliveryError: Where no replica accepted it.
        """
        if standing:
            await self._post([notice.body for notice in standing])

    def _alerts(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the alert of a notification, and the end of the one that it was before it worsened.

        What was said before a restart is not known; it ends by itself, as it is not said again.
        """
        now_ms, alarm, severity = self._now_ms(), str(body["alarm"]), str(body["severity"])
        before = self._severities.pop(alarm, severity)
        ended = [] if before == severity else [alert(body, now_ms, before)]
        if body["change"] == Change.RETURNED:
            return [alert(body, now_ms), *ended]
        self._severities[alarm] = severity
        return [alert(body, now_ms + (OWN_LASTS_MS if body["rule"] == self._own else LASTS_MS)), *ended]

    async def _post(self, bodies: Sequence[Mapping[str, Any]]) -> None:
        document = json.dumps([found for body in bodies for found in self._alerts(body)]).encode()
        answers = await asyncio.gather(
            *(replica.post(document) for replica in self._replicas), return_exceptions=True
        )
        faults = [answer for answer in answers if isinstance(answer, BaseException)]
        if len(faults) == len(self._replicas):
            raise next((fault for fault in faults if not isinstance(fault, DeliveryError)), faults[0])

    async def close(self) -> None:
        """Close the connections."""
        for replica in self._replicas:
            await replica.close()
