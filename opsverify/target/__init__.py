"""Targets: which environment is verified, by which limits, with which rights."""

from opsverify.target.limits import Limits
from opsverify.target.load import find_target, load_target
from opsverify.target.model import (
    Alertmanager,
    Canary,
    Inbox,
    Login,
    McpServer,
    Part,
    Postgres,
    Prometheus,
    Recovery,
    Redis,
    SecretRef,
    Service,
    Severity,
    Step,
    Target,
    Waiver,
)
from opsverify.target.secrets import Secrets
from opsverify.target.signals import Signal, Signals

__all__ = [
    "Alertmanager",
    "Canary",
    "Inbox",
    "Limits",
    "Login",
    "McpServer",
    "Part",
    "Postgres",
    "Prometheus",
    "Recovery",
    "Redis",
    "SecretRef",
    "Secrets",
    "Service",
    "Severity",
    "Signal",
    "Signals",
    "Step",
    "Target",
    "Waiver",
    "find_target",
    "load_target",
]
