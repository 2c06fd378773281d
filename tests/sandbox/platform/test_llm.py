"""LLM answers as the service reads them, and the LLM double that gives them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from sandbox.home import Control, ControlState
from sandbox.platform import llm_double
from sandbox.platform.faults import TRACK_HEADER, Faults
from sandbox.platform.llm_client import Opinion, parse_answer

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = {"line_code": "L03", "temperature": 81.0, "pressure": 2.0, "vibration": 1.0}
REQUEST = {"model": "judge-mini", "messages": [{"role": "user", "content": json.dumps(QUESTION)}]}


def test_a_good_answer_is_read() -> None:
    """Result, confidence and reason come out of the JSON object."""
    text = '{"result": "WARN", "confidence": 0.8, "reason": "warm"}'
    assert parse_answer(text) == Opinion("WARN", 0.8, "warm")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I think it is fine",
        "[]",
        '"OK"',
        '{"result": "FINE", "confidence": 0.8}',
        '{"result": "OK"}',
        '{"result": "OK", "confidence": true}',
        '{"result": "OK", "confidence": 1.2}',
        '{"result": ["OK"], "confidence": 0.5}',
        '```json\n{"result": "OK", "confidence": 0.5}\n```',
    ],
)
def test_a_bad_answer_is_none(text: str) -> None:
    """Anything but the object asked for counts as unparsable."""
    assert parse_answer(text) is None


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    """Whatever a model says, the parser neither raises nor invents."""
    assert parse_answer(text) is None or "result" in text


@given(st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False) | st.text(max_size=8), max_size=5))
def test_the_double_always_answers_in_form(question: dict[str, object]) -> None:
    """Its answers parse, are the same each time, and take at most 75 ms of thought."""
    answer = llm_double.judge(question)
    assert parse_answer(json.dumps(answer)) is not None
    assert answer == llm_double.judge(question)
    assert 0.045 <= llm_double.seconds_to_think(question) <= 0.075


def test_danger_in_a_remark_alarms() -> None:
    """Korean and English words of danger make an ALARM."""
    assert llm_double.judge({"note": "연기 발생"})["result"] == "ALARM"
    assert llm_double.judge({"note": "oil LEAK seen"})["result"] == "ALARM"


def test_the_double_speaks_the_protocol(tmp_path: Path) -> None:
    """An OpenAI client finds choices and usage; a malformed request gets 400."""
    client = TestClient(llm_double.llm_app(Faults(tmp_path)))
    answer = client.post("/v1/chat/completions", json=REQUEST).json()
    assert parse_answer(answer["choices"][0]["message"]["content"]) is not None
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert client.post("/v1/chat/completions", content=b"{").status_code == 400
    assert client.post("/v1/chat/completions", json={"messages": []}).status_code == 400
    assert client.get("/v1/models").json()["data"][0]["id"] == "judge-mini"
    assert client.get("/health").json()["status"] == "ok"


def test_unparsable_answers_reach_the_canary_only(tmp_path: Path) -> None:
    """The fault's scope is told by the caller's track header."""
    Control(tmp_path).write(ControlState(faults={"llm_unparsable": "canary"}))
    client = TestClient(llm_double.llm_app(Faults(tmp_path)))
    parsed = {}
    for track in ("stable", "canary"):
        answer = client.post("/v1/chat/completions", json=REQUEST, headers={TRACK_HEADER: track}).json()
        parsed[track] = parse_answer(answer["choices"][0]["message"]["content"]) is not None
    assert parsed == {"stable": True, "canary": False}
