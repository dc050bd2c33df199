"""PagerDuty, Slack and Teams as their own documentation describes them, on loopback.

They refuse what the services refuse, and keep what the services would show.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ROUTING_KEY = "0123456789abcdef0123456789abcdef"
_SEVERITIES = {"critical", "error", "warning", "info"}
_ACTIONS = {"trigger", "acknowledge", "resolve"}


@dataclass(slots=True)
class FakePagerDuty:
    """The Events API v2: incidents by their key; 202 for an event, 400 for what is none.

    Attributes:
        incidents: Those that are open, by their key: how often each was triggered, and its last payload.
        resolved: Keys of those that are over, in order.
    """

    incidents: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    resolved: list[str] = field(default_factory=list)

    def take(self, body: bytes) -> tuple[int, str]:
        """Take an event; return the status and what is said."""
        faults = self._faults(body)
        if faults:
            told = {"status": "invalid event", "message": "Event object is invalid", "errors": faults}
            return 400, json.dumps(told)
        event = json.loads(body)
        key = event["dedup_key"]
        if event["event_action"] == "trigger":
            times, _ = self.incidents.get(key, (0, {}))
            self.incidents[key] = times + 1, event["payload"]
        elif event["event_action"] == "resolve" and self.incidents.pop(key, None):
            self.resolved.append(key)
        return 202, json.dumps({"status": "success", "message": "Event processed", "dedup_key": key})

    @staticmethod
    def _faults(body: bytes) -> list[str]:
        if len(body) > 512_000:
            return ["the event is longer than 512 KB"]
        event = json.loads(body)
        payload, action = event.get("payload", {}), event.get("event_action")
        checks = {
            "'routing_key' is no key": event.get("routing_key") == ROUTING_KEY,
            "'event_action' is missing or invalid": action in _ACTIONS,
            "'dedup_key' is too long": 0 < len(event.get("dedup_key", "")) <= 255,
        }
        if action == "trigger":
            checks |= {
                "'payload.summary' is missing or blank": 0 < len(payload.get("summary", "")) <= 1_024,
                "'payload.source' is missing or blank": bool(payload.get("source")),
                "'payload.severity' is invalid": payload.get("severity") in _SEVERITIES,
            }
        return [fault for fault, holds in checks.items() if not holds]


@dataclass(slots=True)
class FakeSlack:
    """An incoming webhook: `ok`, or what is wrong with the message.

    Attributes:
        messages: What the room shows, in order.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)

    def take(self, body: bytes) -> tuple[int, str]:
        """Take a message; return the status and what is said."""
        message = json.loads(body)
        blocks = message.get("blocks", [])
        if not message.get("text"):
            return 400, "no_text"
        texts = [block.get("text", {}).get("text", "") for block in blocks]
        if len(blocks) > 50 or any(not 0 < len(text) <= 3_000 for text in texts):
            return 400, "invalid_blocks"
        self.messages.append(message)
        return 200, "ok"


@dataclass(slots=True)
class FakeTeams:
    """A workflow: 202 for a message with an adaptive card of at most 28 KB.

    Attributes:
        cards: The cards that the room shows, in order.
    """

    cards: list[dict[str, Any]] = field(default_factory=list)

    def take(self, body: bytes) -> tuple[int, str]:
        """Take a message; return the status and what is said."""
        message = json.loads(body)
        attachments = message.get("attachments", [])
        is_card = [one.get("contentType") for one in attachments] == [
            "application/vnd.microsoft.card.adaptive"
        ]
        if len(body) > 28_000 or message.get("type") != "message" or not is_card:
            return 400, "Bad Request"
        self.cards.append(attachments[0]["content"])
        return 202, ""


@asynccontextmanager
async def serving(take: Callable[[bytes], tuple[int, str]]) -> AsyncIterator[str]:
    """Run a service on loopback; yield its address, without a path: it takes any."""

    async def answer(request: web.Request) -> web.Response:
        status, text = take(await request.read())
        return web.Response(status=status, text=text)

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
