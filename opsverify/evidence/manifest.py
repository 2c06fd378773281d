"""Manifest: the SHA-256 sum of every file of a run, in the form `sha256sum --check` reads.

It covers all files but itself and those written after it: the verdict (which holds the manifest's own sum), the
signature (which covers both) and the HTML pages (built again at will from the covered files).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import EvidenceError
from opsverify.evidence.files import sum_of_regular, walk, write_atomic
from opsverify.evidence.once_read import read_once
from opsverify.language.message import say
from opsverify.language.plain import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MANIFEST: Final = "manifest.sha256"
_OUTSIDE: Final = re.compile(r"manifest\.sha256|verdict\.json|signature\.[^/]*|report\.html|recovery\.html|report/.*")
PAGES: Final = ("report.html", "recovery.html", "report")
"""Pages that the manifest leaves out."""
_LINE: Final = re.compile(r"(?P<escaped>\\?)(?P<sum>[0-9a-f]{64}) [ *](?P<path>.+)", re.DOTALL)


@dataclass(frozen=True)
class Problem:
    """One file that differs from manifest or signature; its text is one line."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def write_manifest(run_dir: Path, known: Mapping[str, str] | None = None) -> str:
    """Write `run_dir/manifest.sha256` over all evidence and return the SHA-256 of the manifest itself.

    `known` are sums of files, by their paths in the folder, that were read just now for another purpose.
    Raises EvidenceError when a file cannot be read, is no regular file, or the manifest cannot be written.
    """
    lines = []
    covered = _covered(run_dir)
    for path in covered:
        try:
            measured = (known or {}).get(path) or sum_of_regular(f"{run_dir}/{path}")
        except OSError as error:
            raise EvidenceError(
                say("{path}: cannot be read for the manifest ({error})", path=path, error=error.strerror)
            ) from error
        if measured is None:
            raise EvidenceError(say("{path}: not a regular file; remove it from {run_dir}", path=path, run_dir=run_dir))
        lines.append(_line(path, measured))
    content = "".join(lines).encode(errors="surrogateescape")
    write_atomic(run_dir / MANIFEST, content)
    return hashlib.sha256(content).hexdigest()


def verify_manifest(run_dir: Path, content: bytes | None = None) -> tuple[Problem, ...]:
    """Name every file that is missing, altered or additional, in the order of their paths; empty if none.

    `content` is the manifest where it was read before.
    """
    try:
        text = (read_once(run_dir / MANIFEST) if content is None else content).decode(errors="surrogateescape")
    except OSError as error:
        return (Problem(MANIFEST, say("cannot be read ({error}); nothing can be verified", error=error.strerror)),)
    except EvidenceError as error:
        return (Problem(MANIFEST, str(error)),)
    try:
        expected = _sums(text)
    except EvidenceError as error:
        return (Problem(MANIFEST, str(error)),)
    try:
        present = set(_covered(run_dir))
    except EvidenceError as error:
        return (Problem(MANIFEST, say("{error}; nothing can be verified", error=error)),)
    problems = [Problem(path, say("additional: not in the manifest")) for path in present - expected.keys()]
    problems += [Problem(path, say("missing: listed in the manifest")) for path in expected.keys() - present]
    problems += filter(None, (_compare(run_dir, path, expected[path]) for path in present & expected.keys()))
    return tuple(sorted(problems, key=lambda problem: problem.path))


def paths_in(content: bytes) -> tuple[str, ...]:
    """The paths that a manifest covers. Raises EvidenceError for what is none."""
    return tuple(sums_in(content))


def sums_in(content: bytes) -> dict[str, str]:
    """The sum of every path that a manifest covers. Raises EvidenceError for what is none."""
    return _sums(content.decode(errors="surrogateescape"))


def _sums(text: str) -> dict[str, str]:
    """The sum of every path. Raises EvidenceError for what is no manifest."""
    expected: dict[str, str] = {}
    lines = text.removesuffix("\n").split("\n") if text else []  # splitlines would cut a name at a form feed
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise EvidenceError(say("line {number}: expected a sum and a path; the manifest is damaged", number=number))
        expected[_unescaped(match["path"]) if match["escaped"] else match["path"]] = match["sum"]
    return expected


def pages_in(run_dir: Path) -> tuple[str, ...]:
    """The pages for people in the folder: they are made from the covered files, and covered by nothing themselves."""
    return tuple(name for name in PAGES if (run_dir / name).exists())


def _compare(run_dir: Path, path: str, expected: str) -> Problem | None:
    try:
        measured = sum_of_regular(f"{run_dir}/{path}")
    except OSError as error:
        return Problem(path, say("cannot be read ({error})", error=error.strerror))
    if measured is None:
        return Problem(path, say("altered: not a regular file"))
    if measured == expected:
        return None
    return Problem(
        path,
        say(
            "altered: SHA-256 is {measured}..., in the manifest {expected}...",
            measured=measured[:12],
            expected=expected[:12],
        ),
    )


def _covered(run_dir: Path) -> list[str]:
    """Relative POSIX paths of all evidence, sorted: files, and links so that nothing hides behind one.

    Raises EvidenceError where a folder cannot be read: what is in it would be no evidence, and nobody would know.
    """
    try:
        return sorted(_paths(run_dir))
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise EvidenceError(say("folders nested too deeply")) from error
        folder = plain_line(os.path.relpath(error.filename, run_dir))
        raise EvidenceError(
            say("folder {folder} cannot be read ({error})", folder=folder, error=error.strerror)
        ) from error
    except RecursionError as error:  # before Python 3.12
        raise EvidenceError(say("folders nested too deeply")) from error


def _paths(run_dir: Path) -> Iterator[str]:
    top = str(run_dir)
    for folder, folders, files in walk(top):
        within = "" if folder == top else f"{folder[len(top) :].lstrip('/')}/"
        links = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114 - thousands of files
        for name in (*files, *links):
            path = f"{within}{name}"
            if not _OUTSIDE.fullmatch(path):
                yield path


def _line(path: str, digest: str) -> str:
    """One line as GNU sha256sum writes it: a name with a backslash or line break is escaped and marked."""
    escaped = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == path else chr(92)}{digest}  {escaped}\n"


def _unescaped(path: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "r": "\r"}.get(match[1], match[1]), path)
