"""No module in the wheel is there for tests and benches alone."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import grimp
from hatchling.builders.wheel import WheelBuilder

ROOT: Final = Path(__file__).parents[2]


def modules_of_wheel() -> set[str]:
    """Return the names of the modules that a wheel built here has in it."""
    builder = WheelBuilder(str(ROOT))
    paths = [file.distribution_path for file in builder.recurse_included_files()]
    return {
        re.sub(r"(/__init__)?\.py$", "", path).replace("/", ".") for path in paths if path.endswith(".py")
    }


def starts() -> set[str]:
    """Return the modules that something else than an import runs: those of commands, and `python -m`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"megawatch.__main__", *(target.partition(":")[0] for target in project["scripts"].values())}


def test_every_module_in_the_wheel_is_reached_from_a_command() -> None:
    """By imports, also those in functions; a package is reached with any module in it."""
    wheel = modules_of_wheel()
    graph = grimp.build_graph(*{name.partition(".")[0] for name in wheel}, cache_dir=None)
    reached = starts().union(*(graph.find_upstream_modules(start) for start in starts()))
    packages = {name[: dot.start()] for name in reached for dot in re.finditer(r"\.", name)}

    assert sorted(wheel - reached - packages) == []
