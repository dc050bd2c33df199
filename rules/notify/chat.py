"""Chat rooms: Slack by an incoming webhook, Microsoft Teams by a workflow.

Either address is a secret: whoever knows it can write to the room. What comes from the bus is plain text
there: no link, no mention, no format. Slack bounds a section at 3,000 characters and refuses messages from
some 13,000 on; Teams takes cards of some 28 KB. Messages are built to half of that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from rules.alarms.states import Change
from rules.notify.http import Poster
from rules.notify.shortened import shortened
from store.ledger.alarms import Notice

MOST_SLACK: Final = 2_900
"""Characters of a Slack section."""
MOST_TEAMS: Final = 14_000
"""Bytes of a Teams message."""
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_COLOURS: Final = {"critical": "attention", "high": "attention", "medium": "warning", "low": "accent"}


def slack_message(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a notification as Slack takes it.

    Args:
        body: The document of the notification.
    """
    text = shortened(str(body["text"]), MOST_SLACK)
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}
    ]
    links = [f"<{url}|{name}>" for name, url in _links(body) if not set(url) & set("<>| ")]
    if links:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": "  ".join(links)}})
    return {
        # What stands in a notification on a phone; only here is `<...>` a mention or a link.
        "text": shortened(str(body["headline"]), MOST_SLACK).translate(_ESCAPES),
        "blocks": blocks,
    }


def teams_message(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a notification as a Teams workflow takes it: an adaptive card of version 1.2.

    Args:
        body: The document of the notification.
    """
    most = MOST_TEAMS // 2
    while (
        len(json.dumps(found := _card(body, most), ensure_ascii=False).encode(errors="replace")) > MOST_TEAMS
    ):
        most //= 2
    return found


def _card(body: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Return the message with at most so many characters of text."""
    headline, _, rest = shortened(str(body["text"]), most).partition("\n")
    is_good = body["change"] in (Change.RETURNED, Change.ACKNOWLEDGED)
    colour = "good" if is_good else _COLOURS.get(str(body["severity"]), "default")
    blocks = [_paragraph(headline, colour=colour, weight="bolder")]
    blocks += [_paragraph(line) for line in rest.split("\n") if line]
    actions = [{"type": "Action.OpenUrl", "title": name, "url": url} for name, url in _links(body)]
    return {
        "type": "message",
        "summary": shortened(str(body["headline"]), min(most, 1_000)),
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.2",
                    "msteams": {"width": "Full"},
                    "body": blocks,
                    "actions": actions,
                },
            }
        ],
    }


def _links(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what can be opened from a message, by its name: addresses of ours, never of the bus."""
    named = (("Dashboard", "dashboard"), ("Acknowledge", "acknowledge_url"))
    return [(name, str(body[key])) for name, key in named if body.get(key)]


def _paragraph(text: str, *, colour: str = "default", weight: str = "default") -> dict[str, Any]:
    """Return a paragraph of plain text: a text run knows no markup, a text block does."""
    run = {"type": "TextRun", "text": text, "color": colour, "weight": weight}
    return {"type": "RichTextBlock", "inlines": [run]}


class ChatNotifier:
    """Posts notifications to one room.

    Args:
        url: The address of the webhook or workflow, a secret.
        message: Makes the message of a notification's document.
        proxy: The proxy on the way there; None for the straight way.
        now_ms: The clock [ms].
    """

    def __init__(
        self,
        url: str,
        message: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        *,
        now_ms: Callable[[], int],
        proxy: str | None = None,
    ) -> None:
        self._poster = Poster(url, now_ms=now_ms, proxy=proxy)
        self._message = message

    async def deliver(self, notice: Notice) -> None:
        """Post the message of a notification.

        Raises:
            DeliveryError: Where it was not accepted.
        """
        await self._poster.post(json.dumps(self._message(notice.body), ensure_ascii=False).encode())

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()
