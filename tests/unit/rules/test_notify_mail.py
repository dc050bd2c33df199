"""Mail: a message for each page, a thread for each alarm, and nothing of the bus beyond its text."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.errors import DeliveryError, Outlook, SiteFileError
from facility.sitefile.reader import read_site
from rules.notify.mail import MailNotifier, Server, message_of
from store.ledger.alarms import Notice
from testing.builders import T0_MS
from testing.fakes.smtp import FakeSmtp, smtp
from testing.rules.pages import PAGE, a_page

DESK = "desk@example.com"
CHIEF = "chief@example.com"


def a_server(port: int = 25, password: str = "") -> Server:
    """Return a mail server without a certificate."""
    username, _, secret = password.partition(":")
    return Server(
        host="127.0.0.1",
        port=port,
        security="none",
        username=username,
        password=secret,
        sender="megawatch@titan.example",
    )


def delivered(*pages: Notice, login: str = "", to: Sequence[str] = (DESK,), **facts: object) -> FakeSmtp:
    """Deliver notifications to a server; raise what the last attempt came to."""
    with smtp(**facts) as fake:
        notifier = MailNotifier(a_server(fake.port, login), to, now_ms=lambda: T0_MS)

        async def story() -> None:
            for page in pages:
                await notifier.deliver(page)

        asyncio.run(story())
    return fake


def words(message: EmailMessage, subtype: str) -> str:
    """Return what a message says, plain or in HTML."""
    part = message.get_body((subtype,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_an_alarm_is_a_thread() -> None:
    """What follows refers to the opening; a repetition is the same message."""
    fake = delivered(a_page(), a_page(), a_page(change="returned"))

    (_, opened), (_, again), (to, returned) = fake.mails
    assert to == [DESK]
    assert opened["Subject"] == PAGE["headline"]
    assert opened["Message-ID"] == again["Message-ID"] != returned["Message-ID"]
    assert opened["References"] is None
    assert returned["References"] == returned["In-Reply-To"] == opened["Message-ID"]
    assert words(opened, "plain") == PAGE["text"] + "\n"


def test_what_comes_from_the_bus_is_neither_header_nor_markup() -> None:
    """A rack that is named like one is told as it is called."""
    name = "<b>r1</b>\r\nBcc: everybody@example.com"
    fake = delivered(a_page(headline=f"[HIGH] {name}", text=f"[HIGH] x\nrack: {name}"))

    ((_, message),) = fake.mails
    assert message["Bcc"] is None
    assert message["Subject"] == "[HIGH] <b>r1</b> Bcc: everybody@example.com"
    assert "<b>r1</b>" not in words(message, "html")
    assert "&lt;b&gt;r1&lt;/b&gt;" in words(message, "html")


@given(st.text(max_size=300), st.text(max_size=2_000))
def test_any_text_is_a_message(headline: str, text: str) -> None:
    """Whatever stands in it, there is a message of few headers."""
    body = {**PAGE, "headline": headline, "text": text.encode(errors="replace").decode()}

    raw = message_of(
        body | {"headline": headline.encode(errors="replace").decode()}, a_server(), [DESK], T0_MS
    )

    assert len(raw.keys()) <= 9
    assert raw.as_bytes()


FAULTS = {
    "the server is busy": ({"MAIL": "451 try later"}, Outlook.PASSES, "451 try later"),
    "a mailbox that is full": ({DESK: "452 full"}, Outlook.PASSES, "452 full"),
    "nobody of that name": ({DESK: "550 no such user"}, Outlook.NEEDS_SOMEBODY, "550 no such user"),
    "not from here": ({"MAIL": "550 not from here"}, Outlook.NEEDS_SOMEBODY, "550 not from here"),
    "too large": ({"DATA": "552 too large"}, Outlook.REFUSED, "552 too large"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_an_answer_is_taken_for_what_it_means(case: str) -> None:
    """Whether it passes, needs people, or is about this message."""
    refuses, outlook, cause = FAULTS[case]

    with pytest.raises(DeliveryError) as caught:
        delivered(a_page(), refuses=refuses)

    assert (caught.value.outlook, caught.value.cause) == (outlook, cause)


def test_one_recipient_who_is_refused_keeps_no_page_from_the_others() -> None:
    """It is delivered, and who is refused is logged."""
    fake = delivered(a_page(), to=(DESK, CHIEF), refuses={DESK: "550 no such user"})

    assert [to for to, _ in fake.mails] == [[CHIEF]]


def test_a_login_is_used_and_its_refusal_needs_people() -> None:
    """The password is in no error."""
    assert len(delivered(a_page(), login="me:geheim", password="me:geheim").mails) == 1  # noqa: S106 - a test's own
    with pytest.raises(DeliveryError, match="535") as caught:
        delivered(a_page(), login="me:falsch", password="me:geheim")  # noqa: S106 - likewise
    assert caught.value.outlook is Outlook.NEEDS_SOMEBODY
    assert "falsch" not in str(caught.value)


def test_a_server_that_is_not_there_passes() -> None:
    """The page waits."""
    with pytest.raises(DeliveryError) as caught:
        asyncio.run(MailNotifier(a_server(1), [DESK], now_ms=lambda: T0_MS).deliver(a_page()))

    assert caught.value.outlook is Outlook.PASSES


def test_mail_needs_a_server(tmp_path: Path) -> None:
    """Every fault at once: no host, no sender, an address that is none."""
    del tmp_path
    text = '[site]\nname = "x"\n[[route]]\nto = { email = ["desk@example.com"] }\n'
    with pytest.raises(SiteFileError) as caught:
        read_site(text)
    assert "smtp.host: expected a mail server, as a route has email" in str(caught.value)
    assert "smtp.sender: expected the address that mail comes from" in str(caught.value)

    with pytest.raises(SiteFileError, match=r"expected an address such as desk@example\.com, found 'desk'"):
        read_site(text.replace("desk@example.com", "desk"))
