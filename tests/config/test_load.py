"""Targets: what loads, and what each fault of a file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsverify.config.database import SecretRef
from opsverify.config.load import find_target, load_target, target_files
from opsverify.config.secrets import Secrets
from opsverify.errors import TargetError
from opsverify.rights.declared import SCHEMA
from tests.support.paths import REPOSITORY
from tests.support.target_file import SMALLEST, problems_in, target_in

TARGETS = REPOSITORY / "targets"


@pytest.mark.parametrize("path", sorted(TARGETS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_targets_load(path: Path) -> None:
    """Every target file of the project is valid, without its secrets at hand."""
    target, secrets = load_target(path, with_secrets=False)
    assert target.name
    assert not secrets.values


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[limits]\nerror_rat = '< 1 %'", "limits.error_rat: unknown key; did you mean 'error_rate'?"),
        ("[limits]\nerror_rate = '1 %'", 'limits.error_rate: "1 %" is not a limit: expected an operator'),
        ("[limits]\nerror_rate = '< 1 s'", 'limits.error_rate: "< 1 s" has the wrong unit: expected %'),
        ("[limits]\nerror_rate = 0.01", 'limits.error_rate: expected text such as "<= 5", not 0.01'),
        ("[services.b]\nurl = 'ftp://x'", 'services.b.url: "ftp://x" is not an http(s) URL'),
        ("[services.b]\nurl = 'http://x'\nport = 80", "services.b.port: unknown key"),
        ("[services.b]", "services.b.url: missing; expected"),
        ("[synthetic]\nallowed = 'yes'", "synthetic.allowed: input should be a valid boolean, not 'yes'"),
        (
            "[evidence]\nsigning_key = { env = 'A', file = 'b' }",
            'evidence.signing_key: expected exactly one of { env = "NAME" }',
        ),
        ("[evidence]\nsigning_key = {}", "evidence.signing_key: expected exactly one of"),
        ("[evidence]\nsigning_key = 'secret'", "evidence.signing_key: "),
        (
            "[[waivers]]\ncheck = 'x.y'\nowner = 'me'\nreason = 'because'\nuntil = 2999-01-01",
            "waivers.0.reason: ",
        ),
        (
            "[[waivers]]\ncheck = 'x.y'\nowner = 'me'\nreason = 'a good reason'\nuntil = 'soon'",
            "waivers.0.until: ",
        ),
        ("[[actions.promote]]\nrun = 'helm upgrade'\nrunbook = '2-3'", "actions.promote.0.run: "),
        ("[redis]\nhost = 'r'", "absent: names redis, which is described as well; remove one of them"),
        ("[services.b]\nurl = 'http://x:189312'", 'services.b.url: "http://x:189312" has no host, or no port of 1 to'),
        ("[services.b]\nurl = 'http://'", 'services.b.url: "http://" has no host'),
        ("[services.b]\nurl = 'http://x/\u200b'", "services.b.url: "),
        ("[services.b]\nurl = 'http://x y'", 'services.b.url: "http://x y" has no host'),
        (
            "[services.b]\nurl = 'http://x'\nhealth = 'up'",
            "services.b.health: text should match pattern '^/', not 'up'",
        ),
        ("[history]\nspan = '99999999999999d'", 'history.span: "99999999999999d" is too long: expected at most 36500d'),
        (
            "[evidence]\nrunbook_url = 'javascript:alert(1)'",
            'evidence.runbook_url: "javascript:alert(1)" is not an http',
        ),
        ("[synthetik]", "synthetik: unknown key; did you mean 'synthetic'?"),
    ],
)
def test_one_line_for_each_fault(tmp_path: Path, more: str, said: str) -> None:
    """A fault is one line with file, key, what was expected and the nearest name."""
    lines = problems_in(tmp_path, SMALLEST + more)
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"{tmp_path / 't.toml'}: {said}")
    assert "\n" not in lines[0]


def test_all_faults_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong keys, missing tables and unset secrets are reported together."""
    monkeypatch.delenv("NO_SUCH_SECRET", raising=False)
    text = SMALLEST.replace('"redis", ', "") + (
        "bearer = { env = 'NO_SUCH_SECRET' }\n[limits]\nrpoo = '< 1 m'\n"
        "[evidence]\nsigning_key = { file = 'nowhere' }\n"
    )
    lines = "\n".join(problems_in(tmp_path, text))
    assert lines.count("\n") == 3, lines
    assert "limits.rpoo: unknown key; did you mean 'rpo'?" in lines
    assert 'redis: missing table [redis]; describe it, or add "redis" to absent' in lines
    assert "services.a.bearer: secret not set: expected environment variable NO_SUCH_SECRET" in lines
    assert "evidence.signing_key: secret not readable: expected text file" in lines


