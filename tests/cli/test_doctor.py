"""`opsverify doctor` finds what a stage would fail or hold for: it never says "no problems" where verify would."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from opsverify.cli.doctor_database import database_findings
from opsverify.cli.doctor_services import service_findings
from opsverify.cli.main import main
from opsverify.config.secrets import Secrets
from opsverify.config.signals import Signals
from opsverify.core.runbook import lines_of
from opsverify.probes import postgres_connection
from tests.probes.probe_servers import PASSWORD
from tests.support.http_double import answering
from tests.support.target_file import SMALLEST, target_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opsverify.cli.doctor_findings import DoctorFinding
    from tests.probes.probe_servers import Cluster

PROMETHEUS = '[prometheus]\nurl = "http://127.0.0.1:9"\n[prometheus.signals]\nrequests = { absent = "? not seen" }\n'
LONG = "every part of the platform is well; " * 4 + "\nand so are its stores"
"""A body of more characters than are shown, on two lines."""


class Platform(BaseHTTPRequestHandler):
    """A service that calls itself UP, in version 7."""

    def do_GET(self) -> None:
        """Answer under /health, and in plain text under the others."""
        bodies = {
            "/health": json.dumps({"status": "UP", "version": "7"}),
            "/text": "fine\n",
            "/long": LONG,
            "/two": "a  b",
        }
        self.send_response(200 if self.path in bodies else 404)
        self.end_headers()
        self.wfile.write(bodies.get(self.path, "not found").encode())

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The platform's."""
    with answering(Platform) as found:
        yield found


def of_service(folder: Path, url: str, keys: str) -> DoctorFinding:
    """What doctor finds about a service described by `keys`."""
    target = target_in(folder, SMALLEST.replace("http://127.0.0.1:9", url) + keys)
    (found,) = service_findings(target, Secrets({}))
    return found


@pytest.mark.parametrize(
    ("keys", "state", "told"),
    [
        ('healthy = "UP"', "ok", "HTTP 200, status 'UP'"),
        ('degraded = ["UP"]', "ok", "HTTP 200, status 'UP'"),
        ('health = "/text"\nhealthy_text = "fine"', "ok", "HTTP 200, body 'fine'"),
        (f'health = "/long"\nhealthy_text = """{LONG}"""', "ok", "HTTP 200, body 'every part"),
        (
            'health = "/two"\nhealthy_text = "a b"',
            "FAIL",
            "body 'a  b', expected 'a b'; correct services.a.healthy_text",
        ),
        ('health = "/wrong"', "FAIL", "/wrong: HTTP status 404, expected 200; correct services.a.health"),
        ("", "FAIL", "/health: status 'UP', expected 'ok'; correct services.a.healthy"),
        ('status_field = "state"', "FAIL", "the key is services.a.status_field"),
        ('health = "/text"', "FAIL", "for an answer that is no JSON services.a.healthy_text"),
        ('health = "/text"\nhealthy_text = "ok"', "FAIL", "'fine', expected 'ok'; correct services.a.healthy_text"),
        ('healthy = "UP"\nversion = "8"', "FAIL", "version '7', expected '8'; correct services.a.version"),
    ],
)
def test_a_service_is_well_where_its_check_would_pass(
    tmp_path: Path, url: str, keys: str, state: str, told: str
) -> None:
    """The path, the field and the word of health are compared, and the key to correct is named."""
    found = of_service(tmp_path, url, keys)
    assert found.state.strip() == state
    assert told in found.text


def of_database(folder: Path, cluster: Cluster, keys: str) -> dict[str, DoctorFinding]:
    """What doctor finds about PostgreSQL described by `keys`, by part."""
    text = SMALLEST.replace('"postgres", ', "") + (
        f"[postgres]\nhost = '127.0.0.1'\nport = {cluster.port}\ndbname = 'postgres'\nsslmode = 'disable'\n"
        f"login = {{ user = 'reader', password = {{ env = 'DOCTOR_PASSWORD' }} }}\n{keys}\n"
    )
    target = target_in(folder, text)
    assert target.postgres is not None
    reference = target.postgres.login.password
    assert reference is not None
    return {found.part: found for found in database_findings(target, Secrets({reference: PASSWORD}))}


