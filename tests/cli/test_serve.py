"""`opsverify serve`: tokens are made once, loopback unless declared otherwise, one line where it cannot begin."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import ssl
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import httpx
import pytest
import trustme

from opsverify.cli.main import main
from opsverify.errors import TargetError
from opsverify.serve.server import Listener
from opsverify.serve.tokens import Tokens
from tests.support.gate_server import LONGEST_S, plain, project_in, tokens_text, until

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from pathlib import Path


def test_a_token_is_shown_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its table holds the sum only, and is a token file."""
    assert main(["serve", "--make-token", "flagger"]) == 0
    table, plain = capsys.readouterr()
    assert plain.strip() not in table
    assert tomllib.loads(table)["token"][0]["sha256"] == hashlib.sha256(plain.strip().encode()).hexdigest()
    (tmp_path / "tokens.toml").write_text(table, encoding="utf-8")
    Tokens(tmp_path / "tokens.toml")


def test_the_command_serves_over_tls_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """SIGTERM ends it with 0; what it logs holds no token."""
    folder, log = project_in(tmp_path / "project"), tmp_path / "log"
    authority = trustme.CA()
    pem = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    argv = [sys.executable, "-m", "opsverify", "serve", "--port=0", f"--certificate={pem}", f"--key={pem}"]
    with log.open("wb") as output:
        server = subprocess.Popen(argv, cwd=folder, stderr=output)
    try:
        url = until(lambda: server.poll() or re.search(r"https://127\.0\.0\.1:\d+", log.read_text()), "the address")[0]
        with httpx.Client(base_url=url, verify=context, trust_env=False, timeout=LONGEST_S) as client:
            headers = {"Authorization": f"Bearer {plain('admin')}"}
            assert client.get("/v1/runs", headers=headers).json() == {"runs": []}
            hook = f"/v1/hooks/flagger/{plain('hooks')}/daily/prod/rollback"
            assert client.post(hook, json={"name": "j", "namespace": "p", "checksum": "c1"}).status_code == 403
    finally:
        server.terminate()
        server.wait(LONGEST_S)
    assert server.returncode == 0
    assert "ovs_" not in log.read_text()


def test_without_the_extra_it_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to type."""
    find = importlib.util.find_spec

    def absent(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "uvicorn" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", absent)
    assert main(["serve"]) == 4
    assert capsys.readouterr().err == "opsverify: serve needs uvicorn; type: pip install 'opsverify[serve]'\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "not loopback"),  # noqa: S104 - what is refused
        (["--certificate", "pyproject.toml"], "belong together"),
        (["--certificate", "none.crt", "--key", "none.key"], "no such file"),
        (["--max-age", "soon"], "not a duration"),
        (["--approve-within", "soon"], "not a duration"),
        (["--queue", "0"], "expected 1 or more"),
        (["--tokens", "/none.toml"], "/none.toml: No such file or directory; name it with --tokens, or write it"),
    ],
)
def test_what_cannot_begin_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit 4, and nothing listens."""
    assert main(["serve", *arguments]) == 4
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "listener", [Listener(), Listener("::1"), Listener("localhost"), Listener("10.0.0.1", plain_http=True)]
)
def test_loopback_and_what_is_declared_is_fine(listener: Listener) -> None:
    """Loopback in every form, and an address behind an ingress."""
    listener.check()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (tokens_text().replace('"reader"', '"admin"'), "one name"),
        (tokens_text().replace('["daily"]', '["nightly"]'), "nightly"),
        (tokens_text("2999-01-01T00:00:00"), "time zone"),
        (tokens_text().replace('"read"', '"everything"', 1), "everything"),
        ("[[tokens]]\n", "tokens"),
    ],
)
def test_a_wrong_token_file_is_named(text: str, said: str, tmp_path: Path) -> None:
    """Whatever is wrong in it."""
    path = tmp_path / "tokens.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TargetError, match=said):
        Tokens(path)
