"""Server of a drill: PostgreSQL started as a child process, watched, queried through psql, stopped."""

from __future__ import annotations

import csv
import io
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Final, Self

from opsverify.errors import Inconclusive
from opsverify.recovery.postgres.tools import ToolRun, tool_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from opsverify.recovery.postgres.tools import Account, Tools

_POLL_S: Final = 0.1
_SHOWN: Final = 80
_STOPS: Final = (
    (signal.SIGINT, 20.0),
    (signal.SIGQUIT, 5.0),
    (signal.SIGKILL, 5.0),
)  # fast, immediate, SIGKILL
_FATAL: Final = re.compile(r"(?:FATAL|PANIC):  (?!the database system is |terminating (?:connection|background))(.*)")


class ServerExited(Inconclusive):
    """The drill's server exited by itself; `reason` is the last error line of its log."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the restored server exited: {reason}")
        self.reason = reason


class Server:
    """A server on `data_dir` that listens on a private socket folder and on loopback; a context manager.

    `settings` go on its command line, which overrides every configuration file of the backup.
    """

    def __init__(
        self,
        tools: Tools,
        data_dir: Path,
        settings: Mapping[str, str],
        *,
        account: Account | None,
        socket_dir: Path,
        port: int,
        superuser: str,
        log: Path,
    ) -> None:
        self.tools = tools
        self.account = account
        self.socket_dir = socket_dir
        self.port = port
        self.superuser = superuser
        self.log = log
        self._argv = [tools.path("postgres"), "-D", str(data_dir)]
        for name, value in settings.items():
            self._argv += ["-c", f"{name}={value}"]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=tool_environment(),
                start_new_session=True,  # Ctrl-C reaches opsverify alone, which then shuts the server down
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=() if self.account else None,
            )
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the server: fast shutdown, then immediate, then SIGKILL; nothing if it is not running."""
        process = self._process
        if process is None:
            return
        for sign, patience_s in _STOPS:
            if process.poll() is None:
                process.send_signal(sign)
                try:
                    process.wait(patience_s)
                except subprocess.TimeoutExpired:
                    continue
        self._process = None

    def pause(self) -> None:
        """Wait a tenth of a second between two queries. Raises ServerExited as soon as the server has exited."""
        if self._process is None:
            raise ServerExited("stopped by opsverify")
        try:
            status = self._process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            return
        raise ServerExited(self._exit_reason() or f"exit status {status} and an empty log")

    def psql(self, sql: str, *, dbname: str = "postgres", timeout_s: float = 30.0) -> ToolRun:
        """Send `sql` as the superuser over the private socket; the output is CSV without a header."""
        where = ("-h", self.socket_dir, "-p", str(self.port), "-U", self.superuser, "-d", dbname)
        return self.tools.run(
            "psql",
            *where,
            "-X",
            "-q",
            "-w",
            "--csv",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
            timeout_s=timeout_s,
        )

    def row(self, sql: str, *, dbname: str = "postgres") -> list[str]:
        """Return the first row that `sql` gives, as text.

        Raises Inconclusive when the statement fails.
        """
        rows = self.rows(sql, dbname=dbname)
        if not rows:
            raise Inconclusive(f"the restored server returned no row for {_brief(sql)!r}")
        return rows[0]

    def rows(self, sql: str, *, dbname: str = "postgres", timeout_s: float = 30.0) -> list[list[str]]:
        """Return all rows that `sql` gives, as text; NULL is an empty text.

        Raises Inconclusive when the statement fails.
        """
        done = self.psql(sql, dbname=dbname, timeout_s=timeout_s)
        if done.exit_code != 0:
            raise Inconclusive(f"the restored server: {_brief(sql)!r} failed: {done.first_error}")
        return list(csv.reader(io.StringIO(done.stdout)))

    def wait_for(
        self,
        sql: str,
        wanted: str,
        *,
        within_s: float,
        what: str,
        seen: Callable[[list[str]], None] = lambda _row: None,
    ) -> list[str]:
        """Query `sql` until the first column of its first row is `wanted`; that row. `seen` gets every first row.

        Raises ServerExited when the server exits, Inconclusive after `within_s` seconds with the row seen last.
        """
        deadline = time.monotonic() + within_s
        while True:
            done = self.psql(sql)
            rows = list(csv.reader(io.StringIO(done.stdout))) if done.exit_code == 0 else []
            if rows:
                seen(rows[0])
                if rows[0][0] == wanted:
                    return rows[0]
            self.pause()
            if time.monotonic() > deadline:
                last = ", ".join(rows[0]) if rows else done.last_line
                raise Inconclusive(
                    f"{what}: not within {within_s:g} s, last seen: {last}; "
                    f"last lines of its log: {self.log_lines()[-2:]}"
                )

    def log_lines(self) -> list[str]:
        """Return the server's log so far."""
        return self.log.read_text(encoding="utf-8", errors="backslashreplace").splitlines()

    def _exit_reason(self) -> str | None:
        lines = self.log_lines()
        fatal = [match[1] for line in lines if (match := _FATAL.search(line))]
        return (fatal or lines[-1:] or [None])[0]


def _brief(sql: str) -> str:
    words = " ".join(sql.split())
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}..."