WELL = 'reads = "SELECT 1 FROM numbers LIMIT 1"\ndead_letters = "SELECT 0 AS waiting, 0.0 AS oldest_s"'


def test_what_a_database_is_described_as_is_tried(tmp_path: Path, cluster: Cluster) -> None:
    """Every statement of [postgres] that a check sends was answered; the role lacks a right of its own."""
    found = of_database(tmp_path, cluster, WELL + "\nmigration = { query = \"SELECT '41'\", head = '41' }")
    assert [part for part, each in found.items() if each.state == "FAIL"] == ["postgres pg_monitor"]
    assert {"postgres.reads", "postgres.dead_letters", "postgres.migration", "postgres.writable"} <= set(found)


def test_a_server_that_is_too_old_is_told(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a check holds with it; a version that is known has no line."""
    assert "postgres version" not in of_database(tmp_path, cluster, WELL)
    monkeypatch.setattr(postgres_connection, "OLDEST_MAJOR", 99)
    found = of_database(tmp_path, cluster, WELL)["postgres version"]
    assert (found.state, "is older than 99" in found.text) == ("LACK", True)


@pytest.mark.parametrize(
    ("part", "old", "new", "told"),
    [
        ("postgres.reads", "SELECT 1 FROM numbers LIMIT 1", "", "postgres.reads"),
        ("postgres.reads", "SELECT 1 FROM numbers LIMIT 1", "DELETE FROM numbers", "postgres.reads"),
        ("postgres.reads", "FROM numbers", "FROM judgment_executions", "does not exist"),
        ("postgres.dead_letters", "AS waiting", "AS pending", "expected one row with waiting and oldest_s"),
        ("postgres.dead_letters", "0.0 AS", "NULL AS", "expected one row with waiting and oldest_s"),
        ("postgres.dead_letters", "0.0 AS", "0.0 FROM workflow_dead_letters AS", "declare `dead_letters` absent"),
        ("postgres.writable", "reads", "writable = false\nreads", "set postgres.writable = true"),
        ("postgres.migration", "reads", "migration = { query = \"SELECT '40'\", head = '41' }\nreads", "expected 41"),
    ],
)
def test_a_wrong_description_of_a_database_is_found(
    tmp_path: Path, cluster: Cluster, part: str, old: str, new: str, told: str
) -> None:
    """What verify would hold or fail for is a FAIL with the key to correct."""
    found = of_database(tmp_path, cluster, WELL.replace(old, new, 1))[part]
    assert found.state == "FAIL"
    assert told in found.text


def test_an_archive_that_is_switched_off_is_found(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`archives_wal` is true where the target does not say otherwise."""
    assert of_database(tmp_path, cluster, WELL)["postgres.archives_wal"].ok
    monkeypatch.setattr("opsverify.probes.postgres.Postgres.archiver", lambda _: SimpleNamespace(enabled=False))
    found = of_database(tmp_path, cluster, WELL)["postgres.archives_wal"]
    assert (found.state, found.text.partition(";")[0]) == ("FAIL", "archive_mode is off")
    assert "postgres.archives_wal" not in of_database(tmp_path, cluster, f"archives_wal = false\n{WELL}")


@pytest.mark.parametrize("both", [0, 2])
def test_a_series_of_canary_and_baseline_is_found(
    both: int, project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate holds where a series is in both scopes; before a release is the time to correct them."""
    probe = "opsverify.probes.prometheus.Prometheus"
    monkeypatch.setattr(f"{probe}.now", lambda _: 1_700_000_000.0)
    monkeypatch.setattr(
        f"{probe}.instant",
        lambda _, query: SimpleNamespace(samples=[SimpleNamespace(labels={})] * (both if " and " in query else 1)),
    )
    absent = {name: {"absent": "no"} for name, field in Signals.model_fields.items() if field.default is not None}
    signals = "".join(f'{name} = {{ absent = "no" }}\n' for name in absent if name != "requests")
    text = SMALLEST.replace('"prometheus", ', "").replace('"canary", ', "") + "[canary]\n" + PROMETHEUS
    found = stages_of(project, capsys, text.replace('requests = { absent = "? not seen" }\n', signals))
    said = [part for part in found if part.startswith("canary.canary, canary.baseline")]
    assert len(said) == bool(both)
    assert all("2 series are in both scopes (judgment_requests_total{" in line for line in said)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one's own with the built-in suites."""
    (tmp_path / "targets").mkdir()
    (tmp_path / "runbook.toml").write_text("", encoding="utf-8")
    return tmp_path


def stages_of(project: Path, capsys: pytest.CaptureFixture[str], target: str) -> dict[str, str]:
    """Doctor's lines by their part."""
    path = project / "targets" / "t.toml"
    path.write_text(target, encoding="utf-8")
    main(["doctor", "--target", str(path)])
    lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
    found = {}
    for state, rest in (line for line in lines if line[0] in ("ok", "LACK", "FAIL")):
        part, _, text = rest.partition("  ")
        found[part.strip()] = f"{state} {text.strip()}"
    return found


def test_a_line_out_of_scope_is_not_lacking(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stage that would be promoted is not said to hold."""
    lines = ("judgment", "alert", "bi", "llm")
    target = SMALLEST + "[synthetic]\njourneys = []\n"
    before = stages_of(project, capsys, target)["stage staging"]
    assert before.startswith("LACK 1 of 16 checks apply; no check for 2-1/")
    assert "opsverify attest --list staging" in before
    (project / "runbook.toml").write_text(
        "".join(
            f'[[out_of_scope]]\nline = "2-1/{line}"\nowner = "me"\nreason = "no such part here"\nsince = 2026-11-28\n'
            for line in lines
        ),
        encoding="utf-8",
    )
    lines_of.cache_clear()  # a process reads a runbook once
    after = stages_of(project, capsys, target)["stage staging"]
    assert "2-1/" not in after
    assert "out of scope (4)" in after


def test_questions_that_the_target_leaves_open_are_lacking(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each, by the key to write, of parts and of signals."""
    absent = SMALLEST.partition("absent = ")[2].partition("\n")[0]
    text = SMALLEST.replace(f"absent = {absent}\n", "") + PROMETHEUS + "[absent]\n"
    text += "".join(
        f'{part} = "{reason}"\n'
        for part, reason in {
            "redis": "? not seen", "postgres": "none", "alertmanager": "none", "mcp": " ? ", "canary": "none",
            "inbox": "none", "recovery": "none",
        }.items()
    )  # fmt: skip
    found = stages_of(project, capsys, text)
    open_ones = {part for part, text in found.items() if "leaves open" in text}
    assert open_ones == {"absent.redis", "absent.mcp", "signals.requests"}
    assert all(found[part].startswith("LACK") for part in open_ones)
    assert "of them cannot run: the stage holds" in found["stage daily"]


def test_a_check_that_cannot_run_is_lacking_and_the_total_says_so(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is wrong with what the target describes, and a stage holds all the same."""
    path = project / "targets" / "t.toml"
    path.write_text(SMALLEST.replace("absent = [", 'absent = ["services", ').partition("[services.a]")[0])
    assert main(["doctor", "--target", str(path)]) == 0
    said = capsys.readouterr().out
    found = {line.split()[1]: line for line in said.splitlines() if line.startswith("LACK")}
    assert "missing [regions] in the target" in found["traffic.dns"]
    assert found["weekly.log_retention"]
    dr = next(line for line in said.splitlines() if "stage post-dr" in line)
    assert "1 of them cannot run: the stage holds; 5-3/restore is what post-dr decides by" in dr
    assert said.splitlines()[-1] == "t: no problems in what the target describes"


def test_a_stage_of_which_no_check_applies_holds(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of the canary's checks are not applicable without Prometheus: nothing would be measured."""
    found = stages_of(project, capsys, SMALLEST)["stage prod-canary"]
    assert found.startswith("LACK 0 of 1")
    assert "checks apply; 8/window is what prod-canary decides by" in found
