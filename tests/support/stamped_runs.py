"""Signed runs with a time stamp, and the authorities that stamp them."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from opsverify.config.evidence import EvidenceConfig
from opsverify.evidence.signature import sign_run
from opsverify.evidence.timestamp import stamp_run
from opsverify.evidence.trusted_keys import TrustedKey, verify_by
from tests.evidence.keys import PRIVATE, PUBLIC
from tests.support.finished_run import VERDICT, finish
from tests.support.paths import REPOSITORY
from tests.support.timestamp_authority import TimestampAuthority

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.evidence.signature import Verification

DAY = dt.timedelta(days=1)
LONG_AGO = "2025-03-01"
"""The day of an authority whose certificates ended since (its stamps are of 12:00 UTC)."""
SCRIPT = REPOSITORY / "docs" / "verify-bundle.sh"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TimestampAuthority:
    """The company's own."""
    return TimestampAuthority.make(tmp_path_factory.mktemp("now") / "authority")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> TimestampAuthority:
    """The one it had long ago: its certificates were valid for a month."""
    return TimestampAuthority.make(tmp_path_factory.mktemp("then") / "earlier", day=LONG_AGO, days=30)


def signed_run(run: Path, ended: dt.datetime) -> Path:
    """A signed run that says it ended then."""
    began = ended - dt.timedelta(minutes=3)
    run_id = f"{began:%Y%m%dT%H%M%SZ}-prod-canary-7f3a"
    finish(run, run_id=run_id, started_at=began.isoformat(), finished_at=ended.isoformat())
    text = json.dumps({**VERDICT, **json.loads((run / "verdict.json").read_text())}, indent=2) + "\n"
    (run / "verdict.json").write_text(text)
    sign_run(run, PRIVATE)
    return run


def stamp(run: Path, authority: TimestampAuthority, ca: Path | None = None) -> str | None:
    """Have a run stamped; why there is no stamp."""
    with authority.serving() as url:
        return stamp_run(run, authority_config(url, ca or authority.root), "none")


def authority_config(url: str, ca: Path) -> EvidenceConfig:
    """The section of a target that names an authority."""
    return EvidenceConfig.model_validate(
        {"signing_key": {"env": "KEY"}, "timestamp_url": url, "timestamp_ca": str(ca)}, strict=False
    )


def verified(
    run: Path, *authorities: TimestampAuthority, now: dt.datetime, revoked: dt.datetime | None = None
) -> Verification:
    """By the key, which may be revoked, and by these authorities."""
    roots = tuple(one.root.read_text() for one in authorities)
    key = TrustedKey("a.pub", PUBLIC, revoked=revoked, reason="laptop lost", authorities=roots)
    return verify_by(run, [key], now)


def now_s() -> dt.datetime:
    """Now, in whole seconds as a stamp has them."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)
