"""PagerDuty: an incident for each alarm, by the Events API v2.

    POST {api}/v2/enqueue
    {"routing_key": ..., "event_action": "trigger" | "acknowledge" | "resolve",
     "dedup_key": the alarm's id, "payload": {...}}

The alarm's id is the key of its incident, so a repetition adds nothing and the end finds what it ends. While
an incident is acknowledged, no event under its key notifies anybody, also of a graver severity: a route with
another integration key does (`docs/receivers.md`). 202 accepts; 400 refuses the event; 429 asks for patience.
An event may have 512 KB, its summary 1,024 characters.
Source: PagerDuty, Events API v2 overview.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from facility.instants import to_iso
from rules.alarms.states import Change
from rules.notify.http import Poster
from rules.notify.shortened import shortened
from store.ledger.alarms import Notice

API: Final = "https://events.pagerduty.com"
PATH: Final = "/v2/enqueue"
MOST_SUMMARY: Final = 1_024
MOST_DETAILS: Final = 256_000
"""Bytes of details: half of what an event may have."""
_ACTIONS: Final[Mapping[str, str]] = {Change.RETURNED: "resolve", Change.ACKNOWLEDGED: "acknowledge"}
_SEVERITIES: Final = {
    "critical": "critical",
    "high": "error",
    "medium": "warning",
    "low": "info",
    "info": "info",
}


def event(body: Mapping[str, Any], routing_key: str) -> dict[str, Any]:
    """Return the event of a notification.

    Args:
        body: The document of the notification.
        routing_key: The integration key of a service.
    """
    action = _ACTIONS.get(str(body["change"]), "trigger")
    found: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": str(body["alarm"]),
    }
    if action != "trigger":
        return found
    details = {name: value for name, value in body.items() if name != "headline"}
    if len(json.dumps(details).encode()) > MOST_DETAILS:
        details = {"text": shortened(str(body["text"]), MOST_DETAILS // 4)}
    found["payload"] = {
        "summary": shortened(str(body["headline"]), MOST_SUMMARY),
        "source": str(body["site"]),
        "severity": _SEVERITIES[str(body["severity"])],
        "timestamp": to_iso(int(body["opened_ms"])),
        "component": str(body["subject"]),
        "group": str(body.get("tenant") or body["site"]),
        "class": str(body["rule"]),
        "custom_details": details,
    }
    found["client"] = "Megawatch"
    links = (("Runbook", "runbook"), ("Dashboard", "dashboard"), ("Acknowledge", "acknowledge_url"))
    urls = [(name, str(body.get(key, ""))) for name, key in links]
    named = [{"href": url, "text": name} for name, url in urls if url.startswith(("http://", "https://"))]
    if named:
        found["links"] = named
    return found


class PagerDutyNotifier:
    """Triggers and resolves incidents of one service.

    Args:
        routing_key: The integration key of the service.
        api: Where the API is, such as that of another region.
        proxy: The proxy on the way there; None for the straight way.
        now_ms: The clock [ms].
    """

    def __init__(
        self, routing_key: str, *, now_ms: Callable[[], int], api: str = API, proxy: str | None = None
    ) -> None:
        self._routing_key = routing_key
        self._poster = Poster(api.rstrip("/") + PATH, now_ms=now_ms, proxy=proxy)

    async def deliver(self, notice: Notice) -> None:
        """Send the event of a notification.

        Raises:
            DeliveryError: Where it was not accepted.
        """
        await self._poster.post(json.dumps(event(notice.body, self._routing_key)).encode())

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()
