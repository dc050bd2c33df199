"""Pagers are reached the way that pages go, and the disk is written to, before either is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from megawatch.check.destinations import examine_disk, reach_receiver
from testing.megawatch.asking import asking


@asynccontextmanager
async def answering(answer: bytes, heard: list[bytes]) -> AsyncIterator[int]:
    """Run a server that keeps what it is told first, and answers it; yield its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.read(200)).split(b"\r\n", 1)[0])
        writer.write(answer)
        with suppress(OSError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def reached(url: str, answer: bytes, heard: list[bytes]) -> str:
    """Return what is said of a webhook behind a proxy that answers so."""

    async def story() -> str:
        async with answering(answer, heard) as port:
            found = await reach_receiver(url, f"http://127.0.0.1:{port}")
            return ("" if found["ok"] else "NOT: ") + str(found["detail"]).replace(str(port), "PORT")

    return asyncio.run(story())


def test_a_pager_is_reached_through_the_proxy_that_pages_take() -> None:
    """The proxy of the route is asked for the way; of plain HTTP it is told that it answers, and no more."""
    heard: list[bytes] = []
    through = reached("https://pager.example/hook", b"HTTP/1.1 200 fine\r\n\r\n", heard)
    refused = reached("https://pager.example/hook", b"HTTP/1.1 407 who are you\r\n\r\n", heard)
    plain = reached("http://pager.example/hook", b"", [])

    assert through == "proxy 127.0.0.1:PORT lets us through to pager.example:443; nothing was sent"
    assert refused.startswith("NOT: proxy 127.0.0.1:PORT does not let us through: it answered HTTP/1.1 407")
    assert plain == "proxy 127.0.0.1:PORT accepts connections; nothing was sent"
    assert heard == [b"CONNECT pager.example:443 HTTP/1.1"] * 2


def test_a_proxy_of_the_environment_is_said_to_be_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages go where the site file says, so the check goes there too."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    async def story() -> str:
        async with answering(b"", []) as port:
            found = await reach_receiver(f"http://127.0.0.1:{port}/hook")
            assert found["ok"]
            return str(found["detail"])

    assert "HTTP_PROXY of the environment is not used" in asyncio.run(story())


def test_the_disk_is_written_to(tmp_path: Path) -> None:
    """A page is synced where the data will be, timed, and taken away again; the folder is not made."""
    found = examine_disk(tmp_path / "data", 50)

    assert "GB free, a sync took" in found["detail"]
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_what_does_not_answer_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A database that is away is one line of many: the disk and the pagers are told as well."""
    (tmp_path / "site.toml").write_text(
        '[site]\nname = "x"\n[store]\ninfluxdb = { url = "http://127.0.0.1:1" }\n'
        '[[route]]\nto = { webhook = "http://127.0.0.1:1/pages" }\n'
    )
    with asking(capsys) as ask:
        answer = ask("doctor", tmp_path, "--json")

    whats = [item["what"].split()[0] for item in answer.document["reached"]]
    assert (answer.status, answer.document["database"]) == (1, None)
    assert whats == ["database", "webhook", "data"]
