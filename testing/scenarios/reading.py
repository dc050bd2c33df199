"""Scenarios: what a site says step by step, and the path that each alarm must take, in one small file.

    about = "What is true, in one sentence."
    kind = "fires"                      # fires, limit (exactly at it), gap (silence), or more
    step_s = 10                         # seconds in a step, 1 where nothing is said
    begin = "2026-06-01T12:00:00Z"      # the first step; this one where nothing is said
    source = "on-change"                # periodic where nothing is said: every step, changed or not
    site = '''...'''                    # a site file; the hall of `hall.toml` where nothing is said
    contract = ['''...''']              # the bodies of its tenant's contract versions
    rules = '''[rules.C2] ...'''        # parameters of rules

    [gateways]                          # by which publisher it comes; "PUB" where nothing is said
    g1 = "a{1..3}"
    [lag_s]                             # how late each source's stamps are, 0 where nothing is said
    a1 = "0x5 20x12"
    [beats]                             # heartbeats, `*` or `_`, on-change only; every 10 s if not said
    g1 = "*x9 _x60"
    [kw]                                # what each rack or meter draws; "a1.a" is feed a of a1
    "a{1..5}" = "80x5 _x3 90x9"
    [measured."current.phase"]          # any other quantity, in its canonical unit
    "pdu1.L1" = "200x10 260x20"         # of an asset, a feed ("a1.a"), a phase ("a1.L1", "a1.a.L1")
    "cdu1@Secondary/Supply" = "32x30"   # of an area; "cdu1@Secondary=target" its set point
    "pump1:Available" = "1x30"          # of a point type
    [expect]                            # the path of each alarm: rule and subject
    "C2 acme" = ".x8 px5 Ax4"

A value is a number of kilowatts, or of the unit of its quantity; `_` where nothing comes, `80?` where the
source itself doubts it, `900!` where it is more than the rating allows, `null` where the source has none. A
valuexcount stands for so many steps. A path is `.` quiet, `p` pending, `A` active and told, `s` active and
not told, `r` the step at which the alarm returns. `told`, where it stands, is everything that people hear:
step, rule, subject, change and severity.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from facility.instants import from_iso
from facility.patterns import expand
from facility.points import Cadence
from facility.readings import Quality
from facility.sitefile.reader import SiteFile, read_site

FOLDER: Final = Path(__file__).parents[2] / "tests" / "scenarios"
BROKER: Final = "bus"
BEGIN: Final = "2026-06-01T12:00:00Z"
CONTRACT: Final = "from = 2026-01-01\ncommitted_mw = 0.400"
HEAD: Final = '[site]\nname = "hall"\n'
KEYS: Final = frozenset(
    {
        "about", "kind", "step_s", "begin", "source", "site", "contract", "rules",
        "gateways", "beats", "kw", "measured", "lag_s", "expect", "told",
    }
)  # fmt: skip

_ENDINGS: Final = {"?": Quality.SOURCE_DOUBTS, "!": Quality.IMPLAUSIBLE}


@dataclass(frozen=True, slots=True)
class Value:
    """What a source says in one step: no value where it has none."""

    number: float | None
    quality: Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario, read.

    Attributes:
        name: Its folder and file.
        kind: What it shows: `fires`, `limit`, `gap` or `more`.
        file: The site.
        begin_ms: The first step [ms].
        step_ms: Length of a step [ms].
        cadence: When sources publish.
        streams: The publisher that each source comes by, by its name.
        values: What each source says, step by step; None where nothing comes. A source of anything else
            than the power of its asset is called by the quantity too.
        lags_ms: How long after its stamp each source is heard, step by step; none where it is in time.
        beats: Whether each publisher's heartbeat comes, step by step.
        expect: The path of each alarm, by rule and subject.
        told: Everything that people hear; None where that is not said.
    """

    name: str
    kind: str
    file: SiteFile
    begin_ms: int
    step_ms: int
    cadence: Cadence
    streams: Mapping[str, str]
    values: Mapping[str, Sequence[Value | None]]
    lags_ms: Mapping[str, Sequence[int]]
    beats: Mapping[str, Sequence[bool]]
    expect: Mapping[tuple[str, str], str]
    told: tuple[str, ...] | None

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(next(iter(self.values.values())))

    @property
    def has_gap(self) -> bool:
        """Whether anything is silent in it."""
        return any(None in said for said in self.values.values())


def read(path: Path) -> Scenario:
    """Read a scenario."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    name = f"{path.parent.name}/{path.stem}"
    assert set(found) <= KEYS, f"{name}: unknown keys {sorted(set(found) - KEYS)}"
    values = {
        f"{source}{quantity and ' '}{quantity}": [_value(text) for text in _spread(said)]
        for quantity, sources in {"": found.get("kw", {}), **found.get("measured", {})}.items()
        for pattern, said in sources.items()
        for source in _sources(pattern)
    }
    beats = {
        gateway: [text == "*" for text in _spread(said)] for gateway, said in found.get("beats", {}).items()
    }
    lags_ms = {
        source: [round(float(text) * 1_000) for text in _spread(said)]
        for pattern, said in found.get("lag_s", {}).items()
        for source in expand(pattern)
    }
    expect = {
        tuple(key.split(maxsplit=1)): "".join(_spread(said, is_path=True))
        for key, said in found["expect"].items()
    }
    lengths = {
        *map(len, values.values()),
        *map(len, lags_ms.values()),
        *map(len, beats.values()),
        *map(len, expect.values()),
    }
    assert len(lengths) == 1, f"{name}: expected one number of steps, found {sorted(lengths)}"
    return Scenario(
        name=name,
        kind=found["kind"],
        file=read_site(_site_text(found), name),
        begin_ms=from_iso(found.get("begin", BEGIN)),
        step_ms=round(found.get("step_s", 1) * 1_000),
        cadence=Cadence(found.get("source", "periodic")),
        streams={
            source: f"{BROKER}:{gateway}"
            for gateway, patterns in found.get("gateways", {}).items()
            for pattern in ([patterns] if isinstance(patterns, str) else patterns)
            for source in expand(pattern)
        },
        values=values,
        lags_ms=lags_ms,
        beats=beats,
        expect={(rule, subject): said for (rule, subject), said in expect.items()},
        told=tuple(found["told"]) if "told" in found else None,
    )


def _sources(pattern: str) -> Iterator[str]:
    """Yield the sources that a pattern stands for; what follows their names is as it is written."""
    names = re.split("[@=:]", pattern, maxsplit=1)[0]
    yield from (name + pattern[len(names) :] for name in expand(names))


def _site_text(found: Mapping[str, Any]) -> str:
    text: str = found.get("site", "")
    if not text:
        contract = found.get("contract", CONTRACT)
        bodies = [contract] if isinstance(contract, str) else contract
        text = (FOLDER / "hall.toml").read_text(encoding="utf-8")
        text += "".join(f"[[tenant.contract]]\n{body.strip()}\n" for body in bodies)
    return f"{'' if '[site]' in text else HEAD}{text}\n{found.get('rules', '')}"


def _spread(said: str, *, is_path: bool = False) -> Iterator[str]:
    """Yield what stands in each step."""
    for token in said.split():
        text, _, count = token.partition("x")
        yield from (text if is_path and not count else [text]) * int(count or 1)


def _value(text: str) -> Value | None:
    if text == "_":
        return None
    if text == "null":
        return Value(None, Quality.NO_VALUE)
    return Value(float(text.rstrip("?!")), _ENDINGS.get(text[-1], Quality.GOOD))
