"""The rules that there are. Adding one is its file and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from facility.errors import Fault
from facility.names import nearest
from rules.base import Rule
from rules.library.contract.c1_draw_near_limit import DrawNearLimit
from rules.library.contract.c2_overdraw import Overdraw
from rules.library.contract.c3_overdraw_possible import OverdrawPossible
from rules.library.contract.c4_block_exceeded import BlockExceeded
from rules.library.contract.c5_block_forecast import BlockForecast
from rules.library.contract.c9_ahead_of_ramp import AheadOfRamp
from rules.library.data.q1_rack_silent import RackSilent
from rules.library.data.q2_coverage_low import CoverageLow
from rules.library.data.q3_common_silence import CommonSilence
from rules.library.data.q6_clock_off import ClockOff
from rules.library.data.q8_meters_disagree import MetersDisagree

RULES: Final[tuple[type[Rule], ...]] = (
    DrawNearLimit,
    Overdraw,
    OverdrawPossible,
    BlockExceeded,
    BlockForecast,
    AheadOfRamp,
    RackSilent,
    CoverageLow,
    CommonSilence,
    ClockOff,
    MetersDisagree,
)


def make_rules(parameters: Mapping[str, Mapping[str, Any]], faults: list[Fault]) -> tuple[Rule, ...]:
    """Make every rule, with the parameters that the site file sets.

    Args:
        parameters: Parameters by rule, as the site file says them; a rule with `enabled = false` is left out.
        faults: Takes what is wrong with them.
    """
    known = {rule.name: rule for rule in RULES}
    faults += [
        Fault(
            path=f"rules.{name}",
            expected=f"one of the rules {', '.join(known)}",
            found=f"'{name}'",
            hint=nearest(name, known),
        )
        for name in parameters
        if name not in known
    ]
    made = (_make(rule, dict(parameters.get(rule.name, {})), faults) for rule in RULES)
    return tuple(rule for rule in made if rule is not None)


def _make(rule: type[Rule], parameters: dict[str, Any], faults: list[Fault]) -> Rule | None:
    enabled = parameters.pop("enabled", True)
    path = f"rules.{rule.name}"
    if not isinstance(enabled, bool):
        faults.append(Fault(path=f"{path}.enabled", expected="true or false", found=repr(enabled)))
        return None
    try:
        made = rule.model_validate(parameters)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            key = ".".join(str(part) for part in item["loc"])
            unknown = item["type"] == "extra_forbidden"
            names = list(rule.model_fields)
            faults.append(
                Fault(
                    path=f"{path}.{key}",
                    expected=f"one of {', '.join(names)}"
                    if unknown
                    else item["msg"].removeprefix("Input should be "),
                    found=f"the unknown key '{key}'" if unknown else repr(item["input"]),
                    hint=nearest(key, names) if unknown else "",
                )
            )
        return None
    return made if enabled else None
