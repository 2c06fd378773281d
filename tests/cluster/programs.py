"""Programs of a cluster and servers of metrics: in the cache folder, or built there from Go modules in `modules/`.

Each folder of `modules/` names its versions (`go.mod`) and their checksums (`go.sum`). What is built is kept by a
digest of both and of the command that builds it: another version is another folder, and an old one can be removed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from opsverify.commands import run_command
from opsverify.config.project import cache_folder
from opsverify.units import duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

MODULES: Final = Path(__file__).parent / "modules"
LONGEST_S: Final = 2700.0
"""Seconds that all builds together may take."""
_LOOKUP_S: Final = 300.0
_FLAGS: Final = ("-p=2", "-trimpath")


class UnavailableError(Exception):
    """A program that cannot be had on this machine; its text is one line."""


@dataclass(frozen=True)
class Build:
    """Programs of one Go module: its folder in `modules/`, package by program, and files of it that a cluster needs."""

    name: str
    source: str
    packages: dict[str, str]
    files: tuple[str, ...] = ()
    stamp: str = ""
    """What a linker writes into the programs, with `major`, `minor` and `patch` of the source's version."""

    @property
    def folder(self) -> Path:
        """Where its programs are kept, built or not."""
        digest = hashlib.sha256(repr((self.packages, self.files, self._flags)).encode())
        for name in ("go.mod", "go.sum"):
            digest.update((MODULES / self.name / name).read_bytes())
        return cache_folder() / f"cluster-{self.name}-{digest.hexdigest()[:12]}"

    @cached_property
    def version(self) -> str:
        """The version of its source, such as v1.37.2."""
        text = (MODULES / self.name / "go.mod").read_text(encoding="utf-8")
        found = re.search(rf"^(?:require )?\s*{re.escape(self.source)} (v\S+)", text, re.MULTILINE)
        assert found is not None, f"{self.name}/go.mod does not require {self.source}"
        return found[1]

    @property
    def _flags(self) -> tuple[str, ...]:
        major, minor, patch = self.version.removeprefix("v").split(".")
        linked = f"-s -w {self.stamp.format(major=major, minor=minor, patch=patch)}".rstrip()
        return (*_FLAGS, f"-ldflags={linked}")

    def made(self, deadline: float) -> str:
        """Build it before `deadline` (of `time.monotonic`); one line with what it took. Raises UnavailableError."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder.with_suffix(".lock")):
            if self.folder.exists():
                return f"{self.name} {self.version}: in {self.folder}"
            draft = self.folder.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            began = time.monotonic()
            for program, package in self.packages.items():
                self._go(["build", *self._flags, "-o", str(draft / program), package], deadline - time.monotonic())
            if self.files:
                source = Path(self._go(["list", "-m", "-f={{.Dir}}", self.source], _LOOKUP_S).split()[-1])
                for file in (each for pattern in self.files for each in source.glob(pattern)):
                    shutil.copyfile(file, draft / file.name)
            draft.rename(self.folder)
        size = sum(file.stat().st_size for file in self.folder.iterdir()) / 1e6
        return f"{self.name} {self.version}: built in {time.monotonic() - began:.0f} s, {size:.0f} MB"

    def _go(self, arguments: list[str], longest_s: float) -> str:
        if longest_s <= 0:
            raise UnavailableError(f"{self.name}: no time is left to build it")
        # What this machine's Go has set for other work is not for these modules.
        env = {name: value for name, value in os.environ.items() if name != "GOFLAGS"}
        done = run_command(["nice", "go", *arguments], longest_s, str(MODULES / self.name), env)
        if not done.ok:
            last = next((line for line in reversed(done.output.splitlines()) if line.strip()), done.text)
            raise UnavailableError(f"{self.name}: go {arguments[0]}: {done.text}: {last.strip()}")
        return done.output


KUBERNETES: Final = Build(
    "kubernetes",
    "k8s.io/kubernetes",
    {name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")},
    # Else it is v0.0.0, which Helm and Flagger refuse.
    stamp="-X k8s.io/component-base/version.gitVersion=v{major}.{minor}.{patch}"
    " -X k8s.io/component-base/version.gitMajor={major} -X k8s.io/component-base/version.gitMinor={minor}",
)
ETCD: Final = Build("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"})
KWOK: Final = Build(
    "kwok",
    "sigs.k8s.io/kwok",
    {"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    ("kustomize/stage/node/fast/node-*.yaml", "kustomize/stage/node/heartbeat/node-*.yaml",
     "kustomize/stage/pod/fast/pod-*.yaml"),
)  # fmt: skip
ARGO_ROLLOUTS: Final = Build(
    "argo-rollouts",
    "github.com/argoproj/argo-rollouts",
    {"rollouts-controller": "github.com/argoproj/argo-rollouts/cmd/rollouts-controller"},
    ("manifests/crds/*-crd.yaml",),
)
FLAGGER: Final = Build(
    "flagger",
    "github.com/fluxcd/flagger",
    {"flagger": "github.com/fluxcd/flagger/cmd/flagger"},
    ("artifacts/flagger/crd.yaml",),
)
PROMETHEUS: Final = Build(
    "prometheus",
    "github.com/prometheus/prometheus",
    {name: f"github.com/prometheus/prometheus/cmd/{name}" for name in ("prometheus", "promtool")},
    # Its module of Prometheus 3.16.0 has the version v0.316.0.
    stamp="-X github.com/prometheus/common/version.Version={minor[0]}.{minor[1]}{minor[2]}.{patch}",
)
VICTORIA_METRICS: Final = Build(
    "victoriametrics",
    "github.com/VictoriaMetrics/VictoriaMetrics",
    {"victoria-metrics": "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics"},
)
METRICS: Final = (PROMETHEUS, VICTORIA_METRICS)
"""Not of a cluster: servers that answer as the sandbox's, which is Debian's Prometheus 2."""
ALL: Final = (KUBERNETES, ETCD, KWOK, ARGO_ROLLOUTS, FLAGGER)


def missing(builds: Sequence[Build] = ALL) -> list[str]:
    """Names of the builds that are not in the cache folder."""
    return [each.name for each in builds if not each.folder.exists()]


def _show(line: str) -> None:
    sys.stderr.write(f"programs: {line}\n")


def main() -> int:
    """Build what is missing; 1 and one line where that cannot be done here."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.programs", description=__doc__)
    parser.add_argument("--within", type=parse_duration, default=LONGEST_S, metavar="TIME", help="for all builds")
    parser.add_argument("--built", action="store_true", help="build nothing: exit code 0 where all are there")
    parser.add_argument("--metrics", action="store_true", help="servers of metrics instead, and print their programs")
    given = parser.parse_args()
    builds = METRICS if given.metrics else ALL
    if given.built:
        return int(bool(missing(builds)))
    if absent := missing(builds):
        _show(f"building {', '.join(absent)} (once; at most {duration(given.within)})")
    if absent and shutil.which("go") is None:
        _show("go: not found; install Go 1.26 or later")
        return 1
    deadline = time.monotonic() + given.within
    try:
        for build in builds:
            _show(build.made(deadline))
    except UnavailableError as reason:
        _show(str(reason))
        return 1
    if given.metrics:
        sys.stdout.writelines(f"{build.folder / next(iter(build.packages))}\n" for build in builds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
