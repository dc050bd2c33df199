"""Spin goes through every interleaving of an alarm's whole way, and finds what is broken in a broken one."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from megawatch.reference_model import alarm_model
from rules.alarms.life import BY_PEOPLE, HOLDS_BACK, TELLINGS, Event, Happens, Hold, Told

NEEDED: Final = ("spin", "gcc")
MISSING: Final = [program for program in NEEDED if shutil.which(program) is None]
pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(bool(MISSING), reason=f"not on the PATH: {', '.join(MISSING)}; Debian has both"),
]

SAFE: Final = ("-DSAFETY", "-DNOCLAIM")
FAIR: Final = ("-DNFAIR=4",)
ENDS: Final = ("end_1_is_told", "end_2_is_told")
OPENS: Final = ("opening_1_is_told", "opening_2_is_told")
WORSENS: Final = ("worsening_1_is_told", "worsening_2_is_told")


def searched(
    text: str, folder: Path, *settings: str, claim: str = "", memory_mb: int = 4_000
) -> tuple[int, int, str]:
    """Let Spin search a model.

    Args:
        text: The model.
        folder: Where to work.
        settings: What it is compiled with, such as `-DLAST=1`.
        claim: What must hold of every fair run; "" for the assertions of every state.
        memory_mb: How much memory it may take [MB].

    Returns:
        Violations, states, and what Spin said.
    """
    (folder / "alarm.pml").write_text(text, encoding="utf-8")
    options = FAIR if claim else SAFE
    _run(["spin", *settings, "-a", "alarm.pml"], folder)
    _run(["gcc", "-O2", "-w", "-DCOLLAPSE", f"-DMEMLIM={memory_mb}", *options, "-o", "pan", "pan.c"], folder)
    claims = ["-a", "-f", "-N", claim] if claim else []
    said = _run(["./pan", "-m1000000", *claims], folder)
    errors, states = re.search(r"errors: (\d+)", said), re.search(r"(\d+) states, stored", said)
    assert errors is not None, said
    assert states is not None, said
    # A search that was cut short has shown nothing.
    assert int(errors[1]) or not re.search("not completed|too small|out of memory", said), said
    return int(errors[1]), int(states[1]), said


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_state_of_one_episode_breaks_a_promise(tmp_path: Path) -> None:
    """One key an episode; told, or a reason why not; nothing after an acknowledgement; opening before end.

    What hides something graver that nobody holds back is told though people hold it back, and nothing else is
    meanwhile; whenever people begin and end to hold back either.
    """
    errors, states, said = searched(
        alarm_model(), tmp_path, "-DLAST=1", "-DACKNOWLEDGING", "-DCRASHES=2", "-DFAULTS=2"
    )

    assert (errors, states > 100_000) == (0, True), said


@pytest.mark.parametrize("claim", [ENDS[0], OPENS[0], WORSENS[0]])
def test_what_is_told_of_one_episode_arrives(claim: str, tmp_path: Path) -> None:
    """In every run in which whoever can go on does so in the end."""
    errors, states, said = searched(alarm_model(), tmp_path, "-DLAST=1", claim=claim)

    assert (errors, states > 100_000) == (0, True), said


@pytest.mark.soak
def test_no_state_of_two_episodes_breaks_a_promise(tmp_path: Path) -> None:
    """Two crashes and two faults of the receiver at any moment."""
    settings = ("-DLAST=2", "-DCRASHES=2", "-DFAULTS=2")
    errors, states, said = searched(alarm_model(), tmp_path, *settings)

    assert (errors, states > 10_000_000) == (0, True), said


@pytest.mark.soak
@pytest.mark.parametrize("claim", [*ENDS, *OPENS, WORSENS[1]])
def test_what_is_told_of_two_episodes_arrives(claim: str, tmp_path: Path) -> None:
    """The second one does whatever became of the first."""
    errors, states, said = searched(alarm_model(), tmp_path, "-DLAST=2", claim=claim)

    assert (errors, states > 1_000_000) == (0, True), said


# A check that cannot fail shows nothing -------------------------------------------------------


def returns_are_held_back() -> str:
    """Return the model of a shelf that hides the end of what was told."""
    hides = {hold: (*told, Told.RETURNED) if hold in BY_PEOPLE else told for hold, told in HOLDS_BACK.items()}
    return alarm_model(holds_back=hides)


def told_at_its_opening_or_never() -> str:
    """Return the model of a hold after whose end nobody looks at what still stands."""
    return alarm_model(
        tellings=[replace(t, at=Happens.OPENS) if t.told is Told.OPENED else t for t in TELLINGS]
    )


def worsened_while_held_back_is_forgotten() -> str:
    """Return the model of a hold after whose end nobody is told how grave it is by now."""
    return alarm_model(
        tellings=[
            replace(t, at=Happens.WORSENS) if t.told is Told.WORSENED and t.is_graver else t for t in TELLINGS
        ]
    )


def a_shelf_hides_what_its_cause_hides() -> str:
    """Return the model of a shelf without exception: what is graver behind it waits for its end."""
    return alarm_model(tellings=[replace(t, despite=()) for t in TELLINGS])


def a_shelf_hides_nothing_that_worsens() -> str:
    """Return the model of a shelf through which comes whatever worsens, not only for what it hides."""
    despite = {t.despite for t in TELLINGS if t.at is Event.CARRIES_UNTOLD}.pop()
    return alarm_model(
        tellings=[replace(t, despite=despite) if t.told is Told.WORSENED else t for t in TELLINGS]
    )


def edited(old: str, new: str) -> Callable[[], str]:
    """Return what makes the model with one line changed."""

    def make() -> str:
        text = alarm_model()
        assert text.count(old) == 1
        return text.replace(old, new)

    return make


BROKEN: Final[Mapping[str, tuple[Callable[[], str], str]]] = {
    "a shelf hides the end": (returns_are_held_back, ENDS[0]),
    "nobody looks after a shelf": (told_at_its_opening_or_never, ""),
    "nobody says after a shelf that it is graver": (worsened_while_held_back_is_forgotten, ""),
    "a shelf hides what its cause hides": (a_shelf_hides_what_its_cause_hides, ""),
    "a shelf hides nothing that worsens": (a_shelf_hides_nothing_that_worsens, ""),
    "nobody looks when what a cause hides is held back no longer": (
        edited(
            "carried_held = !carried_held;\n        tell_carried(0, UNSHELVE);",
            "carried_held = !carried_held;",
        ),
        "",
    ),
    "a worsening that is judged again cancels an acknowledgement": (
        edited("place >= kept -> acknowledged[e] = false", "true -> acknowledged[e] = false"),
        "",
    ),
    "an acknowledgement outlives a worsening": (
        edited("-> acknowledged[e] = false; escalated[e] = false\n    ::", "-> escalated[e] = false\n    ::"),
        "",
    ),
    "what is graver behind a shelf waits for an opening": (
        edited("seen[(key) - (key) % 3] || notice[(key) - (key) % 3] == NONE", "seen[(key) - (key) % 3]"),
        "",
    ),
    "the snapshot forgets the episode": (edited("        saved_episode = episode;\n", ""), ""),
    "the snapshot forgets the cause": (edited("        saved_under_cause = under_cause;\n", ""), ""),
    "an end overtakes its opening": (
        edited(
            "notice[2] == WAITING && notice[0] != WAITING && notice[1] != WAITING -> flying = 3",
            "notice[2] == WAITING -> flying = 3",
        ),
        "",
    ),
    "what is tried counts as told": (
        edited(
            "flying > 0 && faults < FAULTS -> faults++;",
            "flying > 0 && faults < FAULTS -> faults++; notice[flying - 1] = DELIVERED;",
        ),
        ENDS[0],
    ),
    "a replay opens again what is over": (
        edited(
            "    :: row[e] == OVER\n    :: row[e] != OVER && happens == RETURNS -> row[e] = OVER\n"
            "    :: row[e] != OVER",
            "    :: happens == RETURNS -> row[e] = OVER\n    :: true",
        ),
        "",
    ),
}
"""Faults, each with the claim that it breaks; "" for an assertion."""


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_is_found(fault: str, tmp_path: Path) -> None:
    """Spin ends with a violation, and with the run that leads to it."""
    make, claim = BROKEN[fault]
    settings = () if claim else ("-DACKNOWLEDGING",)
    errors, _, said = searched(make(), tmp_path, "-DLAST=1", *settings, claim=claim)

    assert errors > 0, said
    assert list(tmp_path.glob("*.trail")), said


def test_people_who_hold_back_different_things_are_not_one() -> None:
    """The model has one hold by people; it is refused where that cannot stand for all."""
    different = {**HOLDS_BACK, BY_PEOPLE[0]: ()}

    with pytest.raises(ValueError, match="hold back the same"):
        alarm_model(holds_back=different)


def test_what_is_told_despite_some_holds_of_people_alone_is_refused() -> None:
    """One hold stands for all of them there too."""
    some = [replace(t, despite=(Hold.SHELVED,)) if t.despite else t for t in TELLINGS]

    with pytest.raises(ValueError, match="all or none"):
        alarm_model(tellings=some)


def test_every_event_of_the_table_is_in_the_model() -> None:
    """By itself, or by one that does the same in every condition."""
    text = alarm_model()

    assert [event.name for event in Event if f"#define {event.name} " not in text] == []
