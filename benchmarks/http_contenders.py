"""Contenders of the HTTP benchmark: the same health checks, written as each contender's docs do.

Every one requests the same URLs with the same token and requires the same: status 200, `status` ok, the
expected version, an answer within one second.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_server import VERSION
from interleave import Contender, Finished, require
from peer_environment import environment

ROOT = Path(__file__).resolve().parent.parent
TAVERN = ("tavern==3.7.1", "pytest==8.4.2")  # it does not load with pytest 9
TOKEN = "benchmark-token-5b1f0c"  # noqa: S105 - the server ignores it; it is there to be redacted
NO_AUTOLOAD = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

TARGET = """name = "benchmark"
environment = "staging"
language = "ko"
absent = ["prometheus", "alertmanager", "postgres", "redis", "mcp", "canary", "inbox", "recovery"]

[owners]
default = "platform-oncall"

[evidence]
signing_key = {{ file = "signing_key.pem" }}
{services}"""
SERVICE = """
[services.s{number:04}]
url = "{url}"
health = "/health/{number}"
version = "{version}"
bearer = {{ env = "BENCHMARK_TOKEN" }}
"""
PLAIN = '''"""Health checks in plain pytest with one httpx client."""

import httpx
import pytest


@pytest.fixture(scope="session")
def client():
    """One pool of connections."""
    with httpx.Client(base_url="{url}", headers={{"Authorization": "Bearer {token}"}}) as client:
        yield client


@pytest.mark.parametrize("number", range({count}))
def test_health(client, number):
    """The service answers healthy, in time, in the expected version."""
    reply = client.get(f"/health/{{number}}")
    assert reply.status_code == 200
    assert reply.json()["status"] == "ok"
    assert reply.json()["version"] == "{version}"
    assert reply.elapsed.total_seconds() < 1
'''
TESTINFRA = '''"""Health checks in pytest-testinfra, which runs curl on the host."""

import json

import pytest


@pytest.mark.parametrize("number", range({count}))
def test_health(host, number):
    """The service answers healthy, in time, in the expected version."""
    answer = host.check_output(
        "curl -sSf -m 1 -H %s %s", "Authorization: Bearer {token}", f"{url}/health/{{number}}"
    )
    assert json.loads(answer)["status"] == "ok"
    assert json.loads(answer)["version"] == "{version}"
'''
TAVERN_TEST = """test_name: the service answers healthy, in time, in the expected version
marks:
  - parametrize:
      key: number
      vals: {numbers}
stages:
  - name: health
    request:
      url: "{url}/health/{{number}}"
      method: GET
      timeout: 1
      headers:
        Authorization: "Bearer {token}"
    response:
      status_code: 200
      strict:
        - json:off
      json:
        status: ok
        version: "{version}"
"""


def plain(folder: Path, url: str, count: int) -> Contender:
    """Plain pytest and httpx: the reference."""
    _write(folder / "test_health.py", PLAIN, url, count)
    return Contender(
        "pytest + httpx",
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        folder,
        NO_AUTOLOAD,
        confirm=lambda run: _passed(run, count),
    )


def plain_with_allure(folder: Path, url: str, count: int) -> Contender:
    """The same with the results of allure-pytest: one a test, without the exchange."""
    _write(folder / "test_health.py", PLAIN, url, count)
    results = folder / "allure-results"
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "allure_pytest.plugin"]
    return Contender(
        "pytest + httpx + allure-pytest",
        [*argv, f"--alluredir={results}"],
        folder,
        NO_AUTOLOAD,
        prepare=lambda: shutil.rmtree(results, ignore_errors=True),
        confirm=lambda run: _passed(run, count),
    )


def opsverify(folder: Path, url: str, count: int) -> Contender:
    """The repository's own suites on a target of `count` services, with all evidence, signed."""
    services = "".join(SERVICE.format(number=number, url=url, version=VERSION) for number in range(count))
    target, report = folder / "benchmark.toml", folder / "run"
    target.write_text(TARGET.format(services=services), encoding="utf-8")
    key = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "signing_key.pem").write_bytes(key)

    def complete(run: Finished) -> None:
        require(run.status == 0, "opsverify: decision is not accept", run)
        checks = json.loads((report / "verdict.json").read_text(encoding="utf-8"))["checks"]
        passed = sum(check["outcome"] == "pass" for check in checks)
        written = list((report / "allure-results").iterdir())
        attached = sum(path.name.endswith("-attachment.txt") for path in written)
        require(passed == count, f"{passed} of {count} passed", run)
        require(attached >= count, f"{attached} exchanges attached", run)
        require(sum(path.name.endswith("-result.json") for path in written) >= count, "results missing", run)
        require((report / "signature.dsse.json").exists(), "not signed", run)

    command = ["-m", "opsverify", "verify", "daily", "--target", str(target), "--report-dir", str(report)]
    return Contender(
        "opsverify verify, full signed evidence",
        [sys.executable, *command],
        ROOT,
        {"BENCHMARK_TOKEN": TOKEN},
        prepare=lambda: shutil.rmtree(report, ignore_errors=True),
        confirm=complete,
    )


def tavern(folder: Path, url: str, count: int) -> Contender:
    """Tavern, in an environment of its own with the same interpreter."""
    test = TAVERN_TEST.format(numbers=list(range(count)), url=url, token=TOKEN, version=VERSION)
    (folder / "test_health.tavern.yaml").write_text(test, encoding="utf-8")
    return Contender(
        "Tavern 3.7.1",
        [str(environment("tavern-3.7.1", TAVERN)), "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        folder,
        confirm=lambda run: _passed(run, count),
    )


def testinfra(folder: Path, url: str, count: int) -> Contender:
    """pytest-testinfra on the local host: it has no HTTP client, each check is a curl."""
    _write(folder / "test_health.py", TESTINFRA, url, count)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "testinfra.plugin"]
    return Contender(
        "pytest-testinfra + curl",
        [*argv, "--hosts=local://"],
        folder,
        NO_AUTOLOAD,
        confirm=lambda run: _passed(run, count),
    )


def _write(path: Path, template: str, url: str, count: int) -> None:
    path.write_text(template.format(url=url, count=count, token=TOKEN, version=VERSION), encoding="utf-8")


def _passed(run: Finished, count: int) -> None:
    require(run.status == 0 and f"{count} passed" in run.output, f"expected {count} passed", run)
