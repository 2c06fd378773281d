"""Prometheus probe, through prometheus-api-client and the requests session under it."""

from __future__ import annotations

import datetime as dt
import json
import math
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException

from opsverify.config.matchers import label_name
from opsverify.language.message import say
from opsverify.probes.access import ANONYMOUS, Access
from opsverify.probes.base import Probe
from opsverify.probes.prometheus_matrix import KnownSeries
from opsverify.probes.prometheus_refusal import is_success, refusal
from opsverify.probes.prometheus_retention import read_retention
from opsverify.probes.prometheus_scope import STALE_S, own
from opsverify.probes.prometheus_session import PrometheusSession, redirected
from opsverify.probes.prometheus_values import (
    FaultReason,
    Rule,
    Sample,
    ScrapeTarget,
    Series,
    SourceFault,
    Unanswered,
    Vector,
    completeness,
    identity,
    read_alert,
    read_rules,
    read_samples,
    read_series,
    read_targets,
    read_types,
    seconds,
)
from opsverify.probes.record import Record, discard
from opsverify.probes.text import is_refused_certificate, one_line, root_cause
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.config.model import PrometheusConfig
    from opsverify.probes.alerts import Alert

__all__ = [
    "FaultReason", "Prometheus", "Rule", "Sample", "ScrapeTarget", "SourceFault", "Unanswered", "Vector",
]  # fmt: skip

T = TypeVar("T")
_MOST_SERIES = 200
_OK = 200
_REFUSALS = (400, 404, 422)
"""Statuses of a server that is there and does not evaluate a query."""


