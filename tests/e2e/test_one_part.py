"""Stages on a target with one part: a PostgreSQL with a log in it, a Redis with few settings, no Prometheus."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import binaries
from tests.probes.probe_servers import free_port, listens, running
from tests.pytest_plugin.suite import Ran, verdict_in
from tests.support.primary import PORT, owned, primary, server_tools, succeed
from tests.support.target_file import SMALLEST

if TYPE_CHECKING:
    from collections.abc import Iterator

VERIFY = "import sys; from opsverify.cli.main import main; sys.exit(main(sys.argv[1:]))"
WITHOUT_MORPHEMES = "import sys; sys.modules['kiwipiepy'] = None; "
"""With it `import kiwipiepy` fails in an interpreter, as where the extra is not installed."""
POSTGRES = """
[postgres]
host = "{home}"
port = {port}
dbname = "postgres"
login = {{ user = "reader" }}
sslmode = "disable"
[retention.chat]
oldest = "SELECT min(at) FROM chat"
at_most = "7d"
[llmops]
utterances = "SELECT at, user_id, utterance, intent, confidence, feedback FROM chat WHERE at >= %(since)s"
"""
CHAT = """
CREATE TABLE chat (at timestamptz, user_id text, utterance text, intent text, confidence float8, feedback int);
INSERT INTO chat
    SELECT now() - n * interval '1 day', 'kim', '불량률 분석해줘', 'bi_insight', 0.9, 1 FROM generate_series(1, 9) n;
CREATE ROLE reader LOGIN IN ROLE pg_monitor, pg_read_all_data;
"""


def ended(folder: Path, stage: str, part: str, tables: str, before: str = "") -> Ran:
    """A run of the suites that come with the package on a target with one part; `before` is run in its interpreter."""
    (folder / "targets").mkdir(exist_ok=True)
    (folder / "runbook.toml").write_text("", encoding="utf-8")
    target = SMALLEST.replace(f'"{part}", ', "")
    (folder / "targets" / "t.toml").write_text(target + tables, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", before + VERIFY, "verify", stage, "--target", "t"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    run = (folder / "reports" / "latest").resolve()
    return Ran(done.returncode, done.stdout, done.stderr, verdict_in(run), run)


def messages(ran: Ran) -> dict[str, tuple[str, str]]:
    """Outcome and message of every check."""
    assert ran.verdict is not None, str(ran)
    return {check["id"]: (check["outcome"], check["message"]) for check in ran.verdict["checks"]}


@pytest.fixture(scope="module")
def chat() -> Iterator[tuple[Path, object]]:
    """A server whose table `chat` holds nine days, one row each; its folder and the server."""
    # Not in pytest's own folder, which is closed to the server's account.
    with tempfile.TemporaryDirectory(prefix="chat-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        tools, account = server_tools(18, folder)
        home = owned(folder / "p", account)
        with primary(tools, account, home, {"archive_mode": "off"}) as server:
            succeed(server, CHAT)
            yield home, server


def test_a_week_of_a_log(chat: tuple[Path, object], tmp_path: Path) -> None:
    """Trap 24: seven days are configured and nine are there, which fails; once they are applied it passes.

    Where kiwipiepy is absent nothing is known of the rules of intents: inconclusive, in one line that says what to do.
    """
    home, server = chat
    tables = POSTGRES.format(home=home, port=PORT)
    kept = ended(tmp_path, "weekly", "postgres", tables, WITHOUT_MORPHEMES)
    found = messages(kept)
    assert found["weekly.log_retention[chat]"] == ("fail", "9d since the oldest entry, limit <= 7d")
    assert found["llmops.intent_rules"] == (
        "inconclusive",
        "utterances cannot be split into morphemes; install opsverify[llmops]",
    )
    assert "Traceback" not in kept.out + kept.err
    succeed(server, "DELETE FROM chat WHERE at < now() - interval '6 days'")  # type: ignore[arg-type]
    applied = messages(ended(tmp_path, "weekly", "postgres", tables))
    assert applied["weekly.log_retention[chat]"][0] == "pass"
    assert applied["llmops.intent_rules"][0] == "pass"


@contextmanager
def redis(folder: Path, *options: str) -> Iterator[int]:
    """A Redis with these options; its port."""
    port = free_port()
    argv = [str(binaries.find(binaries.REDIS)), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    with running([*argv, "--save", "", *options], folder, lambda: listens(port), signal.SIGKILL):
        yield port


def test_a_redis_with_few_settings(tmp_path: Path) -> None:
    """Without maxmemory it may take the whole machine, unless the target says that this is meant.

    Trap 16: with `latency-monitor-threshold 0` nothing is known of slow events.
    """
    with redis(tmp_path) as port:
        tables = f'[redis]\nhost = "127.0.0.1"\nport = {port}\npersistence = "none"\nlook = "1s"\n'
        found = messages(ended(tmp_path, "daily", "redis", tables))
        assert found["health.redis.memory"][0] == "fail"
        assert 'set it, or maxmemory = "unlimited" in [redis]' in found["health.redis.memory"][1]
        assert found["daily.redis_latency"][0] == "inconclusive"
        assert "latency-monitor-threshold is 0" in found["daily.redis_latency"][1]
        meant = messages(ended(tmp_path, "daily", "redis", f'{tables}maxmemory = "unlimited"\n'))
    assert meant["health.redis.memory"][0] == "pass"
    assert "maxmemory unlimited as declared" in meant["health.redis.memory"][1]


def test_a_prometheus_that_is_gone(tmp_path: Path) -> None:
    """One cause in many checks: its text is told once as they run, and once for each outcome with the count."""
    where = "http://127.0.0.1:9"
    ran = ended(tmp_path, "daily", "prometheus", f'[prometheus]\nurl = "{where}"\n')
    concerned = {name for name, (_, message) in messages(ran).items() if f"Prometheus {where}" in message}
    assert len(concerned) == 5
    told = [line for line in (ran.out + ran.err).splitlines() if f"Prometheus {where}" in line]
    assert len(told) == 3
    assert sum("  as daily.llm_failures" in line for line in ran.out.splitlines()) == len(concerned) - 1
    assert ran.verdict is not None
    reasons = [reason for reason in ran.verdict["reasons"] if f"Prometheus {where}" in reason]
    assert [reason.rpartition("  ")[2] for reason in reasons] == ["(2 checks)", "(3 checks)"]
