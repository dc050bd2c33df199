"""What holds for every test: no clock decides, and logs are plain lines, whatever a message at fault held."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.outcomes import shown_by, watched

# A job in the background inherits an ignored SIGINT, and so would every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine fails no property: how long one takes is for benches. The suite tries the same examples each
# time; `make explore` tries others.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, database=None
)
settings.register_profile("explore", settings.get_profile("suite"), derandomize=False)
settings.load_profile("suite")

structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(),
    ]
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that is marked to show an outcome which the product did not make meanwhile."""
    wanted = shown_by(item)
    if not wanted:
        return (yield)
    with watched() as seen:
        result = yield
    assert wanted <= seen, f"the test is marked to show what did not happen: {sorted(wanted - seen)}"
    return result
