"""A mail server on loopback that speaks as much of RFC 5321 as a client needs, in a thread of its own."""

from __future__ import annotations

import base64
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass(slots=True)
class FakeSmtp:
    """The server.

    Attributes:
        port: Its port.
        password: What it lets in, as `user:password`; "" for everybody.
        refuses: Answers by what they are to: `MAIL`, `DATA`, or a recipient's address.
        mails: The messages that it accepted: who they are to, and what they are.
    """

    port: int = 0
    password: str = ""
    refuses: dict[str, str] = field(default_factory=dict)
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)


class _Conversation(socketserver.StreamRequestHandler):
    """One connection."""

    fake: FakeSmtp

    def handle(self) -> None:
        """Answer until the client goes."""
        self._say("220 fake")
        recipients: list[str] = []
        for line in iter(self.rfile.readline, b""):
            verb, _, rest = line.decode().strip().partition(" ")
            match verb.upper():
                case "EHLO":
                    self._say("250-fake", *(["250-AUTH PLAIN"] if self.fake.password else []), "250 8BITMIME")
                case "AUTH":
                    told = base64.b64decode(rest.split()[-1]).decode().strip("\0").replace("\0", ":")
                    self._say("235 in" if told == self.fake.password else "535 5.7.8 no such login")
                case "MAIL":
                    self._say(self.fake.refuses.get("MAIL", "250 ok"))
                case "RCPT":
                    address = rest.partition("<")[2].partition(">")[0]
                    answer = self.fake.refuses.get(address, "250 ok")
                    recipients += [address] if answer.startswith("250") else []
                    self._say(answer)
                case "DATA":
                    self._take(recipients)
                    recipients = []
                case "QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 ok")

    def _take(self, recipients: list[str]) -> None:
        self._say("354 go on")
        lines = [
            line.removeprefix(b".") if line.startswith(b"..") else line
            for line in iter(self.rfile.readline, b".\r\n")
        ]
        answer = self.fake.refuses.get("DATA", "250 queued")
        if answer.startswith("250"):
            message = message_from_bytes(b"".join(lines), policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.fake.mails.append((list(recipients), message))
        self._say(answer)

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


@contextmanager
def smtp(**facts: object) -> Iterator[FakeSmtp]:
    """Run a mail server on loopback."""
    fake = FakeSmtp(**facts)  # type: ignore[arg-type]  # as the dataclass says
    handler = type("Conversation", (_Conversation,), {"fake": fake})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        fake.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
