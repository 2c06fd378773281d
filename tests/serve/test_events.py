"""Events of runs' ends: a CloudEvent for each, sent until it is taken, and never a credential where it is told."""

from __future__ import annotations

import datetime as dt
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from opsverify.core.stages import Decision
from opsverify.errors import TargetError
from opsverify.language.message import Message
from opsverify.serve.bodies import Release
from opsverify.serve.event_sender import LONGEST_KEPT, PAUSE_S, EventSender
from opsverify.serve.gate_run import Conclusion, GateRun, RunRequest
from opsverify.serve.run_event import TYPE
from opsverify.serve.store import RunStore
from opsverify.serve.tokens import Tokens
from tests.support.gate_server import GateProject, served, tokens_text, until
from tests.support.receiver import WebhookReceiver, webhook_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN: Final = {"stage": "prod-canary", "target": "prod", "release": {"name": "judgment", "checksum": "c1"}}
NOW: Final = dt.datetime(2026, 11, 29, 10, tzinfo=dt.UTC)
EVENTS: Final = '\n[events]\nurl = { env = "EVENTS_URL" }\nbearer = { env = "EVENTS_BEARER" }\n'
BEARER: Final = "bearer-of-the-receiver"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookReceiver]:
    """A receiver, with its URL and token in the environment."""
    with webhook_receiver() as running:
        monkeypatch.setenv("EVENTS_URL", running.url)
        monkeypatch.setenv("EVENTS_BEARER", BEARER)
        yield running


@pytest.fixture
def told(project: GateProject, receiver: WebhookReceiver) -> GateProject:
    """A project that tells the receiver."""
    assert receiver.url
    (project.folder / "tokens.toml").write_text(tokens_text() + EVENTS, encoding="utf-8")
    return project


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    """An empty store."""
    made = RunStore(tmp_path / "runs.sqlite")
    yield made
    made.close()


def ended(store: RunStore, run_id: str, at: dt.datetime = NOW) -> None:
    """A run that has ended, of which somebody is to be told."""
    request = RunRequest("prod-canary", "prod", (), Release("judgment", run_id))
    store.add(GateRun(run_id, run_id, request, "github:repo:acme/judgment:ref:refs/heads/main", at))
    reasons = (Message.of("5 of 9 failed", "9 중 5 실패"),)
    store.finish(run_id, Conclusion(Decision.ROLLBACK, reasons, 1, "r1", "0" * 64), at, is_event=True)


def sender_of(store: RunStore, project: GateProject, now: dt.datetime = NOW) -> EventSender:
    """A sender without a thread."""
    return EventSender(store, Tokens(project.folder / "tokens.toml").receiver, lambda: now)


def ids(receiver: WebhookReceiver) -> list[str]:
    """The ids of the events that arrived, in their order."""
    return [each.body["id"] for each in receiver.sent]


def test_the_end_of_a_run_is_told(told: GateProject, receiver: WebhookReceiver) -> None:
    """Whether it was decided or cancelled: one event each, in structured mode, with all that CloudEvents requires."""
    told.decide("c1", 0)
    with served(told) as live:
        first = live.ended(live.call("POST", "/v1/runs", RUN).json()["id"])
        until(lambda: receiver.sent, "the first event")
        body = {**RUN, "release": {"name": "other", "checksum": "c2"}}
        second = live.call("POST", "/v1/runs", body).json()
        live.call("POST", f"/v1/runs/{second['id']}/cancel", {"who": "Kim", "why": "too late"})
        until(lambda: len(receiver.sent) == 2, "the second event")
    assert ids(receiver) == [first["id"], second["id"]]
    event, headers = receiver.sent[0].body, receiver.sent[0].headers
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["authorization"] == f"Bearer {BEARER}"
    assert {name: event[name] for name in ("specversion", "source", "type", "subject", "time")} == {
        "specversion": "1.0", "source": "/opsverify/prod", "type": TYPE, "subject": "prod-canary",
        "time": first["finished_at"],
    }  # fmt: skip
    shown = ("run_id", "stage", "target", "decision", "reasons", "reasons_ko", "started_by", "exit_code")
    assert {name: event["data"][name] for name in shown} == {name: first[name] for name in shown}
    assert event["data"]["release"] == {"name": "judgment", "namespace": "default", "checksum": "c1"}
    assert receiver.sent[1].body["data"]["decision"] == "hold"
    assert "Kim" in receiver.sent[1].body["data"]["reasons"][0]


