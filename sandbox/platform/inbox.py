"""Webhook receiver that stands for the team's channel: Alertmanager and the service post here."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.platform.faults import TRACK_HEADER

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.platform.faults import Faults

KEPT = 1_000


def message(body: dict[str, Any]) -> dict[str, Any]:
    """What is kept of one delivery: Alertmanager's are recognized by their list of alerts."""
    alerts = body.get("alerts")
    if isinstance(alerts, list):
        source, text = "alertmanager", "; ".join(_alert_text(alert) for alert in alerts)
    else:
        source, text = str(body.get("source", "unknown")), str(body.get("text", ""))
    received_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"received_at": received_at, "source": source, "text": text, "body": body}


def _alert_text(alert: dict[str, Any]) -> str:
    labels, notes = alert.get("labels", {}), alert.get("annotations", {})
    named = " ".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "alertname")
    return f"[{alert.get('status')}] {labels.get('alertname')} {named}: {notes.get('summary', '')}".rstrip(": ")


def inbox_app(faults: Faults) -> Starlette:
    """The receiver, with the newest `KEPT` messages in memory."""
    messages: deque[dict[str, Any]] = deque(maxlen=KEPT)

    async def webhook(request: Request) -> JSONResponse:
        if faults.on("alert_delivery_broken", request.headers.get(TRACK_HEADER, "")):
            return JSONResponse({"error": "the channel is broken"}, 500)
        try:
            body = await request.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return JSONResponse({"error": "expected a JSON object"}, 400)
        messages.append(message(body))
        return JSONResponse({"status": "ok"})

    async def listing(request: Request) -> JSONResponse:
        wanted = request.query_params.get("contains", "")
        found = [
            kept
            for kept in messages
            if wanted in kept["text"] or wanted in json.dumps(kept["body"], ensure_ascii=False)
        ]
        return JSONResponse({"messages": found})

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "messages": len(messages)})

    return Starlette(
        routes=[
            Route("/webhook", webhook, methods=["POST"]),
            Route("/messages", listing),
            Route("/health", health),
        ]
    )
