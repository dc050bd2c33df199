"""The demo: a site that is not there, a real broker, the whole monitor, and nothing left behind."""

from __future__ import annotations

import asyncio
import secrets
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from facility.instants import to_iso
from megawatch.brokers import own_broker
from megawatch.monitor import Monitor
from megawatch.process import end
from megawatch.show import accounting_line, alarms_table, panel, pipeline_lines, tenants_table
from megawatch.sitefolder import open_site
from rules.notify.webhook import sign
from simulators.plant import Plant, Shape
from simulators.publish import Publisher, connect, play
from simulators.script import Script, demo_script
from store.ledger import LedgerReader

SEED: Final = 7
SETTLE_S: Final = 1.0
"""How long what is on its way may still arrive before the last document is made."""

_SITE: Final = """
[site]
name = "demo"
rack_rating_kw = 132

[[broker]]
url = "{broker}"
client_id = "megawatch-demo-{run}"
session_expiry_s = 60

[[tenant]]
id = "orchid"
name = "Orchid AI"
holds = [{{ racks = ["A-{{01..12}}", "B-0[1-6]"], from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 1.85

[[tenant]]
id = "basil"
name = "Basil Research"
holds = [{{ racks = ["B-0[7-9]", "B-1[0-2]", "C-0[1-6]"], from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 1.25

[[tenant]]
id = "cedar"
name = "Cedar Cloud"
holds = [{{ racks = ["C-0[7-9]", "C-1[0-2]", "D-{{01..12}}"], from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 1.75
limit = {{ method = "block", minutes = 5 }}

[[route]]
to = {{ webhook = "{webhook}", secret_file = "secret" }}

# Delays are a tenth of what they are by default, so that all of it fits into a minute.
[rules]
C1 = {{ on_delay_s = 3, off_delay_s = 5 }}
C2 = {{ on_delay_s = 3, off_delay_s = 5, unknown_delay_s = 3 }}
C3 = {{ on_delay_s = 3, off_delay_s = 5 }}
Q1 = {{ on_delay_s = 3, off_delay_s = 3 }}
Q2 = {{ on_delay_s = 3, off_delay_s = 5 }}
Q3 = {{ on_delay_s = 2, off_delay_s = 4 }}
"""


@dataclass(slots=True)
class Pager:
    """A receiver of pages that checks what it is given, as a real one would.

    Attributes:
        secret: The key that pages are signed with.
        pages: What was accepted, in order.
    """

    secret: bytes
    pages: list[dict[str, Any]] = field(default_factory=list)

    async def accept(self, request: web.Request) -> web.Response:
        """Accept a page if its signature is right."""
        body = await request.read()
        expected = sign(self.secret, request.headers.get("Megawatch-Timestamp", ""), body)
        if not secrets.compare_digest(expected, request.headers.get("Megawatch-Signature", "")):
            return web.Response(status=401, text="signature")
        page: dict[str, Any] = await request.json()
        self.pages.append(page | {"idempotency_key": request.headers["Idempotency-Key"]})
        return web.Response(status=204)


@dataclass(slots=True)
class Stage:
    """What the demo is made of while it runs.

    Attributes:
        monitor: The monitor.
        running: The task that it runs in.
        ledger: Its ledger.
        pager: Who gets its pages.
        broker: Where they meet, for people.
        plant: The site that is not there.
        script: What happens there.
        publisher: Its voice.
        second: The second of the script, -1 before it begins.
    """

    monitor: Monitor
    running: asyncio.Task[None]
    ledger: LedgerReader
    pager: Pager
    broker: str
    plant: Plant
    script: Script
    publisher: Publisher
    second: int = -1

    def heard(self, second: int, _at_ms: int) -> None:
        """Note the second of the script."""
        self.second = second


