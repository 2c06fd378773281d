"""Plan of a fleet: every (stage, target) that has to be delivered, written before anything runs.

Its SHA-256 sum is in the sealed evidence of every unit (`origin.json`): a unit of another plan, of yesterday's fleet
too, counts for nothing, and neither does a plan from which a target was taken out.
"""

from __future__ import annotations

import hashlib
import json
import operator
import re
import secrets
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Self

from opsverify.config.digest import portable_digest, target_digests
from opsverify.config.load import load_target
from opsverify.config.project import project_root
from opsverify.config.run_options import options_of
from opsverify.config.target_names import shared_names
from opsverify.core.stages import STAGES, Stage, stage_named
from opsverify.errors import EvidenceError, TargetError
from opsverify.evidence.bound import project_digests
from opsverify.evidence.files import sha256_of, write_atomic
from opsverify.evidence.once_read import json_in
from opsverify.evidence.run_folder import timestamp
from opsverify.language.message import say

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FLEET_PLAN: Final = "fleet-plan.json"
SCHEMA: Final = "opsverify.fleet-plan/1"
_LARGEST: Final = 64 << 20
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class FleetUnit:
    """One target of the plan; `file` is relative to the project, `file_sha256` the sum of its bytes.

    `digest` is the sum of the target as it was loaded, without its paths: a verdict's own keys come to the same.
    """

    unit: int
    target: str
    file: str
    file_sha256: str
    digest: str


@dataclass(frozen=True)
class FleetPlan:
    """One plan; `sha256` is the sum of the file it was read from or written to."""

    fleet: str
    stage_name: str
    created_at: str
    opsverify: str
    runbook: str
    suites: str
    options: tuple[str, ...]
    units: tuple[FleetUnit, ...]
    sha256: str

    @classmethod
    def loads(cls, content: bytes, name: str = FLEET_PLAN) -> Self:
        """Read a plan. Raises TargetError for what is none."""
        try:
            found: dict[str, Any] = json_in(content, name)
            if found["schema"] != SCHEMA:
                raise ValueError(f"schema {found['schema']!r}")
            plan = cls(
                fleet=_text(found["fleet"]),
                stage_name=stage_named(_text(found["stage"])).name,
                created_at=_text(found["created_at"]),
                opsverify=_text(found["opsverify"]),
                runbook=_text(found["runbook"]),
                suites=_text(found["suites"]),
                options=tuple(map(_option, found["options"])),
                units=tuple(_unit(each) for each in found["units"]),
                sha256=hashlib.sha256(content).hexdigest(),
            )
        except (EvidenceError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TargetError(
                say("{name}: no plan of a fleet ({error}); opsverify fleet writes one", name=name, error=repr(error))
            ) from error
        if [each.unit for each in plan.units] != [*range(len(plan.units))] or len(plan.numbers) != len(plan.units):
            raise TargetError(say("{name}: units that are not numbered from 0, or a target twice", name=name))
        if not plan.units:
            raise TargetError(say("{name}: a plan without units", name=name))
        return plan

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the plan in a file. Raises TargetError for what is none."""
        try:
            with path.open("rb") as file:  # a mounted ConfigMap is a link
                content = file.read(_LARGEST)
        except OSError as error:
            raise TargetError(
                say("{path}: cannot be read ({error}); name a {plan}", path=path, error=error.strerror, plan=FLEET_PLAN)
            ) from error
        return cls.loads(content, str(path))

    @property
    def stage(self) -> Stage:
        """The stage."""
        return STAGES[self.stage_name]

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """The number of every target's unit."""
        return {unit.target: unit.unit for unit in self.units}

    def unit(self, number: int) -> FleetUnit:
        """The unit `number`. Raises TargetError where there is none."""
        if not 0 <= number < len(self.units):
            raise TargetError(
                say("--unit {number}: the plan has units 0 to {last}", number=number, last=len(self.units) - 1)
            )
        return self.units[number]


def planned_fleet(stage: str, files: Sequence[Path], options: Sequence[str], now: dt.datetime, here: Path) -> bytes:
    """The plan of `stage` on the targets in `files`, as its file has it; paths are relative to the project `here`.

    Raises TargetError with every fault of every target, for two targets of one name and for two projects.
    """
    name = stage_named(stage).name
    problems: list[str] = []
    units: list[FleetUnit] = []
    for path in files:
        try:
            target, _ = load_target(path, with_secrets=False)
        except TargetError as error:
            problems += error.problems
            continue
        digest = portable_digest(target_digests(target))
        units.append(FleetUnit(0, target.name, _place(path, here.resolve()), sha256_of(path), digest))
    problems += shared_names((unit.target, unit.file) for unit in units).values()
    roots = sorted({project_root(str(path)) for path in files})
    if len(roots) > 1:
        problems.append(say("targets of two projects: {one}, {two}; one fleet each", one=roots[0], two=roots[1]))
    if problems:
        raise TargetError(*problems)
    content = {
        "schema": SCHEMA,
        "fleet": f"{now:%Y%m%dT%H%M%SZ}-{name}-{secrets.token_hex(2)}",
        "stage": name,
        "created_at": timestamp(now),
        "opsverify": version("opsverify"),
        **project_digests(roots[0]),
        "options": list(options),
        "units": [
            {**asdict(unit), "unit": number}
            for number, unit in enumerate(sorted(units, key=operator.attrgetter("target")))
        ],
    }
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def write_plan(content: bytes, reports: Path) -> Path:
    """Write a plan to a folder of its own in `reports`, named by the fleet; its path. Raises TargetError."""
    folder = reports / FleetPlan.loads(content).fleet
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise TargetError(
            say("--report-dir {path}: cannot be written ({error})", path=folder, error=error.strerror)
        ) from error
    write_atomic(folder / FLEET_PLAN, content)
    return folder / FLEET_PLAN


def _place(path: Path, root: Path) -> str:
    whole = path.resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(whole)


def _unit(entry: Any) -> FleetUnit:  # noqa: ANN401 - any JSON value
    if type(entry["unit"]) is not int:
        raise TypeError("a unit without a number")
    if not _NAME.fullmatch(entry["target"]):  # it becomes the name of a folder
        raise ValueError(f"target {entry['target']!r}")
    return FleetUnit(entry["unit"], *(_text(entry[key]) for key in ("target", "file", "file_sha256", "digest")))


def _option(value: object) -> str:
    """One option of a run: a plan cannot name another target or folder, nor anything of pytest."""
    if _text(value).partition("=")[0] not in {option.flag for option in options_of("fleet")}:
        raise ValueError(f"option {value!r}")
    return _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
