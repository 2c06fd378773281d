"""The one error of the sandbox: a line that says what is missing or wrong, where, and what to do next."""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox cannot do what was asked; the message is one line for the person who asked."""
