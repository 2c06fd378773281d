"""`opsverify prove` in a project made by `init`, against a small local server whose fault a file switches on."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHECK = """
from opsverify import runbook


@runbook("own/clock", id="own.flag", stages=("daily",), severity="sev3", ko="깃발", en="Flag")
def test_flag(check, services):
    check.expect("status", services.get("my-shop", "/flag").status, 200)
"""
ROW = """
[[row]]
stage = "daily"
on = ["touch", "fault"]
off = ["rm", "fault"]
until = ["test", "-e", "fault"]
red = { "own.flag" = "fail" }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project made by `init` with one own check, whose service fails while a file `fault` lies in the project."""
    folder = tmp_path_factory.mktemp("prove") / "my-shop"

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            bad = self.path == "/flag" and (folder / "fault").exists()
            body = b'{"status": "ok"}'
            self.send_response(500 if bad else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    _opsverify("init", str(folder), cwd=folder.parent)
    for path in (folder / "checks").glob("*_clock*"):
        path.unlink()
    (folder / "checks" / "test_flag.py").write_text(CHECK, encoding="utf-8")
    (folder / "checks" / "test_flag.faults.toml").write_text(ROW)
    _opsverify("pin", cwd=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = folder / "targets" / "my-shop.toml"
        text = re.sub(r"\[postgres\].*?\n\n", "", target.read_text(encoding="utf-8"), flags=re.DOTALL)
        text = text.replace("https://my-shop.example.com", f"http://127.0.0.1:{server.server_port}")
        text = text.replace('absent = ["', 'absent = ["postgres", "').replace('"ko" ', '"en" ')
        target.write_text(text, encoding="utf-8")
        yield folder
        server.shutdown()


def _opsverify(*arguments: str, cwd: Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "opsverify", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def _allow(folder: Path, environment: str = "staging") -> str:
    text = (folder / "targets" / "my-shop.toml").read_text(encoding="utf-8")
    name = f"allowed-{environment}"
    text = text.replace('name = "my-shop"', f'name = "{name}"').replace('"staging"', f'"{environment}"')
    (folder / "targets" / f"{name}.toml").write_text(text + "\n[faults]\nallowed = true\n", encoding="utf-8")
    return name


def test_nothing_is_caused_unless_the_target_allows_it(folder: Path) -> None:
    """Without the key, and in production with it: refused with 4, and nothing ran."""
    before = list((folder / "reports").glob("prove-*"))
    said = _opsverify("prove", "--target", "my-shop", cwd=folder, code=4)
    assert "faults may not be caused there; where they may: [faults] allowed = true" in said
    said = _opsverify("prove", "--target", _allow(folder, "production"), cwd=folder, code=4)
    assert "is production: no fault is caused there" in said
    assert list((folder / "reports").glob("prove-*")) == before


def test_every_row_is_proven(folder: Path) -> None:
    """The own check passes, fails with the fault, and the fault is gone; from a folder below the project."""
    said = _opsverify("prove", "--target", _allow(folder), cwd=folder / "checks")
    assert "fault on: touch fault; to end it by hand: rm fault" in said
    assert "proven      daily: own.flag" in said
    assert not (folder / "fault").exists()


def test_a_row_that_is_not_true(folder: Path) -> None:
    """A fault that no check sees, and a check without a row: both are named, exit 10."""
    name, rows, check = _allow(folder), folder / "checks" / "test_flag.faults.toml", folder / "checks" / "test_flag.py"
    untrue = ROW.replace('"fault"]', '"other"]').replace('until = ["test", "-e", "other"]', "")
    rows.write_text(untrue)
    check.write_text(CHECK + CHECK.replace("own.flag", "own.second").replace("test_flag", "test_second"), "utf-8")
    try:
        _opsverify("pin", cwd=folder)
        said = _opsverify("prove", "--target", name, cwd=folder, code=10)
    finally:
        rows.write_text(ROW)
        check.write_text(CHECK, encoding="utf-8")
        _opsverify("pin", cwd=folder)
    assert "not proven  daily: own.flag: own.flag must be fail with the fault, and is pass" in said
    assert "not proven  own.second: no row makes it fail" in said
    assert not (folder / "other").exists()


def test_a_checkout_is_no_project_of_ones_own() -> None:
    """Built-in rows need the sandbox: the command that runs them is named."""
    assert "./run proof" in _opsverify("prove", "--target", "sandbox", cwd=REPOSITORY, code=4)
