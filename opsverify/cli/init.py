"""`opsverify init`: a project folder of one's own, with a target, own checks, own runbook lines and a CI example."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from importlib import resources
from pathlib import Path
from shutil import rmtree
from string import Template
from textwrap import fill
from typing import TYPE_CHECKING, Final, get_args

from opsverify.cli.arguments import add_language
from opsverify.cli.reader_language import reader_language
from opsverify.config.connection_string import postgres_of, prometheus_of
from opsverify.config.parts import Part
from opsverify.config.project import SUITES_ROOT
from opsverify.core.exit_codes import ExitCode
from opsverify.draft.database import read_database
from opsverify.draft.metrics import guess, read_metrics
from opsverify.draft.target_text import SeenPrometheus, target_text
from opsverify.language.message import say
from opsverify.language.tell import complain, tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from importlib.resources.abc import Traversable

    from opsverify.config.database import PostgresConfig
    from opsverify.config.model import PrometheusConfig

_PASSWORD_ENV: Final = "OPSVERIFY_PG_PASSWORD"  # noqa: S105 - the name of a variable
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")
_PARTS: Final = fill(
    ", ".join(sorted(get_args(Part))), 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
)
"""Every part that a target may declare absent, as a comment."""
_RENAMED: Final = {"gitignore": ".gitignore"}
"""Names under which a package cannot carry a file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_language(parser)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help=say("the new folder; its name is the platform's"))
    parser.add_argument(
        "--from-dsn",
        metavar="DSN",
        help=say("draft the target from this database: postgresql://user@host/db, no password"),
    )
    parser.add_argument(
        "--password-env",
        metavar="NAME",
        default=_PASSWORD_ENV,
        help=say("variable of its password (default: {name})", name=_PASSWORD_ENV),
    )
    parser.add_argument(
        "--prometheus", metavar="URL", help=say("with --from-dsn: draft signals and canary from this one")
    )


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Make the folder; 4 where it holds files already, or its name is no target's name. Nothing is overwritten.

    Raises Inconclusive where what the target is to be drafted from does not answer: nothing is made then.
    """
    folder: Path = options.folder.resolve()
    name = folder.name
    if not _NAME.fullmatch(name):
        return _refuse(
            options, say("{name!r} is no name of a target: expected lower-case letters, digits and hyphens", name=name)
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return _refuse(options, say("{folder} is not empty: give a new folder", folder=folder))
    if options.prometheus and not options.from_dsn:
        return _refuse(options, say("--prometheus needs --from-dsn"))
    password, flag = os.environ.get(options.password_env), "--from-dsn"
    try:
        dsn = postgres_of(options.from_dsn, options.password_env if password else None) if options.from_dsn else None
        flag = "--prometheus"
        prometheus = prometheus_of(options.prometheus) if options.prometheus else None
    except ValueError as error:
        return _refuse(options, say("{flag}: {error}", flag=flag, error=error))
    draft = _draft(name, dsn, password, prometheus) if dsn else None
    there, path = folder.exists(), folder
    try:
        for path, text in _made(folder, name, draft):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for path in (folder / "smoke", folder / "reports"):
            path.mkdir(exist_ok=True)
    except OSError as error:
        _take_back(folder, there=there)
        path = error.filename or path  # a full disk names none
        return _refuse(
            options,
            say(
                "{path}: cannot be written ({error}); nothing was made: free or unlock the folder, then rerun",
                path=path,
                error=error.strerror,
            ),
        )
    tell(str(folder), reader_language(options))
    example = SUITES_ROOT / "targets" / "example-production.toml"
    tell(say("every key of a target, with its default: {path}", path=example), reader_language(options))
    tell(
        say("next: correct targets/{name}.toml, then: opsverify doctor --target {name}", name=name),
        reader_language(options),
    )
    return ExitCode.PASSED


def _draft(name: str, config: PostgresConfig, password: str | None, source: PrometheusConfig | None) -> str:
    from opsverify.probes.postgres import Postgres  # noqa: PLC0415 - probes are imported when used
    from opsverify.probes.prometheus import Prometheus  # noqa: PLC0415 - as above

    with Postgres(config, password) as postgres:
        database = read_database(postgres)
    seen = None
    if source is not None:
        with Prometheus(source) as prometheus:
            metrics = read_metrics(prometheus)
        seen = SeenPrometheus(source.url, metrics, guess(metrics))
    return target_text(name, config, database, seen)


def _made(folder: Path, name: str, draft: str | None) -> Iterator[tuple[Path, str]]:
    """Every file of the project with its text; `draft` is that of the target, where there is one."""
    for path, text in _files(resources.files("opsverify") / "starter", Path()):
        place = folder / path.with_name(_RENAMED.get(path.name, path.name))
        of_target = path.parts[0] == "targets"
        filled = draft if draft and of_target else Template(text).substitute(name=name, parts=_PARTS)
        yield place.with_name(f"{name}.toml") if of_target else place, filled


def _take_back(folder: Path, *, there: bool) -> None:
    """Remove a project that is half made: one that lacks a list of checks would be verified by less than the whole."""
    rmtree(folder, ignore_errors=True)
    if there:
        with suppress(OSError):
            folder.mkdir()


def _files(folder: Traversable, below: Path) -> Iterator[tuple[Path, str]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        path = below / entry.name
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files(entry, path)
        else:
            yield path, entry.read_text(encoding="utf-8")


def _refuse(options: argparse.Namespace, message: str) -> int:
    complain(message, reader_language(options))
    return ExitCode.USAGE
