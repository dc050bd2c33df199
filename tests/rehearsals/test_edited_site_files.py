"""Site files that are edited over a running history: no figure is of another tenant, no alarm is a ghost.

A hall with open alarms, open demand blocks, a stream that is broken and meters in doubt stands still, its
site file is edited, and it goes on from its snapshot. The judge of what it says then is an engine that was
given the edited file and the whole journal from the beginning, and never saw a snapshot. They may differ
only in the block that is open when the file is edited, and only where the file says otherwise of what was
added up of it; there the restarted one must say less, and nothing else (decision 0063).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from facility.site import Site
from facility.sitefile.reader import SiteFile, read_site
from megawatch.composition import make_judging
from rules.base import Verdict
from rules.engine.judging import Judging
from rules.engine.service import RulesService
from rules.notify.routing import Route
from rules.notify.telling import Teller
from rules.registry import make_rules
from store.journal.entries import MarkKind
from store.ledger.alarms import AlarmChange
from store.ledger.ledger import Ledger
from store.series import DemandBlock, TenantDraw
from testing.builders import T0_MS
from testing.rules.halls import KW, Tape, a_meter, known_meter, known_rack, play
from testing.rules.services import Hand, Recorded

STOP_S: Final = 100
"""When the monitor stops, within a block of a minute [s after T0]."""
END_S: Final = 232
"""When a test ends [s after T0]."""
STOP_MS: Final = T0_MS + 1_000 * STOP_S
RACKS: Final = tuple(f"r{i}" for i in range(10))
POWERS_KW: Final = (80.0, 90.0, 70.0, 60.0, 50.0, 55.0, 40.0, 45.0, 30.0, 35.0)
ANNEX: Final = ("r8", "r9")

TEXT: Final = """
[site]
name = "hall"
timezone = "UTC"

[engine]
tick_ms = 1000
lateness_ms = 0
settle_after_s = 1
wait_for_silent_s = 2
wait_for_broker_s = 5

[[broker]]
name = "bus"
url = "mqtt://127.0.0.1:1883"

[[broker]]
name = "annex"
url = "mqtt://127.0.0.1:1884"

[[rack]]
ids = "r{0..9}"
rating_kw = 100
feeds = 1

