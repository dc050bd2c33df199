"""Which subjects of one rule have to do with which of another: pairs of their places, as two arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from facility.names import AssetId
from facility.readings import BoolArray, IntArray
from rules.draw.summation_plan import Index
from rules.model.rows import Links


def no_rows() -> Index:
    """Return the places of nothing, shape (0,)."""
    return np.zeros(0, np.intp)


def listed(pairs: Iterable[tuple[int, int]]) -> tuple[Index, Index]:
    """Return pairs as two arrays, shape (pairs,)."""
    found = np.array(list(pairs), np.intp).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def rows_by(names: Sequence[str], rows: Index) -> dict[AssetId, list[int]]:
    """Return some rows by their names."""
    found: dict[AssetId, list[int]] = defaultdict(list)
    for row in rows.tolist():
        found[AssetId(names[row])].append(row)
    return found


def same(subjects: tuple[str, ...], others: tuple[str, ...], rows: Index) -> tuple[Index, Index]:
    """Return where some of another rule's subjects are among a rule's own: pairs, shape (pairs,)."""
    if subjects == others:
        return rows, rows
    row_of = {others[row]: row for row in rows.tolist()}
    return listed((place, row_of[name]) for place, name in enumerate(subjects) if name in row_of)


def inside(within: Index, rows: Index) -> tuple[Index, Index]:
    """Return which subjects lie inside some of them, however deep: pairs, shape (pairs,)."""
    counts, outer, found = np.isin(np.arange(len(within)), rows), within, [(no_rows(), no_rows())]
    while (inside := outer >= 0).any():
        places = np.flatnonzero(inside & counts[outer])
        found.append((places, outer[places]))
        outer = np.where(inside, within[outer], outer)
    return np.concatenate([one for one, _ in found]), np.concatenate([other for _, other in found])


def sharing(mine: Links | None, theirs: Links | None, rows: Index, counts: BoolArray) -> tuple[Index, Index]:
    """Return which subjects have racks that count in common with some of another rule: pairs, shape (pairs,).

    Args:
        mine: The racks of each of the rule's own subjects; None where these stand for none.
        theirs: Those of each of the other's.
        rows: The places of those that count.
        counts: Which racks count, shape (racks,).
    """
    if mine is None or theirs is None or not len(rows):
        return no_rows(), no_rows()
    # The subjects of each rack, one rack's after the other's.
    order = np.argsort(mine.members, kind="stable")
    subjects = np.repeat(np.arange(len(mine.starts) - 1), np.diff(mine.starts))[order]
    sizes = np.bincount(mine.members, minlength=len(counts))
    starts = np.cumsum(sizes) - sizes
    members = np.concatenate([theirs[row] for row in rows.tolist()])
    causes = np.repeat(rows, [len(theirs[row]) for row in rows.tolist()])
    if not counts.all():
        members, causes = members[counts[members]], causes[counts[members]]
    of_each = sizes[members]
    firsts = np.cumsum(of_each) - of_each
    places = np.arange(of_each.sum()) + np.repeat(starts[members] - firsts, of_each)
    return subjects[places], np.repeat(causes, of_each)


def including(racks: Links | None, opened_ms: IntArray, rows: Index) -> tuple[Index, Index]:
    """Return which subjects stand for no rack that another one does not stand for: pairs, shape (pairs,).

    Of several that stand for the same racks, it is the one that opened first, and the first of these.

    Args:
        racks: The racks of each subject; None where these stand for none.
        opened_ms: When the alarm of each opened [ms].
        rows: The places of those that may be the other one.
    """
    if racks is None or len(rows) < 2:  # noqa: PLR2004 - it and another one
        return no_rows(), no_rows()
    sets = [frozenset(racks[place].tolist()) for place in range(len(opened_ms))]
    times = opened_ms.tolist()
    return listed(
        (place, row)
        for row in rows.tolist()
        for place, own in enumerate(sets)
        if own and own <= sets[row] and (own != sets[row] or (times[row], row) < (times[place], place))
    )


def covered(theirs: Links, hides: BoolArray, racks: int) -> BoolArray:
    """Return which racks belong to subjects of another rule that hide, shape (racks,)."""
    covered = np.zeros(racks, np.bool_)
    for row in np.flatnonzero(hides).tolist():
        covered[theirs[row]] = True
    return covered
