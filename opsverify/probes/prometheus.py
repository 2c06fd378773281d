"""Prometheus probe, through prometheus-api-client and the requests session under it."""

from __future__ import annotations

import datetime as dt
import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry

from opsverify.language.message import say
from opsverify.probes.base import Probe
from opsverify.probes.prometheus_body import read_bounded
from opsverify.probes.prometheus_values import (
    FaultReason,
    Rule,
    Sample,
    ScrapeTarget,
    Series,
    SourceFault,
    Unanswered,
    Vector,
    identity,
    read_alert,
    read_rules,
    read_samples,
    read_series,
    read_targets,
)
from opsverify.probes.proxy import NO_PROXY, proxy_of
from opsverify.probes.proxy import shown as shown_proxy
from opsverify.probes.record import Record, discard
from opsverify.probes.text import one_line, root_cause

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.config.model import PrometheusConfig
    from opsverify.probes.alerts import Alert

__all__ = [
    "FaultReason",
    "Prometheus",
    "Rule",
    "Sample",
    "ScrapeTarget",
    "SourceFault",
    "Unanswered",
    "Vector",
]

T = TypeVar("T")
_MOST_SERIES = 200
_OK = 200


@dataclass(slots=True)
class _Answer:
    """The latest answer, kept by a hook because the client library drops warnings and error messages."""

    response: requests.Response | None = None


