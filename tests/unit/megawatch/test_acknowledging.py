"""Acknowledgements that come back: signed links, PagerDuty's webhook; what is not signed does nothing."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from facility.instants import to_iso
from megawatch.run.acknowledging import AcknowledgementServer
from megawatch.run.process import end
from rules.notify.links import Links
from store.ledger.alarms import Notice, Progress
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.store.ledgers import a_change
from testing.waiting import until

SECRET = b"signs events"
LINKS = Links("https://megawatch.example/base/", b"signs links")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger with two alarms that stand."""
    with closing(Ledger(tmp_path)) as opened:
        changes = [a_change(name, "opened", T0_MS) for name in ("a1", "a2")]
        opened.save(Progress(seq=1, tick_ms=T0_MS, changes=changes))
        yield opened


@asynccontextmanager
async def serving(ledger: Ledger) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """Serve for as long as the context lasts; give a client and where it reaches the server."""
    server = AcknowledgementServer(
        0, links=LINKS, pagerduty_secret=SECRET, ledger=ledger, now_ms=lambda: T0_MS + 5_000
    )
    running = asyncio.create_task(server.run())
    try:
        await until(lambda: server.rounds > 0, "it serves")
        async with aiohttp.ClientSession() as client:
            yield client, f"http://127.0.0.1:{server.port}"
    finally:
        await end(running)


def by_whom(ledger: Ledger) -> dict[str, str | None]:
    """Return who has acknowledged each alarm."""
    return {alarm.id: alarm.acknowledged_by for alarm in ledger.alarms()}


def path_of(alarm: str) -> str:
    """Return the signed link of an alarm, as it reaches the server behind a proxy."""
    return LINKS.to(alarm).removeprefix("https://megawatch.example/base")


def event(key: str, kind: str = "incident.acknowledged", **facts: Any) -> bytes:  # noqa: ANN401 - any key of it
    """Return an event as PagerDuty's webhooks send it."""
    data = {"id": "PT4KHLK", "type": "incident", "incident_key": key, "status": "acknowledged"}
    agent = {"id": "PXPGF42", "summary": "Ann Example", "type": "user_reference"}
    return json.dumps(
        {"event": {"id": "5ac6", "event_type": kind, "agent": agent, "data": data, **facts}}
    ).encode()


def signed(body: bytes, secret: bytes = SECRET) -> Mapping[str, str]:
    """Return the header that signs an event, beside one of a secret that was before."""
    signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
    return {"X-PagerDuty-Signature": f"v1={'0' * 64},v1={signature}"}


def test_a_link_shows_the_alarm_and_its_button_takes_it(ledger: Ledger) -> None:
    """Looking at it, as a chat does of itself, changes nothing; nor does a button without a name."""

    async def go() -> None:
        async with serving(ledger) as (client, url):
            async with client.get(url + path_of("a1")) as answer:
                page = await answer.text()
                assert answer.status == 200
                assert "<button>" in page
                assert "script" not in page
            async with client.post(url + path_of("a1"), data={"by": " "}) as answer:
                assert answer.status == 400
            assert by_whom(ledger) == {"a1": None, "a2": None}

            async with client.post(url + path_of("a1"), data={"by": "<b>Ann</b>"}) as answer:
                page = await answer.text()
                assert "in the hands of &lt;b&gt;Ann&lt;/b&gt;" in page
                assert "<button>" not in page
            async with client.post(url + path_of("a1"), data={"by": "Bob"}):
                pass

    asyncio.run(go())
    assert by_whom(ledger) == {"a1": "<b>Ann</b>", "a2": None}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/ack/a1", id="no signature"),
        pytest.param(f"/ack/a2?{path_of('a1').partition('?')[2]}", id="that of another alarm"),
        pytest.param("/ack/a1?sig=%FF%00", id="no text"),
        pytest.param(path_of("a"), id="the beginning of an id"),
    ],
)
def test_what_is_not_signed_for_an_alarm_acknowledges_nothing(path: str, ledger: Ledger) -> None:
    """Nor does a signed beginning of an id: it is no alarm's."""

    async def go() -> None:
        async with serving(ledger) as (client, url), client.post(url + path, data={"by": "Eve"}) as answer:
            assert answer.status in (403, 404)

    asyncio.run(go())
    assert by_whom(ledger) == {"a1": None, "a2": None}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(b"by=%FF", "application/x-www-form-urlencoded; charset=none", id="an unknown charset"),
        pytest.param(b"x", "multipart/form-data", id="no boundary"),
        pytest.param(
            b'--b\r\nContent-Disposition: form-data; name="by"; filename="f"\r\n\r\nx\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            id="a file",
        ),
    ],
)
def test_a_form_that_is_none_acknowledges_nothing(body: bytes, kind: str, ledger: Ledger) -> None:
    """It is asked again whose name it is."""

    async def go() -> None:
        async with (
            serving(ledger) as (client, url),
            client.post(url + path_of("a1"), data=body, headers={"Content-Type": kind}) as answer,
        ):
            assert answer.status == 400

    asyncio.run(go())
    assert by_whom(ledger) == {"a1": None, "a2": None}


