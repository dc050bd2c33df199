"""The rules that there are. Adding one is its file and its line here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from pydantic import ValidationError

from facility.errors import Fault
from facility.names import nearest
from facility.patterns import PatternError, choose
from facility.sitefile.reader import OVERRIDES
from rules.base import Rule, Variant
from rules.library.contract.c1_draw_near_limit import DrawNearLimit
from rules.library.contract.c2_overdraw import Overdraw
from rules.library.contract.c3_overdraw_possible import OverdrawPossible
from rules.library.contract.c4_block_exceeded import BlockExceeded
from rules.library.contract.c5_block_forecast import BlockForecast
from rules.library.contract.c9_ahead_of_ramp import AheadOfRamp
from rules.library.contract.c10_date_near import DateNear
from rules.library.contract.c12_rack_over_contracted import RackOverContracted
from rules.library.cooling.t1_inlet_hot import InletHot
from rules.library.cooling.t2_inlet_cold import InletCold
from rules.library.cooling.t3_inlet_warming import InletWarming
from rules.library.cooling.t4_humidity import Humidity
from rules.library.cooling.t5_supply_off_set_point import SupplyOffSetPoint
from rules.library.cooling.t6_supply_hot import SupplyHot
from rules.library.cooling.t7_flow_lost import FlowLost
from rules.library.cooling.t8_flow_low import FlowLow
from rules.library.cooling.t9_delta_t import DeltaT
from rules.library.cooling.t10_heat_balance import HeatBalance
from rules.library.cooling.t11_condensation import Condensation
from rules.library.cooling.t12_leak import Leak
from rules.library.cooling.t13_leak_sensor_fault import LeakSensorFault
from rules.library.cooling.t14_pressure import Pressure
from rules.library.cooling.t15_valve_mismatch import ValveMismatch
from rules.library.cooling.t16_pump_redundancy import PumpRedundancy
from rules.library.cooling.t17_facility_water_warm import FacilityWaterWarm
from rules.library.cooling.t18_unit_without_flow import UnitWithoutFlow
from rules.library.data.q1_rack_silent import RackSilent
from rules.library.data.q2_coverage_low import CoverageLow
from rules.library.data.q3_common_silence import CommonSilence
from rules.library.data.q4_flat_line import FlatLine
from rules.library.data.q5_unit_error import UnitError
from rules.library.data.q6_clock_off import ClockOff
from rules.library.data.q7_register_fault import RegisterFault
from rules.library.data.q8_meters_disagree import MetersDisagree
from rules.library.data.q10_alarm_health import AlarmHealth
from rules.library.electrical.e1_breaker_load import BreakerLoad
from rules.library.electrical.e2_breaker_trips import BreakerTrips
from rules.library.electrical.e3_failover_headroom import FailoverHeadroom
from rules.library.electrical.e4_feed_lost import FeedLost
from rules.library.electrical.e5_block_load import BlockLoad
from rules.library.electrical.e6_overload import Overload
from rules.library.electrical.e7_unbalance import Unbalance
from rules.library.electrical.e8_voltage import VoltageOutOfRange
from rules.library.electrical.e9_power_quality import PowerQuality
from rules.library.electrical.e10_frequency import Frequency
from rules.library.electrical.e11_ramp import Ramp
from rules.library.electrical.e12_step_loss import StepLoss
from rules.library.electrical.e15_balance import Balance
from rules.library.electrical.e16_pue import Effectiveness
from rules.library.electrical.e17_not_as_expected import NotAsExpected
from rules.library.electrical.e18_variation import Variation
from rules.subject import OF_NO_ASSET, OF_NO_RACKS, SubjectKind

RULES: Final[tuple[type[Rule], ...]] = (
    DrawNearLimit,
    Overdraw,
    OverdrawPossible,
    BlockExceeded,
    BlockForecast,
    AheadOfRamp,
    DateNear,
    RackOverContracted,
    BreakerLoad,
    BreakerTrips,
    FailoverHeadroom,
    FeedLost,
    BlockLoad,
    Overload,
    Unbalance,
    VoltageOutOfRange,
    PowerQuality,
    Frequency,
    Ramp,
    StepLoss,
    Balance,
    Effectiveness,
    NotAsExpected,
    Variation,
    InletHot,
    InletCold,
    InletWarming,
    Humidity,
    SupplyOffSetPoint,
    SupplyHot,
    FlowLost,
    FlowLow,
    DeltaT,
    HeatBalance,
    Condensation,
    Leak,
    LeakSensorFault,
    Pressure,
    ValveMismatch,
    PumpRedundancy,
    FacilityWaterWarm,
    UnitWithoutFlow,
    RackSilent,
    CoverageLow,
    CommonSilence,
    FlatLine,
    UnitError,
    ClockOff,
    RegisterFault,
    MetersDisagree,
    AlarmHealth,
)

CHOICES: Final = ("assets", "tenants", "kinds")
OF_THE_WHOLE: Final = (
    *("unknown_delay_s", "above_s", "above_window_s", "high_after_s"),
    *("least_openings", "within_s", "quiet_s", "most_alarms", "few_alarms"),
)
"""Parameters that cannot differ between subjects."""


def make_rules(
    parameters: Mapping[str, Mapping[str, Any]],
    faults: list[Fault],
    tenants: Collection[str] | None = None,
) -> tuple[Rule, ...]:
    """Make every rule, with the parameters that the site file sets.

    Args:
        parameters: Parameters by rule, as the site file says them; a rule with `enabled = false` is left out.
        faults: Takes what is wrong with them.
        tenants: The tenants that may have parameters of their own; None where that is not checked.
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
    made = (_make(rule, dict(parameters.get(rule.name, {})), faults, tenants) for rule in RULES)
    return tuple(rule for rule in made if rule is not None)


