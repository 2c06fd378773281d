"""LLM client: call the endpoint, count cost, parse the answer, log the call."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import httpx

from sandbox.platform.faults import TRACK_HEADER

if TYPE_CHECKING:
    from sandbox.platform.faults import Faults
    from sandbox.platform.metrics import Metrics
    from sandbox.platform.rules import Reading, Result
    from sandbox.platform.store import Store

MODEL = "judge-mini"
CHEAP_MODEL = "judge-onprem"
"""In place of MODEL under the remedy `llm_model_switch`."""
TIMEOUT_SECONDS = 2.0
SECONDS_BETWEEN_CALLS = 1.0
"""Under the remedy `llm_rate_limit`."""
USD_PER_PROMPT_TOKEN = 0.15e-6
USD_PER_COMPLETION_TOKEN = 0.60e-6
_COST_FAULT = 10
_RESULTS = ("OK", "WARN", "ALARM")
_TASK = (
    "You judge the state of a production line. Answer with one JSON object: "
    '{"result": "OK"|"WARN"|"ALARM", "confidence": 0..1, "reason": "..."}.'
)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the LLM said; `confidence` between 0 and 1."""

    result: Result
    confidence: float
    reason: str


def parse_answer(content: str) -> Opinion | None:
    """Read the text of an answer; None if it is not the JSON object requested."""
    try:
        answer = json.loads(content)
    except ValueError:
        return None
    if not isinstance(answer, dict) or answer.get("result") not in _RESULTS:
        return None
    confidence = answer.get("confidence")
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        return None
    return Opinion(cast("Result", answer["result"]), float(confidence), str(answer.get("reason", "")))


class LLM:
    """Asks the chat completions endpoint at `base_url`; every call is counted and stored in `llm_calls`."""

    def __init__(self, base_url: str, track: str, metrics: Metrics, store: Store, faults: Faults) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url, timeout=TIMEOUT_SECONDS, headers={TRACK_HEADER: track}, trust_env=False
        )
        self._metrics = metrics
        self._store = store
        self._faults = faults
        self._called_at = -SECONDS_BETWEEN_CALLS

    async def close(self) -> None:
        """Give up the connections."""
        await self._http.aclose()

    @property
    def model(self) -> str:
        """The model that is called now."""
        return CHEAP_MODEL if self._faults.remedied("llm_model_switch") else MODEL

    async def healthy(self) -> bool:
        """Whether the endpoint reports that it is healthy."""
        try:
            return (await self._http.get("/health", timeout=1.0)).is_success
        except httpx.HTTPError:
            return False

    async def ask(self, reading: Reading, tag: str | None) -> Opinion | None:
        """The LLM's opinion; None if it did not answer in time, or not in JSON."""
        started = time.perf_counter()
        if self._faults.remedied("llm_rate_limit"):
            if started - self._called_at < SECONDS_BETWEEN_CALLS:
                return None
            self._called_at = started
        row: dict[str, Any] = {
            "model": self.model, "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": 0.0, "synthetic_tag": tag,
        }  # fmt: skip
        opinion: Opinion | None = None
        try:
            answer = await self._complete(reading, row["model"])
            row |= self._pay(answer["usage"])
            opinion = parse_answer(answer["choices"][0]["message"]["content"])
            row["outcome"] = "ok" if opinion else "unparsable"
            self._metrics.llm_called("ok")
            # The fault lets the metric claim a failure of which the log knows nothing.
            self._metrics.llm_parsed(ok=opinion is not None and not self._faults.on("parse_log_disagrees"))
        except httpx.TimeoutException:
            row["outcome"] = "timeout"
            self._metrics.llm_called("timeout")
        except (httpx.HTTPError, ValueError, KeyError):
            row["outcome"] = "error"
            self._metrics.llm_called("error")
        row["latency_ms"] = round((time.perf_counter() - started) * 1000)
        await self._store.add_llm_call(row)
        return opinion

    async def _complete(self, reading: Reading, model: str) -> dict[str, Any]:
        messages = [
            {"role": "system", "content": _TASK},
            {"role": "user", "content": json.dumps(reading.to_dict(), ensure_ascii=False)},
        ]
        response = await self._http.post("/v1/chat/completions", json={"model": model, "messages": messages})
        response.raise_for_status()
        return cast("dict[str, Any]", response.json())

    def _pay(self, usage: dict[str, int]) -> dict[str, Any]:
        prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
        cost = prompt * USD_PER_PROMPT_TOKEN + completion * USD_PER_COMPLETION_TOKEN
        if self._faults.on("llm_cost"):
            cost *= _COST_FAULT
        self._metrics.llm_paid(prompt, completion, cost)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "cost_usd": cost}