def test_a_name_is_one_line(ledger: Ledger) -> None:
    """Whatever is typed into the form."""

    async def go() -> None:
        async with (
            serving(ledger) as (client, url),
            client.post(url + path_of("a1"), data={"by": "Zoe\nfake  x"}),
        ):
            pass

    asyncio.run(go())
    assert by_whom(ledger)["a1"] == "Zoe fake x"


def test_an_acknowledged_incident_is_an_alarm_in_hand(ledger: Ledger) -> None:
    """By the person who did it there; a repetition changes nothing."""

    async def go() -> None:
        body = event("a2")
        async with serving(ledger) as (client, url):
            for _ in range(2):
                async with client.post(url + "/pagerduty", data=body, headers=signed(body)) as answer:
                    assert answer.status == 200

    asyncio.run(go())
    assert by_whom(ledger) == {"a1": None, "a2": "Ann Example"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(event("a1"), {}, 401, id="not signed"),
        pytest.param(event("a1"), signed(event("a1"), b"other"), 401, id="signed by another secret"),
        pytest.param(event("a1"), signed(event("a2")), 401, id="the signature of another event"),
        pytest.param(event("a1", agent=7), signed(event("a1", agent=7)), 200, id="an agent that is none"),
        pytest.param(event("zz"), signed(event("zz")), 200, id="of an incident that is none of ours"),
        pytest.param(event("a"), signed(event("a")), 200, id="the beginning of an id"),
        pytest.param(
            event("a1", "incident.resolved"),
            signed(event("a1", "incident.resolved")),
            200,
            id="resolved by hand",
        ),
        pytest.param(b'{"event": {}}', signed(b'{"event": {}}'), 200, id="another kind"),
        pytest.param(b"\xff{", signed(b"\xff{"), 200, id="no JSON"),
    ],
)
def test_other_events_acknowledge_nothing(
    body: bytes, headers: Mapping[str, str], status: int, ledger: Ledger
) -> None:
    """What is well signed is accepted, so that PagerDuty does not repeat it."""

    async def go() -> None:
        async with (
            serving(ledger) as (client, url),
            client.post(url + "/pagerduty", data=body, headers=headers) as answer,
        ):
            assert answer.status == status

    asyncio.run(go())
    assert by_whom(ledger) == {"a1": None, "a2": None}


def worsen(ledger: Ledger, told_ms: int) -> None:
    """Let the first alarm become critical, and be told so."""
    change = a_change("a1", "worsened", T0_MS + 1_000)
    change = replace(change, alarm=replace(change.alarm, severity="critical"))
    body = {"change": "worsened", "severity": "critical"}
    notice = Notice(
        key="a1:worsened:critical",
        route="pager",
        alarm_id="a1",
        body=body,
        source_ms=T0_MS + 1_000,
        created_ms=told_ms,
        due_ms=told_ms,
    )
    ledger.save(Progress(seq=2, tick_ms=T0_MS + 1_000, changes=[change], notices=[notice]))


def test_a_button_that_showed_it_less_grave_asks_again(ledger: Ledger) -> None:
    """Who pressed it has not seen what it is by now."""

    async def go() -> None:
        seen = ledger.alarms()[0].severity
        worsen(ledger, T0_MS + 2_000)
        async with serving(ledger) as (client, url):
            old, new = ({"by": "Ann", "severity": severity} for severity in (seen, "critical"))
            async with client.post(url + path_of("a1"), data=old) as answer:
                page = await answer.text()
                assert "CRITICAL" in page
                assert 'value="critical"' in page
            assert by_whom(ledger)["a1"] is None
            async with client.post(url + path_of("a1"), data=new) as answer:
                assert "in the hands of Ann" in await answer.text()

    asyncio.run(go())


@pytest.mark.parametrize(
    ("late_ms", "by"), [pytest.param(-500, None, id="before"), pytest.param(500, "Ann Example", id="after")]
)
def test_an_event_that_comes_late_counts_by_when_it_happened(
    late_ms: int, by: str | None, ledger: Ledger
) -> None:
    """Who acknowledged the incident before people were told that it worsened knew nothing of that."""

    async def go() -> None:
        worsen(ledger, T0_MS + 2_000)
        body = event("a1", occurred_at=to_iso(T0_MS + 2_000 + late_ms))
        async with (
            serving(ledger) as (client, url),
            client.post(url + "/pagerduty", data=body, headers=signed(body)) as answer,
        ):
            assert answer.status == 200

    asyncio.run(go())
    assert by_whom(ledger)["a1"] == by


def test_a_request_that_is_too_large_is_refused(ledger: Ledger) -> None:
    """It is not read to its end."""

    async def go() -> None:
        body = b"x" * 2_000_000
        async with (
            serving(ledger) as (client, url),
            client.post(url + "/pagerduty", data=io.BytesIO(body), headers=signed(body)) as answer,
        ):
            assert answer.status == 413

    asyncio.run(go())
