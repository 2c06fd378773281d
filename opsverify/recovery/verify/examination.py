"""Examination of a drill's restored server: pg_amcheck in the background, every other question beside it.

pg_amcheck takes longer than all the rest, and uses one core. A page that ends the server ends what runs beside it too:
the server is started again, and what was interrupted is asked once more, by itself.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from opsverify.errors import Inconclusive
from opsverify.language.message import say
from opsverify.recovery.ledger.catalog import KINDS
from opsverify.recovery.ledger.queries import NAMES_ON
from opsverify.recovery.postgres.server import ServerExited
from opsverify.recovery.verify import amcheck
from opsverify.recovery.verify.finding import Finding, finding_of
from opsverify.recovery.verify.questions import CATALOG, COVERAGE, Questions
from opsverify.recovery.verify.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from opsverify.recovery.ledger.history import History
    from opsverify.recovery.ledger.queries import Source
    from opsverify.recovery.postgres.server import Server
    from opsverify.recovery.restore.restored_server import RestoredServer
    from opsverify.recovery.verify.ledger_checks import Sampling
    from opsverify.recovery.verify.questions import Ask

_OF_ROLES: Final = ("roles", "grants")
_STORAGE: Final = ("pages", "indexes")
"""Questions that are asked together: the first learns about indexes too."""
_START_S: Final = 600.0


class Examination:
    """Every question that needs the restored server running; a context manager.

    On entry the catalog is compared, before any extension is installed, and pg_amcheck begins. `answers` asks the
    rest. Left by an error, it stops the server, which ends pg_amcheck.
    """

    def __init__(
        self,
        server: RestoredServer,
        dbname: str,
        data_dir: Path,
        history: History | None,
        sampling: Sampling | None = None,
        live: Callable[[], Source] | None = None,
        left_out: Mapping[str, str] | None = None,
        within_s: float = math.inf,
    ) -> None:
        """`within_s` limits what pg_amcheck and the record do not cover; what was not reached by then is named."""
        from opsverify.recovery.postgres.session import ERRORS, RestoredSession  # noqa: PLC0415 - probes are imported when used

        self._server, self._dbname, self._data_dir, self._history = server.server, dbname, data_dir, history
        self._within_s, self._ends = within_s, math.inf
        self._errors = ERRORS
        self._session = RestoredSession(server.dsn, dbname, NAMES_ON, partial(start_again, server.server))
        self._questions = Questions(
            history, server.target_time, self._session.rows, live, sampling,
            limited=False, left_out=left_out or {}, errors=(ERRORS, Inconclusive),
        )  # fmt: skip
        self._answers: dict[str, Finding] = {}
        self._background = ThreadPoolExecutor(1, "pg_amcheck")

    def __enter__(self) -> Self:
        if self._history is not None:
            self._ask(CATALOG + kind for kind in KINDS)
        self._btrees = self._background.submit(amcheck.check_indexes, self._server, self._dbname)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._session.close()
        if kind is not None:
            self._server.stop()
        self._background.shutdown()

    def answers(self) -> dict[str, Any]:
        """Ask what was not asked yet, beside pg_amcheck; every answer as JSON, by name."""
        self._ends = time.monotonic() + self._within_s
        names = tuple(self._asks())
        interrupted = self._ask(name for name in names if name not in self._answers)
        if self._session.losses:
            self._ask(name for name in names if name in interrupted)
        if self._history is not None:
            ask = partial(self._questions.coverage, self._answers.__getitem__)
            self._answers[COVERAGE] = finding_of(ask, errors=(self._errors, Inconclusive))
        return {name: self._answers[name].to_dict() for name in (*names, COVERAGE) if name in self._answers}

    def _ask(self, names: Iterable[str]) -> set[str]:
        """Answer the questions called `names`; return those that a loss of the session may have cut short."""
        asks, interrupted = self._asks(), set()
        for name in names:
            before = self._session.losses
            self._answers[name] = finding_of(asks[name], errors=(self._errors, Inconclusive))
            if self._session.losses > before:
                interrupted |= {*_STORAGE} if name in _STORAGE else {name}
        if self._session.losses:
            interrupted |= {*_STORAGE}
        return interrupted

    def _asks(self) -> dict[str, Ask]:
        asks = dict(self._questions.all())
        asks.pop("pages", None)  # the files hold more detail
        storage = Storage(
            self._data_dir, self._session.rows, self._errors, self._history, self._by_amcheck,
            lambda: time.monotonic() > self._ends,
        )  # fmt: skip
        return asks | {"pages": storage.pages, "indexes": storage.indexes}

    def _by_amcheck(self) -> Finding:
        """What pg_amcheck found; it is run again where it was ended together with the server."""
        found = self._btrees.result()
        if found.unknown and self._session.losses:
            start_again(self._server)
            return amcheck.check_indexes(self._server, self._dbname)
        return found


def start_again(server: Server) -> None:
    """Start `server` where it ended by itself; it replays its own WAL.

    One that ends takes a while over it, in which it refuses sessions: until it has ended, or answers, nothing is known.
    """
    last = time.monotonic() + _START_S
    try:
        server.pause()
        while server.psql("SELECT 1").exit_code != 0 and time.monotonic() < last:
            server.pause()
    except ServerExited:
        server.stop()
        server.__enter__()
        server.wait_for("SELECT pg_is_in_recovery()", "f", within_s=_START_S, what=say("start after a crash"))


def examine(
    server: RestoredServer, dbname: str, data_dir: Path, history: History | None, sampling: Sampling | None = None
) -> dict[str, Any]:
    """Run a whole `Examination` at once; every answer as JSON, by name."""
    with Examination(server, dbname, data_dir, history, sampling) as examination:
        return examination.answers()


def without_roles(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return `answers`, those about roles and grants unknown: a dump of one database holds none of them."""

    def absent(kind: str) -> Finding:
        why = say(
            "{kind} were not in the backup: run pg_dumpall --globals-only, and name its file as pg_dump.globals",
            kind=kind,
        )
        return Finding(0, say("nothing was measured"), unknown=why)

    return {**answers, **{name: absent(kind).to_dict() for kind in _OF_ROLES if (name := CATALOG + kind) in answers}}


def examine_stopped(server: RestoredServer, data_dir: Path, history: History | None) -> dict[str, Any]:
    """Stop the server and verify its checksums, as far as production has any; the answers as JSON, by name."""
    recorded = history.page_checksums if history else None
    answer = finding_of(partial(amcheck.check_checksums, server.server, data_dir, recorded), errors=Inconclusive)
    return {"checksums": answer.to_dict()}
