"""The terminal: what comes from outside is text on it, and never a command to it."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from facility.shown import in_lines


class Terminal(Console):
    """A console on which names, answers and errors from outside are written out where they are no text.

    They come from a bus, a receiver, a database or a command line, and may hold escapes that clear a screen
    or change what stands on it; nor are they markup.

    Args:
        file: Where to, by default standard output.
        stderr: Whether to standard error instead.
        width: Columns; None for those of the terminal.
        quiet: Whether nothing is printed.
    """

    def __init__(
        self,
        file: IO[str] | None = None,
        *,
        stderr: bool = False,
        width: int | None = None,
        quiet: bool = False,
    ) -> None:
        super().__init__(
            file=file, stderr=stderr, width=width, quiet=quiet, markup=False, emoji=False, highlight=False
        )

    def on_broken_pipe(self) -> None:
        """End the program where nobody reads its output any more; not for standard error.

        Raises:
            BrokenPipeError: Where it is standard error: a monitor goes on without a terminal.
        """
        if self.stderr:
            raise BrokenPipeError(errno.EPIPE, "nobody reads the terminal")
        super().on_broken_pipe()

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of something to print, each as text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=in_lines(segment.text))
