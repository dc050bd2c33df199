"""The demo: a site that is not there, a real broker, the whole monitor, and nothing left behind."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from rich.console import Console

from collector.session import State
from facility.errors import MegawatchError
from megawatch.brokeraddress import split_login
from megawatch.brokers import own_broker
from megawatch.demoreport import report
from megawatch.demosite import write_site
from megawatch.demoview import View
from megawatch.monitor import Monitor
from megawatch.process import end, stop_signals
from megawatch.simulate import NotPublished, publisher_in
from megawatch.sitefolder import open_site
from megawatch.stage import Pager, Stage
from simulators.plant import Plant, Shape
from simulators.publish import Publisher, play
from simulators.script import demo_script
from store.ledger import LedgerReader

SEED: Final = 7
SETTLE_S: Final = 1.0
"""How long what is on its way may still arrive before the last document is made."""
ANSWER_S: Final = 10.0
"""How long the broker may take to let the monitor in."""
WITHDRAW_S: Final = 5.0
"""How long a broker may take to forget the plant."""
POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a demo is to run.

    Attributes:
        broker_url: A broker that is already there; None starts one.
        seconds: For how long [s]; None until it is interrupted.
        console: Where the live view is drawn; None for no view.
        picture: Where to save the view as it is at the end, an SVG file; None for nowhere.
    """

    broker_url: str | None = None
    seconds: float | None = None
    console: Console | None = None
    picture: Path | None = None


async def run_demo(wish: Wish) -> dict[str, Any]:
    """Run the demo.

    Args:
        wish: How.

    Returns:
        What happened: accounting, alarms and pages.

    Raises:
        MegawatchError: Where there is no broker, or it does not let us in, or goes away.
    """
    stop = stop_signals()
    with tempfile.TemporaryDirectory(prefix="megawatch-demo-") as name:
        async with AsyncExitStack() as stack:
            setting = asyncio.create_task(_set(stack, Path(name), wish.broker_url))
            stopping = asyncio.create_task(stop.wait())
            stack.push_async_callback(end, stopping)
            await asyncio.wait({setting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not setting.done():
                await end(setting)
                raise MegawatchError("interrupted before it began")
            return await _play(setting.result(), wish, stopping)


async def _play(stage: Stage, wish: Wish, stopping: asyncio.Task[bool]) -> dict[str, Any]:
    """Play the script until it is over or somebody interrupts it."""
    view = View(stage, wish.console or Console(quiet=True))
    now_ms = stage.monitor.built.clock.now_ms
    acting = asyncio.create_task(
        play(
            stage.plant, stage.script, stage.publisher, now_ms=now_ms, seconds=wish.seconds, said=stage.heard
        )
    )
    watching = asyncio.create_task(view.run()) if wish.console else None
    await asyncio.wait({acting, stopping, stage.running}, return_when=asyncio.FIRST_COMPLETED)
    if acting.done() and not stopping.done():
        await asyncio.sleep(SETTLE_S)
    for task in (acting, watching):
        await end(task)
    if stage.running.done():
        stage.running.result()  # the monitor ended by itself: say why
    if not acting.cancelled() and (error := acting.exception()) is not None:
        raise NotPublished(stage.broker, error) from error
    if wish.picture is not None:
        await view.save(wish.picture)
    if wish.console is not None:
        wish.console.print(view.summary())
    return await asyncio.to_thread(report, stage)


async def _set(stack: AsyncExitStack, folder: Path, broker_url: str | None) -> Stage:
    """Set the stage: broker, pager, site, monitor, and the plant's voice."""
    run = secrets.token_hex(3)
    username = password = None
    if broker_url is None:
        home = folder / "broker"
        await asyncio.to_thread(home.mkdir)
        url, what = await stack.enter_async_context(own_broker(home))
    else:
        url, username, password = split_login(broker_url, "mqtt")
        what = "your broker"
    pager = Pager(secrets.token_hex(16).encode())
    webhook = await stack.enter_async_context(_pager(pager))
    write_site(folder, url=url, login=(username, password), webhook=webhook, secret=pager.secret, run=run)
    monitor = Monitor(open_site(folder), console=Console(quiet=True))
    if broker_url is not None:
        stack.push_async_callback(monitor.forget_sessions)
    running = asyncio.create_task(monitor.run())
    stack.push_async_callback(end, running)
    await _let_in(monitor, running)
    ledger = LedgerReader(monitor.site.data)
    stack.callback(ledger.close)
    publisher = await publisher_in(stack, broker_url or url, qos=1, client_id=f"demo-plant-{run}")
    plant = Plant(Shape(), SEED)
    if broker_url is not None:
        stack.push_async_callback(_withdraw, publisher, plant)
    script = demo_script(plant.racks)
    return Stage(monitor, running, ledger, pager, f"{what} at {url}", plant, script, publisher)


async def _withdraw(publisher: Publisher, plant: Plant) -> None:
    """Take what the broker keeps of the plant off it, where the broker is still there."""
    with suppress(Exception):
        async with asyncio.timeout(WITHDRAW_S):
            await publisher.withdraw(plant.tags())


async def _let_in(monitor: Monitor, running: asyncio.Task[None]) -> None:
    """Wait until the monitor has its session.

    Raises:
        MegawatchError: Where the broker does not let it in; a demo has no time to wait for it.
    """
    health = None
    try:
        async with asyncio.timeout(ANSWER_S):
            while health is None or health.state is not State.CONNECTED:
                if running.done():
                    running.result()
                if monitor.started.is_set():
                    health = monitor.built.sessions[0].health
                if health is not None and health.detail and health.state is not State.CONNECTED:
                    raise MegawatchError(health.detail)
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise MegawatchError(f"the broker did not answer within {ANSWER_S:g} s") from error


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
