"""Error of the sandbox: one line with what is missing or wrong, where, and what to do next."""

from __future__ import annotations


class SandboxError(Exception):
    """The command cannot be carried out; the message is one line."""
