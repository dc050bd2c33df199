"""Services beyond those that are built in, by Apprise: an extra, and one address for each route.

An address is a secret. Apprise says whether a service took a message, and not why it did not; nothing tells a
repetition from a second message, and nothing but text comes through.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any, Final

from facility.errors import DeliveryError, Outlook
from rules.notify.shortened import shortened
from store.ledger.alarms import Notice
from store.threads import in_thread

EXTRA: Final = "apprise"
"""The extra of Megawatch, the library, and its logger."""
MOST_TITLE: Final = 250
MOST_BODY: Final = 8_000
"""Characters that are handed over: services cut off what is longer at their own bounds."""
_KINDS: Final = {"critical": "failure", "high": "failure", "medium": "warning"}


def is_installed() -> bool:
    """Tell whether the extra is installed."""
    return find_spec(EXTRA) is not None


def is_address(url: str) -> bool:
    """Tell whether Apprise knows the service of an address."""
    return bool(_services(url))


class ServiceNotifier:
    """Sends notifications to one service.

    Args:
        url: Its address, as Apprise writes it.
    """

    def __init__(self, url: str) -> None:
        self._services = _services(url)

    async def deliver(self, notice: Notice) -> None:
        """Send a notification.

        Raises:
            DeliveryError: Where it was not accepted.
        """
        if not await in_thread(self._send, notice):
            raise DeliveryError("the service did not take it, and Apprise does not say why", Outlook.PASSES)

    def _send(self, notice: Notice) -> bool:
        body = notice.body
        _, _, rest = str(body["text"]).partition("\n")
        is_over = body["change"] in ("returned", "acknowledged")
        kind = "success" if is_over else _KINDS.get(str(body["severity"]), "info")
        return bool(
            self._services.notify(
                body=shortened(rest or str(body["text"]), MOST_BODY),
                title=shortened(str(body["headline"]), MOST_TITLE),
                notify_type=kind,
                body_format="text",
                interpret_escapes=False,
            )
        )

    async def close(self) -> None:
        """Nothing is held."""


def _services(url: str) -> Any:  # noqa: ANN401 - the library has no types
    """Return Apprise with one service, or with none where the address is none."""
    import apprise  # noqa: PLC0415 - an extra

    # It would log addresses, which are secrets.
    logging.getLogger(EXTRA).disabled = True
    services = apprise.Apprise()
    services.add(url)
    return services
