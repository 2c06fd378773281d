"""LLM endpoint, OpenAI-compatible, whose answers depend on the question alone."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.platform.faults import TRACK_HEADER
from sandbox.platform.llm_client import CHEAP_MODEL, MODEL

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.platform.faults import Faults

VERSION = "2026.11"
_ALARMING = ("smoke", "fire", "leak", "연기", "화재", "누유")
_CALMING = ("sensor replaced", "calibrated", "교체", "보정")
_UNPARSABLE = "I am sorry, the line looks mostly fine to me, but please ask an engineer."
_HANGING_SECONDS = 10.0
_BASE_SECONDS = 0.045
_JITTER_SECONDS = 0.03
_CHARACTERS_PER_TOKEN = 4


def judge(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to one reading: a remark decides, else the reading's own hash."""
    note = str(question.get("note", "")).lower()
    digest = _digest(question)
    confidence = round(0.7 + digest[1] / 1000, 3)
    if any(word in note for word in _ALARMING):
        return {"result": "ALARM", "confidence": confidence, "reason": f"the remark speaks of danger: {note}"}
    if any(word in note for word in _CALMING):
        return {"result": "OK", "confidence": confidence, "reason": f"the remark explains the values: {note}"}
    result = "WARN" if digest[0] % 2 else "OK"
    return {"result": result, "confidence": confidence, "reason": "values near the usual band"}


def seconds_to_think(question: dict[str, Any]) -> float:
    """How long the model would take: 45 to 75 ms."""
    return _BASE_SECONDS + _JITTER_SECONDS * _digest(question)[2] / 255


def _digest(question: dict[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).digest()


def _question(body: object) -> dict[str, Any] | None:
    """The JSON object in the last message; any other text becomes a remark; None for a malformed request."""
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
        return None
    text = str(messages[-1].get("content", ""))
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    return content if isinstance(content, dict) else {"note": text}


def llm_app(faults: Faults) -> Starlette:
    """The endpoint; faults are scoped by the caller's track header."""
    requests = {MODEL: 0, CHEAP_MODEL: 0}

    async def completions(request: Request) -> JSONResponse:
        try:
            body = await request.json()
        except ValueError:
            body = None
        question = _question(body)
        if question is None:
            message = "expected a JSON object with messages"
            return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, 400)
        track = request.headers.get(TRACK_HEADER, "")
        model = str(body.get("model"))
        requests[model] = requests.get(model, 0) + 1
        # The fault is one of the usual model: another one answers.
        hanging = model == MODEL and faults.on("llm_timeout", track)
        await asyncio.sleep(_HANGING_SECONDS if hanging else seconds_to_think(question))
        answer = judge(question)
        content = _UNPARSABLE if faults.on("llm_unparsable", track) else json.dumps(answer, ensure_ascii=False)
        prompt = len(json.dumps(body)) // _CHARACTERS_PER_TOKEN
        completion = max(1, len(content) // _CHARACTERS_PER_TOKEN)
        return JSONResponse(
            {
                "id": f"chatcmpl-{_digest(question).hex()[:16]}",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": model,
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": content},
                    }
                ],
                "usage": {
                    "prompt_tokens": prompt,
                    "completion_tokens": completion,
                    "total_tokens": prompt + completion,
                },
            }
        )

    async def stats(_: Request) -> JSONResponse:
        return JSONResponse({"requests": requests})

    async def models(_: Request) -> JSONResponse:
        return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "sandbox"}]})

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "version": VERSION})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", completions, methods=["POST"]),
            Route("/v1/models", models),
            Route("/health", health),
            Route("/stats", stats),
        ]
    )
