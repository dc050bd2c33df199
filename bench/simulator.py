"""The simulated plant: what a second of it costs, at every size."""

from __future__ import annotations

import time
from typing import Final

from bench.frame import Figure
from facility.sitefile.reader import read_site
from simulators.model.jobs import Inference, Storage, Training
from simulators.model.layouts import Shape, site_text
from simulators.model.plant import Plant
from simulators.model.wiring import wire

SIZES: Final = (48, 500, 2_270)


def a_plant(racks: int) -> Plant:
    """Return a plant with half of its racks in a training job, the others serving and storing.

    Args:
        racks: How many racks, four or more.
    """
    wiring = wire(read_site(site_text(Shape(racks=racks))).site)
    half, quarter = racks // 2, racks // 4
    jobs = (
        Training(name="training", racks=wiring.racks[:half]),
        Inference(name="inference", racks=wiring.racks[half : half + quarter]),
        Storage(name="storage", racks=wiring.racks[half + quarter :]),
    )
    return Plant(wiring, jobs, seed=1)


def plant_step_us(racks: int, *, seconds: int = 300, repetitions: int = 3) -> list[float]:
    """Measure the CPU time of a second of the plant.

    Args:
        racks: How many racks.
        seconds: Seconds in a repetition.
        repetitions: How many.

    Returns:
        Time per second of the plant, one for each repetition [µs].
    """
    plant = a_plant(racks)
    plant.step(0)
    found = []
    for repetition in range(repetitions):
        first = 1 + repetition * seconds
        begin = time.process_time()
        for second in range(first, first + seconds):
            plant.step(second)
        found.append((time.process_time() - begin) / seconds * 1e6)
    return found


def run(*, quick: bool) -> list[Figure]:
    """Measure.

    Args:
        quick: Whether a look is enough.
    """
    seconds, repetitions = (60, 2) if quick else (300, 5)
    return [
        Figure(
            what=f"a second of {racks:,} racks",
            unit="µs",
            samples=plant_step_us(racks, seconds=seconds, repetitions=repetitions),
            aim="under 2,000" if racks == SIZES[-1] else "",
        )
        for racks in SIZES
    ]
