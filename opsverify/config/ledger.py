"""Ledger settings: what is recorded of which tables, and how tables too large to read are compared."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from opsverify.config.section import Duration, Section

Reason = Annotated[str, Field(min_length=10)]
"""Why something is left out: a sentence that a reader of the verdict can judge."""


class LedgerTable(Section):
    """One core table. Defaults come from the catalog: bucket column, and width by its type.

    `width` is a duration (times, dates) or a number of keys; `mutable` names columns that change after a bucket
    is closed: they are not hashed. Rows older than `retention` need not be restored.
    """

    bucket: str | None = None
    width: str | int | None = None
    mutable: tuple[str, ...] = ()
    retention: Duration | None = None


class LedgerSampling(Section):
    """Of tables with more recorded rows than `above_rows` a sample is compared.

    If nothing differs in it, fewer than 1 in `one_in` recorded rows do, at the stated confidence.
    """

    above_rows: int = Field(default=10_000_000, ge=1)
    one_in: int = Field(default=10_000, ge=2)
    confidence: float = Field(default=0.99, gt=0, lt=1)
