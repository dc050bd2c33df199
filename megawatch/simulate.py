"""The simulator from the command line: a plant, a script, a broker, and the truth in a file."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from megawatch.clock import SteadyClock
from megawatch.process import run_until_stopped
from simulators.plant import Plant, Shape
from simulators.publish import connect, play
from simulators.script import demo_script


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
    with ExitStack() as stack:
        file = stack.enter_context(truth.open("w", encoding="utf-8")) if truth else None
        async with connect(url, qos=qos, client_id=f"megawatch-simulate-{secrets.token_hex(3)}") as publisher:

            async def act() -> None:
                await play(
                    plant,
                    script,
                    publisher,
                    now_ms=clock.now_ms,
                    seconds=seconds,
                    said=_truth_to(file, plant) if file else None,
                )

            await run_until_stopped(act)
        return publisher.published


def _truth_to(file: TextIO, plant: Plant) -> Callable[[int, int], None]:
    def write(second: int, at_ms: int) -> None:
        racks = dict(zip(plant.racks, plant.power_milliwatts.tolist(), strict=True))
        file.write(json.dumps({"second": second, "time_ms": at_ms, "rack_milliwatts": racks}) + "\n")

    return write
