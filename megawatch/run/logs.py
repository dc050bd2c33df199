"""Logs: one event a line, to standard error; JSON where nobody looks at it."""

from __future__ import annotations

import logging
import sys

import structlog

from facility.shown import in_lines, visible


def configure(*, quiet: bool = False) -> None:
    """Set up logging, once, at the start.

    Args:
        quiet: Only errors; for commands that draw on the terminal.
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
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
