"""Targets: which environment is verified, by which limits, with which rights."""

from opsverify.target.actions import Actions, Attestation, Step, Value
from opsverify.target.backups import Barman, Method, PgBackRest, PgDump, Retention
from opsverify.target.database import Login, Postgres, SecretRef
from opsverify.target.limits import Limits
from opsverify.target.load import find_target, load_target
from opsverify.target.model import (
    Alertmanager,
    Canary,
    Heartbeat,
    Inbox,
    McpServer,
    Part,
    Prometheus,
    Recovery,
    Redis,
    Service,
    Severity,
    Target,
    Waiver,
)
from opsverify.target.platform import RehearsalPlatform
from opsverify.target.regions import CoreTable, Region, Regions
from opsverify.target.secrets import Secrets
from opsverify.target.signals import Signal, Signals

__all__ = [
    "Actions",
    "Alertmanager",
    "Attestation",
    "Barman",
    "Canary",
    "CoreTable",
    "Heartbeat",
    "Inbox",
    "Limits",
    "Login",
    "McpServer",
    "Method",
    "Part",
    "PgBackRest",
    "PgDump",
    "Postgres",
    "Prometheus",
    "Recovery",
    "Redis",
    "Region",
    "Regions",
    "RehearsalPlatform",
    "Retention",
    "SecretRef",
    "Secrets",
    "Service",
    "Severity",
    "Signal",
    "Signals",
    "Step",
    "Target",
    "Value",
    "Waiver",
    "find_target",
    "load_target",
]
