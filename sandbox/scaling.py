"""Scaling of the canary: pods come and go under traffic, in the order of a rolling update.

One that goes takes no more requests, is scraped once more, is gone from service discovery, and ends. A new one serves
and is scraped before it takes requests.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from opsverify.language.message import say
from sandbox.errors import SandboxError
from sandbox.home import PODS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandbox.parts import Parts


def scaled(serving: Sequence[str], pods: int) -> tuple[str, ...]:
    """The pods that serve after scaling up or down to so many: those that did already, as far as possible."""
    others = (pod for pod in PODS if pod not in serving)
    return (*serving, *others)[:pods]


def replaced(serving: Sequence[str]) -> tuple[str, ...]:
    """The pods that serve once the newest is replaced by one of another name."""
    if len(serving) < 2:  # noqa: PLR2004 - the first one stays
        raise SandboxError(
            say("the canary has one pod, whose address is in the target file: run 'sandbox scale 2' first")
        )
    return (*serving[:-1], free(serving))


def free(serving: Sequence[str]) -> str:
    """A pod that does not serve."""
    for pod in PODS:
        if pod not in serving:
            return pod
    raise SandboxError(
        say("all {pods} pods serve the canary: run 'sandbox scale {fewer}' first", pods=len(PODS), fewer=len(PODS) - 1)
    )


def serve(parts: Parts, pods: tuple[str, ...]) -> None:
    """Let exactly these pods serve the canary; those that served before and do not any more end."""
    before = parts.control.read().canary_pods
    start(parts, pods)
    staying = tuple(pod for pod in before if pod in pods)
    parts.control.update(lambda state: replace(state, canary_pods=staying))
    if before != pods:
        parts.monitoring.scrape_pods(pods)
    parts.control.update(lambda state: replace(state, canary_pods=pods))
    stop(parts, set(before) - set(pods))


def start(parts: Parts, pods: Iterable[str]) -> None:
    """Start these pods at once, and wait until they serve; they take no requests yet."""
    started = {pod: parts.start(pod) for pod in pods if not parts.table.alive(pod)}
    for pod, running in started.items():
        parts.wait(pod, running)


def stop(parts: Parts, pods: Iterable[str]) -> None:
    """End these pods, which take no requests."""
    for pod in pods:
        parts.take_down(pod)
