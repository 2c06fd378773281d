"""Backups, point-in-time restore and the ledger: no pytest, no Allure, no sandbox in here."""

from opsverify.recovery.backup import BaseBackup, Integrity, inspect, major_of, verify
from opsverify.recovery.compare import Difference, compare
from opsverify.recovery.facts import TABLES, Facts, Table, Window, read_queries, table
from opsverify.recovery.ledger import ChainState, Ledger, Recorded
from opsverify.recovery.objectives import Rpo, Rto, rpo, rto
from opsverify.recovery.restore import RestoredServer, restore
from opsverify.recovery.server import Server, ServerDied
from opsverify.recovery.tools import Account, ToolRun, Tools, find_tools, for_account, run_tool, unprivileged
from opsverify.recovery.wal import Continuity, Segment, archive_segments, continuity

__all__ = [
    "TABLES",
    "Account",
    "BaseBackup",
    "ChainState",
    "Continuity",
    "Difference",
    "Facts",
    "Integrity",
    "Ledger",
    "Recorded",
    "RestoredServer",
    "Rpo",
    "Rto",
    "Segment",
    "Server",
    "ServerDied",
    "Table",
    "ToolRun",
    "Tools",
    "Window",
    "archive_segments",
    "compare",
    "continuity",
    "find_tools",
    "for_account",
    "inspect",
    "major_of",
    "read_queries",
    "restore",
    "rpo",
    "rto",
    "run_tool",
    "table",
    "unprivileged",
    "verify",
]