def test_nobody_is_told_where_nobody_is_named(project: GateProject) -> None:
    """And nothing waits for a receiver that is named later."""
    project.decide("c1", 0)
    with served(project) as live:
        live.ended(live.call("POST", "/v1/runs", RUN).json()["id"])
        assert live.gate.store.unsent() == []


def test_only_the_stages_that_it_wants(told: GateProject, receiver: WebhookReceiver) -> None:
    """`stages` names them."""
    (told.folder / "tokens.toml").write_text(f'{tokens_text()}{EVENTS}stages = ["staging"]\n', encoding="utf-8")
    told.decide("c1", 0)
    with served(told) as live:
        for stage in ("prod-canary", "staging"):
            live.ended(live.call("POST", "/v1/runs", {**RUN, "stage": stage}).json()["id"])
        until(lambda: receiver.sent, "the event")
    assert [each.body["subject"] for each in receiver.sent] == ["staging"]


def test_what_was_not_taken_waits_for_the_next_server(told: GateProject, receiver: WebhookReceiver) -> None:
    """Also the hold of a run that a stopping server ended."""
    receiver.status = 503
    told.decide("c1", 0)
    with served(told) as live:
        first = live.ended(live.call("POST", "/v1/runs", RUN).json()["id"])
        body = {**RUN, "release": {"name": "other", "checksum": "c2"}}
        second = live.call("POST", "/v1/runs", body).json()
        until(lambda: told.begun("c2"), "the second run")
    assert set(ids(receiver)) == {first["id"]}
    receiver.status = 202
    receiver.sent.clear()
    with served(told) as live:
        until(lambda: not live.gate.store.unsent(), "the events")
    assert ids(receiver) == [first["id"], second["id"]]


def test_an_event_is_sent_until_it_is_taken(store: RunStore, told: GateProject, receiver: WebhookReceiver) -> None:
    """In order; a receiver that takes nothing is not asked for each; nothing is sent once more."""
    for run_id in ("r1", "r2"):
        ended(store, run_id)
    sender = sender_of(store, told)
    receiver.status = 500
    assert sender.send() == PAUSE_S
    assert ids(receiver) == ["r1"]
    receiver.status = 200
    assert sender.send() is None
    assert sender.send() is None
    assert ids(receiver) == ["r1", "r1", "r2"]


def test_one_that_is_refused_does_not_keep_the_others(
    store: RunStore, told: GateProject, receiver: WebhookReceiver
) -> None:
    """A 4xx is about that event, or about a token that is corrected later: it waits, the next one is tried."""
    for run_id in ("r1", "r2"):
        ended(store, run_id)
    receiver.status = 401
    assert sender_of(store, told).send() == PAUSE_S
    assert ids(receiver) == ["r1", "r2"]
    assert [run.id for run in store.unsent()] == ["r1", "r2"]


def test_a_receiver_says_when_it_is_asked_again(store: RunStore, told: GateProject, receiver: WebhookReceiver) -> None:
    """429 with Retry-After."""
    ended(store, "r1")
    receiver.status, receiver.headers = 429, {"Retry-After": "600"}
    assert sender_of(store, told).send() == 600


