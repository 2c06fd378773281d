"""`opsverify evidence`: verify a run, a folder or a bundle; make a bundle; remove old runs."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.cli.arguments import add_language
from opsverify.cli.key_arguments import add_trusted_keys, trusted_keys
from opsverify.cli.reader_language import reader_language
from opsverify.config.project import project_root
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.bundle import ENDING, unpacked, write_bundle
from opsverify.evidence.manifest import pages_in
from opsverify.evidence.prune import RunRetention, finish_removals, remove, runs_in
from opsverify.evidence.run_folder import VERDICT, find_run_folder
from opsverify.evidence.target_state import altered_since
from opsverify.evidence.timestamp import unstamped_reason
from opsverify.evidence.trusted_keys import verify_by
from opsverify.fleet.page import FLEET_PAGE
from opsverify.fleet.previous import FLEET_VERDICT
from opsverify.fleet.verify import FleetVerifier
from opsverify.language.message import join, say
from opsverify.language.tell import tell
from opsverify.units import parse_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from opsverify.evidence.signature import Verification

VERBS: Final = ("verify", "bundle", "prune")
DAY_S: Final = 86400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_language(parser)
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[verify|bundle|prune] RUN",
        help=say("what to do (default: verify), and with which run: id, folder, bundle (default: newest)"),
    )
    add_trusted_keys(parser)
    parser.add_argument("--output", metavar="FILE", help=say("bundle: the file to write (default: RUN.tar.zst)"))
    parser.add_argument("--keep", type=int, metavar="N", help=say("prune: runs of each target and stage that stay"))
    parser.add_argument("--older-than", metavar="DURATION", help=say("prune: what is younger stays, such as 90d"))
    parser.add_argument("--rehearsals", action="store_true", help=say("prune: rehearsals of this year as well"))
    parser.add_argument("--dry-run", action="store_true", help=say("prune: name what would go, remove nothing"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Do it; 0 when nothing is wrong with the evidence, else 10: no decision may rest on it.

    Raises EvidenceError when run or key cannot be read, TargetError for a wrong command line.
    """
    words = list(options.words)
    verb = words.pop(0) if words and words[0] in VERBS else VERBS[0]
    if len(words) > (verb != "prune"):
        raise TargetError(say("evidence {verb}: unexpected {word}", verb=verb, word=words[-1]))
    name = words[0] if words else None
    if verb == "prune":
        return _prune(options)
    if verb == "bundle":
        folder = find_run_folder(name, project_root())
        bundle = Path(options.output or f"{folder.name}{ENDING}")
        write_bundle(folder, bundle)
        tell(str(bundle), reader_language(options))
        return ExitCode.PASSED
    with _opened(name) as folder:
        if (folder / FLEET_VERDICT).exists() and not (folder / VERDICT).exists():
            return _verify_fleet(options, folder)
        return _verify(options, folder)


@contextlib.contextmanager
def _opened(name: str | None) -> Iterator[Path]:
    """The folder of a run: its own, or that in a bundle."""
    if name is not None and name.endswith(ENDING):
        with unpacked(Path(name)) as folder:
            yield folder
    else:
        yield find_run_folder(name, project_root())


