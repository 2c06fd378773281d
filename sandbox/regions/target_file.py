"""Target file of the two regions, and the report of a switchback."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import tomli_w

from sandbox.home import REPOSITORY, write_atomic
from sandbox.regions.ground import ADDRESSES, CACHE_TTL_S, DR, ORIGINAL, RESOLVERS, TTL_S
from sandbox.regions.ground import NAME as DNS_NAME

if TYPE_CHECKING:
    from sandbox.regions.ground import Ground

NAME = "target.toml"
RECORD = "switchback.toml"


def write(ground: Ground, serving: str) -> None:
    """Write the target file: services and database are those of the region that serves."""
    ports = ground.ports
    moments = {"outage_at": ground.outage_at, "switched_at": ground.switched_at}
    content = {
        "name": "regions",
        "environment": "sandbox",
        "absent": ["prometheus", "alertmanager", "mcp", "canary", "inbox", "recovery"],
        "owners": {"default": "platform-oncall"},
        "services": {
            "judgment": {
                "url": f"https://{ADDRESSES[serving]}:{ports['http']}",
                "ca_file": "tls/authority.pem",
                "version": "1.4.0",
            }
        },
        "postgres": _database(ground, serving),
        "redis": {
            "host": "127.0.0.1",
            "port": ports["redis"],
            "password": {"file": "secrets/redis"},
            "cache_ttl": f"{CACHE_TTL_S}s",
        },
        "synthetic": {
            "allowed": True,
            "tables": ["workflow_instances", "judgment_executions"],
            "cleanup": {"user": "opsverify_smoke", "password": {"file": "secrets/opsverify_smoke"}},
            "journeys": [str(REPOSITORY / "sandbox" / "regions" / "journeys.toml")],
        },
        "regions": {
            "url": f"https://{DNS_NAME}:{ports['http']}/health",
            "ca_file": "tls/authority.pem",
            "resolvers": [f"127.0.0.1:{ports[name]}" for name in RESOLVERS],
            "ttl": f"{TTL_S}s",
            "switchback": ground.choice,
            "wal_archive": str(ground.region(ORIGINAL).data_dir / "wal"),
            "dr_wal_archive": str(ground.region(DR).data_dir / "wal"),
            **{name: moment for name, moment in moments.items() if moment},
            "tables": [
                {"name": "judgment_executions", "key": ["id"], "changed": "created_at"},
                {"name": "workflow_instances", "key": ["id"], "changed": "changed_at"},
                {"name": "fact_daily_production", "key": ["date", "line_code"], "changed": "changed_at"},
            ],
            "original": {
                "marker": ORIGINAL,
                "addresses": [ADDRESSES[ORIGINAL]],
                "closed": [f"127.0.0.1:{ports['admin']}"],
                "database": _database(ground, ORIGINAL),
            },
            "dr": {"marker": DR, "addresses": [ADDRESSES[DR]], "database": _database(ground, DR)},
        },
        "limits": {"service_latency": "< 2.5 s", "replication_lag": "<= 1 s"},
        "attestations": {"switchback": {"record": RECORD}},
    }
    comment = f"# Two regions on this machine, made by `opsverify sandbox regions up`; {serving} serves.\n"
    write_atomic(ground.home / NAME, comment + tomli_w.dumps(content), mode=0o644)


def record(ground: Ground) -> None:
    """Write the report of the switchback, as the person who did it would."""
    began, ended = ground.outage_at, ground.switched_at
    minutes = (ended - began).total_seconds() / 60 if began and ended else 0.0
    content = {
        "release": "1.4.0",
        "what": f"switchback ({ground.choice})",
        "by": "sandbox",
        "signed_off_by": "sandbox",
        "at": datetime.now(UTC),
        "downtime": f"{minutes:.1f} minutes in the DR region",
        "impact": "three commits of the original region were lost with it",
        "actions": "none: this is the stand-in",
    }
    write_atomic(ground.home / RECORD, tomli_w.dumps(content), mode=0o644)


def _database(ground: Ground, region: str) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "port": ground.ports[f"postgres-{region}"],
        "dbname": "judgment",
        "login": {"user": "opsverify_ro", "password": {"file": "secrets/opsverify_ro"}},
        "sslmode": "disable",
        "statement_timeout_s": 5.0,
    }
