"""The rules about racks as plain Python: an object for each rack, one after the other, for comparison.

Each holds a number against a limit with its delays, as the rules do; two keep the mean of a minute, one the
slope of five minutes, one what is used up of a breaker. Nothing has bounds, and nothing hides anything.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

_FRESH_MS: Final = 110_000
_SLOPE_S: Final = 300
_LEAST_OVERLOAD: Final = 1.05


@dataclass(slots=True)
class _Mean:
    """The mean of the last seconds, second by second."""

    seconds: int
    values: deque[float] = field(default_factory=deque)
    total: float = 0.0

    def note(self, value: float) -> float:
        self.values.append(value)
        self.total += value
        if len(self.values) > self.seconds:
            self.total -= self.values.popleft()
        return self.total / len(self.values)


@dataclass(slots=True)
class _Rack:
    """A rack: its last values by what they are of, when each was heard [ms], and what its rules remember."""

    value: dict[str, float]
    heard_ms: dict[str, int]
    flow: _Mean
    rise: _Mean
    inlet: deque[float]
    used: float = 0.0
    same_s: int = 0
    before_kw: float = math.nan
    before_kwh: float = 0.0


@dataclass(slots=True)
class _Alarm:
    """The alarm of a rule and a rack: since when its limit is broken [ms], and whether it is open."""

    since_ms: int = 0
    is_pending: bool = False
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is judged of a rack, by which quantity it is known, and its limits."""

    quantity: str
    value: Callable[[_Rack], float]
    least: float = -math.inf
    most: float = math.inf
    on_delay_ms: int = 60_000


def _slope(rack: _Rack) -> float:
    rack.inlet.append(rack.value["air.inlet"])
    if len(rack.inlet) > _SLOPE_S:
        rack.inlet.popleft()
    return (rack.inlet[-1] - rack.inlet[0]) * 12


def _heat(rack: _Rack) -> float:
    rise = rack.rise.note(rack.value["coolant.return"] - rack.value["coolant.supply"])
    return rack.flow.total / len(rack.flow.values) * rise * 7 / rack.value["power"]


def _trip(rack: _Rack) -> float:
    over = rack.value["current"] / 200
    if over > _LEAST_OVERLOAD:
        rack.used += math.pow(over - 1, 2.04) / 9.3
        return (1 - rack.used) * 9.3 / math.pow(over - 1, 2.04)
    rack.used *= math.exp(-1 / 600)
    return 86_400


def _same(rack: _Rack) -> float:
    rack.same_s = rack.same_s + 1 if rack.value["power"] == rack.before_kw else 0
    return rack.same_s


def _collapse(rack: _Rack) -> float:
    share = rack.value["power"] / rack.before_kw
    rack.before_kw = rack.value["power"]
    return 1.0 if math.isnan(share) else share


def _fall(rack: _Rack) -> float:
    fall = rack.before_kwh - rack.value["energy"]
    rack.before_kwh = rack.value["energy"]
    return fall


_RULES: Final = (
    _Rule("power", lambda _: 0.0),  # Q1: silent or not
    _Rule("power", _same, most=300),  # Q4
    _Rule("power", _collapse, least=0.01),  # Q5
    _Rule("energy", _fall, most=1.0),  # Q7
    _Rule("air.inlet", lambda rack: rack.value["air.inlet"], most=27),  # T1
    _Rule("air.inlet", lambda rack: rack.value["air.inlet"], least=18),  # T2
    _Rule("air.inlet", _slope, most=20),  # T3
    _Rule("coolant.supply", lambda rack: rack.value["coolant.supply"], most=45),  # T6
    _Rule("coolant.flow", lambda rack: rack.value["coolant.flow"], least=20),  # T7
    _Rule("coolant.flow", lambda rack: rack.flow.note(rack.value["coolant.flow"]), least=50),  # T8
    _Rule("coolant.return", lambda rack: rack.value["coolant.return"] - 30, least=3, most=15),  # T9
    _Rule("coolant.return", _heat, least=50, most=130),  # T10
    _Rule("coolant.supply", lambda rack: rack.value["coolant.supply"] - 11, least=2),  # T11
    _Rule("leak", lambda rack: rack.value["leak"], most=0),  # T12
    _Rule("power", lambda rack: rack.value["power"], most=132),  # C12
    _Rule("power", lambda rack: rack.value["power"], least=1),  # E17
    _Rule("current", lambda rack: rack.value["current"], most=160),  # E1
    _Rule("current", _trip, least=300),  # E2
)


class PlainRacks:
    """Every rack as an object.

    Args:
        racks: How many.
    """

    rules: Final = len(_RULES)

    def __init__(self, racks: int) -> None:
        random = np.random.default_rng(7)
        usual = {
            "power": (95, 3),
            "current": (132, 3),
            "energy": (5e5, 0),
            "air.inlet": (24, 0.1),
            "coolant.supply": (30, 0.1),
            "coolant.return": (40, 0.1),
            "coolant.flow": (137, 1),
            "leak": (0, 0),
        }
        columns = [random.normal(*each, racks).tolist() for each in usual.values()]
        self._racks = [
            _Rack(dict(zip(usual, row, strict=True)), dict.fromkeys(usual, 0), _Mean(60), _Mean(60), deque())
            for row in zip(*columns, strict=True)
        ]
        self._alarms = [[_Alarm() for _ in _RULES] for _ in range(racks)]

    def tick_ms(self, at_ms: int) -> float:
        """Judge every rack by every rule; return what that took [ms CPU].

        Args:
            at_ms: The moment [ms].
        """
        for rack in self._racks:
            rack.heard_ms = dict.fromkeys(rack.heard_ms, at_ms)
        begin_s = time.thread_time()
        for rack, alarms in zip(self._racks, self._alarms, strict=True):
            for rule, alarm in zip(_RULES, alarms, strict=True):
                if at_ms - rack.heard_ms[rule.quantity] > _FRESH_MS:
                    continue
                if rule.least <= rule.value(rack) <= rule.most:
                    alarm.is_pending = alarm.is_open = False
                elif not alarm.is_pending:
                    alarm.is_pending, alarm.since_ms = True, at_ms
                elif at_ms - alarm.since_ms >= rule.on_delay_ms:
                    alarm.is_open = True
        return 1_000 * (time.thread_time() - begin_s)
