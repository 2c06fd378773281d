"""`opsverify notify`: send what waits for a receiver, or a message that shows that each is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.cli.arguments import add_target
from opsverify.cli.reader_language import reader_language
from opsverify.config.load import find_target, load_target
from opsverify.config.project import project_root, target_argument
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import TargetError
from opsverify.evidence.redact import Redactor
from opsverify.evidence.target_state import TargetState
from opsverify.language.message import say
from opsverify.language.tell import tell
from opsverify.notify.send import Notifier

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    parser.add_argument("--test", action="store_true", help=say("send every receiver a test message, and nothing else"))


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Print each attempt; 10 (hold) where a receiver has not got all.

    Raises TargetError for a target without receivers, and EvidenceError where the outbox cannot be kept.
    """
    root = project_root(options.target)
    target, secrets = load_target(find_target(target_argument(options.target), root / "targets"))
    if not target.notify:
        raise TargetError(
            say("target {name}: names no receiver; add [notify.NAME], see docs/targets.md", name=target.name)
        )
    notifier = Notifier(target, secrets, TargetState.of(root / "reports", target.name).notifications)
    language, redactor = reader_language(options), Redactor(secrets.values)
    reached = True
    if options.test:
        for name, fault in notifier.test():
            reached &= fault is None
            said = say("not reached: {why}", why=fault) if fault else say("reached")
            tell(redactor.text(say("notify {name}: {said}", name=name, said=said)), language)
        return ExitCode.PASSED if reached else ExitCode.HOLD
    for line in notifier.notify():
        tell(redactor.text(line), language)
    waiting = notifier.outstanding()
    if not waiting:
        tell(say("target {name}: nothing waits for a receiver", name=target.name), language)
    return ExitCode.HOLD if waiting else ExitCode.PASSED
