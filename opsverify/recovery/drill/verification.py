"""Verification of a drill's restored server: facts, RPO sources, one table, a platform, and everything else queried.

Each step returns one frozen part; those that were reached stay where a later one fails.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import secrets
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from opsverify.errors import Inconclusive, NotRestorable
from opsverify.language.message import say
from opsverify.recovery.drill.parts import (
    NO_LEDGER,
    NO_PLATFORM,
    AnswersPart,
    DrillParts,
    LedgerPart,
    NotReached,
    PlatformPart,
    RestorePart,
    TablePart,
    ValidationPart,
)
from opsverify.recovery.drill.platform import SMOKE, start_platform
from opsverify.recovery.postgres.blame import fault_of
from opsverify.recovery.postgres.identifiers import qualified
from opsverify.recovery.postgres.scratch import make_open
from opsverify.recovery.postgres.server_log import scan_log
from opsverify.recovery.restore.restored_server import without_syncing
from opsverify.recovery.restore.throughput import extrapolate
from opsverify.recovery.rpo.measure import RpoInputs
from opsverify.recovery.rpo.objectives import rto
from opsverify.recovery.verify.coverage import outside
from opsverify.recovery.verify.examination import Examination, examine_stopped, without_roles
from opsverify.recovery.verify.finding import Finding
from opsverify.recovery.verify.key_counts import compare
from opsverify.recovery.verify.questions import sampling_of
from opsverify.recovery.verify.single_table import SCRATCH, restore_table
from opsverify.units import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from opsverify.config.recovery import Recovery
    from opsverify.recovery.backup.source import Unpacked
    from opsverify.recovery.drill.timing import StageTimer
    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.ledger import Recorded
    from opsverify.recovery.ledger.queries import Facts, Source
    from opsverify.recovery.ledger.validations import Validation
    from opsverify.recovery.postgres.server import Server
    from opsverify.recovery.restore.restored_server import RestoredServer
    from opsverify.recovery.restore.throughput import Extrapolated
    from opsverify.recovery.rpo.measure import RpoMeasurement

    Reached = Generator[DrillParts, None, None]
    """The parts reached so far, after each step that reached one."""

READ = 1_000_000
_LARGEST = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 ORDER BY coalesce(array_position(ARRAY[{named}]::text[], c.relname::text), 1000000),
          pg_total_relation_size(c.oid) DESC LIMIT 8
"""
_SEED_BITS = 48
_READ_S = 3600.0


