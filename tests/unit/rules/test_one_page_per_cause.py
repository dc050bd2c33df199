"""One page per cause: what a lost block or a silent aisle brings with it is recorded, and told once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rules.alarms.states import Change, Transition
from rules.base import Severity
from rules.engine.engine import Step
from rules.notify.message import compose
from rules.registry import RULES, make_rules
from testing.scenarios.reading import FOLDER, Scenario, read
from testing.scenarios.runner import run

BLOCK = 200
BUSES = 8
STAND = (Change.OPENED, Change.WORSENED)


def a_block(feeds: str = "a") -> str:
    """Return a site of two tenants, with 200 racks behind a UPS and eight busways for each feed."""
    share = BLOCK // BUSES
    parts = []
    for feed in feeds:
        parts.append(f'[[asset]]\nid = "ups-{feed}"\nkind = "UPS"\nnominal_v = 480')
        parts.append(f'serves = ["bus-{feed}{{1..{BUSES}}}"]')
        for bus in range(BUSES):
            racks = f"r{{{bus * share + 1:03d}..{(bus + 1) * share:03d}}}"
            parts.append(f'[[asset]]\nid = "bus-{feed}{bus + 1}"\nkind = "Busway"\nnominal_v = 415')
            parts.append(f'serves = ["{racks}"]')
    parts.append(f'[[rack]]\nids = "r{{001..{BLOCK}}}"\nrating_kw = 100\nfeeds = {len(feeds)}')
    for tenant, racks, committed_mw in (("acme", "r{001..120}", 8), ("bolt", "r{121..200}", 6)):
        parts.append(f'[[tenant]]\nid = "{tenant}"\nholds = [{{ racks = "{racks}", from = 2026-01-01 }}]')
        parts.append(f"[[tenant.contract]]\nfrom = 2026-01-01\ncommitted_mw = {committed_mw}")
    return "\n".join(parts)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a scenario came to.

    Attributes:
        changes: What happened to alarms, in order, with the step of the engine.
        scenario: What was played.
    """

    changes: list[tuple[Transition, Step]]
    scenario: Scenario

    @property
    def told(self) -> list[str]:
        """What people hear: second, rule, subject, change and severity."""
        begin_ms = self.scenario.begin_ms
        return [
            f"{(c.at_ms - begin_ms) // 1_000} {c.rule} {c.subject} {c.change} {c.severity.word}"
            for c, _ in self.changes
            if c.is_told
        ]

    def opened(self, *, is_told: bool) -> Counter[str]:
        """Return how many alarms of each rule opened, told or not."""
        opened = (c for c, _ in self.changes if c.change is Change.OPENED)
        return Counter(c.rule for c in opened if c.is_told == is_told)

    def most_hidden(self) -> dict[tuple[str, str], dict[str, int]]:
        """Return how many alarms of each rule each cause hid at most, by its rule and subject."""
        most: dict[tuple[str, str], dict[str, int]] = {}
        for view in (step.view for _, step in self.changes if step.view is not None):
            for cause, hides in view.hides.items():
                counts = most.setdefault(cause, {})
                counts.update({rule: max(count, counts.get(rule, 0)) for rule, count in hides.items()})
        return most

    def page(self, rule: str, change: Change) -> dict[str, Any]:
        """Return the document of the one page of a rule."""
        ((found, step),) = (
            (c, s) for c, s in self.changes if (c.rule, c.change, c.is_told) == (rule, change, True)
        )
        judges = {made.name: made for made in make_rules(self.scenario.file.rules, [])}
        assert step.view is not None
        return compose(found, judges[rule], step.view, self.scenario.file.site).document()


def heard(
    folder: Path,
    site: str,
    said: str,
    *,
    step_s: int = 1,
    set_back_at: int | None = None,
    set_back_s: int = 3_600,
) -> Heard:
    """Play a site.

    Args:
        folder: Takes the scenario.
        site: The site file.
        said: What it says, as tables of a scenario.
        step_s: Length of a step [s].
        set_back_at: Before which step every clock is set back; None for never.
        set_back_s: By how much [s].
    """
    path = folder / "scenario.toml"
    head = f'about = "a test"\nkind = "more"\nstep_s = {step_s}'
    path.write_text(f'{head}\nsite = """\n{site}\n"""\n{said}\n[expect]\n')
    scenario = read(path)
    steps: list[Step] = []
    run(scenario, steps.append, set_back_at=set_back_at, set_back_s=set_back_s)
    return Heard([(change, step) for step in steps for change in step.changes], scenario)


LOST = """
[measured."voltage.ll"]
"ups-a" = "480x30 0x60 480x110"
"bus-a{1..8}" = "415x30 0x60 415x110"
"""


