"""Forms: what Slack and a CloudEvents receiver take, whatever the texts hold."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from opsverify.notify.event import StageState, StateChange
from opsverify.notify.forms import cloud_event, slack

TEXTS = st.text(max_size=4000)


def event(reasons: list[str], target: str = "t") -> StateChange:
    """An event with these reasons."""
    state = StageState("hold", "", "sev1")
    at = dt.datetime(2026, 11, 22, tzinfo=dt.UTC).isoformat()
    return StateChange("r", target, "staging", "daily", at, state, "accept", "sev1", tuple(reasons), tuple(reasons))


@given(st.lists(TEXTS, max_size=9), TEXTS)
def test_slack_takes_every_text(reasons: list[str], target: str) -> None:
    """No text is longer than Slack allows, none is markup, and the plain text is never empty."""
    form = slack(event(reasons, target), "en")
    texts = [block["text"] for block in form["blocks"] if "text" in block] + form["blocks"][-1]["elements"]
    assert all(text["type"] == "plain_text" for text in texts)
    assert len(form["blocks"][0]["text"]["text"]) <= 150
    assert all(len(text["text"]) <= 3000 for text in texts)
    assert form["text"].startswith("HOLD: daily")
    assert not {"<", ">"} & set(form["text"])


def test_slack_shows_three_reasons_in_the_readers_language() -> None:
    """A short message: the first three reasons and how many more there are."""
    form = slack(event(["a", "b", "c", "d", "e"]), "ko")
    assert form["blocks"][0]["text"]["text"] == "보류 HOLD: t의 daily (sev1), 이전: 승인"
    assert form["blocks"][1]["text"]["text"] == "a\nb\nc\n... +2"


def test_a_cloud_event_has_what_the_standard_requires() -> None:
    """Required attributes of CloudEvents 1.0, and a pair of source and id that names the run."""
    form = cloud_event(event(["a"]))
    assert {"specversion", "id", "source", "type"} <= set(form)
    assert (form["source"], form["id"], form["subject"]) == ("/opsverify/t", "r", "daily")
    assert form["data"]["reasons"] == ["a"]


def test_an_event_survives_being_kept() -> None:
    """What waits in the outbox is the event that was to be sent."""
    first = event(["a", "b"])
    assert StateChange.from_dict(first.to_dict()) == first
