"""The terminal of the monitor."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from store.ledger.alarms import Notice

_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}


class ConsoleNotifier:
    """Prints each notification.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    async def deliver(self, notice: Notice) -> None:
        """Print a notification: its headline in the colour of its severity, and what belongs to it."""
        body = notice.body
        style = "green" if body["change"] == "returned" else _STYLES[body["severity"]]
        headline, _, rest = str(body["text"]).partition("\n")
        self._console.print(Text(headline, style=style), soft_wrap=True)
        if rest:
            self._console.print(Text(rest, style="dim"), soft_wrap=True)

    async def close(self) -> None:
        """Nothing is held."""
