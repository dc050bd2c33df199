"""What holds for every test: no clock decides, and logs are plain lines, whatever a message at fault held."""

from __future__ import annotations

import signal

import structlog
from hypothesis import HealthCheck, settings

# A job in the background inherits an ignored SIGINT, and so would every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine fails no property: how long one takes is for benches.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(),
    ]
)
