"""Synthetic users: a steady, open-loop mixture of requests, as business makes them."""

from __future__ import annotations

import asyncio
import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client import CollectorRegistry, Counter

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from sandbox.platform.faults import Faults

IN_FLIGHT = 32
"""Requests under way at most; more are dropped, as by users who give up."""

POOL_SIZE = 60
_LINES = ("L01", "L02", "L03", "L04", "L05", "L06")
_FRESH_LLM_SHARE = 0.28
_FRESH_RULE_SHARE = 0.04
_IDLE_SECONDS = 0.2
_LATE_SECONDS = 0.1
_REMARKS = (
    "after belt change",
    "operator heard a noise",
    "sensor replaced",
    "night shift",
    "보정 완료",
    "소음 발생",
)
_UTTERANCES = (
    "L03 어제 생산량 분석해줘",
    "L01 설비 상태 알려줘",
    "알람 몇 건이야?",
    "왜 불량이 늘었어?",
    "안녕하세요",
)


def input_pool(seed: int = 7) -> list[dict[str, Any]]:
    """The inputs that come again and again: of ten, eight are clear, one is for the LLM, and some alarm."""
    chance = random.Random(seed)
    pool = [_reading(chance, _LINES[number % len(_LINES)]) for number in range(POOL_SIZE)]
    for reading in pool[::10]:
        reading["vibration"] = 5.0
    for reading in pool[5::20]:
        reading["temperature"] = 97.5
    return pool


def _reading(chance: random.Random, line_code: str) -> dict[str, Any]:
    return {
        "line_code": line_code,
        "temperature": round(chance.uniform(55, 78), 1),
        "pressure": round(chance.uniform(1.5, 2.8), 2),
        "vibration": round(chance.uniform(0.2, 4.0), 2),
    }


class Inputs:
    """The endless sequence of judgments: two thirds from the pool, the rest never seen before."""

    def __init__(self, seed: int = 11) -> None:
        self._chance = random.Random(seed)
        self._pool = input_pool()
        self._number = itertools.count(1)

    def next(self) -> dict[str, Any]:
        """The body of one request."""
        kind = self._chance.random()
        if kind < _FRESH_LLM_SHARE:
            reading = _reading(self._chance, self._chance.choice(_LINES))
            # A new process starts counting anew: the time keeps its remarks from being cached ones.
            remark = f"{self._chance.choice(_REMARKS)} #{datetime.now(UTC):%H%M%S}-{next(self._number)}"
            return reading | {"note": remark}
        if kind < _FRESH_LLM_SHARE + _FRESH_RULE_SHARE:
            return _reading(self._chance, self._chance.choice(_LINES))
        return self._chance.choice(self._pool)


class Traffic:
    """Sends requests through `transport` at the rate of the control file, whatever becomes of them."""

    def __init__(self, transport: httpx.AsyncBaseTransport, faults: Faults, registry: CollectorRegistry) -> None:
        self._http = httpx.AsyncClient(transport=transport, base_url="http://edge", timeout=30.0)
        self._faults = faults
        self._inputs = Inputs()
        self._under_way: set[asyncio.Task[None]] = set()
        self._sent = Counter("traffic_sent", "Requests of the users", ("kind", "outcome"), registry=registry)

    async def run(self) -> None:
        """Send until cancelled, from the moment the platform is well for the first time."""
        loop = asyncio.get_running_loop()
        while not await self._ready():  # noqa: ASYNC110  # the platform sends no event when it is well
            await asyncio.sleep(_IDLE_SECONDS)
        due = loop.time()
        try:
            for number in itertools.count():
                rate = self._faults.state().rate
                while rate <= 0:
                    await asyncio.sleep(_IDLE_SECONDS)
                    rate = self._faults.state().rate
                # After a stall the missed requests are gone: a burst would be no steady traffic.
                due = max(due + 1 / rate, loop.time() - _LATE_SECONDS)
                await asyncio.sleep(max(0.0, due - loop.time()))
                for kind, request in self._requests(number):
                    self._start(kind, request)
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            await self._http.aclose()

    async def _ready(self) -> bool:
        try:
            return (await self._http.get("/readyz")).is_success
        except httpx.HTTPError:
            return False

    def _requests(self, number: int) -> list[tuple[str, Coroutine[Any, Any, httpx.Response]]]:
        """One judgment, and now and then another request with it."""
        reading = self._inputs.next()
        line_code = reading["line_code"]
        requests = [("judgment", self._http.post("/v1/judgments", json=reading))]
        if number % 4 == 0:
            payload = {key: value for key, value in reading.items() if key != "note"}
            body = {"definition": "quality_check", "payload": payload}
            requests.append(("workflow", self._http.post("/v1/workflows", json=body)))
        if number % 20 == 7:  # noqa: PLR2004
            arguments = {"line_code": line_code, "sensor": "temperature"}
            requests.append(("tool", self._http.post("/v1/tools/read_sensor", json={"arguments": arguments})))
        if number % 40 == 13:  # noqa: PLR2004
            today = datetime.now(UTC).date()
            days = {"from": str(today - timedelta(days=7)), "to": str(today - timedelta(days=1))}
            requests.append(("bi", self._http.get("/v1/bi/production", params=days)))
        if number % 20 == 17:  # noqa: PLR2004
            requests.append(("chat", self._chat(_UTTERANCES[number // 20 % len(_UTTERANCES)])))
        return requests

    async def _chat(self, utterance: str) -> httpx.Response:
        answer = await self._http.post("/v1/chat", json={"utterance": utterance})
        if not answer.is_success:
            return answer
        return await self._http.post(f"/v1/chat/{answer.json()['log_id']}/feedback", json={"feedback": 1})

    def _start(self, kind: str, request: Coroutine[Any, Any, httpx.Response]) -> None:
        if len(self._under_way) >= IN_FLIGHT:
            request.close()
            self._sent.labels(kind, "dropped").inc()
            return
        task = asyncio.create_task(self._send(kind, request))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send(self, kind: str, request: Coroutine[Any, Any, httpx.Response]) -> None:
        try:
            outcome = "ok" if (await request).is_success else "failed"
        except httpx.HTTPError:
            outcome = "failed"
        self._sent.labels(kind, outcome).inc()
