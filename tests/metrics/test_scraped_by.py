"""Series that are scraped twice, by two jobs or replicas: found by name, and by what a scraper attaches."""

from __future__ import annotations

import pytest

from opsverify.metrics.scraped_by import scraped_twice

A, B = "code=200,instance=a:1", "code=500,instance=a:1"
OTHER = "code=200,instance=b:1"
SERVICE = "code={code},endpoint=http-metrics,instance=a:1,job=judgment,pod=p-0,service=judgment"
POD = "code={code},endpoint=http,instance=a:1,job=prod/judgment,pod=p-0"
"""A pod as a ServiceMonitor and a PodMonitor show it."""


def test_series_scraped_twice_are_found() -> None:
    """Two jobs that scrape one pod would double every count."""
    twice = [
        A,
        "code=200,instance=a:1,job=x",
        "code=200,instance=a:1,job=y,path=/",
        "code=500,instance=a:1,job=y",
    ]
    assert scraped_twice(twice) == (twice[1],)


@pytest.mark.parametrize("label", ["replica", "prometheus_replica", "__replica__", "rule_replica"])
def test_replicas_are_named_freely(label: str) -> None:
    """A second replica's series are found under any such label, unless it tells processes apart by the target."""
    series = tuple(f"{label}={name},code=200,instance=a:1" for name in "ab")
    assert scraped_twice(series) == (series[1],)
    assert scraped_twice(series, label) == ()
    assert scraped_twice([A, B, OTHER]) == ()


@pytest.mark.parametrize("code", ["200", "500"])
def test_two_monitors_of_one_pod_are_found(code: str) -> None:
    """They differ in more than the job: in every label that an operator attaches, whatever its name."""
    service = [SERVICE.format(code=one) for one in ("200", "500")]
    pod = POD.format(code=code)
    assert scraped_twice([*service, pod]) == (pod,)
    assert scraped_twice([service[0], pod + ",team=x"]) == (pod + ",team=x",)
    assert scraped_twice([*service, pod], by_value=False) == ()


def test_jobs_of_other_processes_or_labels_are_none() -> None:
    """Another pod, another path of the same process, and a label that tells processes apart."""
    service, pod = SERVICE.format(code=200), POD.format(code=200)
    assert scraped_twice([service, pod.replace("p-0", "p-1")]) == ()
    assert scraped_twice([service, pod], "endpoint") == ()
    assert scraped_twice([service, pod], "job") == ()
    paths = [f"{key},path=/{path}" for key, path in ((service, "a"), (service, "b"), (pod, "c"), (pod, "d"))]
    assert scraped_twice(paths) == ()
