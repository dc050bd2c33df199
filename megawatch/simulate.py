"""The simulator from the command line: a plant, a script, a broker, and the truth in a file."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TextIO

from facility.errors import MegawatchError
from megawatch.brokeraddress import split_login
from megawatch.clock import SteadyClock
from megawatch.process import run_until_stopped
from simulators.plant import Plant, Shape
from simulators.publish import Publisher, connect, play
from simulators.script import demo_script


class NotPublished(MegawatchError):  # noqa: N818 - says what happened
    """A broker did not take what the simulated site said."""

    def __init__(self, place: str, cause: BaseException) -> None:
        super().__init__(f"{place} does not take what is published: {cause}")


async def publisher_in(stack: AsyncExitStack, url: str, *, qos: int, client_id: str) -> Publisher:
    """Connect the simulated site to a broker, for as long as a stack lasts.

    Args:
        stack: Disconnects it.
        url: `mqtt://host:port`, or `mqtt://user:password@host:port`.
        qos: Quality of service of values.
        client_id: Client id.

    Raises:
        BadAddress: Where it is no such address.
        NotPublished: Where the broker can not be reached or does not accept us.
    """
    place, _, _ = split_login(url, "mqtt")
    try:
        return await stack.enter_async_context(connect(url, qos=qos, client_id=client_id))
    except Exception as error:  # the client beneath has errors of its own
        raise NotPublished(place, error) from error


async def run_simulation(url: str, *, seconds: float | None, truth: Path | None, seed: int, qos: int) -> int:
    """Publish the demo's hall to a broker until it ends or is interrupted.

    Args:
        url: The broker.
        seconds: For how long [s]; None for ever.
        truth: Where to write the truth, a JSON line a second; None for nowhere.
        seed: What all noise follows from.
        qos: Quality of service of values.

    Returns:
        How many messages were published.
    """
    plant = Plant(Shape(), seed)
    script = demo_script(plant.racks)
    clock = SteadyClock()
    async with AsyncExitStack() as stack:
        file = stack.enter_context(truth.open("w", encoding="utf-8")) if truth else None
        client_id = f"megawatch-simulate-{secrets.token_hex(3)}"
        publisher = await publisher_in(stack, url, qos=qos, client_id=client_id)

        async def act() -> None:
            await play(
                plant,
                script,
                publisher,
                now_ms=clock.now_ms,
                seconds=seconds,
                said=_truth_to(file, plant) if file else None,
            )

        try:
            await run_until_stopped(act)
        except Exception as error:  # as above
            raise NotPublished(url.rpartition("@")[2], error) from error
        return publisher.published


def _truth_to(file: TextIO, plant: Plant) -> Callable[[int, int], None]:
    def write(second: int, at_ms: int) -> None:
        racks = dict(zip(plant.racks, plant.power_milliwatts.tolist(), strict=True))
        file.write(json.dumps({"second": second, "time_ms": at_ms, "rack_milliwatts": racks}) + "\n")

    return write
