"""The document of the webhook: its receiver runs as it stands there, and its tables name every key."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from facility.errors import DeliveryError, Outlook
from facility.site import Site
from megawatch.run.clock import SteadyClock
from rules.notify.webhook import WebhookNotifier
from store.ledger.alarms import Notice
from testing.builders import T0_MS
from testing.rules.halls import PAIR, a_row_of, a_site, a_tenant, a_version, block, one_tenant, racks_of
from testing.servers.process import is_listening
from testing.waiting import wait_until
from tests.unit.rules.test_message_text import OVERDRAWN, SILENT, Body, Powers, pages_of

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "webhook.md"
SHARED: Final = b"between us"


def receiver_text() -> str:
    """Return the receiver as it stands in the document."""
    (found,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


@contextmanager
def running(path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the receiver on loopback; yield it and its address."""
    path.write_text(receiver_text(), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(path)],
        env={**os.environ, "SECRET": SHARED.decode(), "PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        until_listening(port)
        yield process, f"http://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.wait()


def until_listening(port: int) -> None:
    """Wait until somebody listens."""
    wait_until(lambda: is_listening(port), "the receiver listens")


def deliver(url: str, key: str, *, secret: bytes = SHARED, now_ms: int | None = None) -> Outlook | None:
    """Deliver a page; return what became of it, None where it was accepted."""

    async def story() -> Outlook | None:
        clock_ms = SteadyClock().now_ms() if now_ms is None else now_ms
        notifier = WebhookNotifier(url, secret, now_ms=lambda: clock_ms)
        body = {"headline": "h", "text": f"page {key}"}
        notice = Notice(key=key, route=url, alarm_id="a", body=body, source_ms=0, created_ms=0, due_ms=0)
        try:
            await notifier.deliver(notice)
        except DeliveryError as error:
            return error.outlook
        finally:
            await notifier.close()
        return None

    return asyncio.run(story())


def test_the_receiver_of_the_document_takes_pages_once(tmp_path: Path) -> None:
    """It accepts what we sign, tells a repetition once, and refuses what others sign and what is old."""
    with running(tmp_path / "receiver.py") as (process, url):
        assert deliver(url, "a:opened") is None
        assert deliver(url, "a:opened") is None
        assert deliver(url, "b:opened", secret=b"another") is Outlook.NEEDS_SOMEBODY
        assert deliver(url, "b:opened", secret=b"") is Outlook.NEEDS_SOMEBODY
        assert deliver(url, "b:opened", now_ms=T0_MS) is Outlook.NEEDS_SOMEBODY
        assert deliver(url, "c:opened") is None
        process.terminate()
        out, _ = process.communicate()

    assert out.split("\n") == ["page a:opened", "page c:opened", ""]


def test_the_receiver_is_short() -> None:
    """Who reads it sees it at a glance."""
    assert len([line for line in receiver_text().split("\n") if line.strip()]) <= 22


def every_page() -> list[Body]:
    """Return pages of many rules."""
    row = a_row_of(*PAIR)
    tapped = a_site(row.racks, a_tenant("acme", PAIR, a_version(100)), assets=row.assets)
    halls: list[tuple[Site, Iterable[Powers]]] = [
        (one_tenant(200), OVERDRAWN),
        (one_tenant(320, racks=5), SILENT),
        (one_tenant(200, limit=block(10_000)), [(70.0, 70.0, 70.0)] * 25),
        (one_tenant(200, limit=block(300_000)), [(70.0, 70.0, 70.0)] * 140),
        (one_tenant(1_000, racks=8), [[60.0] * 8] * 3 + [[None] * 8] * 20),
        (tapped, [[70.0, 70.0] + [0.0] * 4 + [20.0, 20.0]] * 1_000),
        (a_site(racks_of("r0"), a_tenant("acme", ["r0"], a_version(65))), [(64.0,)] * 70),
    ]
    return [body for site, seconds in halls for body in pages_of(site, seconds)]


def test_the_document_names_every_key() -> None:
    """What is in a body is in a table, and the other way round."""
    named = set(
        re.findall(r"`([a-z][a-z_]*)`", DOCUMENT.read_text(encoding="utf-8").partition("## The body")[2])
    )
    bodies = every_page()
    keys = {key for body in bodies for key in body}

    assert {body["rule"] for body in bodies} >= {"C1", "C2", "C3", "C4", "C5", "Q1", "Q2", "Q3", "Q8"}
    assert keys - named == set()
    values = {"opened", "worsened", "returned", "critical", "high", "medium", "low", "info", "meter", "kw"}
    values |= {"cause", "examples", "acknowledged", "grafana"}
    later = {
        "dashboard",
        "acknowledge_url",
        "unacknowledged_s",
        "by",
        "reason",
        "known_ms",
        "over_ms",
        "incomplete",
        "damped",
        "damped_tenants",
        "damped_others",
        "too_many",
        "openings",
        "openings_untold",
    }
    assert named - keys - values - later == set()
