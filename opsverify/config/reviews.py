"""Reviewed sources of the periodic stages: logs with their retention, and storage with its free space."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads it

from pydantic import Field, model_validator

from opsverify.config.section import Duration, Section
from opsverify.language.message import say
from opsverify.units import parse_duration


class RetentionRule(Section):
    """A log: how its oldest entry is found, how long it must be kept, and how long it may be.

    `oldest` is a statement with one value, a time; `promql` a query whose one value is a Unix time.
    """

    oldest: str | None = None
    promql: str | None = None
    at_least: Duration | None = None
    at_most: Duration | None = None

    @model_validator(mode="after")
    def _one_source(self) -> RetentionRule:
        if (self.oldest is None) == (self.promql is None):
            raise ValueError(
                say('expected exactly one of oldest = "SELECT min(created_at) FROM ..." and promql = "..."')
            )
        if self.at_least is None and self.at_most is None:
            raise ValueError(say('expected at_least = "90d" (promised), at_most = "365d" (allowed), or both'))
        if self.at_least and self.at_most and parse_duration(self.at_least) > parse_duration(self.at_most):
            raise ValueError(say("at_least is more than at_most: no log can keep both"))
        return self

    @property
    def at_least_s(self) -> float | None:
        """Seconds that an entry must be kept."""
        return None if self.at_least is None else parse_duration(self.at_least)

    @property
    def at_most_s(self) -> float | None:
        """Seconds that an entry may be kept."""
        return None if self.at_most is None else parse_duration(self.at_most)


class ExercisedAlert(Section):
    """An alert that a person made fire, or tested: when, who, and how."""

    at: dt.date
    by: str = Field(min_length=1)
    how: str = Field(min_length=10)


class StorageVolume(Section):
    """A volume: PromQL of its free and of its whole size in bytes, each of one series or of one for each volume."""

    free: str
    size: str