def _verify(options: argparse.Namespace, folder: Path) -> int:
    keys = trusted_keys(options)
    found = verify_by(folder, keys, dt.datetime.now(dt.UTC))
    try:
        altered = altered_since(project_root() / "reports", folder, found.verdict or b"")
    except OSError as error:
        raise EvidenceError(
            say("{filename}: cannot be read ({error})", filename=error.filename, error=error.strerror)
        ) from error
    problems = [str(problem) for problem in found.problems]
    problems += [say("{verdict}: {altered}", verdict=VERDICT, altered=altered)] if altered else []
    for problem in problems:
        tell(problem, reader_language(options))
    signed = (
        say("signed by key {signed_by}", signed_by=found.signed_by)
        if found.signed_by
        else say("verdict not covered by a verified signature")
    )
    if found.stamp is not None and found.stamp.at is not None:
        signed += say("; time-stamped {at:%Y-%m-%d %H:%M:%S} UTC", at=found.stamp.at)
    if not keys:
        signed += say(": no --public-key") if found.signature_present else say(": the run is not signed")
    whole = say("complete and unaltered") if found.signed_by else say("files of the manifest complete and unaltered")
    state = say("NOT what was sealed") if problems else whole
    tell(say("{name}: {state}; {signed}", name=folder.name, state=state, signed=signed), reader_language(options))
    for note in _notes(found, folder):
        tell(note, reader_language(options))
    if pages := pages_in(folder):
        tell(
            say(
                "not covered by the manifest: {pages}; may have been altered, make anew with opsverify report",
                pages=", ".join(pages),
            ),
            reader_language(options),
        )
    unchecked = found.signature_present and found.signed_by is None
    unchecked |= found.stamp is not None and found.stamp.state == "trust missing"
    return ExitCode.PASSED if not (problems or unchecked) else ExitCode.HOLD


def _verify_fleet(options: argparse.Namespace, folder: Path) -> int:
    """As of a run: 0 when nothing is wrong with the fleet's verdict and the evidence beside it, else 10."""
    keys, language = trusted_keys(options), reader_language(options)
    found = FleetVerifier(keys, dt.datetime.now(dt.UTC), project_root() / "reports").verify(folder)
    for problem in found.problems:
        tell(str(problem), language)
    signed = (
        say("signed by key {signed_by}", signed_by=found.signed_by)
        if found.signed_by
        else say("verdict not covered by a verified signature")
    )
    if not keys:
        signed += say(": no --public-key") if found.signature_present else say(": the fleet is not signed")
    whole = say("complete and unaltered") if found.signed_by else say("verdict, plan and evidence agree")
    state = say("NOT what was sealed") if found.problems else whole
    evidence = say("evidence of {here} of {delivered} units is here", here=found.here, delivered=found.delivered)
    tell(join("; ", (say("{name}: {state}", name=folder.name, state=state), evidence, signed)), language)
    if (folder / FLEET_PAGE).exists():
        tell(say("not covered by the signature: {page}; make it anew with opsverify merge", page=FLEET_PAGE), language)
    return ExitCode.PASSED if not (found.problems or found.unchecked) else ExitCode.HOLD


def _notes(found: Verification, folder: Path) -> list[str]:
    """What is to be said of the time of the signature, beside that it is valid."""
    if found.stamp is None:
        reason = unstamped_reason(folder)
        return [] if reason is None else [reason]
    notes = [found.stamp.reason] if found.stamp.state in ("trust missing", "not checked") else []
    return notes + ([found.signed_before] if found.signed_before else [])


def _prune(options: argparse.Namespace) -> int:
    if options.keep is None or options.older_than is None:
        raise TargetError(say("evidence prune: needs --keep N and --older-than DURATION, such as --older-than 90d"))
    if options.keep < 1:
        raise TargetError(say("evidence prune: --keep {keep}: expected 1 or more", keep=options.keep))
    reports = project_root() / "reports"
    retention = RunRetention(options.keep, dt.timedelta(seconds=_seconds(options.older_than)), options.rehearsals)
    if not options.dry_run:
        finish_removals(reports)
    kept = 0
    for run in retention.removable(list(runs_in(reports)), dt.datetime.now(dt.UTC)):
        why = say("would be removed") if options.dry_run else remove(run, reports)
        kept += why is not None and not options.dry_run
        tell(say("{run_id}: {what}", run_id=run.run_id, what=why or say("removed")), reader_language(options))
    return ExitCode.HOLD if kept else ExitCode.PASSED


def _seconds(text: str) -> float:
    if text.endswith("d") and text[:-1].isdigit():
        return int(text[:-1]) * DAY_S
    try:
        return parse_duration(text)
    except ValueError as error:
        raise TargetError(say("--older-than: {error}", error=error)) from error
