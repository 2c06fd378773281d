"""Notifications of alarms, to the inbox that stands for the team's channel."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import httpx

from sandbox.platform.faults import TRACK_HEADER

if TYPE_CHECKING:
    from sandbox.platform.metrics import Metrics

_log = logging.getLogger(__name__)


class Notifier:
    """Posts to the webhook at `base_url`; a failure is counted and never fails the judgment."""

    def __init__(self, base_url: str, track: str, metrics: Metrics) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, timeout=2.0, headers={TRACK_HEADER: track}, trust_env=False)
        self._metrics = metrics

    async def send(self, text: str, details: dict[str, object]) -> bool:
        """Post one message; whether it arrived."""
        try:
            response = await self._http.post("/webhook", json={"source": "judgment", "text": text, **details})
            arrived = response.is_success
        except httpx.HTTPError:
            arrived = False
        if not arrived:
            _log.warning("the inbox did not take a notification")
        self._metrics.notified(ok=arrived)
        return arrived

    async def close(self) -> None:
        """Give up the connections."""
        await self._http.aclose()
