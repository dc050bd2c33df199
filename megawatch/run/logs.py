"""Logs: one event a line, to standard error; JSON where that is no terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Full, Queue
from threading import Thread
from typing import Final, TextIO

import structlog

from facility.shown import in_lines, visible

MOST_LINES: Final = 10_000
"""So many pieces of text wait for a stream that takes nothing; what comes then is dropped (our choice)."""
LAST_S: Final = 1.0
"""How long the end of a program waits for them."""


class Beside:
    """A stream that a thread writes: who logs neither waits for the terminal nor fails with it.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._texts = Queue[str | None](MOST_LINES)
        self._thread = Thread(target=self._run, name="logs", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Let text be written; where too much waits it is dropped."""
        with suppress(Full):
            self._texts.put_nowait(text)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Wait for what was written, for a moment."""
        with suppress(Full):
            self._texts.put_nowait(None)
        self._thread.join(LAST_S)

    def _run(self) -> None:
        while (text := self._texts.get()) is not None:
            with suppress(OSError, ValueError):  # it is read no more
                self._stream.write(text)
                self._stream.flush()


@contextmanager
def beside() -> Iterator[None]:
    """Log to standard error from a thread for as long as the context lasts."""
    stream = Beside(sys.stderr)
    configure(stream=stream)
    try:
        yield
    finally:
        configure()
        stream.close()


def configure(*, quiet: bool = False, stream: Beside | None = None) -> None:
    """Set up logging, once, at the start.

    Args:
        quiet: Only errors; for commands that draw on the terminal.
        stream: Where to; None for standard error.
    """
    level = logging.ERROR if quiet else logging.INFO
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            _written_out,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),  # type: ignore[arg-type] # it is written and flushed,
    )
    # paho and aiomqtt report through the standard library; what matters of it is in our own events.
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)


def _written_out(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Write out what is no text: an answer from outside moves no cursor, and begins no line of its own."""
    return {
        name: in_lines(value) if name == "exception" else visible(value) if isinstance(value, str) else value
        for name, value in event.items()
    }