[[tenant]]
id = "acme"
name = "Acme"
holds = [{ racks = "r[01]", from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.12

[[tenant]]
id = "blue"
name = "Blue"
holds = [{ racks = "r[23]", from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.10
limit = { method = "block", minutes = 1 }

[[tenant]]
id = "cyan"
name = "Cyan"
holds = [{ racks = "r[45]", from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.15
limit = { method = "rolling", minutes = 2, subinterval_minutes = 0.5 }

[[tenant]]
id = "erin"
name = "Erin"
holds = [{ racks = "r[67]", from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.10
boundary = "named_meters"
meters = ["m67"]
limit = { method = "block", minutes = 1 }

[[tenant]]
id = "dora"
name = "Dora"
holds = [{ racks = "r[89]", from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.10

[[route]]
to = { console = true }

[rules.C1]
enabled = false
[rules.C2]
off_delay_s = 5
unknown_delay_s = 20
[rules.C3]
off_delay_s = 5
[rules.C5]
off_delay_s = 5
[rules.Q1]
off_delay_s = 5
[rules.Q2]
off_delay_s = 5
[rules.Q8]
on_delay_s = 10
off_delay_s = 5
"""

ACME, BLUE, CYAN, ERIN, DORA = (
    TEXT[TEXT.index(f'[[tenant]]\nid = "{name}"') :].split("\n\n")[0]
    for name in ("acme", "blue", "cyan", "erin", "dora")
)
FAYE: Final = ACME.replace("acme", "faye").replace("Acme", "Faye").replace("r[01]", "r1")
AT_2029: Final = "2026-05-28T20:28:10Z"
"""Within the block that is open when the monitor stops."""
AT_LATER: Final = "2026-05-28T20:29:30Z"
"""Half a minute into a block that begins after the restart."""


def replaced(*pairs: tuple[str, str]) -> Callable[[str], str]:
    """Return the edit that puts one text in another's place, for each pair."""

    def edit(text: str) -> str:
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new)
        return text

    return edit


def version(committed_mw: float, *, start: str, limit: str = "") -> str:
    """Return one more version of a contract."""
    return f"\n[[tenant.contract]]\nfrom = {start}\ncommitted_mw = {committed_mw}\n{limit}"


@dataclass(frozen=True)
class Case:
    """An edit, and what it may change.

    Attributes:
        name: What is edited.
        edit: Makes the edited file of `TEXT`.
        anew: The tenants whose open block begins anew.
        ends: The alarms that were open and end, by `rule subject`, with a part of the reason; "" where
            they are judged to be over without one. All others stay open.
        stands: Alarms that go on and that the edited file would not open: nobody can tell that they are over.
    """

    name: str
    edit: Callable[[str], str]
    anew: frozenset[str] = frozenset()
    ends: Mapping[str, str] = field(default_factory=dict)
    stands: frozenset[str] = frozenset()


OPEN: Final = frozenset(
    {
        "C2 acme",
        "C2-cannot-verify dora",
        "C4 blue",
        "C5 blue",
        "Q1 r8",
        "Q1 r9",
        "Q2 dora",
        "Q3 broker annex",
        "Q8 m23",
    }
)
"""The alarms that are open when the monitor stops."""
GONE = "is not known any more"
CASES: Sequence[Case] = (
    Case("nothing", replaced()),
    Case(
        "comments and order",
        lambda text: "# looked at\n" + text.replace(ACME, "").replace("[[route]]", f"{ACME}\n\n[[route]]"),
    ),
    Case(
        "what people call things",
        replaced(('"Acme"', '"Acme Holding"'), ('name = "hall"', 'name = "hall-2"')),
    ),
    Case(
        "a tenant comes in front and takes a rack",
        replaced((ACME, f"{FAYE}\n\n{ACME}"), (ACME, ACME.replace("r[01]", "r0"))),
        anew=frozenset({"acme"}),
        ends={"C2 acme": "the racks of acme"},
    ),
    Case("a tenant goes", replaced((ACME, "")), ends={"C2 acme": GONE}),
    Case(
        "a tenant is renamed",
        replaced(('id = "acme"', 'id = "apex"')),
        ends={"C2 acme": GONE},
    ),
    Case(
        "two tenants change names",
        replaced(('id = "blue"', 'id = "x"'), ('id = "cyan"', 'id = "blue"'), ('id = "x"', 'id = "cyan"')),
        anew=frozenset({"blue", "cyan"}),
        ends={"C4 blue": "", "C5 blue": "the racks"},
    ),
    Case("an amendment of next year", lambda text: text.replace(ACME, ACME + version(1, start="2027-01-01"))),
    Case(
        "an amendment in the open block",
        lambda text: text.replace(
            BLUE, BLUE + version(0.3, start=AT_2029, limit='limit = { method = "block", minutes = 1 }')
        ),
        ends={"C4 blue": "", "C5 blue": "the contract of blue"},
    ),
    Case(
        "an amendment in a later block",
        lambda text: text.replace(
            BLUE, BLUE + version(0.3, start=AT_LATER, limit='limit = { method = "block", minutes = 1 }')
        ),
        ends={"C4 blue": "", "C5 blue": ""},
    ),
    Case(
        "a commitment is corrected in place",
        replaced(("committed_mw = 0.12", "committed_mw = 0.2")),
        ends={"C2 acme": "the contract of acme"},
    ),
    Case(
        "longer blocks",
        replaced((BLUE, BLUE.replace("minutes = 1", "minutes = 2"))),
        anew=frozenset({"blue"}),
    ),
    Case(
        "rolling blocks in place of fixed ones",
        replaced(
            (BLUE, BLUE.replace('"block", minutes = 1', '"rolling", minutes = 2, subinterval_minutes = 0.5'))
        ),
        anew=frozenset({"blue"}),
    ),
    Case(
        "any moment in place of blocks",
        replaced((BLUE, BLUE.replace('limit = { method = "block", minutes = 1 }', ""))),
        anew=frozenset({"blue"}),
        ends={"C4 blue": "the demand blocks", "C5 blue": "the contract"},
    ),
    Case(
        "a contract goes",
        lambda text: text.replace(BLUE, BLUE.split("[[tenant.contract]]")[0]),
        ends={"C4 blue": "the contract", "C5 blue": "the contract"},
    ),
    Case(
        "a rack changed hands, as the file always should have said",
        replaced((BLUE, BLUE.replace("r[23]", "r2")), (CYAN, CYAN.replace("r[45]", "r[345]"))),
        anew=frozenset({"blue", "cyan"}),
        stands=frozenset({"C4 blue", "C5 blue"}),
    ),
    Case(
        "a rack changes hands in the open block",
        replaced(
            (BLUE, BLUE.replace("from = 2026-01-01 }]", f"from = 2026-01-01, to = {AT_2029} }}]")),
            (CYAN, CYAN.replace(" }]", f' }}, {{ racks = "r[23]", from = {AT_2029} }}]')),
        ),
        anew=frozenset({"blue", "cyan"}),
        ends={"C4 blue": "", "C5 blue": "the racks and the contract of blue"},
    ),
    Case(
        "a rack changes hands in a later block",
        replaced(
            (BLUE, BLUE.replace("from = 2026-01-01 }]", f"from = 2026-01-01, to = {AT_LATER} }}]")),
            (CYAN, CYAN.replace(" }]", f' }}, {{ racks = "r[23]", from = {AT_LATER} }}]')),
        ),
        ends={"C4 blue": "", "C5 blue": ""},
    ),
    Case(
        "ratings",
        replaced(("rating_kw = 100", "rating_kw = 140")),
        anew=frozenset({"acme", "blue", "cyan", "dora", "erin"}),
    ),
    Case(
        "a rack is declared no more",
        replaced(('ids = "r{0..9}"', 'ids = "r{0..8}"'), ("r[89]", "r8")),
        anew=frozenset({"dora"}),
        ends={"C2-cannot-verify dora": "the racks", "Q1 r9": "what it says of racks"},
    ),
    Case(
        "a rack that nobody heard of is declared and held",
        replaced(
            ('ids = "r{0..9}"', 'ids = "r{0..10}"'), (CYAN, CYAN.replace('"r[45]"', '["r[45]", "r10"]'))
        ),
        anew=frozenset({"cyan"}),
    ),
    Case(
        "a meter above racks that the bus describes too",
        lambda text: text + "[[asset]]\nid = 'm45'\nkind = 'PowerMeter'\nserves = ['r4', 'r5']\n",
        anew=frozenset({"cyan"}),
    ),
    Case(
        "a meter is not believed any more",
        lambda text: (
            text + "[[asset]]\nid = 'm23'\nkind = 'PowerMeter'\nserves = ['r2', 'r3']\nerror_percent = 100\n"
        ),
        anew=frozenset({"blue"}),
        ends={"Q8 m23": "the site file was edited"},
    ),
    Case(
        "racks in place of named meters",
        replaced(('boundary = "named_meters"\nmeters = ["m67"]\n', "")),
        anew=frozenset({"erin"}),
    ),
    Case(
        "a loss factor",
        replaced((ERIN, ERIN.replace("limit =", "loss_factor = 1.05\nlimit ="))),
        anew=frozenset({"erin"}),
    ),
    Case(
        "a zone with blocks of the same minutes",
        replaced(('"UTC"', '"America/Chicago"')),
        anew=frozenset({"blue", "cyan", "erin", "dora", "acme"}),
    ),
    Case(
        "a rule is switched off",
        replaced(("[rules.C2]\n", "[rules.C2]\nenabled = false\n")),
        ends={"C2 acme": "rule C2 is switched off", "C2-cannot-verify dora": "rule C2 is switched off"},
    ),
    Case("a rule is switched on", replaced(("[rules.C1]\nenabled = false\n", ""))),
    Case(
        "a rule has other parameters",
        replaced(("[rules.Q2]\n", "[rules.Q2]\nlow_share = 0\ndeadband = 0\n")),
        ends={"Q2 dora": "the parameters of rule Q2"},
    ),
    Case("a broker is renamed", replaced(('name = "annex"', 'name = "wing"'))),
    Case("a broker goes", replaced(('[[broker]]\nname = "annex"\nurl = "mqtt://127.0.0.1:1884"\n', ""))),
    Case(
        "a broker is slower",
        replaced(('url = "mqtt://127.0.0.1:1883"', 'url = "mqtt://127.0.0.1:1883"\nperiod_s = 3')),
    ),
    Case("ticks of another length", replaced(("tick_ms = 1000", "tick_ms = 500"))),
    Case("settling takes longer", replaced(("settle_after_s = 1", "settle_after_s = 3"))),
    Case(
        "another capacity", replaced(("[engine]", "firm_capacity_mw = 2\nsupply_meters = ['m67']\n[engine]"))
    ),
    Case(
        "nobody is sold anything",
        lambda text: text[: text.index("[[tenant]]")] + text[text.index("[[route]]") :],
        ends={
            **{name: GONE for name in OPEN if name[0] == "C" or name == "Q2 dora"},
            "Q1 r8": "what it says of racks",
            "Q1 r9": "what it says of racks",
        },
    ),
)


QUICK: Final = frozenset(
    {
        "two tenants change names",
        "an amendment in the open block",
        "a rack changed hands, as the file always should have said",
        "a rule is switched off",
        "a broker is renamed",
    }
)


# The history ------------------------------------------------------------------------------


def site_file(text: str) -> SiteFile:
    """Read a site file, which must be right."""
    return read_site(text, "site.toml")


def judging_of(file: SiteFile) -> Judging:
    """Return the judgements of a site file."""
    faults: list[object] = []
    rules = make_rules(file.rules, faults)  # type: ignore[arg-type]
    assert not faults
    return make_judging(file, rules)


def powers_kw(second: int) -> list[float]:
    """Return what each rack draws: no two alike, and never the same for two seconds."""
    return [power + (second * 7 + i * 3) % 5 * 0.25 for i, power in enumerate(POWERS_KW)]


def say(tape: Tape, second: int, *, annex: bool) -> None:
    """Append what the bus says in a second, and the annex while its broker is reached."""
    racks = powers_kw(second)
    # The meter above r2 and r3 shows half as much again: one of the two must be wrong.
    above = round(1.5 * (racks[2] + racks[3]), 3)
    last = racks[8:] if annex else [None, None]
    tape.second(second, *racks[:8], *last, racks[6] + racks[7], above)


def a_history() -> Tape:
    """Return the journal of a hall up to the stop: the annex is lost after a minute."""
    tape = Tape()
    known = [
        known_rack(i, rack, stream="annex:docs" if rack in ANNEX else "bus:docs")
        for i, rack in enumerate(RACKS)
    ]
    meters = [known_meter(10, "m67"), known_meter(11, "m23")]
    described = [
        type(meters[0])(meter.id, meter.point, a_meter(name, *serves))
        for meter, name, serves in zip(meters, ("m67", "m23"), (("r6", "r7"), ("r2", "r3")), strict=True)
    ]
    tape.put(T0_MS - 1_000, (*known, *described))
    for broker in ("bus", "annex"):
        for kind in (MarkKind.STARTED, MarkKind.CONNECTED, MarkKind.CAUGHT_UP):
            tape.mark(T0_MS - 1_000, kind, broker=broker)
    for second in range(STOP_S):
        if second == 30:
            tape.mark(T0_MS + 29_500, MarkKind.LOST, broker="annex")
        say(tape, second, annex=second < 30)
    return tape


def after(history: Tape, brokers: Iterable[str]) -> Tape:
    """Return the journal once the monitor ran again: it reaches every broker but the annex."""
    tape = Tape(list(history.entries))
    for broker in brokers:
        tape.mark(STOP_MS, MarkKind.STARTED, broker=broker, since_ms=STOP_MS - 1_000)
        reached = (MarkKind.CONNECTED, MarkKind.CAUGHT_UP) if broker == "bus" else (MarkKind.LOST,)
        for kind in reached:
            tape.mark(STOP_MS, kind, broker=broker)
    for second in range(STOP_S, END_S):
        say(tape, second, annex=False)
    return tape


def service_of(file: SiteFile, judging: Judging, tape: Tape, ledger: Ledger, folder: Path) -> RulesService:
    """Return judging with a site file on a journal."""
    return RulesService(
        judging,
        Recorded(tape.entries),
        ledger,
        teller=Teller(ledger, judging.rules, site=file.site, routes=[Route(name="pager")]),
        folder=folder,
        clock=Hand(),
        rhythm=file.engine,
        told=lambda: None,
    )


def run(text: str, tape: Tape, folder: Path) -> tuple[Judging, Ledger]:
    """Run the monitor's judging on a journal up to its end; return it and its open ledger."""
    file, ledger = site_file(text), Ledger(folder)
    judging = judging_of(file)
    service = service_of(file, judging, tape, ledger, folder)
    service.start()
    service.step(tape.entries[-1].stamp_ms)
    service.save_snapshot()
    assert (service.lag.error, service.lag.failing) == ("", {})
    return judging, ledger


@pytest.fixture(scope="module")
def history() -> Tape:
    """What happened before the stop."""
    return a_history()


@pytest.fixture(scope="module")
def stopped(history: Tape, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the monitor that stopped."""
    folder = tmp_path_factory.mktemp("stopped")
    run(TEXT, history, folder)[1].close()
    return folder


def open_alarms(ledger: Ledger) -> dict[str, str]:
    """Return the identity of each alarm that has not returned, by rule and subject."""
    return {f"{a.rule} {a.subject}": a.id for a in ledger.alarms(only_open=True) if a.returned_ms is None}


def test_the_history_is_worth_a_test(stopped: Path) -> None:
    """It has alarms of every kind open, a stream that is broken and meters in doubt."""
    with closing(Ledger(stopped)) as ledger:
        assert open_alarms(ledger).keys() == OPEN


# What is found ----------------------------------------------------------------------------


def draws_of(ledger: Ledger) -> dict[tuple[int, str], TenantDraw]:
    """Return what was kept of each tenant's draw since the stop, by tick and tenant."""
    return {
        (at_ms, draw.tenant): draw
        for _, at_ms, draws in ledger.series(0, 10_000)
        for draw in draws
        if isinstance(draw, TenantDraw) and at_ms > STOP_MS
    }


def blocks_of(found: Iterable[DemandBlock]) -> dict[tuple[str, int, bool], DemandBlock]:
    """Return the demand blocks that ended since the stop, by tenant, end and judgement."""
    return {(b.tenant, b.to_ms, b.is_settled): b for b in found if b.to_ms > STOP_MS}


@pytest.mark.parametrize(
    "case",
    [
        # Some are looked at in every run of the suite, all of them in the soak.
        pytest.param(case, id=case.name, marks=() if case.name in QUICK else pytest.mark.soak)
        for case in CASES
    ],
)
def test_an_edited_site_file(case: Case, history: Tape, stopped: Path, tmp_path: Path) -> None:
    """Figures are those of a replay under the edited file, alarms go on or end for a reason."""
    folder = tmp_path / "data"
    shutil.copytree(stopped, folder)
    text = case.edit(TEXT)
    file = site_file(text)
    tape = after(history, [source.name for source in file.sources])
    with closing(Ledger(folder)) as ledger:
        before = open_alarms(ledger)
        seen = [seq for seq, _ in ledger.changes(0, 10_000)]
    judging, ledger = run(text, tape, folder)
    with closing(ledger):
        draws, blocks = draws_of(ledger), blocks_of(b for _, b in ledger.blocks_after(0, 10_000))
        changes = [change for _, change in ledger.changes(seen[-1], 10_000)]
        now = open_alarms(ledger)
    replayed = judging_of(file)
    steps = play(replayed, tape.entries, until_ms=tape.entries[-1].stamp_ms)

    expected = {(s.at_ms, d.tenant): d for s in steps for d in s.draws if s.at_ms > STOP_MS}
    assert_same_draws(draws, expected)
    assert_same_blocks(blocks, blocks_of(b for s in steps for b in s.blocks), case.anew, file.site)
    assert_alarms(before, now, changes, case)
    assert now.keys() == alarms_of(judging)
    assert now.keys() == alarms_of(replayed) | case.stands


def alarms_of(judging: Judging) -> set[str]:
    """Return the alarms that judgements have, each as `rule subject`."""
    banks = [bank for judge in judging.judges for bank in judge.banks()]
    return {f"{bank.rule} {bank.subjects[i]}" for bank in banks for i in np.flatnonzero(bank.is_active)}


def assert_same_draws(
    found: Mapping[tuple[int, str], TenantDraw],
    expected: Mapping[tuple[int, str], TenantDraw],
) -> None:
    """Assert that every tenant's draw and limit are those of the replay from the first tick on."""
    assert found.keys() == expected.keys()
    for key, draw in found.items():
        assert figures(draw) == figures(expected[key]), key


def figures(draw: TenantDraw) -> tuple[object, ...]:
    """Return what is known of a draw at one moment."""
    return (
        draw.low_milliwatts,
        draw.best_milliwatts,
        draw.high_milliwatts,
        draw.limit_milliwatts,
        draw.coverage,
    )


Blocks = Mapping[tuple[str, int, bool], DemandBlock]


def truth_milliwatt_ms(site: Site, block: DemandBlock) -> float:
    """Return what the racks of a tenant drew over a block, at the delivery point [mW ms]."""
    (tenant,) = (tenant for tenant in site.tenants if tenant.id == block.tenant)
    assert tenant.contract is not None
    total = 0.0
    for at_ms in range(block.from_ms, block.to_ms, 1_000):
        powers = dict(zip(RACKS, powers_kw((at_ms - T0_MS) // 1_000), strict=True))
        version = tenant.contract.version_at(at_ms)
        loss = 1.0 if version is None else version.loss_factor
        total += sum(powers.get(rack, 0) for rack in tenant.racks_at(at_ms)) * KW * loss * 1_000
    return total


def assert_same_blocks(found: Blocks, expected: Blocks, anew: frozenset[str], site: Site) -> None:
    """Assert that blocks are those of the replay; one that began anew may say less, and nothing else."""
    assert found.keys() == expected.keys()
    for key, block in found.items():
        other = expected[key]
        if block.tenant not in anew or block.from_ms >= STOP_MS:
            assert block == other
            continue
        assert (block.from_ms, block.allowed_milliwatt_ms) == (other.from_ms, other.allowed_milliwatt_ms)
        truth = truth_milliwatt_ms(site, block)
        assert block.low_milliwatt_ms <= min(truth, other.low_milliwatt_ms)
        assert block.high_milliwatt_ms is None or truth <= block.high_milliwatt_ms
        assert block.verdict in (other.verdict, Verdict.UNKNOWN)


def assert_alarms(
    before: Mapping[str, str], now: Mapping[str, str], changes: Sequence[AlarmChange], case: Case
) -> None:
    """Assert that each alarm that was open goes on under its id, or ended as the case says."""
    were = set(before.values())
    ended = {
        f"{change.alarm.rule} {change.alarm.subject}": change.reason
        for change in changes
        if change.change == "returned" and change.alarm.id in were
    }
    assert ended.keys() == case.ends.keys()
    for name, reason in case.ends.items():
        assert reason in ended[name]
        assert bool(reason) == bool(ended[name])
    kept = {name: found for name, found in before.items() if name not in ended}
    assert {name: found for name, found in now.items() if name in kept} == kept
