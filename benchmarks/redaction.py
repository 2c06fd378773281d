"""Redaction: the evidence of a run written with secrets to remove and without any, in turns, and their ratio.

    python benchmarks/redaction.py [--checks 1000] [--rounds 7]

Per check an Allure result and one attached exchange of 1.5 KB; at the end every file swept and the verdict cleaned, as
a run does. With redaction eight secrets are loaded (passwords, tokens, a JWT, a PEM key) and one exchange in a hundred
shows one of them; without, none is loaded, and no text is searched. A secret that is left stops the benchmark.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from opsverify.config.load import load_target
from opsverify.core.plan import Planned
from opsverify.core.results import CheckResult, Measurement
from opsverify.core.stages import Outcome
from opsverify.evidence.allure import write_result
from opsverify.evidence.redact import Redactor

STAGE = "daily"
SHOWN = 100
"""One exchange in so many shows a secret."""
TARGET = """
name = "t"
environment = "staging"
absent = ["prometheus", "alertmanager", "postgres", "redis", "mcp", "canary", "inbox", "recovery"]
[owners]
default = "me"
[services.a]
url = "http://127.0.0.1:9"
[synthetic]
journeys = []
"""


@dataclass(frozen=True)
class Spent:
    """Seconds of one run."""

    wall_s: float
    processor_s: float


@dataclass(frozen=True)
class Run:
    """What the checks of a run leave: plan entries, results, exchanges."""

    planned: list[Planned]
    results: list[CheckResult]
    exchanges: list[str]

    @classmethod
    def made(cls, checks: int, secrets: list[str]) -> Run:
        """The same run for the same number of checks."""
        chance = random.Random(7)  # noqa: S311 - text, not a secret
        planned = [Planned(f"t.check[{n}]", "점검", "A check", ("1-daily/llm",), "sev2", "me") for n in range(checks)]
        measured = [Measurement("latency", 0.0123, "< 1", "s", holds=True, message="latency 12.3ms, limit < 1s")]
        results = [
            CheckResult(check.id, Outcome.PASS, measured[0].message, measurements=(*measured,)) for check in planned
        ]
        return cls(planned, results, [_exchange(chance, n, secrets) for n in range(checks)])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="writing evidence with and without redaction")
    parser.add_argument("--checks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    secrets = _secrets()
    run = Run.made(options.checks, secrets)
    contenders = {"without redaction": Redactor(()), "with redaction, eight secrets": Redactor(secrets)}
    spent: dict[str, list[Spent]] = {name: [] for name in contenders}
    for turn in range(options.rounds + 1):
        for name, redactor in contenders.items():
            found = _written(run, redactor, secrets if "with redaction" in name else [])
            if turn:  # the first one of each is not counted: bytecode, disk cache
                spent[name].append(found)
    print(_table(spent))


def _written(run: Run, redactor: Redactor, gone: list[str]) -> Spent:
    """Write the evidence of `run`; what it took. Stops where one of `gone` is in a file."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        results = folder / "allure-results"
        results.mkdir(parents=True)
        file = Path(place) / "t.toml"
        file.write_text(TARGET)
        target, _ = load_target(file)
        wall, processor = time.perf_counter(), time.process_time()
        for number, (planned, result, exchange) in enumerate(zip(run.planned, run.results, run.exchanges, strict=True)):
            write_result(results, planned, result, target, STAGE, redactor)
            (results / f"{number}-attachment.txt").write_bytes(redactor.text(exchange).encode())
        redactor.sweep(folder)
        verdict = {"checks": [r.verdict_entry(p) for r, p in zip(run.results, run.planned, strict=True)]}
        (folder / "verdict.json").write_text(json.dumps(redactor.data(verdict), ensure_ascii=False))
        spent = Spent(time.perf_counter() - wall, time.process_time() - processor)
        for path in folder.rglob("*"):
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            if left := [secret for secret in gone if secret in text]:
                raise SystemExit(f"{path.name}: {len(left)} secrets are left")
        return spent


def _secrets() -> list[str]:
    chance = random.Random(11)  # noqa: S311 - made up
    key = base64.encodebytes(chance.randbytes(600)).decode()
    return [
        *(base64.b64encode(chance.randbytes(size)).decode() for size in (12, 18, 24, 32)),
        chance.randbytes(20).hex(),
        "correct-horse-battery-staple",
        ".".join(base64.urlsafe_b64encode(chance.randbytes(size)).decode() for size in (27, 90, 32)),
        f"-----BEGIN PRIVATE KEY-----\n{key}-----END PRIVATE KEY-----\n",
    ]


def _exchange(chance: random.Random, number: int, secrets: list[str]) -> str:
    shown = secrets[number // SHOWN % 6] if number % SHOWN == 0 else "[none]"
    rows = [{"id": chance.randrange(10**9), "status": "ok", "score": chance.random()} for _ in range(18)]
    return (
        f"GET http://127.0.0.1:9/health/{number}\nauthorization: ***\naccept: */*\n\nHTTP 200 after 12.3 ms\n"
        f"content-type: application/json\nx-echo: {shown}\n\n{json.dumps({'status': 'ok', 'rows': rows})}\n"
    )


def _table(spent: dict[str, list[Spent]]) -> str:
    base = next(iter(spent.values()))
    lines = [
        "| | wall min | wall median | processor median | wall, ratio | processor, ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in spent.items():
        turns = list(zip(runs, base, strict=True))
        walls = [run.wall_s for run in runs]
        lines.append(
            f"| {name} | {min(walls):.2f} s | {statistics.median(walls):.2f} s "
            f"| {statistics.median(run.processor_s for run in runs):.2f} s "
            f"| {statistics.median(mine.wall_s / other.wall_s for mine, other in turns):.2f} "
            f"| {statistics.median(mine.processor_s / other.processor_s for mine, other in turns):.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
