"""E-mail: a message for each notification, in a thread for each alarm.

The identity of a message is made of the notification's key, so a repetition after a crash is the same message
to mail programs; what follows refers to the opening, so that they show an alarm as one thread. Plain text and
HTML say the same; what comes from the bus is escaped, and is no header beyond the subject, kept to one line.
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from typing import Any, Final

import structlog

from facility.errors import DeliveryError, Outlook
from facility.instants import to_datetime
from facility.shown import in_line
from rules.notify.shortened import shortened
from store.ledger.alarms import Notice
from store.threads import in_thread

TIMEOUT_S: Final = 20.0
"""How long the server may take for each step; an attempt ends before the outbox gives it up."""
MOST_SUBJECT: Final = 200
MOST_TEXT: Final = 50_000
_OPENED: Final = "opened"
_TEMPORARY: Final = range(400, 500)
_OF_THE_MESSAGE: Final = frozenset({552, 554})
"""Too large, or not wanted: another message may be accepted."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A mail server.

    Attributes:
        host: Its name.
        port: Its port.
        security: `starttls`, `tls` or `none`.
        username: Who logs in; "" for nobody.
        password: With what.
        sender: Address that messages come from.
    """

    host: str
    port: int
    security: str
    username: str
    password: str
    sender: str


def message_of(
    body: Mapping[str, Any], server: Server, recipients: Sequence[str], now_ms: int
) -> EmailMessage:
    """Return the message of a notification.

    Args:
        body: The document of the notification.
        server: Where it is sent from.
        recipients: Addresses.
        now_ms: The time [ms].
    """
    text, key = shortened(str(body["text"]), MOST_TEXT), str(body["key"])
    opening = f"{body['alarm']}:{_OPENED}"
    message = EmailMessage()
    message["Subject"] = shortened(in_line(str(body["headline"])), MOST_SUBJECT)
    message["From"] = server.sender
    message["To"] = ", ".join(recipients)
    message["Date"] = format_datetime(to_datetime(now_ms))
    message["Message-ID"] = _identity(key, server.sender)
    if key != opening:
        message["In-Reply-To"] = message["References"] = _identity(opening, server.sender)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text + "\n")
    headline, _, rest = text.partition("\n")
    lines = "<br>\n".join(escape(line) for line in rest.split("\n"))
    html = f"<p><b>{escape(headline)}</b></p>\n<p>{lines}</p>\n"
    for name, key in (("Dashboard", "dashboard"), ("Acknowledge", "acknowledge_url")):
        if url := str(body.get(key, "")):
            html += f'<p><a href="{escape(url)}">{name}</a></p>\n'
    message.add_alternative(html, subtype="html")
    return message


def _identity(key: str, sender: str) -> str:
    domain = sender.rpartition("@")[2] or "localhost"
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{domain}>"


class MailNotifier:
    """Sends notifications to some people.

    Args:
        server: The mail server.
        recipients: Addresses.
        now_ms: The clock [ms].
    """

    def __init__(self, server: Server, recipients: Sequence[str], *, now_ms: Callable[[], int]) -> None:
        self._server = server
        self._recipients = list(recipients)
        self._now_ms = now_ms

    async def deliver(self, notice: Notice) -> None:
        """Send the message of a notification.

        Raises:
            DeliveryError: Where no recipient's server accepted it.
        """
        message = message_of(
            {**notice.body, "key": notice.key}, self._server, self._recipients, self._now_ms()
        )
        await in_thread(self._send, message)

    def _send(self, message: EmailMessage) -> None:
        try:
            with self._connection() as connection:
                if self._server.username:
                    connection.login(self._server.username, self._server.password)
                refused = connection.send_message(message, self._server.sender, self._recipients)
        except smtplib.SMTPRecipientsRefused as error:
            code, told = max(error.recipients.values())
            raise _fault(code, told, Outlook.NEEDS_SOMEBODY) from error
        except smtplib.SMTPAuthenticationError as error:
            raise _fault(error.smtp_code, error.smtp_error, Outlook.NEEDS_SOMEBODY) from error
        except smtplib.SMTPResponseException as error:
            is_final = error.smtp_code in _OF_THE_MESSAGE
            outlook = Outlook.REFUSED if is_final else Outlook.NEEDS_SOMEBODY
            raise _fault(error.smtp_code, error.smtp_error, outlook) from error
        except ssl.SSLCertVerificationError as error:
            raise DeliveryError(error.verify_message, Outlook.NEEDS_SOMEBODY) from error
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryError(str(error) or type(error).__name__, Outlook.PASSES) from error
        for recipient, (code, told) in refused.items():
            _log.warning("a recipient is refused", recipient=recipient, cause=f"{code} {_words(told)}")

    def _connection(self) -> smtplib.SMTP:
        server = self._server
        if server.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
        connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        if server.security == "starttls":
            try:
                connection.starttls(context=ssl.create_default_context())
            except BaseException:
                connection.close()
                raise
        return connection

    async def close(self) -> None:
        """Nothing is held: there is a connection for each message."""


def _fault(code: int, told: bytes | str, outlook: Outlook) -> DeliveryError:
    return DeliveryError(f"{code} {_words(told)}", Outlook.PASSES if code in _TEMPORARY else outlook)


def _words(told: bytes | str) -> str:
    return shortened(in_line(told.decode(errors="replace") if isinstance(told, bytes) else told), 200)
