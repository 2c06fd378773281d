"""Ages of keys: what is seen, what is declared, what contradicts it; and that no secret is kept."""

from __future__ import annotations

import datetime as dt
import stat
from typing import TYPE_CHECKING

import pytest

from opsverify.config.database import SecretRef
from opsverify.config.load import load_target
from opsverify.config.reviewed_keys import ReviewedKey, reviewed_keys
from opsverify.config.secrets import Secrets
from opsverify.errors import EvidenceError, Inconclusive
from opsverify.history.fingerprint import FingerprintKey
from opsverify.history.store import HistoryStore
from opsverify.limits import Limit
from opsverify.periodic.key_ages import SUBJECT, KeyAge, fingerprints, key_age
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 11, 28, 12, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
LIMIT = Limit.parse("<= 90 d", "s")
REF = SecretRef(env="OPSVERIFY_KEY")
OLD, NEW = "the-old-one", "the-new-one"


def review(
    tmp_path: Path, *seen: tuple[float, str], today: str = NEW, declared: dt.date | None = None, lost_at: int = -1
) -> KeyAge:
    """The age of a key that had values so many days ago; the key of the fingerprints is lost before `lost_at`."""
    store, key = HistoryStore(tmp_path / "history.sqlite"), ReviewedKey("k", REF, declared)
    for number, (days_ago, value) in enumerate((*seen, (0.0, today))):
        if number == lost_at:
            (tmp_path / "history.key").unlink()
        hmac_key = FingerprintKey.beside(store.path)
        now = store.record(fingerprints([key], Secrets({REF: value}), hmac_key, NOW - days_ago * DAY))
    return key_age(key, now, store.snapshots(SUBJECT))


def days(seconds: float) -> float:
    """In days."""
    return seconds / DAY.total_seconds()


def test_a_key_that_is_seen_too_long_fails(tmp_path: Path) -> None:
    """Its age is at least the time since first sight, whatever it was before."""
    age = review(tmp_path, (100, NEW), (50, NEW))
    assert days(age.judged(LIMIT)) == 100
    assert "at least" in str(age.text)


def test_a_young_history_does_not_know(tmp_path: Path) -> None:
    """It says since when it is known, and what would make it known."""
    with pytest.raises(Inconclusive, match=r"seen since 2026-11-18, at least .* declare \[keys\] k rotated_at"):
        review(tmp_path, (10, NEW)).judged(LIMIT)


def test_a_replaced_key_is_as_old_as_the_last_sight_of_the_one_before(tmp_path: Path) -> None:
    """At most: it may have come at any time after that."""
    age = review(tmp_path, (200, OLD), (30, OLD), (20, NEW))
    assert days(age.judged(LIMIT)) == 30
    assert "another key before" in str(age.text)
    with pytest.raises(Inconclusive):
        review(tmp_path / "gap", (200, OLD), (20, NEW)).judged(LIMIT)


def test_a_key_that_came_back_counts_from_its_return(tmp_path: Path) -> None:
    """A rollback to an older value is a change too."""
    assert days(review(tmp_path, (80, NEW), (40, OLD)).judged(LIMIT)) == 40


def test_what_is_declared_counts_unless_it_contradicts_what_was_seen(tmp_path: Path) -> None:
    """Within a day of time zones; a date in the future is a mistake."""
    declared = (NOW - 30 * DAY).date()
    assert review(tmp_path / "a", declared=declared).judged(LIMIT) == pytest.approx(30.5 * DAY.total_seconds())
    assert review(tmp_path / "b", (30.5, NEW), declared=declared).contradiction is None
    assert "the same key was seen on 2026-10-19" in str(
        review(tmp_path / "c", (40, NEW), declared=declared).contradiction
    )
    future = review(tmp_path / "d", declared=(NOW + 3 * DAY).date())
    assert "future" in str(future.contradiction)
    old = review(tmp_path / "e", declared=(NOW - 200 * DAY).date())
    assert days(old.judged(LIMIT)) == 200.5


def test_ages_begin_anew_where_the_fingerprints_key_is_lost(tmp_path: Path) -> None:
    """Other fingerprints of the same value are no rotation."""
    age = review(tmp_path, (100, NEW), (50, NEW), lost_at=2)
    assert age.another_at is None
    with pytest.raises(Inconclusive):
        age.judged(LIMIT)


def test_a_name_that_is_no_key_holds(tmp_path: Path) -> None:
    """A misspelt key of [keys] without a date says nothing about anything."""
    _ = tmp_path
    with pytest.raises(Inconclusive, match="no key of this name"):
        KeyAge("postgers.login.password", NOW).judged(LIMIT)


def test_no_secret_is_kept_and_the_key_is_private(tmp_path: Path) -> None:
    """Neither in the history nor beside it; a key that others may read is refused."""
    review(tmp_path, (1, OLD))
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert OLD.encode() not in kept
    assert NEW.encode() not in kept
    key = tmp_path / "history.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o640)
    with pytest.raises(EvidenceError, match="expected rights 0600"):
        FingerprintKey.beside(tmp_path / "history.sqlite")


def test_every_secret_of_a_target_is_reviewed_once() -> None:
    """By its key in the file, wherever it stands; other keys by their own name."""
    target, _ = load_target(REPOSITORY / "targets" / "sandbox.toml", with_secrets=False)
    names = [key.name for key in reviewed_keys(target)]
    assert {"postgres.login.password", "recovery.heartbeat.login.password", "evidence.signing_key"} <= set(names)
    assert len(names) == len(set(names))
    assert all(key.rotated_at and key.secret for key in reviewed_keys(target))
