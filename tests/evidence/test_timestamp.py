"""Time stamp of a signature: what an authority of openssl proves a year later, and what it does not."""

from __future__ import annotations

import dataclasses
import datetime as dt
import http.server
import json
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from opsverify.evidence.timestamp import TIMESTAMP, UNSTAMPED, check_stamp, stamp_run
from tests.support.http_double import answering
from tests.support.stamped_runs import DAY, LONG_AGO, authority_config, now_s, signed_run, stamp, verified
from tests.support.timestamp_authority import TimestampAuthority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")


def test_a_key_revoked_later(run_dir: Path, authority: TimestampAuthority) -> None:
    """Signed last year, revoked yesterday: valid then by its stamp; without it or its authority nothing is said."""
    now = now_s()
    revoked = now + 364 * DAY
    assert stamp(signed_run(run_dir, now), authority) is None
    found = verified(run_dir, authority, now=now + 365 * DAY, revoked=revoked)
    assert found.ok, found.problems
    assert found.stamp is not None
    assert found.stamp.at is not None
    assert abs(found.stamp.at - now) < dt.timedelta(minutes=10)
    assert "the run was valid then, proven by its time stamp" in str(found.signed_before)
    unlisted = verified(run_dir, now=now + 365 * DAY, revoked=revoked)
    assert [str(one).partition(" (laptop lost): ")[2] for one in unlisted.problems] == [
        "cannot say when it signed this run"
    ]
    (run_dir / TIMESTAMP).unlink()
    without = verified(run_dir, authority, now=now + 365 * DAY, revoked=revoked)
    assert "cannot say when it signed this run" in str(without.problems[0])


def test_a_key_revoked_before(run_dir: Path, authority: TimestampAuthority) -> None:
    """Who has the key can sign today, and have it stamped today: refused."""
    now = now_s()
    stamp(signed_run(run_dir, now), authority)
    found = verified(run_dir, authority, now=now, revoked=now - DAY)
    assert not found.ok
    assert "the run time-stamped at" in str(found.problems[0])


@pytest.mark.parametrize("days", [-400, -1, 1])
def test_an_end_that_was_dated_back(run_dir: Path, authority: TimestampAuthority, days: int) -> None:
    """A run that says it ended last year, with a stamp of today, is refused; one that ends after its stamp as well."""
    now = now_s()
    stamp(signed_run(run_dir, now + days * DAY), authority)
    found = verified(run_dir, authority, now=now + 2 * DAY)
    assert [one.path for one in found.problems] == ["verdict.json"]
    assert "dated back, or stamped late" in str(found.problems[0])


def test_another_authority_is_not_an_altered_run(run_dir: Path, authority: TimestampAuthority, tmp_path: Path) -> None:
    """Its certificates were changed and the old ones are not listed: trust is missing; the run is what was sealed."""
    other = TimestampAuthority.make(tmp_path / "other")
    now = now_s()
    stamp(signed_run(run_dir, now), authority)
    found = verified(run_dir, other, now=now)
    assert found.ok
    assert found.stamp is not None
    assert found.stamp.state == "trust missing"
    both = verified(run_dir, other, authority, now=now)
    assert both.stamp is not None
    assert both.stamp.state == "valid"
    revoked = verified(run_dir, other, now=now + DAY, revoked=now + DAY)
    assert "cannot say when it signed this run" in str(revoked.problems[0])


def test_a_stamp_of_long_ago_is_verified_at_its_own_time(run_dir: Path, earlier: TimestampAuthority) -> None:
    """The authority's certificates ended since: what they stamped while they were valid stays proven."""
    then = dt.datetime.fromisoformat(f"{LONG_AGO}T12:00:00+00:00")
    assert stamp(signed_run(run_dir, then), earlier) is None
    found = verified(run_dir, earlier, now=now_s(), revoked=now_s() - DAY)
    assert found.ok, found.problems
    assert found.stamp is not None
    assert found.stamp.at == then


def test_an_authority_whose_certificates_had_ended(run_dir: Path, earlier: TimestampAuthority) -> None:
    """It stamped all the same: not kept, and where it was kept it proves nothing of a run that is what was sealed."""
    late = dataclasses.replace(earlier, day="2025-06-01")
    assert "certificates were not valid at 2025-06-01 12:00:00 UTC" in str(stamp(signed_run(run_dir, now_s()), late))
    (run_dir / TIMESTAMP).write_bytes(late.answer((late.folder / "query").read_bytes()))
    found = verified(run_dir, late, now=now_s())
    assert found.ok, found.problems
    assert found.stamp is not None
    assert (found.stamp.state, found.stamp.at) == ("trust missing", None)


def _another(run: Path, authority: TimestampAuthority) -> None:
    """The stamp of an older signature of the same key."""
    (run / "signature.dsse.json").write_text((run / "signature.dsse.json").read_text() + "\n")
    stamp(run, authority)
    (run / "signature.dsse.json").write_text((run / "signature.dsse.json").read_text()[:-1])


