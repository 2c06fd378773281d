"""Pipelines: doubles of Argo Rollouts' evaluator and of Flagger's webhook client, written from their sources.

Argo Rollouts 1.8: `metricproviders/webmetric/webmetric.go` (not 2xx is an error), `utils/evaluate/evaluate.go` (both
conditions), `analysis/analysis.go` `assessMetricStatus` (limits). Flagger 1.4x: `pkg/controller/webhook.go` (above 202
is an error; POSTs again on a timeout and on 5xx), `scheduler_hooks.go` (confirm hooks wait, `rollback` is inverted).
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Made once: the context of every client would load all authorities, for plain HTTP."""
_DEFAULT_ERROR_LIMIT: Final = 4
_ALLOWED: Final = 202
_SERVER_ERROR: Final = 500
_CONDITION: Final = re.compile(r'result == "([a-z]+)"')


@dataclass
class ArgoRun:
    """An AnalysisRun of one web metric: its measurements are taken one by one, without waiting."""

    metric: Mapping[str, Any]
    args: Mapping[str, str]
    counts: dict[str, int] = field(
        default_factory=lambda: {"Successful": 0, "Failed": 0, "Inconclusive": 0, "Error": 0}
    )
    errors_in_a_row: int = 0
    successes_in_a_row: int = 0
    measured: int = 0

    def to_its_end(self, client: httpx.Client, between: Callable[[int], None] = lambda _: None) -> str:
        """Measure until the metric is complete; `between` is called after each measurement."""
        while True:
            self._measure(client)
            if phase := self._phase():
                return phase
            between(self.measured)

    def _measure(self, client: httpx.Client) -> None:
        phase = self._one(client)
        self.measured += 1
        self.counts[phase] += 1
        self.errors_in_a_row = self.errors_in_a_row + 1 if phase == "Error" else 0
        self.successes_in_a_row = self.successes_in_a_row + 1 if phase == "Successful" else 0

    def _one(self, client: httpx.Client) -> str:
        web = self.metric["provider"]["web"]
        headers = {each["key"]: self._filled(each["value"]) for each in web["headers"]}
        body = {name: self._filled(value) for name, value in web["jsonBody"].items()}
        try:
            answer = client.request(web["method"], self._filled(web["url"]), headers=headers, json=body)
        except httpx.HTTPError:
            return "Error"
        if not answer.is_success:
            return "Error"
        result = answer.json()[web["jsonPath"].removeprefix("{$.").removesuffix("}")]
        return self._evaluated(result)

    def _evaluated(self, result: str) -> str:
        success, failure = self.metric.get("successCondition", ""), self.metric.get("failureCondition", "")
        good, bad = _holds(success, result), _holds(failure, result)
        if not success and not failure:
            return "Successful"
        if success and not failure:
            bad = not good
        elif failure and not success:
            good = not bad
        if bad:
            return "Failed"
        return "Successful" if good else "Inconclusive"

    def _phase(self) -> str | None:
        metric = self.metric
        if self.counts["Failed"] > metric.get("failureLimit", 0):
            return "Failed"
        if self.counts["Inconclusive"] > metric.get("inconclusiveLimit", 0):
            return "Inconclusive"
        if self.errors_in_a_row > metric.get("consecutiveErrorLimit", _DEFAULT_ERROR_LIMIT):
            return "Error"
        wanted = metric.get("consecutiveSuccessLimit", 0)
        if wanted and self.successes_in_a_row >= wanted:
            return "Successful"
        if self.measured - self.counts["Error"] >= metric["count"]:
            return "Inconclusive" if wanted else "Successful"
        return None

    def _filled(self, text: str) -> str:
        return re.sub(r"{{args\.(\w+)}}", lambda found: self.args[found[1]], text)


def _holds(condition: str, result: str) -> bool:
    found = _CONDITION.fullmatch(condition)
    assert found or not condition, f"condition not of the form that this double knows: {condition}"
    return bool(found) and found is not None and found[1] == result


@dataclass
class FlaggerCanary:
    """One canary as Flagger's webhook client sees it."""

    url: str
    checksum: str
    name: str = "judgment"
    namespace: str = "prod"
    retries: int = 0
    reasons: list[str] = field(default_factory=list)

    def says_yes(self, hook: str, metadata: Mapping[str, str] | None = None) -> bool:
        """One call of a hook, with its retries; the body of a no goes to the events."""
        body = {
            "name": self.name, "namespace": self.namespace, "phase": "Progressing", "checksum": self.checksum,
            "metadata": dict(metadata or {}),
        }  # fmt: skip
        for _ in range(self.retries + 1):
            try:
                answer = httpx.post(f"{self.url}/{hook}", json=body, timeout=60.0, trust_env=False, verify=NO_TLS)
            except httpx.TimeoutException:
                continue
            if answer.status_code >= _SERVER_ERROR:
                continue
            if answer.status_code > _ALLOWED:
                self.reasons.append(answer.text)
                return False
            return True
        return False
