"""Alertmanager probe: its API v2, over the HTTP probe."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from opsverify.config.matchers import selects
from opsverify.config.model import AlertmanagerConfig
from opsverify.errors import Inconclusive
from opsverify.probes.alerts import Alert
from opsverify.probes.http_probe import HttpProbe
from opsverify.probes.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

T = TypeVar("T")
_OK = 200
_MOST_BODY = 16 << 20
"""Bytes of an answer: one that lists some ten thousand alerts."""


@dataclass(frozen=True, slots=True)
class Status:
    """Version and state of Alertmanager; `cluster` is `ready`, `settling`, or, alone, `disabled`."""

    version: str
    cluster: str
    peers: int
    started_at: dt.datetime

    @property
    def ready(self) -> bool:
        """Whether notifications are sent: it runs alone, or its cluster has settled."""
        return self.cluster in ("ready", "disabled")


@dataclass(frozen=True, slots=True)
class Silence:
    """An active silence and what it matches."""

    id: str
    matchers: tuple[str, ...]
    created_by: str
    comment: str
    ends_at: dt.datetime


class Alertmanager(HttpProbe[AlertmanagerConfig]):
    """Alerts as they are routed: what silences and inhibitions leave of those that fire."""

    def status(self) -> Status:
        """Version and state of the cluster."""

        def read(data: Any) -> Status:  # noqa: ANN401 - any JSON value
            cluster = data["cluster"]
            return Status(
                data["versionInfo"]["version"],
                cluster["status"],
                len(cluster.get("peers") or ()),
                _time(data["uptime"]),
            )

        return self._get("/api/v2/status", read)

    def firing(self, ignore: Collection[str] = ()) -> tuple[Alert, ...]:
        """The platform's alerts that are neither silenced nor inhibited, without those named in `ignore`."""

        def read(data: Any) -> tuple[Alert, ...]:  # noqa: ANN401 - any JSON value
            alerts = (
                Alert(
                    entry["labels"].get("alertname", ""),
                    MappingProxyType(dict(entry["labels"])),
                    entry["status"]["state"],
                    _time(entry["startsAt"]),
                )
                for entry in data
            )
            return tuple(
                alert
                for alert in alerts
                if alert.state != "suppressed"
                and alert.name not in ignore
                and selects(self._config.alerts, alert.labels)
            )

        return self._get("/api/v2/alerts?active=true&silenced=false&inhibited=false", read)

    def silences(self) -> tuple[Silence, ...]:
        """Silences in force now."""

        def read(data: Any) -> tuple[Silence, ...]:  # noqa: ANN401 - any JSON value
            return tuple(
                Silence(
                    entry["id"],
                    tuple(map(_matcher, entry["matchers"])),
                    entry["createdBy"],
                    entry["comment"],
                    _time(entry["endsAt"]),
                )
                for entry in data
                if entry["status"]["state"] == "active"
            )

        return self._get("/api/v2/silences", read)

    def post(self, labels: Mapping[str, str], *, lasting_s: float) -> None:
        """Post an alert with `labels` (a smoke journey's own); 0 seconds ends it."""
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=lasting_s)
        alert = {"labels": dict(labels), "endsAt": ends.isoformat()}
        reply = self._http.post(self._config.url + "/api/v2/alerts", json=[alert], access=self._access)
        if reply.status != _OK:
            raise Inconclusive(
                f"Alertmanager: {reply.url} returned status {reply.status} to an alert, expected 200; check its log"
            )

    def _get(self, path: str, read: Callable[[Any], T]) -> T:
        reply = self._http.get(self._config.url + path, access=self._access, max_body=_MOST_BODY)
        if reply.status != _OK:
            raise Inconclusive(f"Alertmanager: {reply.url} returned status {reply.status}, expected 200; check its log")
        try:
            return read(reply.json)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Inconclusive(
                f"Alertmanager: {reply.url} is not API v2 ({type(error).__name__}: {one_line(error)}); check the URL"
            ) from error


def _matcher(entry: Mapping[str, Any]) -> str:
    sign = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
    return f'{entry["name"]}{sign[entry.get("isEqual", True), entry["isRegex"]]}"{entry["value"]}"'


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
