"""Which rows of a column are touched, and what measures some of them, however many points each row has."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.draw.summation_plan import in_a_row
from rules.model.rows import Column

sizes_of_rows = st.lists(st.integers(1, 4), min_size=1, max_size=60)


def a_column(sizes: list[int]) -> tuple[Column, list[list[int]]]:
    """Return a column whose rows have so many points, numbered across, and the points of each row."""
    numbers = np.arange(sum(sizes))[::-1]
    rows = [part.tolist() for part in np.split(numbers, np.cumsum(sizes)[:-1])]
    points, starts = in_a_row(rows)
    is_single = len(points) == len(starts)
    column = Column(points, starts, points[:0], is_single=is_single, at_least=None, at_most=None)
    return column, rows


@given(sizes=sizes_of_rows, share=st.sampled_from([0.0, 0.02, 0.1, 0.5, 1.0]), seed=st.integers(0, 99))
def test_rows_of_some_points_are_those_that_have_any(sizes: list[int], share: float, seed: int) -> None:
    """Of few points and of many, each row once, in order."""
    column, rows = a_column(sizes)
    is_new = np.random.default_rng(seed).random(sum(sizes)) < share

    touched = [row for row, points in enumerate(rows) if any(is_new[point] for point in points)]
    assert column.rows_of(is_new).tolist() == touched


@given(sizes=sizes_of_rows, seed=st.integers(0, 99))
def test_a_part_of_a_column_has_the_points_of_its_rows(sizes: list[int], seed: int) -> None:
    """The last row ends with the column."""
    column, rows = a_column(sizes)
    chosen = np.flatnonzero(np.random.default_rng(seed).random(len(rows)) < 0.4)

    part = column.take(chosen)
    found = [each.tolist() for each in np.split(part.points, part.starts[1:])] if len(chosen) else []
    assert found == [rows[row] for row in chosen.tolist()]
