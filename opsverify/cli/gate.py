"""`opsverify gate`: replay, explain and plan a canary's decision."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from opsverify.canary.explain import explain
from opsverify.canary.observation import NAME, read_observation
from opsverify.canary.replay import EXIT, replay
from opsverify.canary.sparkline import lines
from opsverify.canary.trace import trace
from opsverify.config.project import project_root
from opsverify.errors import TargetError
from opsverify.evidence.files import write_atomic
from opsverify.evidence.run_folder import VERDICT, find_run_folder
from opsverify.language.message import LANGUAGES, in_language, say
from opsverify.report.gate_plot import page

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from opsverify.canary.trace import WindowTrace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "action", choices=("replay", "explain", "plan"), metavar="ACTION", help=say("replay, explain or plan")
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="RUN",
        help=say("replay, explain: a run's id or folder, or its observation.jsonl.gz (default: the newest run)"),
    )
    parser.add_argument(
        "--plot", action="store_true", help=say("replay, explain: sparklines of every criterion and events")
    )
    parser.add_argument(
        "--html", metavar="FILE", help=say("replay, explain: write the plots as a page (SVG, no script)")
    )
    parser.add_argument(
        "--language",
        choices=LANGUAGES,
        metavar="LANGUAGE",
        help=say("of explain, plan and the page (default: the target's)"),
    )
    parser.add_argument(
        "--target", metavar="NAME_OR_FILE", help=say("plan: the target; its baseline is queried, read only")
    )
    parser.add_argument("--window", metavar="DURATION", help=say("plan: the longest window (default: the target's)"))
    parser.add_argument(
        "--back", metavar="DURATION", default="1h", help=say("plan: how far back to read (default: 1h)")
    )
    parser.add_argument("--share", metavar="SHARE", help=say("plan: the canary's share of the traffic, such as 10%"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Print what was asked for; the decision's exit code, or 10 where a window proves too little.

    Raises EvidenceError for an observation that cannot be read, TargetError for arguments that do not fit.
    """
    if options.action == "plan":
        if options.target is None:
            raise TargetError(say("gate plan: missing --target; name targets/NAME.toml or a file"))
        from opsverify.cli.gate_plan import plan  # noqa: PLC0415 - starts pytest and imports a probe

        return plan(options)
    given = Path(options.file) if options.file else None
    path = given if given is not None and given.is_file() else find_run_folder(options.file, project_root())
    language = options.language or _language(path)
    if options.action == "explain":
        found, said = explain(path)
        sys.stdout.write("".join(f"{in_language(line, language)}\n" for line in said))
        code = int(EXIT[found.decision.outcome])
    else:
        code = replay(path, lambda text: sys.stdout.write(in_language(text, language)))
        if not options.plot and not options.html:
            return code
        found = trace(*read_observation(path / NAME if path.is_dir() else path))
    _show(found, options, path, language)
    return code


def _show(found: WindowTrace, options: argparse.Namespace, path: Path, language: str) -> None:
    if options.plot:
        sys.stdout.write("".join(f"{in_language(line, language)}\n" for line in lines(found)))
    if options.html:
        name = path.resolve().name if path.is_dir() else path.resolve().parent.name
        try:
            write_atomic(Path(options.html), page(found, name, language))
        except OSError as error:
            raise TargetError(
                say("--html {path}: cannot be written ({error})", path=options.html, error=error.strerror)
            ) from error
        sys.stdout.write(f"{options.html}\n")


def _language(path: Path) -> str:
    """The language of a run's target; English for a file without its run."""
    try:
        verdict = json.loads(((path if path.is_dir() else path.parent) / VERDICT).read_text(encoding="utf-8"))
        return "ko" if verdict.get("language", "ko") == "ko" else "en"
    except (OSError, ValueError, AttributeError):
        return "en"
