"""The demo as people see it: what is happening, tenants, alarms, pages, and where every reading went."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from facility.instants import to_datetime
from megawatch.cli.outputs import ProcessStatus
from megawatch.cli.show import (
    LEGEND,
    accounting_line,
    alarms_table,
    pipeline_lines,
    section,
    tenants_table,
)
from megawatch.demo.report import delay_s
from megawatch.demo.runtime import Stage
from store.ledger.alarms import Alarm, Notice

PERIOD_S: Final = 0.5
ROOMY_ROWS: Final = 32
"""From so many rows on there are frames, and the latest pages are listed."""
MOST_PAGES: Final = 5
FIXED_ROWS: Final = 17
"""Rows that everything but the alarms needs where rows are dear."""
PICTURE: Final = (110, 40)
"""Columns and rows of a saved picture."""

_FONT: Final = re.compile(r"@font-face\s*\{.*?\}\s*", re.DOTALL)


class View:
    """The live view of a demo.

    Args:
        stage: What is shown.
        console: Where it is drawn; where that is no terminal only the story is printed, as it happens.
    """

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console

    async def run(self) -> None:
        """Draw until cancelled."""
        if not self._console.is_terminal:
            await self._tell()
        with Live(console=self._console, screen=True, auto_refresh=False, transient=True) as live:
            while True:
                live.update(await self.picture(self._console.width, self._console.height), refresh=True)
                await asyncio.sleep(PERIOD_S)

    async def _tell(self) -> None:
        told = ""
        while True:
            caption = self._stage.caption
            if caption != told:
                self._console.print(self._story())
                told = caption
            await asyncio.sleep(PERIOD_S)

    async def picture(self, width: int, height: int) -> RenderableType:
        """Return how everything stands now.

        Args:
            width: Columns.
            height: Rows.
        """
        # Taken on the loop, so that it adds up; what is read from disk is not.
        status = self._stage.monitor.status.document()
        ledger = self._stage.ledger
        alarms = await asyncio.to_thread(ledger.alarms)
        pages = await asyncio.to_thread(ledger.notices, most=1_000)
        return self._compose(status, alarms, pages, (width, height))

    async def save(self, file: Path) -> None:
        """Save how everything stands now as a picture.

        Args:
            file: An SVG file.
        """
        with io.StringIO() as nowhere:
            console = Console(
                record=True, width=PICTURE[0], file=nowhere, color_system="truecolor", legacy_windows=False
            )
            console.print(await self.picture(*PICTURE))
        svg = console.export_svg(title="megawatch demo", unique_id="megawatch-demo")
        await asyncio.to_thread(file.write_text, _FONT.sub("", svg), encoding="utf-8")

    def summary(self) -> RenderableType:
        """Return what happened, for the end."""
        stage = self._stage
        site = stage.monitor.site.file.site
        alarms = [alarm for alarm in stage.ledger.alarms() if alarm.is_told]
        pages = stage.ledger.notices()
        table = alarms_table(
            alarms, site.zone, now_ms=stage.monitor.built.clock.now_ms(), width=self._console.width
        )
        return Group(
            section("what it found", table, is_roomy=False),
            section("what it told", _slowest(pages), is_roomy=False),
            Text("Next: megawatch init my-site", style="dim"),
            section(
                "where every reading went",
                accounting_line(stage.monitor.status.accounting()),
                is_roomy=False,
            ),
        )

    def _story(self) -> Text:
        second = max(self._stage.second, 0)
        text = Text(f" {second // 60}:{second % 60:02d} ", style="reverse")
        text.append(f" {self._stage.caption}", style="bold not reverse")
        return text

    def _compose(
        self, status: ProcessStatus, alarms: list[Alarm], pages: list[Notice], size: tuple[int, int]
    ) -> RenderableType:
        width, height = size
        is_roomy = height >= ROOMY_ROWS
        stage = self._stage
        zone, tenants = stage.monitor.site.file.site.zone, status.get("tenants", [])
        listed = [alarm for alarm in alarms if alarm.is_open]
        most = max(1, height - FIXED_ROWS - len(tenants) + 3) if not is_roomy else max(1, height - 29)
        rows = alarms_table(listed, zone, now_ms=status["at_ms"], width=width - 4 * is_roomy, most=most)
        head = Text.assemble(
            ("Megawatch demo", "bold"),
            (f"  {stage.racks} racks, {stage.broker}. Ctrl-C ends it.", "dim"),
            no_wrap=True, overflow="ellipsis",
        )  # fmt: skip
        told = [_slowest(pages)]
        if is_roomy:
            told += [_page_line(page, stage) for page in pages[:MOST_PAGES]]
        parts = [
            head,
            Padding(self._story(), (int(is_roomy), 0)),
            section("tenants", tenants_table(tenants, width - 4 * is_roomy), is_roomy=is_roomy, note=LEGEND),
            section("open alarms", rows, is_roomy=is_roomy),
            section("pages", *told, is_roomy=is_roomy),
            section(
                "where every reading went",
                accounting_line(status["accounting"]),
                Text(", ".join(line.plain for line in pipeline_lines(status)), style="dim"),
                is_roomy=is_roomy,
            ),
        ]
        return Group(*parts)


def _slowest(pages: list[Notice]) -> Text:
    delays = [delay for page in pages if (delay := delay_s(page)) is not None]
    if not delays:
        return Text("none yet", style="dim")
    keys = len({page.key for page in pages})
    return Text(
        f"{len(delays)} accepted under {keys} keys, the slowest {max(delays):.2f} s after what it tells",
        style="dim",
    )


def _page_line(page: Notice, stage: Stage) -> Text:
    at = to_datetime(page.source_ms, stage.monitor.site.file.site.zone)
    delay = delay_s(page)
    text = Text(f"{at:%H:%M:%S} ", style="dim", no_wrap=True, overflow="ellipsis")
    text.append(f"{'waits' if delay is None else f'+{delay:.2f} s'} ", style="dim")
    text.append(str(page.body["headline"]), style="green" if page.body["change"] == "returned" else "default")
    return text
