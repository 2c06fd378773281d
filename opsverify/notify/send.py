"""Sending of notifications: what changed, and what waited, to every receiver of a target, each once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout

from opsverify.errors import EvidenceError
from opsverify.evidence.redact import Redactor
from opsverify.language.message import Message, say
from opsverify.notify import outbox
from opsverify.notify.event import StageState, StateChange
from opsverify.notify.forms import TEST_FORMS, cloud_event, slack
from opsverify.notify.webhook import TIMEOUT_S, post_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.config.notify import NotifyTarget
    from opsverify.config.secrets import Secrets
    from opsverify.notify.outbox import Receiver, Waiting
    from opsverify.notify.webhook import Delivery
    from opsverify.probes.http import Http

_LOCK_S: Final = 10.0


@dataclass(frozen=True)
class Notifier:
    """The receivers of a target, with its outbox below `folder`."""

    target: Target
    secrets: Secrets
    folder: Path

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor(self.secrets.values)

    def outstanding(self) -> tuple[Message, ...]:
        """What earlier runs could not deliver, one line each: for the evidence of the next one."""
        receivers = outbox.read(self.folder) if self.target.notify else {}
        return tuple(
            _not_delivered(name, waiting)
            for name, receiver in receivers.items()
            if name in self.target.notify
            for waiting in receiver.waiting.values()
        )

    def notify(self, verdict: Mapping[str, Any] | None = None) -> Iterator[Message]:
        """Send what `verdict` changes and what waits; one line for each attempt. It never raises for a receiver.

        Sent again where this process is killed between the answer and the note of it: at least once, never lost.
        Raises EvidenceError where the outbox cannot be kept.
        """
        if not self.target.notify:
            return
        # What waits tells of the platform: only its owner may read it, as a run's own folder.
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / "notify.lock", timeout=_LOCK_S):
                yield from self._notify(verdict)
        except Timeout as error:
            raise EvidenceError(
                say("{folder}: another run is sending notifications", folder=self.folder / "notify.lock")
            ) from error

    def test(self) -> Iterator[tuple[str, Message | None]]:
        """Send every receiver a message that it is reached: its name, and why it is not (None: it is)."""
        from opsverify.probes.http import Http  # noqa: PLC0415 - as below

        with Http(timeout_s=TIMEOUT_S) as http:
            for name, config in self.target.notify.items():
                form = TEST_FORMS[config.kind](self.target.name, self.target.language)
                yield name, self._sent(http, config, form).fault

    def _notify(self, verdict: Mapping[str, Any] | None) -> Iterator[Message]:
        receivers = {name: outbox.Receiver() for name in self.target.notify} | outbox.read(self.folder)
        for name, config in self.target.notify.items():
            if verdict is not None:
                _queue(receivers[name], config, verdict)
        outbox.write(self.folder, receivers)
        waiting = [(name, stage) for name in self.target.notify for stage in receivers[name].waiting]
        if not waiting:
            return
        from opsverify.probes.http import Http  # noqa: PLC0415 - httpx costs 50 ms, and most runs change nothing

        with Http(timeout_s=TIMEOUT_S) as http:
            for name, stage in waiting:
                said = self._deliver(http, name, self.target.notify[name], receivers[name], stage)
                outbox.write(self.folder, receivers)
                yield said

    def _deliver(self, http: Http, name: str, config: NotifyTarget, receiver: Receiver, stage: str) -> Message:
        waiting = receiver.waiting[stage]
        if time.time() < waiting.not_before:
            return _not_delivered(name, waiting)
        form = slack(waiting.event, self.target.language) if config.kind == "slack" else cloud_event(waiting.event)
        delivery = self._sent(http, config, form)
        if delivery.fault is None:
            del receiver.waiting[stage]
            receiver.told[stage] = waiting.event.state
            return say("notify {name}: sent: {title}", name=name, title=waiting.event.title)
        waiting.why, waiting.why_ko = delivery.fault.en, delivery.fault.ko
        waiting.not_before = time.time() + delivery.pause_s
        return _not_delivered(name, waiting)

    def _sent(self, http: Http, config: NotifyTarget, form: dict[str, Any]) -> Delivery:
        return post_json(
            http, config, self.secrets, form, redactor=self._redactor, proxy=self.target.proxy,
            cloud=config.kind == "cloudevents",
        )  # fmt: skip


def _queue(receiver: Receiver, config: NotifyTarget, verdict: Mapping[str, Any]) -> None:
    """Let the event of `verdict` wait for the receiver, where it is news for it."""
    stage, state = verdict["stage"], StageState.of(verdict)
    if config.stages is not None and stage not in config.stages:
        return
    known = receiver.known(stage)
    event = StateChange.of(verdict, known)
    if state.is_news_after(known) and event.severity in config.severities:
        receiver.waiting[stage] = outbox.Waiting(event)
    elif stage not in receiver.waiting:
        receiver.told[stage] = state


def _not_delivered(name: str, waiting: Waiting) -> Message:
    why = Message.of(waiting.why, waiting.why_ko)
    return say(
        "notify {name}: not delivered, the next run tries again: {title}: {why}",
        name=name,
        title=waiting.event.title,
        why=why,
    )
