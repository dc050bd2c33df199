"""What the service manager that started us is told: that we are ready, that we live, that we end.

The protocol is that of sd_notify(3): a datagram to the socket that NOTIFY_SOCKET names. Without that
variable nothing is sent.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

READY: Final = "READY=1"
ALIVE: Final = "WATCHDOG=1"
STOPPING: Final = "STOPPING=1"
_SHARE: Final = 3
"""Signs of life in the time after which we count as hanging: systemd advises two at least."""


def tell(text: str, environment: Mapping[str, str] = os.environ) -> None:
    """Tell the service manager something; what it does not take is not told again.

    Args:
        text: An assignment of sd_notify(3), such as `READY=1`.
        environment: Where it left its address.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)  # noqa: FBT003 - the only way to say it
        channel.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        channel.send(text.encode())


def pause_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return how often a sign of life is expected [s]; None where no watchdog is set."""
    period = environment.get("WATCHDOG_USEC", "")
    if not period.isdecimal() or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(period) / 1e6 / _SHARE


async def show_life(is_well: Callable[[], bool], environment: Mapping[str, str] = os.environ) -> None:
    """Say that we are ready, then give signs of life while all is well; until cancelled.

    A loop that hangs gives none, and what runs on without judging is told by `is_well`.

    Args:
        is_well: Whether what has to go on does.
        environment: Where the service manager left its address.
    """
    tell(READY, environment)
    period_s = pause_s(environment)
    try:
        while True:
            if is_well() and period_s is not None:
                tell(ALIVE, environment)
            await asyncio.sleep(period_s or 3_600)
    finally:
        tell(STOPPING, environment)
