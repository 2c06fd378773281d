"""Forms of an event on the wire: Slack's blocks with a plain text beside them, and CloudEvents in structured mode.

Slack, "Incoming webhooks" and "Block Kit": https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
CloudEvents 1.0.2, "HTTP Protocol Binding", structured content mode, and "JSON StateChange Format".
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any, Final

from opsverify.language.message import Message, say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opsverify.notify.event import StateChange

CLOUD_EVENT: Final = "application/cloudevents+json"
TYPE: Final = "opsverify.verdict.changed.v1"
TEST_TYPE: Final = "opsverify.test.v1"
_HEADER, _SECTION = 150, 3000
"""Most characters of a header and of a section; Slack refuses longer ones."""
_REASONS: Final = 3


def slack(event: StateChange, language: str) -> dict[str, Any]:
    """A short message: title, the most important reasons, the run. Texts are plain: they mention nobody."""
    title = event.title.text(language)
    reasons = event.reasons_ko if language == "ko" else event.reasons
    shown = list(reasons[:_REASONS])
    if len(reasons) > _REASONS:
        shown.append(f"... +{len(reasons) - _REASONS}")
    blocks = [{"type": "header", "text": _plain(title, _HEADER)}]
    if shown:
        blocks.append({"type": "section", "text": _plain("\n".join(shown), _SECTION)})
    run = _plain(event.run_id, _SECTION)
    return {"text": _escaped(title), "blocks": [*blocks, {"type": "context", "elements": [run]}]}


def cloud_event(event: StateChange) -> dict[str, Any]:
    """The event with all that is known; a receiver that gets it twice knows it by source and id."""
    data = {
        "run_id": event.run_id,
        "target": event.target,
        "environment": event.environment,
        "stage": event.stage,
        "decision": event.state.decision,
        "before": event.before,
        "severity": event.severity,
        "reasons": list(event.reasons),
        "reasons_ko": list(event.reasons_ko),
    }
    return envelope(event.run_id, TYPE, event.target, event.at, data, subject=event.stage)


def envelope(
    event_id: str, kind: str, target: str, at: str, data: Mapping[str, Any], subject: str | None = None
) -> dict[str, Any]:
    """A CloudEvent in JSON: its required attributes, and `data`."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/opsverify/{target}",
        "type": kind,
        **({} if subject is None else {"subject": subject}),
        "time": at,
        "datacontenttype": "application/json",
        "data": data,
    }


def _slack_test(target: str, language: str) -> dict[str, Any]:
    return {"text": _escaped(_reached(target).text(language))}


def _cloud_event_test(target: str, _language: str) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return envelope(uuid.uuid4().hex, TEST_TYPE, target, now, {"target": target, "text": _reached(target).en})


def _reached(target: str) -> Message:
    return say("opsverify: notifications of {target} reach this receiver (test)", target=target)


def _plain(text: str, most: int) -> dict[str, Any]:
    cut = text if len(text) <= most else f"{text[: most - 3]}..."
    return {"type": "plain_text", "text": cut, "emoji": False}


def _escaped(text: str) -> str:
    """Slack reads markup in a message's own text: `<!channel>` would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


TEST_FORMS: Final[dict[str, Callable[[str, str], dict[str, Any]]]] = {
    "slack": _slack_test,
    "cloudevents": _cloud_event_test,
}
"""What says that a receiver is reached, from target and language."""
