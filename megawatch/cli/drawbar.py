"""A draw against its limit as a bar: what is certain, what is possible, the best estimate, the contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.text import Text

SCALE: Final = 1.2
"""A bar ends at this share of the limit, so that all limits stand under each other."""
NARROWEST: Final = 12


@dataclass(frozen=True, slots=True)
class DrawBar:
    """A draw as a bar, as wide as there is room.

    Attributes:
        low_kw: What is drawn for certain [kW].
        best_kw: The best estimate [kW]; None where there is none.
        high_kw: What may be drawn at most [kW]; None for no bound.
        limit_kw: The limit [kW], above 0.
        colour: Colour of what is drawn.
    """

    low_kw: float
    best_kw: float | None
    high_kw: float | None
    limit_kw: float
    colour: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield self.text(options.max_width)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(NARROWEST, options.max_width)

    def text(self, width: int) -> Text:
        """Return the bar.

        Args:
            width: Its cells.
        """
        limit = min(width - 1, round(width / SCALE))
        low = self._cells(self.low_kw, width, limit)
        high = width if self.high_kw is None else self._cells(self.high_kw, width, limit)
        best = None
        if self.best_kw is not None:
            best = min(width, max(1, self._cells(self.best_kw, width, limit))) - 1
        text = Text()
        for cell in range(width):
            filled = "█" if cell < low else "░" if cell < high else " "
            style = self.colour
            if cell == limit:
                filled, style = "┃", f"bold on {self.colour}" if cell < low else "bold"
            elif cell == best and low < high:
                filled, style = "●", f"bold {self.colour}"
            text.append(filled, style)
        return text

    def _cells(self, kilowatts: float, width: int, limit: int) -> int:
        """Return how many cells a power fills: past the limit's cell if it is above it, however little."""
        cells = min(width, max(0, round(kilowatts / (SCALE * self.limit_kw) * width)))
        return max(cells, limit + 2) if kilowatts > self.limit_kw else min(cells, limit)