@pytest.mark.parametrize("table", ["", "[services]\n"])
def test_services_are_described_or_declared_absent(tmp_path: Path, table: str) -> None:
    """A stage must not pass without a service because nobody wrote one down; an empty table describes none."""
    text = SMALLEST.partition("[services.a]")[0]
    (line,) = problems_in(tmp_path, text + table)
    assert 'services: missing table [services.NAME]; describe it, or add "services" to absent' in line
    reasons = text.replace('absent = ["', 'absent = ["services", "')
    assert not target_in(tmp_path, reasons).has("services")
    assert target_in(tmp_path).has("services")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name = ", "not valid TOML"),
        ("\udcff", "not UTF-8 text .byte 1.; save it"),
        (" \n", "empty; expected a target"),
    ],
)
def test_files_that_are_no_toml(tmp_path: Path, content: str, said: str) -> None:
    """What is not TOML is one line that says where."""
    path = tmp_path / "t.toml"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(TargetError, match=said):
        load_target(path)


def test_a_directory_is_called_one(tmp_path: Path) -> None:
    """By its name, and with the suffix of a file."""
    for name in ("targets", "odd.toml"):
        (tmp_path / name).mkdir()
        with pytest.raises(TargetError, match=r"is a directory; name a file in it"):
            find_target(str(tmp_path / name), tmp_path)


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is one line with the reason."""
    with pytest.raises(TargetError, match="cannot be read: No such file"):
        load_target(tmp_path / "t.toml")


def test_unknown_target_names_the_nearest(tmp_path: Path) -> None:
    """A target is found by name or path; an unknown one names what exists."""
    (tmp_path / "production.toml").write_text('name = "production"\n')
    (tmp_path / "rights.toml").write_text(f'schema = "{SCHEMA}"\n')
    for name, text in (("nameless", "nonsense = 1"), ("torn", "name = ")):
        (tmp_path / f"{name}.toml").write_text(text)
    assert [path.stem for path in target_files(tmp_path)] == ["nameless", "production", "torn"]
    for name in ("nameless", "torn"):
        (tmp_path / f"{name}.toml").unlink()
    assert find_target("production", tmp_path) == tmp_path / "production.toml"
    assert find_target(str(tmp_path / "production.toml"), Path("/")) == tmp_path / "production.toml"
    with pytest.raises(TargetError, match="did you mean 'production'\\?; known targets: production"):
        find_target("prodution", tmp_path)
    nearest = tmp_path / "production.toml"
    with pytest.raises(TargetError, match=f"did you mean '{nearest}'\\?"):
        find_target(str(tmp_path / "prodution.toml"), Path("/"))


def test_secrets_from_environment_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sources are read, files relative to the target and without their last line break."""
    monkeypatch.setenv("PLANTED", "from-the-environment")
    (tmp_path / "key").write_text("from-the-file\n")
    path = tmp_path / "t.toml"
    path.write_text(SMALLEST + "bearer = { env = 'PLANTED' }\n[evidence]\nsigning_key = { file = 'key' }\n")
    target, secrets = load_target(path)
    assert secrets.of(target.services["a"].bearer) == "from-the-environment"
    assert secrets.of(target.evidence.signing_key) == "from-the-file"
    assert secrets.of(None) is None
    assert secrets.values == {"from-the-environment", "from-the-file"}
    for shown in (repr(secrets), str(secrets), repr(target), f"{vars(target)}"):
        assert "from-the" not in shown


