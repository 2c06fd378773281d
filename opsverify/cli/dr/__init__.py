"""Verbs of `opsverify dr`, one module a verb."""