def test_a_lost_block_is_one_page_with_its_tenants_and_what_they_drew(tmp_path: Path) -> None:
    """200 racks go dark and silent: 1 page, everything else is recorded beside it; it is over as one."""
    drawn = '[kw]\n"r{001..120}" = "50x30 _x60 50x110"\n"r{121..200}" = "40x30 _x60 40x110"'

    found = heard(tmp_path, a_block(), drawn + LOST)

    assert found.told == ["32 E4 ups-a opened critical", "120 E4 ups-a returned critical"]
    hidden = found.opened(is_told=False)
    assert hidden["Q1"] == BLOCK
    assert hidden["E4"] == BUSES
    assert {"Q2", "Q3", "E8", "C2-cannot-verify"} <= set(hidden)
    page = found.page("E4", Change.OPENED)
    assert page["racks"] == BLOCK
    assert page["tenants"] == ["acme", "bolt"]
    assert page["tenant_kw"] == pytest.approx([120 * 50, 80 * 40])
    assert "racks: 200, 9.200 MW" in page["text"]
    assert "tenants: acme (6.000 MW), bolt (3.200 MW)" in page["text"]
    ended = {c.alarm_id for c, _ in found.changes if c.change is Change.RETURNED}
    assert ended == {c.alarm_id for c, _ in found.changes}


def test_what_outlives_its_cause_is_told_then(tmp_path: Path) -> None:
    """Three racks stay silent after the block is back: told once that is over."""
    drawn = '[kw]\n"r{001..003}" = "50x30 _x170"\n"r{004..200}" = "50x30 _x60 50x110"'

    found = heard(tmp_path, a_block(), drawn + LOST)

    assert found.told[:2] == ["32 E4 ups-a opened critical", "120 E4 ups-a returned critical"]
    later = [line for line in found.told[2:] if " opened " in line]
    assert {line.split()[2] for line in later} == {"r001", "r002", "r003"}
    assert all(line.startswith("12") for line in later), later


def test_a_silent_rack_elsewhere_is_told_beside_a_lost_block(tmp_path: Path) -> None:
    """The block explains what is behind it and nothing else."""
    site = a_block() + '\n[[rack]]\nids = "x1"\nrating_kw = 100\nfeeds = 1'
    site += '\n[[tenant]]\nid = "cora"\nholds = [{ racks = "x1", from = 2026-01-01 }]'
    site += "\n[[tenant.contract]]\nfrom = 2026-01-01\ncommitted_mw = 1"
    drawn = '[kw]\n"r{001..200}" = "50x30 _x60 50x110"\n"x1" = "50x30 _x170"\n'

    found = heard(tmp_path, site, drawn + '[gateways]\ng1 = "r{001..200}"\ng2 = "x1"\n' + LOST)

    opened = [line.split()[1:3] for line in found.told if " opened " in line]
    assert ["E4", "ups-a"] in opened
    assert ["Q1", "x1"] in opened
    assert ["Q2", "cora"] in opened
    assert not [subject for _, subject in opened if subject.startswith("r") or subject in ("acme", "bolt")]


def test_half_an_aisle_that_is_silent_is_one_page(tmp_path: Path) -> None:
    """Ten racks of twenty behind one gateway: what they share is told, and whose they are."""
    site = '[[rack]]\nids = "r{01..20}"\nrating_kw = 100\nfeeds = 1\n'
    site += '[[tenant]]\nid = "acme"\nholds = [{ racks = "r{01..20}", from = 2026-01-01 }]\n'
    site += "[[tenant.contract]]\nfrom = 2026-01-01\ncommitted_mw = 3"
    drawn = '[kw]\n"r{01..10}" = "50x30 _x60 50x100"\n"r{11..20}" = "50x190"\n'
    drawn += '[gateways]\ng1 = "r{01..10}"\ng2 = "r{11..20}"'

    found = heard(tmp_path, site, drawn)

    assert [line.split()[1:4] for line in found.told] == [
        ["Q3", "bus:g1", "opened"],
        ["Q3", "bus:g1", "returned"],
    ]
    assert found.opened(is_told=False) == {"Q1": 10, "Q2": 1}
    page = found.page("Q3", Change.OPENED)
    assert (page["silent_racks"], page["tenants"]) == (10, ["acme"])
    assert page["tenant_kw"] == pytest.approx([500])


