"""Alertmanager probe: its API v2, over the HTTP probe."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from opsverify.config.matchers import selects
from opsverify.config.model import AlertmanagerConfig
from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.probes.alerts import Alert, AlertBoard, Matcher, RoutedAlert, Silence, board_of, mutes_everything
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
        """Alerts that count (`AlertBoard`): neither suppressed nor named in `ignore`, or of the highest severity."""
        return self.board(ignore).counted

    def board(self, ignore: Collection[str] = ()) -> AlertBoard:
        """All alerts, also those that a silence or another alert suppresses, and which of them count."""

        def read(data: Any) -> tuple[RoutedAlert, ...]:  # noqa: ANN401 - any JSON value
            return tuple(
                RoutedAlert(
                    Alert(
                        entry["labels"].get("alertname", ""),
                        MappingProxyType(dict(entry["labels"])),
                        entry["status"]["state"],
                        _time(entry["startsAt"]),
                    ),
                    entry["fingerprint"],
                    tuple(entry["status"]["silencedBy"]),
                    tuple(entry["status"]["inhibitedBy"]),
                )
                for entry in data
            )

        routed = self._get("/api/v2/alerts?active=true&silenced=true&inhibited=true", read)
        routed = tuple(one for one in routed if selects(self._config.alerts, one.alert.labels))
        return board_of(routed, self.silences(), self._config, ignore, dt.datetime.now(dt.UTC).date())

    def silences(self) -> tuple[Silence, ...]:
        """Silences in force now."""
        return tuple(silence for silence in self.all_silences() if silence.active)

    def all_silences(self) -> tuple[Silence, ...]:
        """Silences in force, and those that have ended and are still known (Alertmanager: five days)."""

        def read(data: Any) -> tuple[Silence, ...]:  # noqa: ANN401 - any JSON value
            return tuple(
                Silence(
                    entry["id"],
                    tuple(map(_matcher, entry["matchers"])),
                    entry["createdBy"],
                    entry["comment"],
                    _time(entry["endsAt"]),
                    mutes_everything(entry["matchers"]),
                    _time(entry["startsAt"]),
                    tuple(
                        Matcher(one["name"], one["value"], one["isRegex"], one.get("isEqual", True))
                        for one in entry["matchers"]
                    ),
                    entry["status"]["state"] == "active",
                )
                for entry in data
                if entry["status"]["state"] != "pending"
            )

        return self._get("/api/v2/silences", read)

    def receivers_of(self, name: str) -> tuple[str, ...] | None:
        """Receivers that the alerts called `name` are routed to, none while they are suppressed; None without any.

        From the groups that are sent, for one receiver each: only they say that a time interval of a route mutes them.
        """

        def read(data: Any) -> tuple[str, ...] | None:  # noqa: ANN401 - any JSON value
            found = [
                (group["receiver"]["name"], alert["status"]["state"])
                for group in data
                for alert in group["alerts"]
                if alert["labels"].get("alertname") == name
            ]
            routed = dict.fromkeys(receiver for receiver, state in found if state != "suppressed")
            return tuple(routed) if found else None

        return self._get("/api/v2/alerts/groups?active=true&silenced=true&inhibited=true", read)

    def configuration(self) -> str:
        """The configuration file as loaded, secrets masked by Alertmanager."""
        return self._get("/api/v2/status", lambda data: str(data["config"]["original"]))

    def post(self, labels: Mapping[str, str], *, lasting_s: float) -> None:
        """Post an alert with `labels` (a smoke journey's own); 0 seconds ends it."""
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=lasting_s)
        alert = {"labels": dict(labels), "endsAt": ends.isoformat()}
        reply = self._http.post(self._config.url + "/api/v2/alerts", json=[alert], access=self._access)
        if reply.status != _OK:
            raise Inconclusive(
                say(
                    "Alertmanager: {url} returned status {status} to an alert, expected 200; check its log",
                    url=reply.url,
                    status=reply.status,
                )
            )

    def _get(self, path: str, read: Callable[[Any], T]) -> T:
        reply = self._http.get(self._config.url + path, access=self._access, max_body=_MOST_BODY)
        if reply.status != _OK:
            raise Inconclusive(
                say(
                    "Alertmanager: {url} returned status {status}, expected 200; check its log",
                    url=reply.url,
                    status=reply.status,
                )
            )
        try:
            return read(reply.json)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Inconclusive(
                say(
                    "Alertmanager: {url} is not API v2 ({kind}: {error}); check the URL",
                    url=reply.url,
                    kind=type(error).__name__,
                    error=one_line(error),
                )
            ) from error


def _matcher(entry: Mapping[str, Any]) -> str:
    sign = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
    return f'{entry["name"]}{sign[entry.get("isEqual", True), entry["isRegex"]]}"{entry["value"]}"'


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)
