"""Identity of a process among the labels of its series: what tells one pod from another, also behind one collector.

Plain Prometheus tells processes apart by `instance`. Behind a collector (OpenTelemetry, statsd exporter, Pushgateway)
all pods share the collector's `instance`; then the labels of `POD_LABELS` tell them apart, or the one that the target
names (`canary.instance_label`).
"""

from __future__ import annotations

from typing import Final

INSTANCE: Final = "instance"
POD_LABELS: Final = (
    "exported_instance",
    "pod",
    "exported_pod",
    "pod_name",
    "k8s_pod",
    "k8s_pod_name",
    "k8s_pod_uid",
    "service_instance_id",
)
"""Labels that name a process beside `instance`, where a series has them."""
_NAMING: Final = {INSTANCE, *POD_LABELS}
_PLAIN: Final = {INSTANCE}


def labels_of(key: str) -> dict[str, str]:
    """The labels in a series key such as `code=500,instance=10.0.0.1:8000`."""
    parts = [part.partition("=") for part in key.split(",")]
    found: dict[str, str] = {}
    name = ""
    for label, equals, value in parts:
        if equals:
            name, found[label] = label, value
        elif name:
            found[name] += f",{label}"  # a comma inside a value
    return found


def process_of(key: str, instance_label: str = "") -> str:
    """Name the process that a series belongs to; empty where no label tells."""
    labels = labels_of(key)
    if instance_label and instance_label in labels:
        return labels[instance_label]
    if labels.keys() & _NAMING == _PLAIN:
        return labels[INSTANCE]
    names = (labels.get(label, "") for label in (INSTANCE, *POD_LABELS))
    return " ".join(dict.fromkeys(name for name in names if name))


def family_of(key: str, picked_by: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    """The labels of a series but for those that tell bad ones from good ones."""
    return frozenset(pair for pair in labels_of(key).items() if pair[0] != "__name__" and pair[0] not in picked_by)


def endpoint_of(key: str) -> str:
    """Name the endpoint that a series was scraped from: many processes behind a collector share it."""
    return labels_of(key).get(INSTANCE, "")
