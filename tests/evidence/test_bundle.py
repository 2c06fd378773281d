"""Bundle of a run: the same bytes for the same run, verified with and without this program, and what is none."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
import zstandard

from opsverify.cli import main
from opsverify.errors import EvidenceError
from opsverify.evidence.bundle import unpacked, write_bundle
from opsverify.evidence.signature import sign_run, verify_run
from tests.evidence.keys import FOREIGN, PRIVATE, PUBLIC
from tests.support.finished_run import VERDICT, finish
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCRIPT = REPOSITORY / "docs" / "verify-bundle.sh"
TOP = str(VERDICT["run_id"])
TIMES = {"started_at": "2026-11-22T20:12:33.120Z", "finished_at": "2026-11-22T20:20:00.000Z"}
Change = "Callable[[Path], object]"


@pytest.fixture(name="run")
def signed_run(run_dir: Path) -> Path:
    """A signed run, with a page that the manifest leaves out."""
    (run_dir / "plan.json").write_text("{}")
    verdict = {**VERDICT, **TIMES}
    finish(run_dir, **TIMES)
    sealed = json.loads((run_dir / "verdict.json").read_text())
    (run_dir / "verdict.json").write_text(json.dumps({**verdict, **sealed}, indent=2) + "\n")
    sign_run(run_dir, PRIVATE)
    (run_dir / "report.html").write_text("<html>")
    return run_dir


@pytest.fixture(name="bundle")
def made_bundle(run: Path, tmp_path: Path) -> Path:
    """Its bundle."""
    bundle = tmp_path / "run.tar.zst"
    write_bundle(run, bundle)
    return bundle


def test_the_same_run_makes_the_same_bytes(run: Path, bundle: Path, tmp_path: Path) -> None:
    """Wherever the folder lies, whenever its files were written, whoever owns them."""
    shutil.copytree(run, tmp_path / "else", copy_function=shutil.copyfile)
    (tmp_path / "else" / "report.html").write_text("another page")
    write_bundle(tmp_path / "else", tmp_path / "again.tar.zst")
    assert (tmp_path / "again.tar.zst").read_bytes() == bundle.read_bytes()


def test_it_holds_what_was_sealed(run: Path, bundle: Path) -> None:
    """Every covered file, manifest, signature and verdict; no page; and it verifies by its key."""
    with unpacked(bundle) as folder:
        assert folder.name == TOP
        inside = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        there = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
        assert inside == there - {"report.html"}
        assert verify_run(folder, PUBLIC).ok
    assert not folder.exists()


def test_an_altered_run_makes_none(run: Path, tmp_path: Path) -> None:
    """Nothing is packed that its own sums contradict."""
    (run / "plan.json").write_text("{ }")
    with pytest.raises(EvidenceError, match=r"plan\.json: altered.*only a whole run"):
        write_bundle(run, tmp_path / "no.tar.zst")
    assert not (tmp_path / "no.tar.zst").exists()


def test_the_command_verifies_it(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the right key 0, with another, without one and for an altered file 10."""
    (tmp_path / "a.pub").write_text(PUBLIC)
    (tmp_path / "b.pub").write_text(FOREIGN)
    command = ["evidence", "verify", str(bundle)]
    assert main.main([*command, "--public-key", str(tmp_path / "b.pub"), "--public-key", str(tmp_path / "a.pub")]) == 0
    assert f"{TOP}: complete and unaltered; signed by key" in capsys.readouterr().out
    assert main.main([*command, "--public-key", str(tmp_path / "b.pub")]) == 10
    assert main.main(command) == 10
    changed = _repacked(bundle, tmp_path, lambda run: (run / "plan.json").write_text("{ }"))
    assert main.main(["evidence", "verify", str(changed), "--public-key", str(tmp_path / "a.pub")]) == 10


def _script(bundle: Path, tmp_path: Path, key: str = PUBLIC) -> subprocess.CompletedProcess[str]:
    (tmp_path / "key.pem").write_text(key)
    command = ["sh", str(SCRIPT), str(bundle), str(tmp_path / "key.pem")]
    return subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})


def test_the_script_needs_nothing_of_ours(bundle: Path, tmp_path: Path) -> None:
    """openssl, zstd, tar and coreutils say the same, with the decision; at most 60 lines."""
    done = _script(bundle, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "decision rollback" in done.stdout
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) <= 60
    other = _script(bundle, tmp_path, FOREIGN)
    assert (other.returncode, "no valid signature of this key" in other.stdout) == (1, True)


