"""Absence of a record: what is said wherever nothing was recorded before the recovery target, in the same words."""

from __future__ import annotations

from typing import Final

from opsverify.language.message import say

NOTHING_RECORDED: Final = say(
    "nothing was recorded before the recovery target: run `opsverify ledger capture` by schedule; where nothing is "
    "committed after it, SELECT pg_current_xact_id(), then pg_switch_wal()"
)
"""One cause of many checks. On PostgreSQL 13 and later the first statement writes a commit record and nothing else."""
