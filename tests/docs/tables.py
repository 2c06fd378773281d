"""Tables in the docs that copy the code: `.venv/bin/python -m tests.docs.tables` writes them anew.

A table stands between `<!-- generated: NAME -->` and `<!-- /generated -->`; `test_tables.py` fails when one is stale.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING

from opsverify.config.limits import Limits
from opsverify.config.signals import Signal, Signals
from opsverify.core.runbook import lines_of
from opsverify.core.stages import STAGES, Outcome
from sandbox import faults
from tests.docs.command_line import parsers
from tests.proof.fault_table import region_rows, rows
from tests.proof.regions_faults import RegionFaults
from tests.support.paths import REPOSITORY
from tests.support.plans import plans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from opsverify.core.runbook import Line
    from opsverify.limits import Limit

COMMAND = ".venv/bin/python -m tests.docs.tables"
FIXTURES = REPOSITORY / "opsverify" / "pytest_plugin" / "fixtures"
_QUESTIONS = {
    "staging": "Is the release fit to leave staging: alive, migrated, end to end?",
    "preprod-canary": "The checks of `prod-canary`, on pre-production's traffic",
    "prod-canary": "Is the canary within its limits, as its traffic shows?",
    "post-rollback": "Is everything back: version, schema, traffic, alerts?",
    "daily": "Is the platform well today, and is nothing growing towards trouble?",
    "weekly": "Which queries, indexes, caches, logs and disks got worse this week?",
    "monthly": "Do restores, rights, secrets and changes hold what was agreed?",
    "quarterly": "Would recovery, alerts, breakers, keys and on-call work when needed?",
    "incident-llm": "Is the LLM's fault seen, its remedy in force, and the platform stable?",
    "incident-mcp": "The same for an MCP server that times out",
    "incident-db": "The same for a slow database",
    "incident-cache": "The same for Redis",
    "incident-rule": "The same for a wrong rule or prompt",
    "post-dr": "Is the restored production whole, and does it serve?",
    "rehearsal": "Can the backup be restored, whole, within RPO and RTO?",
    "switchback": "Is the way back to the original region as whole as the restore was?",
}
_BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n)(.*?)(<!-- /generated -->)", re.DOTALL)


def pages() -> list[Path]:
    """Every page that may hold a table."""
    return [
        *sorted(REPOSITORY.glob("*.md")),
        *sorted((REPOSITORY / "docs").rglob("*.md")),
        *sorted((REPOSITORY / "reports").glob("README.md")),
    ]


def names_in(text: str) -> list[str]:
    """Names of the tables that `text` holds."""
    return [match[2] for match in _BLOCK.finditer(text)]


def renewed(text: str) -> str:
    """`text` with every table as the code has it now. Raises KeyError for a table nobody writes."""
    return _BLOCK.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[4]}", text)


def limit_as_written(limit: Limit) -> str:
    """A limit as a target file has it: what a reader copies from the table loads."""
    low, dots, high = limit.text.replace(",", "").partition("..")
    unit = low.lstrip("0123456789.")
    return f"{low[: len(low) - len(unit)]}{dots}{high}" if dots and unit and high.endswith(unit) else low + dots + high


def limits() -> str:
    """Limits of a target, with the runbook's values."""
    return _table(
        ("key", "default", "what it limits (runbook section first)"),
        (
            (f"`{name}`", f"`{limit_as_written(field.default)}`", field.description or "")
            for name, field in Limits.model_fields.items()
        ),
    )


def signals() -> str:
    """Signals of a target, with the platform's names."""
    return _table(
        ("signal", "default"),
        ((f"`{name}`", f"`{_selector(signal)}`" if signal else "not described") for name, signal in _signals()),
    )


def fixtures() -> str:
    """Fixtures that a check may take, with the first sentence of their docstrings."""
    return _table(("fixture", "what it is"), ((f"`{name}`", text) for name, text in fixture_texts().items()))


