"""Notify targets: where changes of a stage's state are sent, in which form, and which of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from opsverify.config.database import SecretRef  # noqa: TC001 - pydantic reads it
from opsverify.config.section import Proxy, Section, Url
from opsverify.config.severity import SEVERITIES, Severity
from opsverify.language.message import say

StageName = Literal[
    "staging",
    "preprod-canary",
    "prod-canary",
    "post-rollback",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "incident-llm",
    "incident-mcp",
    "incident-db",
    "incident-cache",
    "incident-rule",
    "post-dr",
    "rehearsal",
    "switchback",
]


class Webhook(Section):
    """One receiver of posted messages, of all stages where `stages` is left out.

    A URL that is a credential itself, as Slack's, is given by reference.
    """

    url: SecretRef | Url
    bearer: SecretRef | None = None
    ca_file: str | None = None
    proxy: Proxy | None = None
    stages: tuple[StageName, ...] | None = Field(default=None, min_length=1)


class NotifyTarget(Webhook):
    """One receiver: a Slack incoming webhook, or any webhook that takes CloudEvents (structured mode).

    Of all severities where `severities` is left out.
    """

    kind: Literal["slack", "cloudevents"]
    severities: tuple[Severity, ...] = Field(default=SEVERITIES, min_length=1)

    @model_validator(mode="after")
    def _no_typed_credential(self) -> NotifyTarget:
        if self.kind == "slack" and isinstance(self.url, str):
            raise ValueError(say('the URL of a Slack webhook is a secret: expected url = {{ env = "NAME" }}'))
        return self
