"""Random contracts through the whole monitor, held against exact fractions: every tick, every block.

Draws lie exactly at a limit as often as beside it; versions, ramps and ends fall on any millisecond.
"""

from __future__ import annotations

import pytest

from facility.instants import to_iso
from rules.base import Verdict
from rules.engine.engine import Step
from rules.library.contract.c2_overdraw import Overdraw
from store.series import DemandBlock
from tests.rehearsals.contractplays import case_of, hear, rehearsal_of
from tests.rehearsals.exactjudge import ExactCase

CASES = 30
PER_TEST = 15
SOAK_CASES = 574


@pytest.mark.parametrize("first", range(0, CASES, PER_TEST))
def test_contracts_are_judged_exactly(first: int) -> None:
    """The verdict of each tick, and bounds, allowance and verdict of each block, live and settled."""
    _check(range(first, first + PER_TEST))


@pytest.mark.soak
def test_hundreds_of_contracts_are_judged_exactly() -> None:
    """The same over more of them."""
    _check(range(CASES, CASES + SOAK_CASES))


def _check(seeds: range) -> None:
    wrong = [f"seed {seed}: {text}" for seed in seeds for text in _differences(seed)]
    assert not wrong, "\n".join(wrong[:20])


def _differences(seed: int) -> list[str]:
    """Return where the monitor and the exact judge disagree."""
    case = case_of(seed)
    steps: list[Step] = []
    rehearsal = rehearsal_of(case, told=lambda _file, step: steps.append(step))
    rule, wrong = Overdraw(), list[str]()
    for second, milliwatts in enumerate(hear(case, rehearsal)):
        at_ms = case.begin_ms + second * 1_000
        view = rehearsal.engine.view
        if view is None or view.at_ms != at_ms or second == 0:
            continue
        found, above = int(rule.judge(view).verdict[0]), case.above(at_ms, milliwatts)
        expected = Verdict.CLEAR if above is None or above <= 0 else Verdict.BREACH
        # Bounds are whole milliwatts, rounded outwards: within one of the limit nobody can tell.
        is_tight = above is not None and abs(above) < 1
        if found != expected and not (is_tight and found == Verdict.UNKNOWN):
            wrong.append(f"{to_iso(at_ms)}: expected {expected.name}, found {Verdict(found).name}, {above}")
    wrong += _of_blocks(case, [block for step in steps for block in step.blocks])
    return wrong


def _of_blocks(case: ExactCase, blocks: list[DemandBlock]) -> list[str]:
    """Return where blocks are not what they should be."""
    wrong = []
    expected = {(start, end): sums for start, end, *sums in case.blocks()}
    for is_settled in (False, True):
        found = {
            (block.from_ms, block.to_ms): block
            for block in blocks
            if block.is_settled is is_settled
            and block.from_ms >= case.begin_ms
            and block.to_ms <= case.end_ms
        }
        kind = "settled" if is_settled else "live"
        for span in sorted(expected.keys() | found.keys()):
            name = f"{kind} block {to_iso(span[0])} to {to_iso(span[1])}"
            if span not in found or span not in expected:
                wrong.append(f"{name}: {'missing' if span in expected else 'not expected'}")
                continue
            drawn, allowed = expected[span]
            block = found[span]
            expects = {Verdict.BREACH if drawn > allowed else Verdict.CLEAR}
            if span[0] == case.begin_ms:
                # It began with the monitor, which had not heard yet what the first second drew.
                expects.add(Verdict.UNKNOWN)
            if block.verdict not in expects:
                wrong.append(
                    f"{name}: drawn {float(drawn)} of {float(allowed)}, {drawn > allowed}, found "
                    f"{block.verdict}: {block.low_milliwatt_ms} to {block.high_milliwatt_ms} of "
                    f"{block.allowed_milliwatt_ms}"
                )
            if not block.low_milliwatt_ms <= drawn <= (block.high_milliwatt_ms or drawn):
                wrong.append(f"{name}: drawn {float(drawn)}, found {block.low_milliwatt_ms} to ...")
    return wrong
