"""Inbox probe: the searchable copy of the notification channel, over the HTTP probe."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from urllib.parse import urlencode

from opsverify.config.model import InboxConfig
from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.probes.http_probe import HttpProbe
from opsverify.probes.text import one_line

_OK = 200


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification that arrived."""

    received_at: dt.datetime
    source: str
    text: str


class Inbox(HttpProbe[InboxConfig]):
    """What arrived in the notification channel."""

    def messages(self, contains: str) -> tuple[Notification, ...]:
        """Messages with `contains` in them, in the channel's own order."""
        reply = self._http.get(f"{self._config.url}?{urlencode({'contains': contains})}", access=self._access)
        if reply.status != _OK:
            raise Inconclusive(
                say(
                    "inbox: {url} returned status {status}, expected 200; check its log",
                    url=reply.url,
                    status=reply.status,
                )
            )
        try:
            return tuple(
                Notification(dt.datetime.fromisoformat(entry["received_at"]), entry["source"], entry["text"])
                for entry in reply.json["messages"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Inconclusive(
                say(
                    'inbox: {url} does not list messages ({kind}: {error}); expected {{"messages": '
                    '[{{"received_at", "source", "text"}}]}}',
                    url=reply.url,
                    kind=type(error).__name__,
                    error=one_line(error),
                )
            ) from error
