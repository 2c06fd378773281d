"""The searchable copy of the notification channel, over the HTTP probe."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from opsverify.errors import Inconclusive
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from opsverify.config.model import InboxConfig
    from opsverify.probes.http import Http
    from opsverify.probes.record import Record

_OK = 200


@dataclass(frozen=True, slots=True)
class Message:
    """One notification that arrived."""

    received_at: dt.datetime
    source: str
    text: str


class Inbox:
    """What arrived in the notification channel."""

    def __init__(self, config: InboxConfig, http: Http, bearer: str | None = None) -> None:
        self._config = config
        self._http = http
        self._bearer = bearer

    def recording(self, record: Record) -> Self:
        """Share the connections, but record elsewhere."""
        return type(self)(self._config, self._http.recording(record), self._bearer)

    def messages(self, contains: str) -> tuple[Message, ...]:
        """Messages with `contains` in them, in the channel's own order."""
        reply = self._http.get(f"{self._config.url}?{urlencode({'contains': contains})}", bearer=self._bearer)
        if reply.status != _OK:
            raise Inconclusive(f"inbox: {reply.url} answered status {reply.status}, expected 200; look at its log")
        try:
            return tuple(
                Message(dt.datetime.fromisoformat(entry["received_at"]), entry["source"], entry["text"])
                for entry in reply.json["messages"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Inconclusive(
                f"inbox: {reply.url} does not list messages ({type(error).__name__}: {one_line(error)}); "
                'expected {"messages": [{"received_at", "source", "text"}]}'
            ) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
