"""Backups, point-in-time restore and the ledger: no pytest, no Allure, no sandbox in here."""

from opsverify.recovery.adapters import BackupDamaged, Stock, Unpacked, physical_source_of, source_of
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
    "BackupDamaged",
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
    "Stock",
    "Table",
    "ToolRun",
    "Tools",
    "Unpacked",
    "Window",
    "archive_segments",
    "compare",
    "continuity",
    "find_tools",
    "for_account",
    "inspect",
    "major_of",
    "physical_source_of",
    "read_queries",
    "restore",
    "rpo",
    "rto",
    "run_tool",
    "source_of",
    "table",
    "unprivileged",
    "verify",
]
