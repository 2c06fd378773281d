"""Time stamp of a run: in its folder and its bundle, for the command and for openssl alone."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from opsverify.cli import main
from opsverify.errors import EvidenceError
from opsverify.evidence.bundle import unpacked, write_bundle
from opsverify.evidence.timestamp import TIMESTAMP, UNSTAMPED
from opsverify.evidence.trusted_keys import load_keys
from tests.evidence.keys import PRIVATE, PUBLIC
from tests.support.stamped_runs import DAY, LONG_AGO, SCRIPT, now_s, signed_run, stamp, verified
from tests.support.timestamp_authority import TimestampAuthority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pytest_plugin.suite import Ran, Suite


pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")


@pytest.fixture
def keys(authority: TimestampAuthority, tmp_path: Path) -> Path:
    """A list with the key that is revoked the day after tomorrow, which no midnight brings, and with the authority."""
    (tmp_path / "a.pub").write_text(PUBLIC)
    shutil.copyfile(authority.root, tmp_path / "tsa.pem")
    path = tmp_path / "keys.toml"
    path.write_text(f'[[key]]\nfile = "a.pub"\nrevoked = {(now_s() + 2 * DAY).date()}\nreason = "lost"\n'
                    '[[authority]]\nfile = "tsa.pem"\n')  # fmt: skip
    return path


def test_the_command_and_the_bundle(
    run_dir: Path, authority: TimestampAuthority, keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stamp is in the bundle; with it 0 and what it proves, without it 10 and what cannot be said."""
    stamp(signed_run(run_dir, now_s()), authority)
    write_bundle(run_dir, tmp_path / "a.tar.zst")
    with unpacked(tmp_path / "a.tar.zst") as folder:
        assert (folder / TIMESTAMP).read_bytes() == (run_dir / TIMESTAMP).read_bytes()
    command = ["evidence", "verify", str(tmp_path / "a.tar.zst"), "--language=en", "--keys"]
    assert main.main([*command, str(keys)]) == 0
    out = capsys.readouterr().out
    assert "complete and unaltered; signed by key" in out
    assert "; time-stamped 20" in out
    assert "valid then, proven by its time stamp" in " ".join(out.split())
    keys.write_text(keys.read_text().partition("[[authority]]")[0])
    assert main.main([*command, str(keys)]) == 10
    assert "cannot say when it signed" in capsys.readouterr().out


def test_the_command_where_trust_is_missing(
    run_dir: Path, authority: TimestampAuthority, keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """10, since a listed authority was expected; and never that the run is not what was sealed."""
    other = TimestampAuthority.make(tmp_path / "other")
    stamp(signed_run(run_dir, now_s()), authority)
    keys.write_text(f'[[key]]\nfile = "a.pub"\n[[authority]]\nfile = "{other.root}"\n')
    assert main.main(["evidence", "verify", str(run_dir), "--language=en", "--keys", str(keys)]) == 10
    out = capsys.readouterr().out
    assert "trust missing" in out
    assert "complete and unaltered" in out
    assert "NOT what was sealed" not in out


def _script(bundle: Path, tmp_path: Path, *ca: Path) -> subprocess.CompletedProcess[str]:
    (tmp_path / "key.pem").write_text(PUBLIC)
    command = ["sh", str(SCRIPT), str(bundle), str(tmp_path / "key.pem"), *map(str, ca)]
    return subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})


def test_the_script_verifies_the_stamp(
    run_dir: Path, authority: TimestampAuthority, earlier: TimestampAuthority, tmp_path: Path
) -> None:
    """With openssl alone, at the stamp's own time; by another authority, and without a stamp, it is none."""
    then = dt.datetime.fromisoformat(f"{LONG_AGO}T12:00:00+00:00")
    stamp(signed_run(run_dir, then), earlier)
    write_bundle(run_dir, tmp_path / "a.tar.zst")
    done = _script(tmp_path / "a.tar.zst", tmp_path, earlier.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "time-stamped Mar  1 12:00:00 2025 GMT" in done.stdout
    assert _script(tmp_path / "a.tar.zst", tmp_path).returncode == 0
    (run_dir / TIMESTAMP).rename(run_dir / "signature.kept")
    write_bundle(run_dir, tmp_path / "b.tar.zst")
    for bundle, ca in (("a.tar.zst", authority.root), ("b.tar.zst", earlier.root)):
        other = _script(tmp_path / bundle, tmp_path, ca)
        assert (other.returncode, "no valid time stamp of this authority" in other.stdout) == (1, True)


def test_a_list_with_a_wrong_authority_is_refused(tmp_path: Path) -> None:
    """A mistake in the list never makes a stamp count for more."""
    (tmp_path / "a.pub").write_text(PUBLIC)
    for table in ("[[authority]]", "[authority]\nfile = 'a.pub'", "[[authority]]\nfile = 'gone'",
                  "[[authority]]\nfile = 'a.pub'", "[[authority]]\nfile = 'a.pub'\nurl = 'x'"):  # fmt: skip
        (tmp_path / "keys.toml").write_text(f'[[key]]\nfile = "a.pub"\n{table}\n')
        with pytest.raises(EvidenceError):
            load_keys(tmp_path / "keys.toml")


def _timestamped(suite: Suite, url: str, ca: Path) -> Ran:
    """The daily stage of a target with an authority."""
    (suite.root / "key").write_text(PRIVATE)
    suite.target(
        f'[evidence]\nsigning_key = {{ file = "{suite.root / "key"}" }}\n'
        f'timestamp_url = "{url}"\ntimestamp_ca = "{ca}"\n'
    )
    return suite.run()


def test_a_run_is_stamped_after_it_was_sealed(suite: Suite, authority: TimestampAuthority) -> None:
    """By a whole run: its stamp verifies by the target's certificates, and the plan says that there is one."""
    with authority.serving() as url:
        ran = _timestamped(suite, url, authority.root)
    assert ran.folder is not None
    assert json.loads((ran.folder / "plan.json").read_text())["timestamp_expected"] is True
    found = verified(ran.folder, authority, now=now_s())
    assert found.ok, found.problems
    assert found.stamp is not None
    assert found.stamp.state == "valid"
    (ran.folder / TIMESTAMP).unlink()
    assert verified(ran.folder, authority, now=now_s()).stamp is None


def test_an_authority_that_is_away_changes_no_verdict(
    suite: Suite, authority: TimestampAuthority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Decision and exit code stand; the run says that its evidence has no stamp, and so does the verification."""
    ran = _timestamped(suite, "http://127.0.0.1:9", authority.root)
    assert ran.folder is not None
    assert ran.code == 0
    assert "evidence without time stamp: POST http://127.0.0.1:9: no answer" in " ".join(ran.err.split())
    (tmp_path / "a.pub").write_text(PUBLIC)
    command = ["evidence", "verify", str(ran.folder), "--language=en", "--public-key", str(tmp_path / "a.pub")]
    assert main.main(command) == 0
    assert "evidence without time stamp" in " ".join(capsys.readouterr().out.split())
    (ran.folder / UNSTAMPED).unlink()
    assert main.main(command) == 0
    assert "the run's plan says that there is one" in " ".join(capsys.readouterr().out.split())
