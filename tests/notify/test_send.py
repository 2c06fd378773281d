"""Sending: each change of a stage's state once to each receiver, what was not taken again, and never a credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest

from opsverify.config.load import load_target
from opsverify.config.notify import StageName
from opsverify.core.stages import STAGES
from opsverify.errors import TargetError
from opsverify.notify.send import Notifier
from tests.support.receiver import WebhookReceiver, webhook_receiver
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

EVENTS = '[notify.events]\nkind = "cloudevents"\nurl = { env = "HOOK" }\n'
SLACK = '[notify.ops]\nkind = "slack"\nurl = { env = "HOOK" }\n'


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookReceiver]:
    """A receiver whose URL is the secret HOOK."""
    with webhook_receiver() as made:
        monkeypatch.setenv("HOOK", made.url)
        yield made


def notifier(folder: Path, text: str) -> Notifier:
    """The receivers of a target with these tables; its outbox lies in `folder`."""
    path = folder / "t.toml"
    path.write_text(SMALLEST + text, encoding="utf-8")
    target, secrets = load_target(path)
    return Notifier(target, secrets, folder / "state")


def verdict(
    decision: str, red: Sequence[str] = (), *, stage: str = "daily", severity: str = "sev2", run_id: str = "r1"
) -> dict[str, Any]:
    """The parts of a verdict that a notification tells."""
    checks = [{"id": name, "severity": severity, "outcome": "fail"} for name in red]
    reasons = [f"{name}: 5 of 9 <!channel> & more" for name in red]
    return {
        "run_id": run_id, "target": "t", "environment": "staging", "stage": stage, "decision": decision,
        "finished_at": "2026-11-22T10:00:00Z", "checks": checks, "reasons": reasons,
        "reasons_ko": ["9 중 5"] * len(red),
    }  # fmt: skip


def test_a_change_is_told_once(tmp_path: Path, receiver: WebhookReceiver) -> None:
    """Red, still red, another check red, well again, still well: three events; the last says what was before."""
    sending = notifier(tmp_path, EVENTS)
    for state in (("reject", ["a"]), ("reject", ["a"]), ("reject", ["a", "b"]), ("accept", []), ("accept", [])):
        assert all("sent" in line for line in sending.notify(verdict(*state)))
    assert [decision for _, decision in receiver.subjects] == ["reject", "reject", "accept"]
    assert receiver.sent[-1].body["data"]["before"] == "reject"
    assert not sending.outstanding()


def test_what_waits_is_for_its_owner_alone(tmp_path: Path, receiver: WebhookReceiver) -> None:
    """Reasons tell of the platform: the outbox has the rights of a run's folder."""
    receiver.status = 500
    list(notifier(tmp_path, EVENTS).notify(verdict("reject", ["a"])))
    folder = tmp_path / "state"
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "outbox.json")] == [0o700, 0o600]


def test_a_first_run_that_is_well_is_no_news(tmp_path: Path, receiver: WebhookReceiver) -> None:
    """Nobody is told that nothing happened."""
    assert not list(notifier(tmp_path, EVENTS).notify(verdict("accept")))
    assert not receiver.sent


def test_stages_are_told_apart(tmp_path: Path, receiver: WebhookReceiver) -> None:
    """A weekly run that is well does not end the daily one's alarm."""
    sending = notifier(tmp_path, EVENTS)
    for state in (verdict("reject", ["a"]), verdict("accept", stage="weekly"), verdict("reject", ["a"])):
        list(sending.notify(state))
    assert receiver.subjects == [("daily", "reject")]


def test_only_what_a_receiver_wants(tmp_path: Path, receiver: WebhookReceiver) -> None:
    """Of its stages and severities; the recovery has the severity of what it ends."""
    sending = notifier(tmp_path, f'{EVENTS}stages = ["daily"]\nseverities = ["sev1"]\n')
    for state in (
        verdict("reject", ["a"], severity="sev3"),
        verdict("accept"),
        verdict("reject", ["a"], severity="sev1"),
        verdict("accept"),
        verdict("reject", ["a"], severity="sev1", stage="weekly"),
    ):
        list(sending.notify(state))
    assert receiver.subjects == [("daily", "reject"), ("daily", "accept")]


def test_what_is_not_taken_is_tried_again(tmp_path: Path, receiver: WebhookReceiver) -> None:
    """A receiver that refuses gets the event from the next run, which says so in its evidence until then."""
    sending = notifier(tmp_path, EVENTS)
    receiver.status, receiver.answer = 404, "no_service"
    (said,) = sending.notify(verdict("reject", ["a"]))
    assert said.endswith("REJECT: daily on t (sev2): status 404 (no_service)")
    assert sending.outstanding() == (said,)
    receiver.status = 200
    (said,) = sending.notify(verdict("reject", ["a"], run_id="r2"))
    assert said == "notify events: sent: REJECT: daily on t (sev2)"
    assert not sending.outstanding()
    assert [each.body["id"] for each in receiver.sent] == ["r1", "r1"]


