"""The demo: a site that is not there, a real broker, the whole monitor, and nothing left behind."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from aiohttp import web
from rich.console import Console

from collector.health import State
from facility.errors import MegawatchError
from facility.instants import SECOND_MS, Clock
from megawatch.cli.outputs import Demo
from megawatch.demo.broker import QUEUED_MESSAGES, own_broker
from megawatch.demo.report import report
from megawatch.demo.runtime import Pager, Stage
from megawatch.demo.site import write_site
from megawatch.demo.view import View
from megawatch.run.clock import SteadyClock
from megawatch.run.monitor import Monitor
from megawatch.run.process import end, stop_signals
from megawatch.scenario.destination import Destination, NotPublished
from megawatch.scenario.play import Play, begun_at, connected
from megawatch.site.folder import open_site
from simulators.publish.publisher import Publisher
from simulators.scenario.file import open_scenario
from simulators.scenario.scenario import Scenario
from store.ledger.ledger import LedgerReader

SCENARIO: Final = "demo_minute"
"""What is shown where nothing else is asked for."""
SETTLE_S: Final = 1.0
"""For how long after the last second is judged before the last document is made: pages are on their way."""
JUDGED_S: Final = 60.0
"""How long a busy machine may take for that."""
ANSWER_S: Final = 60.0
"""How long the broker may take to let the monitor in."""
WITHDRAW_S: Final = 5.0
"""How long a broker may take to forget the plant."""
POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a demo is to run.

    Attributes:
        scenario: A scenario that comes with the product, by its name, or a file.
        broker: A broker that is already there; None starts one.
        seconds: For how long [s]; None for as long as the scenario lasts.
        console: Where the live view is drawn; None for no view.
        picture: Where to save the view as it is at the end, an SVG file; None for nowhere.
    """

    scenario: str = SCENARIO
    broker: Destination | None = None
    seconds: float | None = None
    console: Console | None = None
    picture: Path | None = None


async def run_demo(wish: Wish) -> Demo:
    """Run the demo.

    Args:
        wish: What to play, and how.

    Returns:
        What happened: accounting, alarms and pages.

    Raises:
        MegawatchError: Where there is no such scenario, no broker, or one that does not let us in.
    """
    scenario = open_scenario(wish.scenario)
    if wish.seconds is not None:
        scenario = replace(scenario, seconds=round(wish.seconds))
    stop = stop_signals()
    with tempfile.TemporaryDirectory(prefix="megawatch-demo-") as name:
        async with AsyncExitStack() as stack:
            setting = asyncio.create_task(_set(stack, Path(name), scenario, wish.broker))
            stopping = asyncio.create_task(stop.wait())
            stack.push_async_callback(end, stopping)
            await asyncio.wait({setting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not setting.done():
                await end(setting)
                raise MegawatchError("interrupted before it began")
            return await _play(setting.result(), wish, stopping)


async def _play(stage: Stage, wish: Wish, stopping: asyncio.Task[bool]) -> Demo:
    """Play the scenario until it is over or interrupted."""
    view = View(stage, wish.console or Console(quiet=True))
    clock = stage.monitor.built.clock
    acting = asyncio.create_task(stage.play.run(stage.publisher, clock=clock, said=stage.heard))
    watching = asyncio.create_task(view.run()) if wish.console else None
    await asyncio.wait({acting, stopping, stage.running}, return_when=asyncio.FIRST_COMPLETED)
    if acting.done() and not stopping.done():
        judged = asyncio.create_task(_judged(stage))
        await asyncio.wait({judged, stopping, stage.running}, return_when=asyncio.FIRST_COMPLETED)
        await end(judged)
    for task in (acting, watching):
        await end(task)
    if stage.running.done():
        stage.running.result()  # the monitor ended by itself: say why
    if not acting.cancelled() and (error := acting.exception()) is not None:
        raise NotPublished(f"{stage.broker} does not take what is published: {error}") from error
    if wish.picture is not None:
        await view.save(wish.picture)
    if wish.console is not None:
        wish.console.print(view.summary())
    return await asyncio.to_thread(report, stage)


async def _judged(stage: Stage) -> None:
    """Wait until the monitor has judged all that was published, and its pages had time to go."""
    rules = stage.monitor.built.rules
    last_ms = stage.start_ms + (stage.second + 1) * SECOND_MS
    for _ in range(round(JUDGED_S / POLL_S)):
        if rules is None or rules.lag.tick_ms >= last_ms:
            break
        await asyncio.sleep(POLL_S)
    await asyncio.sleep(SETTLE_S)


async def _set(stack: AsyncExitStack, folder: Path, scenario: Scenario, broker: Destination | None) -> Stage:
    """Set the stage: broker, pager, site, monitor, and the voice of the simulated site."""
    run = secrets.token_hex(3)
    if broker is None:
        home = folder / "broker"
        await asyncio.to_thread(home.mkdir)
        url, what = await stack.enter_async_context(own_broker(home, scratch=folder))
        to = Destination(url=url)
    else:
        to, what = broker, "your broker"
    pager = Pager(secrets.token_hex(16).encode())
    webhook = await stack.enter_async_context(_pager(pager))
    planned = begun_at(scenario, _next_second_ms(SteadyClock()))
    write_site(
        folder,
        planned,
        broker=to,
        webhook=webhook,
        secret=pager.secret,
        run=run,
        queued_messages=QUEUED_MESSAGES if broker is None else None,
    )
    monitor = Monitor(open_site(folder), console=Console(quiet=True))
    if broker is not None:
        stack.push_async_callback(monitor.forget_sessions)
    running = asyncio.create_task(monitor.run())
    stack.push_async_callback(end, running)
    await _let_in(monitor, running)
    ledger = LedgerReader(monitor.site.data)
    stack.callback(ledger.close)
    # What it took until all were ready is the only difference between the site's dates and the plant's.
    begin_ms = _next_second_ms(monitor.built.clock)
    play = Play(replace(planned, begin_ms=begin_ms))
    publisher = await connected(stack, play, to, client_id=f"demo-plant-{run}")
    if broker is not None:
        stack.push_async_callback(_withdraw, publisher)
    await asyncio.sleep(max(0, begin_ms - monitor.built.clock.now_ms()) / SECOND_MS)
    return Stage(monitor, running, ledger, pager, f"{what} at {to.url}", planned, play, publisher)


def _next_second_ms(clock: Clock) -> int:
    return (clock.now_ms() // SECOND_MS + 1) * SECOND_MS


async def _withdraw(publisher: Publisher) -> None:
    """Take what the broker keeps of the site off it, where the broker is still there."""
    with suppress(Exception):
        async with asyncio.timeout(WITHDRAW_S):
            await publisher.withdraw()
            await publisher.settle()


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
                    health = monitor.built.sources[0].health
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
