"""The service manager is told what it wants to know, in its own words."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from megawatch.run.servicemanager import pause_s, show_life, tell
from testing.waiting import PATIENCE_S


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Listen as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE_S)
        yield listening


def test_readiness_life_and_the_end_are_told(manager: socket.socket) -> None:
    """Signs of life come while all is well, and none while it is not."""
    environment = {"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": "30000"}
    answers = iter([True, False, True])

    async def live() -> None:
        ended = asyncio.Event()

        def is_well() -> bool:
            answer = next(answers, None)
            if answer is None:
                ended.set()
            return bool(answer)

        living = asyncio.create_task(show_life(is_well, environment))
        await ended.wait()
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)

    asyncio.run(live())

    heard = [manager.recv(100).decode() for _ in range(4)]
    assert heard == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]


def test_an_address_without_a_file_is_found() -> None:
    """Linux has sockets that are in no folder; systemd writes them with an at-sign."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0megawatch-test-{os.getpid()}")
        listening.settimeout(PATIENCE_S)

        tell("READY=1", {"NOTIFY_SOCKET": f"@megawatch-test-{os.getpid()}"})

        assert listening.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "relative", "/nobody/listens/here"])
def test_nobody_has_to_be_there(address: str) -> None:
    """A monitor that nobody started as a service, or whose manager is gone, goes on."""
    tell("READY=1", {"NOTIFY_SOCKET": address})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often_follows_from_what_is_asked(environment: dict[str, str], expected: float | None) -> None:
    """A third of the time, for this process only."""
    assert pause_s(environment) == expected
