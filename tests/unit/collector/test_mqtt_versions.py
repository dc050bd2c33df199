"""Which version of MQTT is spoken, by what a broker says to it or by how it hangs up."""

from __future__ import annotations

import pytest

from collector.mqtt.versions import Versions

# What happens to each attempt, and the version of each: "in" and later lost, hangs up silently,
# "no" for a refusal of the version, "down" for nobody there.
_TABLE = {
    "speaks 5": ("in in in", "5 5 5"),
    "says that it does not": ("no in in", "5 4 4"),
    "speaks neither": ("no no no", "5 4 4"),
    "hangs up on 5 alone": ("silent silent in silent in", "5 5 4 5 4"),
    "a load balancer alone": ("silent silent silent silent silent silent in", "5 5 4 5 5 4 5"),
    "a load balancer in front of one that speaks 5": ("in silent silent silent silent in", "5 5 5 5 5 5"),
    "up again just when 3.1.1 is tried": ("silent silent in in in", "5 5 4 5 5"),
    "nobody there for a time": ("down silent down silent in", "5 5 5 5 4"),
}  # fmt: skip


@pytest.mark.parametrize(("events", "spoken"), _TABLE.values(), ids=_TABLE)
def test_the_older_version_is_spoken_only_with_who_knows_no_better(events: str, spoken: str) -> None:
    """A silent hang-up proves nothing for longer than one connection."""
    versions, found = Versions(), []
    for event in events.split():
        found.append(str(versions.next()))
        if event == "in":
            versions.accepted()
        if event == "no":
            versions.refused()
        else:
            versions.lost(is_unanswered=event == "silent")

    assert " ".join(found) == spoken
