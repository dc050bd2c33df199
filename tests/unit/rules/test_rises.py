"""From when on a limit that stays broken makes its alarm graver: by hand, second by second."""

from __future__ import annotations

import numpy as np
import pytest

from rules.alarms.states import Bank
from rules.base import Findings, Rise, Severity, Verdict
from testing.builders import T0_MS

VERDICTS = {"x": Verdict.BREACH, ".": Verdict.CLEAR, "~": Verdict.CLEAR, "?": Verdict.UNKNOWN}
"""A tilde is clear within the deadband: the alarm does not end by that."""
DAY_S = 86_400


def a_bank(on_s: int = 3, after_s: int = 10, off_s: int = 5) -> Bank:
    """Return alarms that are low, and high once their limit was broken for long."""
    return Bank("T4", Severity.LOW, on_s * 1_000, off_s * 1_000, rise=Rise(after_s, Severity.HIGH))


def happened(bank: Bank, verdicts: str, begin_s: int = 0) -> list[tuple[int, str, str]]:
    """Return what happens to an alarm, at which second, and how bad it is then."""
    found = []
    for second, verdict in enumerate(verdicts, begin_s):
        findings = Findings(
            verdict=np.array([VERDICTS[verdict]], np.int8),
            value=np.full(1, 71.0),
            limit=np.full(1, 70.0),
            returned=np.array([verdict == "."]),
        )
        changes = bank.step(("hall1",), findings, T0_MS + second * 1_000)
        found += [(second, change.change.value, change.severity.word) for change in changes]
    return found


@pytest.mark.parametrize(
    ("verdicts", "risen_at"),
    [
        ("x" * 12, 10),
        ("xxxxx" + "?" * 7 + "x", 12),
        ("xxxxx" + "?" * 7 + ".x", None),
        ("xxxx" + "~" * 15 + "x", None),
        ("xxxx" + "~" * 15 + "x" * 11, 29),
        ("xxxxxxxx~xxxxxxxxxxx", 19),
        ("xxxx" + "." * 4 + "x" * 5, None),
    ],
    ids=[
        "broken throughout",
        "not known meanwhile",
        "kept after that",
        "kept within the deadband",
        "broken anew",
        "kept for a second",
        "nearly ended",
    ],
)
def test_it_rises_once_its_limit_was_broken_for_long(verdicts: str, risen_at: int | None) -> None:
    """What stands for ten seconds because it is not clear enough to end was not broken for ten."""
    risen = [] if risen_at is None else [(risen_at, "worsened", "high")]

    assert happened(a_bank(), verdicts) == [(3, "opened", "low"), *risen]


@pytest.mark.parametrize("by_s", [DAY_S, -DAY_S], ids=["forward", "back"])
def test_what_our_own_clock_leaves_out_was_not_broken(by_s: int) -> None:
    """After five seconds our clock is set by a day: the ten seconds begin anew."""
    bank = a_bank()

    assert happened(bank, "xxxxx") == [(3, "opened", "low")]
    bank.begin_anew()
    begin_s = 5 + by_s
    assert happened(bank, "x" * 12, begin_s) == [(begin_s + 10, "worsened", "high")]


@pytest.mark.parametrize(("after_s", "severity"), [(5, "high"), (6, "high"), (7, "low")])
def test_what_opens_late_is_as_grave_as_it_is_by_then(after_s: int, severity: str) -> None:
    """One page, not two of which the second contradicts the first."""
    assert happened(a_bank(on_s=6, after_s=after_s), "x" * 7) == [(6, "opened", severity)]


def test_it_goes_on_from_a_snapshot() -> None:
    """The seconds before count; from one of an older version, which did not keep them, they begin anew."""
    bank, later, older = a_bank(), a_bank(), a_bank()
    happened(bank, "xxxxx")
    arrays, values = bank.save()

    later.load(arrays, values)
    older.load({name: array for name, array in arrays.items() if name != "broken_ms"}, values)

    assert happened(later, "x" * 7, 5) == [(10, "worsened", "high")]
    assert happened(older, "x" * 12, 5) == [(15, "worsened", "high")]


def test_it_goes_on_where_another_subject_comes_before_it() -> None:
    """Each keeps its own, whatever its place."""
    bank = a_bank()
    happened(bank, "xxxxx")
    both = Findings(
        verdict=np.full(2, Verdict.BREACH, np.int8),
        value=np.full(2, 71.0),
        limit=np.full(2, 70.0),
        returned=np.zeros(2, np.bool_),
    )

    found = [
        (second, change.subject, change.change.value, change.severity.word)
        for second in range(5, 12)
        for change in bank.step(("hall0", "hall1"), both, T0_MS + second * 1_000)
    ]

    assert found == [(8, "hall0", "opened", "low"), (10, "hall1", "worsened", "high")]