def _make(
    rule: type[Rule], parameters: dict[str, Any], faults: list[Fault], tenants: Collection[str] | None
) -> Rule | None:
    enabled = parameters.pop("enabled", True)
    others = parameters.pop(OVERRIDES, [])
    path = f"rules.{rule.name}"
    if not isinstance(enabled, bool):
        faults.append(Fault(path=f"{path}.enabled", expected="true or false", found=repr(enabled)))
        return None
    made = _validated(rule, parameters, path, faults)
    if not isinstance(others, list) or not all(isinstance(other, dict) for other in others):
        expected = f"tables, written [[{path}.{OVERRIDES}]]"
        faults.append(Fault(path=f"{path}.{OVERRIDES}", expected=expected, found=repr(others)))
        return None
    variants = [
        _variant(rule, {} if made is None else parameters, other, f"{path}.{OVERRIDES}[{i}]", faults, tenants)
        for i, other in enumerate(others)
    ]
    if made is None or not enabled:
        return None
    return made.with_variants(tuple(one for one in variants if one is not None)) if variants else made


def _variant(
    rule: type[Rule],
    usual: Mapping[str, Any],
    given: Mapping[str, Any],
    path: str,
    faults: list[Fault],
    tenants: Collection[str] | None,
) -> Variant | None:
    """Make a rule with the parameters that hold for some of its subjects.

    Args:
        rule: Class of the rule.
        usual: The parameters that hold for all others, without faults.
        given: Who is chosen, and the parameters that are other than usual.
        path: Where that stands in the site file.
        faults: Takes what is wrong with it.
        tenants: The tenants that may have parameters of their own; None where that is not checked.
    """
    count = len(faults)
    parameters = {name: value for name, value in given.items() if name not in CHOICES}
    chosen = _choices(rule, given, path, faults)
    for name in chosen.get("tenants", ()):
        if tenants is not None and name not in tenants:
            hint = nearest(name, tenants)
            faults.append(
                Fault(path=f"{path}.tenants", expected="a tenant's id", found=f"'{name}'", hint=hint)
            )
    faults += [
        Fault(
            path=f"{path}.{name}",
            expected="a parameter of each subject",
            found=f"'{name}', of the whole rule",
        )
        for name in OF_THE_WHOLE
        if name in parameters
    ]
    made = _validated(rule, parameters, path, faults)
    if made is None or len(faults) > count:
        return None
    return Variant(rule.model_validate({**usual, **parameters}), **chosen)


def _choices(
    rule: type[Rule], given: Mapping[str, Any], path: str, faults: list[Fault]
) -> dict[str, tuple[str, ...]]:
    """Return the subjects that parameters are for: patterns, tenants and kinds, as they are written."""
    chosen: dict[str, tuple[str, ...]] = {}
    count = len(faults)
    for name in CHOICES:
        found = given.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            faults.append(Fault(path=f"{path}.{name}", expected="a list of names", found=repr(found)))
        else:
            chosen[name] = tuple(found)
    if not any(chosen.values()) and len(faults) == count:
        expected = f"one of {', '.join(CHOICES)}, which say what the parameters are for"
        faults.append(Fault(path=path, expected=expected, found="none"))
    for name, without in (("tenants", OF_NO_RACKS - {SubjectKind.TENANT}), ("kinds", OF_NO_ASSET)):
        if chosen.get(name) and rule.kind in without:
            expected = f"no {name}: {rule.name} is about a {rule.kind}, which has none"
            faults.append(Fault(path=f"{path}.{name}", expected=expected, found=repr(list(chosen[name]))))
    for pattern in chosen.get("assets", ()):
        try:
            choose(pattern, ())
        except PatternError as error:
            faults.append(Fault(path=f"{path}.assets", expected=error.expected, found=error.found))
    return chosen


def _validated(
    rule: type[Rule], parameters: Mapping[str, Any], path: str, faults: list[Fault]
) -> Rule | None:
    try:
        return rule.model_validate(parameters)
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