def test_of_a_stage_only_the_newest_waits(tmp_path: Path, receiver: WebhookReceiver) -> None:
    """A receiver that comes back is told what is, not all that was."""
    sending = notifier(tmp_path, EVENTS)
    receiver.status = 500
    list(sending.notify(verdict("reject", ["a"])))
    list(sending.notify(verdict("accept", run_id="r2")))
    receiver.status = 200
    list(sending.notify())
    assert receiver.subjects[-1] == ("daily", "accept")
    assert receiver.sent[-1].body["data"]["before"] == "reject"
    assert not sending.outstanding()


@pytest.mark.parametrize("later", ["120", "Fri, 31 Dec 2100 23:59:59 GMT", "", "soon", "9" * 400, "\u00b2"])
def test_a_receiver_that_asks_to_wait_is_left_alone(tmp_path: Path, receiver: WebhookReceiver, later: str) -> None:
    """429: no request before the time that it names, in either form; without one for a minute."""
    sending = notifier(tmp_path, EVENTS)
    receiver.status, receiver.headers = 429, {"Retry-After": later}
    list(sending.notify(verdict("reject", ["a"])))
    receiver.status = 200
    (said,) = sending.notify(verdict("reject", ["a"]))
    assert "not delivered" in said
    assert len(receiver.sent) == 1


@pytest.mark.parametrize("text", [EVENTS, SLACK])
def test_the_url_of_a_hook_is_never_shown(
    tmp_path: Path, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Neither a receiver that is down nor one that repeats the URL brings it into a message or the outbox."""
    # Longer than what is shown of an answer: where it is cut, the URL would be.
    receiver.status, receiver.answer = 400, f"{'x' * 30} {receiver.url}"
    lines = [*notifier(tmp_path, text).notify(verdict("reject", ["a"]))]
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/services/credential-of-the-hook")
    sending = notifier(tmp_path, text)
    lines += [*sending.notify(verdict("reject", ["b"])), *sending.outstanding()]
    kept = (tmp_path / "state" / "outbox.json").read_text(encoding="utf-8")
    assert len(lines) == 3
    assert all(
        "/services/T00" not in each and "credential" not in each
        for each in (*lines, *(line.ko for line in lines), kept)
    )


def test_a_secret_that_is_no_url_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook's URL that was cut is named by its kind, not by its value."""
    monkeypatch.setenv("HOOK", "hooks.slack.com/services/x")
    (said,) = notifier(tmp_path, SLACK).notify(verdict("hold"))
    assert said.endswith("its url is no http(s) URL; correct the secret")


def test_an_unreadable_outbox_tells_anew(tmp_path: Path, receiver: WebhookReceiver) -> None:
    """A damaged outbox costs a repeated message, never a run."""
    sending = notifier(tmp_path, EVENTS)
    list(sending.notify(verdict("reject", ["a"])))
    (tmp_path / "state" / "outbox.json").write_text('{"events": {"told": 7}}', encoding="utf-8")
    list(sending.notify(verdict("reject", ["a"])))
    assert len(receiver.sent) == 2


def test_a_test_message_reaches_every_receiver(tmp_path: Path, receiver: WebhookReceiver) -> None:
    """Each form has one; what is not reached is named."""
    sending = notifier(tmp_path, EVENTS + SLACK)
    assert list(sending.test()) == [("events", None), ("ops", None)]
    receiver.status = 403
    assert [str(fault) for _, fault in sending.test()] == ["status 403 (ok)"] * 2


def test_every_stage_can_be_named() -> None:
    """The names that a target may give are those of the stages."""
    assert set(get_args(StageName)) == set(STAGES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[notify.ops]\nkind = "slack"\nurl = "https://hooks.slack.com/services/x"\n', "the URL of a Slack webhook is"),
        ('[notify.ops]\nkind = "cloudevents"\nurl = "https://a"\nstages = ["dayly"]\n', "stages"),
        ('[notify.ops]\nkind = "mail"\nurl = "https://a"\n', "kind"),
    ],
)
def test_what_cannot_be_a_receiver_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """A typed credential, an unknown stage and an unknown kind are errors of the target."""
    with pytest.raises(TargetError, match=said):
        target_in(tmp_path, SMALLEST + text)
