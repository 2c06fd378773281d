"""Server of a drill: PostgreSQL started as a child process, watched, queried through psql, stopped."""

from __future__ import annotations

import csv
import io
import re
import signal
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.postgres.tools import ToolRun, tool_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from opsverify.recovery.postgres.tools import Account, Tools

_POLL_S: Final = 0.1
_SHOWN: Final = 80
_STOPS: Final = (
    (signal.SIGINT, 20.0),
    (signal.SIGQUIT, 5.0),
    (signal.SIGKILL, 5.0),
)  # fast, immediate, SIGKILL
_AS_TEXT: Final = "SET client_encoding = 'UTF8'"  # else statements are taken for text in the database's own encoding
_FATAL: Final = re.compile(r"(?:FATAL|PANIC):  (?!the database system is |terminating (?:connection|background))(.*)")


_NO_ROLE: Final = re.compile(r'role "[^"]*" (?:does not exist|is not permitted to log in)')
_NO_DATABASE: Final = re.compile(r'database "[^"]*" (?:does not exist|is not currently accepting connections)')
_PASSING: Final = (
    "the database system is", "not yet accepting connections", "terminating connection", "too many clients",
    "remaining connection slots", "sorry, too many", "Consistent recovery state",
)  # fmt: skip
"""Refusals that go away by themselves; any other is final."""
_SETTLED: Final = ("pausing at the end of recovery", "database system is ready to accept connections")
_ERRORS: Final = 50


class ServerExited(Inconclusive):
    """The drill's server exited by itself; `reason` is the last error line of its log."""

    def __init__(self, reason: str) -> None:
        super().__init__(say("the restored server exited: {reason}", reason=reason))
        self.reason = reason


