"""A webhook says who it is from, when, and whether it came before; an answer is taken for what it is."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable
from email.utils import format_datetime
from pathlib import Path

import pytest

from facility.errors import DeliveryError, Outlook
from facility.instants import to_datetime
from rules.notify import http
from rules.notify.http import LONGEST_RETRY_AFTER_S
from rules.notify.webhook import WebhookNotifier, sign
from store.ledger.alarms import Notice
from testing.builders import T0_MS
from testing.fakes.webhook import FakeReceiver, Reply, receiver

SECRET = b"between us"
NOW_MS = T0_MS + 678


def a_notice(key: str = "a1:opened", **body: object) -> Notice:
    """Return a notification that is due."""
    return Notice(
        key=key,
        route="pager",
        alarm_id=key.partition(":")[0],
        body={"headline": "a tenant draws 210 kW"} | body,
        source_ms=T0_MS,
        created_ms=T0_MS,
        due_ms=T0_MS,
    )


def deliver(
    *script: Reply, notice: Notice | None = None, secret: bytes = SECRET, times: int = 1
) -> tuple[FakeReceiver, list[DeliveryError | None]]:
    """Deliver a notification to a receiver that follows a script; return it and what each attempt came to."""
    outcomes: list[DeliveryError | None] = []

    async def story() -> FakeReceiver:
        async with receiver(script) as fake:
            notifier = WebhookNotifier(fake.url, secret, now_ms=lambda: NOW_MS)
            outcomes.extend([await outcome_of(notifier.deliver(notice or a_notice())) for _ in range(times)])
            await notifier.close()
        return fake

    return asyncio.run(story()), outcomes


async def outcome_of(attempt: Awaitable[None]) -> DeliveryError | None:
    """Return why an attempt failed, None where it did not."""
    try:
        await attempt
    except DeliveryError as error:
        return error
    return None


def test_the_body_is_what_was_composed() -> None:
    """Every letter of it, in UTF-8, with its type."""
    fake, outcomes = deliver(notice=a_notice(site="Zürich", draw_high_kw=None, value=0.1))

    assert outcomes == [None]
    (came,) = fake.deliveries
    assert json.loads(came.body) == {
        "headline": "a tenant draws 210 kW",
        "site": "Zürich",
        "draw_high_kw": None,
        "value": 0.1,
    }
    assert came.headers["content-type"] == "application/json"
    assert "Zürich".encode() in came.body


def test_the_signature_is_over_timestamp_and_body() -> None:
    """A receiver that knows the secret can tell that neither was changed."""
    fake, _ = deliver()

    (came,) = fake.deliveries
    timestamp = came.headers["megawatch-timestamp"]
    expected = hmac.new(SECRET, timestamp.encode() + b"." + came.body, hashlib.sha256).hexdigest()
    assert timestamp == str(NOW_MS // 1_000)
    assert came.headers["megawatch-signature"] == f"v1={expected}"


def test_the_signature_is_what_another_tool_makes() -> None:
    """The figure is that of OpenSSL's dgst over the same bytes."""
    mac = "80c3b3a86bf3d6e504e36590f4579665ab8112f7c588fe78f6ff4014710f7a54"

    assert sign(SECRET, "1780000000", b'{"value":1}') == f"v1={mac}"


@pytest.mark.parametrize(
    ("secret", "timestamp", "body"),
    [
        pytest.param(b"another", "1780000000", b"{}", id="another secret"),
        pytest.param(SECRET, "1780000001", b"{}", id="another time"),
        pytest.param(SECRET, "1780000000", b"{ }", id="another body"),
    ],
)
def test_whatever_is_changed_changes_the_signature(secret: bytes, timestamp: str, body: bytes) -> None:
    """Nobody can replay a page later, or with another text."""
    assert sign(secret, timestamp, body) != sign(SECRET, "1780000000", b"{}")


def test_without_a_secret_nothing_is_signed() -> None:
    """No signature is better than one that anybody can make."""
    fake, _ = deliver(secret=b"")

    assert "megawatch-signature" not in fake.deliveries[0].headers


def test_the_key_is_the_same_at_every_attempt() -> None:
    """A receiver recognises a repetition, whatever became of the attempt before."""
    fake, _ = deliver(Reply(503), Reply(resets=True), Reply(429), times=4)

    assert [came.headers["idempotency-key"] for came in fake.deliveries] == ["a1:opened"] * 4
    assert len({came.body for came in fake.deliveries}) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_success_is_a_success(status: int) -> None:
    """A receiver may answer with any status of that class."""
    assert deliver(Reply(status))[1] == [None]


@pytest.mark.parametrize(
    ("status", "outlook"),
    [
        *((status, Outlook.PASSES) for status in (408, 425, 429, 500, 501, 502, 503, 504, 599)),
        *(
            (status, Outlook.NEEDS_SOMEBODY)
            for status in (
                300,
                301,
                302,
                303,
                307,
                308,
                401,
                402,
                403,
                404,
                405,
                407,
                410,
                418,
                421,
                426,
                451,
            )
        ),
        *((status, Outlook.REFUSED) for status in (400, 409, 413, 415, 422)),
    ],
)
def test_an_answer_is_taken_for_what_it_is_said_of(status: int, outlook: Outlook) -> None:
    """Of the moment, of the address and who asks, or of the message itself."""
    _, (error,) = deliver(Reply(status, text="no such service"))

    assert error is not None
    assert error.outlook is outlook
    assert error.cause == f"{status} no such service"


