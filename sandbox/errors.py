"""Errors of the sandbox: one line with what is missing or wrong, where, and what to do next."""

from __future__ import annotations

from typing import Literal

HomeProblem = Literal["absent", "unset", "garbled", "ports"]


class SandboxError(Exception):
    """The command cannot be carried out; the message is one line."""


class WrongUsage(SandboxError):  # noqa: N818 - what the command line is
    """A name or number on the command line that means nothing here."""


class HomeError(SandboxError):
    """A home that cannot be used.

    The platform reads homes too and knows nothing of the library: what is wrong is kept, and `sandbox.said` makes a
    message of it where it is shown.
    """

    def __init__(self, problem: HomeProblem, template: str, **values: object) -> None:
        super().__init__(template.format_map(values))
        self.problem = problem
        self.values = values