@dataclass(frozen=True)
class DrillVerification:
    """Inputs of a drill, and the steps that verify its restored server."""

    recovery: Recovery
    dbname: str
    recorded: Recorded | None
    validations: Mapping[str, Validation]
    timer: StageTimer
    scratch: Path
    evidence: Path
    history: History | None = None
    live: Callable[[], Source] | None = None

    def verify(
        self,
        server: RestoredServer,
        before: float,
        read: ReadRows,
        durations: Mapping[str, float],
        physical: Unpacked | None,
        parts: DrillParts,
        *,
        with_roles: bool = True,
    ) -> Reached:
        """Validate the restored data, restore one table alone, start a platform on it, verify everything else.

        `before` is when the restore began, in seconds of the drill; `physical` is None for a dump.
        """
        ends = (before + server.to_target_s, before + server.to_read_write_s)
        times = rto(*ends)
        recovered_to = server.recovered_to.isoformat() if server.recovered_to else None
        parts = replace(
            parts,
            restore=RestorePart(
                times.to_target_s,
                times.to_read_write_s,
                recovered_to,
                server.timeline,
                read.rows,
                durations,
                server.overridden,
                read.table,
            ),
        )
        yield parts
        with self.timer.stage("validate"):
            parts = replace(parts, ledger=self._ledger_facts(server))
            yield parts
            if physical is not None:
                parts = replace(parts, rpo=self._rpo(server, physical, parts.archive_read_at))
                yield parts
            log = scan_log(server.server.log_lines(), server.server.refusals)
        validated_s = self.timer.elapsed()
        rto(*ends, validated_s)
        more = self._extrapolate(parts.backup.size or 0, validated_s)
        parts = replace(parts, validation=ValidationPart(validated_s, log.errors, log.slow, more))
        yield parts
        data = self.scratch / "data"
        without_syncing(server.server, data)
        with ExitStack() as stack:
            with self.timer.stage("catalog"):
                examination = stack.enter_context(self._examination(server, data))
            with self.timer.stage(say("random table")) as transferred:
                table = self._random_table(server)
                transferred.bytes = None if isinstance(table, NotReached) else table.size
            parts = replace(parts, table=table)
            yield parts
            with self.timer.stage("examine"):
                answers = examination.answers()
        parts = replace(parts, platform=self._platform(server, validated_s))  # not earlier: a platform writes
        yield parts
        with self.timer.stage("checksums"):  # last: it stops the server
            answers |= examine_stopped(server, data, self.history)
        if not with_roles:
            answers = without_roles(answers)
        findings = {name: Finding.from_dict(answer) for name, answer in answers.items()}
        yield replace(parts, answers=AnswersPart(findings))

    def _examination(self, server: RestoredServer, data: Path) -> Examination:
        chosen, out = sampling_of(self.recovery), outside(self.recovery)
        within_s = self.recovery.examine_within_s
        return Examination(server, self.dbname, data, self.history, chosen, self.live, out, within_s)

    def _ledger_facts(self, server: RestoredServer) -> LedgerPart | NotReached:
        """Facts of the restored database, for the windows that the ledger recorded."""
        if not self.recorded:
            return NO_LEDGER
        return LedgerPart(_query(server.dsn, self.dbname, self.recorded, self.validations))

    def _rpo(self, server: RestoredServer, physical: Unpacked, archive_read_at: str) -> RpoMeasurement:
        """The data lost if the disaster had been at `archive_read_at`, as the RPO sources report it."""

        def numbers(table: str) -> list[int]:
            rows = server.server.rows(f"SELECT number FROM {qualified(table)}", dbname=self.dbname)  # noqa: S608 - quoted
            return [int(number) for (number,) in rows]

        inputs = RpoInputs(self.recovery, physical.backup, physical.archive, server.server.tools)
        at = dt.datetime.fromisoformat(archive_read_at)
        return inputs.of_drill(server.recovered_to, server.target_time, at, numbers)

    def _extrapolate(self, copied: int, validated_s: float) -> Extrapolated | None:
        """How long a restore of production's size would take; None where that size is not given."""
        size = self.recovery.production_bytes
        copying = sum(stage.seconds for stage in self.timer.stages if stage.name == "copy")
        return extrapolate(int(size), copied, self.timer.meter.rates, validated_s - copying) if size else None

    def _platform(self, server: RestoredServer, validated_s: float) -> PlatformPart | NotReached:
        """Start a platform on the restored database, clear its cache, smoke it, and read the cache again.

        `validated_s` is when the data was validated: `to_serving_s` goes on from there.
        """
        if self.recovery.platform is None:
            return NO_PLATFORM
        began = self.timer.elapsed()
        part = PlatformPart()
        try:
            with ExitStack() as stack:
                with self.timer.stage("platform"):
                    home = self.scratch / "platform"
                    platform = stack.enter_context(
                        start_platform(self.recovery.platform, server.server, self.dbname, home)
                    )
                if self.recovery.platform.clear_cache:
                    with self.timer.stage("cache"):
                        part = replace(part, cleared_at=platform.clear_cache().isoformat())
                with self.timer.stage("smoke"):
                    part = replace(part, smoke=platform.smoke(self.evidence / SMOKE))
                if part.cleared_at:
                    part = replace(part, cached=platform.cached())
                part = replace(part, to_serving_s=validated_s + self.timer.elapsed() - began)
        except Inconclusive as error:
            return replace(part, blocked=str(error))
        return part

    def _random_table(self, server: RestoredServer) -> TablePart | NotReached:
        seed = self.recovery.random_seed
        seed = secrets.randbits(_SEED_BITS) if seed is None else seed
        folder = self.scratch / "table"
        make_open(folder)
        try:
            most = int(parse_bytes(self.recovery.random_table_max))
            drawn = restore_table(server.server, self.dbname, folder, self.recovery.random_tables, seed, most)
            return self._compare_with_ledger(server, TablePart(**asdict(drawn)))
        except NotRestorable as error:
            return NotReached(say("{error} (seed {seed})", error=error, seed=seed), "backup")
        except Inconclusive as error:
            return NotReached(say("{error} (seed {seed})", error=error, seed=seed))

    def _compare_with_ledger(self, server: RestoredServer, part: TablePart) -> TablePart:
        """Compare the table that was restored alone with the ledger, if that recorded it."""
        name = part.table.removeprefix("public.")
        if self.recorded is None or name not in self.recorded.tables or part.share < 1:
            return part
        recorded = replace(
            self.recorded,
            tables={name: self.recorded.tables[name]},
            windows={name: self.recorded.windows[name]},
        )
        found = _query(server.dsn, SCRATCH, recorded, self.validations)
        different = compare(recorded, found, server.target_time, self.validations)
        return replace(part, ledger_keys=len(recorded.tables[name]), ledger_differences=tuple(map(str, different)))


@dataclass(frozen=True)
class ReadRows:
    """Rows of one table that could be read at the target; no `table` in a database without tables."""

    table: str | None
    rows: int | None


def read_rows(server: Server, dbname: str, validations: Mapping[str, Validation]) -> ReadRows:
    """Count at most `READ` rows of one table while the server pauses at its target, where nothing can be written yet.

    The table is the first that a validation names, else the largest one that holds rows. Raises NotRestorable where
    the database is missing, or cannot be read.
    """
    named = ", ".join(f"'{one.header.table.replace(chr(39), chr(39) * 2)}'" for one in validations.values()) or "NULL"
    chosen = server.psql(_LARGEST.format(named=named), dbname=dbname, timeout_s=_READ_S)
    if chosen.exit_code != 0:
        if f'database "{dbname}" does not exist' in chosen.stderr:
            there = server.rows("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")
            names = ", ".join(name for (name,) in there)
            raise NotRestorable(
                say(
                    'database "{dbname}" is not in the backup, which has {names}',
                    dbname=dbname,
                    names=names or say("none"),
                )
            )
        raise fault_of(
            chosen.first_error,
            say("the restored database cannot be read: {first_error}", first_error=chosen.first_error),
        )
    read = ReadRows(None, None)
    for (table,) in csv.reader(io.StringIO(chosen.stdout)):
        statement = f"SELECT count(*) FROM (SELECT FROM {table} LIMIT {READ}) readable"  # noqa: S608 - quoted by the catalog
        answer = server.psql(statement, dbname=dbname, timeout_s=_READ_S)
        if answer.exit_code != 0:
            raise fault_of(
                answer.first_error,
                say("the restored database cannot be read: {first_error}", first_error=answer.first_error),
            )
        read = ReadRows(table, int(answer.stdout.strip()))
        if read.rows:
            break
    return read


def _query(dsn: str, dbname: str, recorded: Recorded, validations: Mapping[str, Validation]) -> dict[str, Facts]:
    from opsverify.recovery.postgres.session import RestoredSession  # noqa: PLC0415 - loads psycopg

    with RestoredSession(dsn, dbname) as session:
        return recorded.read_facts(session.rows, validations)