def test_one_feed_is_redundancy_and_both_are_dark(tmp_path: Path) -> None:
    """One page for each feed; the first says more once the racks are dark, and both end."""
    drawn = '[kw]\n"r{001..200}" = "50x200"\n[measured."voltage.ll"]\n'
    drawn += '"ups-a" = "480x30 0x100 480x70"\n"ups-b" = "480x60 0x70 480x70"\n'
    drawn += '"bus-a{1..8}" = "415x30 0x100 415x70"\n"bus-b{1..8}" = "415x60 0x70 415x70"'

    found = heard(tmp_path, a_block("ab"), drawn)

    assert found.told == [
        "32 E4 ups-a opened high",
        "60 E4 ups-a worsened critical",
        "62 E4 ups-b opened critical",
        "160 E4 ups-a returned critical",
        "160 E4 ups-b returned critical",
    ]


def test_the_page_of_a_cause_counts_what_it_hides_by_rule() -> None:
    """Two coolant units and three racks suffer from warm water: all of them, and not the gravest alone."""
    scenario = read(FOLDER / "t17_facility_water_warm" / "chillers_stop.toml")
    steps: list[Step] = []
    run(scenario, steps.append)
    found = Heard([(change, step) for step in steps for change in step.changes], scenario)

    opened, worse, over = (found.page("T17", change) for change in (*STAND, Change.RETURNED))

    assert "hides" not in opened
    assert (worse["hides"], worse["hides_by_rule"]) == (2, {"T5": 2})
    assert "hides: 2 other alarms: 2 T5\n" in worse["text"]
    assert worse["headline"] == "[HIGH] hall: facility water too warm, 44.0 °C, limit 31.0 °C"
    assert worse["reason"].startswith("coolant supply off its set point at cdu1 (T5) and 1 more")
    assert "hides" not in over


def test_the_page_of_a_lost_block_counts_all_that_hangs_on_it(tmp_path: Path) -> None:
    """What is beneath it, and what is beneath that: it alone is told, and carries them all."""
    drawn = '[kw]\n"r{001..120}" = "50x30 _x60 50x110"\n"r{121..200}" = "40x30 _x60 40x110"'
    found = heard(tmp_path, a_block(), drawn + LOST)

    views = [step.view for _, step in found.changes if step.view is not None]

    most = max((view.hides.get(("E4", "ups-a"), {}) for view in views), key=lambda hides: sum(hides.values()))
    below = {"E4": BUSES, "E8": BUSES + 1, "Q1": BLOCK, "Q2": 2, "Q3": 1, "C2-cannot-verify": 2}
    assert most == below
    assert {cause for view in views for cause in view.hides} == {("E4", "ups-a")}


@pytest.mark.parametrize("later_s", [1, 12, 300], ids=str)
def test_a_tenant_whose_racks_lose_flow_later_is_named(tmp_path: Path, later_s: int) -> None:
    """The page of the coolant unit names one tenant: the racks of another one are told when they follow."""
    site = '[[asset]]\nid = "cdu1"\nkind = "CDU"\nserves = ["a{1..4}"]\n'
    site += '[[rack]]\nids = "a{1..4}"\nrating_kw = 100\nfeeds = 1\nrated_lpm = 100\n'
    for tenant, racks in (("acme", "a{1..2}"), ("bolt", "a{3..4}")):
        site += f'[[tenant]]\nid = "{tenant}"\nholds = [{{ racks = "{racks}", from = 2026-01-01 }}]\n'
    flow = f'"a{{1..2}}" = "95x5 0x340"\n"a{{3..4}}" = "95x{8 + later_s} 0x{337 - later_s}"'
    said = f'[kw]\n"a{{1..4}}" = "80x345"\n[measured."rack.coolant.flow"]\n{flow}'

    found = heard(tmp_path, site, said)

    assert found.page("T18", Change.OPENED)["tenants"] == ["acme"]
    assert [line for line in found.told if " T7 " in line] == [
        f"{11 + later_s} T7 a3 opened critical",
        f"{11 + later_s} T7 a4 opened critical",
    ]


@pytest.mark.parametrize("back_s", [30, 3_600])
@pytest.mark.parametrize("lost_at", [30, 36, 60])
def test_a_rack_that_loses_flow_once_our_clock_was_set_back_is_told(
    tmp_path: Path, lost_at: int, back_s: int
) -> None:
    """The page of the unit did not name it, though its date may be one to come; those that it named wait."""
    site = '[[asset]]\nid = "cdu1"\nkind = "CDU"\nserves = ["a{1..4}"]\n'
    site += '[[rack]]\nids = "a{1..4}"\nrating_kw = 100\nfeeds = 1\nrated_lpm = 100\n'
    site += '[[tenant]]\nid = "acme"\nholds = [{ racks = "a{1..4}", from = 2026-01-01 }]\n'
    flow = f'"a{{1..2}}" = "95x5 0x95"\n"a3" = "95x{lost_at} 0x{100 - lost_at}"\n"a4" = "95x100"'
    said = f'[kw]\n"a{{1..4}}" = "80x100"\n[measured."rack.coolant.flow"]\n{flow}'

    found = heard(tmp_path, site, said, set_back_at=20, set_back_s=back_s)

    assert [line for line in found.told if " T" in line] == [
        "8 T18 cdu1 opened critical",
        f"{lost_at + 3 - back_s} T7 a3 opened critical",
    ]