@pytest.mark.parametrize("value", ["x", "12345"])
def test_short_secrets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A secret too short to be told apart is refused, and not shown."""
    monkeypatch.setenv("PLANTED", value)
    (line,) = problems_in(tmp_path, SMALLEST + "bearer = { env = 'PLANTED' }\n")
    assert "environment variable PLANTED is too short: expected 6 characters or more" in line
    assert value not in line.replace("6 characters", "").replace(str(tmp_path), "").replace("expected", "")


def test_planning_reads_no_secret(tmp_path: Path) -> None:
    """A target loads without its secrets where only the plan is wanted."""
    target = target_in(tmp_path, SMALLEST + "bearer = { env = 'NO_SUCH_SECRET' }\n")
    assert target.services["a"].bearer == SecretRef(env="NO_SUCH_SECRET")
    assert repr(Secrets({})) == "Secrets(0 loaded)"


def test_owners_by_family(tmp_path: Path) -> None:
    """A check's owner is its family's, else the default one."""
    target = target_in(tmp_path)
    assert target.owner_of("sql.fact[2026-11-20-L03]") == "data"
    assert target.owner_of("canary.error_rate") == "me"


def test_recovery_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Backup, archive, ledger and scratch folder are found wherever the command is run from."""
    text = SMALLEST.replace(', "recovery"', "") + "[recovery]\nbase_backup = 'b'\nwal_archive = '../w'\nledger = '/l'\n"
    text += "scratch = 's'\n"
    recovery = target_in(tmp_path, text).recovery
    assert recovery is not None
    assert recovery.base_backup == str(tmp_path / "b")
    assert recovery.wal_archive == str(tmp_path.parent / "w")
    assert recovery.ledger == "/l"
    assert recovery.scratch == str(tmp_path / "s")


def test_heartbeat_log_is_relative_to_the_file(tmp_path: Path) -> None:
    """The heartbeat's log is found from anywhere; a size that is none is refused with the expected form."""
    text = (
        SMALLEST.replace(', "recovery"', "")
        + "[recovery]\nbase_backup = 'b'\nwal_archive = 'w'\nledger = 'l'\nproduction_size = '500 GB'\n"
        + "[recovery.heartbeat]\nlog = 'beats.log'\nlogin = { user = 'beat' }\nevery = '2s'\n"
    )
    recovery = target_in(tmp_path, text).recovery
    assert recovery is not None
    assert recovery.heartbeat is not None
    assert recovery.heartbeat.log == str(tmp_path / "beats.log")
    assert recovery.heartbeat.every_s == 2
    assert recovery.production_bytes == 500e9
    with pytest.raises(TargetError, match=r"recovery\.production_size: .*such as \"500 GB\""):
        target_in(tmp_path, text.replace("500 GB", "500 GiB"))


def test_paths_of_a_backup_tool_are_relative_to_the_file_too(tmp_path: Path) -> None:
    """The dumps of the target, their recorded sums and the roles beside them."""
    dump = "{ archive = 'd', major = 18, sha256 = 'd/SUMS', globals = 'd/globals-*.sql' }"
    more = f"[recovery]\nmethod = 'pg_dump'\nledger = 'l'\npg_dump = {dump}\n"
    recovery = target_in(tmp_path, SMALLEST.replace(', "recovery"', "") + more).recovery
    assert recovery is not None
    assert recovery.pg_dump is not None
    assert recovery.pg_dump.archive == str(tmp_path / "d")
    assert recovery.pg_dump.sha256 == str(tmp_path / "d" / "SUMS")
    assert recovery.pg_dump.globals == str(tmp_path / "d" / "globals-*.sql")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("method = 'barman'", 'recovery: method "barman" needs barman; expected barman'),
        ("", 'recovery: method "basebackup" needs base_backup; expected base_backup and wal_archive'),
        (
            "method = 'pgbackrest'\npgbackrest = { stanza = 's' }\nbase_backup = 'b'",
            'recovery: method "pgbackrest" has no use for base_backup; expected pgbackrest',
        ),
        ("method = 'tape'", "recovery.method: input should be 'basebackup', 'incremental', "),
        ("method = 'pgbackrest'\npgbackrest = { stanzas = 's' }", "recovery.pgbackrest.stanza: missing"),
        (
            "base_backup = 'b'\nwal_archive = 'w'\nretention = {}",
            'recovery.retention: expected { backups = 7 } or { window = "14 d" }, or both',
        ),
    ],
)
def test_a_method_has_what_it_needs_and_nothing_else(tmp_path: Path, more: str, said: str) -> None:
    """A key of another method would be silently ignored, and the person would believe it in use."""
    text = SMALLEST.replace(', "recovery"', "") + f"[recovery]\nledger = 'l'\n{more}\n"
    assert problems_in(tmp_path, text)[0].startswith(f"{tmp_path / 't.toml'}: {said}")