class Server:
    """A server on `data_dir` that listens on a private socket folder and on loopback; a context manager.

    `settings` go on its command line, which overrides every configuration file of the backup. `superusers` and
    `databases` are further names to connect with, where the given one, or `postgres`, does not exist; `options` are
    those of every session.
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
        superusers: Sequence[str] = (),
        databases: Sequence[str] = (),
        options: str = "",
    ) -> None:
        self.tools = replace(tools, options=options)
        self.account = account
        self.socket_dir = socket_dir
        self.port = port
        self._superusers = _first_known(superuser, superusers)
        self._databases = list(dict.fromkeys((*_first_known("postgres", databases), "template1")))
        self.refusals: set[str] = set()
        """FATAL lines of the names that the drill itself tried: no errors of the restored database."""
        self._refused = 0
        self.log = log
        self._argv = [tools.path("postgres"), "-D", str(data_dir)]
        for name, value in settings.items():
            self._argv += ["-c", f"{name}={value}"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def superuser(self) -> str:
        """The role that the drill connects as."""
        return self._superusers[0]

    @property
    def maintenance(self) -> str:
        """The database for statements that need none in particular."""
        return self._databases[0]

    def dsn(self, dbname: str) -> str:
        """Connection string of a database, over the private socket."""
        parts = {"host": str(self.socket_dir), "port": str(self.port), "user": self.superuser, "dbname": dbname}
        if self.tools.options:
            parts["options"] = self.tools.options
        return " ".join(f"{name}={_value(value)}" for name, value in parts.items())

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
            raise ServerExited(say("stopped by opsverify"))
        try:
            status = self._process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            return
        raise ServerExited(self._exit_reason() or say("exit status {status} and an empty log", status=status))

    def psql(self, sql: str, *, dbname: str | None = None, timeout_s: float = 30.0) -> ToolRun:
        """Send `sql` as the superuser over the private socket; the output is CSV without a header."""
        where = ("-h", self.socket_dir, "-p", str(self.port), "-U", self.superuser, "-d", dbname or self.maintenance)
        return self.tools.run(
            "psql",
            *where,
            *("-X", "-q", "-w", "--csv", "-t", "-v", "ON_ERROR_STOP=1"),
            *("-c", _AS_TEXT, "-c", sql),
            timeout_s=timeout_s,
        )

    def row(self, sql: str, *, dbname: str | None = None) -> list[str]:
        """Return the first row that `sql` gives, as text.

        Raises Inconclusive when the statement fails.
        """
        rows = self.rows(sql, dbname=dbname)
        if not rows:
            raise Inconclusive(say("the restored server returned no row for {brief!r}", brief=_brief(sql)))
        return rows[0]

    def rows(self, sql: str, *, dbname: str | None = None, timeout_s: float = 30.0) -> list[list[str]]:
        """Return all rows that `sql` gives, as text; NULL is an empty text.

        Raises Inconclusive when the statement fails.
        """
        done = self.psql(sql, dbname=dbname, timeout_s=timeout_s)
        if done.exit_code != 0:
            raise Inconclusive(
                say(
                    "the restored server: {brief!r} failed: {first_error}",
                    brief=_brief(sql),
                    first_error=done.first_error,
                )
            )
        return list(csv.reader(io.StringIO(done.stdout)))

    def wait_for(
        self,
        sql: str,
        wanted: str,
        *,
        within_s: float,
        what: str,
        seen: Callable[[list[str]], None] = lambda _row: None,
        stalled_s: float | None = None,
    ) -> list[str]:
        """Query `sql` until the first column of its first row is `wanted`; that row. `seen` gets every first row.

        Raises ServerExited when the server exits, and Inconclusive: after `within_s` seconds, after `stalled_s`
        without any change of that row, and at once where the server refuses for a reason that does not go away.
        """
        deadline = time.monotonic() + within_s
        before: list[str] = []
        changed_at = time.monotonic()
        errors = 0
        while True:
            done = self.psql(sql)
            rows = list(csv.reader(io.StringIO(done.stdout))) if done.exit_code == 0 else []
            errors = 0 if rows else errors + 1
            if rows:
                seen(rows[0])
                if rows[0][0] == wanted:
                    return rows[0]
            self.pause()
            if not rows and (why := self._lasting(done, errors)):
                raise Inconclusive(
                    say(
                        "{what}: {why}; last lines of its log: {log_lines}",
                        what=what,
                        why=why,
                        log_lines=self.log_lines()[-2:],
                    )
                )
            last = rows[0] if rows else [done.last_line]
            if last != before:
                before, changed_at = last, time.monotonic()
            limit = f"{within_s:g} s" if time.monotonic() > deadline else None
            if stalled_s is not None and time.monotonic() - changed_at > stalled_s:
                limit = say("{stalled_s:g} s without any progress", stalled_s=stalled_s)
            if limit:
                raise Inconclusive(
                    say(
                        "{what}: not within {limit}, last seen: {last}; last lines of its log: {log_lines}",
                        what=what,
                        limit=limit,
                        last=", ".join(last),
                        log_lines=self.log_lines()[-2:],
                    )
                )

    def _lasting(self, done: ToolRun, errors: int) -> str | None:
        """Why waiting is in vain; None while the server starts, or another name may be tried."""
        refusal = next((line for line in done.stderr.splitlines() if "FATAL:" in line), None)
        if refusal is None:
            lasting = errors >= _ERRORS and "ERROR:" in done.stderr and "conflict with recovery" not in done.stderr
            return done.first_error if lasting else None
        names = (
            self._superusers if _NO_ROLE.search(refusal) else self._databases if _NO_DATABASE.search(refusal) else []
        )
        if names:
            # A name may come with WAL that is still to be replayed: only then every one of them was tried in vain.
            names.append(names.pop(0))
            self._refused += 1
            self.refusals.add(refusal.partition("FATAL:")[2].strip())
            tried = self._refused > 2 * len(self._superusers) * len(self._databases)
            return (
                say("{refusal} (tried: {names})", refusal=refusal, names=", ".join(names))
                if tried and self._settled()
                else None
            )
        return None if any(words in refusal for words in _PASSING) else refusal

    def _settled(self) -> bool:
        return any(words in line for line in self.log_lines() for words in _SETTLED)

    def log_lines(self) -> list[str]:
        """Return the server's log so far."""
        return self.log.read_text(encoding="utf-8", errors="backslashreplace").splitlines()

    def _exit_reason(self) -> str | None:
        lines = self.log_lines()
        fatal = [match[1] for line in lines if (match := _FATAL.search(line))]
        return (fatal or lines[-1:] or [None])[0]


def _value(text: str) -> str:
    """`text` as a value of a connection string."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _brief(sql: str) -> str:
    words = " ".join(sql.split())
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}..."


def _first_known(usual: str, known: Sequence[str]) -> list[str]:
    """Names to try, each once: the usual one first where it is known, or nothing else is."""
    names = list(dict.fromkeys(known))
    return [usual, *(name for name in names if name != usual)] if usual in names or not names else [*names, usual]
