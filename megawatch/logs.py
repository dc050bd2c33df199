"""Logs: one event a line, to standard error; JSON where nobody looks at it."""

from __future__ import annotations

import logging
import sys

import structlog


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
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # paho and aiomqtt report through the standard library; what matters of it is in our own events.
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)
