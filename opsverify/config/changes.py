"""Change histories of a target: where each change of rules, prompts and DSL is recorded, and what instances serve."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, model_validator

from opsverify.config.section import Duration, Section
from opsverify.language.message import say
from opsverify.units import parse_duration

KINDS: Final = ("rules", "prompts", "dsl")
"""What the runbook reviews. Each is described, or declared absent with the reason; a target may add others."""


class ServedVersions(Section):
    """What instances serve: `field` of GET `path` at each of `services`, or `query`.

    The field is a version, or a table of versions by name; the query has the columns `instance` and `version`, and
    `name` where the history has it.
    """

    services: tuple[str, ...] = ()
    path: str | None = None
    field: str | None = None
    query: str | None = None

    @model_validator(mode="after")
    def _one_form(self) -> ServedVersions:
        over_http = bool(self.services and self.path and self.field)
        if over_http == (self.query is not None) or (self.query and (self.services or self.path or self.field)):
            raise ValueError(
                say('expected services = ["NAME"], path = "/v1/versions" and field = "rules", or query = "SELECT ..."')
            )
        return self


class ChangeHistory(Section):
    """One kind of change: SQL of its history, and of deployments that made no new version.

    `history` has the columns `version`, `at`, `author`, `approver`, `ticket`, and where there are such: `name` (of
    several rules or prompts in one table), `active`, `bypass` (what an administrator skipped) and `content`.
    `deployments` has `version`, `at`, `author`, `approver`, `ticket`, and `name` where the history has it. A history
    that lies in several tables is one statement (UNION ALL), or several kinds.
    """

    history: str | None = None
    deployments: str | None = None
    served: ServedVersions | None = None
    ticket: str = Field(default=r"\S", min_length=1)
    lookback: Duration = "35d"
    absent: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _described_or_absent(self) -> ChangeHistory:
        if (self.history is None) == (self.absent is None):
            raise ValueError(say('expected history = "SELECT version, at, author, ...", or absent = "the reason"'))
        try:
            re.compile(self.ticket)
        except re.error as error:
            raise ValueError(
                say("ticket {ticket!r}: no regular expression ({error})", ticket=self.ticket, error=str(error))
            ) from error
        return self

    @property
    def lookback_s(self) -> float:
        """Seconds that are looked back."""
        return parse_duration(self.lookback)
