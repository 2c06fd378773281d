"""Backups, point-in-time restore and the ledger: no pytest, no Allure, no sandbox in here."""

from opsverify.recovery.adapters import physical_source_of, source_of
from opsverify.recovery.adapters.source import BackupDamaged, Stock, Unpacked
from opsverify.recovery.backup import BaseBackup, Integrity, inspect, major_of, verify
from opsverify.recovery.commits import Commit, Tail
from opsverify.recovery.compare import Difference, compare
from opsverify.recovery.facts import TABLES, Facts, Table, Window, read_queries, table
from opsverify.recovery.heartbeat import Beat, Heard, HeartbeatLog, heard
from opsverify.recovery.ledger import ChainState, Ledger, Recorded
from opsverify.recovery.names import qualified
from opsverify.recovery.objectives import Rpo, Rto, rpo, rto
from opsverify.recovery.preflight import Preflight, preflight
from opsverify.recovery.random_table import SCRATCH, Drawn, restore_table
from opsverify.recovery.rates import Extrapolated, Meter, Stage, extrapolate
from opsverify.recovery.restore import RestoredServer, restore
from opsverify.recovery.server import Server, ServerDied
from opsverify.recovery.server_log import SLOW_MS, LogLook, look_through
from opsverify.recovery.timelines import Branch, Way, branches, way_back
from opsverify.recovery.tools import Account, ToolRun, Tools, find_tools, for_account, run_tool, unprivileged
from opsverify.recovery.wal import Continuity, Segment, archive_segments, continuity, tail
from opsverify.recovery.witnesses import Loss, Witness, agree, from_archive, from_heartbeat, from_server
from opsverify.switchback.compare import Apart, compare_sample, compare_span, strays
from opsverify.switchback.table import Side, Span

__all__ = [
    "SCRATCH",
    "SLOW_MS",
    "TABLES",
    "Account",
    "Apart",
    "BackupDamaged",
    "BaseBackup",
    "Beat",
    "Branch",
    "ChainState",
    "Commit",
    "Continuity",
    "Difference",
    "Drawn",
    "Extrapolated",
    "Facts",
    "Heard",
    "HeartbeatLog",
    "Integrity",
    "Ledger",
    "LogLook",
    "Loss",
    "Meter",
    "Preflight",
    "Recorded",
    "RestoredServer",
    "Rpo",
    "Rto",
    "Segment",
    "Server",
    "ServerDied",
    "Side",
    "Span",
    "Stage",
    "Stock",
    "Table",
    "Tail",
    "ToolRun",
    "Tools",
    "Unpacked",
    "Way",
    "Window",
    "Witness",
    "agree",
    "archive_segments",
    "branches",
    "compare",
    "compare_sample",
    "compare_span",
    "continuity",
    "extrapolate",
    "find_tools",
    "for_account",
    "from_archive",
    "from_heartbeat",
    "from_server",
    "heard",
    "inspect",
    "look_through",
    "major_of",
    "physical_source_of",
    "preflight",
    "qualified",
    "read_queries",
    "restore",
    "restore_table",
    "rpo",
    "rto",
    "run_tool",
    "source_of",
    "strays",
    "table",
    "tail",
    "unprivileged",
    "verify",
    "way_back",
]
