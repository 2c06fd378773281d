"""Questions asked together: many queries of one source at once, within a bounded time."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

from opsverify.language.message import say
from opsverify.probes.prometheus_session import PARALLEL
from opsverify.probes.source_fault import FaultReason, Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsverify.probes.prometheus import Prometheus

K = TypeVar("K")
T = TypeVar("T")


def ask_together(
    prometheus: Prometheus, questions: Mapping[K, Callable[[Prometheus], T]], within_s: float
) -> dict[K, T]:
    """The answers to several questions, asked at once; all of them, or the first one's fault.

    Raises as they do, and Unanswered where not all have an answer `within_s` seconds from now.
    """
    pool = ThreadPoolExecutor(min(PARALLEL, max(1, len(questions))), thread_name_prefix="prometheus")
    try:
        asked = {key: pool.submit(question, prometheus) for key, question in questions.items()}
        done, waiting = wait(asked.values(), timeout=max(0.0, within_s), return_when=FIRST_EXCEPTION)
        for answer in done:
            if (error := answer.exception()) is not None:
                raise error
        if waiting:
            raise Unanswered(
                FaultReason.TIMEOUT,
                say(
                    "Prometheus: {count} of {total} queries without an answer within {within_s:g} s; check its load",
                    count=len(waiting),
                    total=len(asked),
                    within_s=within_s,
                ),
            )
        return {key: answer.result() for key, answer in asked.items()}
    finally:
        # Queries under way end by their own timeout; nobody waits for them.
        pool.shutdown(wait=False, cancel_futures=True)
