"""Architecture of the tree: places, names, imports and sizes, read from the source without importing it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LIBRARY: Final = "opsverify"
FLAT: Final = {"__init__", "__main__", "errors", "units", "limits", "commands", "docker_engine"}
"""The modules beside the packages: ground that every layer stands on, and the entry point."""

HEAVY: Final = {
    "allure", "allure_commons", "allure_pytest", "cryptography", "dask", "distributed", "dns", "docker", "filelock",
    "httpx", "httpx2",
    "icalendar", "jinja2", "kiwipiepy", "mcp",
    "prometheus_api_client", "psycopg", "pytest", "recurring_ical_events", "redis", "rich", "securesystemslib",
    "starlette", "testcontainers", "uvicorn", "yaml", "zstandard",
    "rfc3161_client", "weasyprint",
}  # fmt: skip
"""Client libraries and others that cost a command noticeable time: only these justify an import inside a function."""

LOCAL_IMPORTS: Final = {
    "opsverify.__main__": "a failure of the import has to become exit code 3",
    "opsverify.pytest_plugin.exit_status": "a failure of the import must not change the exit code",
    "opsverify.pytest_plugin.clients": "every run loads it, and opens few of the clients",
    "opsverify.core.runbook": "every suite loads it; only a project of one's own needs pydantic there",
    "opsverify.recovery.verify.rows": "every plan loads it",
}
"""Modules that may import anything inside a function, and why."""

LONGEST: Final = 300
LONG: Final = {
    "opsverify/probes/prometheus.py": "one probe; each query has its message",
    "opsverify/pytest_plugin/plugin.py": "every hook is here, and only here",
    "opsverify/release/authorize.py": "every reason to refuse an order, in the order they are looked at",
    "opsverify/release/rollout.py": "one rollout, from its lock to its last share",
    "sandbox/core.py": "one class that starts and stops every part of the stand-in",
    "tests/probes/probe_servers.py": "one server for each probe",
    "tests/attack/test_act.py": "a table: every way to mislead `act`",
    "tests/canary/cluster.py": "one simulated cluster",
    "tests/pytest_plugin/cases.py": "a table: every way a run can end",
    "tests/recovery/ledger/test_ledger.py": "the chain and its tampering share one record",
    "tests/support/standin.py": "one stand-in platform for the proof and the end-to-end tests",
}
"""Modules of 300 lines and more, and why. A module leaves this list when it gets shorter; none is added."""

READERS: Final = {
    "opsverify/evidence/once_read.py": "the one reader",
    "opsverify/evidence/allure_writer.py": "what a check attaches",
    "opsverify/evidence/bound.py": "runbook and suites",
    "opsverify/evidence/chain.py": "lines of the state, each with its own fault",
    "opsverify/evidence/origin.py": "files of git",
    "opsverify/evidence/target_state.py": "the state, which lies in no run's folder",
    "opsverify/evidence/timestamp.py": "certificates that a person names",
    "opsverify/evidence/trusted_keys.py": "keys that a person names",
    "opsverify/fleet/publish.py": "the plan that a person names; a mounted ConfigMap is a link",
    "opsverify/report/allure_cli.py": "the lock file of the package",
    "opsverify/report/allure_report.py": "what Allure wrote a moment ago, in a folder of this process",
}
"""Modules that read files or JSON by themselves beside the reader of evidence, and what; none of a run's folder."""

NOT_A_NOUN: Final = re.compile(
    r"(What|How|Whether|Why|Where|When|Which|Who|Whatever|Everything|Nothing|Any|"
    r"Add|Ask|Await|Build|Carry|Choose|Close|Collect|Compare|Find|Give|Hear|Keep|Load|Look|Make|Observe|Prove|Read|"
    r"Remove|Run(?! (of|options))|Say|Show|Start|Takes?|Tell|Try|Wait|Work (a|it|out)|Write|Writes|"
    r"The (end|one|only|very|way|course))(?![\w-])"
)
"""Beginnings of a docstring that name no thing: question words, verbs, and phrases before the noun."""


@dataclass(frozen=True)
class Source:
    """One module of the tree: dotted name, path from the repository, syntax tree and lines."""

    name: str
    path: str
    tree: ast.Module
    lines: tuple[str, ...]


@cache
def sources(top: str) -> Mapping[str, Source]:
    """Every module under the folder `top`, by dotted name; a package by its own."""
    return {source.name: source for source in map(_source, sorted((REPOSITORY / top).rglob("*.py")))}


def _source(path: Path) -> Source:
    inside = path.relative_to(REPOSITORY)
    parts = inside.with_suffix("").parts
    text = path.read_text(encoding="utf-8")
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Source(name, inside.as_posix(), ast.parse(text), tuple(text.splitlines()))


