"""Parts of one site in processes of their own: no two want the same name, and no part runs twice."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from megawatch.run.lock import AlreadyRuns, holders, locked
from megawatch.run.part import ALL_PARTS, Part, metrics_port

SOME = [frozenset(some) for count in range(1, 5) for some in combinations(Part, count)]


@pytest.mark.parametrize("one", SOME, ids=lambda parts: "-".join(sorted(parts)))
def test_processes_of_different_parts_have_metrics_of_their_own(one: frozenset[Part]) -> None:
    """Whatever parts run together, on one machine."""
    ports = {metrics_port(9_464, other) for other in SOME if one.isdisjoint(other)}

    assert metrics_port(9_464, one) not in ports


def test_the_port_of_the_site_file_is_that_of_the_whole_monitor_and_of_the_collector() -> None:
    """Each other part has one of the next three."""
    assert metrics_port(9_464, ALL_PARTS) == 9_464
    assert [metrics_port(9_464, {part}) for part in Part] == [9_464, 9_465, 9_466, 9_467]


def test_different_parts_run_side_by_side_and_the_same_part_is_refused(tmp_path: Path) -> None:
    """With words, that say which part and which process."""
    with locked(tmp_path, {Part.RULES, Part.WRITER}), locked(tmp_path, {Part.COLLECTOR}):
        assert holders(tmp_path).keys() == {Part.RULES, Part.WRITER, Part.COLLECTOR}
        with (
            pytest.raises(AlreadyRuns, match=r"process \d+ already runs the writer of"),
            locked(tmp_path, {Part.NOTIFIER, Part.WRITER}),
        ):
            raise AssertionError("it runs twice")
        with locked(tmp_path, {Part.NOTIFIER}):
            assert Part.NOTIFIER in holders(tmp_path)
