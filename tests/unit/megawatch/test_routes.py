"""`routes`: where pages go, in words; and with --try whether they get there."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facility.hours import Hours
from testing.fakes.webhook import FakeReceiver, Reply, receiver
from testing.megawatch.asking import asking

SITE = """
[site]
name = "hall"
[[route]]
severity = ["critical"]
to = {{ webhook = "{url}" }}
repeat_s = 600
[[route]]
desk = ["D"]
hours = ["Mon-Fri 08:00-18:00", "22:00-06:00"]
unacknowledged_s = 900
to = {{ console = true }}
"""


@contextmanager
def served(*script: Reply) -> Iterator[FakeReceiver]:
    """Run a receiver beside the command, which has a loop of its own."""
    loop = asyncio.new_event_loop()
    ready, fakes = threading.Event(), list[FakeReceiver]()

    async def serve() -> None:
        async with receiver(script) as fake:
            fakes.append(fake)
            ready.set()
            await asyncio.Event().wait()

    task = loop.create_task(serve())
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    )
    thread.start()
    ready.wait()
    try:
        yield fakes[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def test_routes_are_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What each takes, and when; nothing is sent."""
    (tmp_path / "site.toml").write_text(SITE.format(url="http://127.0.0.1:9/secret"))
    with asking(capsys) as ask:
        found = ask("routes", tmp_path, "--json").document

    assert found == [
        {
            "to": "127.0.0.1:9",
            "takes": "severity critical",
            "when": "at once, again each 600 s until acknowledged",
            "test": None,
        },
        {
            "to": "console",
            "takes": "desk D",
            "when": "once nobody acknowledged it for 900 s, within Mon-Fri 08:00-18:00, 22:00-06:00",
            "test": None,
        },
    ]


def test_a_test_page_is_sent_and_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that it is one; on the terminal too."""
    with served() as fake:
        (tmp_path / "site.toml").write_text(SITE.format(url=fake.url))
        with asking(capsys) as ask:
            answer = ask("routes", tmp_path, "--try")
    bodies = [json.loads(delivery.body) for delivery in fake.deliveries]

    assert answer.status == 0
    assert answer.out.count("accepted in") == 2
    assert [body["change"] for body in bodies] == ["opened", "returned"]
    assert len({body["alarm"] for body in bodies}) == 1
    assert bodies[0]["headline"] == "[INFO] hall: this is a test of Megawatch's pages"
    assert "this is a test" in answer.out


def test_a_receiver_that_refuses_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what it said, and status 1; the address of the webhook is in nothing."""
    with served(Reply(status=403)) as fake:
        (tmp_path / "site.toml").write_text(SITE.format(url=fake.url + "/secret-path"))
        with asking(capsys) as ask:
            answer = ask("routes", tmp_path, "--try")

    assert answer.status == 1
    assert "not accepted: " in answer.out
    assert "secret-path" not in answer.out + answer.err


@pytest.mark.parametrize(
    "text", ["22:00-06:00", "Sat,Sun", "Mon-Fri", "Mon,Wed-Fri 08:00-12:00", "Sun 18:00-24:00"]
)
def test_hours_are_written_as_they_are_read(text: str) -> None:
    """So that what is shown can be put into a site file."""
    assert str(Hours.read(text)) == text