class Prometheus(Probe):
    """Instant queries, targets and rules; every fault has a name (`FaultReason`)."""

    def __init__(
        self, config: PrometheusConfig, bearer: str | None = None, record: Record = discard, *, proxy: str = NO_PROXY
    ) -> None:
        super().__init__(record)
        self._config = config
        self._answer = answer = _Answer()
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, .netrc or authority but the target's
        self._session.max_redirects = 0
        if used := proxy_of(config.url, proxy):
            self._session.proxies = {"http": used, "https": used}
        self._via = {} if used is None else {"proxy": shown_proxy(used)}
        if bearer is not None:
            # As auth, not as a header: requests replaces the header by what a .netrc holds.
            self._session.auth = _bearer_auth(bearer)

        def keep(response: requests.Response, *_: object, **__: object) -> None:
            answer.response = response
            read_bounded(response, config.timeout_s)

        self._session.hooks["response"].append(keep)
        # No retries: the library's own wait seconds, and hide a flapping server.
        self._client = PrometheusConnect(
            config.url, session=self._session, timeout=config.timeout_s, retry=Retry(total=0, read=False)
        )

    def instant(self, query: str, at: float | None = None) -> Vector:
        """Evaluate `query` at Unix time `at` (the server's now); no series is an empty vector.

        Raises SourceFault, as Unanswered without an answer.
        """
        queried_at = time.time() if at is None else at
        params = {"timeout": f"{self._config.timeout_s:g}s"} | ({} if at is None else {"time": f"{at:.3f}"})
        name = f"PromQL {one_line(query)[:60]}"
        data = self._query(name, query, lambda: self._client.custom_query(query, params=params))
        samples = self._read(name, query, read_samples, data)
        warnings = self._warnings()
        shown = {
            "source": self._config.url,
            **self._via,
            "query": query,
            "at": dt.datetime.fromtimestamp(queried_at, dt.UTC).isoformat(),
            "warnings": warnings,
            "series": len(samples),
            "samples": [
                {"labels": dict(sample.labels), "value": str(sample.value), "at": sample.at}
                for sample in samples[:_MOST_SERIES]
            ],
        }
        if len(samples) > _MOST_SERIES:
            shown["note"] = f"the first {_MOST_SERIES} of {len(samples)} series"
        self._record(name, json.dumps(shown, indent=1, ensure_ascii=False), "json")
        return Vector(samples, warnings, queried_at, query)

    def history(self, selector: str, span_s: float, at: float | None = None) -> tuple[Series, ...]:
        """Raw samples of `selector` (an instant vector selector) in the `span_s` seconds up to `at`.

        Raises as `instant`, and for partial answers: a count over half the series would be wrong, not less.
        """
        query = f"{selector}[{max(1, round(span_s * 1000))}ms]"
        params = {"timeout": f"{self._config.timeout_s:g}s"} | ({} if at is None else {"time": f"{at:.3f}"})
        name = f"PromQL {one_line(query)[:60]}"
        data = self._query(name, query, lambda: self._client.custom_query(query, params=params))
        series = self._read(name, query, read_series, data)
        self._require_whole(query, self._warnings())
        shown = [{"labels": dict(found.labels), "points": found.points} for found in series[:_MOST_SERIES]]
        self._record(name, json.dumps({"query": query, "series": len(series), "samples": shown}), "json")
        return series

    def scalar(self, query: str) -> float:
        """Return the one number that `query` evaluates to.

        Raises SourceFault: `empty`, `ambiguous` (several series), `not_a_number`, `partial_response`,
        or as `instant`.
        """
        vector = self.instant(query)
        where = f"{self._where}, query {one_line(query)}"
        self._whole(vector)
        if not vector.samples:
            raise SourceFault(
                FaultReason.EMPTY, f"{where}: no series; check metric name, labels, and that it is scraped"
            )
        if len(vector.samples) > 1:
            found = len(vector.samples)
            raise SourceFault(FaultReason.AMBIGUOUS, f"{where}: {found} series, expected 1; aggregate them")
        value = vector.samples[0].value
        if not math.isfinite(value):
            raise SourceFault(
                FaultReason.NOT_A_NUMBER, f"{where}: the value is {value}; check that anything was counted"
            )
        return value

    def targets(self) -> tuple[ScrapeTarget, ...]:
        """Active scrape targets."""
        return self._get("/api/v1/targets", {"state": "active"}, read_targets)

    def rules(self) -> tuple[Rule, ...]:
        """Alerting and recording rules, as loaded."""
        return self._get("/api/v1/rules", {}, read_rules)

    def firing_alerts(self, matchers: str = "") -> tuple[Alert, ...]:
        """Alerts firing now whose labels match `matchers` (PromQL, such as `track="canary"`).

        From the series ALERTS: the server itself applies the matchers, and it also works where another
        server evaluates the rules (Thanos, Mimir). Raises as `instant`, and for partial answers.
        """
        both = ",".join(part for part in ('alertstate="firing"', matchers) if part)
        firing = self._whole(self.instant(f"ALERTS{{{both}}}"))
        if not firing.samples:
            return ()
        states = self._whole(self.instant(f"ALERTS_FOR_STATE{{{matchers}}}"))
        since = {identity(sample): sample.value for sample in states.samples}
        return tuple(read_alert(sample, since.get(identity(sample))) for sample in firing.samples)

    def now(self) -> float:
        """Unix time by the server's clock."""
        return self.scalar("time()")

    def close(self) -> None:
        """Close the connections; the probe may be used again."""
        self._client.close()

    @property
    def _where(self) -> str:
        return f"Prometheus {self._config.url}"

    def _get(self, path: str, params: dict[str, str], read: Callable[[Any], T]) -> T:
        def send() -> None:
            response = self._session.get(self._config.url + path, params=params, timeout=self._config.timeout_s)
            if response.status_code != _OK:
                raise PrometheusApiClientException(f"status {response.status_code}")

        name = f"Prometheus {path}"
        data = self._query(name, path, send)
        values = self._read(name, path, read, data)
        self._record(name, json.dumps(data, indent=1, ensure_ascii=False), "json")
        return values

    def _query(self, name: str, what: str, send: Callable[[], object]) -> Any:  # noqa: ANN401 - any JSON value
        """Call the library and return the answer's `data`; every failure gets its reason."""
        self._answer.response = None
        where = say("{source}{detail}", source=self._where, detail=f", {one_line(what)}")
        try:
            send()
        except requests.Timeout as error:
            message = say(
                "{where}: no answer within {seconds:g} s; check its load", where=where, seconds=self._config.timeout_s
            )
            self._give_up(name, Unanswered(FaultReason.TIMEOUT, message), error)
        except PrometheusApiClientException as error:
            self._give_up(name, self._refusal(where), error)
        except (
            ValueError,
            KeyError,
            TypeError,
        ) as error:  # before RequestException: its JSONDecodeError is both
            self._give_up(name, self._malformed(where, error), error)
        except requests.RequestException as error:
            reason = one_line(root_cause(error))
            message = say("{where}: no answer ({reason}); check that it is up, and its URL", where=where, reason=reason)
            self._give_up(name, Unanswered(FaultReason.UNREACHABLE, message), error)
        return self._read(name, what, lambda body: body["data"], self._body())

    def _read(self, name: str, what: str, read: Callable[[Any], T], data: Any) -> T:  # noqa: ANN401 - any JSON value
        try:
            return read(data)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            self._give_up(name, self._malformed(f"{self._where}, {one_line(what)}", error), error)

    def _whole(self, vector: Vector) -> Vector:
        self._require_whole(vector.query, vector.warnings)
        return vector

    def _require_whole(self, query: str, warnings: tuple[str, ...]) -> None:
        if warnings:
            lost = one_line("; ".join(warnings))
            message = f"{self._where}, query {one_line(query)}: partial response ({lost}); check its sources"
            raise SourceFault(FaultReason.PARTIAL_RESPONSE, message)

    def _body(self) -> Any:  # noqa: ANN401 - any JSON value
        response = self._answer.response
        try:
            return response.json() if response is not None else None
        except ValueError:
            return None

    def _warnings(self) -> tuple[str, ...]:
        return tuple(str(line) for line in self._body().get("warnings") or ())

    def _refusal(self, where: str) -> SourceFault:
        response, body = self._answer.response, self._body()
        status = response.status_code if response is not None else 0
        kind, reason = (body.get("errorType"), body.get("error")) if isinstance(body, dict) else (None, None)
        detail = f": {one_line(reason)}" if reason else ""
        if kind == "bad_data":
            return SourceFault(FaultReason.BAD_QUERY, f"{where}: query refused{detail}; correct the PromQL")
        if kind in ("timeout", "canceled"):
            return SourceFault(
                FaultReason.TIMEOUT, f"{where}: the query took too long{detail}; narrow it, or raise timeout_s"
            )
        hint = "check bearer and rights" if status in (401, 403) else "check its log and the URL"
        return SourceFault(FaultReason.HTTP_ERROR, f"{where}: status {status}, expected 200{detail}; {hint}")

    def _malformed(self, where: str, error: Exception) -> SourceFault:
        reason = f"{type(error).__name__}: {one_line(error)}"
        return SourceFault(
            FaultReason.MALFORMED, f"{where}: not an answer of Prometheus' API ({reason}); check the URL"
        )

    def _give_up(self, name: str, fault: SourceFault, error: Exception) -> NoReturn:
        response = self._answer.response
        response_text = f"\n\nHTTP {response.status_code}\n{response.text[:2000]}" if response is not None else ""
        self._record(name, f"{fault.reason}: {fault}{response_text}")
        raise fault from error


def _bearer_auth(bearer: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {bearer}"
        return request

    return authorize
