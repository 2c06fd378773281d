"""`opsverify history`: capture what later comparisons begin from, and list what was captured."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from opsverify.cli.arguments import add_target
from opsverify.cli.reader_language import reader_language
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.config.reviewed_keys import reviewed_keys
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import Inconclusive
from opsverify.evidence.target_state import TargetState
from opsverify.history.fingerprint import FingerprintKey
from opsverify.history.store import HistoryStore
from opsverify.language.message import say
from opsverify.language.tell import tell
from opsverify.periodic.capture import Sources, captures
from opsverify.periodic.key_ages import SUBJECT, fingerprints
from opsverify.probes.access import access_to
from opsverify.units import elapsed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets
    from opsverify.probes.postgres import Postgres
    from opsverify.probes.prometheus import Prometheus
    from opsverify.probes.redis import Redis

REPORTS: Final = "reports"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "action", choices=("capture", "list"), metavar="ACTION", help=say("capture a snapshot, or list those there are")
    )
    add_target(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Capture or list; 10 where a part of the target could not be captured.

    Raises TargetError, and EvidenceError where the history cannot be read or written.
    """
    root = project_root(options.target)
    target, secrets = load_target(
        find_target(target_argument(options.target), root / "targets"), with_secrets=options.action == "capture"
    )
    store = store_of(root, target)
    complete = True
    for ok, line in capture(target, secrets, store) if options.action == "capture" else _listed(store):
        complete &= ok
        tell(line, reader_language(options))
    return ExitCode.PASSED if complete else ExitCode.HOLD


def store_of(root: Path, target: Target) -> HistoryStore:
    """The history of a target in the project `root`."""
    return HistoryStore(TargetState.of(root / REPORTS, target.name).history)


def capture(target: Target, secrets: Secrets, store: HistoryStore) -> Iterator[tuple[bool, str]]:
    """Record one snapshot of every subject; whether it worked, and a line about it. Raises EvidenceError."""
    with ExitStack() as opened:
        sources = _sources(target, secrets, opened)
        for subject, take in captures(target):
            try:
                kept = store.record(take(sources))
            except Inconclusive as error:
                yield False, say("{subject}: not captured: {error}", subject=subject, error=error)
                continue
            yield True, say("{subject}: captured, {rows:,} rows", subject=subject, rows=len(kept.rows))
    if keys := reviewed_keys(target):
        key = FingerprintKey.beside(store.path)
        kept = store.record(fingerprints(keys, secrets, key, dt.datetime.now(dt.UTC)))
        yield True, say("{subject}: captured, {rows:,} rows", subject=SUBJECT, rows=len(kept.rows))


def _sources(target: Target, secrets: Secrets, opened: ExitStack) -> Sources:
    def postgres() -> Postgres:
        from opsverify.probes.postgres import Postgres  # noqa: PLC0415 - probes are imported when used

        if target.postgres is None:
            raise Inconclusive(say("the target has no [postgres]"))
        return opened.enter_context(Postgres(target.postgres, secrets.of(target.postgres.login.password)))

    def redis() -> Redis:
        from opsverify.probes.redis import open_redis  # noqa: PLC0415 - as above

        if target.redis is None:
            raise Inconclusive(say("the target has no [redis]"))
        return opened.enter_context(open_redis(target.redis, secrets))

    def prometheus() -> Prometheus:
        from opsverify.probes.prometheus import Prometheus  # noqa: PLC0415 - as above

        if target.prometheus is None:
            raise Inconclusive(say("the target has no [prometheus]"))
        return opened.enter_context(Prometheus(target.prometheus, access_to(target.prometheus, secrets, target.proxy)))

    return Sources(postgres, redis, prometheus)


def _listed(store: HistoryStore) -> Iterator[tuple[bool, str]]:
    now = dt.datetime.now(dt.UTC)
    for subject in store.subjects():
        known = store.snapshots(subject, with_rows=False)
        yield (
            True,
            say(
                "{subject}: {count} snapshots, oldest {oldest} ago, newest {newest} ago",
                subject=subject,
                count=len(known),
                oldest=elapsed(known[0].age_s(now)),
                newest=elapsed(known[-1].age_s(now)),
            ),
        )
    if not store.subjects():
        yield True, say("no snapshot yet in {path}; opsverify history capture takes the first", path=store.path)