def test_what_a_receiver_says_is_kept_short() -> None:
    """A page of HTML for an answer does not fill the ledger."""
    _, (error,) = deliver(Reply(400, text="x" * 100_000))

    assert error is not None
    assert error.cause == f"400 {'x' * http.MOST_ERROR}"


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        pytest.param("17", 17.0, id="seconds"),
        pytest.param("0", 0.0, id="at once"),
        pytest.param("-5", 0.0, id="in the past"),
        pytest.param(format_datetime(to_datetime(NOW_MS - 678 + 90_000), usegmt=True), 89.322, id="a date"),
        pytest.param(format_datetime(to_datetime(NOW_MS - 90_000), usegmt=True), 0.0, id="a past date"),
        pytest.param("86400", LONGEST_RETRY_AFTER_S, id="a day is cut"),
        pytest.param("soon", None, id="nonsense"),
        pytest.param("Mon, 32 Jan 2026 00:00:00 GMT", None, id="no such date"),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_read_in_both_forms(status: int, text: str, expected_s: float | None) -> None:
    """Seconds or a date (RFC 9110, 10.2.3); what cannot be read is as if it were not there."""
    _, (error,) = deliver(Reply(status, {"Retry-After": text}))

    assert error is not None
    assert error.retry_after_s == (None if expected_s is None else pytest.approx(expected_s, abs=1e-3))


def test_only_what_passes_has_a_time_of_its_own() -> None:
    """Retry-After on anything else changes nothing."""
    _, (error,) = deliver(Reply(403, {"Retry-After": "5"}))

    assert error is not None
    assert (error.outlook, error.retry_after_s) == (Outlook.NEEDS_SOMEBODY, None)


def unreachable() -> Iterable[tuple[str, Callable[[], Awaitable[DeliveryError | None]]]]:
    """Yield ways in which no answer comes."""

    async def refused() -> DeliveryError | None:
        async with receiver() as fake:
            url = fake.url
        return await attempt(url)

    async def reset() -> DeliveryError | None:
        async with receiver([Reply(resets=True)]) as fake:
            return await attempt(fake.url)

    async def unknown() -> DeliveryError | None:
        return await attempt("http://no-such-host.invalid/")

    async def attempt(url: str) -> DeliveryError | None:
        notifier = WebhookNotifier(url, SECRET, now_ms=lambda: NOW_MS)
        found = await outcome_of(notifier.deliver(a_notice()))
        await notifier.close()
        return found

    return [("refused", refused), ("reset", reset), ("unknown host", unknown)]


@pytest.mark.parametrize("way", [way for _, way in unreachable()], ids=[name for name, _ in unreachable()])
def test_no_answer_is_tried_again(way: Callable[[], Awaitable[DeliveryError | None]]) -> None:
    """Whatever the network does, the page is not lost for it."""

    async def story() -> DeliveryError | None:
        return await way()

    error = asyncio.run(story())

    assert error is not None
    assert error.outlook is Outlook.PASSES
    assert error.cause


def test_a_receiver_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One dead receiver does not hold the route for ever; it is tried again."""
    monkeypatch.setattr(http, "TIMEOUT_S", 0.1)

    _, (error,) = deliver(Reply(hangs=True))

    assert error is not None
    assert error.outlook is Outlook.PASSES


def test_a_redirect_is_not_followed() -> None:
    """The signed page goes to the address that the site file names, and nowhere else."""
    fake, (error,) = deliver(Reply(307, {"Location": "/elsewhere"}))

    assert len(fake.deliveries) == 1
    assert error is not None
    assert error.outlook is Outlook.NEEDS_SOMEBODY
    assert error.cause == "307 to another path"


def test_nothing_of_the_way_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No proxy sees the page, and no password of a .netrc goes with it, that the site file does not name."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password s3cret\n", encoding="ascii")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    fake, outcomes = deliver()

    assert outcomes == [None]
    assert "authorization" not in fake.deliveries[0].headers


def test_the_proxy_that_the_site_file_names_is_used() -> None:
    """A receiver that is reached through one alone is told."""

    async def story() -> tuple[FakeReceiver, DeliveryError | None]:
        async with receiver() as proxy:
            host = proxy.url.removesuffix("/pages")
            notifier = WebhookNotifier(
                "http://no-such-host.invalid/pages", SECRET, now_ms=lambda: NOW_MS, proxy=host
            )
            found = await outcome_of(notifier.deliver(a_notice()))
            await notifier.close()
            return proxy, found

    proxy, error = asyncio.run(story())

    assert error is None
    assert proxy.deliveries[0].headers["host"] == "no-such-host.invalid"
