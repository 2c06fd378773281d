"""Pod of the chart without a cluster: its volumes as the kubelet lays them out in a folder, its command run there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.support.manifests import PodOf, kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGE: Final = ("LANG", "LC_ALL")


class PodFolder:
    """A folder that is the root of one pod's container."""

    def __init__(
        self, root: Path, pod: PodOf, made: list[dict[str, Any]], secrets: Mapping[str, Mapping[str, str]]
    ) -> None:
        self.root = root
        self.container = pod.container
        self._mounts: list[str] = []
        maps = {each["metadata"]["name"]: each["data"] for each in kinds(made, "ConfigMap")}
        volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
        for mount in pod.container["volumeMounts"]:
            volume, place = volumes[mount["name"]], root / mount["mountPath"].lstrip("/")
            self._mounts.append(mount["mountPath"])
            if "configMap" in volume and "subPath" in mount:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(maps[volume["configMap"]["name"]][mount["subPath"]], encoding="utf-8")
            elif "configMap" in volume:
                projected(place, maps[volume["configMap"]["name"]])
            elif "secret" in volume:
                given = secrets[volume["secret"]["secretName"]]
                items = volume["secret"].get("items", [{"key": key, "path": key} for key in given])
                projected(place, {item["path"]: given[item["key"]] for item in items})
            else:
                place.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)  # as a runtime does

    @property
    def folder(self) -> Path:
        """Where its command runs."""
        return self.root / str(self.container["workingDir"]).lstrip("/")

    @property
    def command(self) -> list[str]:
        """Its command, with every mounted path in the folder."""
        return [self._inside(word) for word in self.container["command"]]

    def environment(self, **secret: str) -> dict[str, str]:
        """Its variables, with those of a Secret."""
        given = {each["name"]: self._inside(each["value"]) for each in self.container.get("env", ()) if "value" in each}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {name: os.environ[name] for name in LANGUAGE if name in os.environ}
        return {"PATH": path} | kept | given | secret

    def _inside(self, word: str) -> str:
        for mount in sorted(self._mounts, key=len, reverse=True):
            before, found, after = word.partition(mount)
            if found and before[-1:] in ("", "="):
                return f"{before}{self.root}{found}{after}"
        return word


def projected(place: Path, content: Mapping[str, str]) -> None:
    """Write files as the kubelet does: each is a link over a link to the folder of this revision."""
    revision = place / "..2026_11_29_06_10_00.1"
    revision.mkdir(parents=True)
    (place / "..data").symlink_to(revision.name)
    for name, text in content.items():
        (revision / name).write_text(text, encoding="utf-8")
        (place / name).symlink_to(f"..data/{name}")
