"""Target: one environment, as small frozen value objects."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads it
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from opsverify.config.actions import Actions, Attestation, ShareText
from opsverify.config.breakers import BreakerConfig  # noqa: TC001 - pydantic reads it
from opsverify.config.changes import ChangeHistory  # noqa: TC001 - pydantic reads it
from opsverify.config.connection import Connection
from opsverify.config.database import Login, PostgresConfig, SecretRef  # noqa: TC001 - pydantic reads them
from opsverify.config.evidence import EvidenceConfig
from opsverify.config.faults import FaultsConfig
from opsverify.config.incidents import IncidentHours
from opsverify.config.keys import KeyRule  # noqa: TC001 - as above
from opsverify.config.limits import Latency, Limits
from opsverify.config.llmops import LlmOps
from opsverify.config.matchers import Matchers  # noqa: TC001 - as above
from opsverify.config.notify import NotifyTarget  # noqa: TC001 - as above
from opsverify.config.on_call import OnCall  # noqa: TC001 - as above
from opsverify.config.parts import Part
from opsverify.config.people import Person  # noqa: TC001 - as above
from opsverify.config.playbook import Playbooks
from opsverify.config.recovery import Recovery  # noqa: TC001 - as above
from opsverify.config.regions import Regions  # noqa: TC001 - as above
from opsverify.config.report import ReportConfig
from opsverify.config.reviews import ExercisedAlert, RetentionRule, StorageVolume  # noqa: TC001 - as above
from opsverify.config.rights import RightsConfig  # noqa: TC001 - as above
from opsverify.config.section import Bytes, Duration, Proxy, Section, Timeout
from opsverify.config.signals import Signals
from opsverify.config.waivers import Waiver  # noqa: TC001 - as above
from opsverify.language.message import say
from opsverify.units import parse_duration

T = TypeVar("T")


class Service(Connection):
    """An HTTP service with a health endpoint; `degraded` are states that are well enough during an incident."""

    health: str = Field(default="/health", pattern=r"^/")
    status_field: str = "status"
    healthy: str = "ok"
    healthy_text: str | None = None
    degraded: tuple[str, ...] = ()
    version_field: str = "version"
    version: str | None = None
    previous_version: str | None = None
    latency: Latency | None = None
    max_body: Bytes = "1.048576 MB"


class PrometheusConfig(Connection):
    """The Prometheus that scrapes the platform, and the names of jobs, rules and signals in it.

    Where it is shared, `targets` and `alerting_rules` are matchers that select this platform's own.
    """

    timeout_s: Timeout = 5.0
    jobs: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    targets: Matchers = ""
    alerting_rules: Matchers = ""
    lookback: Duration = "24h"
    policy_lookback: Duration = "92d"
    exercised: dict[str, ExercisedAlert] = Field(default_factory=dict)
    signals: Signals = Signals()


class AcceptedAlert(Section):
    """An alert of the highest severity that may be ignored or silenced until the end of `until`."""

    alert: str
    owner: str = Field(min_length=1)
    reason: str = Field(min_length=10)
    until: dt.date


class AlertmanagerConfig(Connection):
    """The Alertmanager that routes the platform's alerts; `ignore` names alerts that are not about the platform.

    An alert whose `severity_label` is one of `sev1` counts although it is ignored or silenced, unless it is
    `accepted`. `watchdog` names the alert that must always fire.

    Where it is shared, `alerts` are matchers that select the platform's own.
    """

    alerts: Matchers = ""
    ignore: tuple[str, ...] = ("Watchdog", "OpsverifySmoke")
    watchdog: str | None = None
    severity_label: str = "severity"
    sev1: tuple[str, ...] = ("sev1", "critical", "page")
    accepted: tuple[AcceptedAlert, ...] = ()


class InboxConfig(Connection):
    """A searchable copy of the notification channel: GET `url` with `?contains=TEXT` lists messages."""


class Canary(Section):
    """How canary and baseline are selected in every signal, and how the window is observed."""

    canary: str = 'track="canary"'
    baseline: str = 'track="stable"'
    alerts: str = 'track="canary"'
    window: Duration = "20m"
    shortest_window: Duration = "10m"
    step: Duration = "15s"
    alpha: float = Field(default=0.05, gt=0, le=0.5)
    beta: float = Field(default=0.05, gt=0, le=0.5)
    end_rule: Literal["literal", "proof"] = "literal"
    on_shared_breach: Literal["rollback", "hold"] = "rollback"
    on_worse_than_baseline: Literal["note", "hold", "rollback"] = "note"
    breach_evidence: Literal["steps", "trials"] = "steps"
    warm_up: Duration = "0s"
    instance_label: str | None = Field(default=None, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")
    allow_short_window: bool = False
    steps: tuple[ShareText, ...] = ()

    @model_validator(mode="after")
    def _judges_something(self) -> Canary:
        if parse_duration(self.warm_up) >= parse_duration(self.shortest_window):
            raise ValueError(
                say(
                    "warm_up {warm_up} leaves nothing of shortest_window {shortest_window}: expected less",
                    warm_up=self.warm_up,
                    shortest_window=self.shortest_window,
                )
            )
        return self


class RedisConfig(Section):
    """The judgment cache: one server, the master that `sentinels` name, or a cluster that `host` is a node of."""

    host: str | None = None
    port: int = Field(default=6379, ge=1, le=65535)
    cluster: bool = False
    sentinels: tuple[str, ...] = ()
    master: str | None = None
    sentinel_login: Login | None = None
    db: int = Field(default=0, ge=0)
    tls: bool = False
    username: str | None = None
    password: SecretRef | None = None
    timeout_s: Timeout = 2.0
    persistence: Literal["aof", "rdb", "none"] = "aof"
    cache_keys: str = "judgment:*"
    cache_ttl: Duration | None = None
    maxmemory: Literal["limited", "unlimited"] = "limited"
    look: Duration = "3s"

    @model_validator(mode="after")
    def _one_form(self) -> RedisConfig:
        if (self.host is None) == (not self.sentinels):
            raise ValueError(say('expected one of host = "..." and sentinels = ["HOST:26379", ...]'))
        if (self.master is None) != (not self.sentinels):
            raise ValueError(say('sentinels and master belong together; expected master = "the name they monitor"'))
        if self.cluster and (self.sentinels or self.db):
            raise ValueError(say("a cluster has no sentinels and only db = 0; remove them, or cluster"))
        for sentinel in self.sentinels:
            host, _, port = sentinel.rpartition(":")
            if not host or not port.isdecimal():
                raise ValueError(say('sentinels: {sentinel!r}; expected "HOST:26379"', sentinel=sentinel))
        return self

    @property
    def look_s(self) -> float:
        """Seconds over which evictions are counted."""
        return parse_duration(self.look)

    @property
    def cache_ttl_s(self) -> float | None:
        """Seconds that a cached judgment lives; None where the target does not set it."""
        return None if self.cache_ttl is None else parse_duration(self.cache_ttl)


class McpServer(Connection):
    """An MCP server over streamable HTTP and the tools it must offer."""

    tools: tuple[str, ...] = ()
    timeout_s: Timeout = 10.0


class HistoryConfig(Section):
    """How far back the periodic comparisons look."""

    span: Duration = "7d"

    @property
    def span_s(self) -> float:
        """Seconds between two snapshots that are compared, where there is a choice."""
        return parse_duration(self.span)


class Synthetic(Section):
    """Whether smoke journeys may write, under which tag, and how what they wrote is removed."""

    allowed: bool = False
    header: str = "X-Synthetic-Tag"
    tag_column: str = "synthetic_tag"
    tables: tuple[str, ...] = ()
    cleanup: Login | None = None
    journeys: tuple[str, ...] = ("smoke/journeys.toml",)


class Owners(Section):
    """Owners of checks: one default, and one for each family of checks (the id before the first dot)."""

    default: str
    families: dict[str, str] = Field(default_factory=dict)


def _with_reasons(given: object) -> object:
    if isinstance(given, dict):
        for part, reason in given.items():
            if isinstance(reason, str) and not reason.strip():
                raise ValueError(say("{part}: expected the reason why this platform has none", part=part))
    return dict.fromkeys(given, "") if isinstance(given, list | tuple) else given


Absences = Annotated[dict[Part, str], BeforeValidator(_with_reasons)]
"""Parts that the platform does not have, each with the reason ('' where none is given): `["redis"]` or a table."""


class Target(Section):
    """One environment. `absent` names the parts that this platform really does not have."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    environment: Literal["production", "preproduction", "staging", "sandbox"]
    language: Literal["ko", "en"] = "ko"
    absent: Absences = Field(default_factory=dict)
    proxy: Proxy = "none"
    owners: Owners
    services: dict[str, Service] = Field(default_factory=dict)
    prometheus: PrometheusConfig | None = None
    alertmanager: AlertmanagerConfig | None = None
    inbox: InboxConfig | None = None
    canary: Canary | None = None
    postgres: PostgresConfig | None = None
    redis: RedisConfig | None = None
    mcp: dict[str, McpServer] = Field(default_factory=dict)
    synthetic: Synthetic = Synthetic()
    history: HistoryConfig = HistoryConfig()
    retention: dict[str, RetentionRule] = Field(default_factory=dict)
    storage: dict[str, StorageVolume] = Field(default_factory=dict)
    rights: RightsConfig | None = None
    changes: dict[str, ChangeHistory] = Field(default_factory=dict)
    breakers: dict[str, BreakerConfig] = Field(default_factory=dict)
    recovery: Recovery | None = None
    regions: Regions | None = None
    playbook: Playbooks = Playbooks()
    limits: Limits = Limits()
    actions: Actions = Actions()
    attestations: dict[str, Attestation] = Field(default_factory=dict)
    people: dict[str, Person] = Field(default_factory=dict)
    on_call: OnCall | None = None
    notify: dict[str, NotifyTarget] = Field(default_factory=dict)
    incidents: IncidentHours = IncidentHours()
    report: ReportConfig = ReportConfig()
    llmops: LlmOps = LlmOps()
    faults: FaultsConfig = FaultsConfig()
    waivers: tuple[Waiver, ...] = ()
    sev1_waivers_allowed: bool = False
    evidence: EvidenceConfig = EvidenceConfig()
    keys: dict[str, KeyRule] = Field(default_factory=dict)

    def has(self, part: Part) -> bool:
        """Whether the target describes `part`; a part neither described nor declared absent is refused on loading."""
        return part not in self.absent

    def absence(self, part: Part) -> str:
        """A part that the target declares absent, with the reason where it gives one."""
        reason = self.absent.get(part, "")
        return say("{part} absent ({reason})", part=part, reason=reason) if reason else say("{part} absent", part=part)

    def owner_of(self, check_id: str) -> str:
        """The owner of a check, by the family its id begins with."""
        return self.owners.families.get(check_id.partition(".")[0], self.owners.default)


def require(part: T | None) -> T:
    """Return `part` of a target, which the plan requires to be there.

    Raises LookupError where a check uses a part that it does not name in `needs`.
    """
    if part is None:
        raise LookupError("a check uses a part of the target that it does not name in `needs`")
    return part
