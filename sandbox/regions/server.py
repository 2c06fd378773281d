"""PostgreSQL of one region, as primary or standby of the other: clone, promote, rewind, fence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from opsverify.language.message import say
from sandbox.postgres import STOP_FAST, SUPERUSER, Cluster
from sandbox.processes import Table, wait_until
from sandbox.regions import schema

if TYPE_CHECKING:
    import signal

    from sandbox.home import Settings

_DEADLINE_S = 60
_STREAMING = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"


class RegionServer:
    """The database server of the region `name`; its process is recorded in the region's own home."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.table = Table(settings.home)
        self.cluster = Cluster(settings, self.table)

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self.table.alive("postgres") is not None

    @property
    def in_recovery(self) -> bool:
        """Whether it is a standby."""
        return bool(self.cluster.value("SELECT pg_is_in_recovery()"))

    def create(self) -> None:
        """Make a primary with roles, tables and some days of data."""
        self.cluster.create()
        self._set_up("")
        self.cluster.start()
        self.cluster.bootstrap()
        with self.cluster.superuser() as connection:
            schema.execute(connection, schema.CREATE)
            schema.execute(connection, schema.SEED)

    def clone(self, primary: RegionServer) -> None:
        """Make a standby of `primary` with pg_basebackup and follow it through a slot."""
        for folder in (self.cluster.data, self.cluster.archive, self.cluster.backups, self.cluster.sockets):
            self.cluster.own_folder(folder)
        primary.make_slot(self.name)
        self.cluster.run(
            "pg_basebackup", "-D", str(self.cluster.data), "-d", primary.conninfo(self.name), "-S", self.name,
            "-X", "stream", "-c", "fast", "--no-sync",
        )  # fmt: skip
        self.cluster.configure()
        self.follow(primary)

    def rewind(self, primary: RegionServer) -> str:
        """Take back what only this stopped server has, from where it and `primary` parted, and follow `primary`.

        What pg_rewind said.
        """
        primary.make_slot(self.name)
        # It compares with the timeline in the source's control file, which the first checkpoint writes.
        with primary.cluster.superuser("postgres") as connection:
            connection.execute("CHECKPOINT")
        said = self.cluster.run(
            "pg_rewind", "-D", str(self.cluster.data), "--source-server", primary.conninfo(self.name, "postgres"),
            "--no-sync",
        )  # fmt: skip
        self.cluster.configure()  # it has copied the other's
        self.follow(primary)
        return "".join(line for line in said.splitlines(keepends=True) if line.startswith("pg_rewind: "))

    def follow(self, primary: RegionServer | None) -> None:
        """Start this stopped server as a standby of `primary`; with none it keeps what it has, read-only."""
        lines = ""
        if primary is not None:
            primary.make_slot(self.name)
            lines = f"primary_conninfo = '{primary.conninfo(self.name)}'\nprimary_slot_name = '{self.name}'\n"
        self._set_up(lines)
        self.cluster.write(self.cluster.data / "standby.signal", "")
        self.cluster.start()
        if primary is not None:
            self.await_streaming()

    def lead(self) -> None:
        """Start this stopped server as a primary, on the timeline it is on."""
        (self.cluster.data / "standby.signal").unlink(missing_ok=True)
        self.cluster.start()

    def await_streaming(self) -> None:
        """Wait until the standby receives WAL."""
        wait_until(
            lambda: bool(self.cluster.value(_STREAMING)), _DEADLINE_S,
            say("the {region} region's database to follow", region=self.name), self.cluster.why_ended,
        )  # fmt: skip

    def await_all_of(self, primary: RegionServer) -> None:
        """Wait until this standby has replayed what `primary` has written by now."""
        lsn = primary.cluster.value("SELECT pg_current_wal_lsn()::text")
        query = sql.SQL("SELECT pg_last_wal_replay_lsn() >= {}::pg_lsn").format(sql.Literal(lsn))

        def there() -> bool:
            with self.cluster.superuser() as connection:
                row = connection.execute(query).fetchone()
            return bool(row and row[0])

        what = say("the {region} region's database to replay {lsn}", region=self.name, lsn=lsn)
        wait_until(there, _DEADLINE_S, what, self.cluster.why_ended)

    def cut_off(self) -> None:
        """Stop this standby from receiving: the network between the regions is gone."""
        self.cluster.alter_system("primary_conninfo", "")
        wait_until(
            lambda: self.cluster.value("SELECT count(*) FROM pg_stat_wal_receiver") == 0, _DEADLINE_S,
            say("the {region} region's database to be cut off", region=self.name),
        )  # fmt: skip

    def promote(self) -> None:
        """Make a primary of this standby, on a new timeline, and wait until its history is archived."""
        self.cluster.value("SELECT pg_promote(true, 60)")
        timeline = self.cluster.value("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")
        history = self.cluster.archive / f"{timeline}.history"
        wait_until(history.exists, _DEADLINE_S, say("the archive to keep {file}", file=history.name))

    def work(self) -> None:
        """Write as operation does for a while."""
        with self.cluster.superuser() as connection:
            schema.execute(connection, schema.WORK)

    def write_unsent(self) -> None:
        """Commit what will never reach the other region."""
        with self.cluster.superuser() as connection:
            schema.execute(connection, schema.UNSENT)

    def stop(self, how: signal.Signals = STOP_FAST) -> None:
        """Stop the server; in good order it sends all it has to its standby first."""
        self.cluster.stop(how)

    def make_slot(self, name: str) -> None:
        """Keep WAL for the standby `name`."""
        with self.cluster.superuser("postgres") as connection:
            connection.execute(
                "SELECT pg_create_physical_replication_slot(%s, true)"
                " WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %s)",
                (name, name),
            )

    def _set_up(self, replication: str) -> None:
        # A promotion waits for the summarizer, which sleeps up to 30 s where little is written. A server that is
        # rewound follows from where both parted, however long ago that was: no checkpoint may have removed that WAL.
        settings = "summarize_wal = off\nwal_keep_size = '4GB'\n"
        self.cluster.write(self.cluster.data / "postgresql.auto.conf", f"{settings}{replication}")

    def conninfo(self, standby: str, dbname: str = "") -> str:
        """How the standby of that name connects."""
        database = f" dbname={dbname}" if dbname else ""
        where = f"host={self.cluster.sockets} port={self.cluster.port} user={SUPERUSER}"
        return f"{where} application_name={standby}{database}"
