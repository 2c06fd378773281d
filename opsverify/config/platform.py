"""Platform of a rehearsal: how it is started on the restored database, for the cache and the business smoke."""

from __future__ import annotations

from pydantic import Field, model_validator

from opsverify.config.actions import placeholders
from opsverify.config.section import Duration, Section
from opsverify.language.message import say
from opsverify.units import parse_duration

FACTS = ("port", "dbname", "home")
"""Placeholders that the drill fills: the restored database's port (on 127.0.0.1) and name, the platform's folder."""


class RehearsalPlatform(Section):
    """A program that serves the platform on the restored database until SIGTERM, and how its cache is cleared.

    `run` stays in the foreground and writes `{home}/target.toml`, a target file of its own, once it serves.
    Both commands are argv lists, run in `folder`.
    """

    run: tuple[str, ...] = Field(min_length=1)
    clear_cache: tuple[str, ...] = ()
    folder: str | None = None
    within: Duration = "5m"

    @property
    def within_s(self) -> float:
        """Seconds until the platform has to serve."""
        return parse_duration(self.within)

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> RehearsalPlatform:
        for name in placeholders((*self.run, *self.clear_cache)):
            if name not in FACTS:
                known = ", ".join(f"{{{fact}}}" for fact in FACTS)
                raise ValueError(say("no value for {{{name}}}: expected {known}", name=name, known=known))
        return self
