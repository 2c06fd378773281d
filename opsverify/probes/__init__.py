"""Probes: one client library each, frozen values out, nothing asserted.

Import the module you use (`from opsverify.probes.http import Http`): this package imports no client, so that
planning stays fast. A probe raises `Inconclusive` when it cannot measure, `Unreachable` without an answer.
"""
