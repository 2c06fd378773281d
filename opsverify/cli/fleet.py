"""`opsverify fleet`: plan a stage on many targets, run each as a process of its own, and merge what they deliver."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.util
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opsverify.cli.arguments import add_language, add_run_options
from opsverify.cli.key_arguments import add_signing_key, add_trusted_keys, signing_key, trusted_keys
from opsverify.cli.reader_language import reader_language
from opsverify.config.project import project_root
from opsverify.config.run_options import given_in, options_of
from opsverify.core.exit_codes import ExitCode
from opsverify.errors import TargetError
from opsverify.evidence.files import link_latest
from opsverify.fleet.address import scheduler_at
from opsverify.fleet.plan import FleetPlan, planned_fleet, write_plan
from opsverify.fleet.publish import delivered_beside, merge_fleet
from opsverify.fleet.targets import named_targets
from opsverify.fleet.unit import UNITS, UnitOrder, become_unit
from opsverify.language.message import join, say
from opsverify.language.tell import tell
from opsverify.units import parse_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from opsverify.fleet.address import SchedulerAddress

NEEDED: Final = ("dask", "distributed")
_PLAN_ENDING: Final = ".json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("what", metavar="STAGE|PLAN", help=say("stage of the runbook, or a fleet-plan.json"))
    parser.add_argument("--targets", nargs="+", metavar="PATTERN", help=say("whose targets: names, files or globs"))
    parser.add_argument(
        "--report-dir",
        type=Path,
        metavar="DIR",
        help=say("where fleets get folders (default: reports/fleets); --unit: its own folder"),
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--plan-only", action="store_true", help=say("write the plan, run nothing"))
    either.add_argument("--unit", type=int, metavar="N", help=say("run this unit of PLAN alone, here"))
    parser.add_argument("--workers", type=int, metavar="N", help=say("units at once (default: processors)"))
    parser.add_argument("--timeout", default="6h", metavar="DURATION",
                        help=say("a unit is ended after this (default: 6h)"))  # fmt: skip
    parser.add_argument("--cluster", metavar="ADDRESS", help=say("Dask scheduler, tls://HOST:PORT (default: here)"))
    parser.add_argument("--tls-ca", type=Path, metavar="FILE", help=say("--cluster: authority (PEM)"))
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help=say("--cluster: certificate (PEM)"))
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help=say("--cluster: private key (PEM)"))
    add_trusted_keys(parser)
    add_signing_key(parser)
    add_run_options(parser, "fleet")
    add_language(parser)


def run(options: argparse.Namespace, _pytest_args: Sequence[str]) -> int:
    """Plan, run and merge; the exit code of the fleet's verdict. Raises TargetError, Refused, EvidenceError."""
    language = reader_language(options)
    if options.unit is not None:
        plan = FleetPlan.load(_given_plan(options, "--unit"))
        order = UnitOrder.of(plan, options.unit)
        own = Path(options.what).resolve().parent / UNITS / order.unit.target
        become_unit(order, options.report_dir.resolve() if options.report_dir else own)
    address = scheduler_at(options.cluster, options.tls_ca, options.tls_cert, options.tls_key)
    timeout_s, workers = _limits(options)
    if not options.plan_only:
        _require_extra()
    keys, key = trusted_keys(options), signing_key(options)
    path = _plan(options)
    plan = FleetPlan.load(path)
    tell(say("plan  {path}  ({count} units)", path=path, count=len(plan.units)), language)
    if options.plan_only:
        return ExitCode.PASSED
    interrupted = _carry_out(plan, path.parent, timeout_s, workers, address, language)
    code = merge_fleet(
        path, delivered_beside(path), path.parent, keys, dt.datetime.now(dt.UTC), project_root(), language, key
    )
    return ExitCode.INTERRUPTED if interrupted else code


def _plan(options: argparse.Namespace) -> Path:
    """The plan that is given, or a new one."""
    if options.what.endswith(_PLAN_ENDING):
        if options.targets or _run_options(options):
            raise TargetError(say("{plan}: has targets and options of its own; give --targets with a stage",
                                  plan=options.what))  # fmt: skip
        return Path(options.what).resolve()
    if not options.targets:
        raise TargetError(say("missing --targets: targets of the fleet, such as --targets 'targets/plants/*.toml'"))
    now, root = dt.datetime.now(dt.UTC), project_root()
    place = options.report_dir or root / "reports" / "fleets"
    content = planned_fleet(options.what, named_targets(options.targets), _run_options(options), now, root)
    path = write_plan(content, place.resolve())
    link_latest(place, path.parent)
    return path


def _run_options(options: argparse.Namespace) -> list[str]:
    given = given_in(options)
    return [option.argument(given[option.name]) for option in options_of("fleet") if option.name in given]


def _carry_out(
    plan: FleetPlan, folder: Path, timeout_s: float, workers: int, address: SchedulerAddress | None, language: str
) -> bool:
    """Run every unit; whether it was interrupted."""
    from opsverify.fleet.cluster import run_units  # noqa: PLC0415 - only where the extra is installed

    orders = [UnitOrder.of(plan, unit.unit) for unit in plan.units]
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.closing(run_units(orders, folder / UNITS, timeout_s, workers, address)) as ends:
            for done, end in enumerate(ends, 1):
                tell(join("", (f"{done}/{len(orders)}  {end.target}: ", end.text)), language)
    except KeyboardInterrupt:
        return True
    finally:
        signal.signal(signal.SIGTERM, before)
    return False


def _given_plan(options: argparse.Namespace, flag: str) -> Path:
    if not options.what.endswith(_PLAN_ENDING):
        raise TargetError(say("{flag}: needs a fleet-plan.json, not a stage", flag=flag))
    return Path(options.what)


def _limits(options: argparse.Namespace) -> tuple[float, int]:
    try:
        timeout_s = parse_duration(options.timeout)
    except ValueError as error:
        raise TargetError(say("--timeout: {error}", error=error)) from error
    workers = options.workers if options.workers is not None else os.cpu_count() or 1
    if workers < 1:
        raise TargetError(say("--workers {count}: expected 1 or more", count=workers))
    return timeout_s, workers


def _require_extra() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise TargetError(
            say("fleet needs {missing}; type: pip install 'opsverify[fleet]'", missing=", ".join(missing))
        )
