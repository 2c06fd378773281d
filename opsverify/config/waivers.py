"""Waiver of a target: a dated exception for one check."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads it

from pydantic import Field

from opsverify.config.section import Section


class Waiver(Section):
    """An exception with owner, reason, ticket and end: a failing check is `waived` until the end of `until`."""

    check: str
    owner: str = Field(min_length=1)
    reason: str = Field(min_length=10)
    ticket: str | None = Field(default=None, min_length=1)
    until: dt.date