class Prometheus(Probe):
    """Instant queries, targets and rules; every fault has a name (`FaultReason`)."""

    def __init__(self, config: PrometheusConfig, access: Access = ANONYMOUS, record: Record = discard) -> None:
        super().__init__(record)
        self._config = config
        self._session = PrometheusSession(config, access)
        self._answer = self._session.answer
        self._known = KnownSeries()
        self._client = PrometheusConnect(
            config.url, session=self._session.requests, timeout=config.timeout_s, retry=self._session.retry
        )
        self._session.mount()

    def instant(self, query: str, at: float | None = None) -> Vector:
        """Evaluate `query` at Unix time `at` (the server's now); no series is an empty vector.

        Raises SourceFault, as Unanswered without an answer.
        """
        queried_at = time.time() if at is None else at
        name = f"PromQL {one_line(query)[:60]}"
        data = self._query(name, query, lambda: self._client.custom_query(query, params=self._params(at)))
        samples = self._read(name, query, read_samples, data)
        warnings = self._warnings()
        shown = {
            "source": self._config.url,
            **self._session.via,
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
        return self._range(f"{selector}[{max(1, round(span_s * 1000))}ms]", at, selector)

    def every(self, query: str, span_s: float, step_s: float) -> tuple[Series, ...]:
        """Values of `query` in the last `span_s`, at whole multiples of `step_s`. Raises as `history`."""
        return self._range(f"({query})[{round(span_s)}s:{round(step_s)}s]", None, query)

    def _range(self, query: str, at: float | None, selector: str) -> tuple[Series, ...]:
        name = f"PromQL {one_line(query)[:60]}"
        with self._session.long_answer():
            self._send(name, query, lambda: self._fetch("/api/v1/query", {"query": query, **self._params(at)}))
            with self._session.parsing():
                series = self._known.read(selector, self._answer.content)
                if series is None:
                    series = self._read(name, query, read_series, self._data(name, query))
                    self._require_whole(query, self._warnings())
        if self._record is not discard:
            shown = [{"labels": dict(found.labels), "points": found.points} for found in series[:_MOST_SERIES]]
            self._record(name, json.dumps({"query": query, "series": len(series), "samples": shown}), "json")
        return series

    def scalar(self, query: str) -> float:
        """Return the one number that `query` evaluates to.

        Raises SourceFault: `empty`, `ambiguous` (several series), `not_a_number`, `partial_response`,
        or as `instant`.
        """
        vector = self.instant(query)
        where = say("{source}{detail}", source=self._where, detail=f", query {one_line(query)}")
        self._require_whole(query, vector.warnings)
        if not vector.samples:
            raise SourceFault(
                FaultReason.EMPTY,
                say("{where}: no series; check metric name, labels, and that it is scraped", where=where),
            )
        if len(vector.samples) > 1:
            found = len(vector.samples)
            raise SourceFault(
                FaultReason.AMBIGUOUS,
                say("{where}: {found} series, expected 1; aggregate them", where=where, found=found),
            )
        value = vector.samples[0].value
        if not math.isfinite(value):
            raise SourceFault(
                FaultReason.NOT_A_NUMBER,
                say("{where}: the value is {value}; check that anything was counted", where=where, value=value),
            )
        return value

    def targets(self) -> tuple[ScrapeTarget, ...]:
        """The platform's active scrape targets."""
        found = self._get("/api/v1/targets", {"state": "active"}, read_targets)
        return own(self._where, "targets", self._config.targets, found)

    def rules(self) -> tuple[Rule, ...]:
        """The platform's alerting and recording rules, as loaded."""
        found = self._get("/api/v1/rules", {}, read_rules)
        return own(self._where, "alerting_rules", self._config.alerting_rules, found)

    def metric_types(self) -> dict[str, str]:
        """The type of every metric that is scraped now (`counter`, `gauge`, `histogram`, ...), by its family's name."""
        return self._get("/api/v1/metadata", {}, read_types)

    def firing_alerts(self, matchers: str = "") -> tuple[Alert, ...]:
        """Alerts firing now whose labels match `matchers` (PromQL, such as `track="canary"`).

        From the series ALERTS: the server itself applies the matchers, and it also works where another
        server evaluates the rules (Thanos, Mimir). Raises as `instant`, and for partial answers.
        """
        both = ",".join(part for part in ('alertstate="firing"', matchers) if part)
        firing = self.whole(f"ALERTS{{{both}}}")
        if not firing.samples:
            return ()
        states = self.whole(f"ALERTS_FOR_STATE{{{matchers}}}")
        since = {identity(sample): sample.value for sample in states.samples}
        return tuple(read_alert(sample, since.get(identity(sample))) for sample in firing.samples)

    def known(self, selector: str, back: str) -> bool:
        """Whether any series matched `selector` in the time `back` (`7d`) until now."""
        query = f"count(last_over_time({selector}[{back}]))"
        return bool(self.whole(query).samples)

    def has_series(self, selector: str, back_s: float) -> bool:
        """Whether the index has a series that matched `selector` in the last `back_s` seconds; reads no sample."""
        end = self.now()
        params = {"match[]": selector, "start": f"{end - back_s:.0f}", "end": f"{end:.0f}", "limit": "1"}
        return bool(self._get("/api/v1/series", params, list))

    def retention_s(self) -> float | None:
        """How long samples are kept; None where the server does not say (Thanos, Mimir), or keeps by size alone."""
        try:
            return self._get("/api/v1/status/runtimeinfo", {}, lambda data: read_retention(data["storageRetention"]))
        except Unanswered:
            raise
        except SourceFault:
            return None

    def label_values(self, label: str, selector: str, back: str) -> tuple[str, ...]:
        """Values of `label` among the series that matched `selector` in the time `back`, in order; none without it."""
        query = f"count by ({label_name(label)}) (last_over_time({selector}[{back}]))"
        values = {sample.labels.get(label, "") for sample in self.whole(query).samples}
        return tuple(sorted(values - {""}))

    def now(self) -> float:
        """Unix time by the server's clock: `time()`, or where it refuses that, the time of its answer (`Date`)."""
        try:
            return seconds(self.scalar("time()"))
        except Unanswered:
            raise
        except SourceFault as error:
            response = self._answer.response
            if response is None or response.status_code not in _REFUSALS:
                raise  # a gateway in front of a server that is away has a clock of its own
            try:
                return parsedate_to_datetime(response.headers["Date"]).timestamp()
            except (KeyError, ValueError):
                raise error from None

    def close(self) -> None:
        """Close the connections; the probe may be used again."""
        self._client.close()

    def whole(self, query: str, at: float | None = None) -> Vector:
        """As `instant`; raises SourceFault for a partial answer too."""
        vector = self.instant(query, at)
        self._require_whole(query, vector.warnings)
        return vector

    def current(self, query: str) -> Vector:
        """As `instant`, now; raises SourceFault for an answer that is minutes old, or partial."""
        vector = self.whole(query)
        newest = max((sample.at for sample in vector.samples), default=vector.queried_at)
        if vector.queried_at - newest > STALE_S:
            raise SourceFault(
                FaultReason.STALE,
                say(
                    "{where}{detail}: the answer is {elapsed} old; check that Prometheus runs, and both clocks",
                    where=self._where,
                    detail=f", query {one_line(query)}",
                    elapsed=elapsed(vector.queried_at - newest),
                ),
            )
        return vector

    def _params(self, at: float | None) -> dict[str, str]:
        # Thanos and VictoriaMetrics answer in part unless they are told not to, and the latter as of 30 s ago, where a
        # millisecond is the least that it takes; others do not know these.
        of_others = {"partial_response": "false", "deny_partial_response": "1", "latency_offset": "1ms"}
        return {"timeout": f"{self._config.timeout_s:g}s"} | of_others | ({} if at is None else {"time": f"{at:.3f}"})

    @property
    def _where(self) -> str:
        return f"Prometheus {self._config.url}"

    def _get(self, path: str, params: dict[str, str], read: Callable[[Any], T]) -> T:
        name = f"Prometheus {path}"
        data = self._query(name, path, lambda: self._fetch(path, params))
        values = self._read(name, path, read, data)
        self._record(name, json.dumps(data, indent=1, ensure_ascii=False), "json")
        return values

    def _fetch(self, path: str, params: dict[str, str]) -> None:
        timeout_s = self._config.timeout_s
        response = self._session.requests.get(self._config.url + path, params=params, timeout=timeout_s)
        if response.status_code != _OK:
            raise PrometheusApiClientException(f"status {response.status_code}")

    def _query(self, name: str, what: str, send: Callable[[], object]) -> Any:  # noqa: ANN401 - any JSON value
        """Call the library and return the answer's `data`; every failure gets its reason."""
        self._send(name, what, send)
        return self._data(name, what)

    def _data(self, name: str, what: str) -> Any:  # noqa: ANN401 - any JSON value
        """The answer's `data`. Raises SourceFault where it does not say that they are whole."""
        body = self._body()
        if not is_success(body):
            where = say("{source}{detail}", source=self._where, detail=f", {one_line(what)}")
            fault = refusal(where, self._answer.response, body)
            self._give_up(name, fault, fault)
        return body["data"]

    def _send(self, name: str, what: str, send: Callable[[], object]) -> None:
        self._answer.clear()
        self._session.require_files()
        where = say("{source}{detail}", source=self._where, detail=f", {one_line(what)}")
        try:
            send()
        except requests.Timeout as error:
            message = say(
                "{where}: no answer within {seconds:g} s; check its load", where=where, seconds=self._config.timeout_s
            )
            self._give_up(name, Unanswered(FaultReason.TIMEOUT, message, self._session.peers), error)
        except PrometheusApiClientException as error:
            self._give_up(name, refusal(where, self._answer.response, self._body()), error)
        except (
            ValueError,
            KeyError,
            TypeError,
        ) as error:  # before RequestException: its JSONDecodeError is both
            # The library reads `data` itself, and stumbles over an answer that has none.
            self._give_up(name, refusal(where, self._answer.response, self._body()), error)
        except requests.TooManyRedirects as error:
            self._give_up(
                name,
                SourceFault(
                    FaultReason.HTTP_ERROR, say("{where}: {redirected}", where=where, redirected=redirected(error))
                ),
                error,
            )
        except requests.RequestException as error:
            reason = one_line(root_cause(error))
            if is_refused_certificate(reason):
                message = say("{where}: its certificate is refused ({reason}); renew it, or set ca_file",
                              where=where, reason=reason)  # fmt: skip
            else:
                message = say("{where}: no answer ({reason}); check that it is up, and its URL", where=where,
                              reason=reason)  # fmt: skip
            self._give_up(name, Unanswered(FaultReason.UNREACHABLE, message, self._session.peers), error)

    def _read(self, name: str, what: str, read: Callable[[Any], T], data: Any) -> T:  # noqa: ANN401 - any JSON value
        try:
            return read(data)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            self._give_up(name, self._malformed(f"{self._where}, {one_line(what)}", error), error)

    def _require_whole(self, query: str, warnings: tuple[str, ...]) -> None:
        if warnings:
            lost = one_line("; ".join(warnings))
            message = say(
                "{where}{detail}: partial response ({lost}); check its sources",
                where=self._where,
                detail=f", query {one_line(query)}",
                lost=lost,
            )
            raise SourceFault(FaultReason.PARTIAL_RESPONSE, message)

    def _body(self) -> Any:  # noqa: ANN401 - any JSON value
        return self._answer.body

    def _warnings(self) -> tuple[str, ...]:
        return completeness(self._body())

    def _malformed(self, where: str, error: Exception) -> SourceFault:
        reason = f"{type(error).__name__}: {one_line(error)}"
        return SourceFault(
            FaultReason.MALFORMED,
            say("{where}: not an answer of Prometheus' API ({reason}); check the URL", where=where, reason=reason),
        )

    def _give_up(self, name: str, fault: SourceFault, error: Exception) -> NoReturn:
        response = self._answer.response
        response_text = f"\n\nHTTP {response.status_code}\n{response.text[:2000]}" if response is not None else ""
        self._record(name, f"{fault.reason}: {fault}{response_text}")
        raise fault from (None if error is fault else error)
