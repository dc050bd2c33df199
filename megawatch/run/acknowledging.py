"""Acknowledgements that come back: a page of one button behind each signed link, and PagerDuty's webhook.

    GET  /ack/{alarm}?sig=...   the alarm and a button: a chat that looks at a link acknowledges nothing
    POST /ack/{alarm}?sig=...   by=...&severity=...: acknowledges it, where it is no graver by now
    POST /pagerduty             an event of PagerDuty's webhooks, version 3, signed

The server listens on loopback; what stands before it, such as a reverse proxy, gives it a name and TLS.
Sources: PagerDuty, webhooks overview, and verifying webhook signatures.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from html import escape
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web

from facility.shown import in_line
from rules.alarms.states import Change
from rules.notify.links import Links
from store.ledger.alarms import Alarm
from store.ledger.ledger import Ledger
from store.threads import in_thread

MOST_BYTES: Final = 1_000_000
"""What a request may have: an event of PagerDuty has some kilobytes."""
MOST_NAME: Final = 100
"""Characters of a name that are kept."""
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
_STYLE: Final = (
    "body{font:18px/1.5 sans-serif;max-width:40em;margin:2em auto;padding:0 1em}"
    "input,button{font:inherit;padding:.5em;margin:.3em 0;width:100%;box-sizing:border-box}"
)

_log = structlog.get_logger(__name__)


class _Agent(msgspec.Struct):
    summary: str | None = ""


class _Incident(msgspec.Struct):
    incident_key: str | None = None


class _Event(msgspec.Struct):
    event_type: str
    data: _Incident
    agent: _Agent | None = None
    occurred_at: datetime | None = None


class _Delivery(msgspec.Struct):
    event: _Event


_DELIVERY: Final = msgspec.json.Decoder(_Delivery)


class AcknowledgementServer:
    """Serves both on a port of 127.0.0.1.

    Args:
        port: TCP port; 0 for any that is free.
        links: Checks links; None where there are none.
        pagerduty_secret: Signs PagerDuty's events; empty where none are taken.
        ledger: Where alarms are.
        now_ms: The clock [ms].

    Attributes:
        port: The port that it has, once it serves.
        rounds: How often it looked after itself: grows while this part goes on.
    """

    def __init__(
        self,
        port: int,
        *,
        links: Links | None,
        pagerduty_secret: bytes,
        ledger: Ledger,
        now_ms: Callable[[], int],
    ) -> None:
        self.port = port
        self._links = links
        self._pagerduty_secret = pagerduty_secret
        self._ledger = ledger
        self._now_ms = now_ms
        self.rounds = 0

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            OSError: Where another program has the port.
        """
        app = web.Application(client_max_size=MOST_BYTES)
        if self._links is not None:
            app.router.add_get("/ack/{alarm}", self._show)
            app.router.add_post("/ack/{alarm}", self._acknowledge)
        if self._pagerduty_secret:
            app.router.add_post("/pagerduty", self._hear_pagerduty)
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            while True:
                self.rounds += 1
                await asyncio.sleep(1)
        finally:
            await runner.cleanup()

    async def _show(self, request: web.Request) -> web.Response:
        """Answer with the alarm and a button."""
        alarm = await self._alarm_of(request)
        return _page(alarm.title, _about(alarm) + ("" if _is_done(alarm) else _form(alarm)))

    async def _acknowledge(self, request: web.Request) -> web.Response:
        """Acknowledge the alarm of a link."""
        alarm = await self._alarm_of(request)
        try:
            form = await request.post()
            given, seen = form.get("by", ""), form.get("severity", alarm.severity)
        except (ValueError, LookupError, AssertionError):  # bad encodings, and forms that are none
            given, seen = "", alarm.severity
        by = _name(given) if isinstance(given, str) else ""
        if not by:
            return _page("Whose name?", _about(alarm) + _form(alarm), status=400)
        # Who saw it less grave than it is by now is asked again.
        after = await self._take_in_hand(replace(alarm, severity=str(seen)), by)
        return _page(after.title, _about(after) + ("" if _is_done(after) else _form(after)))

    async def _alarm_of(self, request: web.Request) -> Alarm:
        """Return the alarm that a signed link is about.

        Raises:
            HTTPForbidden: Where the link is not signed for it.
            HTTPNotFound: Where it is not kept any more.
        """
        alarm_id, signature = request.match_info["alarm"], request.query.get("sig", "")
        if self._links is None or not self._links.is_signed(alarm_id, signature):
            raise web.HTTPForbidden(text="this link is not signed for this alarm\n", headers=_HEADERS)
        found = [alarm for alarm in await in_thread(self._ledger.alarm, alarm_id) if alarm.id == alarm_id]
        if not found:
            raise web.HTTPNotFound(text="this alarm is over, and not kept any more\n", headers=_HEADERS)
        return found[0]

    async def _hear_pagerduty(self, request: web.Request) -> web.Response:
        """Take an event: an incident that somebody acknowledged is an alarm in hand; others say nothing.

        An incident that was resolved by hand ends no alarm: that stands while its condition does.
        """
        body = await request.read()
        if not self._is_of_pagerduty(body, request.headers.get("X-PagerDuty-Signature", "")):
            raise web.HTTPUnauthorized(text="expected a signature of the webhook's secret\n")
        try:
            event = _DELIVERY.decode(body).event
        except (msgspec.DecodeError, UnicodeDecodeError):
            return web.Response(status=200)  # an event of another kind, such as its ping
        key = event.data.incident_key
        if event.event_type == "incident.acknowledged" and key:
            alarms = [alarm for alarm in await in_thread(self._ledger.alarm, key) if alarm.id == key]
            by = _name((event.agent.summary if event.agent is not None else "") or "") or "PagerDuty"
            for alarm in alarms:
                if await in_thread(self._is_of_before, alarm, event.occurred_at):
                    _log.info("acknowledged before it worsened", alarm=alarm.id, by=by)
                    continue
                await self._take_in_hand(alarm, by)
        return web.Response(status=200)

    def _is_of_pagerduty(self, body: bytes, signatures: str) -> bool:
        """Tell whether any of the signatures, `v1=` and hex, is that of a body."""
        expected = "v1=" + hmac.new(self._pagerduty_secret, body, hashlib.sha256).hexdigest()
        given = (one.strip().encode(errors="replace") for one in signatures.split(","))
        return any(hmac.compare_digest(expected.encode(), one) for one in given)

    def _is_of_before(self, alarm: Alarm, at: datetime | None) -> bool:
        """Tell whether people were told that an alarm worsened since: who acknowledged it did not know."""
        notices = self._ledger.notices_of(alarm.id)
        told_ms = [n.created_ms for n in notices if n.body.get("change") == Change.WORSENED]
        return at is not None and at.timestamp() * 1_000 < max(told_ms, default=0)

    async def _take_in_hand(self, alarm: Alarm, by: str) -> Alarm:
        if _is_done(alarm):
            return alarm
        _log.info("alarm acknowledged", alarm=alarm.id, by=by)
        return await in_thread(self._acknowledge_now, alarm, by)

    def _acknowledge_now(self, alarm: Alarm, by: str) -> Alarm:
        return self._ledger.acknowledge(alarm, by=by, at_ms=self._now_ms())


