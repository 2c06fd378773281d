"""`opsverify rights`: write the declared list of rights once, or show how the database differs from it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.cli.reader_language import reader_language
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import TargetError
from opsverify.evidence.files import write_atomic
from opsverify.language.message import join, say
from opsverify.language.tell import tell
from opsverify.rights.declared import dumps, write_new
from opsverify.rights.review import review_against
from opsverify.rights.state import RightsState

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from opsverify.config.model import Target
    from opsverify.config.secrets import Secrets
    from opsverify.rights.review import RightsReview


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "action", choices=("capture", "compare"), metavar="ACTION", help=say("capture the list, or compare with it")
    )
    add_target(parser)
    parser.add_argument("--replace", action="store_true", help=say("capture: replace a list that is there already"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Capture, or compare: 10 where they differ. A list that is there is kept, and the differences are shown.

    Raises TargetError where the target names no file, and EvidenceError where it cannot be written.
    """
    root = project_root(options.target)
    target, secrets = load_target(find_target(target_argument(options.target), root / "targets"))
    path, state = declared_path(target), read_rights(target, secrets)
    wanted = path.exists() or options.action == "compare"
    differences = list(_differences(review_against(path, state, target.name))) if wanted else []
    for line in differences:
        tell(line, reader_language(options))
    if wanted and not (options.action == "capture" and options.replace and differences):
        known = say("{path}: {count} differences", path=path, count=len(differences))
        if options.action == "capture" and differences:
            known = say("{known}; nothing was written: review them, then --replace", known=known)
        tell(known, reader_language(options))
        return ExitCode.HOLD if differences else ExitCode.PASSED
    tell(write_rights(state, path, replace=options.replace), reader_language(options))
    return ExitCode.PASSED


def declared_path(target: Target) -> Path:
    """Where the declared list is. Raises TargetError where the target does not say."""
    if target.rights is None:
        raise TargetError(say('rights: missing; add [rights] with declared = "rights.toml" to the target'))
    return Path(target.rights.declared)


def read_rights(target: Target, secrets: Secrets) -> RightsState:
    """The rights in the target's database. Raises TargetError without [postgres], Inconclusive where it is not read."""
    from opsverify.probes.postgres import Postgres  # noqa: PLC0415 - probes are imported when used

    if target.postgres is None:
        raise TargetError(say("the target has no [postgres]"))
    with Postgres(target.postgres, secrets.of(target.postgres.login.password)) as postgres:
        return RightsState.of(postgres)


def write_rights(state: RightsState, path: Path, *, replace: bool = False) -> str:
    """Write the list; a line that says so. Raises EvidenceError."""
    text = dumps(state, dt.datetime.now(dt.UTC))
    if replace:
        write_atomic(path, text)
    else:
        write_new(path, text)
    return say("{path}: written, rights of {count} roles in database {database}; review it, and keep it under version "
               "control", path=path, count=len(state.names), database=state.database)  # fmt: skip


def _differences(review: RightsReview) -> Iterator[str]:
    yield from (join("", ("+ ", one)) for one in review.more)
    yield from (join("", ("- ", one)) for one in review.less)
