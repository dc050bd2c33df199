"""PagerDuty, Slack and Teams get what they take, whatever a page holds, and say what they hold back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from facility.errors import DeliveryError, Outlook, SiteFileError
from facility.instants import to_iso
from facility.sitefile.tables import RouteTable, TargetTable
from megawatch.site.folder import open_site
from rules.notify.base import Notifier
from rules.notify.chat import MOST_SLACK, ChatNotifier, slack_message, teams_message
from rules.notify.pagerduty import PagerDutyNotifier, event
from rules.notify.registry import Surroundings, addresses_of, make_notifiers, make_routes
from rules.notify.routing import CONSOLE
from rules.notify.shortened import shortened
from store.ledger.alarms import Notice
from testing.builders import T0_MS
from testing.fakes.pagers import ROUTING_KEY, FakePagerDuty, FakeSlack, FakeTeams, serving
from testing.rules.pages import PAGE, a_page

SEVERE = {"critical": "critical", "high": "error", "medium": "warning", "low": "info", "info": "info"}


def delivered(
    make: Callable[[str], Notifier], take: Callable[[bytes], tuple[int, str]], pages: Sequence[Notice]
) -> None:
    """Deliver notifications to a service."""

    async def story() -> None:
        async with serving(take) as url:
            notifier = make(url)
            try:
                for page in pages:
                    await notifier.deliver(page)
            finally:
                await notifier.close()

    asyncio.run(story())


def pagerduty(url: str) -> PagerDutyNotifier:
    """Return a notifier of the service that the tests have."""
    return PagerDutyNotifier(ROUTING_KEY, now_ms=lambda: T0_MS, api=url)


# PagerDuty ----------------------------------------------------------------------------


def test_an_alarm_is_one_incident_from_its_opening_to_its_end() -> None:
    """Repetitions and what worsens add nothing; the end resolves what was opened, and no other."""
    service = FakePagerDuty()
    pages = [a_page(), a_page(), a_page(change="worsened", severity="critical"), a_page(alarm="a2")]

    delivered(pagerduty, service.take, [*pages, a_page(change="returned")])

    assert service.resolved == ["a1"]
    assert set(service.incidents) == {"a2"}
    times, payload = service.incidents["a2"]
    assert (times, payload["severity"], payload["source"], payload["class"]) == (1, "error", "titan", "C2")
    assert payload["summary"] == PAGE["headline"]
    assert payload["timestamp"] == to_iso(T0_MS)
    assert payload["custom_details"]["text"] == PAGE["text"]


@pytest.mark.parametrize("severity", SEVERE)
def test_each_severity_is_one_that_pagerduty_knows(severity: str) -> None:
    """In its own words."""
    assert event(PAGE | {"severity": severity}, ROUTING_KEY)["payload"]["severity"] == SEVERE[severity]


def test_a_runbook_is_a_link_only_where_it_is_an_address() -> None:
    """The name of a file leads nowhere."""
    assert event(PAGE, ROUTING_KEY)["links"] == [{"href": PAGE["runbook"], "text": "Runbook"}]
    assert "links" not in event(PAGE | {"runbook": "docs/runbooks/c2.md"}, ROUTING_KEY)


def test_an_event_that_is_refused_is_told_with_its_reason() -> None:
    """A key that PagerDuty does not know refuses the page, which is told on the other routes."""
    service = FakePagerDuty()

    with pytest.raises(DeliveryError, match="'routing_key' is no key") as caught:
        delivered(
            lambda url: PagerDutyNotifier("wrong", now_ms=lambda: T0_MS, api=url), service.take, [a_page()]
        )

    assert caught.value.outlook is Outlook.REFUSED
    assert "wrong" not in str(caught.value)


# Rooms --------------------------------------------------------------------------------


def test_slack_shows_plain_text() -> None:
    """A name that would be a mention, a link or a format is what it is."""
    room = FakeSlack()
    evil = "<!channel> *bold* <https://evil|click> & more"
    page = a_page(headline=evil, text=f"{evil}\nsecond line")

    delivered(lambda url: ChatNotifier(url, slack_message, now_ms=lambda: T0_MS), room.take, [page])

    (message,) = room.messages
    assert message["text"] == "&lt;!channel&gt; *bold* &lt;https://evil|click&gt; &amp; more"
    (block,) = message["blocks"]
    assert block["text"] == {"type": "plain_text", "text": f"{evil}\nsecond line", "emoji": False}


def test_teams_shows_plain_text() -> None:
    """A line each, none of them read as markup."""
    room = FakeTeams()
    page = a_page(text="[HIGH] [click](https://evil)\n**since**: 12:00", severity="critical")

    delivered(lambda url: ChatNotifier(url, teams_message, now_ms=lambda: T0_MS), room.take, [page])

    (card,) = room.cards
    runs = [block["inlines"][0] for block in card["body"]]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert [run["text"] for run in runs] == ["[HIGH] [click](https://evil)", "**since**: 12:00"]
    assert [run["color"] for run in runs] == ["attention", "default"]
    assert (
        teams_message(PAGE | {"change": "returned"})["attachments"][0]["content"]["body"][0]["inlines"][0][
            "color"
        ]
        == "good"
    )


@settings(max_examples=60)
@given(text=st.text(max_size=40).map(lambda text: (text or "x") * 400), lines=st.integers(1, 200))
def test_no_page_is_too_long_for_anyone(text: str, lines: int) -> None:
    """Whatever a page holds, each service takes it."""
    body = PAGE | {"headline": text, "text": "\n".join([text] * lines), "more": [text] * lines}
    taking = FakePagerDuty().take, FakeSlack().take, FakeTeams().take
    made = event(body, ROUTING_KEY), slack_message(body), teams_message(body)

    for take, message in zip(taking, made, strict=True):
        status, told = take(json.dumps(message, ensure_ascii=False).encode(errors="replace"))
        assert status in (200, 202), told


def test_rooms_and_services_are_named_by_files_that_hold_their_secrets() -> None:
    """No address of a room and no key is in a route's name, which logs and the ledger show."""
    secrets = {
        "pd": ROUTING_KEY,
        "room": "https://hooks.example/secret",
        "flow": "https://flow.example/sig=secret",
    }
    around = Surroundings(now_ms=lambda: T0_MS, console=Console(), secret=secrets.__getitem__, own="Q9")
    tables = [RouteTable(to=TargetTable(pagerduty="pd", slack="room", teams="flow"))]

    assert [route.name for route in make_routes(tables, UTC)] == ["pagerduty pd", "slack room", "teams flow"]
    assert set(make_notifiers(tables, around)) == {CONSOLE, "pagerduty pd", "slack room", "teams flow"}
    assert addresses_of(tables) == [("https://events.pagerduty.com", None)]


