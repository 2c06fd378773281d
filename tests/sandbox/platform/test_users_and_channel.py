"""Traffic, chat, BI arithmetic, and the inbox."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from sandbox.home import Control, ControlState
from sandbox.platform import bi, chat
from sandbox.platform.faults import Faults
from sandbox.platform.inbox import KEPT, inbox_app
from sandbox.platform.rules import InvalidInputError, Reading
from sandbox.platform.traffic import Inputs, input_pool

if TYPE_CHECKING:
    from pathlib import Path


def test_the_mixture_keeps_cache_and_llm_busy() -> None:
    """Two thirds of the inputs repeat, and about a quarter carry a fresh remark for the LLM."""
    inputs = Inputs()
    sent = [Reading.parse(inputs.next()) for _ in range(2000)]
    pool = [Reading.parse(body) for body in input_pool()]
    repeated = sum(reading in pool for reading in sent) / len(sent)
    remarks = [reading.note for reading in sent if reading.note]
    assert 0.6 < repeated < 0.75
    assert 0.22 < len(remarks) / len(sent) < 0.34
    assert len(set(remarks)) == len(remarks)


def test_traffic_spares_the_line_of_the_tests() -> None:
    """No user asks about L99, so that a leak of synthetic data there is visible."""
    inputs = Inputs()
    assert {inputs.next()["line_code"] for _ in range(500)} <= {f"L0{number}" for number in range(1, 7)}


@pytest.mark.parametrize(
    ("utterance", "intent"),
    [
        ("L03 어제 생산량 분석해줘", "bi_insight"),
        ("알람 몇 건이야?", "alarm_status"),
        ("L01 설비 상태 알려줘", "equipment_status"),
        ("안녕하세요", "smalltalk"),
    ],
)
def test_intents(utterance: str, intent: str) -> None:
    """The utterances of the runbook and of the traffic are taken for what they mean."""
    assert chat.recognise(utterance)[0] == intent


@given(st.integers(min_value=1, max_value=10**9), st.integers(min_value=0, max_value=10**9))
def test_yield_is_a_share(produced: int, defect: int) -> None:
    """With no more defects than pieces the yield lies between 0 and 1."""
    value = bi.production_yield(produced, min(defect, produced))
    assert value is not None
    assert 0 <= value <= 1


def test_no_production_has_no_yield() -> None:
    """A line that made nothing has no yield, rather than a perfect or a zero one."""
    assert bi.production_yield(0, 0) is None


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"from": "2026-11-02"},
        {"from": "20261102", "to": "20261103"},
        {"from": "2026-11-31", "to": "2026-12-01"},
        {"from": "2026-11-03", "to": "2026-11-02"},
        {"from": "2026-11-02", "to": "2026-11-03", "line_code": "x"},
    ],
)
def test_a_wrong_period_is_refused(query: dict[str, str]) -> None:
    """Missing, malformed, impossible and reversed dates are errors of the caller."""
    with pytest.raises(InvalidInputError):
        bi.Period.parse(query)


def test_a_period_is_read() -> None:
    """Dates and line come out as asked."""
    query = {"from": "2026-11-02", "to": "2026-11-03", "line_code": "L03"}
    assert bi.Period.parse(query) == bi.Period(date(2026, 11, 2), date(2026, 11, 3), "L03")


def test_the_inbox_finds_messages_by_tag(tmp_path: Path) -> None:
    """A message of the service and one of Alertmanager are found by what they contain."""
    client = TestClient(inbox_app(Faults(tmp_path)))
    client.post("/webhook", json={"source": "judgment", "text": "ALARM L03 [tag-1]"})
    alert = {"status": "firing", "labels": {"alertname": "InstanceDown", "track": "canary"}}
    client.post("/webhook", json={"alerts": [alert]})
    found = client.get("/messages", params={"contains": "tag-1"}).json()["messages"]
    assert [(kept["source"], kept["text"]) for kept in found] == [("judgment", "ALARM L03 [tag-1]")]
    found = client.get("/messages", params={"contains": "InstanceDown"}).json()["messages"]
    assert [(kept["source"], kept["text"]) for kept in found] == [
        ("alertmanager", "[firing] InstanceDown track=canary")
    ]
    assert client.post("/webhook", content=b"nonsense").status_code == 400


def test_the_inbox_keeps_the_newest(tmp_path: Path) -> None:
    """Old messages make room, new ones stay."""
    client = TestClient(inbox_app(Faults(tmp_path)))
    for number in range(KEPT + 2):
        client.post("/webhook", json={"text": f"message {number}."})
    assert client.get("/messages", params={"contains": "message 1."}).json()["messages"] == []
    assert len(client.get("/messages").json()["messages"]) == KEPT


def test_a_broken_channel_takes_nothing(tmp_path: Path) -> None:
    """While the fault is on, deliveries fail and leave no message."""
    Control(tmp_path).write(ControlState(faults={"alert_delivery_broken": "all"}))
    client = TestClient(inbox_app(Faults(tmp_path)))
    assert client.post("/webhook", json={"text": "lost"}).status_code == 500
    assert client.get("/messages").json()["messages"] == []