def test_a_page_by_other_parameters_names_the_racks_of_these(tmp_path: Path) -> None:
    """A unit is told at 40 % of the design flow, for a tenant that asked for 60 %: the tenant is named."""
    site = '[[asset]]\nid = "cdu1"\nkind = "CDU"\nserves = ["a{1..4}"]\n'
    site += '[[rack]]\nids = "a{1..4}"\nrating_kw = 100\nfeeds = 1\nrated_lpm = 100\n'
    site += '[[tenant]]\nid = "acme"\nholds = [{ racks = "a{1..4}", from = 2026-01-01 }]\n'
    site += '[[rules.T18.for]]\ntenants = ["acme"]\nflow_percent = 60'
    flow = '"a{1..3}" = "95x5 40x25"\n"a4" = "95x30"'

    found = heard(tmp_path, site, f'[kw]\n"a{{1..4}}" = "80x30"\n[measured."rack.coolant.flow"]\n{flow}')

    page = found.page("T18", Change.OPENED)
    assert (page["tenants"], page["racks"], page["tenant_kw"]) == (["acme"], 3, [240])


ONE_FEED_OF_TWO = """
[[asset]]
id = "ups-a"
kind = "UPS"
nominal_v = 480
serves = ["r{1..4}"]
[[asset]]
id = "ups-b"
kind = "UPS"
nominal_v = 480
serves = ["r{1..4}"]
[[rack]]
ids = "r{1..4}"
rating_kw = 100
feeds = 2
[[rack]]
ids = "x{1..4}"
rating_kw = 100
feeds = 1
[[tenant]]
id = "acme"
holds = [{ racks = ["r{1..4}", "x{1..4}"], from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.8
"""
"""Eight racks of one tenant, of which four have two feeds."""
FEED_A_LOST = """
[gateways]
g1 = "r{1..4}"
g2 = "x{1..4}"
[measured."voltage.ll"]
"ups-a" = "480x80 0x120"
"ups-b" = "480x200"
"""


def test_the_page_of_a_lost_feed_does_not_count_what_a_dead_gateway_hides(tmp_path: Path) -> None:
    """Its racks are alight and heard; that too little is heard of their tenant is for the gateway."""
    found = heard(
        tmp_path, ONE_FEED_OF_TWO, '[kw]\n"r{1..4}" = "50x200"\n"x{1..4}" = "50x30 _x170"' + FEED_A_LOST
    )

    assert found.opened(is_told=True) == {"Q3": 1, "E4": 1}
    assert found.opened(is_told=False) == {"Q1": 4, "Q2": 1, "E8": 1}
    counted = found.most_hidden()
    assert counted == {("Q3", "bus:g2"): {"Q1": 4, "Q2": 1}, ("E4", "ups-a"): {"E8": 1}}


def test_nothing_hides_a_leak_or_an_imminent_trip() -> None:
    """Nor the loss of a feed, but by the loss of what feeds it."""
    hidden = {rule.name: {hide.rule for hide in rule.causes_of(rule.name)} for rule in RULES}

    assert hidden["T12"] == set()
    assert hidden["E2"] == set()
    assert hidden["E4"] == {"E4"}
    critical = {rule.name for rule in RULES if rule.model_fields["severity"].default is Severity.CRITICAL}
    # What hides a critical alarm is critical itself.
    assert {name: hidden[name] for name in critical if hidden[name]} == {"T7": {"T18"}, "T18": {"T18"}}


def test_500_sensors_that_swing_for_an_hour_cost_no_page_and_hide_no_leak(tmp_path: Path) -> None:
    """Half a minute above, half a minute below: no swing lasts as long as the on-delay; the leak is told."""
    site = '[[rack]]\nids = "r{001..500}"\nrating_kw = 100\nfeeds = 1'
    swings = " ".join(["30x1 24x1"] * 60)
    said = f'[kw]\n"r{{001..500}}" = "50x120"\n[measured."air.inlet"]\n"r{{001..500}}" = "{swings}"\n'
    said += '[measured.leak]\n"r001" = "0x60 1x20 0x40"'

    found = heard(tmp_path, site, said, step_s=30)

    assert [line.split()[1:4] for line in found.told] == [
        ["T12", "r001", "opened"],
        ["T12", "r001", "returned"],
    ]
    assert found.opened(is_told=False) == {}
