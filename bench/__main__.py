"""The benchmarks: `python -m bench`, some of them by name, `--json` for programs, `--quick` for a look.

Each measures the competing way in the same run, repetition by repetition in turn, and says medians. Read the
ratios: the figures themselves are those of the machine and its day.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console

from bench.frame import Figure, be_quiet, print_json, show

TITLES: Final = {
    "whole": "whole programs under load: CPU per message beside peers, a burst, from breach to page",
    "start": "a start and a restart of 2,270 racks: CPU, memory, stops of the event loop",
    "journal": "journal append",
    "tick": "engine tick",
    "alarms": "alarm machines, a restart with 10,000 open alarms, 300 pages at once",
    "model": "tables of measured quantities",
    "history": "Parquet: sealing and the three usual reads",
    "influx": "InfluxDB, VictoriaMetrics and Parquet: writing, disk by schema, reads",
    "dashboards": "every query of every dashboard, on a day of 2,270 racks",
    "simulator": "a second of the simulated plant",
    "wire": "the simulated wire: cost per message, publishing, speed and memory",
}


def main() -> None:
    """Run the benchmarks that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(TITLES)}; all without")
    parser.add_argument("--json", action="store_true", help="one document, for programs")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions of less")
    parser.add_argument("--seconds", type=int, help="how long the load after the burst of `whole` goes on")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in TITLES]
    if unknown:
        parser.error(f"expected any of {', '.join(TITLES)}; found {', '.join(unknown)}")
    be_quiet()
    console = Console(stderr=asked.json, width=None if sys.stdout.isatty() else 150)
    found: dict[str, Sequence[Figure]] = {}
    for name in asked.names or TITLES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        module = importlib.import_module(f"bench.{name}")
        options = {"seconds": asked.seconds} if name == "whole" else {}
        found[name] = module.run(quick=asked.quick, **options)
        if not asked.json:
            show(f"{name}: {TITLES[name]}", found[name], console)
    if asked.json:
        print_json(found)


if __name__ == "__main__":
    main()
