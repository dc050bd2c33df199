"""When the canary is overdrawn, what becomes of it, and what the site file makes of it."""

from __future__ import annotations

import pytest

from facility.errors import SiteFileError
from facility.names import CANARY
from facility.sitefile.reader import read_site
from megawatch.run.canary import Trials
from testing.builders import T0_MS

BROKER = '[site]\nname = "hall"\n[[broker]]\nurl = "mqtt://bus"\n'
TO = 'to = { webhook = "https://watch.example" }\n'


def trials() -> Trials:
    """Return trials each ten minutes whose page has 90 s; the first begins after a minute."""
    return Trials(every_ms=600_000, bound_ms=90_000, from_ms=T0_MS + 60_000)


def play(found: Trials, second: int, accepted: int | None = None) -> bool:
    """Look after a trial at a second, its page accepted at one or not; return whether it is overdrawn."""
    found.follow_clock(T0_MS + second * 1_000)
    found.begin(T0_MS + second * 1_000)
    found.judge(None if accepted is None else T0_MS + accepted * 1_000, T0_MS + second * 1_000)
    return found.is_overdrawn


def test_it_is_overdrawn_until_its_page_is_accepted() -> None:
    """The first time a minute after the start, then each ten minutes; the delay is from the overdraw on."""
    found = trials()
    assert not play(found, 59)
    assert play(found, 60)
    assert not play(found, 67, accepted=66)
    assert (found.delay_ms, found.trouble) == (6_000, "")
    assert not play(found, 659)
    assert play(found, 660)
    assert found.began_ms == T0_MS + 660_000


def test_a_page_that_does_not_come_is_told_after_its_time() -> None:
    """And until one is accepted in time; it is calm before the next, so that its alarm can end."""
    found = trials()
    play(found, 60)
    play(found, 150)
    assert found.trouble == ""
    assert play(found, 151)
    assert found.trouble == "no page of it was accepted within 91 s"
    assert play(found, 359)
    assert not play(found, 360)
    assert "no page of it" in found.trouble
    play(found, 660)
    play(found, 670, accepted=668)
    assert (found.trouble, found.delay_ms) == ("", 8_000)


def test_it_waits_until_its_last_alarm_is_over() -> None:
    """A longer off-delay only puts it off; an alarm that never ends is told."""
    found = trials()
    for second in (60, 300, 660):
        found.begin(T0_MS + second * 1_000, stands=True)
    assert (found.is_overdrawn, found.trouble) == (False, "")
    found.begin(T0_MS + 661_000, stands=True)
    assert found.trouble == "its last alarm is not over since 601 s"
    found.begin(T0_MS + 700_000)
    assert found.began_ms == T0_MS + 700_000


def test_a_clock_that_is_set_back_begins_anew() -> None:
    """A trial that runs is given up, and the next is not a day away."""
    found = trials()
    assert play(found, 60)
    assert not play(found, 60 - 86_400)
    assert not play(found, 60 - 86_400 + 599)
    assert play(found, 60 - 86_400 + 600)


def test_a_page_that_was_late_is_told_until_the_next() -> None:
    """It was accepted after its time, at last."""
    found = trials()
    play(found, 60)
    play(found, 200, accepted=199)

    assert (found.is_overdrawn, found.trouble) == (False, "its page took 139 s")


def test_a_site_has_its_rack_its_tenant_and_its_route() -> None:
    """One watt, and a receiver of its own."""
    file = read_site(BROKER + "[canary]\n" + TO, "site.toml")
    (tenant,) = file.site.tenants
    (route,) = file.routes

    assert tenant.id == CANARY
    assert [str(rack) for rack in file.site.racks] == [CANARY]
    assert tenant.contract is not None
    assert tenant.contract.versions[0].committed_milliwatts == 1_000
    assert (route.tenant, route.rule) == ([CANARY], ["C2"])


@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        (BROKER + "[canary]\nto = {}\n", "canary.to", "webhook, pagerduty"),
        (BROKER + "[canary]\n", "canary.to", "where its page goes"),
        ('[site]\nname = "hall"\n[canary]\n' + TO, "canary", "a broker beside it"),
        (BROKER + '[canary]\nbroker = "x"\n' + TO, "canary.broker", "found 'x'"),
        (BROKER + "[canary]\nevery_s = 10\n" + TO, "canary.every_s", "found 10"),
    ],
)
def test_a_canary_that_cannot_sing_is_refused(text: str, path: str, told: str) -> None:
    """With the place, and what was expected there."""
    with pytest.raises(SiteFileError) as refused:
        read_site(text, "site.toml")

    assert any(fault.path == path and told in str(fault) for fault in refused.value.faults)
