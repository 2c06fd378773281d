"""Fleet over several hosts: scheduler, workers and client in network namespaces of their own, over TLS.

The hosts share this machine's files: they stand for the company's shared folder, which a host that is cut off from the
network therefore still reaches here. All else between them goes over their addresses.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

from sandbox.certificates import Authority
from tests.support.dask_cluster import DaskCluster, client_options, dask_cluster_on
from tests.support.fleet_services import PlantServer, plant_server
from tests.support.hosts import Host, lacking, network_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMES: Final = ("plant-a", "plant-b", "plant-c", "plant-d")
SETTINGS: Final = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s"}
"""After how long the kernel gives up a connection whose other end is silent (30 s where nothing is set)."""
LONGEST_S: Final = 600


@dataclass(frozen=True)
class Company:
    """A company: its hosts, the services of its plants, its project on the shared folder, and its cluster."""

    hosts: dict[str, Host]
    plants: PlantServer
    project: Path
    cluster: DaskCluster

    def fleet(self, *options: str) -> subprocess.CompletedProcess[str]:
        """`opsverify fleet` over every plant, as a person on the host `desk` types it."""
        argv = [sys.executable, "-m", "opsverify", "fleet", "daily", "--targets", "targets/*.toml",
                "--report-dir", "fleets", *options]  # fmt: skip
        done = subprocess.run(
            self.hosts["desk"].argv(argv, self.project), check=False, capture_output=True, text=True,
            timeout=LONGEST_S, env={**os.environ, **SETTINGS},
        )  # fmt: skip
        sys.stdout.write(done.stdout)  # for the reader of a failure
        return done

    def once_asked(self, happens: Callable[[], None], host: str | None = None) -> list[str]:
        """Let something happen when a unit (on `host`) first asks its plant, before the answer; that plant, later."""
        first: list[str] = []
        one_by_one = threading.Lock()

        def ask(name: str) -> None:
            with one_by_one:
                if not first and host in {None, self._host_at(self.plants.asked_from[name])}:
                    first.append(name)
                    happens()

        for name in NAMES:
            self.plants.when_asked[name] = partial(ask, name)
        return first

    def verdict(self) -> dict[str, Any]:
        """The fleet's verdict."""
        return self._read("fleet-verdict.json")

    def decisions(self) -> dict[str, tuple[str, str]]:
        """State and decision of every plant."""
        return {unit["target"]: (unit["state"], unit["decision"]) for unit in self.verdict()["units"]}

    def host_of(self, name: str) -> str:
        """The host on which the unit of a plant was run, as its sealed evidence has it."""
        return str(self._read("units", name, "origin.json")["host"])

    def _host_at(self, address: str) -> str:
        return next(host.name for host in self.hosts.values() if host.address == address)

    def _read(self, *names: str) -> dict[str, Any]:
        text = self.project.joinpath("fleets", "latest", *names).read_text(encoding="utf-8")
        return dict(json.loads(text))


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """A scheduler on `center`, a worker each on `one` and `two`, services on `plants`, a person at `desk`."""
    if reason := lacking():
        pytest.skip(reason)
    project = tmp_path / "project"
    with (
        network_of("center", "one", "two", "plants", "desk") as hosts,
        plant_server(hosts["plants"].listening()) as plants,
    ):
        for name in NAMES:
            plants.target(project / "targets", name)
        (project / "runbook.toml").touch()
        workers = [hosts["one"], hosts["two"]]
        with dask_cluster_on(hosts["center"], workers, tmp_path / "tls", project, SETTINGS) as cluster:
            yield Company(hosts, plants, project, cluster)


