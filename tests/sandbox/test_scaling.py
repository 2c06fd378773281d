"""Scaling: which pods serve the canary, in which order they come and go, and how the edge spreads requests."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from starlette.requests import Request

from sandbox import scaling
from sandbox.errors import SandboxError
from sandbox.home import PODS, Control, ControlState, Settings
from sandbox.platform.edge import Edge
from sandbox.platform.faults import Faults

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.parts import Parts

SECOND, THIRD = PODS[1:]


@pytest.mark.parametrize(
    ("serving", "pods", "then"),
    [
        (PODS[:1], 2, PODS[:2]),
        (PODS, 1, PODS[:1]),
        ((PODS[0], THIRD), 3, (PODS[0], THIRD, SECOND)),
        ((PODS[0], THIRD), 2, (PODS[0], THIRD)),
    ],
)
def test_scaling_keeps_who_serves(serving: tuple[str, ...], pods: int, then: tuple[str, ...]) -> None:
    """Up adds pods, down removes the newest, and the first always stays: its address is in the target."""
    assert scaling.scaled(serving, pods) == then


def test_a_replaced_pod_has_another_name() -> None:
    """The newest goes; one pod alone, or none to spare, is said."""
    assert scaling.replaced(PODS[:2]) == (PODS[0], THIRD)
    assert scaling.replaced((PODS[0], THIRD)) == PODS[:2]
    with pytest.raises(SandboxError, match="scale 2"):
        scaling.replaced(PODS[:1])
    with pytest.raises(SandboxError, match="scale 2"):
        scaling.replaced(PODS)


def test_a_rolling_update_loses_nothing(tmp_path: Path) -> None:
    """The pod that goes takes no requests before it is scraped for the last time, nor the new one before its first."""
    done: list[object] = []
    control = Control(tmp_path)
    control.write(ControlState(canary_pods=PODS[:2]))
    parts = SimpleNamespace(
        control=control,
        table=SimpleNamespace(alive=lambda pod: pod in PODS[:2]),
        start=lambda pod: done.append(("start", pod)),
        wait=lambda pod, _: done.append(("serves", pod)),
        monitoring=SimpleNamespace(scrape_pods=lambda pods: done.append(("scraped", pods, control.read().canary_pods))),
        take_down=lambda pod: done.append(("end", pod, control.read().canary_pods)),
    )
    after = (PODS[0], THIRD)
    scaling.serve(cast("Parts", parts), after)
    assert done == [("start", THIRD), ("serves", THIRD), ("scraped", after, PODS[:1]), ("end", SECOND, after)]
    assert control.read().canary_pods == after
    del done[:]
    scaling.serve(cast("Parts", parts), after)
    assert [what for what, *_ in cast("list[tuple[str, ...]]", done) if what == "scraped"] == []


def test_the_pods_of_the_canary_take_turns(tmp_path: Path) -> None:
    """Requests are spread among the pods that serve; one that refuses connections is passed over."""
    Control(tmp_path).write(ControlState(canary_share=1.0, canary_pods=PODS[:2]))
    settings = Settings.build(tmp_path, 20000, tmp_path)
    edge = Edge(settings, Faults(tmp_path))
    asked: list[str] = []
    refusing: set[str] = set()

    def client(pod: str) -> SimpleNamespace:
        async def request(*_: object, **__: object) -> httpx.Response:
            await asyncio.sleep(0)
            if pod in refusing:
                raise httpx.ConnectError("refused")
            asked.append(pod)
            return httpx.Response(200)

        return SimpleNamespace(request=request)

    edge._clients = cast("dict[str, httpx.AsyncClient]", {pod: client(pod) for pod in ("stable", *PODS)})

    async def body() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": False}

    def send(times: int) -> list[str]:
        del asked[:]
        scope = {"type": "http", "method": "GET", "path": "/v1/x", "query_string": b"", "headers": []}
        for _ in range(times):
            asyncio.run(edge.forward(Request(scope, body)))
        return sorted(asked)

    assert send(4) == [PODS[0]] * 2 + [SECOND] * 2
    refusing.add(SECOND)
    assert send(4) == [PODS[0]] * 4
    refusing.add(PODS[0])
    assert send(2) == ["stable"] * 2
