"""What `status` says of a tenant is what the rules say of its contract."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

import megawatch.run.status
from megawatch.cli.queries import message_us
from megawatch.run.clock import SteadyClock
from megawatch.run.parts import Parts
from megawatch.run.status import StatusWriter, read_status
from megawatch.run.supervisor import Supervisor
from megawatch.site.folder import SiteFolder, open_site
from rules.engine.judging import Judging
from rules.engine.settled import Patience
from rules.registry import make_rules
from store.journal.appender import Counters
from store.journal.journal import Journal
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.rules.halls import BUS, EVERY_SECOND, Tape, known_rack
from testing.rules.services import a_service

if TYPE_CHECKING:
    from collector.source import Source

SITE: Final = """
[site]
name = "hall"
timezone = "UTC"

[[broker]]
name = "bus"
url = "mqtt://127.0.0.1:1883"
format = "rack-documents"

[[rack]]
ids = "r{0..1}"
rating_kw = 100

[[tenant]]
id = "acme"
holds = [{ racks = "r{0..1}", from = 2020-01-01 }]
[[tenant.contract]]
from = 2020-01-01
committed_mw = 0.05
LIMIT

[[route]]
to = { console = true }
"""
BLOCK: Final = 'limit = { method = "block", minutes = 5 }'
BLOCK_MS: Final = 300_000
BEGIN_MS: Final = -(-T0_MS // BLOCK_MS) * BLOCK_MS


def tenant_of(
    folder: Path, limit: str, powers_kw: Sequence[float | None], *, until_s: int | None = None
) -> dict[str, Any]:
    """Return what `status` says of a tenant of two racks, after seconds in which the first drew so much."""
    (folder / "site.toml").write_text(SITE.replace("LIMIT", limit), encoding="utf-8")
    site = open_site(folder)
    tape = Tape()
    tape.put(BEGIN_MS - 1_000, (known_rack(0, "r0"), known_rack(1, "r1")))
    tape.connect(BEGIN_MS - 1_000)
    for second, power in enumerate(powers_kw):
        tape.second((BEGIN_MS - T0_MS) // 1_000 + second, power, 0 if power is not None else None)
    until_ms = BEGIN_MS + 1_000 * (len(powers_kw) - 1 if until_s is None else until_s)
    return status_of(folder, site, tape, until_ms)


def status_of(folder: Path, site: SiteFolder, tape: Tape, until_ms: int) -> dict[str, Any]:
    """Return what `status` says of the tenant once a journal was judged."""
    with a_writer(folder, site, tape, until_ms) as writer:
        found: list[dict[str, Any]] = [{**one} for one in writer.document()["tenants"]]
    return next(tenant for tenant in found if tenant["id"] == "acme")


@contextmanager
def a_writer(folder: Path, site: SiteFolder, tape: Tape, until_ms: int) -> Iterator[StatusWriter]:
    """Return what writes the status of a monitor that has judged a journal."""
    judging = Judging(
        site.file.site,
        {BUS: EVERY_SECOND},
        make_rules({}, []),
        tick_ms=1_000,
        lateness_ms=0,
        patience=Patience(),
    )
    clock = SteadyClock()
    with closing(Ledger(folder)) as ledger:
        rules = a_service(judging, tape, ledger, folder, site=site.file.site)
        rules.step(until_ms)
        supervisor = Supervisor(clock, random.Random(1))  # noqa: S311 - jitter
        parts = Parts(clock=clock, ledger=ledger, supervisor=supervisor, rules=rules)
        yield StatusWriter(site, parts)


def test_what_tenants_draw_is_looked_up_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site may have hundreds of them, and nothing else gets its turn meanwhile."""
    (tmp_path / "site.toml").write_text(SITE.replace("LIMIT", ""), encoding="utf-8")
    site, tape, threads = open_site(tmp_path), Tape(), []
    tape.connect(BEGIN_MS)
    look = megawatch.run.status._tenants

    def noted(*arguments: Any) -> Any:  # noqa: ANN401 - whatever it takes and returns
        threads.append(threading.get_ident())
        return look(*arguments)

    monkeypatch.setattr(megawatch.run.status, "_tenants", noted)
    with a_writer(tmp_path, site, tape, BEGIN_MS + 2_000) as writer:
        asyncio.run(writer.write())
        document = writer.document()

    written = read_status(site.data)
    assert written is not None
    assert written["tenants"] == document["tenants"] != []
    assert threads[0] != threading.get_ident()