def test_an_event_of_yesterday_is_dropped(
    store: RunStore, told: GateProject, receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so; the younger one is sent."""
    ended(store, "r1")
    ended(store, "r2", NOW + dt.timedelta(hours=1))
    late = NOW + LONGEST_KEPT + dt.timedelta(seconds=1)
    assert sender_of(store, told, late).send() is None
    assert ids(receiver) == ["r2"]
    assert store.unsent() == []
    assert "r1: event not delivered within a day" in caplog.text


def test_a_receiver_that_is_away_says_no_credential(
    store: RunStore, told: GateProject, receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither URL nor token are logged: not by the answer that repeats them, not by the address that is not there."""
    caplog.set_level(logging.DEBUG, "opsverify")
    ended(store, "r1")
    receiver.status, receiver.answer = 500, f"{receiver.url} with {BEARER} is wrong"
    sender = sender_of(store, told)
    sender.send()
    with webhook_receiver() as other:
        gone = other.url
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENTS_URL", gone)
        assert sender_of(store, told).send() == PAUSE_S
    shown = "\n".join(record.getMessage() for record in caplog.records)
    assert shown.count("not delivered") == 2
    for secret in (BEARER, "credential-of-the-hook"):
        assert secret not in shown


def test_a_broken_file_takes_no_event_away(store: RunStore, told: GateProject, receiver: WebhookReceiver) -> None:
    """While the file cannot be read no token is valid, and the receiver stays the one before."""
    path = told.folder / "tokens.toml"
    tokens = Tokens(path)
    path.write_text("broken =", encoding="utf-8")
    assert tokens.find("ovs_unknown", NOW) is None
    ended(store, "r1")
    assert EventSender(store, tokens.receiver, lambda: NOW).send() is None
    assert ids(receiver) == ["r1"]


def test_a_server_ends_without_a_receiver(told: GateProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not answer keeps no server from ending; the event is there for the next one."""
    with webhook_receiver() as other:
        gone = other.url
    monkeypatch.setenv("EVENTS_URL", gone)
    told.decide("c1", 0)
    with served(told) as live:
        run = live.ended(live.call("POST", "/v1/runs", RUN).json()["id"])
    store = RunStore(told.settings.state / "runs.sqlite")
    assert [each.id for each in store.unsent()] == [run["id"]]
    store.close()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('url = "ftp://events.example.com"', "events.url"),
        ('bearer = { env = "EVENTS_BEARER" }', "events.url"),
        ('url = "https://events.example.com"\ncolour = "red"', "events.colour"),
        ('url = "https://events.example.com"\nbearer = "typed-in-secret"', "secret is typed in"),
        ('url = "https://user:typed-in-secret@events.example.com"', "password in it"),
        ('url = { env = "NOT_SET_AT_ALL" }', "NOT_SET_AT_ALL"),
        ('url = "https://events.example.com"\nstages = ["nightly"]', "events.stages"),
        ('url = "https://events.example.com"\nkind = "slack"', "events.kind"),
    ],
)
def test_a_wrong_table_is_named(told: GateProject, table: str, said: str) -> None:
    """Without the secret that it may hold."""
    path = told.folder / "tokens.toml"
    path.write_text(f"{tokens_text()}\n[events]\n{table}\n", encoding="utf-8")
    with pytest.raises(TargetError, match=re.escape(said)) as refused:
        Tokens(path)
    assert "typed-in-secret" not in str(refused.value)


@pytest.mark.parametrize("shared", [False, True])
def test_a_run_inherits_no_secret_of_the_receiver(told: GateProject, shared: bool) -> None:  # noqa: FBT001 - a case
    """A check that shows its environment shows none; a variable that a target names too is the run's as well."""
    if shared:
        (told.folder / "targets" / "shared.toml").write_text('[services.a]\nbearer = { env = "EVENTS_BEARER" }\n')
    with served(told) as live:
        live.call("POST", "/v1/runs", RUN)
        (process,) = until(lambda: told.begun("c1"), "a run")
        environment = Path(f"/proc/{process}/environ").read_bytes()
        told.decide("c1", 0)
    assert b"OPSVERIFY_SERVE_RUN=" in environment
    assert b"EVENTS_URL=" not in environment
    assert (b"EVENTS_BEARER=" in environment) is shared
