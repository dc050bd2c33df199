"""The terminal of the monitor."""

from __future__ import annotations

import asyncio

from rich.console import Console
from rich.text import Text

from store.ledger.alarms import Notice
from store.threads import in_thread

_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}


class ConsoleNotifier:
    """Prints each notification.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printing = asyncio.Lock()

    async def deliver(self, notice: Notice) -> None:
        """Print a notification: its headline in the colour of its severity, and what belongs to it.

        A terminal that takes nothing, such as one that was stopped with Ctrl-S, holds up no other receiver.
        """
        async with self._printing:
            await in_thread(self._print, notice)

    def _print(self, notice: Notice) -> None:
        body = notice.body
        style = "green" if body["change"] in ("returned", "acknowledged") else _STYLES[body["severity"]]
        headline, _, rest = str(body["text"]).partition("\n")
        self._console.print(Text(headline, style=style), soft_wrap=True)
        if rest:
            self._console.print(Text(rest, style="dim"), soft_wrap=True)

    async def close(self) -> None:
        """Nothing is held."""