def imported(node: ast.AST, known: Mapping[str, Source]) -> set[str]:
    """The modules that an import statement names: of the tree as far as they are `known`, others by their top name."""
    if isinstance(node, ast.Import):
        names = {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: relative import"
        module = node.module or ""
        inside = {f"{module}.{alias.name}" for alias in node.names}
        names = {name if name in known else module for name in inside}
    else:
        return set()
    return {name if name in known else name.partition(".")[0] for name in names}


def at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """The statements that run when the module is imported: no function bodies, nothing for type checkers only."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        waiting += node.orelse if isinstance(node, ast.If) and typing_only else ast.iter_child_nodes(node)


@cache
def heavy(name: str) -> bool:
    """Whether importing the module loads a heavy library that the start of every command has not loaded."""
    reached, waiting, known = {LIBRARY}, [name], sources(LIBRARY)
    while waiting:
        module = waiting.pop()
        if module in HEAVY:
            return True
        if module in reached or module not in known:
            continue
        reached.add(module)
        for node in at_import(known[module].tree):
            waiting += imported(node, known)
    return False


def circles(top: str) -> list[list[str]]:
    """Strongly connected components of more than one module, after Tarjan; imports of every kind count."""
    known = sources(top)
    arrows = {
        name: {target for node in ast.walk(source.tree) for target in imported(node, known)} & known.keys() - {name}
        for name, source in known.items()
    }
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in arrows[name]:
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            at = stack.index(name)
            found.append(sorted(stack[at:]))
            del stack[at:]

    for name in arrows:
        if name not in index:
            visit(name)
    return [component for component in found if len(component) > 1]


def test_no_public_class_name_is_defined_twice() -> None:
    """A reader who searches for a class finds the one that is meant."""
    owners: dict[str, list[str]] = defaultdict(list)
    for source in sources(LIBRARY).values():
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                owners[node.name].append(source.path)
    assert {name: paths for name, paths in owners.items() if len(paths) > 1} == {}


def test_no_flat_module_outside_the_ground() -> None:
    """Everything else is in the package of its layer."""
    flat = {path.stem for path in (REPOSITORY / LIBRARY).glob("*.py")}
    assert flat == FLAT


def test_a_package_hands_no_names_on() -> None:
    """A name has one path; the library's own `__init__` is the only list of public names."""
    packages = [source for source in sources(LIBRARY).values() if source.path.endswith("/__init__.py")]
    more = [source.path for source in packages if len(source.tree.body) != 1 or not ast.get_docstring(source.tree)]
    assert more == [f"{LIBRARY}/__init__.py"]


def test_imports_inside_functions_are_those_of_the_rule() -> None:
    """Only a heavy library, or a module that loads one, is imported where it is used."""
    known = sources(LIBRARY)
    wrong = []
    for source in known.values():
        if source.name in LOCAL_IMPORTS:
            continue
        statements = {
            node.lineno: node for node in ast.walk(source.tree) if isinstance(node, ast.Import | ast.ImportFrom)
        }
        for number, line in enumerate(source.lines, 1):
            if re.search(r"#.*noqa:.*\bPLC0415\b", line):
                targets = imported(statements[number], known) if number in statements else set()
                if not targets or not all(map(heavy, targets)):
                    wrong.append(f"{source.path}:{number}: {line.partition('#')[0].strip()}")
    assert not wrong, "\n".join(wrong)


def test_the_named_exceptions_exist() -> None:
    """A module that was renamed or no longer needs its exception leaves the lists."""
    known = sources(LIBRARY)
    assert [name for name in LOCAL_IMPORTS if name not in known or "PLC0415" not in "\n".join(known[name].lines)] == []


@pytest.mark.parametrize("top", ["opsverify", "sandbox", "benchmarks", "tests"])
def test_every_docstring_begins_with_a_noun(top: str) -> None:
    """The first word of a module's docstring is, up to an article, the thing that the module is about."""
    wrong = []
    for source in sources(top).values():
        docstring = ast.get_docstring(source.tree) or ""
        if not docstring or NOT_A_NOUN.match(docstring):
            wrong.append(f"{source.path}: {docstring.splitlines()[0] if docstring else 'no docstring'}")
    assert not wrong, "\n".join(wrong)


def test_no_test_module_imports_another() -> None:
    """Helpers are in modules of their own; a test module can be moved and removed alone."""
    known = sources("tests")
    wrong = [
        f"{source.path}: {target}"
        for source in known.values()
        for node in ast.walk(source.tree)
        for target in imported(node, known)
        if target.rpartition(".")[2].startswith("test_")
    ]
    assert not wrong, "\n".join(wrong)


def test_modules_are_short() -> None:
    """A module of 300 lines and more is on the list with its reason; one that got shorter leaves the list."""
    tops = ("opsverify", "sandbox", "benchmarks", "tests", "checks", "smoke", "dr_validation")
    long = {source.path for top in tops for source in sources(top).values() if len(source.lines) >= LONGEST}
    assert long == LONG.keys()


@pytest.mark.parametrize("top", ["opsverify", "sandbox"])
def test_no_import_circle(top: str) -> None:
    """No module leads back to itself, typing imports and imports inside functions included."""
    assert circles(top) == []


def test_files_of_a_run_are_read_by_one_reader() -> None:
    """A FIFO, a link or nested JSON in a run's folder ends in an EvidenceError, since nothing else reads there."""
    found = set()
    for source in sources(LIBRARY).values():
        reads = source.path.startswith(tuple(f"opsverify/{name}/" for name in ("evidence", "fleet", "report")))
        if not reads and source.path not in {"opsverify/pytest_plugin/verdict_file.py", "opsverify/cli/report.py"}:
            continue
        found |= {
            source.path
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Attribute)
            and (node.attr in {"read_bytes", "read_text"} or (node.attr in {"load", "loads"} and _is_json(node.value)))
        }
    assert found == set(READERS)


def _is_json(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "json"
