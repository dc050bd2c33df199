"""Each fault of instruments is on the wire as it says, in its scope and its window, and in its account."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from simulators.meters.registers import CAPACITY, UNITS_PER_KWH
from simulators.scenario.scenario import FaultKind
from testing.simulators.simulated import BEGIN_MS, a_fault, run, with_faults
from tests.unit.simulators.faultplay import (
    GATEWAY,
    RACK,
    body_of,
    of_power,
    of_rack,
    of_row,
    play,
    scenario_of,
    values_of,
)

BUS = "P01A-BUS-A"
REGISTER = f"Value/PowerMeter/GenericPoint/titan/P01A/{BUS}/energy/import"


def _of_register(topic: str) -> bool:
    return REGISTER in topic


@pytest.mark.parametrize("offset_s", [-30.0, 1.0, 3_600.0])
def test_clock_offset(offset_s: float) -> None:
    """Every stamp of the gateway is off, that of its heartbeat as well; values are as they were."""
    played = play(a_fault(FaultKind.CLOCK_OFFSET, GATEWAY, strength=offset_s), is_touched=of_row)
    before = [body_of(x) for x in played.of(played.clean, "/Value/") if of_row(x[0])]
    after = [body_of(x) for x in played.of(played.said, "/Value/") if of_row(x[0])]
    assert {a["timestamp"] - b["timestamp"] for a, b in zip(after, before, strict=True)} == {offset_s * 1_000}
    beats = [body_of(x) for x in played.of(played.said, f"{GATEWAY}/heartbeat")]
    assert beats
    assert all(beat["value"] == beat["timestamp"] for beat in beats)


def test_local_time() -> None:
    """Stamps are those of the wall clock of the site: 5 h 45 min ahead in Kathmandu."""
    played = play(a_fault(FaultKind.LOCAL_TIME, RACK), is_touched=of_rack)
    flow = f"Value/Rack/RackLiquidFlow/titan/P01A/{RACK}"
    before, after = played.of(played.clean, flow), played.of(played.said, flow)
    zone = datetime.fromtimestamp(BEGIN_MS / 1_000, ZoneInfo("Asia/Kathmandu")).utcoffset()
    assert zone is not None
    off = {body_of(a)["timestamp"] - body_of(b)["timestamp"] for a, b in zip(after, before, strict=True)}
    assert off == {zone.total_seconds() * 1_000} == {20_700_000}


def test_local_time_needs_a_zone() -> None:
    """A site on UTC has no local time to be wrong by."""
    scenario = with_faults(scenario_of(zone="UTC"), a_fault(FaultKind.LOCAL_TIME, RACK))
    with pytest.raises(ValueError, match="expected a site whose clocks differ from UTC"):
        run(scenario)


def test_freeze() -> None:
    """A frozen point falls quiet where one speaks on change; it is repeated with the value that it had."""
    played = play(
        a_fault(FaultKind.FREEZE, RACK, point_type="RackPower", window=(5, 125)),
        is_touched=of_power,
        seconds=150,
    )
    power = f"Value/Rack/RackPower/titan/P01A/{RACK}"
    before, after = played.of(played.clean, power), played.of(played.said, power)
    assert len(before) > 15
    assert 1 <= len(after) <= 3
    assert len(set(values_of(after))) == 1
    assert max(b[2] - a[2] for a, b in pairwise(after)) <= 101_000 if len(after) > 1 else True


def test_spike() -> None:
    """Some values are many times what they were, and the rest are as they were."""
    played = play(
        a_fault(FaultKind.SPIKE, RACK, point_type="RackLiquidFlow", strength=5.0),
        is_touched=lambda t: f"Value/Rack/RackLiquidFlow/titan/P01A/{RACK}" in t,
    )
    flow = f"Value/Rack/RackLiquidFlow/titan/P01A/{RACK}"
    before = {x[2]: body_of(x)["value"] for x in played.of(played.clean, flow)}
    after = {x[2]: body_of(x)["value"] for x in played.of(played.said, flow)}
    ratios = {round(after[at] / before[at], 6) for at in after.keys() & before.keys()}
    assert ratios == {1.0, 5.0}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (FaultKind.NULL, b'"value":null,'),
        (FaultKind.NAN, b'"value":NaN,'),
        (FaultKind.TEXT_NUMBER, b'"value":"'),
    ],
)  # fmt: skip
def test_what_is_not_a_number(kind: FaultKind, text: bytes) -> None:
    """Null, NaN and numbers in quotation marks stand where a number should."""
    played = play(a_fault(kind, RACK, point_type="RackPower"), is_touched=of_power)
    said = played.of(played.said, f"Value/Rack/RackPower/titan/P01A/{RACK}")
    assert said
    assert all(text in line[1] for line in said)
    after = played.of(played.said, f"Value/Rack/RackPower/titan/P01A/{RACK}", from_s=20, to_s=30)
    assert after
    assert all(isinstance(value, float) for value in values_of(after))


@pytest.mark.parametrize(
    ("kind", "strength", "factor"),
    [
        (FaultKind.WRONG_UNIT, 1.0, 1_000.0),
        (FaultKind.WRONG_UNIT, 60.0, 60.0),
        (FaultKind.SIGN_FLIP, 1.0, -1.0),
    ],
)  # fmt: skip
def test_wrong_by_a_factor(kind: FaultKind, strength: float, factor: float) -> None:
    """Watts for kilowatts, or the other sign: every value by the same factor."""
    played = play(a_fault(kind, RACK, point_type="RackPower", strength=strength), is_touched=of_power)
    power = f"Value/Rack/RackPower/titan/P01A/{RACK}"
    before = {x[2]: body_of(x)["value"] for x in played.of(played.clean, power)}
    after = {x[2]: body_of(x)["value"] for x in played.of(played.said, power)}
    assert after.keys() == before.keys()
    assert all(after[at] == pytest.approx(before[at] * factor, rel=1e-12) for at in after)


def test_bad_quality() -> None:
    """The value is as it was, and its source says that it is not to be trusted."""
    played = play(a_fault(FaultKind.BAD_QUALITY, RACK, point_type="RackPower"), is_touched=of_power)
    said = played.of(played.said, f"Value/Rack/RackPower/titan/P01A/{RACK}")
    assert said
    assert {body_of(line)["quality"] for line in said} == {0}
    assert {
        body_of(line)["quality"] for line in played.said if "/Value/" in line[0] and not of_power(line[0])
    } == {1}


def test_ct_error() -> None:
    """Power and current are off by the strength, voltage and coolant are not."""
    meter = f"{RACK}-TAP-A"

    def touched(topic: str) -> bool:
        parts = ("ActivePower", "ApparentPower", "/Current/")
        return f"/{meter}/" in topic and any(part in topic for part in parts)

    played = play(a_fault(FaultKind.CT_ERROR, meter, strength=3.0), is_touched=touched)
    power = f"Value/PowerMeter/ActivePower/titan/P01A/{meter}/"
    before = {x[2]: body_of(x)["value"] for x in played.of(played.clean, power)}
    after = {x[2]: body_of(x)["value"] for x in played.of(played.said, power)}
    common = after.keys() & before.keys()
    assert len(common) > 10
    assert all(after[at] == pytest.approx(before[at] * 1.03, abs=0.0011) for at in common)


def test_register_reset() -> None:
    """The register starts again at zero."""
    spec = a_fault(FaultKind.REGISTER_RESET, BUS, window=(40, 100))
    played = play(spec, is_touched=_of_register, seconds=200)
    readings = values_of([x for x in played.said if REGISTER in x[0]])
    falls = [b for a, b in pairwise(readings) if b < a]
    assert len(falls) == 1
    assert falls[0] < 20


def test_register_rollover() -> None:
    """The register goes over its end, and on from zero."""
    spec = a_fault(FaultKind.REGISTER_ROLLOVER, BUS, window=(10, 150))
    played = play(spec, is_touched=_of_register, seconds=200)
    readings = values_of([x for x in played.said if REGISTER in x[0]])
    end = CAPACITY / UNITS_PER_KWH
    falls = [(a, b) for a, b in pairwise(readings) if b < a]
    assert len(falls) == 1
    assert end - 20 < falls[0][0] < end
    assert falls[0][1] < 20


def test_device_swap() -> None:
    """Another register and another gain stand in the same place, and stay there."""
    spec = a_fault(FaultKind.DEVICE_SWAP, BUS, window=(40, 100))
    parts = ("ActivePower", "ApparentPower", "Current", "GenericPoint")
    played = play(
        spec,
        is_touched=lambda t: f"/{BUS}/" in t and "/Value/" in t and any(p in t for p in parts),
        seconds=200,
    )
    readings = values_of([x for x in played.said if REGISTER in x[0]])
    assert min(readings) < 150 < max(readings)
    power = f"Value/PowerMeter/ActivePower/titan/P01A/{BUS}/"
    for from_s, to_s in ((45, 100), (110, 200)):
        before = {x[2]: body_of(x)["value"] for x in played.of(played.clean, power, from_s=from_s, to_s=to_s)}
        after = {x[2]: body_of(x)["value"] for x in played.of(played.said, power, from_s=from_s, to_s=to_s)}
        ratios = [after[at] / before[at] for at in after.keys() & before.keys()]
        assert max(ratios) - min(ratios) < 1e-4
        assert 1e-5 < abs(ratios[0] - 1) < 0.02


def test_register_faults_need_a_register() -> None:
    """A scope without a register is refused."""
    with pytest.raises(ValueError, match="expected a scope with energy registers"):
        run(with_faults(scenario_of(), a_fault(FaultKind.REGISTER_RESET, RACK)))