@pytest.mark.parametrize(
    ("limit", "powers_kw", "expected"),
    [
        pytest.param("", [49.7] * 60, "clear", id="every moment, below"),
        pytest.param("", [50.0] * 60, "clear", id="every moment, exactly at the limit"),
        pytest.param("", [50.1] * 60, "breach", id="every moment, above"),
        pytest.param("", [None] * 60, "unknown", id="every moment, silent"),
        pytest.param(BLOCK, [40.0] * 280 + [60.0] * 40, "clear", id="block of 42.7, 60 for a moment"),
        pytest.param(BLOCK, [50.1] * 310, "breach", id="block above"),
        pytest.param(BLOCK, [40.0] * 310, "clear", id="block below"),
        pytest.param(BLOCK, [40.0] * 100, "clear", id="the first block, below"),
        pytest.param(BLOCK, [60.0] * 100, "unknown", id="the first block, not over"),
        pytest.param(BLOCK, [None] * 310, "unknown", id="block silent"),
    ],
)
def test_the_verdict_is_that_of_the_rules(
    limit: str, powers_kw: Sequence[float | None], expected: str, tmp_path: Path
) -> None:
    """A tenant that is held against blocks is not in breach for a moment above the limit."""
    assert tenant_of(tmp_path, limit, powers_kw)["verdict"] == expected


def test_what_is_not_known_is_not_called_covered(tmp_path: Path) -> None:
    """The last readings of two seconds ago still count as heard, and nobody knows what is drawn now."""
    tenant = tenant_of(tmp_path, "", [40.0] * 60 + [None, None], until_s=62)

    assert tenant["verdict"] == "unknown"
    assert tenant["coverage"] < 1


def test_a_message_costs_what_each_stage_took_of_the_last_minute(tmp_path: Path) -> None:
    """Whatever it took before; nothing is said before a minute has begun, or where no message came."""
    (tmp_path / "site.toml").write_text(SITE.replace("LIMIT", ""), encoding="utf-8")
    site, now_s = open_site(tmp_path), 0.0
    clock = SteadyClock(monotonic_s=lambda: now_s)
    with closing(Ledger(tmp_path)) as ledger, closing(Journal(tmp_path)) as journal:
        supervisor = Supervisor(clock, random.Random(1))  # noqa: S311 - jitter
        source = SimpleNamespace(counters=Counters(), name="bus", waiting=0)
        parts = Parts(clock=clock, ledger=ledger, supervisor=supervisor, journal=journal)
        parts.sources.append(cast("Source", source))
        writer = StatusWriter(site, parts)
        assert writer.costs() == {"messages_per_s": None, "stages": stages(read=(0, None), append=(0, None))}
        for second in range(0, 200, 10):
            now_s = float(second)
            writer.note_spent()
            if second >= 100:
                source.counters.messages += 1_000
                source.counters.reading.add(0.002)
                source.counters.appending.add(0.001)

        now_s += 10
        costs = writer.costs()

    assert costs == {"messages_per_s": 100.0, "stages": stages(read=(0.02, 0.0002), append=(0.01, 0.0001))}
    assert message_us(costs) == {"read": 2.0, "append": 1.0}
    assert message_us({**costs, "messages_per_s": 0.0}) == {}


def stages(**found: tuple[float, float | None]) -> list[dict[str, Any]]:
    """Return stages with their CPU time since the start [s], and their share of a core over a minute."""
    return [{"name": name, "cpu_s": cpu_s, "core": core} for name, (cpu_s, core) in found.items()]


def test_a_start_is_shown_as_one(tmp_path: Path) -> None:
    """Until everything must have spoken: here five seconds after it was described."""
    early, late = (tenant_of(tmp_path, "", [None], until_s=seconds) for seconds in (2, 20))

    assert (early["verdict"], early["is_starting"]) == ("unknown", True)
    assert (late["verdict"], late["is_starting"]) == ("unknown", False)