def _name(text: str) -> str:
    """Return a name as it is kept: one line, and not too long."""
    return " ".join(text.split())[:MOST_NAME]


def _is_done(alarm: Alarm) -> bool:
    """Tell whether there is nothing left to acknowledge."""
    return not alarm.is_open or alarm.acknowledged_ms is not None


def _form(alarm: Alarm) -> str:
    """Return the button that acknowledges an alarm as grave as it is shown, as HTML."""
    return (
        '<form method="post"><label>Your name<input name="by" maxlength="100" autocomplete="name" required>'
        f'</label><input type="hidden" name="severity" value="{escape(alarm.severity)}">'
        "<button>I take it in hand</button></form>"
    )


def _about(alarm: Alarm) -> str:
    """Return what an alarm is, as HTML."""
    lines = [f"{alarm.severity.upper()}: {alarm.title}", f"{alarm.rule} {alarm.subject}", alarm.state]
    if alarm.acknowledged_by is not None:
        lines.append(f"in the hands of {alarm.acknowledged_by}")
    return "".join(f"<p>{escape(in_line(line))}</p>" for line in lines)


def _page(title: str, body: str, *, status: int = 200) -> web.Response:
    head = f'<meta name="viewport" content="width=device-width"><title>{escape(in_line(title))}</title>'
    text = f"<!doctype html><html><head><meta charset='utf-8'>{head}<style>{_STYLE}</style></head>"
    headers: dict[str, Any] = dict(_HEADERS)
    return web.Response(
        text=f"{text}<body>{body}</body></html>", content_type="text/html", status=status, headers=headers
    )
