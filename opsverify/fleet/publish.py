"""Publication of a fleet's verdict: page and verdict in its folder, its reasons on the terminal, its exit code."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from opsverify.core.decision_words import capitals
from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.files import write_atomic
from opsverify.fleet.delivery import Verifier
from opsverify.fleet.merge import FleetMerge
from opsverify.fleet.page import FLEET_PAGE, fleet_page
from opsverify.fleet.plan import FleetPlan
from opsverify.fleet.previous import EARLIER, FLEET_VERDICT, previous_of
from opsverify.fleet.seal import seal_fleet
from opsverify.fleet.unit import UNITS
from opsverify.language.message import Message, say
from opsverify.language.tell import tell

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from opsverify.evidence.trusted_keys import TrustedKey

MOST_REASONS: Final = 50
"""Reasons that are printed; the page has all."""


def merge_fleet(
    plan_file: Path, folders: Iterable[Path], place: Path, keys: Sequence[TrustedKey], now: dt.datetime, root: Path,
    language: str, signing_key: str | None = None,
) -> int:  # fmt: skip
    """Merge what lies in `folders`, one after another, write page and verdict to `place`; the verdict's exit code.

    `signing_key` (PEM) signs it. Raises TargetError for no plan and no place to write to, EvidenceError for a key, and
    for a full disk.
    """
    plan, plan_bytes = FleetPlan.load(plan_file), plan_file.read_bytes()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(
            say("--report-dir {path}: cannot be written ({error})", path=place, error=error.strerror)
        ) from error
    with _anew(place):
        verdict = _merged(plan, folders, place, Verifier(plan, keys, now, root / "reports"))
        write_atomic(place / FLEET_PAGE, fleet_page(verdict, language))
        seal_fleet(place, plan_bytes, verdict, signing_key)
    _show(verdict, place, language)
    return int(verdict["exit_code"])


def _merged(plan: FleetPlan, folders: Iterable[Path], place: Path, verifier: Verifier) -> dict[str, Any]:
    merged = FleetMerge(plan)
    for folder in folders:
        merged.add(verifier.deliver(folder))
    return merged.verdict(previous_of(plan, place))


@contextlib.contextmanager
def _anew(place: Path) -> Iterator[None]:
    """A folder without the verdict of an earlier merge: a merge that fails must not leave that of before.

    Kept under another name until there is a new one, for the time since when a target is red. Raises EvidenceError.
    """
    try:
        with contextlib.suppress(FileNotFoundError):
            (place / FLEET_VERDICT).replace(place / EARLIER)
        (place / FLEET_PAGE).unlink(missing_ok=True)
        yield
        (place / EARLIER).unlink(missing_ok=True)
    except OSError as error:
        raise EvidenceError(
            say("{path}: cannot be written ({error}); free or unlock the folder", path=place, error=error.strerror)
        ) from error


def delivered_beside(plan_file: Path) -> list[Path]:
    """The units' folders where a fleet leaves them, beside its plan."""
    units = plan_file.resolve().parent / UNITS
    return sorted(units.iterdir()) if units.is_dir() else []


def _show(verdict: dict[str, Any], place: Path, language: str) -> None:
    reasons = [Message.of(*both) for both in zip(verdict["reasons"], verdict["reasons_ko"], strict=True)]
    for reason in reasons[:MOST_REASONS]:
        tell(reason, language)
    if len(reasons) > MOST_REASONS:
        tell(say("and {count} more: {page}", count=len(reasons) - MOST_REASONS, page=place / FLEET_PAGE), language)
    tell(
        say(
            "{stage} on {planned} targets: {decision}  (exit {code}; {delivered} of {planned} units delivered)",
            stage=verdict["stage"], planned=verdict["planned"], decision=capitals(verdict["decision"]),
            code=verdict["exit_code"], delivered=verdict["delivered"],
        ),
        language,
    )  # fmt: skip
    tell(say("page  {page}", page=place / FLEET_PAGE), language)