def fixture_texts() -> dict[str, str]:
    """First line of the docstring of each fixture, by name, module by module."""
    found = {}
    for path in sorted(FIXTURES.glob("*.py"), key=lambda path: (path.stem != "probes", path.stem)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(
                "fixture" in ast.unparse(each) for each in node.decorator_list
            ):
                found[node.name] = (ast.get_docstring(node) or "").partition("\n")[0]
    return dict(sorted(found.items(), key=lambda item: item[0] != "check"))


def stages() -> str:
    """Stages with their decisions, and how many checks each plans on the sandbox."""
    return _table(
        ("stage", "pass", "fail", "inconclusive", "lines without a check"),
        (
            (
                f"`{name}`",
                *(stage.decide(each).value for each in (Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE)),
                ", ".join(uncovered(name)) or "none",
            )
            for name, stage in STAGES.items()
        ),
    )


def decisions() -> str:
    """Stages with the question that each decides, and what it rests on: lines, checks, and faults that turn it red."""
    faults_of = Counter(row.stage for row in (*rows(), *region_rows()) if row.red)
    return _table(
        ("stage", "question", "decision", "lines", "checks", "faults proven red"),
        (
            (
                f"`{name}`",
                _QUESTIONS[name],
                "/".join(stage.decide(each).value for each in (Outcome.PASS, Outcome.FAIL)),
                str(len({line for check in plans()[name] for line in check["lines"]})),
                str(len(plans()[name])),
                str(faults_of[name]),
            )
            for name, stage in STAGES.items()
        ),
    )


def uncovered(stage: str) -> list[str]:
    """Lines of the runbook that belong to the stage and that no check carries out."""
    return [check["lines"][0] for check in plans()[stage] if not check["nodeid"]]


def runbook_lines() -> str:
    """Lines of the runbook with their stages, and the checks that carry them out there on the sandbox."""
    return _table(
        ("line", "runbook", "stages", "checks, or a person"),
        (
            (
                f"`{line.id}`",
                line.ko,
                ", ".join(f"`{stage}`" for stage in line.stages),
                ", ".join(f"`{each}`" for each in carriers(line)) or f"a person: `opsverify attest {line.id}`",
            )
            for line in lines_of(None).values()
        ),
    )


def carriers(line: Line) -> list[str]:
    """Checks that carry out a line in its stages; rows of one check (`health.service[...]`) as one."""
    ids = [
        check["id"].partition("[")[0]
        for stage in line.stages
        for check in plans()[stage]
        if check["attests"] is None and line.id in check["lines"]
    ]
    return list(dict.fromkeys(ids))


def sandbox_faults() -> str:
    """Faults of the sandbox."""
    return _table(
        ("fault", "scopes", "what it does"),
        ((f"`{fault.name}`", ", ".join(fault.scopes), fault.en) for fault in faults.catalogue().values()),
    )


def region_faults() -> str:
    """Faults of two regions, each a method of RegionFaults; the first line of its docstring."""
    return _table(
        ("fault", "what it does"),
        (
            (f"`{name}`", (inspect.getdoc(method) or "").partition("\n")[0])
            for name, method in vars(RegionFaults).items()
            if callable(method) and not name.startswith("_")
        ),
    )


def commands() -> str:
    """Commands with their arguments."""
    return "\n\n".join(f"### {name}\n{_arguments(parser)}" for name, parser in parsers())


TABLES: dict[str, Callable[[], str]] = {
    "limits": limits,
    "signals": signals,
    "fixtures": fixtures,
    "stages": stages,
    "decisions": decisions,
    "runbook": runbook_lines,
    "faults": sandbox_faults,
    "region-faults": region_faults,
    "commands": commands,
}


def _signals() -> Iterator[tuple[str, Signal | None]]:
    for name, field in Signals.model_fields.items():
        assert field.default is None or isinstance(field.default, Signal)
        yield name, field.default


def _selector(signal: Signal) -> str:
    return f"{signal.metric}{{{signal.match}}}" if signal.match else f"{signal.metric}"


def _arguments(parser: argparse.ArgumentParser) -> str:
    lines = [parser.description] if parser.description else []
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        value = ""
        if action.option_strings and action.nargs != 0:
            value = f" {action.metavar or '|'.join(map(str, action.choices or ())) or action.dest.upper()}"
        needed = " (required)" if action.required and action.option_strings else ""
        text = str(action.help or "").replace("%%", "%")
        choices = (
            f"one of {', '.join(map(str, action.choices))}" if action.choices and not action.option_strings else ""
        )
        lines.append(f"- `{name}{value}`{needed}" + "".join(f": {each}" for each in filter(None, (choices, text))))
    return "\n".join(lines)


def _table(head: tuple[str, ...], body: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *body]
    # A bar would end the cell, also between backticks.
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def main() -> None:
    """Write every table of every page anew."""
    for page in pages():
        before = page.read_text(encoding="utf-8")
        after = renewed(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{page.relative_to(REPOSITORY)}: written\n")


if __name__ == "__main__":
    main()
