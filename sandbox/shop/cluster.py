"""PostgreSQL of a shop, as Debian sets one up: configuration outside of the data, another superuser, no `postgres`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from sandbox.postgres import Cluster, archive_command
from sandbox.shop.settings import ADMIN, APP_ROLE, DATABASE, FOLDER, READER, ROLES, TEMPLATES

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.home import Settings
    from sandbox.processes import Table


class ShopCluster(Cluster):
    """The server; its postgresql.conf and pg_hba.conf lie in `etc`, which no base backup holds."""

    admin = ADMIN
    database = DATABASE
    templates = TEMPLATES

    def __init__(self, settings: Settings, table: Table) -> None:
        super().__init__(settings, table)
        self.etc = settings.data_dir / "etc"

    @property
    def config(self) -> Path:
        """The server's postgresql.conf."""
        return self.etc / "postgresql.conf"

    def create(self) -> None:
        """Make the folders and an empty cluster with default segments and a libc locale."""
        for folder in (self.data, self.archive, self.backups, self.sockets, self.etc):
            self.own_folder(folder)
        self.run("initdb", "-D", str(self.data), "-U", ADMIN, "-A", "scram-sha-256", "--auth-local=trust",
                 "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")  # fmt: skip
        for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
            (self.data / name).unlink()
        self.configure()

    def configure(self) -> None:
        """Write the configuration into `etc`."""
        values = {
            "port": str(self.port),
            "sockets": str(self.sockets),
            "data": str(self.data),
            "etc": str(self.etc),
            "archive_command": archive_command(self.archive),
        }
        for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
            text = (self.templates / name).read_text(encoding="utf-8")
            for key, value in values.items():
                text = text.replace(f"@{key}@", value.replace("'", "''"))
            self.write(self.etc / name, text)

    def bootstrap(self) -> None:
        """Make roles and the database from `shop.sql`; the database `postgres` goes, as many a DBA has it."""
        with self.superuser("template1") as connection:
            for role in ROLES:
                password = sql.Literal(self._settings.secret(role))
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), password))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
            connection.execute("DROP DATABASE postgres")
            connection.execute(sql.SQL("GRANT pg_monitor, pg_read_all_data TO {}").format(sql.Identifier(READER)))
            connection.execute(sql.SQL("ALTER ROLE {} BYPASSRLS").format(sql.Identifier(READER)))
            connection.execute("CREATE ROLE shop_support NOLOGIN")
        with self.superuser() as connection:
            connection.execute((FOLDER / "shop.sql").read_bytes())
            for extension in ("pg_stat_statements", "amcheck", "pageinspect"):
                connection.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(extension)))
            for grant in ("USAGE ON SCHEMA app", "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app"):
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.SQL(grant), sql.Identifier(APP_ROLE)))
            connection.execute("VACUUM (FREEZE, ANALYZE)")
