"""No test fails because the machine is slow: waiting is on conditions, in one place, and work is not timed.

Fakes are looked at no further: a fake of what may time out does so when it is told to.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("testing", "tests")
STOPWATCHES = {"time.perf_counter", "time.perf_counter_ns"}
BOUNDED = {"asyncio.timeout", "asyncio.wait_for", "settimeout"}
"""What takes a bound as its last argument."""
PATIENT = {"PATIENCE_S", "SECONDS + PATIENCE_S"}
"""What a wait that needs a bound may be bounded by."""


def hurries(path: Path) -> Iterator[str]:
    """Yield what a file of tests does that a slow machine may fail."""
    for node in ast.walk(ast.parse(path.read_text())):
        place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Attribute) and ast.unparse(node) in STOPWATCHES:
            yield f"{place}: how long work takes is for python -m bench"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            bounds = [keyword.value for keyword in node.keywords if keyword.arg == "timeout"]
            if {ast.unparse(node.func), node.func.attr} & BOUNDED:
                bounds += node.args[-1:]
            found = [ast.unparse(bound) for bound in bounds]
            yield from (
                f"{place}: expected PATIENCE_S, found {bound}" for bound in found if bound not in PATIENT
            )


def test_no_test_is_in_a_hurry() -> None:
    """A bound ends a test that hangs, and is testing.waiting.PATIENCE_S; nothing else is bounded."""
    files = {path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    fakes = set((ROOT / "testing" / "fakes").rglob("*.py"))

    found = [line for path in sorted(files - fakes) for line in hurries(path)]

    assert found == []