def _edit_signed(run: Path) -> None:
    """Sign something else: the value no longer fits."""
    envelope = json.loads((run / "signature.dsse.json").read_text())
    statement = base64.b64decode(envelope["payload"]).replace(b"FAILED", b"PASSED")
    envelope["payload"] = base64.b64encode(statement).decode()
    (run / "signature.dsse.json").write_text(json.dumps(envelope, indent=2))


CHANGES = {
    "an altered file": lambda run: (run / "plan.json").write_text("{ }"),
    "a removed file": lambda run: (run / "plan.json").unlink(),
    "an added file": lambda run: (run / "more.json").write_text("{}"),
    "an added folder with a file": lambda run: ((run / "more").mkdir(), (run / "more" / "x").touch()),
    "an added link": lambda run: (run / "more").symlink_to("plan.json"),
    "an altered verdict": lambda run: (run / "verdict.json").write_text(
        (run / "verdict.json").read_text().replace("rollback", "promote")
    ),
    "an altered manifest": lambda run: (run / "manifest.sha256").write_text(""),
    "no signature": lambda run: (run / "signature.dsse.json").unlink(),
    "a signature of something else": _edit_signed,
    "an empty signature": lambda run: (run / "signature.dsse.json").write_text("{}"),
    "no manifest": lambda run: (run / "manifest.sha256").unlink(),
    "no verdict": lambda run: (run / "verdict.json").unlink(),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_shows(what: str, bundle: Path, tmp_path: Path) -> None:
    """Neither the script nor the command takes it for what was signed."""
    changed = _repacked(bundle, tmp_path, CHANGES[what])
    assert _script(changed, tmp_path).returncode == 1
    (tmp_path / "a.pub").write_text(PUBLIC)
    try:
        code = main.main(["evidence", "verify", str(changed), "--public-key", str(tmp_path / "a.pub")])
    except EvidenceError:
        return
    assert code not in (0, 1)


def _repacked(bundle: Path, tmp_path: Path, change: Callable[[Path], object]) -> Path:
    """The bundle with its content changed, made with other tools."""
    place = tmp_path / "repacked"
    place.mkdir()
    subprocess.run(["sh", "-c", f"zstd -qdc {bundle} | tar -xf - -C {place}"], check=True)
    change(place / TOP)
    subprocess.run(["sh", "-c", f"tar -cf - {TOP} | zstd -q > ../changed.tar.zst"], check=True, cwd=place)
    return tmp_path / "changed.tar.zst"


def _entry(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.linkname = kind, size, link
    return entry


@pytest.mark.parametrize(
    "entries",
    [
        [_entry("../evil")],
        [_entry("/evil")],
        [_entry("run/../../evil")],
        [_entry("evil")],
        [_entry("run/link", tarfile.SYMTYPE, link="/etc/passwd")],
        [_entry("run/hard", tarfile.LNKTYPE, link="run/x")],
        [_entry("run/pipe", tarfile.FIFOTYPE)],
        [_entry("run/device", tarfile.CHRTYPE)],
        [_entry("run/twice"), _entry("run/twice")],
        [_entry("run/huge", size=1 << 50)],
        [_entry("a/x"), _entry("b/x")],
        [],
    ],
    ids=lambda entries: "+".join(entry.name for entry in entries).replace("/", "_"),
)
def test_a_hostile_archive_writes_nothing_elsewhere(entries: list[tarfile.TarInfo], tmp_path: Path) -> None:
    """Only regular files of one folder are unpacked; anything else is no bundle."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for entry in entries:
            made.write(entry.tobuf())
            archive.offset = made.tell()
    bundle = tmp_path / "hostile.tar.zst"
    bundle.write_bytes(zstandard.compress(made.getvalue()))
    with pytest.raises(EvidenceError), unpacked(bundle):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.tar.zst"]


@pytest.mark.parametrize("content", [b"", b"nonsense", zstandard.compress(b"nonsense" * 100)])
def test_no_bundle(content: bytes, tmp_path: Path) -> None:
    """A file that is none is refused by name."""
    (tmp_path / "x.tar.zst").write_bytes(content)
    with pytest.raises(EvidenceError, match=r"x\.tar\.zst"), unpacked(tmp_path / "x.tar.zst"):
        pass
