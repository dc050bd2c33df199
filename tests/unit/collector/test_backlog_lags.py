"""When a broker's backlog has been read: a message that is new proves it, or the broker's answer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from collector.continuity.backlog import ANSWERS, PROMPT_MS, SETTLE_MS, Backlog
from testing.builders import T0_MS

# Each row: how many messages had been acknowledged, and how many came before each of the broker's answers;
# and at which of them nothing was kept any more.
_ANSWERS: dict[str, tuple[Sequence[tuple[int, int]], int | None]] = {
    "nothing comes": ([(0, 0)] * 4, ANSWERS - 1),
    "as much as is acknowledged": ([(20, 20)] * 50, None),
    "more than is acknowledged": ([(20, 30)] * 50, None),
    "less and less": ([(500, 500), (500, 120), (120, 4), (4, 0), (0, 0)], 3),
    "a live bus with a slow clock": ([(4, 1), (4, 0), (3, 2), (5, 1)], 2),
    "a burst each second": ([(200, 300), (0, 0), (0, 0), (200, 300), (4, 0), (0, 0), (0, 0)], 6),
    "one answer that overtook messages": ([(0, 0), (0, 0), (0, 40), (40, 40), (40, 40)], None),
}


@pytest.mark.parametrize(("answers", "over"), _ANSWERS.values(), ids=_ANSWERS)
def test_a_broker_that_has_no_more_is_known_by_its_answers(
    answers: Sequence[tuple[int, int]], over: int | None
) -> None:
    """For what is acknowledged it would have sent more; several answers in a row say that it has none."""
    backlog = Backlog(T0_MS)
    found = [backlog.is_empty(T0_MS + SETTLE_MS + i, *answer) for i, answer in enumerate(answers)]

    assert (found.index(True) if True in found else None) == over


def test_no_answer_counts_before_a_broker_has_begun_to_send() -> None:
    """Some begin a while after they let us in."""
    backlog = Backlog(T0_MS)

    assert not any(backlog.is_empty(T0_MS + i, 0, 0) for i in range(0, SETTLE_MS, 50))


@pytest.mark.parametrize(
    ("lag_ms", "is_new"), [(5, True), (PROMPT_MS - 1, True), (PROMPT_MS, False), (75_000, False), (-9, True)]
)
def test_a_message_that_is_new_ends_it(lag_ms: int, is_new: bool) -> None:  # noqa: FBT001 - a parameter
    """Whatever a broker keeps, it sends first."""
    assert Backlog(T0_MS).is_new(lag_ms) is is_new