def test_a_room_whose_file_holds_no_address_is_a_fault(tmp_path: Path) -> None:
    """Told at the start, without what the file holds."""
    (tmp_path / "room").write_text("xoxb-a-token-for-something-else")
    (tmp_path / "site.toml").write_text(
        '[site]\nname = "x"\n[[route]]\nto = { slack = "room", pagerduty = "none" }\n'
    )

    with pytest.raises(SiteFileError) as caught:
        open_site(tmp_path)

    assert (
        "route[0].to.slack: expected a file that holds an https:// or http:// address, found 'room'"
        in str(caught.value)
    )
    assert "route[0].to.pagerduty: expected a file that can be read" in str(caught.value)
    assert "xoxb" not in str(caught.value)


@given(st.text(alphabet="ab \n1.5", max_size=60), st.integers(2, 40))
def test_what_is_shortened_ends_after_a_line_or_a_word(text: str, most: int) -> None:
    """It is the beginning of the text, no longer than it may be, and cut only where that is seen."""
    found = shortened(text, most)

    assert len(found) <= most
    assert found == text or (found.endswith("…") and text.startswith(found[:-1]))


def test_a_number_is_never_cut() -> None:
    """Of 210.5 kW nobody reads 210."""
    line = "draw: 210.5 kW"

    assert shortened(f"headline\n{line}", len("headline\n") + 9) == "headline…"
    assert shortened(line, 9) == "draw:…"
    assert len(shortened("y" * 9_000, MOST_SLACK)) == MOST_SLACK
