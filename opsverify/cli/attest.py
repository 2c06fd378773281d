"""`opsverify attest`: a person signs for a runbook line that only a person can confirm; or lists what a stage wants."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.cli.arguments import add_target
from opsverify.cli.plan import collect
from opsverify.cli.reader_language import reader_language
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.core.exit_codes import ExitCode
from opsverify.core.plan import with_uncovered
from opsverify.core.runbook import lines
from opsverify.core.stages import nearest
from opsverify.errors import TargetError
from opsverify.language.message import Message, join, say
from opsverify.language.plain import plain_line
from opsverify.language.tell import tell
from opsverify.people.attested import validity, wording_of
from opsverify.people.log import CONFIRMED, FAILED, SCHEMA, SignedEntry, append, path_of
from opsverify.people.signing import sign
from opsverify.units import duration, parse_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_REPORTS: Final = "reports"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("item", metavar="ITEM", nargs="?", help=say("a runbook line, such as 1-weekly/slow-queries"))
    add_target(parser)
    parser.add_argument(
        "--list", metavar="STAGE", dest="stage", help=say("print what the stage wants signed, to fill in")
    )
    parser.add_argument("--by", metavar="NAME", help=say("who signs"))
    parser.add_argument("--role", metavar="ROLE", help=say("as what: L1, process owner, ..."))
    parser.add_argument("--failed", action="store_true", help=say("it was done, and was not in order (needs --note)"))
    parser.add_argument("--observed-at", metavar="TIME", help=say("ISO 8601 with time zone (default: now)"))
    parser.add_argument("--valid-for", metavar="DURATION", help=say("shorter than the stage's own, such as 3d"))
    parser.add_argument("--note", default="", metavar="TEXT", help=say("a line for the record; what was not in order"))
    parser.add_argument(
        "--evidence", action="append", default=[], type=Path, metavar="FILE", help=say("its SHA-256 is kept")
    )
    parser.add_argument("--key", type=Path, metavar="FILE", help=say("the person's private key (Ed25519, PKCS8, PEM)"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Sign one item, or list a stage's. Raises TargetError for wrong input: nothing is signed then."""
    root = project_root(options.target)
    target, _ = load_target(find_target(target_argument(options.target), root / "targets"), with_secrets=False)
    if options.stage:
        _list(options.stage, target_argument(options.target), root, reader_language(options))
        return ExitCode.PASSED
    entry = _entry(options, target.name)
    if options.key:
        entry = replace(entry, signature=sign(entry, options.key))
    number = append(path_of(root / _REPORTS, target.name), entry)
    signed = say("signed") if entry.signature else say("unsigned")
    text = say("entry {seq}: {item} {result} by {by}, {signed}", seq=number, item=entry.item, result=entry.result,
               by=entry.by, signed=signed)  # fmt: skip
    tell(text, reader_language(options))
    return ExitCode.PASSED


def _entry(options: argparse.Namespace, target: str) -> SignedEntry:
    known = lines()
    problems: list[Message] = []
    if options.item not in known:
        hint = nearest(options.item or "", known)
        problems.append(say("attest: {item!r} is no runbook line{hint}", item=options.item or "", hint=hint))
    problems += [
        say("attest: missing --{name}", name=name)
        for name in ("by", "role")
        if not (getattr(options, name) or "").strip()
    ]
    problems += [
        say("attest: --{name} {text!r}: expected one line without control characters", name=name, text=text)
        for name in ("by", "role", "note")
        if plain_line(text := getattr(options, name) or "") != text
    ]
    if options.failed and not options.note.strip():
        problems.append(say("attest: --failed needs --note: what was not in order"))
    now = dt.datetime.now(dt.UTC)
    observed = until = None
    try:
        observed = dt.datetime.fromisoformat(options.observed_at) if options.observed_at else now
        if observed.tzinfo is None or observed > now:
            raise ValueError(options.observed_at)
    except ValueError:
        problems.append(say("attest: --observed-at {time!r}: expected a past time with time zone, such as {example}",
                            time=options.observed_at, example=now.isoformat(timespec="seconds")))  # fmt: skip
    try:
        if options.valid_for and observed:
            until = observed + dt.timedelta(seconds=parse_duration(options.valid_for))
    except ValueError as error:
        problems.append(say("attest: --valid-for: {error}", error=error))
    evidence = _sums(options.evidence, problems)
    if problems or observed is None:
        raise TargetError(*problems)
    return SignedEntry(
        SCHEMA, target, options.item, wording_of(known[options.item]), FAILED if options.failed else CONFIRMED,
        options.by.strip(), options.role.strip(), observed.astimezone(dt.UTC).isoformat(timespec="seconds"),
        now.isoformat(timespec="seconds"), until.astimezone(dt.UTC).isoformat(timespec="seconds") if until else None,
        options.note.strip(), evidence,
    )  # fmt: skip


def _sums(paths: Sequence[Path], problems: list[Message]) -> dict[str, str]:
    """The sum of each file by its name; what is wrong with one is added to `problems`."""
    evidence: dict[str, str] = {}
    for path in paths:
        if path.name in evidence or plain_line(path.name) != path.name:
            problems.append(
                say("attest: --evidence {name!r}: expected different names without control characters; rename the file",
                    name=path.name)
            )  # fmt: skip
        try:
            evidence[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            problems.append(say("attest: --evidence {path}: {error}", path=path, error=error.strerror))
    return evidence


def _list(stage: str, given: str, root: Path, language: str) -> None:
    """Only lines that no check carries out on this target: to sign for another one would change no verdict."""
    found = collect(stage, given, root)
    with contextlib.chdir(root):  # the project's own runbook is found from the working directory
        wanted = [check for check in with_uncovered(found.stage, found.target, found.planned.values()) if check.attests]
    if not wanted:
        text = say("{stage}: every line has a check, or is out of scope: nothing to sign for", stage=stage)
        tell(join("", ("# ", text)), language)
        return
    head = say("{stage}: what a person may sign for; each counts for {valid}", stage=stage,
               valid=duration(validity(stage).total_seconds()))  # fmt: skip
    tell(join("", ("# ", head)), language)
    for check in wanted:
        command = f"opsverify attest {check.attests} --target {shlex.quote(given)} --by '' --role '' --note ''"
        tell(join("", ("# ", check.title(language), "\n", command)), language)
