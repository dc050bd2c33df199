"""A scenario file with anything wrong in it is refused with its faults, or can be run."""

from __future__ import annotations

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from facility.errors import Fault, SiteFileError
from simulators.run import Simulation
from simulators.scenario.file import read_scenario, shipped

JUNK: Final = (
    "-1", "0", "2", "0.5", "1e308", "1e-320", "nan", "inf", "99999999999999999999", '"x"', '""', "[]", "[1]",
    "[[0,1]]", "{}", "true", "1979-05-27", "9999-12-31T23:59:59Z", '"*"', '"A"', '"acme"', '["a","b"]',
    '"[a"', '"{1..3}"', '"P01A-01"', '"P01A-CDU"',
)  # fmt: skip
MORE: Final = """
[metering]
gain_sigma = 0.1
period_s = 5
clock_sigma_ms = 5
[[instrument]]
point_type = "RackPower"
step = 1
[[clock]]
gateway = "GW-P01A"
offset_ms = 5
[[rating]]
ids = "P01A-06"
idle_percent = 5
[[rating]]
ids = "P01A-06-TAP-A"
curve = { scale_s = 5 }
"""
NAMES: Final = tuple(name for name in shipped() if name[1] == "_" and name[0] in "abcdefhiklmno")


@given(
    name=st.sampled_from(NAMES),
    more=st.sampled_from(["", MORE]),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(["", *JUNK])), min_size=1, max_size=3),
)
@settings(max_examples=150)
def test_a_damaged_scenario_is_refused_or_runs(name: str, more: str, changes: list[tuple[int, str]]) -> None:
    """Values of any kind in place of any value, or lines left out: a list of faults, or seconds that pass."""
    lines = (shipped()[name].read_text(encoding="utf-8") + more).splitlines()
    for where, value in changes:
        places = [i for i, line in enumerate(lines) if "=" in line]
        place = places[where % len(places)]
        key = lines[place].partition("=")[0]
        lines[place] = f"{key}= {value}" if value else ""
    faults: tuple[Fault, ...] = ()
    scenario = None
    try:
        scenario = read_scenario("\n".join(lines), name)
    except SiteFileError as error:
        faults = error.faults

    assert (scenario is None) == bool(faults)
    assert all(fault.path and fault.expected and fault.found for fault in faults)
    if scenario is not None:
        simulation = Simulation(scenario)
        for _ in range(3):
            simulation.step()
