"""Text of a drafted target: what was seen as keys, what was guessed with a question mark, the rest as it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import tomli_w

from opsverify.config.signals import SHARES, Signals, named_unit
from opsverify.language.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opsverify.config.database import PostgresConfig
    from opsverify.draft.database import SeenDatabase, SeenTable
    from opsverify.draft.metrics import GuessedSignals, SeenMetrics

_NOT_SEEN: Final = "? not seen when this draft was made: describe it, or write here why the platform has none"
_UNSEEN_PARTS: Final = (
    "services", "alertmanager", "redis", "mcp", "inbox", "recovery", "regions", "dead_letters",
)  # fmt: skip
_NAMED_WITH_OTHERS: Final = frozenset({"process_start", *SHARES, *(share.good for share in SHARES.values())})
"""Signals that need no entry of their own: a part of others, or one that need not be there."""
_VALIDATED: Final = ("judgment_executions", "workflow_instances", "fact_daily_production")


@dataclass(frozen=True)
class SeenPrometheus:
    """A Prometheus, what it scrapes, and which signals that may be."""

    url: str
    metrics: SeenMetrics
    guessed: GuessedSignals


def target_text(name: str, config: PostgresConfig, database: SeenDatabase, prometheus: SeenPrometheus | None) -> str:
    """Return a target file named `name` that loads as it is; every guess in it is marked with a question mark."""
    return "\n".join([*_head(name, prometheus), *_postgres(config, database), *_prometheus(prometheus),
                      *_recovery(database)]) + "\n"  # fmt: skip


def _head(name: str, prometheus: SeenPrometheus | None) -> Iterator[str]:
    yield f"# Draft of the target {name}, from what was seen; `?` marks a guess. Correct it, then: opsverify doctor"
    yield f"# --target {name}. Every key with its default: opsverify's targets/example-production.toml."
    yield from _keys(name=name)
    yield 'environment = "staging"                 # ? production | preproduction | staging | sandbox'
    yield 'language = "ko"                         # ko | en'
    yield ""
    yield "[absent]                                # parts that are not described below, each with the reason"
    canary = prometheus.guessed.split if prometheus else None
    missing = [*_UNSEEN_PARTS, *([] if prometheus else ["prometheus"]), *([] if canary else ["canary"])]
    for part in sorted(missing):
        yield from _keys(**{part: _NOT_SEEN})
    yield ""
    yield "[owners]"
    yield 'default = "platform-oncall"             # ?'
    yield ""
    yield f"# [services.{name}]                     # one for each service with a health endpoint"
    yield f'# url = "https://{name}.example.com"'
    yield '# health = "/health"'
    yield ""


def _postgres(config: PostgresConfig, seen: SeenDatabase) -> Iterator[str]:
    yield f"[postgres]                              # PostgreSQL {plain_line(seen.version)}"
    yield from _keys(host=config.host, port=config.port, dbname=config.dbname, sslmode=config.sslmode)
    if not seen.encrypted:
        yield "# The connection was not encrypted: verify-full where the server has a certificate."
    login = [_inline("user", config.login.user)]
    if config.login.password is not None and config.login.password.env is not None:
        login.append(f"password = {{ {_inline('env', config.login.password.env)} }}")
    yield f"login = {{ {', '.join(login)} }}"
    yield from _keys(writable=not seen.standby, replicas=seen.replicas, archives_wal=seen.archives)
    if seen.read_often is not None:
        yield from _keys(reads=f"SELECT 1 FROM {seen.read_often.quoted} LIMIT 1")  # noqa: S608 - quoted by the server
    else:
        yield from _keys(reads="SELECT 1")
        yield "# ? no table with rows was seen: name one, so that a server that returns nothing is noticed"
    if seen.migration is not None:
        yield f"migration = {{ {_inline('query', seen.migration.query)}, {_inline('head', seen.migration.head)} }}"
    yield ""


def _prometheus(seen: SeenPrometheus | None) -> Iterator[str]:
    if seen is None:
        return
    metrics, guessed = seen.metrics, seen.guessed
    yield f"[prometheus]                            # {metrics.total} metrics"
    yield from _keys(url=seen.url)
    yield from _keys(jobs=list(metrics.jobs), rules=list(metrics.rules))
    yield "# ? jobs and rules of other platforms do not belong here"
    yield ""
    yield "[prometheus.signals]"
    for note in guessed.notes:
        yield from _comment(note)
    for signal in Signals.model_fields:
        yield from _signal(signal, guessed.signals)
    yield ""
    if guessed.split is not None:
        yield "[canary]                                # ? which of the two is the canary"
        yield from _keys(canary=guessed.split.canary, baseline=guessed.split.baseline, alerts=guessed.split.canary)
        yield ""


def _signal(name: str, guessed: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    if name in guessed:
        metric, match = guessed[name]
        more = {"match": match} if match else {}
        unit = named_unit(metric)
        if name == "duration_buckets" and unit not in (None, "s"):
            more["unit"] = str(unit)
        if name == "durations" and guessed[name] == guessed.get("requests"):
            more["same_as"] = "requests"
        keys = ", ".join(_inline(key, value) for key, value in ({"metric": metric} | more).items())
        yield f"{name} = {{ {keys} }}  # ?"
    elif name not in _NAMED_WITH_OTHERS or (name == "request_errors" and "requests" in guessed):
        yield f"{name} = {{ {_inline('absent', _NOT_SEEN)} }}"


def _recovery(seen: SeenDatabase) -> Iterator[str]:
    yield "# Tables: each is compared row by row after a restore. [recovery.tables] corrects this list: the column by"
    yield "# which rows are in order, the columns that change after a row was written, how long rows are kept."
    width = max((len(plain_line(table.name)) for table in seen.tables), default=0)
    for table in seen.tables:
        yield f"#   {plain_line(table.name):<{width}}  {_of_table(table)}"
    for line in seen.unreadable:
        yield from _comment(f"  not readable: {line}")
    yield "#"
    yield "# [recovery]                            # where backups and the WAL archive are, as this machine sees them"
    if seen.backups is not None:
        tool, name = seen.backups
        yield f'# method = "{tool}"                 # ? archive_command names it'
        yield f"# {tool} = {{ {_inline('stanza' if tool == 'pgbackrest' else 'server', name)} }}"
    else:
        yield '# method = "basebackup"                 # basebackup | incremental | pg_dump | pgbackrest | barman'
        yield '# base_backup = "/backup/base"'
        yield '# wal_archive = "/backup/wal"'
    yield '# ledger = "../ledger.sqlite"           # what `opsverify ledger capture` records'
    yield '# scratch = "/var/tmp/opsverify"        # where rehearsals restore'
    held = {table.name for table in seen.tables}
    if missing := [name for name in _VALIDATED if name not in held]:
        yield "# [recovery.not_applicable]             # the runbook's validations of tables that are not here"
        for name in missing:
            yield f'# {name} = "?"'


def _of_table(table: SeenTable) -> str:
    key = f"key {', '.join(table.key)}" if table.key else "no key"
    order = f"in order of {table.ordered_by}" if table.ordered_by else "no order"
    changes = f"updated {table.updates:,} times" if table.updates else "never updated"
    return plain_line(f"about {table.rows:,} rows; {key}; {order}; {changes}, {table.deletes:,} deleted")


def _keys(**values: Any) -> Iterator[str]:  # noqa: ANN401 - whatever TOML can hold
    yield from tomli_w.dumps(values).rstrip("\n").split("\n")  # a name may hold other line ends


def _inline(key: str, value: str) -> str:
    return tomli_w.dumps({key: value}).strip()


def _comment(text: str) -> Iterator[str]:
    yield f"# {plain_line(text)}"