async def run_demo(
    *, broker_url: str | None = None, seconds: float | None = None, console: Console | None = None
) -> dict[str, Any]:
    """Run the demo.

    Args:
        broker_url: A broker that is already there; None starts one.
        seconds: For how long [s]; None until it is interrupted.
        console: Where the live view is drawn; None for no view.

    Returns:
        What happened: accounting, alarms and pages.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="megawatch-demo-") as name:
        async with AsyncExitStack() as stack:
            stage = await _set(stack, Path(name), broker_url)
            clock = stage.monitor.built.clock
            acting = asyncio.create_task(
                play(
                    stage.plant,
                    stage.script,
                    stage.publisher,
                    now_ms=clock.now_ms,
                    seconds=seconds,
                    said=stage.heard,
                )
            )
            stopping = asyncio.create_task(stop.wait())
            watching = asyncio.create_task(_watch(stage, console)) if console else None
            ends = {acting, stopping, stage.running}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if acting.done() and not stop.is_set():
                await asyncio.sleep(SETTLE_S)
            for task in (acting, stopping, watching):
                await end(task)
            if stage.running.done():
                stage.running.result()  # the monitor ended by itself: say why
            return report(stage)


async def _set(stack: AsyncExitStack, folder: Path, broker_url: str | None) -> Stage:
    """Set the stage: broker, pager, site, monitor, and the plant's voice."""
    run = secrets.token_hex(3)
    if broker_url is None:
        home = folder / "broker"
        await asyncio.to_thread(home.mkdir)
        url, what = await stack.enter_async_context(own_broker(home))
    else:
        url, what = broker_url, "yours"
    pager = Pager(secrets.token_hex(16).encode())
    webhook = await stack.enter_async_context(_pager(pager))
    await asyncio.to_thread(_write_site, folder, url, webhook, run, pager.secret)
    monitor = Monitor(open_site(folder), console=Console(quiet=True))
    if broker_url is not None:
        stack.push_async_callback(monitor.forget_sessions)
    running = asyncio.create_task(monitor.run())
    stack.push_async_callback(end, running)
    started = asyncio.create_task(monitor.started.wait())
    await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    ledger = LedgerReader(monitor.site.data)
    stack.callback(ledger.close)
    publisher = await stack.enter_async_context(connect(url, qos=1, client_id=f"demo-plant-{run}"))
    plant = Plant(Shape(), SEED)
    if broker_url is not None:
        stack.push_async_callback(publisher.withdraw, plant.tags())
    script = demo_script(plant.racks)
    return Stage(monitor, running, ledger, pager, f"{url} ({what})", plant, script, publisher)


def _write_site(folder: Path, url: str, webhook: str, run: str, secret: bytes) -> None:
    text = _SITE.format(broker=url, webhook=webhook, run=run)
    (folder / "site.toml").write_text(text, encoding="utf-8")
    (folder / "secret").write_bytes(secret)


@asynccontextmanager
async def _pager(pager: Pager) -> AsyncIterator[str]:
    """Run the receiver of pages on loopback, and yield its address."""
    app = web.Application()
    app.router.add_post("/pages", pager.accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}/pages"
    finally:
        await runner.cleanup()


# What people see ------------------------------------------------------------------------


async def _watch(stage: Stage, console: Console) -> None:
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        while True:
            live.update(await asyncio.to_thread(_picture, stage))
            await asyncio.sleep(0.5)


def _picture(stage: Stage) -> RenderableType:
    status = stage.monitor.status.document(stage.ledger.undelivered())
    alarms = [alarm for alarm in stage.ledger.alarms() if alarm.is_told]
    zone = stage.monitor.site.file.site.zone
    caption = Text(f"{max(stage.second, 0):3.0f} s  {stage.script.caption(stage.second)}", style="bold")
    told = Text(
        f"{len(stage.pager.pages)} pages accepted, each signed, each with a key of its own", style="dim"
    )
    return Group(
        Text(f"Megawatch demo: 48 racks, 3 tenants, broker {stage.broker}. Ctrl-C ends it.", style="dim"),
        caption,
        panel("tenants", tenants_table(status.get("tenants", []))),
        panel("alarms", alarms_table(alarms[-10:], zone), told),
        panel("accounting", accounting_line(status["accounting"]), *pipeline_lines(status)),
    )


# What programs read ---------------------------------------------------------------------


def report(stage: Stage) -> dict[str, Any]:
    """Return what happened: accounting, every alarm, and every page with its delay."""
    return {
        "site": stage.monitor.site.file.site.name,
        "broker": stage.broker,
        "accounting": stage.monitor.status.accounting(),
        "alarms": [
            {
                "id": alarm.id,
                "rule": alarm.rule,
                "title": alarm.title,
                "subject": alarm.subject,
                "severity": alarm.severity,
                "opened": to_iso(alarm.opened_ms),
                "closed": None if alarm.returned_ms is None else to_iso(alarm.returned_ms),
                "value": alarm.value,
                "limit": alarm.limit,
                "peak": alarm.peak,
                "unit": alarm.unit,
                "told": alarm.is_told,
            }
            for alarm in stage.ledger.alarms()
        ],
        "pages": [
            {
                "key": notice.key,
                "rule": notice.body["rule"],
                "subject": notice.body["subject"],
                "change": notice.body["change"],
                "severity": notice.body["severity"],
                "headline": notice.body["headline"],
                "state": notice.state,
                "attempts": notice.attempts,
                "source_time": to_iso(notice.source_ms),
                "delay_s": None
                if notice.delivered_ms is None
                else round((notice.delivered_ms - notice.source_ms) / 1_000, 3),
            }
            for notice in reversed(stage.ledger.notices())
        ],
    }
