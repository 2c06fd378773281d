"""Notifications of a run: after its verdict, without a say in it; what waits stands in the next run's notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.receiver import webhook_receiver

if TYPE_CHECKING:
    from tests.pytest_plugin.suite import Suite

FAILS = '@described("t.case")\ndef test_case(check):\n    check.measure("x", 0.5, RATE)\n'
RECEIVER = '[notify.events]\nkind = "cloudevents"\nurl = {{ env = "HOOK" }}\nbearer = {{ env = "BEARER" }}\n'


def test_a_change_is_sent_and_an_outage_noted(suite: Suite) -> None:
    """The receiver is told of red; while it refuses, code and decision stand and the next run's notes name it."""
    with webhook_receiver() as receiver:
        suite.variables |= {"HOOK": receiver.url, "BEARER": "token-of-the-receiver"}
        suite.target(RECEIVER.format())
        suite.checks("case", FAILS)
        receiver.status = 503
        first = suite.run()
        assert first.code == 1, first
        assert first.verdict is not None
        assert not any("notify" in note for note in first.verdict["notes"])
        assert "notify events: not delivered, the next run tries again: REJECT: daily on t (sev2)" in first.err
        receiver.status = 202
        second = suite.run()
        assert second.code == 1, second
        assert second.verdict is not None
        assert "status 503 (ok)" in "".join(second.verdict["notes"])
        assert "notify events: sent: REJECT" in second.err
        assert receiver.subjects == [("daily", "reject")] * 2
        assert receiver.sent[0].headers["authorization"] == "Bearer token-of-the-receiver"
        assert receiver.sent[0].headers["content-type"] == "application/cloudevents+json"
        assert all("credential-of-the-hook" not in text for text in (first.err, second.err, str(second.verdict)))