def _moved(by: dt.timedelta) -> Callable[[Path, TimestampAuthority], None]:
    """The authority's time changed in its answer."""

    def altered(run: Path, authority: TimestampAuthority) -> None:
        content = (run / TIMESTAMP).read_bytes()
        at = check_stamp(content, (run / "signature.dsse.json").read_bytes(), [authority.root.read_text()]).at
        assert at is not None
        digits = f"{at:%Y%m%d%H%M%S}Z".encode()
        assert content.count(digits) == 1
        (run / TIMESTAMP).write_bytes(content.replace(digits, f"{at + by:%Y%m%d%H%M%S}Z".encode()))

    return altered


ALTERED: dict[str, Callable[[Path, TimestampAuthority], object]] = {
    "of another signature": _another,
    "a second later": _moved(dt.timedelta(seconds=1)),
    "a year before the authority's certificates": _moved(-366 * DAY),
    "after the authority's certificates": _moved(4000 * DAY),
    "cut off": lambda run, _: (run / TIMESTAMP).write_bytes((run / TIMESTAMP).read_bytes()[:-40]),
    "empty": lambda run, _: (run / TIMESTAMP).write_bytes(b""),
    "a link": lambda run, _: (
        (run / TIMESTAMP).rename(run / "signature.kept").with_name(TIMESTAMP).symlink_to("plan.json")
    ),
}


@pytest.mark.parametrize("how", ALTERED)
def test_an_altered_stamp_shows(run_dir: Path, authority: TimestampAuthority, how: str) -> None:
    """A stamp that is not what the authority gave for this signature is a problem of its own."""
    now = now_s()
    stamp(signed_run(run_dir, now), authority)
    ALTERED[how](run_dir, authority)
    found = verified(run_dir, authority, now=now)
    assert [one.path for one in found.problems] == [TIMESTAMP]


def test_no_altered_byte_moves_a_stamp(run_dir: Path, authority: TimestampAuthority) -> None:
    """Whatever byte is altered: no traceback, and where the stamp is valid still it says the same time."""
    stamp(signed_run(run_dir, now_s()), authority)
    content, signature = (run_dir / TIMESTAMP).read_bytes(), (run_dir / "signature.dsse.json").read_bytes()
    roots = [authority.root.read_text()]
    kept = check_stamp(content, signature, roots)
    assert kept.state == "valid"
    for place, byte in enumerate(content):
        for bit in (0x01, 0x40):
            found = check_stamp(content[:place] + bytes([byte ^ bit]) + content[place + 1 :], signature, roots)
            assert found.at in (None, kept.at), place


@contextmanager
def _answering(status: int, content: bytes) -> Iterator[str]:
    """A server that answers everything so."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with answering(Handler) as url:
        yield url


@pytest.mark.parametrize(
    ("status", "content", "told"),
    [
        (503, b"", "status 503 instead of a time stamp"),
        (200, b"<html>", "the answer is not a time stamp"),
        (200, "replayed", "is that to another request"),
        (200, "rejected", "is refused"),
    ],
)
def test_a_wrong_answer_is_not_kept(
    run_dir: Path, authority: TimestampAuthority, status: int, content: bytes | str, told: str
) -> None:
    """Nor the answer to an earlier request, which a proxy may have stored."""
    signed_run(run_dir, now_s())
    if content == "replayed":
        stamp(run_dir, authority)
        content = (run_dir / TIMESTAMP).read_bytes()
        (run_dir / TIMESTAMP).unlink()
    elif content == "rejected":
        content = authority.answer(b"no request")
    assert isinstance(content, bytes)
    with _answering(status, content) as url:
        missing = stamp_run(run_dir, authority_config(url, authority.root), "none")
    assert missing is not None
    assert told in missing
    assert not (run_dir / TIMESTAMP).exists()
    assert json.loads((run_dir / UNSTAMPED).read_text())["reason"] == missing


def test_a_stamp_by_somebody_else_is_not_kept(run_dir: Path, authority: TimestampAuthority, tmp_path: Path) -> None:
    """The target's own certificates decide at once, so that nobody finds out a year later; nor without them."""
    other = TimestampAuthority.make(tmp_path / "other")
    signed_run(run_dir, now_s())
    assert "trust missing" in str(stamp(run_dir, authority, other.root))
    assert "cannot be read" in str(stamp(run_dir, authority, tmp_path / "gone.pem"))
    assert not (run_dir / TIMESTAMP).exists()


def test_without_the_extra(run_dir: Path, authority: TimestampAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is the reason; a stamp that is there is not checked, which is no proof."""
    now = now_s()
    stamp(signed_run(run_dir, now), authority)
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    assert "time stamps need opsverify[timestamp]; install it" in str(stamp(run_dir, authority))
    found = verified(run_dir, authority, now=now)
    assert found.ok
    assert found.stamp is not None
    assert (found.stamp.state, found.stamp.at) == ("not checked", None)