def test_units_of_both_hosts_come_to_one_verdict(company: Company) -> None:
    """Each host ran some: by the evidence of the units, and by the addresses that the plants were asked from."""
    done = company.fleet(*company.cluster.options)
    assert (done.returncode, done.stderr) == (0, "")
    assert company.decisions() == dict.fromkeys(NAMES, ("delivered", "accept"))
    hosts = {name: company.host_of(name) for name in NAMES}
    assert {*hosts.values()} == {"one", "two"}
    assert company.plants.asked_from == {name: company.hosts[host].address for name, host in hosts.items()}
    company.plants.sick.add("plant-c")
    assert company.fleet(*company.cluster.options).returncode == 1
    assert company.decisions() == {**dict.fromkeys(NAMES, ("delivered", "accept")), "plant-c": ("delivered", "reject")}


def test_a_host_without_power_takes_its_unit_alone(company: Company) -> None:
    """That unit is missing by name, was asked once, and the lost host is named; the other host runs what is left."""
    lost = company.once_asked(company.hosts["two"].turn_off, "two")
    done = company.fleet(*company.cluster.options)
    assert (done.returncode, done.stderr) == (10, "")
    (name,) = lost
    assert company.decisions() == {**dict.fromkeys(NAMES, ("delivered", "accept")), name: ("missing", "hold")}
    assert company.verdict()["reasons"][0].startswith(f"{name}: missing: no verdict.json")
    assert f"{name}: no exit code (KilledWorker: " in done.stdout
    assert f"tls://{company.hosts['two'].address}:" in done.stdout
    assert sorted(company.plants.asked) == sorted(NAMES)
    assert {company.host_of(each) for each in NAMES if each != name} == {"one"}


def test_a_host_that_is_cut_off_measures_nothing(company: Company) -> None:
    """Its unit lives on and gets no answer: whatever it delivers, and when, is no acceptance, and none is repeated."""
    lost = company.once_asked(company.hosts["two"].unplug, "two")
    done = company.fleet(*company.cluster.options)
    (name,) = lost
    assert done.returncode in {1, 10}, done
    assert done.stderr == ""
    decisions = company.decisions()
    assert decisions.pop(name) in {("delivered", "reject"), ("delivered", "hold"), ("missing", "hold")}
    assert decisions == {each: ("delivered", "accept") for each in NAMES if each != name}
    assert company.verdict()["reasons"][0].startswith(f"{name}: ")
    assert f"{name}: no exit code (KilledWorker: " in done.stdout
    assert sorted(company.plants.asked) == sorted(NAMES)


def test_a_scheduler_that_is_cut_off_ends_the_fleet(company: Company) -> None:
    """What had begun counts by its evidence, what had not is missing by name; one line for each unit, no traceback."""
    company.once_asked(company.hosts["center"].unplug)
    done = company.fleet(*company.cluster.options)
    assert (done.returncode, done.stderr) == (10, "")
    assert done.stdout.count("no exit code (the connection to the scheduler was lost)") == len(NAMES)
    assert company.decisions().items() >= dict.fromkeys(NAMES[2:], ("missing", "hold")).items()
    missing = [f"{name}: missing: no run of this unit was delivered" for name in NAMES[2:]]
    assert company.verdict()["reasons"][-2:] == missing
    assert sorted(company.plants.asked) == sorted({*company.plants.asked})


def test_strangers_are_refused(company: Company) -> None:
    """Exit 4 and one line, and no plant is asked: a certificate or a scheduler of another authority, and plain TCP."""
    cluster, other = company.cluster, Authority.create("other")
    files = company.project / "files"
    cases: tuple[tuple[str, list[str], str], ...] = (
        ("tls", client_options(files, other, cluster.authority), "no connection"),
        ("tls", client_options(files, cluster.authority, other), "no connection"),
        ("tcp", [], "tcp:// only on loopback"),
    )
    for scheme, options, line in cases:
        done = company.fleet(f"--cluster={scheme}{cluster.address.removeprefix('tls')}", *options)
        assert done.returncode == 4
        assert line in done.stderr
        assert done.stderr.count("\n") == 1
    assert company.plants.asked == []
