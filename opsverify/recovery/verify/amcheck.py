"""The restored server's own storage, verified by PostgreSQL's own tools: amcheck and checksums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opsverify.language.message import say
from opsverify.recovery.verify.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.recovery.postgres.server import Server

_HOURS_S: Final = 4 * 3600.0


def check_indexes(server: Server, dbname: str) -> Finding:
    """Check every heap and B-tree index, each against the other (`pg_amcheck`, manual page of PostgreSQL 18)."""
    where = ("-h", server.socket_dir, "-p", str(server.port), "-U", server.superuser, "-d", dbname)
    done = server.tools.run(
        "pg_amcheck",
        *where,
        "--no-password",
        "--install-missing",
        "--no-strict-names",
        "--heapallindexed",
        "--parent-check",
        "--rootdescend",
        timeout_s=_HOURS_S,
    )
    output = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
    lines = [line for line in output if line and not line.startswith("NOTICE:")]  # that amcheck is installed already
    if done.exit_code == 0 and not lines:
        return Finding(1, say("problems found by pg_amcheck"), (), notes=(done.transcript,))
    if done.exit_code == 2:  # noqa: PLR2004 - the manual page's status for corruption
        problems = tuple(_paired(lines)) or tuple(lines)
        return Finding(1, say("problems found by pg_amcheck"), problems, notes=(done.transcript,))
    return Finding(
        0,
        say("problems found by pg_amcheck"),
        unknown=say("pg_amcheck could not be carried out: {line}", line=done.last_line),
    )


def _paired(lines: list[str]) -> Iterator[str]:
    """Join each relation's line ('heap table "a.b.c", block 1:') with the reason on the next."""
    head = ""
    for line in lines:
        if line.endswith(":"):
            head = line
        elif (head or ":" in line) and not line.startswith(("query was", "CONTEXT", "DETAIL", "HINT")):
            yield f"{head} {line}".strip()
            head = ""


def check_checksums(server: Server, data_dir: Path, in_production: bool | None = None) -> Finding:  # noqa: FBT001 - as recorded
    """Verify the checksum of every page on disk; call it last: the server is stopped for it, in good order.

    A cluster without checksums is unknown, not a pass, unless production was recorded to have none (`in_production`).
    """
    server.stop()
    done = server.tools.run("pg_checksums", "--check", "-D", data_dir, timeout_s=_HOURS_S, account=server.account)
    bad = tuple(line.partition("error: ")[2] for line in done.stderr.splitlines() if "verification failed" in line)
    if bad:
        return Finding(1, say("pages fail their checksum"), bad, notes=(done.transcript,))
    if "not enabled" in done.stderr and in_production is False:
        of = say("differences from production, whose pages have no checksums either")
        return Finding(1, of, notes=(say("to have them: pg_checksums --enable on production"), done.transcript))
    if done.exit_code != 0 or "Bad checksums:  0" not in done.stdout:
        hint = say("; switch them on: pg_checksums --enable") if "not enabled" in done.stderr else ""
        return Finding(
            0,
            say("pages fail their checksum"),
            unknown=say("pg_checksums could not verify: {line}{hint}", line=done.last_line, hint=hint),
        )
    return Finding(1, say("pages fail their checksum"), (), notes=(done.transcript,))
