"""Services by Apprise: a real request to a receiver on loopback, and what is told where it is not taken."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from facility.errors import DeliveryError, SiteFileError
from megawatch.site.folder import open_site
from rules.notify import services
from rules.notify.services import ServiceNotifier
from store.ledger.alarms import Notice
from testing.fakes.webhook import Reply, receiver
from testing.rules.pages import a_page

SITE = '[site]\nname = "hall"\n[[route]]\nto = { apprise = "service" }\n'


def deliver(notice: Notice, *script: Reply) -> list[dict[str, object]]:
    """Send a notification to a service that speaks plain JSON; return what came."""

    async def story() -> list[dict[str, object]]:
        async with receiver(script) as fake:
            notifier = ServiceNotifier(fake.url.replace("http://", "json://"))
            try:
                await notifier.deliver(notice)
            finally:
                await notifier.close()
            return [json.loads(delivery.body) for delivery in fake.deliveries]

    return asyncio.run(story())


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"severity": "critical"}, "failure"),
        ({"severity": "medium"}, "warning"),
        ({"severity": "low"}, "info"),
        ({"severity": "critical", "change": "returned"}, "success"),
    ],
)
def test_a_notification_is_a_message(facts: dict[str, object], kind: str) -> None:
    """Its headline is the title, and the rest of its text the body."""
    notice = a_page(headline="[CRITICAL] acme", text="[CRITICAL] acme\nwhere: <b>acme</b> \\n", **facts)
    (found,) = deliver(notice)

    assert (found["title"], found["message"], found["type"]) == (
        "[CRITICAL] acme",
        "where: <b>acme</b> \\n",
        kind,
    )


def test_what_is_not_taken_is_tried_again() -> None:
    """Apprise does not say why; a refusal may pass."""
    with pytest.raises(DeliveryError, match="did not take it"):
        deliver(a_page(), Reply(status=500))


@pytest.mark.parametrize("text", ["nonsense", "", "https://127.0.0.1 json://127.0.0.2 x"])
def test_an_address_that_is_none_is_a_fault(text: str, tmp_path: Path) -> None:
    """With the place in the site file, and without the secret."""
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "service").write_text(text)

    with pytest.raises(SiteFileError) as refused:
        open_site(tmp_path)

    assert "route[0].to.apprise: expected a file that holds one address" in str(refused.value)


def test_the_extra_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site file that asks for it does not start without it."""
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "service").write_text("json://127.0.0.1")
    monkeypatch.setattr(services, "EXTRA", "a_library_that_nobody_has")

    with pytest.raises(SiteFileError, match=r"pip install 'megawatch\[apprise\]'"):
        open_site(tmp_path)
